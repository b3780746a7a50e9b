"""A service on a home of its own, and rows of decisions that no run has made.

Belongs here: what the tests of the Python API and of its commands share. Does not: whole runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cogniforge_pipeline import publish
from cogniforge_pipeline.publish import Circumstances, Mode
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.sre.service import SREService
from cogniforge_pipeline.written import _select

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
"""A Wednesday, within working hours."""


def open_service(folder: Path) -> SREService:
    """The service of the home in `folder`, not shared with anybody."""
    return SREService(load_settings(folder, environ={}))


def decide(sre: SREService, table: str, rows: Sequence[dict[str, Any]]) -> None:
    """Publishes rows of a decision in place of all that were there."""
    lake, contract = sre.home.lake, sre.home.contracts[table]
    cursor = lake.cursor()
    with publish.stage(cursor, contract, [_select(contract, rows)], mode=Mode.REPLACE, run_id="run") as staged:
        assert not staged.quarantined, cursor.execute(f"SELECT reason FROM {staged.bad}").fetchall()
        publish.publish(lake, cursor, [staged], Circumstances("run"))


def budget(service: str, remaining: float | None, as_of: datetime = NOON, **changed: Any) -> dict[str, Any]:
    """A row of `sre.error_budgets`."""
    consumed = None if remaining is None else 1 - remaining
    row = {
        "as_of": as_of, "slo_id": f"{service}-slo", "service": service, "window_start": as_of, "window_end": as_of,
        "target": 0.99, "budget": 0.01, "good": 0.0, "bad": 0.0, "total": 0.0, "budget_minutes": 432.0,
        "consumed": consumed, "remaining": remaining, "status": "no_data" if remaining is None else "ok",
        "incidents": [],
    }  # fmt: skip
    return {**row, **changed}


def health(service: str, anomalies: int, as_of: datetime = NOON, status: str = "degraded") -> dict[str, Any]:
    """A row of `aiops.service_health`."""
    return {
        "as_of": as_of, "service": service, "status": status, "active_anomalies": anomalies, "series": 9,
        "reason": "because",
    }  # fmt: skip


def gate(service: str, allowed: bool, as_of: datetime = NOON, **changed: Any) -> dict[str, Any]:
    """A row of `sre.release_gates`."""
    row = {
        "as_of": as_of, "service": service, "allowed": allowed, "reasons": ["the gate's own reason"], "actions": [],
        "policy": "built-in", "page_alerts": 0,
        "allowed_changes": ["normal", "p0", "security"] if allowed else ["p0", "security"],
    }  # fmt: skip
    return {**row, **changed}
