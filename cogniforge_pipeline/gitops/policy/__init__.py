"""Policies as code: Rego in processes with limits, Gatekeeper's forms, rules, and what they say of manifests.

Belongs here: the public names, each loaded when it is first asked for, so that the import stays light. Does not: code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cogniforge_pipeline.lazy import exports

if TYPE_CHECKING:
    from cogniforge_pipeline.gitops.policy.documents import DocumentRefused, manifests, read_manifests
    from cogniforge_pipeline.gitops.policy.evaluating import evaluate_files
    from cogniforge_pipeline.gitops.policy.judging import judge
    from cogniforge_pipeline.gitops.policy.model import (
        Finding,
        Policy,
        PolicyEnforcementMode,
        PolicyInvalid,
        ResourceType,
        Verdict,
    )
    from cogniforge_pipeline.gitops.policy.pool import Outcome, Pool, Program, shared_pool
    from cogniforge_pipeline.gitops.policy.reading import read_policies
    from cogniforge_pipeline.gitops.policy.rules import PolicyRule
    from cogniforge_pipeline.gitops.policy.starters import starter_policies, starter_policy
    from cogniforge_pipeline.gitops.policy.suites import CaseResult, find_suites, verify

__all__ = [
    "CaseResult",
    "DocumentRefused",
    "Finding",
    "Outcome",
    "Policy",
    "PolicyEnforcementMode",
    "PolicyInvalid",
    "PolicyRule",
    "Pool",
    "Program",
    "ResourceType",
    "Verdict",
    "evaluate_files",
    "find_suites",
    "judge",
    "manifests",
    "read_manifests",
    "read_policies",
    "shared_pool",
    "starter_policies",
    "starter_policy",
    "verify",
]

__getattr__, __dir__ = exports(
    __name__,
    {
        "documents": ("DocumentRefused", "manifests", "read_manifests"),
        "evaluating": ("evaluate_files",),
        "judging": ("judge",),
        "model": ("Finding", "Policy", "PolicyEnforcementMode", "PolicyInvalid", "ResourceType", "Verdict"),
        "pool": ("Outcome", "Pool", "Program", "shared_pool"),
        "reading": ("read_policies",),
        "rules": ("PolicyRule",),
        "starters": ("starter_policies", "starter_policy"),
        "suites": ("CaseResult", "find_suites", "verify"),
    },
)
