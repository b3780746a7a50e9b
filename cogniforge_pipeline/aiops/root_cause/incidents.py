"""The causes of an incident: which symptom is to be explained, along which edges, and what was changed before.

Belongs here: these choices, and the ranks that follow. Does not: the evidence of metrics (`evidence.py`, `ranking.py`),
tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from cogniforge_pipeline.aiops.root_cause.evidence import score
from cogniforge_pipeline.aiops.root_cause.graph import Graph
from cogniforge_pipeline.aiops.root_cause.metrics import Column, Metrics
from cogniforge_pipeline.aiops.root_cause.ranking import Cause, RootCauses, rank_causes
from cogniforge_pipeline.aiops.root_cause.rollups import Series, columns_of, target_of
from cogniforge_pipeline.errors import CogniforgeError

RECENT = timedelta(hours=24)
"""A change that is older when the incident begins is no candidate."""
DETECTED_LATE = timedelta(minutes=15)
"""An episode's start may be known so much too early, so a change may come after it."""
_CHANGED = 0.5
"""What a change at the very start adds at most, as a share of what is missing to certainty."""
_SILENT = ("flat_line", "missing")
_FELT = ("latency", "error_rate", "availability")
_TRAFFIC = ("request_rate", "throughput")
MOST_TARGETS = 6
SILENCE = 3
_WEIGHTS = (1.0, 0.5, 0.5)
"""What users feel weighs twice as much as traffic and resources."""
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
            return SILENCE
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
    """A service that may have caused an incident; `score` is of all evidence together, 0 to 1.

    `evidence` is that of its metrics on the symptom `target`, the furthest of those that it explains well; None without
    any. `explains` of the incident's `of` symptoms that were looked at have it as their best explanation.
    """

    rank: int
    service: str
    score: float
    target: Symptom
    evidence: Cause | None
    explains: int
    of: int
    changes: tuple[Change, ...]
    reason: str


@dataclass(frozen=True)
class Explained:
    """The ranked causes of an incident; `graph` says whose edges were followed."""

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
    only where a symptom may have come from elsewhere), `graph` is the declared topology or None. Up to MOST_TARGETS
    symptoms are explained, the gravest and the largest; a service's score is the mean of what `rank_causes` gives it for
    each, weighted by the symptom's peak score and gravity. Changes within RECENT before the incident add to it what is
    missing to 1, times a half, less with age, times how far the service's metrics are trusted to be unusual. Where no
    symptom can be explained by metrics, the services that show one are named, the worst first. Raises ValueError without
    symptoms.
    """
    began = min(symptom.started_at for symptom in symptoms)
    recent = [change for change in changes if began - RECENT <= change.at <= began + DETECTED_LATE]
    ordered = targets(symptoms, graph)
    notes: list[str] = []
    found = list(_explained(ordered, series, graph, metrics, notes))
    if not found:
        told = sorted(ordered, key=lambda one: (one.gravity, -one.peak_score, one.started_at))
        return Explained("declared", tuple(_by_symptoms(told, recent))[:limit], tuple(notes))
    ranked = sorted(_together(found, recent, began), key=lambda cause: (-cause.score, cause.service))
    kept = [replace(cause, rank=rank) for rank, cause in enumerate(ranked, 1) if cause.score > 0]
    told_once = dict.fromkeys((*notes, *(note for _, one in found for note in one.notes)))
    return Explained(found[0][1].graph, tuple(kept[:limit]), tuple(told_once))


def _explained(
    ordered: Sequence[Symptom],
    series: Sequence[Series],
    graph: Graph | None,
    metrics: Callable[[], tuple[Metrics, Metrics]],
    notes: list[str],
) -> Iterator[tuple[Symptom, RootCauses]]:
    """The symptoms that metrics explain, each with its ranked causes; `notes` gets why others are not."""
    columns = columns_of(series)
    wanted: dict[Column, Symptom] = {}
    for symptom in ordered:
        column = target_of(symptom.series, columns)
        if symptom.gravity < SILENCE and column is not None:
            wanted.setdefault(column, symptom)
    gravest = list(wanted)[: MOST_TARGETS // 2]
    others = sorted(set(wanted) - set(gravest), key=lambda column: (-wanted[column].peak_score, column))
    scored = None
    for column in (*gravest, *others[: MOST_TARGETS - len(gravest)]):
        symptom = wanted[column]
        declared = graph if graph and symptom.series.service in graph.nodes else None
        try:
            normal, abnormal = metrics()
            scored = scored or score(normal, abnormal)
            along = orient(declared, symptom) if declared else None
            ranked = rank_causes(normal, abnormal, str(column), along, scored)
        except CogniforgeError as error:
            notes.append(f"{column}: {error.message}")
            continue
        if any(cause.score > 0 for cause in ranked.causes):
            yield symptom, ranked
        else:
            notes.append(f"{column}: no service explains it")


def _together(
    found: Sequence[tuple[Symptom, RootCauses]], recent: Sequence[Change], began: datetime
) -> Iterator[RankedCause]:
    """Each service with what it explains of all symptoms, not ranked yet."""
    weights = [symptom.peak_score * _WEIGHTS[symptom.gravity] for symptom, _ in found]
    firsts = [ranked.causes[0].node for _, ranked in found]
    own: dict[str, list[tuple[float, Symptom, Cause]]] = {}
    for weight, (symptom, ranked) in zip(weights, found, strict=True):
        for cause in ranked.causes:
            own.setdefault(cause.node, []).append((weight / sum(weights), symptom, cause))
    for service, parts in own.items():
        total = sum(share * cause.score for share, _, cause in parts)
        most = max(share * cause.score for share, _, cause in parts)
        well = [part for part in parts if part[0] * part[2].score >= most / 2]
        _, symptom, best = max(well, key=lambda part: (len(part[2].path), part[0] * part[2].score))
        changed = _of_service(recent, service)
        missing = 1.0 - total
        strength = best.unusual / (1 + best.unusual) * (1.0 if best.reaches_target else 0.1)
        for change in changed:
            hours = max(timedelta(0), began - change.at) / timedelta(hours=1)
            missing *= 1 - _CHANGED / (1 + hours) * strength
        explains = firsts.count(service)
        words = [f"explains {explains} of {len(found)} symptoms best"] if len(found) > 1 else []
        words += [best.reason, *(f"{change.kind} {change.name} {_before(began - change.at)}" for change in changed)]
        yield RankedCause(0, service, 1 - missing, symptom, best, explains, len(found), changed, "; ".join(words))


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
        why = "which does not travel along calls" if symptom.gravity == SILENCE else "no metrics tell more"
        yield RankedCause(rank, service, _ALONE / rank, symptom, None, 0, len(symptoms), own, f"{what}; {why}")


def _of_service(changes: Sequence[Change], service: str) -> tuple[Change, ...]:
    """Its changes, the newest first."""
    return tuple(sorted((one for one in changes if one.service == service), key=lambda one: one.at, reverse=True))


def _before(age: timedelta) -> str:
    minutes = age / timedelta(minutes=1)
    if minutes < 0:
        return f"{-minutes:.0f} min after the first anomaly"
    return f"{minutes:.0f} min before" if minutes < 120 else f"{minutes / 60:.0f} h before"
