"""The tables of SLOs that follow from what is declared: which statements make them, from which tables.

Belongs here: recipes, each a few lines around a topic's SQL. Does not: formulas (`sli.py`, `burn_rate.py`,
`burn_alerts.py`, `budgets.py`), Dagster, or tables written by the Python API.

Days are those of a minute's end: the minute that ends at midnight is the first of its day, although its events are of
the day before. That is why the facts look one day further back than their windows reach.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import groupby

from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.recipes import Computed, Written
from cogniforge_pipeline.registry import REGISTRY
from cogniforge_pipeline.sqltext import ident, literal
from cogniforge_pipeline.sre.budgets import error_budgets_sql, slo_reports_sql
from cogniforge_pipeline.sre.burn_alerts import alert_minutes_sql, rule_windows
from cogniforge_pipeline.sre.burn_rate import WINDOWS, burn_rates_sql, window_sums_sql
from cogniforge_pipeline.sre.declared import declared_slos
from cogniforge_pipeline.sre.sli import REACH, minute_counts_sql

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
SAMPLE = datetime(2024, 5, 1, tzinfo=UTC)
"""Any day: statements written for it tell whether definitions differ."""

SLOS, SLI, QUARTERS, RATES = "sre.slos", "sre.sli_1m", "sre.sli_15m", "sre.burn_rates"
ALERT_MINUTES, ALERTS, BUDGETS, REPORTS = "sre.alert_minutes", "sre.alerts", "sre.error_budgets", "sre.slo_reports"
TELEMETRY = ("aiops.series", "aiops.telemetry")
RECORDS = "sre.sli_records"


def computed() -> list[Computed]:
    """All of them."""
    return [
        Computed(SLOS, (REGISTRY,), _slos),
        Computed(SLI, (*TELEMETRY, RECORDS), _sli),
        Computed(RATES, (SLI,), _burn_rates),
        Computed(ALERT_MINUTES, (SLI,), _alert_minutes),
        Computed(BUDGETS, (SLOS, SLI, RATES), _error_budgets),
        Computed(REPORTS, (SLOS, QUARTERS), _slo_reports),
    ]


def _slos(cursor: Connection) -> Written:
    slos = declared_slos(cursor)
    rows = [objective.to_row() for objective in slos.objectives]
    rows += [
        {
            "slo_id": document.metadata.name,
            "slo_name": document.metadata.name,
            "service": document.spec.service,
            "display_name": document.metadata.display_name or document.metadata.name,
            "description": document.spec.description or "",
            "budgeting_method": document.spec.budgeting_method,
            "computable": False,
            "not_computable": str(problem),
        }
        for document, problem in zip(slos.refused, slos.problems, strict=True)
    ]
    select = rows_sql(rows) if rows else None
    return Written(SLOS, (REGISTRY,), _digest(select), lambda *_: [select] if select else [])


def _sli(cursor: Connection) -> Written:
    slos = declared_slos(cursor)
    objectives = slos.computable
    slices = max((o.slice_seconds or 0 for o in objectives), default=0)
    inputs = (*TELEMETRY, RECORDS, *slos.tables)

    def statement(start: datetime, end: datetime) -> str:
        counts = minute_counts_sql(objectives, start - MINUTE, end - MINUTE)
        return f"SELECT slo_id, minute AS ts, good, bad, total, gaps FROM ({counts})"

    maintenance = [str(entry) for o in objectives for entry in o.maintenance]
    return Written(
        SLI,
        inputs,
        _digest(statement(SAMPLE, SAMPLE + DAY), *maintenance),
        lambda _, start, end: [statement(start, end)] if objectives else [],
        lookback=-(-(REACH + timedelta(seconds=slices)) // DAY),
    )


def _burn_rates(cursor: Connection) -> Written:
    objectives = declared_slos(cursor).computable

    def statement(start: datetime, end: datetime) -> str:
        rates = burn_rates_sql(objectives, counts_between(start - max(WINDOWS.values()), end), start - MINUTE, end)
        return f"SELECT *, minute AS ts FROM ({rates})"

    def statements(cursor: Connection, start: datetime, end: datetime) -> list[str]:
        last = _last_minute(cursor, start, end)
        return [statement(start, last)] if objectives and last else []

    digest = _digest(statement(SAMPLE, SAMPLE + DAY)) if objectives else ""
    return Written(RATES, (SLI,), digest, statements, lookback=max(WINDOWS.values()) // DAY)


def _alert_minutes(cursor: Connection) -> Written:
    objectives = [o for o in declared_slos(cursor).computable if o.policies or o.alert_severities]
    longest = max((w for o in objectives for w in rule_windows([o], SAMPLE).values()), default=DAY)

    def statement(start: datetime, end: datetime, day: datetime) -> str | None:
        windows = rule_windows(objectives, day)
        if not windows:
            return None
        counts = counts_between(start - max(windows.values()), end)
        sums = window_sums_sql(counts, start - MINUTE, end, windows)
        return alert_minutes_sql(objectives, f"({sums})", day)

    def statements(cursor: Connection, start: datetime, end: datetime) -> list[str]:
        last = _last_minute(cursor, start, end)
        if not last:
            return []
        days = [start + DAY * n for n in range((end - start) // DAY)]
        found = []
        for _, group in groupby(days, lambda day: [o.alert_rules(day + DAY / 2) for o in objectives]):
            same = list(group)
            until = min(same[-1] + DAY - MINUTE, last)
            if same[0] <= until:
                found.append(statement(same[0], until, same[0] + DAY / 2))
        return [select for select in found if select]

    digest = _digest(statement(SAMPLE, SAMPLE + DAY, SAMPLE))
    return Written(ALERT_MINUTES, (SLI,), digest, statements, lookback=-(-longest // DAY))


def _error_budgets(cursor: Connection) -> Written:
    objectives = declared_slos(cursor).computable
    sample = error_budgets_sql(objectives, SAMPLE) if objectives else ""
    return Written(
        BUDGETS,
        (SLOS, SLI, RATES),
        _digest(sample),
        lambda _, __, as_of: [error_budgets_sql(objectives, as_of)] if objectives else [],
    )


def _slo_reports(cursor: Connection) -> Written:
    objectives = declared_slos(cursor).computable

    def statements(cursor: Connection, _: datetime, as_of: datetime) -> list[str]:
        row = cursor.execute(f"SELECT min(ts) FROM {QUARTERS} WHERE ts <= {literal(as_of)}").fetchone()
        first = row[0] if row else None
        return [slo_reports_sql(objectives, first - MINUTE, as_of)] if objectives and first else []

    sample = slo_reports_sql(objectives, SAMPLE, SAMPLE + DAY) if objectives else ""
    return Written(REPORTS, (SLOS, QUARTERS), _digest(sample), statements)


def counts_between(start: datetime, end: datetime) -> str:
    """A relation of `sre.sli_1m` in the columns of `minute_counts_sql`, for the minutes from `start` to `end`."""
    return (
        f"(SELECT slo_id, ts AS minute, good, bad, total, gaps FROM {SLI} "
        f"WHERE ts >= {literal(start)} AND ts <= {literal(end)})"
    )


def rows_sql(rows: Sequence[dict[str, object]]) -> str:
    """A SELECT of rows that Python made; the first row has all columns, nested values become JSON."""
    columns = list(rows[0])
    values = ", ".join(f"({', '.join(_value(row.get(name)) for name in columns)})" for row in rows)
    return f"SELECT * FROM (VALUES {values}) AS made({', '.join(map(ident, columns))})"


def _value(value: object) -> str:
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(entry, dict) for entry in value)):
        return literal(json.dumps(value))
    if value == []:
        return "CAST([] AS VARCHAR[])"
    return literal(value)  # type: ignore[arg-type]


def _last_minute(cursor: Connection, start: datetime, end: datetime) -> datetime | None:
    """The newest measured minute from `start` to before `end`: nothing is claimed about later ones."""
    row = cursor.execute(f"SELECT max(ts) FROM {SLI} WHERE ts >= {literal(start)} AND ts < {literal(end)}").fetchone()
    return row[0].astimezone(UTC) if row and row[0] else None


def _digest(*parts: str | None) -> str:
    return sha256("\n".join(part or "" for part in parts).encode()).hexdigest()[:16]
