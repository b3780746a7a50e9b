"""Whether a region is well: one lost probe moves nothing, a lasting failure does, and the way back is as slow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogniforge_pipeline.edge.health import judge

START = datetime(2026, 3, 1, tzinfo=UTC)


def seen(text: str, every: int = 15) -> list[tuple[datetime, float]]:
    """Observations, `+` good and `-` bad."""
    return [(START + timedelta(seconds=every * n), float(sign == "+")) for n, sign in enumerate(text)]


@pytest.mark.parametrize(
    "text, status, available",
    [
        ("++++", "up", True),
        ("++-+", "up", True),
        ("+++-", "suspect", True),
        ("++--", "suspect", True),
        ("++---", "down", False),
        ("++---+", "recovering", False),
        ("++---+-", "down", False),
        ("++---+++", "up", True),
        ("+-+-+-+-", "suspect", True),
        ("", "unknown", True),
    ],
)
def test_the_verdict_follows_what_was_seen(text: str, status: str, available: bool) -> None:
    found = judge(seen(text), START + timedelta(seconds=15 * max(0, len(text) - 1)))
    assert (found.status, found.available) == (status, available)


def test_down_counts_from_the_first_bad_observation() -> None:
    assert judge(seen("++---"), START + timedelta(minutes=1)).since == START + timedelta(seconds=30)


def test_many_bad_probes_at_once_are_not_yet_a_lasting_failure() -> None:
    assert judge(seen("+----", every=2), START + timedelta(seconds=8)).status == "suspect"


def test_a_fifth_of_the_checkers_is_enough_to_be_up() -> None:
    assert judge([(START, 0.2)], START).status == "up"
    assert judge([(START, 0.18)], START).status == "suspect"


def test_a_reported_outage_counts_at_once_until_it_ends() -> None:
    outage = [(START, START + timedelta(hours=1), "power")]
    during = judge(seen("++++"), START + timedelta(seconds=45), outage)
    assert (during.status, during.reason, during.since) == ("down", "reported: power", START)
    later = START + timedelta(hours=1)
    assert judge([(later, 1.0)], later, outage).status == "up"


def test_silence_is_not_health() -> None:
    assert judge(seen("++++"), START + timedelta(hours=1)).status == "unknown"


@given(st.text(alphabet="+-", max_size=30), st.integers(0, 40))
def test_what_comes_later_changes_nothing(text: str, cut: int) -> None:
    at = START + timedelta(seconds=15 * cut)
    assert judge(seen(text), at) == judge([o for o in seen(text) if o[0] <= at], at)
