"""Sums and burn rates over windows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.sre.burn_rate import WINDOWS, burn_rates_sql, window_name, window_sums_sql
from cogniforge_pipeline.sre.sli import minute_counts_sql
from tests.support.sre_counts import BAD_RATIO, START, minute, objectives, telemetry

FIVE = {"5m": timedelta(minutes=5)}


def rates(cursor: Any, last: int, windows: dict[str, timedelta] = FIVE, first: int = -1) -> dict[int, Any]:
    """Rates by minutes after START, for a target of 90 %."""
    found = objectives(BAD_RATIO)
    cursor.execute(f"CREATE OR REPLACE TABLE counts AS {minute_counts_sql(found, minute(-100), minute(last))}")
    rows = cursor.execute(burn_rates_sql(found, "counts", minute(first), minute(last), windows)).fetchall()
    return {round((row[1] - START) / timedelta(minutes=1)): row[2] if len(row) == 3 else row[2:] for row in rows}


def steady(minutes: range, per_minute: int = 10, bad: int = 1) -> Any:
    return telemetry({"requests": [(n, per_minute * n) for n in minutes], "errors": [(n, bad * n) for n in minutes]})


def test_one_in_ten_bad_at_a_target_of_90_percent_burns_at_1_in_all_windows() -> None:
    found = rates(steady(range(20)), 19, dict(WINDOWS))
    assert found[0] == (None,) * 8
    assert found[19] == pytest.approx((1.0,) * 8)


def test_a_window_holds_its_end_and_not_its_start() -> None:
    points = {"requests": [(n, n) for n in range(20)], "errors": [(n, 0 if n < 10 else 1) for n in range(20)]}
    found = rates(telemetry(points), 19)
    assert sorted(n for n, rate in found.items() if rate) == [10, 11, 12, 13, 14]
    assert found[10] == found[14] == pytest.approx(2.0)


def test_a_window_wholly_in_a_gap_or_without_traffic_has_no_rate() -> None:
    gap = rates(steady(range(0, 60, 30)), 40)
    assert {n for n, rate in gap.items() if rate is None} == set(range(41))
    idle = telemetry({"requests": [(n, min(n, 3)) for n in range(20)], "errors": [(n, 0) for n in range(20)]})
    found = rates(idle, 19)
    assert found[7] == 0
    assert found[8] is None


def test_growth_over_a_gap_counts_only_in_windows_that_hold_the_whole_gap() -> None:
    minutes = [0, 1, 2, 10, 11, 12]
    cursor = telemetry(
        {"requests": [(n, 10 * n) for n in minutes], "errors": [(n, 0 if n < 10 else 80) for n in minutes]}
    )
    found = rates(cursor, 12, {"5m": timedelta(minutes=5), "10m": timedelta(minutes=10)})
    assert found[10] == (None, pytest.approx(80 / 100 * 10))
    assert found[11] == (0, pytest.approx(80 / 100 * 10))
    assert found[12] == (0, pytest.approx(80 / 100 * 10))


def test_a_gap_of_one_instance_takes_nothing_from_the_others() -> None:
    up, down = range(30), [0, 25, 26]
    cursor = telemetry(
        {
            "requests:a": [(n, 10 * n) for n in up],
            "requests:b": [(n, 1000 * n) for n in down],
            "errors:a": [(n, n) for n in up],
            "errors:b": [(n, 0) for n in down],
        }
    )
    found = rates(cursor, 26)
    assert found[20] == found[24] == found[25] == pytest.approx(1.0)
    assert found[26] == pytest.approx(5 / 1050 * 10)


def test_fractions_of_events_are_summed_to_a_millionth() -> None:
    cursor = telemetry({"requests": [(n, 1) for n in range(10)], "errors": [(n, 0.1) for n in range(10)]}, kind="delta")
    assert rates(cursor, 9)[9] == 1.0


def naive(points: list[tuple[int, int]], at: int, length: int) -> float | None:
    """Growth between the first and the last sample from at - length to at."""
    inside = [value for when, value in points if at - length <= when <= at]
    return float(sum(b if b < a else b - a for a, b in zip(inside, inside[1:], strict=False)))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 70), st.integers(0, 30)), max_size=40, unique_by=lambda point: point[0]),
    st.lists(st.tuples(st.integers(0, 70), st.integers(0, 30)), max_size=40, unique_by=lambda point: point[0]),
    st.integers(0, 59),
)
def test_sums_are_what_each_series_grew_from_its_first_to_its_last_sample_in_the_window(
    one: list[tuple[int, int]], two: list[tuple[int, int]], offset: int
) -> None:
    seconds = [[(60 * at + offset, value) for at, value in sorted(points)] for points in (one, two)]
    named = {f"requests:{n}": [(at / 60, value) for at, value in points] for n, points in enumerate(seconds)}
    cursor = telemetry({**named, "errors": [(0, 0)]})
    cursor.execute(f"CREATE TABLE counts AS {minute_counts_sql(objectives(BAD_RATIO), minute(-1), minute(75))}")
    windows = {"5m": timedelta(minutes=5), "30m": timedelta(minutes=30)}
    sums = window_sums_sql("counts", minute(-1), minute(75), windows)
    epoch = int(START.timestamp() // 60)
    for at, short, long in cursor.execute(f"SELECT minute - {epoch}, total_5m, total_30m FROM ({sums})").fetchall():
        for length, found in ((5, short), (30, long)):
            expected = sum(naive(points, 60 * at, 60 * length) or 0 for points in seconds)
            assert found == expected * 1_000_000, (at, length)


def test_a_part_of_the_time_gives_the_same_rates_as_all_of_it() -> None:
    cursor = steady(range(0, 200, 3))
    windows = {"5m": timedelta(minutes=5), "1h": timedelta(hours=1)}
    whole = rates(cursor, 190, windows)
    part = rates(cursor, 190, windows, first=150)
    assert sorted(part) == list(range(151, 191))
    assert part == {at: whole[at] for at in part}


def test_a_window_is_named_by_its_largest_unit_and_has_whole_minutes() -> None:
    assert [window_name(length) for length in WINDOWS.values()] == list(WINDOWS)
    assert window_name(timedelta(minutes=90)) == "90m"
    with pytest.raises(ValueError, match="whole minutes"):
        window_name(timedelta(seconds=90))
