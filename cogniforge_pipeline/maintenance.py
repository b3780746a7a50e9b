"""Planned times, such as maintenance: what happens in them is not judged as usual.

Belongs here: the text a user writes for such times, and the times themselves, for all domains. Does not: leaving out rows.

A text holds one or more entries parted by `;`:

    2024-05-01T02:00:00Z/2024-05-01T04:00:00Z      once
    Sun 02:00-04:00 Europe/Berlin                  every week; `Mon-Fri` and `Sat,Sun` work too
    daily 23:30-00:30                              every day, over midnight, UTC
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

Span = tuple[datetime, datetime]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_REPEATED = re.compile(r"(?P<days>\S+)\s+(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)(?:\s+(?P<zone>\S+))?")


@dataclass(frozen=True)
class Once:
    """One stretch of time, (start, end] in UTC."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"{self.start.isoformat()}/{self.end.isoformat()}"

    def between(self, start: datetime, end: datetime) -> Iterator[Span]:
        """The stretch, where it has a moment in (start, end]."""
        if self.start < end and self.end > start:
            yield self.start, self.end


@dataclass(frozen=True)
class Repeated:
    """The same wall-clock time on some days of each week (0 is Monday). An end not after the start is a day later."""

    days: frozenset[int]
    start: time
    end: time
    zone: str

    def __str__(self) -> str:
        days = "daily" if len(self.days) == 7 else ",".join(_DAYS[day] for day in sorted(self.days))
        return f"{days} {self.start:%H:%M}-{self.end:%H:%M} {self.zone}"

    def between(self, start: datetime, end: datetime) -> Iterator[Span]:
        """The stretches with a moment in (start, end], in UTC; a time that a zone skips or repeats as `Window`."""
        zone = zone_info(self.zone)
        day, last = start.astimezone(zone).date() - timedelta(days=2), end.astimezone(zone).date()
        while day <= last:
            if day.weekday() in self.days:
                first = _moment(day, self.start, self.zone)
                over = _moment(day if self.end > self.start else day + timedelta(days=1), self.end, self.zone)
                if first < over and first < end and over > start:
                    yield first, over
            day += timedelta(days=1)


Maintenance = Once | Repeated


def parse_maintenance(text: str) -> tuple[Maintenance, ...]:
    """The entries of a text as the module's docstring shows them. Raises ValueError."""
    return tuple(_entry(part.strip()) for part in text.split(";") if part.strip())


def maintenance_between(entries: Iterable[Maintenance], start: datetime, end: datetime) -> list[Span]:
    """All maintenance within (start, end], cut to it, in order, with touching stretches made one."""
    start, end = utc(start), utc(end)
    if start >= end:
        return []
    merged: list[Span] = []
    found = (span for entry in entries for span in entry.between(start, end))
    for first, last in sorted((max(first, start), min(last, end)) for first, last in found):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def _entry(text: str) -> Maintenance:
    found = _REPEATED.fullmatch(text)
    try:
        if found is not None:
            zone = found["zone"] or "UTC"
            zone_info(zone)
            days = frozenset(_weekdays(found["days"]))
            return Repeated(days, time.fromisoformat(found["start"]), time.fromisoformat(found["end"]), zone)
        start, slash, end = text.partition("/")
        if slash:
            once = Once(utc(datetime.fromisoformat(start)), utc(datetime.fromisoformat(end)))
            if once.start >= once.end:
                raise ValueError("it ends before it starts")
            return once
    except ValueError as error:
        raise ValueError(f"maintenance {text!r}: {error}") from error
    raise ValueError(
        f"expected maintenance such as 2024-05-01T02:00:00Z/2024-05-01T04:00:00Z or "
        f"Sun 02:00-04:00 Europe/Berlin, got {text!r}"
    )


def _weekdays(text: str) -> Iterator[int]:
    if text == "daily":
        yield from range(7)
        return
    for part in text.split(","):
        names = part.split("-")
        if len(names) > 2 or not set(names) <= set(_DAYS):
            raise ValueError(f"expected `daily` or days such as Mon-Fri or Sat,Sun, got {text!r}")
        first, last = _DAYS.index(names[0]), _DAYS.index(names[-1])
        yield from ((first + step) % 7 for step in range((last - first) % 7 + 1))


def _moment(day: date, clock: time, zone: str) -> datetime:
    return datetime.combine(day, clock, zone_info(zone)).astimezone(UTC)


def zone_info(name: str) -> ZoneInfo:
    """An IANA time zone. Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"expected an IANA time zone such as Europe/Berlin, got {name!r}") from error


def utc(moment: datetime) -> datetime:
    """The moment in UTC. Raises ValueError for a time without a zone."""
    if moment.tzinfo is None:
        raise ValueError(f"expected a time with a time zone, got {moment}")
    return moment.astimezone(UTC)
