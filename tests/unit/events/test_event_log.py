from __future__ import annotations

import os
import sqlite3
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from cogniforge_pipeline.events import EventError, EventLog, EventLogError, NewEvent


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    return EventLog(tmp_path / "events.sqlite")


def test_a_published_event_is_read_back_in_utc_by_another_log_object(
    log: EventLog,
) -> None:
    local = datetime(2014, 5, 1, 14, 30, tzinfo=timezone(timedelta(hours=2)))
    published = log.publish(
        "asset.materialized",
        {"rows": 3, "ok": None},
        source="/dagster",
        subject="sre/burn_rates",
        time=local,
    )
    [read] = EventLog(log.path).read()
    assert read == published
    assert (read.seq, read.data, read.subject) == (
        1,
        {"rows": 3, "ok": None},
        "sre/burn_rates",
    )
    assert read.time == datetime(2014, 5, 1, 12, 30, tzinfo=UTC)
    assert read.time.utcoffset() == timedelta(0)


def test_publishing_the_same_source_and_id_again_returns_the_stored_event(
    log: EventLog,
) -> None:
    first = log.publish("order.placed", 1, source="shop", id="7")
    again = log.publish("order.cancelled", 2, source="shop", id="7")
    other = log.publish("order.placed", 3, source="branch", id="7")
    assert again == first
    assert [event.data for event in log.read()] == [1, 3]
    assert other.seq > first.seq


def test_publish_many_removes_duplicates_within_one_call(log: EventLog) -> None:
    stored = log.publish_many([NewEvent("a.b", "s", n, id=str(n % 2)) for n in range(4)])
    assert [event.data for event in stored] == [0, 1, 0, 1]
    assert log.last_seq() == 2


def test_publish_many_stores_nothing_when_one_event_is_wrong(log: EventLog) -> None:
    with pytest.raises(EventError, match="JSON value, got set at data"):
        log.publish_many([NewEvent("a.b", "s"), NewEvent("a.b", "s", {1, 2})])  # type: ignore[arg-type]
    assert log.last_seq() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"type": "Asset.Made"}, "dotted lower-case words"),
        ({"type": "asset..made"}, "dotted lower-case words"),
        ({"type": "asset.made\n"}, "dotted lower-case words"),
        ({"source": ""}, "source to be text of 1 to 2048"),
        ({"source": "two words"}, "URI reference without spaces"),
        ({"id": ""}, "id to be text of 1 to 2048"),
        ({"subject": "a\0b"}, "without control characters"),
        ({"time": datetime(2024, 1, 1)}, "a time with a time zone"),
        (
            {"time": datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))},
            "between the years 1 and 9999",
        ),
        ({"data": float("nan")}, "JSON"),
        ({"data": {"a": [{1: 2}]}}, r"keys of data\.a\[0\], got 1"),
        (
            {"data": {"at": datetime(2024, 1, 1, tzinfo=UTC)}},
            r"got datetime at data\.at",
        ),
        ({"data": "\ud800"}, "JSON"),
        ({"data": "x" * 2**20}, "at most 1048576 bytes, got 1048578"),
    ],
)
def test_an_event_that_is_no_cloudevent_is_refused(log: EventLog, arguments: dict, message: str) -> None:
    with pytest.raises(EventError, match=message):
        log.publish(**({"type": "a.b", "source": "s"} | arguments))
    assert log.last_seq() == 0


def test_data_of_exactly_the_size_limit_is_taken(log: EventLog) -> None:
    log.publish("a.b", "x" * (2**20 - 2), source="s")
    assert log.last_seq() == 1


def test_reading_filters_by_place_type_pattern_and_source(log: EventLog) -> None:
    for type, source in [
        ("asset.made", "a"),
        ("asset.check.failed", "b"),
        ("assets.made", "a"),
        ("run.done", "b"),
    ]:
        log.publish(type, source=source)

    def seqs(**arguments) -> list[int]:
        return [event.seq for event in log.read(**arguments)]

    assert seqs() == [1, 2, 3, 4]
    assert seqs(types=["asset.*"]) == [1, 2]
    assert seqs(types=["run.done", "*.made"]) == [1, 3, 4]
    assert seqs(types=[]) == []
    assert seqs(sources=["b"], types=["asset.*"]) == [2]
    assert seqs(after=1, until=3) == [2, 3]
    assert seqs(after=1, limit=2) == [2, 3]
    assert seqs(limit=0) == []
    with pytest.raises(EventError, match="pattern"):
        seqs(types=["asset.[a-z]"])


def test_reading_pages_through_more_events_than_one_page_and_ignores_later_ones(
    log: EventLog,
) -> None:
    log.publish_many(NewEvent("a.b", "s", n) for n in range(1000))
    events = log.read()
    first = next(events)
    log.publish("a.b", "late", source="s")
    assert [first.data, *(event.data for event in events)] == list(range(1000))
    assert [event.data for event in log.read(after=100, limit=450)] == list(range(100, 550))


def test_a_consumer_gets_again_what_it_did_not_commit_also_after_a_restart(
    log: EventLog,
) -> None:
    log.publish_many(NewEvent("a.b", "s", n) for n in range(5))
    consumer = log.consumer("projector")
    assert consumer.lag() == 5
    assert [event.data for event in consumer.poll(limit=3)] == [0, 1, 2]
    consumer.commit(2)
    log.close()

    again = EventLog(log.path).consumer("projector")
    assert (again.cursor, again.lag()) == (2, 3)
    assert [event.data for event in again.poll()] == [2, 3, 4]
    assert [event.data for event in log.consumer("other").poll(limit=1)] == [0]


def test_a_consumer_never_moves_back_nor_past_the_end(log: EventLog) -> None:
    log.publish_many(NewEvent("a.b", "s", n) for n in range(5))
    consumer = log.consumer("projector")
    consumer.commit(4)
    consumer.commit(1)
    assert consumer.cursor == 4
    with pytest.raises(EventError, match="the log ends at 5"):
        consumer.commit(6)
    with pytest.raises(EventError, match="consumer name"):
        log.consumer("No Name")


def test_threads_share_one_log(log: EventLog) -> None:
    def publish(thread: int) -> None:
        for n in range(20):
            log.publish("a.b", [thread, n], source="s")
            assert log.last_seq() > 0

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    data = [event.data for event in log.read()]
    assert sorted(data) == [[thread, n] for thread in range(6) for n in range(20)]
    for thread in range(6):
        assert [n for owner, n in data if owner == thread] == list(range(20))


def test_a_forked_child_goes_on_after_its_parent_closed_the_log(log: EventLog) -> None:
    log.publish("parent.before", source="s")
    go, ready = os.pipe()
    child = os.fork()
    if child == 0:
        log.publish("child.first", source="s")
        os.read(go, 1)
        log.publish("child.second", source="s")
        os._exit(0)
    while log.last_seq() < 2:
        pass
    log.close()
    os.write(ready, b".")
    assert os.waitpid(child, 0)[1] == 0
    assert [event.type for event in log.read()] == [
        "parent.before",
        "child.first",
        "child.second",
    ]


def test_forking_while_other_threads_publish_loses_nothing_and_does_not_hang(
    log: EventLog,
) -> None:
    done = threading.Event()
    published = []

    def publish() -> None:
        while not done.is_set():
            published.append(log.publish("thread.tick", source="s").id)

    threads = [threading.Thread(target=publish) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(10):
        child = os.fork()
        if child == 0:
            log.publish("child.tick", source="s", id=f"child-{n}")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        published.append(f"child-{n}")
    done.set()
    for thread in threads:
        thread.join()
    assert sorted(event.id for event in log.read()) == sorted(published)


def test_a_folder_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(EventLogError, match=r"no folder .*absent for the event log"):
        EventLog(tmp_path / "absent" / "events.sqlite")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that nobody may write to")
def test_a_folder_that_cannot_be_written_is_a_clear_error() -> None:
    with pytest.raises(EventLogError, match=r"cannot use the event log .*\n.*may write both"):
        EventLog(Path("/proc/self/events.sqlite"))


def test_a_file_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "text.sqlite"
    text.write_text("not a database, but long enough to be taken for the header of one" * 20)
    with pytest.raises(EventLogError, match="not a database"):
        EventLog(text)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (a)")
    with pytest.raises(EventLogError, match="not an event log"):
        EventLog(other)
    assert sqlite3.connect(other).execute("SELECT name FROM sqlite_schema").fetchall() == [("mine",)]


def test_a_log_of_a_newer_version_is_refused(log: EventLog) -> None:
    log.close()
    connection = sqlite3.connect(log.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(EventLogError, match="schema version 99"):
        EventLog(log.path)
