"""How services are, and figures of the whole domain, as the Python API gives them.

Belongs here: reading decisions that runs made. Does not: deciding.
"""

from __future__ import annotations

from typing import Any

from cogniforge_pipeline.aiops.anomalies import ANOMALIES, INCIDENTS
from cogniforge_pipeline.aiops.cause_inputs import SERIES, named_rows
from cogniforge_pipeline.aiops.decision_tables import DECISIONS
from cogniforge_pipeline.aiops.service_incidents import HEALTH, active_anomalies
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import MATERIALIZATIONS
from cogniforge_pipeline.sqltext import literal


def service_health(cursor: Connection, service: str) -> dict[str, Any]:
    """The newest row of `aiops.service_health`, with its status as `health_status` and the ids of its active anomalies.

    A service that telemetry came of and no run judged yet is `unknown`. Raises CogniforgeError for one that nobody heard of.
    """
    rows = named_rows(cursor, f"SELECT * FROM {HEALTH} WHERE service = {literal(service)} ORDER BY as_of DESC LIMIT 1")
    if rows:
        row = rows[0]
    elif service in (known := _services(cursor)):
        row = {"service": service, "status": "unknown", "active_anomalies": 0, "reason": "no run has judged it yet"}
    else:
        raise CogniforgeError(
            f"no telemetry of a service {service!r} was ever ingested",
            f"services: {', '.join(known)}" if known else "collect some, then: cogniforge run",
        )
    ids = [anomaly.anomaly_id for anomaly in active_anomalies(cursor, service)]
    return {"health_status": row.pop("status"), **row, "anomaly_ids": ids}


def aiops_metrics(cursor: Connection) -> dict[str, Any]:
    """Figures of all services: see `AIOpsService.get_aiops_metrics`."""
    (anomalies,) = named_rows(
        cursor,
        "SELECT count(*) AS total_anomalies, count(*) FILTER (status = 'open') AS active_anomalies, "
        "count(*) FILTER (status = 'closed') AS resolved_anomalies, "
        "count(*) FILTER (status IN ('expected', 'maintenance')) AS expected_anomalies, "
        "count(*) FILTER (status = 'closed') / nullif(count(*) FILTER (status IN ('open', 'closed')), 0) AS resolution_rate, "
        "avg(epoch(ended_at - started_at) / 60) FILTER (status = 'closed') AS mean_minutes_to_resolution "
        f"FROM {ANOMALIES}",
    )
    (incidents,) = named_rows(
        cursor,
        f"SELECT count(*) AS total_incidents, count(*) FILTER (ended_at IS NULL) AS open_incidents FROM {INCIDENTS}",
    )
    acted = (
        "SELECT playbook, count(*) AS actions, count(*) FILTER (outcome IN ('cleared', 'relapsed', 'not_cleared')) AS judged, "
        f"count(*) FILTER (outcome = 'cleared') AS cleared FROM {DECISIONS} WHERE state = 'act' GROUP BY playbook"
    )
    playbooks = named_rows(
        cursor, f"SELECT *, cleared / nullif(judged, 0) AS precision FROM ({acted}) ORDER BY playbook"
    )
    judged = sum(row["judged"] for row in playbooks)
    health = cursor.execute(
        f"SELECT status, count(*) FROM {HEALTH} WHERE as_of = (SELECT max(as_of) FROM {HEALTH}) GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    (telemetry,) = named_rows(
        cursor,
        f"SELECT (SELECT count(DISTINCT service) FROM {SERIES}) AS services, (SELECT count(*) FROM {SERIES}) AS series, "
        f"(SELECT coalesce(sum(row_count), 0)::BIGINT FROM {MATERIALIZATIONS} WHERE table_name = 'aiops.telemetry') "
        "AS telemetry_points",
    )
    rate = anomalies["resolution_rate"]
    return {
        **anomalies,
        "resolution_rate": 1.0 if rate is None else rate,
        **incidents,
        "healing_actions": sum(row["actions"] for row in playbooks),
        "healing_precision": sum(row["cleared"] for row in playbooks) / judged if judged else None,
        "playbooks": {row.pop("playbook"): row for row in playbooks},
        "services_by_status": dict(health),
        **telemetry,
    }


def _services(cursor: Connection) -> list[str]:
    return [name for (name,) in cursor.execute(f"SELECT DISTINCT service FROM {SERIES} ORDER BY ALL").fetchall()]
