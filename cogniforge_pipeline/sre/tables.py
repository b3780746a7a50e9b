"""The tables of SLOs that follow from what is declared: which statements make them, from which tables.

Belongs here: recipes, each a few lines around a topic's SQL. Does not: formulas (`sli.py`, `burn_rate.py`,
`burn_alerts.py`, `budgets.py`), Dagster, or tables written by the Python API.

Days are those of a minute's end: the minute that ends at midnight is the first of its day, although its events are of
the day before.

A day's rows are the same whether it is computed alone or with others, so they follow from that day and those it looks
back on, never from later ones: see `_unmeasured`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from itertools import groupby

from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.recipes import Computed, Written
from cogniforge_pipeline.registry import REGISTRY
from cogniforge_pipeline.sqltext import ident, literal
from cogniforge_pipeline.sre.budget_policy import DEFAULT
from cogniforge_pipeline.sre.budgets import error_budgets_sql, slo_reports_sql
from cogniforge_pipeline.sre.burn_alerts import alert_episodes_sql, alert_minutes_sql, rule_windows
from cogniforge_pipeline.sre.burn_rate import WINDOWS, burn_rates_sql, window_sums_sql
from cogniforge_pipeline.sre.declared import declared_slos
from cogniforge_pipeline.sre.objectives import Objective, Threshold
from cogniforge_pipeline.sre.openslo import SLODocument
from cogniforge_pipeline.sre.release_gates import GATES, OVERRIDES, release_gates_selects
from cogniforge_pipeline.sre.sli import AGE_REACH, REACH, minute_counts_sql

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SETTLED = timedelta(hours=1)
"""A day that is measured until its last hour is told to its end, so that rare samples leave no hole at midnight."""
SAMPLE = datetime(2024, 5, 1, tzinfo=UTC)
"""Any day: statements written for it tell whether definitions differ."""

Span = tuple[datetime, datetime]

SLOS, SLI, QUARTERS, RATES = "sre.slos", "sre.sli_1m", "sre.sli_15m", "sre.burn_rates"
ALERT_MINUTES, ALERTS, BUDGETS, REPORTS = "sre.alert_minutes", "sre.alerts", "sre.error_budgets", "sre.slo_reports"
TELEMETRY = ("aiops.series", "aiops.telemetry")
RECORDS = "sre.sli_records"
GATE_INPUTS = (SLOS, BUDGETS, ALERTS, OVERRIDES, REGISTRY)

TOLD = (RECORDS, OVERRIDES, "sre.deployments", "sre.deployment_risk", "sre.canaries", "sre.canary_looks")
"""Tables that nothing computes: the Python API and the commands write them."""


def computed() -> list[Computed]:
    """All of them."""
    return [
        Computed(SLOS, (REGISTRY,), _slos),
        Computed(SLI, (*TELEMETRY, RECORDS), _sli),
        Computed(RATES, (SLI,), _burn_rates),
        Computed(ALERT_MINUTES, (SLI,), _alert_minutes),
        Computed(ALERTS, (SLOS, SLI, ALERT_MINUTES), _alerts),
        Computed(BUDGETS, (SLOS, SLI, RATES), _error_budgets),
        Computed(REPORTS, (SLOS, QUARTERS), _slo_reports),
        Computed(GATES, GATE_INPUTS, _release_gates),
    ]


def _slos(cursor: Connection) -> Written:
    slos = declared_slos(cursor)
    rows = [objective.to_row() for objective in slos.objectives]
    rows += [
        _refused_row(document, str(problem)) for document, problem in zip(slos.refused, slos.problems, strict=True)
    ]
    select = rows_sql(rows) if rows else None
    statements = [select] if select else []
    return Written(SLOS, (REGISTRY,), _digest(select), lambda *_: statements, idle=not select, timeless=True)


def _refused_row(document: SLODocument, problem: str) -> dict[str, object]:
    """An SLO that could not be resolved has no target, and no source."""
    nobody = Objective(
        slo_id=document.metadata.name,
        slo_name=document.metadata.name,
        service=document.spec.service,
        display_name=document.metadata.display_name or document.metadata.name,
        description=document.spec.description or "",
        method=document.spec.budgeting_method,
        target=Fraction(0),
        window=document.spec.window,
        not_computable=problem,
        alert_severities=(),
    )
    return nobody.to_row() | dict.fromkeys(("target", "budget", "budget_numerator", "budget_denominator"))


def _sli(cursor: Connection) -> Written:
    slos = declared_slos(cursor)
    objectives = slos.computable
    slices = max((o.slice_seconds or 0 for o in objectives), default=0)
    inputs = tuple(dict.fromkeys((*TELEMETRY, RECORDS, *slos.tables)))
    ages = [o.slo_id for o in objectives if isinstance(o.source, Threshold) and o.source.measure != "value"]
    ages += [o.slo_id for o in objectives if any(member.slo_id in ages for member in o.members)]

    def statement(start: datetime, end: datetime) -> str:
        counts = minute_counts_sql(objectives, start - MINUTE, end - MINUTE)
        return f"SELECT slo_id, minute AS ts, good, bad, total, gaps FROM ({counts})"

    def statements(cursor: Connection, start: datetime, end: datetime) -> list[str]:
        if not objectives:
            return []
        # an age has a value at any minute, but what nobody measured nobody knows
        unknown = _unmeasured(cursor, "aiops.telemetry", start, end) if ages else []
        return [_without(statement(start, end), unknown, f"slo_id IN ({', '.join(map(literal, ages))})")]

    maintenance = [str(entry) for o in objectives for entry in o.maintenance]
    return Written(
        SLI,
        inputs,
        _digest(statement(SAMPLE, SAMPLE + DAY), *maintenance),
        statements,
        lookback=-(-((AGE_REACH if ages else REACH) + timedelta(seconds=slices) + MINUTE) // DAY),
        ahead=1,
        idle=not objectives,
    )


def _burn_rates(cursor: Connection) -> Written:
    objectives = declared_slos(cursor).computable

    def statement(start: datetime, end: datetime) -> str:
        rates = burn_rates_sql(objectives, counts_between(start - max(WINDOWS.values()), end), start - MINUTE, end)
        return f"SELECT *, minute AS ts FROM ({rates}) WHERE burn_30d IS NOT NULL"

    def statements(cursor: Connection, start: datetime, end: datetime) -> list[str]:
        if not objectives:
            return []
        return [_without(statement(start, end - MINUTE), _unmeasured(cursor, SLI, start, end))]

    digest = _digest(statement(SAMPLE, SAMPLE + DAY)) if objectives else ""
    return Written(RATES, (SLI,), digest, statements, max(WINDOWS.values()) // DAY, idle=not objectives)


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
        unknown = _unmeasured(cursor, SLI, start, end)
        days = [start + DAY * n for n in range((end - start) // DAY)]
        found = []
        for _, group in groupby(days, lambda day: [o.alert_rules(day + DAY / 2) for o in objectives]):
            same = list(group)
            found.append(statement(same[0], same[-1] + DAY - MINUTE, same[0] + DAY / 2))
        return [_without(select, unknown) for select in found if select]

    digest = _digest(statement(SAMPLE, SAMPLE + DAY, SAMPLE))
    return Written(ALERT_MINUTES, (SLI,), digest, statements, -(-longest // DAY), idle=not objectives)


def _alerts(_: Connection) -> Written:
    def statement(as_of: datetime) -> str:
        # nothing is claimed about minutes after the newest measured one
        known = f"(SELECT max(ts) FROM {SLI} WHERE ts <= {literal(as_of)})"
        held = f"(SELECT * FROM {ALERT_MINUTES} WHERE ts <= {known})"
        return f"SELECT * FROM ({alert_episodes_sql(held, known)}) JOIN (SELECT slo_id, service FROM {SLOS}) USING (slo_id)"

    return Written(
        ALERTS, (SLOS, SLI, ALERT_MINUTES), _digest(statement(SAMPLE)), lambda _, __, as_of: [statement(as_of)]
    )


def _error_budgets(cursor: Connection) -> Written:
    objectives = declared_slos(cursor).computable
    sample = error_budgets_sql(objectives, SAMPLE) if objectives else ""
    return Written(
        BUDGETS,
        (SLOS, SLI, RATES),
        _digest(sample),
        lambda _, __, as_of: [error_budgets_sql(objectives, as_of)] if objectives else [],
        idle=not objectives,
    )


def _slo_reports(cursor: Connection) -> Written:
    objectives = declared_slos(cursor).computable

    def statements(cursor: Connection, _: datetime, as_of: datetime) -> list[str]:
        # the first sample of a month at its very start would make a report of the month before
        rows = cursor.execute(
            f"SELECT slo_id, coalesce(min(ts) FILTER (total > 0), min(ts)) FROM {QUARTERS} "
            f"WHERE ts <= {literal(as_of)} GROUP BY slo_id"
        ).fetchall()
        first = {slo_id: ts - MINUTE for slo_id, ts in rows}
        return [slo_reports_sql(objectives, first, as_of)] if objectives else []

    sample = slo_reports_sql(objectives, {}, SAMPLE) if objectives else ""
    return Written(REPORTS, (SLOS, QUARTERS), _digest(sample), statements, idle=not objectives)


def _release_gates(_: Connection) -> Written:
    return Written(
        GATES,
        GATE_INPUTS,
        _digest(DEFAULT.model_dump_json()),
        lambda cursor, _, as_of: release_gates_selects(cursor, as_of),
    )


def counts_between(start: datetime, end: datetime) -> str:
    """A relation of `sre.sli_1m` in the columns of `minute_counts_sql`, for the minutes from `start` to `end`."""
    return (
        f"(SELECT slo_id, ts AS minute, good, bad, total, gaps FROM {SLI} "
        f"WHERE ts >= {literal(start)} AND ts <= {literal(end)})"
    )


def rows_sql(rows: Sequence[dict[str, object]]) -> str:
    """A SELECT of rows that Python made, all with the same columns; a column with nested values becomes JSON."""
    columns = list(rows[0])
    nested = {name for row in rows for name, value in row.items() if _is_nested(value)}
    values = ", ".join(f"({', '.join(_value(row[name], name in nested) for name in columns)})" for row in rows)
    return f"SELECT * FROM (VALUES {values}) AS made({', '.join(map(ident, columns))})"


def _is_nested(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(entry, dict) for entry in value))


def _value(value: object, as_json: bool) -> str:
    if as_json and value is not None:
        return literal(json.dumps(value))
    if value == []:
        return "CAST([] AS VARCHAR[])"
    return literal(value)  # type: ignore[arg-type]


def _unmeasured(cursor: Connection, table: str, start: datetime, end: datetime) -> list[Span]:
    """The times (after, before) of the days from `start` to before `end` that nothing is claimed about: what comes
    after the day's newest row in `table`, unless that is within SETTLED of the day's end."""
    rows = cursor.execute(
        f"SELECT epoch_us(ts) // 86400000000, max(epoch_us(ts) + 59999999) // 60000000 FROM {table} "
        f"WHERE ts >= {literal(start)} AND ts < {literal(end)} GROUP BY ALL"
    ).fetchall()
    newest = {EPOCH + DAY * day: EPOCH + MINUTE * minute for day, minute in rows}
    days = [start + DAY * n for n in range((end - start) // DAY)]
    spans = [(newest.get(day, day - MINUTE), day + DAY) for day in days]
    return [(after, before) for after, before in spans if before - after > SETTLED]


def _without(select: str, spans: Sequence[Span], among: str = "true") -> str:
    """The rows of a SELECT that are not within the spans."""
    if not spans:
        return select
    within = " OR ".join(f"(ts > {literal(after)} AND ts < {literal(before)})" for after, before in spans)
    return f"SELECT * FROM ({select}) WHERE NOT ({among} AND ({within}))"


def _digest(*parts: str | None) -> str:
    return sha256("\n".join(part or "" for part in parts).encode()).hexdigest()[:16]
