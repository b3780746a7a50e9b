"""The stretch of time an objective is about, and the burn rates over it that are alarming.

Belongs here: rolling and calendar windows, periods, factors of burn alerts. Does not: rows, and what an alert does.

Windows are open at their start and closed at their end, (start, end], as Prometheus' ranges are: what a counter
grew until midnight belongs to the day that ended then. So a moment on a boundary is in the period that ends there.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

from cogniforge_pipeline.maintenance import Span, utc, zone_info

Unit = Literal["m", "h", "d", "w", "M", "Q", "Y"]

_SECONDS = {
    "m": 60,
    "h": 3600,
    "d": 86400,
    "w": 7 * 86400,
    "M": 30 * 86400,
    "Q": 90 * 86400,
    "Y": 365 * 86400,
}
_MONTHS = {"M": 1, "Q": 3, "Y": 12}
_ANCHORS = {"w": datetime(2001, 1, 1)}  # noqa: DTZ001 - local times; a Monday
_ANCHOR = datetime(2000, 1, 1)  # noqa: DTZ001


class AlertWindow(NamedTuple):
    """One pair of windows. The alert fires when the burn rates over both are above `factor`.

    `share` of the budget is spent when the whole long window burnt at exactly `factor`.
    """

    severity: str
    share: Fraction
    long: timedelta
    short: timedelta
    factor: Fraction


_PAIRS = (
    ("page", Fraction(2, 100), timedelta(hours=1)),
    ("page", Fraction(5, 100), timedelta(hours=6)),
    ("ticket", Fraction(10, 100), timedelta(days=1)),
    ("ticket", Fraction(10, 100), timedelta(days=3)),
)
LEAST_FACTOR = Fraction(9, 10)
"""Pairs with a smaller factor are left out: they would call on a service that ends its period within budget."""


@dataclass(frozen=True)
class Window:
    """`count` units of time. With `start`, a local wall-clock time in `zone`, it is aligned to the calendar.

    A rolling window has a fixed length: a month is 30 days, a quarter 90, a year 365. Aligned days, weeks,
    months, quarters and years follow the wall clock of the zone, so a day may have 23 or 25 hours; aligned
    minutes and hours are counted from the first start. Periods go on before the first start too.
    """

    count: int
    unit: Unit
    start: datetime | None = None
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.count < 1 or self.count * _SECONDS[self.unit] > 10 * _SECONDS["Y"]:
            raise ValueError(f"expected a window of 1m to 10Y, got {self.duration}")
        if self.start is not None and self.start.tzinfo is not None:
            raise ValueError("the start of a calendar window is a local time; its zone stands in `zone`")
        zone_info(self.zone)

    @classmethod
    def parse(cls, duration: str, start: datetime | None = None, zone: str = "UTC") -> Window:
        """A window from OpenSLO's shorthand: 5m, 12h, 30d, 4w, 1M, 1Q, 1Y. Raises ValueError."""
        count, unit = parse_shorthand(duration)
        return cls(count, unit, start, zone)

    @classmethod
    def aligned(cls, duration: str, zone: str = "UTC") -> Window:
        """Calendar days, weeks (from Monday), months, quarters or years of a zone. Raises ValueError."""
        count, unit = parse_shorthand(duration)
        return cls(count, unit, _ANCHORS.get(unit, _ANCHOR), zone)

    @property
    def rolling(self) -> bool:
        """Whether it ends at any moment one asks for."""
        return self.start is None

    @property
    def duration(self) -> str:
        """OpenSLO's shorthand."""
        return f"{self.count}{self.unit}"

    @property
    def nominal(self) -> timedelta:
        """Its length where it is rolling, its usual length where it is aligned to the calendar."""
        return timedelta(seconds=self.count * _SECONDS[self.unit])

    def _boundary(self, index: int) -> datetime:
        """The UTC time at which period `index` starts; 0 starts at `start`.

        A wall-clock time that a zone skips counts as the moment of the skip, one that comes twice as the first.
        """
        assert self.start is not None
        steps = index * self.count
        zone = zone_info(self.zone)
        if self.unit in ("m", "h"):
            return self.start.replace(tzinfo=zone).astimezone(UTC) + steps * timedelta(seconds=_SECONDS[self.unit])
        if self.unit in ("d", "w"):
            local = self.start + steps * timedelta(seconds=_SECONDS[self.unit])
        else:
            local = _add_months(self.start, steps * _MONTHS[self.unit])
        return local.replace(tzinfo=zone).astimezone(UTC)

    def _index(self, moment: datetime) -> int:
        """The period that holds `moment`: the last one that starts before it."""
        assert self.start is not None
        local = moment.astimezone(zone_info(self.zone)).replace(tzinfo=None)
        if self.unit in _MONTHS:
            months = 12 * (local.year - self.start.year) + local.month - self.start.month
            index = months // (_MONTHS[self.unit] * self.count)
        else:
            index = (local - self.start) // self.nominal
        while self._boundary(index) >= moment:
            index -= 1
        while self._boundary(index + 1) < moment:
            index += 1
        return index


def parse_shorthand(text: str) -> tuple[int, Unit]:
    """OpenSLO's duration shorthand, as a count and its unit. Raises ValueError."""
    if not re.fullmatch(r"[1-9][0-9]{0,6}[mhdwMQY]", text):
        raise ValueError(f"expected a duration such as 5m, 12h, 30d, 4w, 1M, 1Q or 1Y, got {text!r}")
    unit: Unit = next(unit for unit in get_args(Unit) if unit == text[-1])
    return int(text[:-1]), unit


def window_at(window: Window, as_of: datetime) -> Span:
    """The window that `as_of` is in, (start, end] in UTC; a rolling one ends at `as_of`, a calendar one later.

    Raises ValueError for a time without a zone.
    """
    as_of = utc(as_of)
    if window.rolling:
        return as_of - window.nominal, as_of
    index = window._index(as_of)
    return window._boundary(index), window._boundary(index + 1)


def periods_between(window: Window, start: datetime, end: datetime) -> list[Span]:
    """All periods of a calendar window that have a moment in (start, end], whole, in order, without a hole.

    Raises ValueError for a rolling window, which has no periods, and for a time without a zone.
    """
    start, end = utc(start), utc(end)
    if window.rolling:
        raise ValueError(f"a rolling window of {window.duration} has no periods; align it to the calendar")
    if start >= end:
        return []
    boundaries = [window._boundary(index := window._index(start))]
    while boundaries[-1] < end:
        index += 1
        boundaries.append(window._boundary(index))
    return [(first, last) for first, last in pairwise(boundaries) if first < last and last > start]


def alert_windows(period: timedelta) -> list[AlertWindow]:
    """The multiwindow burn-rate alerts for a budget over `period` (Google SRE Workbook, "Alerting on SLOs").

    factor = share * period / long, short = long / 12. Over 30 days: 14.4 (1 h, 5 min), 6 (6 h, 30 min),
    3 (1 d, 2 h) and 1 (3 d, 6 h). A period too short for a pair has fewer; below 45 hours there is none, and
    alerts have to be declared.
    """
    found = [
        AlertWindow(severity, share, long, long / 12, share * Fraction(period // _TICK, long // _TICK))
        for severity, share, long in _PAIRS
    ]
    return [alert for alert in found if alert.factor >= LEAST_FACTOR]


def fires(
    bad: int | float | Fraction, total: int | float | Fraction, budget: Fraction, factor: Fraction
) -> bool | None:
    """Whether bad / total is above factor * budget; None without events. Exact: no float is rounded on the way."""
    if total == 0:
        return None
    limit = factor * budget
    return Fraction(bad) * limit.denominator > Fraction(total) * limit.numerator


_TICK = timedelta(microseconds=1)


def _add_months(moment: datetime, months: int) -> datetime:
    """The same day of a later month, or that month's last day."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)
