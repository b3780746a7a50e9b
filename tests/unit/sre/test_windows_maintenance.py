from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogniforge_pipeline.maintenance import maintenance_between, parse_maintenance

TEXTS = [
    "2024-05-01T02:00:00Z/2024-05-01T04:00:00Z",
    "Sun 02:00-04:00 Europe/Berlin",
    "Mon-Fri 12:00-12:30",
    "Fri-Mon 00:00-00:00 America/New_York",
    "daily 23:30-00:30",
]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def spans(text: str, start: str, end: str) -> list[tuple[str, str]]:
    found = maintenance_between(parse_maintenance(text), at(start), at(end))
    return [(f"{first:%d %H:%M}", f"{last:%d %H:%M}") for first, last in found]


def test_a_single_stretch_is_cut_to_what_is_asked_for() -> None:
    text = "2024-05-01T02:00:00+02:00/2024-05-01T04:00:00Z"

    assert spans(text, "2024-05-01 01:00", "2024-05-02") == [("01 01:00", "01 04:00")]
    assert spans(text, "2024-05-01 04:00", "2024-05-02") == []


def test_weekly_maintenance_follows_the_wall_clock() -> None:
    text = "Sun 04:00-05:00 Europe/Berlin"

    assert spans(text, "2024-03-23", "2024-04-02") == [("24 03:00", "24 04:00"), ("31 02:00", "31 03:00")]


def test_maintenance_over_midnight_counts_from_the_day_it_starts() -> None:
    assert spans("Sat 23:00-01:00", "2024-05-04", "2024-05-06") == [("04 23:00", "05 01:00")]
    assert spans("Sat 23:00-01:00", "2024-05-05 00:30", "2024-05-06") == [("05 00:30", "05 01:00")]


def test_stretches_that_touch_become_one() -> None:
    assert spans("daily 10:00-11:00; daily 11:00-12:00 UTC", "2024-05-04", "2024-05-05") == [("04 10:00", "04 12:00")]


@pytest.mark.parametrize(
    "text",
    [
        "tomorrow",
        "Sun 2-4",
        "Sonntag 02:00-04:00",
        "Sun 25:00-26:00",
        "Sun 02:00-04:00 Mars/Base",
        "2024-05-01T02:00:00/2024-05-01T04:00:00",
        "2024-05-01T04:00:00Z/2024-05-01T02:00:00Z",
    ],
)
def test_what_is_no_maintenance_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="maintenance"):
        parse_maintenance(text)


def test_no_text_is_no_maintenance() -> None:
    assert parse_maintenance("") == ()


@given(
    st.lists(st.sampled_from(TEXTS), max_size=4),
    st.datetimes(datetime(2024, 1, 1), datetime(2024, 12, 1)).map(lambda moment: moment.replace(tzinfo=UTC)),
    st.lists(st.integers(0, 72), min_size=1, max_size=3),
)
def test_the_maintenance_of_a_partition_adds_up_to_that_of_the_whole(
    texts: list[str], start: datetime, hours: list[int]
) -> None:
    entries = parse_maintenance(";".join(texts))
    cuts = [start]
    for step in hours:
        cuts.append(cuts[-1] + timedelta(hours=step))

    def spent(first: datetime, last: datetime) -> timedelta:
        found = maintenance_between(entries, first, last)
        assert all(first <= one < two <= last for one, two in found)
        return sum((two - one for one, two in found), timedelta(0))

    parts = sum((spent(one, two) for one, two in pairwise(cuts)), timedelta(0))
    assert parts == spent(start, cuts[-1])


@given(st.sampled_from(TEXTS))
def test_an_entry_printed_and_read_again_is_the_same(text: str) -> None:
    (entry,) = parse_maintenance(text)

    assert parse_maintenance(str(entry)) == (entry,)
