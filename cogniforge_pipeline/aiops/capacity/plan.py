"""The plan for a service: units now and needed, the bottleneck, when it runs out, what an error costs, and why.

Belongs here: putting demand, scaling and policy together. Does not: their own mathematics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from cogniforge_pipeline.aiops.capacity.demand import Demand, Floats
from cogniforge_pipeline.aiops.capacity.policy import CapacityPolicy
from cogniforge_pipeline.aiops.capacity.queueing import idle_share_of_cores, square_root_units, units_at, units_for_wait
from cogniforge_pipeline.aiops.capacity.scaling import Scaling, extrapolates
from cogniforge_pipeline.errors import CogniforgeError

_LOWER, _UPPER = 0.5, 0.95
_SHORTEST_DAYS = 1 / 24


@dataclass(frozen=True)
class Resource:
    """One thing that a service may run out of; `scaling` turns its demand into busy units."""

    name: str
    demand: Demand
    scaling: Scaling = field(default_factory=Scaling)


@dataclass(frozen=True)
class CapacityPlan:
    """The plan, by the `bottleneck`: the resource that needs the most units.

    Demand is in the bottleneck's own unit, everything else in units of the service. `units_lower` and `units_upper`
    bound `units_needed` as Kubernetes' VPA does: p50 and p95 of demand, the wider the shorter the history.
    `utilisation_now` and `utilisation_planned` are the share of units busy at the design load. `headroom` is the share
    of the needed units that is idle then, by `formula`. `hours_to_exhaustion` is when p90 of demand needs every
    unit there is now (0: already; None: not within the course of the demand). Breach probabilities are chances that
    demand at a moment exceeds what all units serve. Regrets are expected costs of what is too much and too little
    now, and `units_least_regret` the number at which their sum is least. `servable` is False when demand is beyond the
    peak of the scaling law, where more units do not help.
    """

    bottleneck: str
    demand_p50: float
    demand_p90: float
    demand_p99: float
    units_now: int
    units_needed: int
    units_lower: int
    units_upper: int
    units_least_regret: int
    utilisation_now: float
    utilisation_planned: float
    headroom: float
    formula: str
    hours_to_exhaustion: float | None
    breach_probability: float
    breach_probability_planned: float
    regret_over: float
    regret_under: float
    scaling: str
    scaling_trusted: bool
    servable: bool
    history_days: float
    reason: str


def plan_capacity(resources: Sequence[Resource], units_now: int, policy: CapacityPolicy | None = None) -> CapacityPlan:
    """The plan for a service of `units_now` equal units that needs all of `resources`.

    Raises CogniforgeError without resources, and for fewer than one unit.
    """
    if not resources or units_now < 1:
        raise CogniforgeError(f"a plan needs a resource and a unit, got {len(resources)} and {units_now}")
    policy = policy or CapacityPolicy()
    needs = [_need(resource, policy) for resource in resources]
    bottleneck = max(range(len(needs)), key=lambda place: (needs[place].units, needs[place].load))
    return _plan(resources[bottleneck], needs[bottleneck], units_now, policy)


@dataclass(frozen=True)
class _Need:
    load: float
    units: int
    lower: int
    upper: int
    formula: str
    servable: bool


def _need(resource: Resource, policy: CapacityPolicy) -> _Need:
    """Units at the design load, and bounds of them.

    VPA's bounds: the lower times (1 + .001/days)^-2, the upper times (1 + 1/days), of p50 and p95 with the margin.
    """
    demand, days = resource.demand, max(resource.demand.history_days, _SHORTEST_DAYS)
    design = demand.quantile(policy.quantile) * (1 + policy.margin)
    low = demand.quantile(_LOWER) * (1 + policy.margin) * (1 + 0.001 / days) ** -2
    high = demand.quantile(_UPPER) * (1 + policy.margin) * (1 + 1 / days)
    loads = [min(resource.scaling.load_of(amount), resource.scaling.peak) for amount in (design, low, high)]
    units = [_bounded(_with_headroom(load, policy)[0], policy) for load in loads]
    return _Need(
        load=loads[0],
        units=units[0],
        lower=min(units[0], units[1]),
        upper=max(units[0], units[2]),
        formula=_with_headroom(loads[0], policy)[1],
        servable=resource.scaling.load_of(design) <= resource.scaling.peak,
    )


def _with_headroom(load: float, policy: CapacityPolicy) -> tuple[int, str]:
    """Units for a load, and the formula with its numbers."""
    if policy.headroom == "square_root":
        units = square_root_units(load, policy.quality)
        return units, f"{load:.4g} + {policy.quality:g} * sqrt({load:.4g})"
    if policy.headroom == "erlang_c":
        return units_for_wait(load, policy.wait_chance), f"Erlang C({load:.4g} busy) waits <= {policy.wait_chance:g}"
    if policy.headroom == "cores":
        idle = idle_share_of_cores(policy.cores_per_unit)
        return units_at(load, 1 - idle), f"{load:.4g} / (1 - 0.712 / {policy.cores_per_unit:g}^0.448)"
    target = policy.utilisation_target or 1.0
    return units_at(load, target), f"{load:.4g} / {target:g}"


def _bounded(units: int, policy: CapacityPolicy) -> int:
    units = max(units, policy.min_units)
    return units if policy.max_units is None else min(units, policy.max_units)


def _plan(resource: Resource, need: _Need, units_now: int, policy: CapacityPolicy) -> CapacityPlan:
    demand, scaling = resource.demand, resource.scaling
    loads = np.minimum(scaling.loads_of(demand.amounts), scaling.peak)
    over, under = _regrets(loads, units_now, need, policy)
    hours = _hours_to_exhaustion(demand, scaling.demand_at(units_now))
    breach = demand.exceeds(scaling.demand_at(units_now))
    plan = CapacityPlan(
        bottleneck=resource.name,
        demand_p50=demand.quantile(0.5),
        demand_p90=demand.quantile(0.9),
        demand_p99=demand.quantile(0.99),
        units_now=units_now,
        units_needed=need.units,
        units_lower=need.lower,
        units_upper=need.upper,
        units_least_regret=_least_regret(loads, need, policy),
        utilisation_now=need.load / units_now,
        utilisation_planned=need.load / need.units,
        headroom=max(0.0, 1 - need.load / need.units),
        formula=need.formula,
        hours_to_exhaustion=hours,
        breach_probability=breach,
        breach_probability_planned=demand.exceeds(scaling.demand_at(need.units)),
        regret_over=over,
        regret_under=under,
        scaling=scaling.kind,
        scaling_trusted=scaling.trusted and not extrapolates(scaling, need.load),
        servable=need.servable,
        history_days=demand.history_days,
        reason="",
    )
    return _explained(plan, need, scaling, policy)


def _regrets(loads: Floats, units: int, need: _Need, policy: CapacityPolicy) -> tuple[float, float]:
    """Expected costs of units too many and too few, beside what each load needs at the planned utilisation."""
    missing = loads * (need.units / need.load if need.load else 1.0) - units
    over = policy.over_cost * np.maximum(-missing, 0) ** policy.exponent
    under = policy.under_cost * np.maximum(missing, 0) ** policy.exponent
    return float(over.mean()), float(under.mean())


def _least_regret(loads: Floats, need: _Need, policy: CapacityPolicy) -> int:
    """The number of units with the least expected cost; the cost is convex, so a ternary search finds it."""
    most = math.ceil(float(loads.max()) * (need.units / need.load if need.load else 1.0))
    low, high = policy.min_units, max(policy.min_units, min(most, policy.max_units or most))
    while high - low > 2:
        first, second = low + (high - low) // 3, high - (high - low) // 3
        if sum(_regrets(loads, first, need, policy)) <= sum(_regrets(loads, second, need, policy)):
            high = second
        else:
            low = first
    return min(range(low, high + 1), key=lambda units: sum(_regrets(loads, units, need, policy)))


def _hours_to_exhaustion(demand: Demand, capacity: float) -> float | None:
    """When the course of p90 first exceeds the capacity, on the line between steps; None when it does not."""
    course = np.concatenate([[demand.course[0] if len(demand.course) else 0.0], demand.course])
    above = np.nonzero(course > capacity)[0]
    if len(above) == 0:
        return None
    step = int(above[0])
    if step == 0:
        return 0.0
    before, after = course[step - 1], course[step]
    return float((step - 1 + (capacity - before) / (after - before)) * demand.step_hours)


def _explained(plan: CapacityPlan, need: _Need, scaling: Scaling, policy: CapacityPolicy) -> CapacityPlan:

    change = plan.units_needed - plan.units_now
    verb = f"add {change}" if change > 0 else f"remove {-change}" if change < 0 else "keep"
    words = [
        f"{verb}: {plan.bottleneck} needs {plan.units_needed} of {plan.units_now} units, p{policy.quantile * 100:g} "
        f"of demand plus {policy.margin:.0%} keeps {need.load:.3g} busy, {need.formula}"
    ]
    if not plan.servable:
        words.append(
            f"demand is beyond the peak at {scaling.peak:.3g} units: more units do not help, less contention would"
        )
    if plan.units_needed == policy.max_units and _with_headroom(need.load, policy)[0] > policy.max_units:
        words.append(f"held at max_units {policy.max_units}")
    if plan.hours_to_exhaustion is not None:
        soon = "already" if plan.hours_to_exhaustion == 0 else f"in {plan.hours_to_exhaustion:.3g} h"
        words.append(f"p90 of demand needs every unit {soon}")
    words.append(f"chance of too little at a moment {plan.breach_probability:.2%}")
    if not plan.scaling_trusted:
        doubt = scaling.reason if not scaling.trusted else "more than twice the largest load seen"
        words.append(f"scaling is doubtful ({doubt})")
    if plan.history_days < 7:
        words.append(f"only {plan.history_days:.2g} days of history: {plan.units_lower} to {plan.units_upper} units")
    return replace(plan, reason="; ".join(words))
