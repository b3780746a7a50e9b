"""Data mesh: what every table promises, how well it keeps it, and what happened on the platform.

Belongs here: the public names, each loaded when it is first asked for, so that the import stays light. Does not: code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cogniforge_pipeline.lazy import exports

if TYPE_CHECKING:
    from cogniforge_pipeline.data_mesh.compatibility.compare import compare_schemas
    from cogniforge_pipeline.data_mesh.compatibility.model import Compatibility, Difference, SchemaError
    from cogniforge_pipeline.data_mesh.compatibility.odcs import compare_contracts
    from cogniforge_pipeline.data_mesh.compatibility.versions import required_bump, step_problem
    from cogniforge_pipeline.data_mesh.evolution import ContractRefused
    from cogniforge_pipeline.data_mesh.model import BoundedContext, GovernancePolicy
    from cogniforge_pipeline.data_mesh.service import DataMeshService, get_data_mesh_service
    from cogniforge_pipeline.data_mesh.service_types import (
        DataContract,
        DataDomainType,
        DataProduct,
        DataQualityMetrics,
        SchemaCompatibility,
        SchemaEvolution,
    )

__all__ = [
    "BoundedContext",
    "Compatibility",
    "ContractRefused",
    "DataContract",
    "DataDomainType",
    "DataMeshService",
    "DataProduct",
    "DataQualityMetrics",
    "Difference",
    "GovernancePolicy",
    "SchemaCompatibility",
    "SchemaError",
    "SchemaEvolution",
    "compare_contracts",
    "compare_schemas",
    "get_data_mesh_service",
    "required_bump",
    "step_problem",
]

__getattr__, __dir__ = exports(
    __name__,
    {
        "compatibility.compare": ("compare_schemas",),
        "compatibility.model": ("Compatibility", "Difference", "SchemaError"),
        "compatibility.odcs": ("compare_contracts",),
        "compatibility.versions": ("required_bump", "step_problem"),
        "evolution": ("ContractRefused",),
        "model": ("BoundedContext", "GovernancePolicy"),
        "service": ("DataMeshService", "get_data_mesh_service"),
        "service_types": (
            "DataContract",
            "DataDomainType",
            "DataProduct",
            "DataQualityMetrics",
            "SchemaCompatibility",
            "SchemaEvolution",
        ),
    },
)
