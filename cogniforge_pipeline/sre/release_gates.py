"""The tables of the release gate: `sre.release_gates`, decided by runs, and `sre.gate_overrides`, told by people.

Belongs here: reading what a decision needs, and its rows. Does not: the decision (`release_gate.py`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

from cogniforge_pipeline import written
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.registry import declared
from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.sre.budget_policy import BUDGET_POLICY_KIND, CATEGORIES, policy_for
from cogniforge_pipeline.sre.release_gate import (
    Budget,
    FiringAlert,
    Gate,
    Incident,
    Override,
    decide,
    with_overrides,
)

GATES, OVERRIDES = "sre.release_gates", "sre.gate_overrides"
LONGEST = timedelta(days=7)
"""An override that should last longer is a change of the policy."""

_TYPES = {
    "as_of": "TIMESTAMPTZ",
    "service": "VARCHAR",
    "allowed": "BOOLEAN",
    "reasons": "VARCHAR[]",
    "actions": "VARCHAR[]",
    "policy": "VARCHAR",
    "budget_remaining": "DOUBLE",
    "worst_slo_id": "VARCHAR",
    "page_alerts": "INTEGER",
    "allowed_changes": "VARCHAR[]",
    "override_by": "VARCHAR",
    "override_reason": "VARCHAR",
    "override_until": "TIMESTAMPTZ",
}


def release_gates_selects(cursor: Connection, as_of: datetime) -> list[str]:
    """The rows of `sre.release_gates` at `as_of`, one for each service of `sre.slos`; no statement without any.

    Reads sre.slos, sre.error_budgets, sre.alerts, sre.gate_overrides and the declared policies. The parts of a
    composite do not count by themselves. Raises DeclarationsInvalid for policies of another version of this program.
    """
    policies = [declaration.model for declaration in declared(cursor, BUDGET_POLICY_KIND)]
    alerts, overrides = _alerts(cursor, as_of), _overrides(cursor)
    gates = [
        decide(service, budgets, alerts[service], policy_for(service, policies), overrides[service], as_of)
        for service, budgets in _budgets(cursor, as_of).items()
    ]
    if not gates:
        return []
    rows = ", ".join(_row(gate.to_row()) for gate in gates)
    return [f"SELECT * FROM (VALUES {rows}) AS gates({', '.join(_TYPES)})"]


def gate_of(cursor: Connection, service: str, moment: datetime) -> Gate:
    """The newest decided gate of a service, with the overrides that are in force at `moment`.

    Raises CogniforgeError for a service without a gate.
    """
    found = _rows(
        cursor,
        f"SELECT * FROM {GATES} WHERE service = {literal(service)} AND as_of <= {literal(moment)} "
        "ORDER BY as_of DESC LIMIT 1",
    )
    if not found:
        known = [row["service"] for row in _rows(cursor, f"SELECT DISTINCT service FROM {GATES} ORDER BY service")]
        raise CogniforgeError(
            f"no release gate was decided for {service!r}",
            f"services with a gate: {', '.join(known)}" if known else "declare an SLO for it, then: cogniforge run",
        )
    (row,) = found
    decided = Gate(
        service,
        row["as_of"],
        row["policy"],
        not row["allowed"] or row["override_by"] is not None,
        tuple(row["reasons"]),
        tuple(row["actions"]),
        tuple(row["allowed_changes"]),
        row["budget_remaining"],
        row["worst_slo_id"],
        row["page_alerts"],
    )
    return with_overrides(decided, _overrides(cursor)[service], moment)


def record_override(
    home: Home, service: str, *, category: str, who: str, why: str, lasts: timedelta, at: datetime | None = None
) -> Override:
    """Writes an override of a service's gate, from `at` (now) on. Raises CogniforgeError for values that make none."""
    if category not in CATEGORIES:
        raise CogniforgeError(f"expected a category of {' or '.join(CATEGORIES)}, got {category!r}")
    for name, text in (("service", service), ("who", who), ("why", why)):
        if not text.strip():
            raise CogniforgeError(f"an override says {name}, and this one does not", "give a text that is not empty")
    if not timedelta(0) < lasts <= LONGEST:
        raise CogniforgeError(
            f"expected an override of up to {LONGEST.days} days, got one of {lasts}", "record it again when it ends"
        )
    start = (at or datetime.now(UTC)).astimezone(UTC)
    override = Override(service, category, who.strip(), why.strip(), start, start + lasts)
    row = {
        "override_id": str(uuid4()),
        "service": override.service,
        "category": override.category,
        "who": override.who,
        "why": override.why,
        "created_at": override.created_at,
        "until": override.until,
    }
    written.append(home, OVERRIDES, [row], run_id="api")
    return override


def _budgets(cursor: Connection, as_of: datetime) -> dict[str, list[Budget]]:
    """By service, in order of name and SLO."""
    rows = _rows(
        cursor,
        f"""
SELECT s.slo_id, s.service, s.members, s.not_computable, b.consumed, b.incidents
FROM sre.slos AS s
LEFT JOIN (
    FROM sre.error_budgets WHERE as_of <= {literal(as_of)} QUALIFY row_number() OVER (PARTITION BY slo_id ORDER BY as_of DESC) = 1
) AS b USING (slo_id)
ORDER BY s.service, s.slo_id""",
    )
    parts = {member["slo_id"] for row in rows for member in json.loads(row["members"] or "[]")}
    found: dict[str, list[Budget]] = defaultdict(list)
    for row in rows:
        if row["slo_id"] not in parts:
            incidents = tuple(
                Incident(incident["started_at"], incident["ended_at"], incident["share"])
                for incident in row["incidents"] or ()
            )
            unknown = row["not_computable"] or "no events in its window"
            found[row["service"]].append(Budget(row["slo_id"], row["consumed"], incidents, unknown))
    return found


def _alerts(cursor: Connection, as_of: datetime) -> dict[str, list[FiringAlert]]:
    rows = _rows(
        cursor,
        "SELECT service, slo_id, alert, severity, fired_at FROM sre.alerts "
        f"WHERE fired_at <= {literal(as_of)} AND (cleared_at IS NULL OR cleared_at > {literal(as_of)}) "
        "ORDER BY fired_at, slo_id, alert",
    )
    found: dict[str, list[FiringAlert]] = defaultdict(list)
    for row in rows:
        found[row["service"]].append(FiringAlert(row["slo_id"], row["alert"], row["severity"], row["fired_at"]))
    return found


def _overrides(cursor: Connection) -> dict[str, list[Override]]:
    found: dict[str, list[Override]] = defaultdict(list)
    for row in _rows(cursor, f"SELECT * EXCLUDE (override_id) FROM {OVERRIDES} ORDER BY until"):
        found[row["service"]].append(Override(**row))
    return found


def _rows(cursor: Connection, query: str) -> list[dict[str, Any]]:
    found = cursor.execute(query)
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, map(_utc, row), strict=True)) for row in found.fetchall()]


def _utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _row(values: Mapping[str, Any]) -> str:
    cells = (f"CAST({literal(cast(Any, values[name]))} AS {kind})" for name, kind in _TYPES.items())
    return f"({', '.join(cells)})"
