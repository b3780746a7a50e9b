"""What rankings and healing decisions read of the lake: incidents, topology, deployments; and rows as SQL.

Belongs here: small queries and their plain values. Does not: what follows from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

from cogniforge_pipeline.aiops.anomalies import ANOMALIES, INCIDENTS
from cogniforge_pipeline.aiops.model import TOPOLOGY_KIND, Topology
from cogniforge_pipeline.aiops.root_cause.graph import Graph
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.registry import declared
from cogniforge_pipeline.sqltext import ident, literal

SERIES, ROLLUP = "aiops.series", "aiops.rollup_5m"
DEPLOYMENTS, DRIFT = "sre.deployments", "gitops.drift_episodes"

HELD = timedelta(days=30)
"""Incidents that ended longer ago are not looked at any more."""

_CHANGES = (
    "SELECT service, 'deployment' AS kind, coalesce(version, deployment_id) AS name, started_at AS changed_at "
    f"FROM {DEPLOYMENTS} WHERE status <> 'planned'",
    "SELECT unnest(list_distinct([app_id, string_split(key, '/')[-1]])), 'drift', trim(key || ' ' || path), started_at "
    f"FROM {DRIFT}",
)
"""Relations of what was changed on services: service, kind, name, changed_at. Drift is that of the service that the
application or the resource is named like."""


@dataclass(frozen=True)
class AnomalyRow:
    """A row of `aiops.anomalies` that belongs to an incident."""

    anomaly_id: str
    series_id: int
    service: str
    metric: str
    kind: str
    direction: Literal["up", "down"] | None
    severity: Literal["info", "warning", "critical"]
    started_at: datetime
    ended_at: datetime | None
    peak_score: float


@dataclass(frozen=True)
class IncidentRow:
    """A row of `aiops.incidents` with its anomalies, the oldest first."""

    incident_id: str
    started_at: datetime
    ended_at: datetime | None
    anomalies: tuple[AnomalyRow, ...]


@dataclass(frozen=True)
class ChangeRow:
    """Something that was changed on a service."""

    service: str
    kind: Literal["deployment", "drift"]
    name: str
    changed_at: datetime


def incidents(cursor: Connection, as_of: datetime) -> list[IncidentRow]:
    """The incidents that began by `as_of` and did not end more than HELD before, the oldest first.

    Anomalies that somebody marked as expected are not among them, nor are incidents that have no others.
    """
    held = (
        f"SELECT incident_id, started_at, ended_at FROM {INCIDENTS} WHERE started_at <= {literal(as_of)} "
        f"AND (ended_at IS NULL OR ended_at > {literal(as_of - HELD)})"
    )
    members: dict[str, list[AnomalyRow]] = {}
    for row in named_rows(
        cursor,
        "SELECT a.incident_id, a.anomaly_id, a.series_id, a.service, a.metric, a.kind, nullif(a.direction, 'none') AS "
        f"direction, a.severity, a.started_at, a.ended_at, a.peak_score FROM {ANOMALIES} AS a "
        f"JOIN ({held}) USING (incident_id) WHERE a.status IN ('open', 'closed') AND a.started_at <= {literal(as_of)} "
        "ORDER BY a.started_at, a.anomaly_id",
    ):
        members.setdefault(row.pop("incident_id"), []).append(AnomalyRow(**row))
    found = cursor.execute(f"{held} ORDER BY started_at, incident_id").fetchall()
    return [
        IncidentRow(name, utc(start), utc(end), tuple(members[name])) for name, start, end in found if name in members
    ]


def topology(cursor: Connection) -> Topology | None:
    """The declared topology, if there is one."""
    found = declared(cursor, TOPOLOGY_KIND)
    return found[0].model if found else None


def graph_of(declared_topology: Topology | None) -> Graph | None:
    """Who depends on whom as declared, if anybody does."""
    services = declared_topology.services if declared_topology else ()
    edges = [(service.name, other) for service in services for other in service.depends_on]
    return Graph.of(edges, [service.name for service in services]) if services else None


def changes(cursor: Connection, start: datetime, end: datetime) -> list[ChangeRow]:
    """What was changed from `start` to `end`, both included, in order of time."""
    rows = named_rows(
        cursor,
        f"SELECT * FROM ({' UNION ALL '.join(_CHANGES)}) WHERE changed_at BETWEEN {literal(start)} AND {literal(end)} "
        "ORDER BY changed_at, service, name",
    )
    return [ChangeRow(**row) for row in rows]


def named_rows(cursor: Connection, query: str) -> list[dict[str, Any]]:
    """The rows of a query by column name, times in UTC."""
    found = cursor.execute(query)
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, map(utc, row), strict=True)) for row in found.fetchall()]


def utc(value: Any) -> Any:
    """A time in UTC; anything else as it is."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def typed_rows(rows: Sequence[Mapping[str, Any]], types: Mapping[str, str]) -> str:
    """A SELECT of rows that Python made, with these columns and types."""
    values = ", ".join(
        f"({', '.join(f'CAST({literal(cast(Any, row[name]))} AS {kind})' for name, kind in types.items())})"
        for row in rows
    )
    return f"SELECT * FROM (VALUES {values}) AS made({', '.join(map(ident, types))})"
