"""When alerts fire and clear."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.sre.burn_alerts import alert_episodes_sql, alert_minutes_sql, rule_windows
from cogniforge_pipeline.sre.burn_rate import window_sums_sql
from cogniforge_pipeline.sre.objectives import BurnPolicy, Objective
from cogniforge_pipeline.sre.sli import minute_counts_sql
from tests.support.sre_counts import BAD_RATIO, START, minute, objectives, telemetry


def episodes(cursor: Any, found: tuple[Objective, ...], last: int, **options: Any) -> dict[str, list[tuple[Any, ...]]]:
    """By alert: fired, cleared (minutes after START), peak, spent at fire, spent."""
    end = minute(last)
    cursor.execute(f"CREATE OR REPLACE TABLE counts AS {minute_counts_sql(found, minute(-1), end)}")
    sums = window_sums_sql("counts", minute(-1), end, rule_windows(found, end))
    cursor.execute(f"CREATE OR REPLACE TABLE sums AS {sums}")
    result: dict[str, list[tuple[Any, ...]]] = {}
    cursor.execute(f"CREATE OR REPLACE TABLE held AS {alert_minutes_sql(found, 'sums', end, **options)}")
    for row in cursor.execute(alert_episodes_sql("held", literal(end))).fetchall():
        fired, cleared = ((at - START) / timedelta(minutes=1) if at else None for at in row[6:8])
        result.setdefault(row[1], []).append((fired, cleared, *row[8:]))
    return result


def deltas(minutes: int, requests: int, errors: dict[range, int]) -> Any:
    bad = [(n, next((count for when, count in errors.items() if n in when), 0)) for n in range(minutes)]
    return telemetry({"requests": [(n, requests) for n in range(minutes)], "errors": bad}, kind="delta")


def test_a_rate_exactly_at_the_limit_never_fires_and_one_event_more_does() -> None:
    found = objectives(BAD_RATIO, target=0.999)
    exactly = deltas(120, 10_000, {range(120): 144})
    assert "page-1h" not in episodes(exactly, found, 119)
    above = deltas(120, 10_000, {range(119): 144, range(119, 120): 145})
    assert episodes(above, found, 119)["page-1h"][0][:2] == (119, None)


def test_a_page_fires_when_the_long_window_is_above_and_clears_with_the_short_one() -> None:
    found = objectives(BAD_RATIO, target=0.99)
    (episode,) = episodes(deltas(200, 1000, {range(100, 130): 1000}), found, 199)["page-1h"]
    # over an hour 14.4 % of 60,000: 9 minutes of 1,000 are 9,000 > 8,640
    assert episode[:2] == (108, 134)
    assert episode[2] == pytest.approx(100 * 30 / 60)
    assert episode[3] == pytest.approx(100 * 9 / 60 * 60 / 43200)
    # the 9 minutes before and the 21 after it fired, of 30 days' 432 minutes
    assert episode[4] == pytest.approx(30 / 432)


def test_an_alert_that_still_holds_at_the_end_is_not_cleared() -> None:
    found = objectives(BAD_RATIO, target=0.99)
    (episode,) = episodes(deltas(130, 1000, {range(100, 130): 1000}), found, 129)["page-1h"]
    assert episode[:2] == (108, None)


def test_one_failure_in_ten_requests_does_not_page_but_three_do() -> None:
    found = objectives(BAD_RATIO, target=0.999)
    quiet = {"requests": [(n, 1) for n in range(0, 60, 6)]}
    one = telemetry({**quiet, "errors": [(54, 1)]}, kind="delta")
    assert episodes(one, found, 60) == {}
    assert "page-1h" in episodes(one, found, 60, chance=None)
    three = telemetry({**quiet, "errors": [(42, 1), (48, 1), (54, 1)]}, kind="delta")
    assert "page-1h" in episodes(three, found, 60)


@pytest.mark.parametrize("target", [0.9, 0.99, 0.999, 0.9999, 0.999999])
def test_one_failure_is_never_evidence_whatever_the_target(target: float) -> None:
    cursor = telemetry({"requests": [(n, 1) for n in range(10)], "errors": [(9, 1)]}, kind="delta")
    assert episodes(cursor, objectives(BAD_RATIO, target=target), 12) == {}


def test_below_the_declared_minimum_of_events_no_alert_fires() -> None:
    cursor = deltas(60, 10, {range(60): 10})
    assert "page-1h" in episodes(cursor, objectives(BAD_RATIO, target=0.99, minimum_events="600"), 59)
    assert episodes(cursor, objectives(BAD_RATIO, target=0.99, minimum_events="601"), 59) == {}


def test_without_events_an_alert_clears() -> None:
    cursor = deltas(60, 1000, {range(60): 1000})
    (episode,) = episodes(cursor, objectives(BAD_RATIO, target=0.99), 80)["page-1h"]
    assert episode[:2] == (0, 64)


def test_a_28_day_budget_pages_at_13_44_times_and_not_at_14() -> None:
    cursor = deltas(120, 10_000, {range(120): 1400})
    assert "page-1h" in episodes(cursor, objectives(BAD_RATIO, target=0.99, window="28d"), 119)
    assert "page-1h" not in episodes(cursor, objectives(BAD_RATIO, target=0.99, window="30d"), 119)


def test_a_declared_alert_fires_only_after_its_condition_held_for_the_time_asked() -> None:
    policy = BurnPolicy("declared", "page", "gte", Fraction(2), timedelta(minutes=5), timedelta(minutes=3))
    found = tuple(replace(one, policies=(policy,)) for one in objectives(BAD_RATIO, target=0.9))
    cursor = deltas(60, 1000, {range(10, 12): 900, range(30, 40): 900})
    # 900 bad ones in five minutes' 5,000 burn at 1.8; the second minute of them makes 3.6
    assert [row[:2] for row in episodes(cursor, found, 59)["declared"]] == [(14, 15), (34, 43)]


def test_evidence_kept_day_by_day_gives_the_same_episodes_as_evidence_of_the_whole_time() -> None:
    found, end = objectives(BAD_RATIO, target=0.99), minute(199)
    cursor = deltas(200, 1000, {range(100, 130): 1000})
    whole = episodes(cursor, found, 199)
    held = alert_minutes_sql(found, "sums", end)
    for number, (first, last) in enumerate(((-1, 110), (110, 120), (120, 199))):
        part = window_sums_sql("counts", minute(first), minute(last), rule_windows(found, end))
        days = alert_minutes_sql(found, f"({part})", minute(last))
        cursor.execute(f"{'INSERT INTO days' if number else 'CREATE TABLE days AS'} {days}")
    assert cursor.execute(f"FROM days EXCEPT ({held})").fetchall() == []
    assert cursor.execute(f"({held}) EXCEPT FROM days").fetchall() == []
    rows = cursor.execute(alert_episodes_sql("days", literal(end))).fetchall()
    assert {row[1]: row[8:] for row in rows} == {alert: rows[0][2:] for alert, rows in whole.items()}


def test_a_rule_that_changes_while_an_alert_fires_does_not_end_it() -> None:
    cursor = deltas(60, 1000, {range(60): 1000})
    month, end = objectives(BAD_RATIO, target=0.99), minute(59)
    other = objectives(BAD_RATIO, target=0.99, window="28d")
    for number, (found, first, last) in enumerate(((month, -1, 30), (other, 30, 59))):
        cursor.execute(f"CREATE OR REPLACE TABLE counts AS {minute_counts_sql(found, minute(-1), end)}")
        sums = window_sums_sql("counts", minute(first), minute(last), rule_windows(found, end))
        days = alert_minutes_sql(found, f"({sums})", end)
        cursor.execute(f"{'INSERT INTO days' if number else 'CREATE TABLE days AS'} {days}")
    assert cursor.execute("SELECT count(DISTINCT factor) FROM days WHERE alert = 'page-1h'").fetchall() == [(2,)]
    rows = cursor.execute(alert_episodes_sql("days", literal(minute(59.5)))).fetchall()
    (page,) = (row for row in rows if row[1] == "page-1h")
    assert page[5:8] == (14.4, minute(0), None)


def test_minutes_of_evidence_hold_their_own_events_so_that_they_add_up() -> None:
    found, end = objectives(BAD_RATIO, target=0.99), minute(59)
    cursor = deltas(60, 1000, {range(60): 400})
    episodes(cursor, found, 59)
    rows = cursor.execute(
        f"SELECT ts, bad, total FROM ({alert_minutes_sql(found, 'sums', end)}) WHERE alert = 'page-1h'"
    )
    assert sorted(rows.fetchall()) == [(minute(n), 400, 1000) for n in range(60)]
