"""The plan of every resource of every service, from its limits, its forecast and its history.

Belongs here: which series are resources, their demand in units, the rows. Does not: the mathematics (`capacity/`), reading
the lake (`capacity_tables.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cogniforge_pipeline.aiops.capacity.policy import CapacityPolicy
from cogniforge_pipeline.aiops.forecast_inputs import floored
from cogniforge_pipeline.aiops.forecasting.steps import HOUR
from cogniforge_pipeline.aiops.planning_model import BUILT_IN, Capacity, capacity_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cogniforge_pipeline.aiops.capacity import CapacityPlan, Demand, Scaling

    Floats = npt.NDArray[np.float64]

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
"""What lo95, lo80, mean, hi80 and hi95 of a forecast are taken for; a mean is near the median."""
SHARES = ("cpu_usage", "memory_usage", "disk_usage", "saturation")
PERCENT = ("percent", "_pct")
"""Names of metrics in percent where their source does not say the unit."""
DRIVEN = ("cpu_usage",)
"""What a service uses in step with its requests, so that a law of scaling may be fitted."""
TREND_DAYS = 14
"""A trend is carried on beyond the forecast from so many days on: two of each weekday."""


@dataclass(frozen=True)
class Measured:
    """One series: hourly `values` (T,) that end at the same moment as all others, NaN where nothing was measured, and its
    `forecast` (5, H) at LEVELS, None where there is none. A counter's values are what it grows by each second."""

    series_id: int
    service: str
    metric: str
    metric_type: str
    unit: str | None
    labels: Mapping[str, str]
    values: Floats
    forecast: Floats | None

    @property
    def resource(self) -> str:
        """The metric, with the labels that tell it from others."""
        labels = ",".join(f"{name}={value}" for name, value in sorted(self.labels.items()))
        return f"{self.metric}{{{labels}}}" if labels else self.metric


@dataclass(frozen=True)
class Planned:
    """The plan of one resource."""

    measured: Measured
    plan: CapacityPlan
    source: str
    demand_unit: str
    policy: CapacityPolicy


def limit_of(series: Measured, capacity: Capacity) -> float | None:
    """The value at which a service's units are full: declared, 100 of percent, 1 of a share; None if unknown."""
    for limit in capacity.limits:
        if limit.metric == series.metric:
            return limit.limit
    if series.unit == "%" or (series.unit is None and series.metric.endswith(PERCENT)):
        return 100.0
    return 1.0 if series.unit == "1" and series.metric_type in SHARES else None


def plans(series: Sequence[Measured], declared: Iterable[Capacity]) -> list[Planned]:
    """A plan for every series that has a limit and enough history or a forecast, in order of service and resource."""
    declared = list(declared)
    found = []
    for service in sorted({one.service for one in series}):
        own = [one for one in series if one.service == service]
        capacity = capacity_of(service, declared)
        for one in sorted(own, key=lambda one: (one.resource, one.series_id)):
            limit = limit_of(one, capacity)
            planned = _planned(one, limit, capacity, own) if limit is not None else None
            if planned is not None:
                found.append(planned)
    return found


def rows(planned: Sequence[Planned], as_of: datetime) -> list[dict[str, Any]]:
    """Rows of `aiops.capacity_plans`; the bottleneck of a service is the resource that needs the most units."""
    worst: dict[str, Planned] = {}
    for one in planned:
        now = worst.get(one.measured.service)
        if now is None or _need(one) > _need(now):
            worst[one.measured.service] = one
    return [_row(one, one is worst[one.measured.service], as_of) for one in planned]


def _need(one: Planned) -> tuple[int, float]:
    return one.plan.units_needed, one.plan.utilisation_now


def _planned(one: Measured, limit: float, capacity: Capacity, own: Sequence[Measured]) -> Planned | None:
    from cogniforge_pipeline.aiops.capacity import Resource, plan_capacity

    policy = capacity.policy or BUILT_IN.policy
    assert policy is not None
    size = capacity.units / limit
    history = _history(one.values * size)
    demand = _ahead(None if one.forecast is None else one.forecast * size, history, one.values) or history
    if demand is None:
        return None
    resource, unit = Resource(one.resource, demand), "unit"
    law: Scaling | None = None
    if one.metric_type in DRIVEN and (rate := _requests(own)) is not None:
        law = _law(rate.values, one.values * size)
        driven = _ahead(rate.forecast, None, rate.values) or _history(rate.values)
        if law is not None and law.trusted and driven is not None:
            resource, unit = Resource(one.resource, driven, law), "request/s"
    plan = plan_capacity([resource], capacity.units, policy)
    plan = _with_trend(plan, history, capacity.units, policy)
    if law is not None and not law.trusted:
        plan = replace(plan, reason=f"{plan.reason}; how it scales with requests is not known ({law.reason})")
    return Planned(one, plan, resource.demand.source, unit, policy)


def _with_trend(plan: CapacityPlan, history: Demand | None, units: int, policy: CapacityPolicy) -> CapacityPlan:
    """The plan with the time to exhaustion by the trend of the history, where the forecast does not reach it."""
    from cogniforge_pipeline.aiops.capacity import Resource, plan_capacity

    if plan.hours_to_exhaustion is not None or history is None or history.history_days < TREND_DAYS:
        return plan
    hours = plan_capacity([Resource(plan.bottleneck, history)], units, policy).hours_to_exhaustion
    if not hours:
        return plan
    told = f"the trend of {history.history_days:.0f} days needs every unit in {hours:.3g} h"
    return replace(plan, hours_to_exhaustion=hours, reason=f"{plan.reason}; {told}")


def _history(values: Floats) -> Demand | None:
    import numpy as np

    from cogniforge_pipeline.aiops.capacity.demand import FEWEST, demand_from_history

    known = np.flatnonzero(np.isfinite(values))
    if len(known) < FEWEST:
        return None
    return demand_from_history(np.maximum(values[known[0] :], 0), 1.0)


def _ahead(forecast: Floats | None, history: Demand | None, values: Floats) -> Demand | None:
    import numpy as np

    from cogniforge_pipeline.aiops.capacity import demand_from_forecast

    if forecast is None:
        return None
    known = np.flatnonzero(np.isfinite(values))
    days = history.history_days if history else (len(values) - known[0]) / 24 if len(known) else 0.0
    return demand_from_forecast(dict(zip(LEVELS, forecast.tolist(), strict=True)), 1.0, days)


def _requests(own: Sequence[Measured]) -> Measured | None:
    """All requests of a service each second. Of several metrics that count them the one with the most values is taken.

    Bounds add up, as if all series were high at once: too wide rather than too narrow.
    """
    import numpy as np

    counted = [one for one in own if one.metric_type == "request_rate"]
    if not counted:
        return None
    known = {one.metric: 0 for one in counted}
    for one in counted:
        known[one.metric] += int(np.isfinite(one.values).sum())
    metric = max(sorted(known), key=lambda name: known[name])
    chosen = [one for one in counted if one.metric == metric]
    table = np.stack([one.values for one in chosen])
    total = np.where(np.isfinite(table).any(axis=0), np.nansum(table, axis=0), np.nan)
    forecasts = [one.forecast for one in chosen if one.forecast is not None]
    shortest = min((made.shape[1] for made in forecasts), default=0)
    ahead = np.sum([made[:, :shortest] for made in forecasts], axis=0) if shortest else None
    return replace(chosen[0], values=total, forecast=ahead)


def _law(rate: Floats, load: Floats) -> Scaling | None:
    import numpy as np

    from cogniforge_pipeline.aiops.capacity import fit_scaling

    both = np.isfinite(rate) & np.isfinite(load) & (rate > 0) & (load > 0)
    return fit_scaling(rate[both], load[both]) if both.sum() >= 3 else None


def _row(one: Planned, is_bottleneck: bool, as_of: datetime) -> dict[str, Any]:
    plan, measured = one.plan, one.measured
    hours = plan.hours_to_exhaustion
    exhausted = None if hours is None else int((floored(as_of, HOUR) + timedelta(hours=hours)).timestamp())
    return {
        "as_of": int(as_of.timestamp()),
        "service": measured.service,
        "resource": measured.resource,
        "series_id": measured.series_id,
        "metric_type": measured.metric_type,
        "bottleneck": is_bottleneck,
        "source": one.source,
        "demand_unit": one.demand_unit,
        "demand_p50": plan.demand_p50,
        "demand_p90": plan.demand_p90,
        "demand_p99": plan.demand_p99,
        "units_now": plan.units_now,
        "units_needed": plan.units_needed,
        "units_lower": plan.units_lower,
        "units_upper": plan.units_upper,
        "units_least_regret": plan.units_least_regret,
        "utilisation_target": one.policy.utilisation_target,
        "utilisation_now": plan.utilisation_now,
        "utilisation_planned": plan.utilisation_planned,
        "headroom": plan.headroom,
        "headroom_formula": plan.formula,
        "hours_to_exhaustion": hours,
        "exhausted_at": exhausted,
        "breach_probability": plan.breach_probability,
        "breach_probability_planned": plan.breach_probability_planned,
        "regret_over": plan.regret_over,
        "regret_under": plan.regret_under,
        "scaling": plan.scaling,
        "scaling_trusted": plan.scaling_trusted,
        "servable": plan.servable,
        "history_days": plan.history_days,
        "reason": plan.reason,
    }
