"""From incidents and playbooks to decisions, with every reason for and against.

Belongs here: matching and guard rails. Does not: what came of an action (`verify.py`), and taking it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Literal

from cogniforge_pipeline.aiops.healing.model import SEVERITIES, CausePattern, Playbook, Severity, SymptomPattern
from cogniforge_pipeline.aiops.healing.verify import ActionTaken, Outcome, track_record
from cogniforge_pipeline.errors import CogniforgeError

_FEWEST_OUTCOMES = 5
State = Literal["act", "await_approval", "blocked", "superseded", "not_applicable"]


@dataclass(frozen=True)
class Symptom:
    """One anomaly of an incident that is still going on; flat lines and missing data have no direction."""

    service: str
    metric: str
    kind: str
    direction: Literal["up", "down"] | None
    severity: Severity
    started_at: datetime


@dataclass(frozen=True)
class Suspect:
    """One ranked cause of an incident; `changed` says whether it was deployed or drifted recently."""

    service: str
    metric: str
    rank: int
    score: float
    changed: bool = False


@dataclass(frozen=True)
class Incident:
    """What is wrong now: symptoms, and what may have caused them."""

    id: str
    symptoms: tuple[Symptom, ...]
    suspects: tuple[Suspect, ...] = ()


@dataclass(frozen=True)
class Decision:
    """What one playbook says to one incident.

    act: take the action. await_approval: it may be taken once a person agrees. blocked: it fits, but a guard rail
    holds it back. superseded: another playbook acts for this incident, or would once approved. not_applicable: it does
    not fit. `target` is the service to act on and `metric` the symptom that is to clear, None when it does not fit.
    `reasons` are what spoke for it, `against` what spoke against it.
    """

    incident_id: str
    playbook: str
    state: State
    action: str
    target: str | None
    service: str | None
    metric: str | None
    decided_at: datetime
    verify_by: datetime | None
    reasons: tuple[str, ...]
    against: tuple[str, ...]


def decide(
    incidents: Sequence[Incident],
    playbooks: Sequence[Playbook],
    *,
    as_of: datetime,
    taken: Sequence[ActionTaken] = (),
    outcomes: Sequence[Outcome] = (),
    dependents: Mapping[str, Collection[str]] | None = None,
    tiers: Mapping[str, int] | None = None,
    approved: Collection[tuple[str, str]] = (),
) -> tuple[Decision, ...]:
    """A decision for each incident and playbook; at most one of each incident acts.

    Incidents are taken in their order, playbooks by priority, then name; an action decided here counts for the guard
    rails of those that follow. `taken` are earlier actions and `outcomes` what came of them; those after `as_of` are
    left out, so any past moment can be asked again. `dependents` are the services that depend on each one directly or
    not, `tiers` their tiers. `approved` are pairs (incident id, playbook). Raises CogniforgeError for a naive `as_of`
    and for two playbooks of one name.
    """
    if as_of.tzinfo is None:
        raise CogniforgeError(f"as_of {as_of.isoformat()} has no time zone", "give it in UTC")
    names = [playbook.name for playbook in playbooks]
    if len(set(names)) < len(names):
        raise CogniforgeError(f"two playbooks are named {max(names, key=names.count)!r}", "rename one of them")
    known = [outcome for outcome in outcomes if outcome.judged_at <= as_of]
    judged = {(outcome.incident_id, outcome.playbook, outcome.at) for outcome in known if outcome.state != "pending"}
    rails = _Rails(
        as_of=as_of,
        taken=[action for action in taken if action.at <= as_of],
        judged=judged,
        precision={record.playbook: (record.precision, record.judged) for record in track_record(known)},
        dependents=dependents or {},
        tiers=tiers or {},
        approved=frozenset(approved),
    )
    ordered = sorted(playbooks, key=lambda playbook: (playbook.priority, playbook.name))
    return tuple(decision for incident in incidents for decision in _for_incident(incident, ordered, rails))


def _for_incident(incident: Incident, playbooks: Sequence[Playbook], rails: _Rails) -> Iterator[Decision]:
    """The playbooks' decisions in order; one that waits for approval does not stop a later one that may act."""
    found = [_weigh(incident, playbook, rails) for playbook in playbooks]
    first = next((one.playbook for one in found if one.state == "act"), None)
    first = first or next((one.playbook for one in found if one.state == "await_approval"), None)
    for playbook, decision in zip(playbooks, found, strict=True):
        if decision.state in ("act", "await_approval") and decision.playbook != first:
            yield replace(decision, state="superseded", against=(*decision.against, f"{first} goes first"))
            continue
        if decision.state == "act" and decision.target and decision.service and decision.metric:
            rails.taken.append(
                ActionTaken(
                    incident.id,
                    decision.playbook,
                    decision.target,
                    decision.service,
                    decision.metric,
                    rails.as_of,
                    playbook.clears_within_minutes,
                )
            )
        yield decision


def _weigh(incident: Incident, playbook: Playbook, rails: _Rails) -> Decision:
    if not playbook.enabled:
        return _decision(incident, playbook, rails, "not_applicable", against=("the playbook is disabled",))
    symptom, why_not = _first_symptom(incident, playbook.symptom, rails.as_of)
    if symptom is None:
        return _decision(incident, playbook, rails, "not_applicable", against=why_not)
    reasons = [
        f"{symptom.service} {symptom.metric}: {' '.join(filter(None, (symptom.kind, symptom.direction)))}, {symptom.severity}, "
        f"since {(rails.as_of - symptom.started_at) / timedelta(minutes=1):.0f} min"
    ]
    target = symptom.service
    if playbook.cause:
        suspect, why_not = _first_suspect(incident, symptom, playbook.cause)
        if suspect is None:
            return _decision(incident, playbook, rails, "not_applicable", reasons=reasons, against=why_not)
        changed = ", changed recently" if suspect.changed else ""
        reasons.append(f"cause {suspect.service} {suspect.metric}: rank {suspect.rank}, {suspect.score:.2f}{changed}")
        target = suspect.service if playbook.action.on == "cause" else target
    blocks, waits = list(rails.blocks(playbook, target)), list(rails.waits(incident, playbook, target))
    state: State = "blocked" if blocks else "await_approval" if waits else "act"
    return _decision(incident, playbook, rails, state, symptom, target, reasons, (*blocks, *waits))


def _decision(
    incident: Incident,
    playbook: Playbook,
    rails: _Rails,
    state: State,
    symptom: Symptom | None = None,
    target: str | None = None,
    reasons: Sequence[str] = (),
    against: Sequence[str] = (),
) -> Decision:
    window = timedelta(minutes=playbook.clears_within_minutes)
    return Decision(
        incident_id=incident.id,
        playbook=playbook.name,
        state=state,
        action=playbook.action.kind,
        target=target,
        service=symptom.service if symptom else None,
        metric=symptom.metric if symptom else None,
        decided_at=rails.as_of,
        verify_by=rails.as_of + window if symptom else None,
        reasons=tuple(reasons),
        against=tuple(against),
    )


def _first_symptom(
    incident: Incident, pattern: SymptomPattern, as_of: datetime
) -> tuple[Symptom | None, tuple[str, ...]]:
    """The gravest symptom that fits, the oldest of those; else why none does."""
    against: list[str] = []
    order = sorted(incident.symptoms, key=lambda one: (-SEVERITIES.index(one.severity), one.started_at))
    for one in order:
        if not _fits(one.service, pattern.services) or not _fits(one.metric, pattern.metrics):
            against.append(f"{one.service} {one.metric} is not among {_names(pattern.services, pattern.metrics)}")
        elif pattern.kinds and one.kind not in pattern.kinds:
            against.append(f"{one.service} {one.metric} is a {one.kind}, not {' or '.join(pattern.kinds)}")
        elif pattern.direction and one.direction != pattern.direction:
            against.append(f"{one.service} {one.metric} went {one.direction or 'neither way'}, not {pattern.direction}")
        elif SEVERITIES.index(one.severity) < SEVERITIES.index(pattern.min_severity):
            against.append(f"{one.service} {one.metric} is only {one.severity}, below {pattern.min_severity}")
        elif as_of - one.started_at < timedelta(minutes=pattern.for_minutes):
            against.append(f"{one.service} {one.metric} lasts less than {pattern.for_minutes:g} min")
        else:
            return one, ()
    return None, tuple(against) or ("the incident has no symptom",)


def _first_suspect(
    incident: Incident, symptom: Symptom, pattern: CausePattern
) -> tuple[Suspect | None, tuple[str, ...]]:
    """The best ranked suspect that fits; else why none does."""
    against: list[str] = []
    for one in sorted(incident.suspects, key=lambda one: one.rank):
        here = one.service == symptom.service
        if one.rank > pattern.within_rank:
            break
        if not _fits(one.service, pattern.services) or not _fits(one.metric, pattern.metrics):
            against.append(f"cause {one.service} {one.metric} is not among {_names(pattern.services, pattern.metrics)}")
        elif pattern.where and here != (pattern.where == "self"):
            against.append(f"cause {one.service} is {'the service itself' if here else 'another service'}")
        elif one.score < pattern.min_score:
            against.append(f"cause {one.service} scores {one.score:.2f}, below {pattern.min_score:g}")
        elif pattern.changed is not None and one.changed != pattern.changed:
            against.append(f"cause {one.service} {'changed' if one.changed else 'did not change'} recently")
        else:
            return one, ()
    return None, tuple(against) or (f"no cause of rank {pattern.within_rank} or better is known",)


def _fits(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _names(services: Sequence[str], metrics: Sequence[str]) -> str:
    return f"services {', '.join(services)} and metrics {', '.join(metrics)}"


@dataclass
class _Rails:
    """The guard rails, and what they look at."""

    as_of: datetime
    taken: list[ActionTaken]
    judged: set[tuple[str, str, datetime]]
    precision: Mapping[str, tuple[float | None, int]]
    dependents: Mapping[str, Collection[str]]
    tiers: Mapping[str, int]
    approved: frozenset[tuple[str, str]]

    def blocks(self, playbook: Playbook, target: str) -> Iterator[str]:
        """Why the action must not be taken now, whoever agrees."""
        guard = playbook.guard
        own = [action for action in self.taken if action.playbook == playbook.name]
        here = max((action.at for action in own if action.target == target), default=None)
        if here is not None and self.as_of - here < timedelta(minutes=guard.cool_down_minutes):
            yield f"cool-down: {target} was acted on {self._minutes(here)} min ago, {guard.cool_down_minutes:g} are asked"
        recent = sum(self.as_of - action.at < timedelta(hours=1) for action in own)
        if recent >= guard.max_per_hour:
            yield f"maximum: {recent} actions within the hour, {guard.max_per_hour} are allowed"
        for action in self.taken:
            awaited = (action.incident_id, action.playbook, action.at) not in self.judged
            if (
                action.target == target
                and action.playbook != playbook.name
                and awaited
                and self.as_of < action.verify_by
            ):
                yield f"{action.playbook} acted on {target} {self._minutes(action.at)} min ago, its outcome is awaited"
        reach = len({target, *self.dependents.get(target, ())})
        if guard.blast_radius is not None and reach > guard.blast_radius:
            yield f"blast radius: {target} and what depends on it are {reach} services, {guard.blast_radius} are allowed"

    def waits(self, incident: Incident, playbook: Playbook, target: str) -> Iterator[str]:
        """Why a person must agree, unless one did."""
        if (incident.id, playbook.name) in self.approved:
            return
        if playbook.guard.approval:
            yield "approval: the playbook asks for it"
        tier = self.tiers.get(target)
        if tier is not None and tier in playbook.guard.approval_tiers:
            yield f"approval: {target} is of tier {tier}"
        precision, count = self.precision.get(playbook.name, (None, 0))
        if precision is not None and count >= _FEWEST_OUTCOMES and precision < playbook.guard.min_precision:
            yield f"approval: the playbook helped in {precision:.0%} of {count} cases, below its min_precision"

    def _minutes(self, moment: datetime) -> str:
        return f"{(self.as_of - moment) / timedelta(minutes=1):.0f}"
