"""Edge and multi-cloud: where workloads run, and where they go when a region dies.

Belongs here: the public names, each loaded when it is first asked for, so that the import stays light. Does not: code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cogniforge_pipeline.lazy import exports

if TYPE_CHECKING:
    from cogniforge_pipeline.edge.catalog import Catalog, EdgeError, Region
    from cogniforge_pipeline.edge.failover import FailoverPolicy
    from cogniforge_pipeline.edge.model import PlacementStrategy, Weights, Workload
    from cogniforge_pipeline.edge.place_files import place_files
    from cogniforge_pipeline.edge.placement.plan import Placement, Plan, make_plan
    from cogniforge_pipeline.edge.scoring import World
    from cogniforge_pipeline.edge.service import (
        EdgeMulticloudService,
        Failover,
        PlacedWorkload,
        get_edge_multicloud_service,
    )

__all__ = [
    "Catalog",
    "EdgeError",
    "EdgeMulticloudService",
    "Failover",
    "FailoverPolicy",
    "PlacedWorkload",
    "Placement",
    "PlacementStrategy",
    "Plan",
    "Region",
    "Weights",
    "Workload",
    "World",
    "get_edge_multicloud_service",
    "make_plan",
    "place_files",
]

__getattr__, __dir__ = exports(
    __name__,
    {
        "catalog": ("Catalog", "EdgeError", "Region"),
        "failover": ("FailoverPolicy",),
        "model": ("PlacementStrategy", "Weights", "Workload"),
        "place_files": ("place_files",),
        "placement.plan": ("Placement", "Plan", "make_plan"),
        "scoring": ("World",),
        "service": ("EdgeMulticloudService", "Failover", "PlacedWorkload", "get_edge_multicloud_service"),
    },
)
