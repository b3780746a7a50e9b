"""Events of each kind of source, minute by minute."""

from __future__ import annotations

from datetime import timedelta
from math import nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.sre.sli import minute_counts_sql
from tests.support.sre_counts import BAD_RATIO, counted, minute, objectives, source, telemetry


def test_a_counters_growth_belongs_to_the_minute_of_the_later_sample() -> None:
    cursor = telemetry({"requests": [(0, 100), (1, 110), (2, 130)], "errors": [(0, 5), (1, 5), (2, 6)]})
    assert counted(cursor, objectives(BAD_RATIO), -1, 2) == {0: (0, 0, 0), 1: (10, 0, 10), 2: (19, 1, 20)}


def test_after_a_reset_a_counter_grew_by_its_new_value() -> None:
    cursor = telemetry({"requests": [(0, 100), (1, 110), (2, 7), (3, 9)], "errors": [(0, 5), (1, 6), (2, 2), (3, 2)]})
    assert counted(cursor, objectives(BAD_RATIO), 0, 3) == {1: (9, 1, 10), 2: (5, 2, 7), 3: (2, 0, 2)}


def test_minutes_in_a_gap_have_no_row_and_the_growth_is_kept_with_where_it_began() -> None:
    cursor = telemetry({"requests": [(0, 0), (1, 10), (5, 50)], "errors": [(0, 0), (1, 1), (5, 3)]})
    sql = minute_counts_sql(objectives(BAD_RATIO), minute(0), minute(5))
    rows = cursor.execute(f"SELECT minute, bad, total, gaps FROM ({sql}) ORDER BY minute").fetchall()
    assert [row[:3] for row in rows] == [(minute(1), 1, 10), (minute(5), 2, 40)]
    assert rows[0][3] is None
    assert rows[1][3] == [{"since": minute(2), "bad": 2, "total": 40}]


def test_a_sample_on_the_whole_minute_belongs_to_it_and_one_a_second_later_to_the_next() -> None:
    cursor = telemetry({"requests": [(0, 0), (1, 10), (1 + 1 / 60, 14)], "errors": [(0, 0)]})
    assert counted(cursor, objectives(BAD_RATIO), 0, 2) == {1: (10, 0, 10), 2: (4, 0, 4)}


def test_all_series_of_a_metric_count_together_each_with_its_own_resets() -> None:
    requests = {"requests:a": [(0, 0), (1, 10), (2, 1)], "requests:b": [(0, 50), (1, 60), (2, 70)]}
    cursor = telemetry({**requests, "errors:a": [(0, 0), (1, 1), (2, 1)]})
    assert counted(cursor, objectives(BAD_RATIO), 0, 2) == {1: (19, 1, 20), 2: (11, 0, 11)}


def test_a_minute_that_two_days_share_is_counted_once_and_growth_over_midnight_is_not_lost() -> None:
    cursor = telemetry({"requests": [(n, 10 * n) for n in range(10)], "errors": [(n, n) for n in range(10)]})
    found = objectives(BAD_RATIO)
    assert counted(cursor, found, 0, 5) | counted(cursor, found, 5, 9) == counted(cursor, found, 0, 9)


def test_deltas_count_as_they_are_whether_the_series_says_so_or_the_slo() -> None:
    points = {"requests": [(1, 10), (2, 4)], "errors": [(1, 1), (2, 4)]}
    expected = {1: (9, 1, 10), 2: (0, 4, 4)}
    assert counted(telemetry(points, kind="delta"), objectives(BAD_RATIO), 0, 2) == expected
    plain = {"ratioMetric": {**BAD_RATIO["ratioMetric"], "counter": False}}
    assert counted(telemetry(points, kind="gauge"), objectives(plain), 0, 2) == expected


def test_good_over_total_counts_the_rest_as_bad() -> None:
    ratio = {"ratioMetric": {"good": source("fine"), "total": source("requests"), "counter": True}}
    cursor = telemetry({"requests": [(0, 0), (1, 10)], "fine": [(0, 0), (1, 7)]})
    assert counted(cursor, objectives(ratio), 0, 1) == {1: (7, 3, 10)}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 50)), min_size=2, max_size=25), st.integers(0, 40))
def test_minutes_add_up_to_what_the_counter_grew_wherever_the_time_is_cut(
    steps: list[tuple[int, int]], cut: int
) -> None:
    points, at, grown, total = [], 0.0, 0.0, 0.0
    for seconds, value in steps:
        at += seconds / 60
        if points:
            total += value if value < grown else value - grown
        grown = value
        points.append((at, float(value)))
    cursor = telemetry({"requests": points, "errors": points})
    found, last = objectives(BAD_RATIO), int(at) + 1
    middle = min(cut, last)
    parts = [*counted(cursor, found, -1, middle).values(), *counted(cursor, found, middle, last).values()]
    assert sum(part[2] for part in parts) == sum(part[1] for part in parts) == total


def test_a_raw_share_is_one_event_for_each_sample() -> None:
    cursor = telemetry({"share": [(0.5, 0.75), (1, 0.25), (2, 1)]}, kind="gauge")
    raw = {"ratioMetric": {"raw": source("share"), "rawType": "success"}}
    assert counted(cursor, objectives(raw), 0, 2) == {1: (1, 1, 2), 2: (1, 0, 1)}
    failure = {"ratioMetric": {"raw": source("share"), "rawType": "failure"}}
    assert counted(cursor, objectives(failure), 1, 2) == {2: (0, 1, 1)}


def test_a_raw_share_in_percent_makes_its_minute_unknown_and_no_other() -> None:
    cursor = telemetry({"share": [(0.5, 0.75), (1, 99.5), (2, 0.5)]}, kind="gauge")
    for raw_type in ("success", "failure"):
        raw = {"ratioMetric": {"raw": source("share"), "rawType": raw_type}}
        found = counted(cursor, objectives(raw), 0, 2)
        assert found == {1: (pytest.approx(nan, nan_ok=True), pytest.approx(nan, nan_ok=True), 2), 2: (0.5, 0.5, 1)}


def test_a_threshold_judges_each_sample() -> None:
    cursor = telemetry({"latency": [(0.5, 100), (0.75, 300), (1, 300.5)]}, kind="gauge")
    latency = {"thresholdMetric": source("latency")}
    assert counted(cursor, objectives(latency, {"target": 0.9, "op": "lte", "value": 300}), 0, 2) == {1: (2, 1, 3)}


def test_age_counts_every_minute_from_the_first_sample_on_also_when_samples_stop() -> None:
    cursor = telemetry({"heartbeat": [(1, 1), (2, 1)]}, kind="gauge")
    age = {"thresholdMetric": source("heartbeat", measure="age")}
    found = counted(cursor, objectives(age, {"target": 0.9, "op": "lte", "value": 120}), 0, 5)
    assert found == {1: (1, 0, 1), 2: (1, 0, 1), 3: (1, 0, 1), 4: (1, 0, 1), 5: (0, 1, 1)}


def test_a_timestamps_age_is_measured_from_its_value() -> None:
    cursor = telemetry({"backup": [(1, minute(-2).timestamp()), (3, minute(3).timestamp())]}, kind="gauge")
    age = {"thresholdMetric": source("backup", measure="timestamp_age")}
    found = counted(cursor, objectives(age, {"target": 0.9, "op": "lt", "value": 180}), 0, 4)
    assert found == {1: (0, 1, 1), 2: (0, 1, 1), 3: (1, 0, 1), 4: (1, 0, 1)}


def test_a_users_select_gives_its_own_events() -> None:
    query = "SELECT TIMESTAMPTZ '2024-05-01 00:00:30+00' AS ts, 3 AS good, 4 AS total -- all of them"
    raw = {"ratioMetric": {"raw": {"metricSource": {"type": "sql", "spec": {"query": query}}}, "rawType": "success"}}
    assert counted(telemetry({}), objectives(raw), 0, 5) == {1: (3, 1, 4)}


def test_recorded_measurements_count_by_percent_or_by_compliance() -> None:
    cursor = telemetry({})
    cursor.execute(
        "CREATE TABLE records AS SELECT 'slo' AS slo_id, TIMESTAMPTZ '2024-05-01 00:01:00+00' AS ts, "
        "75.0 AS measured_value, true AS compliant UNION ALL SELECT 'other', now(), 1, false"
    )
    for measure, expected in (("percent", (0.75, 0.25, 1)), ("compliance", (1, 0, 1))):
        metric_source = {"type": "recorded", "spec": {"measure": measure}}
        raw = {"ratioMetric": {"raw": {"metricSource": metric_source}, "rawType": "success"}}
        assert counted(cursor, objectives(raw), 0, 5, recorded="records") == {1: expected}


def test_growth_is_seen_as_far_back_as_asked_for() -> None:
    cursor = telemetry({"requests": [(0, 10), (100, 40)], "errors": [(0, 0), (100, 3)]})
    found = objectives(BAD_RATIO)
    assert counted(cursor, found, 99, 100, reach=timedelta(hours=2)) == {100: (27, 3, 30)}
    assert counted(cursor, found, 99, 100, reach=timedelta(hours=1)) == {100: (0, 0, 0)}


def test_an_slo_of_another_system_and_no_slo_at_all_give_an_empty_table_of_the_same_shape() -> None:
    cursor = telemetry({"requests": [(0, 1)], "errors": [(0, 1)]})
    empty = cursor.execute(f"DESCRIBE {minute_counts_sql([], minute(0), minute(1))}").fetchall()
    full = cursor.execute(f"DESCRIBE {minute_counts_sql(objectives(BAD_RATIO), minute(0), minute(1))}").fetchall()
    assert [row[:2] for row in empty] == [row[:2] for row in full]
