from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cogniforge_pipeline.sre.windows import Window, alert_windows, fires, periods_between, window_at

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]

moments = st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
calendar_windows = st.builds(
    Window,
    st.integers(1, 4),
    st.sampled_from("hdwMQY"),
    st.datetimes(datetime(2010, 1, 1), datetime(2020, 12, 31)).map(lambda moment: moment.replace(microsecond=0)),
    st.sampled_from(ZONES),
)


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@given(calendar_windows, moments)
@example(Window(1, "d", datetime(2011, 12, 1, 0, 0), "Pacific/Apia"), at("2011-12-30 10:00"))
@example(Window(1, "d", datetime(2024, 1, 1, 2, 30), "Europe/Berlin"), at("2024-03-31 01:30"))
def test_a_calendar_window_holds_the_moment_it_was_asked_for(window: Window, as_of: datetime) -> None:
    start, end = window_at(window, as_of)

    assert start < as_of <= end
    assert window_at(window, end) == (start, end)
    assert window_at(window, start)[1] == start


@given(calendar_windows, moments, st.integers(0, 900))
@example(Window(1, "d", datetime(2011, 12, 1, 0, 0), "Pacific/Apia"), at("2011-12-20 10:00"), 40)
def test_periods_part_time_without_hole_or_overlap(window: Window, start: datetime, days: int) -> None:
    end = start + min(timedelta(days=days), 200 * window.nominal)

    periods = periods_between(window, start, end)

    assert all(first < last for first, last in periods)
    assert all(one[1] == next_one[0] for one, next_one in pairwise(periods))
    if start < end:
        assert periods[0][0] <= start < periods[0][1]
        assert periods[-1][0] < end <= periods[-1][1]
        assert all(window_at(window, last) == (first, last) for first, last in periods)
    else:
        assert periods == []


@given(st.sampled_from(["5m", "12h", "30d", "4w", "1M", "1Q", "1Y"]), moments)
def test_a_rolling_window_ends_when_asked_and_has_a_fixed_length(duration: str, as_of: datetime) -> None:
    window = Window.parse(duration)
    start, end = window_at(window, as_of)

    assert end == as_of
    assert end - start == window.nominal


@pytest.mark.parametrize(
    ("duration", "zone", "as_of", "start", "end"),
    [
        ("1d", "Europe/Berlin", "2024-03-31 12:00", "2024-03-30 23:00", "2024-03-31 22:00"),
        ("1d", "Europe/Berlin", "2024-10-27 12:00", "2024-10-26 22:00", "2024-10-27 23:00"),
        ("1M", "America/New_York", "2024-03-20 00:00", "2024-03-01 05:00", "2024-04-01 04:00"),
        ("1w", "UTC", "2024-05-15 00:00", "2024-05-13 00:00", "2024-05-20 00:00"),
        ("1Q", "UTC", "2024-05-15 00:00", "2024-04-01 00:00", "2024-07-01 00:00"),
        ("1Y", "Asia/Kolkata", "2024-05-15 00:00", "2023-12-31 18:30", "2024-12-31 18:30"),
        ("1M", "UTC", "2024-03-01 00:00", "2024-02-01 00:00", "2024-03-01 00:00"),
    ],
)
def test_calendar_windows_follow_the_wall_clock_of_their_zone(
    duration: str, zone: str, as_of: str, start: str, end: str
) -> None:
    assert window_at(Window.aligned(duration, zone), at(as_of)) == (at(start), at(end))


def test_months_that_start_on_the_31st_start_on_the_last_day_of_shorter_months() -> None:
    window = Window.parse("1M", datetime(2023, 12, 31))

    periods = periods_between(window, at("2024-01-15"), at("2024-05-01"))

    assert [first.strftime("%m-%d") for first, _ in periods] == ["12-31", "01-31", "02-29", "03-31", "04-30"]


def test_a_day_that_a_zone_skips_is_no_period() -> None:
    periods = periods_between(Window.aligned("1d", "Pacific/Apia"), at("2011-12-29 12:00"), at("2011-12-31 12:00"))

    assert all(last - first == DAY for first, last in periods)
    assert len(periods) == 3


@pytest.mark.parametrize("text", ["", "0d", "1s", "-1d", "1.5h", "1 d", "d", "1D", "99999999d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        Window.parse(text)


def test_windows_refuse_unknown_zones_and_times_without_a_zone() -> None:
    with pytest.raises(ValueError, match="Europe/Berlin, got 'Mars/Base'"):
        Window.aligned("1d", "Mars/Base")
    with pytest.raises(ValueError, match="time zone"):
        window_at(Window.parse("30d"), datetime(2024, 1, 1))
    with pytest.raises(ValueError, match="no periods"):
        periods_between(Window.parse("30d"), at("2024-01-01"), at("2024-02-01"))
    with pytest.raises(ValueError, match="10Y"):
        Window.parse("11Y")


@pytest.mark.parametrize(
    ("days", "factors"),
    [
        (30, ["14.4", "6", "3", "1"]),
        (28, ["13.44", "5.6", "2.8", "14/15"]),
        (31, ["14.88", "6.2", "3.1", "31/30"]),
        (90, ["43.2", "18", "9", "3"]),
        (7, ["3.36", "1.4"]),
        (1, []),
    ],
)
def test_alert_factors_are_the_budget_share_times_period_over_long_window(days: int, factors: list[str]) -> None:
    assert [alert.factor for alert in alert_windows(days * DAY)] == [Fraction(factor) for factor in factors]


def test_alert_windows_of_thirty_days_are_those_of_the_workbook() -> None:
    found = [(a.severity, a.share, a.long, a.short) for a in alert_windows(30 * DAY)]

    assert found == [
        ("page", Fraction(1, 50), HOUR, timedelta(minutes=5)),
        ("page", Fraction(1, 20), 6 * HOUR, timedelta(minutes=30)),
        ("ticket", Fraction(1, 10), DAY, 2 * HOUR),
        ("ticket", Fraction(1, 10), 3 * DAY, 6 * HOUR),
    ]


@given(st.integers(28, 3650), st.integers(1, 7))
def test_factors_scale_exactly_with_the_period(days: int, times: int) -> None:
    one, many = alert_windows(days * DAY), alert_windows(times * days * DAY)

    assert [alert.factor * times for alert in one] == [alert.factor for alert in many]


@given(st.integers(1, 3650))
def test_burning_at_the_factor_throughout_the_long_window_spends_the_stated_share(days: int) -> None:
    for alert in alert_windows(days * DAY):
        assert alert.factor * Fraction(alert.long // HOUR, days * 24) == alert.share


def test_exactly_the_threshold_does_not_fire() -> None:
    budget = 1 - Fraction("0.999")
    factor = alert_windows(30 * DAY)[0].factor

    assert fires(144, 10_000, budget, factor) is False
    assert fires(145, 10_000, budget, factor) is True
    assert fires(144_000_000_001, 10_000_000_000_000, budget, factor) is True


def test_without_events_nothing_is_claimed() -> None:
    assert fires(0, 0, Fraction(1, 1000), Fraction(14)) is None


@given(st.integers(0, 10**12), st.integers(1, 10**12), st.integers(1, 99999))
def test_firing_agrees_with_exact_division(bad: int, total: int, millionths: int) -> None:
    budget = Fraction(millionths, 1_000_000)

    assert fires(bad, total, budget, Fraction(72, 5)) == (Fraction(bad, total) / budget > Fraction(72, 5))
