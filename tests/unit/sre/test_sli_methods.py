"""Time slices, composites and maintenance over the events of minutes."""

from __future__ import annotations

from math import isnan
from typing import Any

import pytest

from tests.support.sre_counts import BAD_RATIO, counted, objectives, source, telemetry

ERRORS = [0, 0, 1, 0, 0, 0, 8, 0, 0, 0]


def ten_minutes(errors: list[int] = ERRORS) -> Any:
    totals = [(n, 10 * n) for n in range(11)]
    return telemetry({"requests": totals, "errors": [(n, sum(errors[:n])) for n in range(11)]}, kind="counter")


def test_a_slice_is_good_where_its_ratio_reaches_the_slices_target() -> None:
    part = {"target": 0.9, "timeSliceTarget": 0.98, "timeSliceWindow": "5m"}
    found = objectives(BAD_RATIO, part, method="Timeslices")
    assert counted(ten_minutes(), found, 0, 10) == {5: (1, 0, 1), 10: (0, 1, 1)}


def test_ratio_slices_weigh_the_same_whatever_their_traffic() -> None:
    found = objectives(BAD_RATIO, {"target": 0.9, "timeSliceWindow": "5m"}, method="RatioTimeslices")
    counts = counted(ten_minutes(), found, 0, 10)
    assert counts[5] == pytest.approx((0.98, 0.02, 1))
    assert counts[10] == pytest.approx((0.84, 0.16, 1))


def test_a_slice_is_whole_even_where_the_asked_time_starts_within_it_and_open_ones_wait() -> None:
    part = {"target": 0.9, "timeSliceTarget": 0.98, "timeSliceWindow": "5m"}
    found = objectives(BAD_RATIO, part, method="Timeslices")
    assert counted(ten_minutes(), found, 7, 10) == {10: (0, 1, 1)}
    assert counted(ten_minutes(), found, 0, 9) == {5: (1, 0, 1)}


def test_a_slice_without_traffic_is_neither_good_nor_bad() -> None:
    cursor = telemetry({"requests": [(n, 5) for n in range(11)], "errors": [(n, 0) for n in range(11)]})
    part = {"target": 0.9, "timeSliceTarget": 0.98, "timeSliceWindow": "5m"}
    assert counted(cursor, objectives(BAD_RATIO, part, method="Timeslices"), 0, 10) == {}


def composite(method: str, **more: Any) -> Any:
    parts = [
        {
            "displayName": metric,
            "target": 0.9,
            "compositeWeight": weight,
            "indicator": {
                "metadata": {"name": metric},
                "spec": {"ratioMetric": {"bad": source(metric), "total": source("requests"), "counter": True}},
            },
            **more,
        }
        for metric, weight in (("one", 1), ("two", 3))
    ]
    return objectives(None, *parts, method=method)


def two_kinds_of_errors() -> Any:
    return telemetry(
        {
            "requests": [(n, 10 * n) for n in range(3)],
            "one": [(0, 0), (1, 1), (2, 1)],
            "two": [(0, 0), (1, 0), (2, 2)],
        }
    )


def test_a_composite_of_occurrences_is_the_weighted_sum_of_its_members() -> None:
    assert counted(two_kinds_of_errors(), composite("Occurrences"), 0, 2) == {1: (39, 1, 40), 2: (34, 6, 40)}


def test_a_composite_of_slices_is_bad_where_any_member_is() -> None:
    found = composite("Timeslices", timeSliceTarget=0.9, timeSliceWindow="1m")
    assert counted(two_kinds_of_errors(), found, 0, 2) == {1: (1, 0, 1), 2: (0, 1, 1)}


def test_a_composite_of_ratio_slices_is_the_weighted_mean() -> None:
    counts = counted(two_kinds_of_errors(), composite("RatioTimeslices", timeSliceWindow="1m"), 0, 2)
    assert counts[1] == pytest.approx(((0.9 + 3) / 4, 0.1 / 4, 1))


def test_minutes_with_a_moment_of_maintenance_have_no_events() -> None:
    found = objectives(BAD_RATIO, maintenance="2024-05-01T00:02:30Z/2024-05-01T00:07:00Z")
    assert sorted(counted(ten_minutes(), found, 0, 10)) == [1, 2, 8, 9, 10]


@pytest.mark.parametrize("method", ["Timeslices", "RatioTimeslices"])
def test_a_slice_with_a_share_outside_0_to_1_is_unknown_and_so_is_its_composite(method: str) -> None:
    cursor = telemetry({"one": [(1, 1), (2, 99.5), (3, 1)], "two": [(1, 1), (2, 1), (3, 1)]}, kind="gauge")
    slices = {"timeSliceWindow": "1m"} | ({"timeSliceTarget": 0.9} if method == "Timeslices" else {})
    parts = [
        {
            "displayName": metric,
            "target": 0.9,
            "compositeWeight": 1,
            "indicator": {
                "metadata": {"name": metric},
                "spec": {"ratioMetric": {"raw": source(metric), "rawType": "success"}},
            },
            **slices,
        }
        for metric in ("one", "two")
    ]
    found = objectives(None, *parts, method=method)
    counts = counted(cursor, found, 0, 3)
    assert [isnan(counts[n][0]) for n in (1, 2, 3)] == [False, True, False]
    member = next(o.slo_id for o in found if not o.members)
    assert isnan(counted(cursor, found, 0, 3, member)[2][0])
