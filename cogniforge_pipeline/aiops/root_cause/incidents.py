"""The causes of an incident: which symptom is to be explained, along which edges, and what was changed before.

Belongs here: these choices, and the ranks that follow. Does not: the evidence of metrics (`evidence.py`, `ranking.py`),
tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from cogniforge_pipeline.aiops.root_cause.graph import Graph
from cogniforge_pipeline.aiops.root_cause.metrics import Metrics
from cogniforge_pipeline.aiops.root_cause.ranking import Cause, rank_causes
from cogniforge_pipeline.aiops.root_cause.rollups import Series, columns_of, target_of
from cogniforge_pipeline.errors import CogniforgeError

RECENT = timedelta(hours=24)
"""A change that is older when the incident begins is no candidate."""
_DETECTED_LATE = timedelta(minutes=15)
"""An episode's start may be known so much too early, so a change may come after it."""
_CHANGED = 0.5
"""What a change at the very start adds at most, as a share of what is missing to certainty."""
_SILENT = ("flat_line", "missing")
_FELT = ("latency", "error_rate", "availability")
_TRAFFIC = ("request_rate", "throughput")
_ALONE = 0.5
"""The score of a service that only its own anomaly speaks against."""


@dataclass(frozen=True)
class Symptom:
    """One anomaly of an incident; `direction` is None where it has none."""

    series: Series
    kind: str
    direction: Literal["up", "down"] | None
    started_at: datetime
    peak_score: float

    @property
    def gravity(self) -> int:
        """What is explained first: what users feel (failures, waiting), then traffic, then resources, then silence."""
        if self.kind in _SILENT:
            return 3
        refused = self.series.counts_requests and (self.series.status or "2").startswith("4")
        if (self.series.counts_failures or refused) and self.direction != "down":
            return 0
        better = "up" if self.series.metric_type == "availability" else "down"
        if self.series.metric_type in _FELT and self.direction != better:
            return 0
        return 1 if self.series.metric_type in _TRAFFIC else 2


@dataclass(frozen=True)
class Change:
    """Something that was changed on a service on purpose or not: a deployment or a drift, `name` says which."""

    service: str
    kind: Literal["deployment", "drift"]
    name: str
    at: datetime

    def __str__(self) -> str:
        return f"{self.kind} {self.name} at {self.at:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class RankedCause:
    """A service, the evidence of its metrics if it has any, and what was changed on it; `score` is of both together."""

    rank: int
    service: str
    score: float
    evidence: Cause | None
    changes: tuple[Change, ...]
    reason: str


@dataclass(frozen=True)
class Explained:
    """The ranked causes of an incident, for `target`: the symptom that was explained; `graph` says whose edges."""

    target: Symptom
    graph: Literal["declared", "learnt"]
    causes: tuple[RankedCause, ...]
    notes: tuple[str, ...]


def orient(graph: Graph, symptom: Symptom) -> Graph:
    """The graph along which trouble comes to a symptom: from what it calls, but traffic comes from the callers."""
    if symptom.gravity != 1:
        return graph
    return Graph.of(((callee, caller) for caller, callee in graph.edges), graph.nodes, graph.origin)


def targets(symptoms: Sequence[Symptom], graph: Graph | None) -> list[Symptom]:
    """The symptoms in the order in which they may be explained: the gravest kind first, and of one kind the one to which
    most of the other services' trouble may have come."""
    services = {symptom.series.service for symptom in symptoms}

    def reached(symptom: Symptom) -> int:
        paths = orient(graph, symptom).paths_from(symptom.series.service) if graph else {}
        return len(services.intersection(paths))

    return sorted(symptoms, key=lambda one: (one.gravity, -reached(one), -one.peak_score, one.series.series_id))


def explain(
    symptoms: Sequence[Symptom],
    series: Sequence[Series],
    graph: Graph | None,
    changes: Sequence[Change],
    metrics: Callable[[], tuple[Metrics, Metrics]],
    *,
    limit: int = 10,
) -> Explained:
    """The causes of an incident with these symptoms, best first, at most `limit`.

    `series` are those of the services that may be to blame, `metrics` gives their normal and abnormal values (asked
    only where a symptom may have come from elsewhere), `graph` is the declared topology or None. Changes within RECENT
    before the incident count for the services that the target depends on: each adds to the score what is missing to 1,
    times a half, less with age, times how far the service's metrics are trusted to be unusual. Where no symptom can be
    explained by metrics, the services that show one are named, the worst first. Raises ValueError without symptoms.
    """
    ordered = targets(symptoms, graph)
    began = min(symptom.started_at for symptom in symptoms)
    recent = [change for change in changes if began - RECENT <= change.at <= began + _DETECTED_LATE]
    columns = columns_of(series)
    notes: list[str] = []
    for symptom in ordered:
        column = target_of(symptom.series, columns)
        if symptom.gravity == 3 or column is None:
            continue
        declared = graph if graph and symptom.series.service in graph.nodes else None
        try:
            normal, abnormal = metrics()
            found = rank_causes(normal, abnormal, str(column), orient(declared, symptom) if declared else None)
        except CogniforgeError as error:
            notes.append(f"{column}: {error.message}")
            continue
        ranked = sorted(
            (_with_changes(cause, recent, began) for cause in found.causes),
            key=lambda cause: (-cause.score, cause.service),
        )
        kept = [replace(cause, rank=rank) for rank, cause in enumerate(ranked, 1) if cause.score > 0]
        if kept:
            return Explained(symptom, found.graph, tuple(kept[:limit]), (*notes, *found.notes))
        notes.append(f"{column}: no service explains it")
    told = sorted(ordered, key=lambda one: (one.gravity, -one.peak_score, one.started_at))
    return Explained(told[0], "declared", tuple(_by_symptoms(told, recent))[:limit], tuple(notes))


def _with_changes(cause: Cause, recent: Sequence[Change], began: datetime) -> RankedCause:
    """The cause with its service's changes counted in; what the target does not depend on gains a tenth."""
    own = _of_service(recent, cause.node)
    missing = 1.0 - cause.score
    strength = cause.unusual / (1 + cause.unusual) * (1.0 if cause.reaches_target else 0.1)
    for change in own:
        hours = max(timedelta(0), began - change.at) / timedelta(hours=1)
        missing *= 1 - _CHANGED / (1 + hours) * strength
    words = [f"{change.kind} {change.name} {_before(began - change.at)}" for change in own]
    return RankedCause(0, cause.node, 1 - missing, cause, own, "; ".join([cause.reason, *words]))


def _by_symptoms(symptoms: Sequence[Symptom], recent: Sequence[Change]) -> Iterator[RankedCause]:
    """Each service that shows something, once: nothing but its first symptom speaks against it."""
    worst: dict[str, Symptom] = {}
    for symptom in symptoms:
        worst.setdefault(symptom.series.service, symptom)
    for rank, (service, symptom) in enumerate(worst.items(), 1):
        own = _of_service(recent, service)
        what = (
            f"{symptom.series.metric}: {symptom.kind.replace('_', ' ')}, {symptom.peak_score:.1f} times the alert line"
        )
        why = "which does not travel along calls" if symptom.gravity == 3 else "no metrics tell more"
        yield RankedCause(rank, service, _ALONE / rank, None, own, f"{what}; {why}")


def _of_service(changes: Sequence[Change], service: str) -> tuple[Change, ...]:
    """Its changes, the newest first."""
    return tuple(sorted((one for one in changes if one.service == service), key=lambda one: one.at, reverse=True))


def _before(age: timedelta) -> str:
    minutes = age / timedelta(minutes=1)
    if minutes < 0:
        return f"{-minutes:.0f} min after the first anomaly"
    return f"{minutes:.0f} min before" if minutes < 120 else f"{minutes / 60:.0f} h before"
