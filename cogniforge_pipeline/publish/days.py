"""UTC days as dates.

Belongs here: what a day is and how days join to spans. Does not: which days are computed (`increments.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime


def spans(days: Sequence[date]) -> list[tuple[date, date]]:
    """Contiguous half-open spans [first, after) that cover exactly these days."""
    found: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        after = date.fromordinal(day.toordinal() + 1)
        if found and found[-1][1] == day:
            found[-1] = (found[-1][0], after)
        else:
            found.append((day, after))
    return found


def midnight(day: date) -> datetime:
    """The first instant of a UTC day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
