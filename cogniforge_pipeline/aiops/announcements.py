"""What the tables of anomalies have to tell others: anomalies and incidents that were opened or closed.

Belongs here: rows to events. Does not: who hears of them (`events`).

An event has the same id whenever the table is computed again, so it is in the log once.
"""

from __future__ import annotations

from cogniforge_pipeline.events import NewEvent
from cogniforge_pipeline.lake import Connection

SOURCE = "/cogniforge/aiops"
DAYS = 7
"""What is older when a table is made for the first time is history, not news."""

_RECENT = (
    f"coalesce(ended_at, started_at) > (SELECT max(last_ts) FROM aiops.ingest_ledger WHERE status = 'ingested') "
    f"- INTERVAL {DAYS} DAY"
)


def anomaly_events(cursor: Connection) -> list[NewEvent]:
    """`anomaly.opened` and `anomaly.closed` of the last DAYS days of `aiops.anomalies`, of those that have weight."""
    rows = cursor.execute(
        "SELECT anomaly_id, service, metric, kind, direction, severity, started_at, ended_at, peak_score, impact, "
        "incident_id, reason FROM aiops.anomalies WHERE status IN ('open', 'closed') "
        f"AND (severity <> 'info' OR incident_id IS NOT NULL) AND {_RECENT} ORDER BY started_at, anomaly_id"
    ).fetchall()
    found = []
    for key, service, metric, kind, direction, severity, started, ended, peak, impact, incident, reason in rows:
        about = {"anomaly_id": key, "service": service, "metric": metric, "kind": kind}
        more = {"direction": direction, "severity": severity, "incident_id": incident, "reason": reason}
        found.append(NewEvent("anomaly.opened", SOURCE, {**about, **more}, service, started, f"{key}:opened"))
        if ended:
            cost = {"started_at": started.isoformat(), "peak_score": peak, "impact": impact}
            found.append(NewEvent("anomaly.closed", SOURCE, {**about, **cost}, service, ended, f"{key}:closed"))
    return found


def incident_events(cursor: Connection) -> list[NewEvent]:
    """`incident.opened` and `incident.closed` of the last DAYS days of `aiops.incidents`."""
    rows = cursor.execute(
        "SELECT incident_id, title, severity, services, anomaly_ids, first_service, started_at, ended_at, reason "
        f"FROM aiops.incidents WHERE {_RECENT} ORDER BY started_at, incident_id"
    ).fetchall()
    found = []
    for key, title, severity, services, anomalies, first, started, ended, reason in rows:
        about = {"incident_id": key, "title": title, "severity": severity, "services": services, "reason": reason}
        found.append(NewEvent("incident.opened", SOURCE, about, first, started, f"{key}:opened"))
        if ended:
            over = {**about, "started_at": started.isoformat(), "anomaly_ids": anomalies}
            found.append(NewEvent("incident.closed", SOURCE, over, first, ended, f"{key}:closed"))
    return found


ANNOUNCERS = {"aiops.anomalies": anomaly_events, "aiops.incidents": incident_events}
