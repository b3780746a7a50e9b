"""What must hold of error budgets, reports and alerts for any events."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.registry import REGISTRY
from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.sre.budgets import error_budgets_sql, slo_reports_sql
from cogniforge_pipeline.sre.burn_rate import burn_rates_sql
from cogniforge_pipeline.sre.objectives import Objective
from cogniforge_pipeline.sre.resolve import resolve_documents
from tests.support.tables import compute, declared

MINUTE = timedelta(minutes=1)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Chatham")
START = datetime(2026, 3, 1, tzinfo=UTC)
PAGED = {"name": "web", "annotations": {"cogniforge.dev/alerts": "page"}}
NO_RATES = "(SELECT 'x' AS slo_id, now() AS ts, 0.0 AS burn_5m, 0.0 AS burn_1h, 0.0 AS burn_1d WHERE false)"

Event = tuple[datetime, int, int]
Row = dict[str, Any]

few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def document(duration: str, target: str = "0.9", zone: str | None = None) -> dict[str, Any]:
    """An SLO `web` with a rolling window, or one aligned to the calendar of a zone."""
    calendar = {"startTime": "2020-01-01 00:00:00", "timeZone": zone}
    window = {"isRolling": True} if zone is None else {"calendar": calendar}
    source = {"metricSource": {"type": "cogniforge", "spec": {"metric": "requests"}}}
    indicator = {"metadata": {"name": "errors"}, "spec": {"ratioMetric": {"good": source, "total": source}}}
    spec = {
        "service": "shop",
        "indicator": indicator,
        "timeWindow": [{"duration": duration, **window}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"target": target}],
    }
    return {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": PAGED, "spec": spec}


@cache
def objective(duration: str, target: str = "0.9", zone: str | None = None) -> Objective:
    return resolve_documents([document(duration, target, zone)])[0]


def minutes(events: Iterable[Event], *, ts: str = "ts") -> str:
    """A relation in the columns of `sre.sli_1m` or, with `minutes`, of `sre.sli_15m`."""
    rows = ", ".join(f"('web', {literal(at)}, {good}.0, {bad}.0, {good + bad}.0, 1)" for at, good, bad in events)
    columns = f"slo_id, {ts}, good, bad, total, minutes"
    nothing = "('none', TIMESTAMPTZ '2000-01-01 00:00:00+00', 0.0, 0.0, 0.0, 1)"
    return (
        f"(SELECT *, NULL::STRUCT(since TIMESTAMPTZ, bad DOUBLE, total DOUBLE)[] AS gaps "
        f"FROM (VALUES {rows or nothing}) AS given({columns}))"
    )


@cache
def connection() -> duckdb.DuckDBPyConnection:
    opened = duckdb.connect()
    opened.execute("SET TimeZone = 'UTC'; SET threads = 1")
    return opened


def rows_of(sql: str) -> list[Row]:
    found = connection().execute(sql)
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def budget(wanted: Objective, events: Iterable[Event], as_of: datetime) -> Row:
    (row,) = rows_of(error_budgets_sql([wanted], as_of, minutes=minutes(events), rates=NO_RATES))
    return row


def events(days: int, *, step: int = 1, most: int = 1000) -> st.SearchStrategy[list[Event]]:
    """A few minutes (or longer stretches) after START with events, at most one row each."""
    one = st.tuples(st.integers(1, days * 1440 // step), st.integers(0, most), st.integers(0, most))
    found = st.lists(one, max_size=12, unique_by=lambda event: event[0])
    return found.map(lambda rows: [(START + MINUTE * step * at, good, bad) for at, good, bad in sorted(rows)])


windows = st.one_of(
    st.tuples(st.sampled_from(("90m", "5h", "1d", "7d", "30d")), st.none()),
    st.tuples(st.sampled_from(("1d", "1w", "1M", "1Q")), st.sampled_from(ZONES)),
)
targets = st.sampled_from(("0", "0.5", "0.9", "0.99", "0.999", "0.9999"))
moments = st.integers(1, 8 * 1440).map(lambda n: START + MINUTE * n)


@few
@given(found=events(8), window=windows, target=targets, as_of=moments)
def test_what_is_spent_and_what_is_left_are_the_whole_budget(
    found: list[Event], window: tuple[str, str | None], target: str, as_of: datetime
) -> None:
    row = budget(objective(window[0], target, window[1]), found, as_of)
    known = [event for event in found if row["window_start"] < event[0] <= as_of]
    assert (row["total"], row["bad"]) == (sum(g + b for _, g, b in known), sum(b for _, _, b in known))
    assert row["budget_minutes"] > 0
    if not row["total"]:
        assert (row["consumed"], row["remaining"], row["status"]) == (None, None, "no_data")
        return
    assert row["consumed"] >= 0
    assert row["remaining"] <= 1
    assert row["consumed"] + row["remaining"] == pytest.approx(1, abs=1e-9 * max(1, row["consumed"]))
    spent = (row["consumed_minutes"], row["remaining_minutes"])
    assert sum(spent) == pytest.approx(row["budget_minutes"], abs=1e-9 * max(map(abs, spent)))
    assert row["remaining_events"] == pytest.approx(row["budget_events"] * row["remaining"], rel=1e-9, abs=1e-6)
    assert (row["status"] == "exhausted") == (row["remaining"] <= 0)


@few
@given(found=events(1), parts=st.lists(st.integers(1, 300), min_size=2, max_size=5))
def test_the_events_of_a_window_are_those_of_its_parts(found: list[Event], parts: list[int]) -> None:
    end = START + MINUTE * 1440
    whole = budget(objective(f"{sum(parts)}m"), found, end)
    at, seen = end, []
    for part in parts:
        seen.append(budget(objective(f"{part}m"), found, at))
        at -= MINUTE * part
    assert (at, end) == (whole["window_start"], whole["window_end"])
    for column in ("good", "bad", "total"):
        assert whole[column] == sum(row[column] for row in seen)


@few
@given(found=events(45, step=15), zone=st.sampled_from(ZONES), passed=st.integers(15, 45 * 1440))
def test_reports_of_days_add_up_to_those_of_their_months(found: list[Event], zone: str, passed: int) -> None:
    as_of = START + MINUTE * passed
    day, month = (
        rows_of(slo_reports_sql([objective(d, zone=zone)], {"web": START}, as_of, quarters=minutes(found)))
        for d in ("1d", "1M")
    )
    quarter = START + MINUTE * (passed // 15 * 15)
    known = [event for event in found if event[0] <= quarter]
    assert sum(row["total"] for row in month) == sum(good + bad for _, good, bad in known)
    for whole in month:
        own = [row for row in day if whole["period_start"] <= row["period_start"] < whole["period_end"]]
        for column in ("good", "bad", "total", "measured_minutes"):
            assert whole[column] == sum(row[column] for row in own)
    assert all(row["is_complete"] == (row["period_end"] <= as_of) for row in (*day, *month))
    assert all(0 <= row["coverage"] <= 1 for row in (*day, *month))


@few
@given(zone=st.sampled_from(ZONES), month=st.integers(1, 12), target=targets, share=st.floats(0.01, 1))
def test_a_months_budget_is_its_share_of_the_months_true_length(
    zone: str, month: int, target: str, share: float
) -> None:
    first = datetime(2026, month, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    after = datetime(2026 + month // 12, month % 12 + 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    length = (after - first) / MINUTE
    wanted = objective("1M", target, zone)
    as_of = first + MINUTE * max(15, int(length * share))
    at_once = budget(wanted, [], as_of)
    (reported,) = rows_of(slo_reports_sql([wanted], {"web": first}, as_of, quarters=minutes([])))
    assert (at_once["window_start"], at_once["window_end"]) == (first, after)
    assert (reported["period_start"], reported["period_end"]) == (first, after)
    for row in (at_once, reported):
        assert row["budget_minutes"] == pytest.approx(float(wanted.budget) * length, rel=1e-12)


@few
@given(found=events(3), length=st.sampled_from(("5m", "90m", "1d", "2d")), target=targets, end=st.integers(1, 3 * 1440))
def test_the_burn_rate_over_the_whole_window_is_what_its_budget_has_spent(
    found: list[Event], length: str, target: str, end: int
) -> None:
    wanted, as_of = objective(length, target), START + MINUTE * end
    counts = minutes(found, ts="minute")
    whole = {"all": wanted.window.nominal}
    rates = rows_of(burn_rates_sql([wanted], counts, as_of - MINUTE, as_of, whole))
    rate = rates[0]["burn_all"] if rates else None
    spent = budget(wanted, found, as_of)["consumed"]
    assert rate == (None if spent is None else pytest.approx(spent, rel=1e-12))


def chunked(table: str, counts: list[Row], days: list[int]) -> list[Row]:
    """The rows of a fact, computed in the spans between these days of March."""
    found: list[Row] = []
    for first, after in pairwise(days):
        given = {REGISTRY: declared(document("30d", "0.99")), "sre.sli_1m": counts}
        found += compute(table, given, {"day_start": date(2026, 3, first), "day_end": date(2026, 3, after)})
    return found


def alerts(counts: list[Row], evidence: list[Row], as_of: datetime) -> list[Row]:
    given = {
        "sre.slos": [{"slo_id": "web", "service": "shop"}],
        "sre.sli_1m": counts,
        "sre.alert_minutes": evidence,
    }
    return compute("sre.alerts", given, {"as_of": as_of})


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    bursts=st.lists(
        st.tuples(st.sampled_from((1370, 1379, 1380, 1430, 1439, 1440, 1441, 1490)), st.integers(1, 100)),
        min_size=1,
        max_size=4,
        unique_by=lambda burst: burst[0],
    ),
    asked=st.integers(1380, 1600),
)
def test_evidence_and_alerts_are_the_same_however_days_are_grouped(bursts: list[tuple[int, int]], asked: int) -> None:
    counts = [
        {"slo_id": "web", "ts": START + MINUTE * at, "good": 1000 - 10 * bad, "bad": 10 * bad, "total": 1000}
        for at, bad in sorted(bursts)
    ]
    together, alone = (chunked("sre.alert_minutes", counts, days) for days in ([1, 3], [1, 2, 3]))
    assert sorted(alone, key=lambda row: (row["alert"], row["ts"])) == together
    as_of = START + MINUTE * asked
    assert alerts(counts, together, as_of) == alerts(counts, alone, as_of)
    rates = chunked("sre.burn_rates", counts, [1, 3])
    assert chunked("sre.burn_rates", counts, [1, 2, 3]) == rates
