"""What a user expects: maintenance, seasons, holidays, and episodes that were looked at and found to be as they should be.

Belongs here: the declared type, and the stretches of time that follow from it. Does not: episodes, the registry.

A file in `platform/expectations/`:

    name: index-rebuild
    type: maintenance                  # maintenance, season, holiday or expected
    services: [search]                 # all, when left out
    metrics: [cpu_usage]               # all, when left out
    when: "Sun 02:00-03:00"            # or dates: ["2026-11-27", "12-24/12-26"], whole days of `timezone`; or anomaly: <id>
    reason: The index is built anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cogniforge_pipeline.aiops.model import Name
from cogniforge_pipeline.declarations import DeclarationModel, Kind
from cogniforge_pipeline.maintenance import Span, maintenance_between, parse_maintenance, zone_info

_DATE = re.compile(r"(?:(\d{4})-)?(\d\d)-(\d\d)")
_LEAP = 2024


class Expectation(DeclarationModel):
    """One thing that is expected. Exactly one of `when`, `dates` and `anomaly` says when.

    `when` is as in `maintenance.parse_maintenance`; `dates` are whole days, YYYY-MM-DD, or MM-DD for every year, and
    first/last of them; `anomaly` is the id of one episode.
    """

    name: Name
    type: Literal["maintenance", "season", "holiday", "expected"]
    services: tuple[Name, ...] = ()
    metrics: tuple[str, ...] = ()
    when: str | None = None
    dates: tuple[str, ...] = ()
    timezone: str = "UTC"
    anomaly: Annotated[str, Field(min_length=1)] | None = None
    reason: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if sum((self.when is not None, bool(self.dates), self.anomaly is not None)) != 1:
            raise ValueError("expected exactly one of when, dates and anomaly")
        zone_info(self.timezone)
        parse_maintenance(self.when or "")
        for text in self.dates:
            _days(text, _LEAP)
        return self

    @property
    def status(self) -> Literal["maintenance", "expected"]:
        """The status of the episodes that it is about."""
        return "maintenance" if self.type == "maintenance" else "expected"


EXPECTATION_KIND = Kind("expectation", "expectations", Expectation)


@dataclass(frozen=True)
class Planned:
    """A stretch of time in which an expectation holds, UTC."""

    expectation: Expectation
    start: datetime
    end: datetime


def planned_between(expectations: Iterable[Expectation], start: datetime, end: datetime) -> list[Planned]:
    """All stretches with a moment between `start` and `end` (aware), in order."""
    found = [Planned(one, *span) for one in expectations for span in _spans(one, start, end)]
    return sorted(found, key=lambda planned: (planned.start, planned.expectation.name))


def _spans(expectation: Expectation, start: datetime, end: datetime) -> Iterator[Span]:
    if expectation.when:
        yield from maintenance_between(parse_maintenance(expectation.when), start, end)
        return
    zone = zone_info(expectation.timezone)
    years = range(start.year - 1, end.year + 2)
    days = {span for text in expectation.dates for year in years if (span := _days(text, year))}
    for first, last in sorted(days):
        begin = datetime.combine(first, time(), zone).astimezone(UTC)
        over = datetime.combine(last + timedelta(1), time(), zone).astimezone(UTC)
        if begin < end and over > start:
            yield begin, over


def _days(text: str, year: int) -> tuple[date, date] | None:
    """First and last day of a text; None where a year lacks them. Raises ValueError."""
    parts: Sequence[str] = text.split("/")
    matches = [_DATE.fullmatch(part.strip()) for part in parts]
    if not 1 <= len(parts) <= 2 or not all(matches) or len({m is not None and m[1] is None for m in matches}) > 1:
        raise ValueError(f"expected a date such as 2026-12-24, 12-24 for every year, or first/last, got {text!r}")
    found = []
    for match in matches:
        assert match is not None
        try:
            found.append(date(int(match[1] or year), int(match[2]), int(match[3])))
        except ValueError:
            if match[1] or year == _LEAP:
                raise
            return None
    first, last = found[0], found[-1]
    if last < first:
        if matches[0] is not None and matches[0][1]:
            raise ValueError(f"{text!r} ends before it starts")
        last = date(last.year + 1, last.month, last.day)
    return first, last
