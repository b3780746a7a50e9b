"""Plans of resources: which series are some, what their demand is, and which of them a service runs out of first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from cogniforge_pipeline.aiops.capacity_rows import Measured, limit_of, plans, rows
from cogniforge_pipeline.aiops.planning_model import BUILT_IN, Capacity, Forecasting, capacity_of

AS_OF = datetime(2026, 3, 20, 10, 30, tzinfo=UTC)
HOURS = np.arange(20 * 24.0)
DAY = 0.5 + 0.3 * np.sin(2 * np.pi * HOURS / 24)


def series(metric: str = "cpu", **about: Any) -> Measured:
    known = {"series_id": 1, "service": "web", "metric_type": "cpu_usage", "unit": "%", "labels": {}}
    return Measured(metric=metric, **{**known, "values": 100 * DAY, "forecast": None, **about})


def capacity(**declared: Any) -> Capacity:
    return Capacity.model_validate({"name": "web", "services": ["web"], **declared})


def certain(value: float, hours: int = 24) -> np.ndarray:
    return np.full((5, hours), value)


@pytest.mark.parametrize(
    "metric, about, limit",
    [
        ("cpu", {"unit": "%"}, 100),
        ("cpu_percent", {"unit": None}, 100),
        ("load", {"unit": None}, None),
        ("used", {"unit": "1"}, 1),
        ("errors", {"unit": "1", "metric_type": "error_rate"}, None),
        ("heap", {"unit": "By", "metric_type": "memory_usage"}, 4096),
    ],
)
def test_a_limit_is_declared_or_follows_from_the_unit(metric: str, about: dict[str, Any], limit: float | None) -> None:
    assert limit_of(series(metric, **about), capacity(limits=[{"metric": "heap", "limit": 4096}])) == limit


def test_a_declaration_that_names_the_service_comes_before_one_for_all_and_the_built_in() -> None:
    for_all, own = capacity(name="a", services="*", units=3), capacity(name="b", units=5)
    assert capacity_of("web", [for_all, own]) is own
    assert capacity_of("api", [own, for_all]) is for_all
    assert capacity_of("api", [own]) is BUILT_IN


@pytest.mark.parametrize(
    "declared, words",
    [
        ({"limits": [{"metric": "a", "limit": 1}, {"metric": "a", "limit": 2}]}, "two limits"),
        ({"units": 0}, "greater than or equal to 1"),
        ({"replicas": 3}, "Extra inputs"),
        ({"limits": [{"metric": "a", "limit": 0}]}, "greater than 0"),
    ],
)
def test_what_makes_no_sense_is_refused(declared: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        capacity(**declared)
    with pytest.raises(ValidationError, match="less than or equal to 72"):
        Forecasting(horizon_hours=73)


def test_units_follow_from_the_forecast_times_the_units_that_share_the_load() -> None:
    [planned] = plans([series(forecast=certain(90))], [capacity(units=10)])
    assert planned.source == "forecast"
    assert planned.plan.units_needed == 13  # .9 of 10 units, 15 % more, over .8
    assert planned.plan.breach_probability == 0


def test_a_service_is_as_short_as_its_shortest_resource() -> None:
    tight = series("disk", series_id=2, metric_type="disk_usage", forecast=certain(95))
    made = rows(plans([series(forecast=certain(40)), tight], []), AS_OF)
    assert [(row["resource"], row["bottleneck"], row["units_needed"]) for row in made] == [
        ("cpu", False, 1),
        ("disk", True, 2),
    ]


def test_load_follows_from_the_requests_where_history_shows_how() -> None:
    """Demand is forecast to double; processor time follows it in proportion beside what runs idle."""
    rate = series(
        "requests", series_id=2, metric_type="request_rate", unit=None, values=200 * DAY, forecast=certain(300)
    )
    cpu = series(values=5 + 40 * DAY, forecast=certain(20))
    [planned] = plans([cpu, rate], [])
    assert (planned.demand_unit, planned.plan.scaling, planned.plan.scaling_trusted) == ("request/s", "linear", True)
    assert planned.plan.demand_p50 == pytest.approx(300)
    assert planned.plan.utilisation_now == pytest.approx(0.05 + 0.4 * 300 * 1.15 / 200, rel=0.02)


def test_what_does_not_follow_the_requests_is_planned_by_its_own_forecast() -> None:
    random = np.random.default_rng(0)
    rate = series(
        "requests", series_id=2, metric_type="request_rate", unit=None, values=random.uniform(1, 9, len(HOURS))
    )
    [planned] = plans([series(forecast=certain(20)), rate], [])
    assert planned.demand_unit == "unit" and planned.plan.demand_p50 == pytest.approx(0.2)
    assert "how it scales with requests is not known" in planned.plan.reason


def test_of_two_counts_of_the_same_requests_one_is_taken() -> None:
    rate = series(
        "requests", series_id=2, metric_type="request_rate", unit=None, values=200 * DAY, forecast=certain(100)
    )
    part = replace(rate, series_id=3, labels={"code": "500"}, values=2 * DAY, forecast=certain(1))
    again = replace(rate, metric="http_count", series_id=4, values=np.where(HOURS > 400, 200 * DAY, np.nan))
    [planned] = plans([series(values=5 + 40 * DAY), rate, part, again], [])
    assert planned.plan.demand_p50 == pytest.approx(101)


def test_a_slow_leak_runs_out_beyond_the_forecast() -> None:
    leak = series("disk", metric_type="disk_usage", values=50 + HOURS / 24, forecast=certain(70))
    [row] = rows(plans([leak], []), AS_OF)
    assert row["hours_to_exhaustion"] is None  # in thirty days, which is further than twenty days of history tell
    nearer = replace(leak, values=75 + HOURS / 24)
    [row] = rows(plans([nearer], []), AS_OF)
    assert row["hours_to_exhaustion"] == pytest.approx(5 * 24, abs=24)
    assert "the trend of 20 days" in row["reason"]


def test_too_little_history_makes_no_plan() -> None:
    assert plans([series(values=np.r_[np.full(400, np.nan), np.full(19, 50.0)])], []) == []
