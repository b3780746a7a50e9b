"""May a service deploy now, and why not: its objectives, budgets, alerts and release gate.

Belongs here: reading what runs have decided, and budgets from measurements that no run has seen yet. Does not: the
formulas (`budgets.py`), or deciding the gate in a run.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.sre.budgets import error_budgets_sql
from cogniforge_pipeline.sre.declared import declared_slos
from cogniforge_pipeline.sre.objectives import Objective, RecordedRows
from cogniforge_pipeline.sre.service_types import named
from cogniforge_pipeline.sre.sli import minute_counts_sql
from cogniforge_pipeline.sre.windows import window_at

RECORDS, BUDGETS, ALERTS, GATES = "sre.sli_records", "sre.error_budgets", "sre.alerts", "sre.release_gates"

_NO_RATES = (
    "(SELECT slo_id, ts, NULL::DOUBLE AS burn_5m, NULL::DOUBLE AS burn_1h, NULL::DOUBLE AS burn_1d "
    f"FROM {RECORDS} WHERE false)"
)


def service_status(home: Home, service: str) -> dict[str, Any]:
    """What `SREService.get_service_sre_status` gives."""
    cursor = home.lake.cursor()
    now = datetime.now(UTC)
    with home.lake.explained():
        objectives = [o for o in declared_slos(cursor).objectives if o.service == service]
        budgets = budgets_of(cursor, service, now)
        alerts = _rows(
            cursor,
            f"SELECT * FROM {ALERTS} WHERE service = {literal(service)} AND cleared_at IS NULL ORDER BY fired_at",
        )
        gates = _rows(cursor, f"SELECT * FROM {GATES} WHERE service = {literal(service)} ORDER BY as_of DESC LIMIT 1")
    gate = gates[0] if gates else None
    allowed, reasons = _decide(gate, budgets)
    return {
        "service": service,
        "as_of": now,
        "deployment_allowed": allowed,
        "reasons": reasons,
        "slos": [_described(objective) for objective in objectives],
        "budgets": budgets,
        "alerts": alerts,
        "gate": gate,
    }


def budgets_of(cursor: Connection, service: str, at: datetime) -> list[dict[str, Any]]:
    """The budget of each objective of a service as known at `at`: rows of `sre.error_budgets`, and `basis`.

    `basis` is `run` where the newest run decided it, and `records` where measurements by record_sli have come since,
    which are then counted here by the same formula.
    """
    decided = _rows(
        cursor, f"SELECT * FROM {BUDGETS} WHERE service = {literal(service)} AND as_of <= {literal(at)} ORDER BY slo_id"
    )
    known = {row["slo_id"]: {**row, "basis": "run"} for row in decided}
    recorded = [
        objective
        for objective in declared_slos(cursor).computable
        if objective.service == service and isinstance(objective.source, RecordedRows)
    ]
    newest = _newest_records(cursor, recorded, at)
    fresh = [
        objective
        for objective in recorded
        if objective.slo_name in newest
        and (objective.slo_id not in known or newest[objective.slo_name] > known[objective.slo_id]["as_of"])
    ]
    known |= {row["slo_id"]: {**row, "basis": "records"} for row in _from_records(cursor, fresh, at)}
    return [known[slo_id] for slo_id in sorted(known)]


def _newest_records(cursor: Connection, objectives: list[Objective], at: datetime) -> dict[str, datetime]:
    if not objectives:
        return {}
    first = min(window_at(objective.window, at)[0] for objective in objectives)
    names = ", ".join(literal(objective.slo_name) for objective in objectives)
    rows = cursor.execute(
        f"SELECT slo_id, max(ts) FROM {RECORDS} WHERE slo_id IN ({names}) AND ts > {literal(first)} "
        f"AND ts <= {literal(at)} GROUP BY slo_id"
    ).fetchall()
    return {name: newest.astimezone(UTC) for name, newest in rows}


def _from_records(cursor: Connection, objectives: list[Objective], at: datetime) -> list[dict[str, Any]]:
    """Budgets from measurements up to `at`; the minute that has begun counts, so that the newest ones are in."""
    if not objectives:
        return []
    end = at.replace(second=0, microsecond=0) + timedelta(minutes=1)
    start = min(window_at(objective.window, end)[0] for objective in objectives) - timedelta(minutes=1)
    upto = f"(SELECT * FROM {RECORDS} WHERE ts <= {literal(at)})"
    counts = minute_counts_sql(objectives, start, end, recorded=upto)
    minutes = f"(SELECT slo_id, minute AS ts, good, bad, total FROM ({counts}))"
    return _rows(cursor, error_budgets_sql(objectives, end, minutes=minutes, rates=_NO_RATES))


def _decide(gate: dict[str, Any] | None, budgets: list[dict[str, Any]]) -> tuple[bool, list[str]]:
    """The gate of the newest run, closed by any budget that is known to be spent since."""
    allowed, reasons = True, []
    if gate is not None:
        allowed = bool(gate["allowed"])
        reasons = [*(gate["reasons"] or ()), f"as decided for {_time(gate['as_of'])}"]
    later = [row for row in budgets if gate is None or (row["basis"] == "records" and row["as_of"] > gate["as_of"])]
    spent = [row for row in later if row["remaining"] is not None and row["remaining"] <= 0]
    if spent and not (gate and gate["override_by"]):
        allowed = False
        reasons += [
            f"{row['slo_id']}: the error budget is spent, {row['consumed']:.0%} of it by {_time(row['as_of'])}"
            for row in spent
        ]
    if gate is None and not spent:
        known = [row for row in budgets if row["remaining"] is not None]
        reasons += [
            f"{row['slo_id']}: {row['remaining']:.1%} of the error budget is left at {_time(row['as_of'])}"
            for row in known
        ] or ["no error budget is known"]
    return allowed, reasons


def _described(objective: Objective) -> dict[str, Any]:
    return {
        "slo_id": objective.slo_id,
        "name": objective.display_name,
        "service": objective.service,
        "target_percentage": float(objective.target * 100),
        "window": objective.window.duration,
        "computable": objective.not_computable is None,
        "not_computable": objective.not_computable,
    }


def _rows(cursor: Connection, query: str) -> list[dict[str, Any]]:
    found = cursor.execute(query)
    return named(found.description, found.fetchall())


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
