"""Anomalies, incidents, their causes and decisions as the Python API gives them.

Belongs here: reading these tables, and telling that a person agrees. Does not: computing them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import uuid4

from cogniforge_pipeline import written
from cogniforge_pipeline.aiops.anomalies import ANOMALIES, INCIDENTS
from cogniforge_pipeline.aiops.cause_inputs import named_rows
from cogniforge_pipeline.aiops.cause_tables import CAUSES
from cogniforge_pipeline.aiops.decision_tables import APPROVALS, DECISIONS
from cogniforge_pipeline.aiops.service_types import Anomaly, HealingDecision, Incident, RootCause
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.sqltext import literal

RUN_ID = "api"
HEALTH = "aiops.service_health"
ACTIVE = (
    "status IN ('open', 'closed') AND (severity <> 'info' OR incident_id IS NOT NULL) AND (ended_at IS NULL "
    f"OR ended_at > (SELECT max(as_of) FROM {HEALTH}) - INTERVAL 45 MINUTE)"
)
"""What `aiops.service_health` counts as active: with some weight, and open or over for less than 45 minutes."""


def active_anomalies(cursor: Connection, service: str | None) -> tuple[Anomaly, ...]:
    """Those that are active at the newest run, the worst first; of one service or all."""
    own = f" AND service = {literal(service)}" if service else ""
    query = f"SELECT * FROM {ANOMALIES} WHERE {ACTIVE}{own} ORDER BY peak_score DESC, anomaly_id"
    return tuple(map(Anomaly.from_row, named_rows(cursor, query)))


def causes_of_anomaly(cursor: Connection, anomaly_id: str) -> tuple[RootCause, ...]:
    """The ranked causes of the anomaly's incident. Raises CogniforgeError for an unknown anomaly."""
    found = cursor.execute(f"SELECT incident_id FROM {ANOMALIES} WHERE anomaly_id = {literal(anomaly_id)}").fetchall()
    if not found:
        raise CogniforgeError(f"there is no anomaly {anomaly_id!r}", "get_active_anomalies() gives those that go on")
    return tuple(_causes(cursor, [row[0] for row in found if row[0]]))


def get_incidents(cursor: Connection, *, since: datetime | None, open_only: bool) -> tuple[Incident, ...]:
    """The incidents that began or were going on since a moment (None: all), the newest first."""
    conditions = ["TRUE"]
    if open_only:
        conditions.append("ended_at IS NULL")
    if since:
        conditions.append(f"coalesce(ended_at, started_at) >= {literal(since)} OR ended_at IS NULL")
    rows = named_rows(
        cursor,
        f"SELECT incident_id, title, severity, status, started_at, ended_at, services, kinds FROM {INCIDENTS} "
        f"WHERE ({') AND ('.join(conditions)}) ORDER BY started_at DESC, incident_id",
    )
    ids = [row["incident_id"] for row in rows]
    causes: dict[str, list[RootCause]] = {name: [] for name in ids}
    decisions: dict[str, list[HealingDecision]] = {name: [] for name in ids}
    for cause in _causes(cursor, ids):
        causes[cause.incident_id].append(cause)
    for decision in healing_decisions(cursor, ids):
        decisions[decision.incident_id].append(decision)
    return tuple(
        Incident(
            **row | {"services": tuple(row["services"]), "kinds": tuple(row["kinds"])},
            causes=tuple(causes[row["incident_id"]]),
            decisions=tuple(decisions[row["incident_id"]]),
        )
        for row in rows
    )


def healing_decisions(cursor: Connection, incident_ids: Iterable[str] | None) -> tuple[HealingDecision, ...]:
    """The log of decisions in order of time, of these incidents or of all."""
    where = "" if incident_ids is None else f"WHERE {_among(incident_ids)}"
    query = f"SELECT * FROM {DECISIONS} {where} ORDER BY decided_at, incident_id, playbook"
    return tuple(map(HealingDecision.from_row, named_rows(cursor, query)))


def approve(home: Home, incident_id: str, playbook: str, who: str, why: str, at: datetime | None) -> None:
    """Writes that somebody agrees to what a playbook asks for. Raises CogniforgeError for an unknown incident, an empty
    text and a time without a zone.
    """
    for name, text in (("playbook", playbook), ("who", who), ("why", why)):
        if not text.strip():
            raise CogniforgeError(f"an approval says {name}, and this one does not", "give a text that is not empty")
    with home.lake.explained():
        cursor = home.lake.cursor()
        known = cursor.execute(f"SELECT 1 FROM {INCIDENTS} WHERE incident_id = {literal(incident_id)}").fetchone()
    if not known:
        raise CogniforgeError(f"there is no incident {incident_id!r}", "get_incidents() gives those that there are")
    row = {
        "approval_id": str(uuid4()),
        "incident_id": incident_id,
        "playbook": playbook,
        "who": who.strip(),
        "why": why.strip(),
        "approved_at": at or datetime.now(UTC),
    }
    written.append(home, APPROVALS, [row], run_id=RUN_ID)


def _causes(cursor: Connection, incident_ids: Iterable[str]) -> list[RootCause]:
    query = f"SELECT * FROM {CAUSES} WHERE {_among(incident_ids)} ORDER BY incident_id, rank"
    return list(map(RootCause.from_row, named_rows(cursor, query)))


def _among(incident_ids: Iterable[str]) -> str:
    listed = ", ".join(map(literal, incident_ids))
    return f"incident_id IN ({listed})" if listed else "FALSE"
