from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from cogniforge_pipeline.events import EventLog

PUBLISHER = """
import sys
from cogniforge_pipeline.events import EventLog, NewEvent
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
for n in range(count):
    if n % 5 == 0:
        log = EventLog(path)
    if n % 3:
        event = log.publish("load.single", n, source=name, id=f"{name}-{n}")
        seqs = [event.seq]
    else:
        pair = [NewEvent("load.pair", name, n, id=f"{name}-{n}-{letter}") for letter in "ab"]
        seqs = [event.seq for event in log.publish_many(pair)]
    print(n, *seqs, flush=True)
    if n % 5 == 4:
        log.close()
"""


def start(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PUBLISHER, str(path), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_every_event_whose_publish_returned_outlives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    for round_number, stop_after in enumerate([1, 7, 20, 33]):
        name = f"victim{round_number}"
        process = start(path, name, 1_000_000)
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(stop_after)]
        process.send_signal(signal.SIGKILL)
        seen += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        acknowledged = [int(seq) for line in seen if line.endswith("\n") for seq in line.split()[1:]]
        events = list(EventLog(path).read(sources=[name]))
        stored = [event.seq for event in events]
        assert stored[: len(acknowledged)] == acknowledged
        assert len(stored) - len(acknowledged) <= 2
        pairs = [event.data for event in events if event.type == "load.pair"]
        assert all(pairs.count(data) == 2 for data in pairs)


def test_processes_that_publish_at_once_lose_and_repeat_nothing(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    processes = [start(path, f"p{n}", 60) for n in range(4)]
    twin = start(path, "p0", 60)
    outputs = [process.communicate()[0] for process in (*processes, twin)]
    assert [process.returncode for process in (*processes, twin)] == [0] * 5
    events = list(EventLog(path).read())
    assert len(events) == 4 * (40 + 20 * 2)
    assert len({(event.source, event.id) for event in events}) == len(events)
    for number, output in enumerate(outputs[1:4], start=1):
        told = [int(seq) for line in output.splitlines() for seq in line.split()[1:]]
        assert [event.seq for event in events if event.source == f"p{number}"] == told
    assert outputs[0] == outputs[4], "the twin published the same ids and was told the same places"


def test_the_log_is_still_whole_for_sqlite_after_a_kill_and_a_crash_of_the_reader(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.sqlite"
    process = start(path, "p", 1_000_000)
    assert process.stdout is not None
    process.stdout.readline()
    reader = subprocess.Popen(
        [
            sys.executable,
            "-c",
            (
                "import sys, os, json\n"
                "from cogniforge_pipeline.events import EventLog\n"
                "consumer = EventLog(sys.argv[1]).consumer('reader')\n"
                "batch = consumer.poll(1)\n"
                "consumer.commit(batch[-1].seq)\n"
                "print(json.dumps(batch[-1].to_cloudevent()), flush=True)\n"
                "consumer.poll()\n"
                "os.kill(os.getpid(), 9)\n"
            ),
            str(path),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    output = reader.communicate()[0]
    process.kill()
    process.communicate()
    assert reader.returncode == -signal.SIGKILL
    with EventLog(path) as log:
        assert log.consumer("reader").cursor == int(json.loads(output)["cogniforgeseq"]) == 1
        assert log.consumer("reader").poll(1)[0].seq == 2
        assert log.consumer("reader").lag() == log.last_seq() - 1
    assert os.path.getsize(path) > 0
