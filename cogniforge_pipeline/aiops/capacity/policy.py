"""What a user may decide about capacity.

Belongs here: the declared policy with its defaults and their reasons. Does not: calculating.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cogniforge_pipeline.declarations import DeclarationModel


class CapacityPolicy(DeclarationModel):
    """How much room a service keeps.

    The design load is the `quantile` of demand plus `margin` (Kubernetes' VPA: p90 and 15 %). `headroom` says what is
    added to it: `square_root` adds `quality` * sqrt(load), `erlang_c` enough that at most `wait_chance` of requests
    wait, `cores` keeps 0.712 / cores_per_unit^0.448 of each unit idle, `utilisation` runs at `utilisation_target`.
    Regret is `over_cost` or `under_cost` times the number of units too many or too few, to the power of `exponent`
    (Netflix: outages cost more than idle machines, and large errors more than in proportion).
    """

    headroom: Literal["square_root", "erlang_c", "cores", "utilisation"] = "square_root"
    utilisation_target: Annotated[float, Field(gt=0, le=1)] | None = None
    quantile: Annotated[float, Field(ge=0.5, le=0.99)] = 0.9
    margin: Annotated[float, Field(ge=0, le=2)] = 0.15
    quality: Annotated[float, Field(ge=0, le=10)] = 1.0
    wait_chance: Annotated[float, Field(gt=0, lt=1)] = 0.1
    cores_per_unit: Annotated[float, Field(gt=0)] = 4.0
    under_cost: Annotated[float, Field(ge=0)] = 1.25
    over_cost: Annotated[float, Field(ge=0)] = 1.0
    exponent: Annotated[float, Field(ge=1, le=3)] = 1.2
    min_units: Annotated[int, Field(ge=1)] = 1
    max_units: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.headroom == "utilisation" and self.utilisation_target is None:
            raise ValueError("headroom: utilisation needs a utilisation_target")
        if self.headroom != "utilisation" and self.utilisation_target is not None:
            raise ValueError(f"a utilisation_target needs headroom: utilisation, not {self.headroom}")
        if self.max_units is not None and self.max_units < self.min_units:
            raise ValueError(f"max_units {self.max_units} is less than min_units {self.min_units}")
        return self
