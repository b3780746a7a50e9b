"""Capacity: how many units a service needs, when it runs out, and what an error costs.

Belongs here: public names, each loaded when it is first asked for. Does not: tables, forecasts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cogniforge_pipeline.lazy import exports

if TYPE_CHECKING:
    from cogniforge_pipeline.aiops.capacity.demand import Demand, demand_from_forecast, demand_from_history
    from cogniforge_pipeline.aiops.capacity.plan import CapacityPlan, Resource, plan_capacity
    from cogniforge_pipeline.aiops.capacity.policy import CapacityPolicy
    from cogniforge_pipeline.aiops.capacity.queueing import (
        erlang_c,
        idle_share_of_cores,
        square_root_units,
        units_for_wait,
    )
    from cogniforge_pipeline.aiops.capacity.scaling import Scaling, fit_scaling

__all__ = [
    "CapacityPlan",
    "CapacityPolicy",
    "Demand",
    "Resource",
    "Scaling",
    "demand_from_forecast",
    "demand_from_history",
    "erlang_c",
    "fit_scaling",
    "idle_share_of_cores",
    "plan_capacity",
    "square_root_units",
    "units_for_wait",
]

__getattr__, __dir__ = exports(
    __name__,
    {
        "demand": ("Demand", "demand_from_forecast", "demand_from_history"),
        "plan": ("CapacityPlan", "Resource", "plan_capacity"),
        "policy": ("CapacityPolicy",),
        "queueing": ("erlang_c", "idle_share_of_cores", "square_root_units", "units_for_wait"),
        "scaling": ("Scaling", "fit_scaling"),
    },
)
