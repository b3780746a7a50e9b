"""The release gate: may a service deploy now, and every reason, in words with figures.

Belongs here: the decision from budgets, alerts, policy and overrides. Does not: reading or writing tables
(`release_gates.py`), the policies' form (`budget_policy.py`).

A freeze stops ordinary changes. P0 and security changes pass it where the policy allows them. An override, recorded
with who and why, lifts a freeze until it ends, if the policy allows changes of its category. What is not known stops
nothing: a gate that closes without data would be switched off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from cogniforge_pipeline.sre.budget_policy import CATEGORIES, PolicyInForce, Step

NORMAL = "normal"
"""Any change that is neither P0 nor about security."""

_OVERRIDDEN = "overridden"


@dataclass(frozen=True)
class Incident:
    """A stretch of time, in UTC, and the share of the window's budget that it spent."""

    started_at: datetime
    ended_at: datetime
    share: float


@dataclass(frozen=True)
class Budget:
    """The budget of one SLO: shares of it consumed and remaining, None where that is not known.

    `unknown` says why it is not, in words that follow "its budget is not known: ".
    """

    slo_id: str
    consumed: float | None
    incidents: tuple[Incident, ...] = ()
    unknown: str = "no events in its window"

    @property
    def spent(self) -> float | None:
        """The consumed share; None for NaN too."""
        return None if self.consumed is None or math.isnan(self.consumed) else self.consumed


@dataclass(frozen=True)
class FiringAlert:
    """An alert of an SLO that fires since `fired_at`."""

    slo_id: str
    alert: str
    severity: str
    fired_at: datetime


@dataclass(frozen=True)
class Override:
    """A row of `sre.gate_overrides`: in force from `created_at` to before `until`."""

    service: str
    category: str
    who: str
    why: str
    created_at: datetime
    until: datetime

    def in_force(self, moment: datetime) -> bool:
        """Whether it counts at a moment."""
        return self.created_at <= moment < self.until


@dataclass(frozen=True)
class Gate:
    """The decision for one service.

    `frozen`: the policy stops ordinary changes; `allowed_changes` are those that may go all the same, or all kinds.
    `override` is the one that lifts the freeze. `page_alerts` counts firing alerts that page.
    """

    service: str
    as_of: datetime
    policy: str
    frozen: bool
    reasons: tuple[str, ...]
    actions: tuple[str, ...] = ()
    allowed_changes: tuple[str, ...] = (NORMAL, *CATEGORIES)
    budget_remaining: float | None = None
    worst_slo_id: str | None = None
    page_alerts: int = 0
    override: Override | None = field(default=None)

    @property
    def allowed(self) -> bool:
        """Whether any change may go."""
        return not self.frozen or self.override is not None

    def to_row(self) -> dict[str, Any]:
        """A row of `sre.release_gates`."""
        return {
            "as_of": self.as_of,
            "service": self.service,
            "allowed": self.allowed,
            "reasons": list(self.reasons),
            "actions": list(self.actions),
            "policy": self.policy,
            "budget_remaining": self.budget_remaining,
            "worst_slo_id": self.worst_slo_id,
            "page_alerts": self.page_alerts,
            "allowed_changes": list(self.allowed_changes),
            "override_by": self.override.who if self.override else None,
            "override_reason": self.override.why if self.override else None,
            "override_until": self.override.until if self.override else None,
        }


def decide(
    service: str,
    budgets: Sequence[Budget],
    alerts: Sequence[FiringAlert],
    policy: PolicyInForce,
    overrides: Sequence[Override],
    as_of: datetime,
) -> Gate:
    """The gate of a service at `as_of`, from the budgets and firing alerts of its SLOs and its overrides, of any time.

    Of steps that are reached on the same ground, a warning is left out beside a freeze.
    """
    freezes: list[Step] = []
    reasons: list[str] = []
    actions: list[str] = []
    for budget in budgets:
        if budget.spent is None:
            reasons.append(f"{budget.slo_id}: its budget is not known: {budget.unknown}; that stops nothing")
        _add(_reached(policy, budget), freezes, reasons, actions)
    for alert in alerts:
        _add([(step, *_alarmed(policy, step, alert)) for step in _on(policy, alert)], freezes, reasons, actions)
    known = [(budget.spent, budget.slo_id) for budget in budgets if budget.spent is not None]
    worst = max(known, default=None)
    if worst is not None and not freezes:
        reasons.append(f"{worst[1]}: {1 - worst[0]:.1%} of its error budget is left, the least of the service's SLOs")
    if not budgets:
        reasons.append("no SLO of the service has a budget; that stops nothing")
    through: tuple[str, ...] = (NORMAL, *CATEGORIES)
    if freezes:
        through = tuple(c for c in CATEGORIES if all(c in step.allowed for step in freezes))
        but = f" but {' and '.join(through)} ones" if through else ""
        actions.insert(0, f"stop all changes{but} until what froze them is over")
    gate = Gate(
        service,
        as_of,
        policy.name,
        bool(freezes),
        tuple(dict.fromkeys(reasons)),
        tuple(dict.fromkeys(actions)),
        through,
        None if worst is None else 1 - worst[0],
        None if worst is None else worst[1],
        sum(alert.severity == "page" for alert in alerts),
    )
    return with_overrides(gate, overrides, as_of)


def with_overrides(gate: Gate, overrides: Sequence[Override], moment: datetime) -> Gate:
    """The gate with those overrides of its service that are in force at `moment`, and no others.

    Of several that count the one that lasts longest stands in the gate; all are told in the reasons.
    """
    reasons = [reason for reason in gate.reasons if not reason.startswith(_OVERRIDDEN)]
    lifting: Override | None = None
    for override in sorted(overrides, key=lambda o: (o.until, o.created_at), reverse=True):
        if override.service != gate.service or not gate.frozen or not override.in_force(moment):
            continue
        told = f"{_OVERRIDDEN} as {override.category} by {override.who} until {_time(override.until)}: {override.why}"
        if override.category in gate.allowed_changes:
            lifting = lifting or override
            reasons.append(told)
        else:
            reasons.append(f"{told} (does not count: {gate.policy} lets no {override.category} change through)")
    return replace(gate, override=lifting, reasons=tuple(reasons))


def may_deploy(gate: Gate, change_type: str = NORMAL) -> bool:
    """Whether a change of this type may go: normal, p0 or security. Raises ValueError for another type."""
    if change_type not in (NORMAL, *CATEGORIES):
        raise ValueError(f"expected one of {', '.join((NORMAL, *CATEGORIES))}, got {change_type!r}")
    return gate.allowed or change_type in gate.allowed_changes


def _reached(policy: PolicyInForce, budget: Budget) -> list[tuple[Step, str, str]]:
    """The steps that a budget reaches, each with a reason and what to do (or nothing)."""
    found: list[tuple[Step, str, str]] = []
    for step in policy.steps:
        consumed, share = step.when.consumed, step.when.incident_share
        if consumed is not None and budget.spent is not None and budget.spent >= consumed:
            reason = (
                f"{budget.slo_id}: {budget.spent:.1%} of its error budget is consumed; "
                f"{policy.name} {_verb(step)} from {_percent(consumed)} of it on"
            )
            found.append((step, reason, f"spare the error budget of {budget.slo_id}" if step.action == "warn" else ""))
        if share is not None:
            found += [
                (step, _incident(policy, step, budget, incident, share), _postmortem(step, budget, incident))
                for incident in budget.incidents
                if incident.share > share
            ]
    return found


def _incident(policy: PolicyInForce, step: Step, budget: Budget, incident: Incident, limit: float) -> str:
    return (
        f"{budget.slo_id}: one incident, {_time(incident.started_at)} to {_time(incident.ended_at)}, spent "
        f"{incident.share:.1%} of the error budget; {policy.name} {_verb(step)} above {_percent(limit)} of it"
    )


def _postmortem(step: Step, budget: Budget, incident: Incident) -> str:
    if step.action != "postmortem":
        return ""
    return (
        f"write a postmortem of the incident of {_time(incident.started_at)} ({budget.slo_id}) "
        "with at least one P0 action item"
    )


def _on(policy: PolicyInForce, alert: FiringAlert) -> list[Step]:
    return [step for step in policy.steps if step.when.alert == alert.severity]


def _alarmed(policy: PolicyInForce, step: Step, alert: FiringAlert) -> tuple[str, str]:
    since = f"{alert.slo_id}: the {alert.severity} alert {alert.alert} fires since {_time(alert.fired_at)}"
    return f"{since}; {policy.name} {_verb(step)} while it does", ""


def _add(found: Sequence[tuple[Step, str, str]], freezes: list[Step], reasons: list[str], actions: list[str]) -> None:
    grounds = {_ground(step) for step, _, _ in found if step.action == "freeze"}
    for step, reason, action in found:
        if step.action == "warn" and _ground(step) in grounds:
            continue
        if step.action == "freeze":
            freezes.append(step)
        reasons.append(reason)
        if action:
            actions.append(action)


def _ground(step: Step) -> str:
    return next(iter(step.when.model_dump(exclude_none=True)))


def _verb(step: Step) -> str:
    return {"freeze": "freezes changes", "warn": "warns", "postmortem": "asks for a postmortem"}[step.action]


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
