"""GitOps: what git says, what runs, where they differ, what brings them together, and the policies that both must keep.

Belongs here: the public names, each loaded when it is first asked for, so that the import stays light. Does not: code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cogniforge_pipeline.lazy import exports

if TYPE_CHECKING:
    from cogniforge_pipeline.gitops.admission import Admission
    from cogniforge_pipeline.gitops.drift_files import FilesDrift, drift_of_paths
    from cogniforge_pipeline.gitops.health import Health, health_of
    from cogniforge_pipeline.gitops.kinds import shape_of
    from cogniforge_pipeline.gitops.policy.model import PolicyEnforcementMode, ResourceType
    from cogniforge_pipeline.gitops.policy.rules import PolicyRule
    from cogniforge_pipeline.gitops.service import GitOpsService, get_gitops_service
    from cogniforge_pipeline.gitops.service_types import Drift, GitOpsApp, Outcome
    from cogniforge_pipeline.gitops.shape import Shape
    from cogniforge_pipeline.gitops.strategic import three_way_patch, two_way_patch
    from cogniforge_pipeline.gitops.strategic_apply import apply_patch

__all__ = [
    "Admission",
    "Drift",
    "FilesDrift",
    "GitOpsApp",
    "GitOpsService",
    "Health",
    "Outcome",
    "PolicyEnforcementMode",
    "PolicyRule",
    "ResourceType",
    "Shape",
    "apply_patch",
    "drift_of_paths",
    "get_gitops_service",
    "health_of",
    "shape_of",
    "three_way_patch",
    "two_way_patch",
]

__getattr__, __dir__ = exports(
    __name__,
    {
        "admission": ("Admission",),
        "drift_files": ("FilesDrift", "drift_of_paths"),
        "health": ("Health", "health_of"),
        "kinds": ("shape_of",),
        "policy.model": ("PolicyEnforcementMode", "ResourceType"),
        "policy.rules": ("PolicyRule",),
        "service": ("GitOpsService", "get_gitops_service"),
        "service_types": ("Drift", "GitOpsApp", "Outcome"),
        "shape": ("Shape",),
        "strategic": ("three_way_patch", "two_way_patch"),
        "strategic_apply": ("apply_patch",),
    },
)
