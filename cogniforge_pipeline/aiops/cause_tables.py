"""The table `aiops.root_causes`: what a ranking reads, and the rows that it makes.

Belongs here: reading the window around an incident, and rows. Does not: ranking (`root_cause`), Dagster.

A ranking that the table has stays as long as nothing that it was made from changed, so a tick costs the incidents of
which something is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

import numpy as np

from cogniforge_pipeline.aiops.anomalies import ANOMALIES, INCIDENTS
from cogniforge_pipeline.aiops.cause_inputs import (
    DEPLOYMENTS,
    DRIFT,
    ROLLUP,
    SERIES,
    ChangeRow,
    IncidentRow,
    changes,
    graph_of,
    incidents,
    named_rows,
    topology,
    typed_rows,
)
from cogniforge_pipeline.aiops.root_cause.graph import Graph
from cogniforge_pipeline.aiops.root_cause.incidents import (
    DETECTED_LATE,
    RECENT,
    Change,
    Explained,
    RankedCause,
    Symptom,
    explain,
)
from cogniforge_pipeline.aiops.root_cause.metrics import Metrics
from cogniforge_pipeline.aiops.root_cause.rollups import BUCKET, DAY, DAYS, FEWEST_DAYS, Series, Window, assemble
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import MATERIALIZATIONS
from cogniforge_pipeline.recipes import Computed, Written
from cogniforge_pipeline.registry import REGISTRY
from cogniforge_pipeline.sqltext import literal

CAUSES = "aiops.root_causes"
INPUTS = (INCIDENTS, ANOMALIES, SERIES, ROLLUP, DEPLOYMENTS, DRIFT, REGISTRY)

VERSION = "1"
"""Another one when the same evidence ranks otherwise: all rankings are made again then."""
BEFORE = timedelta(minutes=30)
"""A cause may come so long before the first anomaly."""
LONGEST = timedelta(hours=6)
"""A cause shows in the first hours; what follows is the incident's own history."""
SHORTEST = timedelta(minutes=30)
MOST_SERIES = 2000
"""So many series at most are looked at for one incident, which bounds its time and memory."""

_TYPES = {
    "incident_id": "VARCHAR",
    "rank": "INTEGER",
    "service": "VARCHAR",
    "metric": "VARCHAR",
    "score": "DOUBLE",
    "explains": "INTEGER",
    "symptoms": "INTEGER",
    "unusual": "DOUBLE",
    "reaches_target": "BOOLEAN",
    "path": "VARCHAR[]",
    "share_explained": "DOUBLE",
    "own_share": "DOUBLE",
    "correlation": "DOUBLE",
    "lead_minutes": "DOUBLE",
    "changes": "VARCHAR[]",
    "changed_at": "TIMESTAMPTZ",
    "target_service": "VARCHAR",
    "target_metric": "VARCHAR",
    "graph": "VARCHAR",
    "window_start": "TIMESTAMPTZ",
    "window_end": "TIMESTAMPTZ",
    "notes": "VARCHAR[]",
    "reason": "VARCHAR",
    "evidence": "VARCHAR",
}


def computed() -> list[Computed]:
    """The one table."""
    return [Computed(CAUSES, INPUTS, _root_causes)]


def _root_causes(_: Connection) -> Written:
    return Written(CAUSES, INPUTS, VERSION, lambda cursor, _, as_of: root_causes_selects(cursor, as_of))


def root_causes_selects(cursor: Connection, as_of: datetime) -> list[str]:
    """The rows of `aiops.root_causes` at `as_of`: of the incidents that did not end more than 30 days before."""
    found = incidents(cursor, as_of)
    if not found:
        return []
    known = dict(cursor.execute(f"SELECT DISTINCT incident_id, evidence FROM {CAUSES}").fetchall())
    lake = _Lake(cursor, found[0].started_at, as_of)
    rows: list[dict[str, Any]] = []
    kept: list[str] = []
    for incident in found:
        if lake.by_id.keys().isdisjoint(one.series_id for one in incident.anomalies):
            continue
        evidence = lake.evidence(incident)
        if known.get(incident.incident_id) == evidence:
            kept.append(incident.incident_id)
        else:
            rows += _rows(incident, lake.explain(incident), lake.window(incident), evidence)
    selects = [typed_rows(rows, _TYPES)] if rows else []
    if kept:
        selects.append(f"SELECT * FROM {CAUSES} WHERE incident_id IN ({', '.join(map(literal, kept))})")
    return selects


class _Lake:
    """What all rankings of one run read once, and the window of each incident."""

    def __init__(self, cursor: Connection, start: datetime, as_of: datetime) -> None:
        self.cursor, self.as_of = cursor, as_of
        declared = topology(cursor)
        self.topology = declared.model_dump_json() if declared else ""
        self.graph = graph_of(declared)
        self.changes = changes(cursor, start - RECENT, as_of)
        self.series = [
            Series(**row)
            for row in named_rows(
                cursor, f"SELECT series_id, service, metric, metric_type, kind, labels FROM {SERIES} ORDER BY series_id"
            )
        ]
        self.by_id = {one.series_id: one for one in self.series}
        told = f"(SELECT unnest(days) AS day, version FROM {MATERIALIZATIONS} WHERE table_name = {literal(ROLLUP)})"
        rows = cursor.execute(f"SELECT day, max(version) FROM {told} GROUP BY day ORDER BY day").fetchall()
        self.versions: dict[date, int] = dict(rows)

    def window(self, incident: IncidentRow) -> Window:
        """The whole buckets around the incident's beginning that had ended by `as_of`."""
        newest = _floor(self.as_of)
        start = _floor(incident.started_at) - BEFORE
        latest = incident.started_at + max(SHORTEST, min(LONGEST, (incident.ended_at or newest) - incident.started_at))
        end = max(start + BUCKET, min(newest, _floor(latest) + BUCKET))
        known = [n for n in range(1, DAYS + 1) if (start - DAY * n).date() in self.versions]
        return Window(start, end, max(known) if len(known) >= FEWEST_DAYS else 0)

    def evidence(self, incident: IncidentRow) -> str:
        """The digest of all that a ranking of the incident is made from."""
        window = self.window(incident)
        span = (window.end - timedelta(microseconds=1)).date() - window.first.date()
        days = (window.first.date() + DAY * n for n in range(span.days + 1))
        versions = [self.versions.get(day) for day in days]
        parts = (VERSION, incident, window, versions, self.topology, self._recent(incident))
        return sha256(repr(parts).encode()).hexdigest()[:16]

    def explain(self, incident: IncidentRow) -> Explained:
        """The incident's causes."""
        symptoms = [
            Symptom(self.by_id[one.series_id], one.kind, one.direction, one.started_at, one.peak_score)
            for one in incident.anomalies
            if one.series_id in self.by_id
        ]
        series = self._involved({symptom.series.service for symptom in symptoms})
        recent = [Change(one.service, one.kind, one.name, one.changed_at) for one in self._recent(incident)]
        held: list[tuple[Metrics, Metrics]] = []

        def metrics() -> tuple[Metrics, Metrics]:
            if not held:
                held.append(self._metrics(series, self.window(incident)))
            return held[0]

        return explain(symptoms, series, self.graph, recent, metrics)

    def _recent(self, incident: IncidentRow) -> list[ChangeRow]:
        begins = incident.started_at
        return [one for one in self.changes if begins - RECENT <= one.changed_at <= begins + DETECTED_LATE]

    def _involved(self, services: set[str]) -> list[Series]:
        """The series of these services and of all that they depend on or that depend on them, the nearest first, up to
        MOST_SERIES; without a topology of all services.
        """
        graph = self.graph
        distance = dict.fromkeys(services, 0)
        if graph is None or not services & graph.nodes:
            distance |= dict.fromkeys((one.service for one in self.series if one.service not in services), 1)
        else:
            backwards = Graph.of((callee, caller) for caller, callee in graph.edges)
            for service in services:
                for other, path in (*graph.paths_from(service).items(), *backwards.paths_from(service).items()):
                    distance[other] = min(len(path), distance.get(other, len(path)))
        near = [one for one in self.series if one.service in distance]
        near.sort(key=lambda one: (distance[one.service], one.service, one.series_id))
        return near[:MOST_SERIES]

    def _metrics(self, series: Sequence[Series], window: Window) -> tuple[Metrics, Metrics]:
        """The rollups of these series in the window, without the spells in which each was anomalous before."""
        ids = ", ".join(str(one.series_id) for one in series) or "NULL"
        read = self.cursor.execute(
            "SELECT r.series_id, epoch(r.ts) AS seconds, CASE WHEN s.kind = 'gauge' THEN r.mean ELSE r.increase END AS value "
            f"FROM {ROLLUP} AS r JOIN {SERIES} AS s USING (series_id) WHERE r.ts >= {literal(window.first)} "
            f"AND r.ts < {literal(window.end)} AND r.series_id IN ({ids}) AND value IS NOT NULL"
        ).fetchnumpy()
        spells = self.cursor.execute(
            f"SELECT series_id, started_at, coalesce(ended_at, {literal(window.end)}) FROM {ANOMALIES} "
            f"WHERE series_id IN ({ids}) AND started_at < {literal(window.start)} "
            f"AND coalesce(ended_at, {literal(window.end)}) > {literal(window.first)}"
        ).fetchall()
        readings = (
            np.asarray(read["series_id"], dtype=np.int64),
            np.asarray(read["seconds"], dtype=np.float64),
            np.asarray(read["value"], dtype=np.float64),
        )
        return assemble(series, window, readings, spells)


def _floor(moment: datetime) -> datetime:
    return moment - timedelta(seconds=moment.timestamp() % BUCKET.total_seconds())


def _rows(incident: IncidentRow, found: Explained, window: Window, evidence: str) -> list[dict[str, Any]]:
    common = {
        "incident_id": incident.incident_id,
        "graph": found.graph,
        "window_start": window.start,
        "window_end": window.end,
        "notes": list(found.notes),
        "evidence": evidence,
    }
    return [{**common, **_cause(cause)} for cause in found.causes]


def _cause(cause: RankedCause) -> dict[str, Any]:
    shown, target = cause.evidence, cause.target.series
    lead = shown.lead_seconds if shown else None
    return {
        "rank": cause.rank,
        "service": cause.service,
        "score": min(1.0, cause.score),
        "explains": cause.explains,
        "symptoms": cause.of,
        "target_service": target.service,
        "target_metric": target.metric,
        "metric": shown.metric.removeprefix(f"{cause.service}:") if shown else None,
        "unusual": shown.unusual if shown else None,
        "reaches_target": shown.reaches_target if shown else cause.service == target.service,
        "path": list(shown.path) if shown else [],
        "share_explained": shown.share_explained if shown else None,
        "own_share": shown.own_share if shown else None,
        "correlation": shown.correlation if shown else None,
        "lead_minutes": None if lead is None else lead / 60,
        "changes": [str(change) for change in cause.changes],
        "changed_at": cause.changes[0].at if cause.changes else None,
        "reason": cause.reason,
    }
