"""What a policy is, whichever form it was written in, and what it says of a resource.

Belongs here: plain types. Does not: reading policies (`rules.py`, `gatekeeper.py`), evaluating them (`judging.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.gitops.policy.matching import Match
from cogniforge_pipeline.gitops.policy.pool import Program

Standing = Literal["pass", "fail", "error", "timeout", "crash", "refused", "skip"]
BROKEN = ("error", "timeout", "crash", "refused")
"""The standings of a policy that could not say anything: never a pass."""


class PolicyInvalid(CogniforgeError):
    """A policy that cannot be read."""


class PolicyEnforcementMode(StrEnum):
    """What a violation does: ENFORCE denies, WARN lets pass with a warning, AUDIT is only written down."""

    ENFORCE = "ENFORCE"
    WARN = "WARN"
    AUDIT = "AUDIT"


class ResourceType(StrEnum):
    """Common kinds of Kubernetes; wherever one is expected, the name of any other kind will do."""

    POD = "Pod"
    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"
    REPLICA_SET = "ReplicaSet"
    JOB = "Job"
    CRON_JOB = "CronJob"
    SERVICE = "Service"
    INGRESS = "Ingress"
    CONFIG_MAP = "ConfigMap"
    SECRET = "Secret"
    NAMESPACE = "Namespace"
    SERVICE_ACCOUNT = "ServiceAccount"
    ROLE = "Role"
    CLUSTER_ROLE = "ClusterRole"
    ROLE_BINDING = "RoleBinding"
    CLUSTER_ROLE_BINDING = "ClusterRoleBinding"
    NETWORK_POLICY = "NetworkPolicy"
    PERSISTENT_VOLUME_CLAIM = "PersistentVolumeClaim"
    STORAGE_CLASS = "StorageClass"
    HORIZONTAL_POD_AUTOSCALER = "HorizontalPodAutoscaler"
    POD_DISRUPTION_BUDGET = "PodDisruptionBudget"


EVERYTHING = Match()


@dataclass(frozen=True)
class Policy:
    """One policy as it is enforced.

    `reviewed` policies read Gatekeeper's `input.review` and `input.parameters`, the others the resource itself as `input`.
    `inventory` policies read other resources too. `message` replaces the messages of a policy that has none of its own.
    """

    policy_id: str
    name: str
    program: Program
    match: Match = EVERYTHING
    enforcement: PolicyEnforcementMode = PolicyEnforcementMode.ENFORCE
    severity: str = "medium"
    description: str = ""
    form: Literal["rule", "module", "constraint"] = "module"
    reviewed: bool = False
    inventory: bool = False
    message: str | None = None


@dataclass(frozen=True)
class Finding:
    """One violation: its message, what else the policy tells, and the rule's name (`violation`, `deny`, `warn`)."""

    message: str
    details: Mapping[str, Any] = field(default_factory=dict)
    rule: str = "violation"


@dataclass(frozen=True)
class Verdict:
    """What one policy says of one resource; `reason` says why it could say nothing."""

    policy: Policy
    standing: Standing
    findings: tuple[Finding, ...] = ()
    reason: str = ""

    @property
    def broken(self) -> bool:
        return self.standing in BROKEN
