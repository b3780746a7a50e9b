"""What a user declares about forecasts and capacity: `platform/forecasting.yaml` and `platform/capacity/*.yaml`.

Belongs here: the declared forms and their defaults. Does not: forecasts (`forecasting/`), plans (`capacity/`).

    # forecasting.yaml
    horizon_hours: 72
    five_minutes: {hours: 6, services: [checkout], metrics: [cpu_usage]}

    # capacity/checkout.yaml
    name: checkout
    services: [checkout]                 # or "*": all services that no other declaration names
    units: 6                             # replicas, nodes, volumes: what can be added or removed
    limits: [{metric: memory_usage, limit: 12884901888}]     # at which the units of now are full, in the metric's unit
    policy: {headroom: square_root, quality: 1}
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cogniforge_pipeline.aiops.capacity.policy import CapacityPolicy
from cogniforge_pipeline.aiops.model import Name
from cogniforge_pipeline.declarations import DeclarationModel, Kind

Names = Literal["*"] | Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class FiveMinutes(DeclarationModel):
    """Forecasts in steps of five minutes, of the services and metrics named."""

    hours: Annotated[int, Field(ge=1, le=12)] = 6
    services: Names = "*"
    metrics: Names = "*"


class Forecasting(DeclarationModel):
    """How far ahead telemetry is forecast: `horizon_hours` in steps of an hour, and `five_minutes` where asked for."""

    horizon_hours: Annotated[int, Field(ge=1, le=72)] = 72
    five_minutes: FiveMinutes | None = None


FORECASTING_KIND = Kind("forecasting", "forecasting.yaml", Forecasting, key=lambda _: "forecasting", plural=False)


class Limit(DeclarationModel):
    """The value of a metric at which the units that there are now are full, in the metric's unit; each second for a counter."""

    metric: Annotated[str, Field(min_length=1)]
    limit: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Capacity(DeclarationModel):
    """The units of services, what they can take, and how much room is kept.

    Metrics in percent have a limit of 100, and shares (unit 1) of processor, memory, disk and saturation one of 1, without
    being declared.
    """

    name: Name
    services: Names
    units: Annotated[int, Field(ge=1)] = 1
    limits: tuple[Limit, ...] = ()
    policy: CapacityPolicy | None = None

    @model_validator(mode="after")
    def _each_metric_once(self) -> Self:
        metrics = [limit.metric for limit in self.limits]
        twice = sorted({metric for metric in metrics if metrics.count(metric) > 1})
        if twice:
            raise ValueError(f"metric {twice[0]!r} has two limits")
        return self


CAPACITY_KIND = Kind("capacity", "capacity", Capacity)

TARGET = 0.8
BUILT_IN = Capacity(
    name="built-in", services="*", policy=CapacityPolicy(headroom="utilisation", utilisation_target=TARGET)
)
"""For services that nothing is declared for: one unit, at most four fifths of it used."""


def capacity_of(service: str, declared: Iterable[Capacity]) -> Capacity:
    """What counts for a service: the first declaration by name that names it, else that of "*", else the built-in one."""
    ordered = sorted(declared, key=lambda one: one.name)
    naming = [one for one in ordered if one.services != "*" and service in one.services]
    return next(iter([*naming, *(one for one in ordered if one.services == "*"), BUILT_IN]))
