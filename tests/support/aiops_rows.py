"""Rows of decisions of AIOps that no run has made.

Belongs here: what the tests of the Python API, of its commands and charts share. Does not: homes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cogniforge_pipeline.aiops.service import AIOpsService
from cogniforge_pipeline.settings import load_settings
from tests.support.sre_service import NOON, decide, health

HOUR = timedelta(hours=1)


def judged_home(folder: Path) -> AIOpsService:
    """A home in which runs found one incident of two services, now over, and one that goes on."""
    service = AIOpsService(load_settings(folder, environ={}))
    put(service, "aiops.series", [series(1, "web"), series(2, "db"), series(3, "quiet")])
    put(
        service,
        "aiops.anomalies",
        [
            anomaly("a1", "web", ended_at=NOON + HOUR, status="closed"),
            anomaly("a2", "db", ended_at=NOON + 2 * HOUR, status="closed", peak_score=9.0),
            anomaly("a3", "web", started_at=NOON + 5 * HOUR, incident_id="i2", peak_score=2.0),
            anomaly("a4", "web", started_at=NOON + 5 * HOUR, incident_id="i2", peak_score=7.0),
            anomaly("a5", "db", status="maintenance", ended_at=NOON + HOUR, incident_id=None),
        ],
    )
    put(service, "aiops.incidents", [incident("i1", NOON, NOON + 2 * HOUR), incident("i2", NOON + 5 * HOUR, None)])
    put(service, "aiops.root_causes", [cause("i1", 1, "db"), cause("i1", 2, "web"), cause("i2", 1, "web")])
    put(
        service,
        "aiops.healing_decisions",
        [decision("i1", "act", "cleared"), decision("i2", "act", "not_cleared"), decision("i2", "blocked", None, 1)],
    )
    put(
        service,
        "aiops.service_health",
        [health("web", 2, NOON + 6 * HOUR), health("web", 9, NOON), health("db", 0, NOON + 6 * HOUR, "healthy")],
    )
    return service


def put(service: AIOpsService, table: str, rows: list[dict[str, Any]]) -> None:
    decide(service, table, rows)  # type: ignore[arg-type]


def series(number: int, name: str) -> dict[str, Any]:
    return {
        "series_id": number,
        "service": name,
        "metric": "latency",
        "metric_type": "latency",
        "labels": {},
        "kind": "gauge",
    }


def anomaly(name: str, service: str, **changed: Any) -> dict[str, Any]:
    row = {
        "anomaly_id": name, "series_id": 1, "service": service, "metric": "latency", "kind": "spike", "direction": "up",
        "severity": "critical", "status": "open", "started_at": NOON, "ended_at": None, "peak_at": NOON, "peak_score": 3.0,
        "value": 400.0, "expected": 100.0, "impact": 1.0,
        "weight": 1.0, "points": 5, "alerts": 1, "incident_id": "i1", "reason": "because",
    }  # fmt: skip
    return {**row, **changed}


def incident(name: str, started_at: datetime, ended_at: datetime | None) -> dict[str, Any]:
    return {
        "incident_id": name, "started_at": started_at, "ended_at": ended_at, "status": "closed" if ended_at else "open",
        "severity": "critical", "services": ["db", "web"], "anomaly_ids": [], "first_service": "db", "first_metric": "latency",
        "worst_service": "db", "worst_metric": "latency", "kinds": ["spike"], "title": f"title of {name}", "reason": "because",
    }  # fmt: skip


def cause(incident_id: str, rank: int, service: str) -> dict[str, Any]:
    return {
        "incident_id": incident_id, "rank": rank, "service": service, "metric": "latency", "score": 0.9 / rank,
        "explains": 1, "symptoms": 2, "unusual": 2.0,
        "reaches_target": True, "path": ["web", service], "share_explained": 1.0, "own_share": 1.0, "correlation": 0.9,
        "lead_minutes": 5.0, "changes": [], "changed_at": None, "target_service": "web", "target_metric": "latency",
        "graph": "declared", "window_start": NOON - HOUR, "window_end": NOON, "notes": [], "reason": "because",
        "evidence": "digest",
    }  # fmt: skip


def decision(incident_id: str, state: str, outcome: str | None, later: int = 0) -> dict[str, Any]:
    at = NOON + later * HOUR
    return {
        "incident_id": incident_id, "playbook": "restart", "decided_at": at, "as_of": at, "state": state, "action": "restart",
        "workflow": None, "parameters": "{}", "target": "db", "service": "web", "metric": "latency", "reasons": ["for"],
        "against": [], "verify_by": at + HOUR, "precision": None, "judged": 0, "outcome": outcome, "outcome_reason": None,
        "cleared_after_minutes": None, "judged_at": None,
    }  # fmt: skip
