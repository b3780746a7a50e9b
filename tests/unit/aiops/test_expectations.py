"""What a user declares as expected: when it holds, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from cogniforge_pipeline.aiops.expectations import Expectation, planned_between


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def expectation(**told: Any) -> Expectation:
    return Expectation(**{"name": "one", "type": "season", "reason": "because", **told})


def spans(told: Expectation, start: str, end: str) -> list[tuple[str, str]]:
    planned = planned_between([told], at(start), at(end))
    return [(f"{one.start:%Y-%m-%d %H:%M}", f"{one.end:%Y-%m-%d %H:%M}") for one in planned]


def test_a_weekly_window_holds_every_week() -> None:
    told = expectation(when="Sun 02:00-03:00 Europe/Berlin")
    assert spans(told, "2026-03-01", "2026-03-20") == [
        ("2026-03-01 01:00", "2026-03-01 02:00"),
        ("2026-03-08 01:00", "2026-03-08 02:00"),
        ("2026-03-15 01:00", "2026-03-15 02:00"),
    ]


def test_dates_are_whole_days_of_their_zone_and_without_a_year_hold_every_year() -> None:
    told = expectation(dates=["12-24/12-26", "2026-11-27"], timezone="Europe/Berlin")
    assert spans(told, "2026-11-01", "2027-12-25") == [
        ("2026-11-26 23:00", "2026-11-27 23:00"),
        ("2026-12-23 23:00", "2026-12-26 23:00"),
        ("2027-12-23 23:00", "2027-12-26 23:00"),
    ]


def test_a_season_may_reach_over_the_new_year_and_the_29th_of_february_is_in_leap_years_only() -> None:
    told = expectation(dates=["12-28/01-02"])
    assert spans(told, "2027-01-01", "2027-02-01") == [("2026-12-28 00:00", "2027-01-03 00:00")]
    assert spans(expectation(dates=["02-29"]), "2027-01-01", "2028-12-31") == [("2028-02-29 00:00", "2028-03-01 00:00")]


@pytest.mark.parametrize(
    "told, message",
    [
        ({}, "exactly one of when, dates and anomaly"),
        ({"when": "daily 01:00-02:00", "anomaly": "x"}, "exactly one of when, dates and anomaly"),
        ({"when": "sometimes"}, "expected maintenance such as"),
        ({"dates": ["2026-13-01"]}, "month must be in 1..12"),
        ({"dates": ["2026-02-29"]}, "day is out of range|day 29 must be in range"),
        ({"dates": ["02-30"]}, "day is out of range|day 30 must be in range"),
        ({"dates": ["2026-12-24/12-26"]}, "expected a date such as"),
        ({"dates": ["2026-12-26/2026-12-24"]}, "ends before it starts"),
        ({"dates": ["12-24"], "timezone": "Mars/Base"}, "expected an IANA time zone"),
        ({"dates": ["12-24"], "type": "whim"}, "maintenance"),
        ({"dates": ["12-24"], "since": "today"}, "Extra inputs"),
    ],
)
def test_what_cannot_be_meant_is_refused(told: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        expectation(**told)


def test_only_maintenance_is_told_as_such() -> None:
    assert [expectation(type=kind, anomaly="x").status for kind in ("maintenance", "season", "holiday", "expected")] == [
        "maintenance", "expected", "expected", "expected",
    ]  # fmt: skip
