"""Consumers: what was not taken comes again, what cannot be taken is set aside, and the past can be had again."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline.events import Event, EventError, EventLog, NewEvent

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    return EventLog(tmp_path / "events.sqlite")


def filled(log: EventLog, count: int) -> list[Event]:
    return log.publish_many(
        NewEvent("a.b", "/s", number, time=NOON + timedelta(hours=number), id=str(number)) for number in range(count)
    )


def test_a_handler_that_fails_gets_the_event_again_and_then_it_is_a_dead_letter(log: EventLog) -> None:
    filled(log, 4)
    consumer, seen = log.consumer("reader"), []

    def handle(event: Event) -> None:
        seen.append(event.data)
        if event.data == 1:
            raise ValueError("not this one")

    assert [consumer.process(handle, most_failures=2) for _ in range(3)] == [1, 2, 0]
    assert seen == [0, 1, 1, 2, 3]
    (letter,) = consumer.dead_letters()
    assert (letter.event.data, letter.failures, letter.reason) == (1, 2, "ValueError: not this one")
    assert log.consumer("other").dead_letters() == []
    assert consumer.revive(handle) == 0
    assert consumer.revive(seen.append) == 1
    assert consumer.dead_letters() == []


def test_the_past_is_delivered_again_from_any_point(log: EventLog) -> None:
    events = filled(log, 5)
    consumer = log.consumer("reader")
    consumer.commit(events[-1].seq)
    consumer.seek(log.seq_at(NOON + timedelta(hours=3)))
    assert [event.data for event in consumer.poll()] == [3, 4]
    assert log.seq_at(NOON + timedelta(days=9)) == events[-1].seq
    with pytest.raises(EventError, match="the log ends at 5"):
        consumer.seek(6)


def test_only_what_everybody_has_seen_is_forgotten(log: EventLog) -> None:
    filled(log, 6)
    log.consumer("fast").commit(6)
    log.consumer("slow").commit(4)
    log.consumer("fast").bury(next(iter(log.read())), "kept")
    assert log.expire(NOON + timedelta(days=1), until=6) == 3
    assert [event.data for event in log.read()] == [0, 4, 5]
    assert log.expire(NOON + timedelta(hours=5), until=6) == 0
    assert log.publish("a.b", source="/s").seq == 7


def test_many_events_are_appended_once(log: EventLog) -> None:
    events = [NewEvent("a.b", "/s", number, id=str(number)) for number in range(1000)]
    assert log.append_many(events) == 1000
    assert log.append_many([*events[500:], NewEvent("a.b", "/s", id="new")]) == 1
    assert [event.id for event in log.read()] == [*(str(number) for number in range(1000)), "new"]
    assert log.append_many([]) == 0


def test_a_log_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    filled(EventLog(path), 2)
    with sqlite3.connect(path) as connection:
        connection.executescript("DROP TABLE deliveries; DROP INDEX events_by_time; PRAGMA user_version = 1")
    connection.close()
    log = EventLog(path)
    taken: list[Any] = []
    log.consumer("reader").process(taken.append)
    assert len(taken) == 2
    assert log.consumer("reader").dead_letters() == []
