"""Admission: may a resource be applied? Asked before anything is.

Belongs here: what verdicts come to. Does not: verdicts (`policy`), or writing decisions down (`policy_service.py`).

A policy that could not be evaluated denies where it is enforced: an error, a timeout and a crash are never a pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cogniforge_pipeline.gitops.policy.judging import Evaluates, judge
from cogniforge_pipeline.gitops.policy.matching import metadata_of
from cogniforge_pipeline.gitops.policy.model import Policy, PolicyEnforcementMode, Verdict


class Decision(StrEnum):
    """`deny`: it must not be applied; `warn`: it may, and somebody should look at it; `allow`."""

    ALLOW = "allow"
    WARN = "warn"
    DENY = "deny"


@dataclass(frozen=True)
class Admission:
    """The answer for one resource, and the verdicts that led to it (of the policies that are about it).

    `denied`, `warned` and `audited` are the messages, each with its policy's id.
    """

    resource: Mapping[str, Any]
    decision: Decision
    verdicts: tuple[Verdict, ...]
    denied: tuple[str, ...]
    warned: tuple[str, ...]
    audited: tuple[str, ...]

    @property
    def name(self) -> str:
        """Namespace/Kind/name."""
        metadata = metadata_of(self.resource)
        parts = (metadata.get("namespace"), self.resource.get("kind"), metadata.get("name"))
        return "/".join(str(part) for part in parts if part)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "resource": self.name,
            "decision": self.decision.value,
            "denied": list(self.denied),
            "warned": list(self.warned),
            "audited": list(self.audited),
            "policies": [
                {"policy": each.policy.policy_id, "standing": each.standing, "reason": each.reason}
                for each in self.verdicts
            ],
        }


def admit(
    resource: Mapping[str, Any],
    policies: Sequence[Policy],
    *,
    inventory: Iterable[Mapping[str, Any]] = (),
    operation: str = "CREATE",
    pool: Evaluates | None = None,
    now_ns: int | None = None,
) -> Admission:
    """Whether a resource may be applied. `inventory` are the other resources that are known; see `judging.judge`."""
    (admission,) = admit_all([resource], policies, inventory=inventory, operation=operation, pool=pool, now_ns=now_ns)
    return admission


def admit_all(
    resources: Sequence[Mapping[str, Any]],
    policies: Sequence[Policy],
    *,
    inventory: Iterable[Mapping[str, Any]] = (),
    operation: str = "CREATE",
    pool: Evaluates | None = None,
    now_ns: int | None = None,
) -> list[Admission]:
    """The same for many, evaluated in one pass; they do not know of one another unless they are in the inventory."""
    judged = judge(policies, resources, inventory, pool=pool, operation=operation, now_ns=now_ns)
    return [decide(resource, verdicts) for resource, verdicts in zip(resources, judged, strict=True)]


def decide(resource: Mapping[str, Any], verdicts: Iterable[Verdict]) -> Admission:
    """What verdicts come to. A finding of a rule named `warn` is a warning whatever its policy's mode is, short of AUDIT."""
    about = tuple(verdict for verdict in verdicts if verdict.standing != "skip")
    messages: dict[PolicyEnforcementMode, list[str]] = {mode: [] for mode in PolicyEnforcementMode}
    for verdict in about:
        mode = verdict.policy.enforcement
        if verdict.broken:
            messages[mode].append(f"{verdict.policy.policy_id}: {verdict.standing}: {verdict.reason}")
        for finding in verdict.findings:
            softer = finding.rule == "warn" and mode is PolicyEnforcementMode.ENFORCE
            effect = PolicyEnforcementMode.WARN if softer else mode
            messages[effect].append(f"{verdict.policy.policy_id}: {finding.message}")
    denied, warned = messages[PolicyEnforcementMode.ENFORCE], messages[PolicyEnforcementMode.WARN]
    decision = Decision.DENY if denied else Decision.WARN if warned else Decision.ALLOW
    return Admission(
        resource, decision, about, tuple(denied), tuple(warned), tuple(messages[PolicyEnforcementMode.AUDIT])
    )
