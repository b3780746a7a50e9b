"""May a service deploy now, and why not: its objectives, budgets, alerts and release gate.

Belongs here: reading what runs have decided, and budgets and gates from measurements that no run has seen yet. Does
not: the formulas (`budgets.py`), or the decision (`release_gate.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.registry import declared
from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.sre.budget_policy import BUDGET_POLICY_KIND, policy_for
from cogniforge_pipeline.sre.budgets import error_budgets_sql
from cogniforge_pipeline.sre.declared import declared_slos
from cogniforge_pipeline.sre.objectives import Objective, RecordedRows
from cogniforge_pipeline.sre.release_gate import Budget, FiringAlert, Gate, Incident, Override, decide
from cogniforge_pipeline.sre.release_gates import GATES, OVERRIDES, gate_of
from cogniforge_pipeline.sre.service_types import named
from cogniforge_pipeline.sre.sli import minute_counts_sql
from cogniforge_pipeline.sre.windows import window_at

RECORDS, BUDGETS, ALERTS = "sre.sli_records", "sre.error_budgets", "sre.alerts"
UNKNOWN = "no error budget is known"

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
        gate, reasons = _gate(cursor, service, objectives, budgets, alerts, now)
    return {
        "service": service,
        "as_of": now,
        "deployment_allowed": gate.allowed,
        "reasons": reasons,
        "slos": [_described(objective) for objective in objectives],
        "budgets": budgets,
        "alerts": alerts,
        "gate": gate.to_row(),
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


def _gate(
    cursor: Connection,
    service: str,
    objectives: list[Objective],
    budgets: list[dict[str, Any]],
    alerts: list[dict[str, Any]],
    now: datetime,
) -> tuple[Gate, list[str]]:
    """The newest run's gate with the overrides of now; decided again where measurements have come since."""
    (newest,) = _rows(
        cursor,
        f"SELECT max(as_of) AS as_of FROM {GATES} WHERE service = {literal(service)} AND as_of <= {literal(now)}",
    )
    decided = newest["as_of"]
    if decided and not any(row["basis"] == "records" and row["as_of"] > decided for row in budgets):
        gate = gate_of(cursor, service, now)
        return gate, [*gate.reasons, f"decided for {decided:%Y-%m-%d %H:%M} UTC"]
    parts = {member.slo_id for objective in objectives for member in objective.members}
    overrides = _rows(
        cursor, f"SELECT * EXCLUDE (override_id) FROM {OVERRIDES} WHERE service = {literal(service)} ORDER BY until"
    )
    policies = [declaration.model for declaration in declared(cursor, BUDGET_POLICY_KIND)]
    gate = decide(
        service,
        [
            Budget(
                row["slo_id"],
                row["consumed"],
                tuple(Incident(i["started_at"], i["ended_at"], i["share"]) for i in row["incidents"]),
            )
            for row in budgets
            if row["slo_id"] not in parts
        ],
        [FiringAlert(row["slo_id"], row["alert"], row["severity"], row["fired_at"]) for row in alerts],
        policy_for(service, policies),
        [Override(**row) for row in overrides],
        now,
    )
    unknown = [] if any(row["remaining"] is not None for row in budgets) else [UNKNOWN]
    return gate, [*unknown, *gate.reasons]


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
