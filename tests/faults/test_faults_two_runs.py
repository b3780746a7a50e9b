"""Two runs at once, with readers, while files arrive."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

from tests.support.faults import (
    PATIENCE,
    POINTS_PER_FILE,
    TELEMETRY,
    Worker,
    add_file,
    answers,
    check_published,
    cogniforge,
    home_at,
    load_settings,
    one_pass,
    start_readers,
)

FILES = 16
READERS = 4


def assert_all_read_well(readers: list[subprocess.Popen[str]], stop: Path) -> None:
    stop.touch()
    for reader in readers:
        out, err = reader.communicate(timeout=PATIENCE)
        assert reader.returncode == 0, err
        told = json.loads(out)
        assert told["looked"] > 0
        assert told["versions"][TELEMETRY] > 0


def assert_same_as_one_calm_run(folder: Path, calm: Path) -> None:
    shutil.copytree(folder / "landing", calm / "landing")
    one_pass(home_at(calm))
    assert answers(load_settings(folder, {})) == answers(load_settings(calm, {}))


def test_two_commands_at_once_and_four_readers_meet_no_error_and_no_torn_state(
    folder: Path, calm: Path, tmp_path: Path
) -> None:
    (folder / "platform").mkdir(parents=True)
    stop = tmp_path / "stop"
    for number in range(4):
        add_file(folder, number)
    readers = start_readers(folder, stop, READERS)
    runs = [cogniforge("run", "--home", str(folder)) for _ in range(2)]
    number = 4
    deadline = time.monotonic() + PATIENCE
    while any(run.poll() is None for run in runs) and time.monotonic() < deadline:
        if number < FILES:
            add_file(folder, number)
            number += 1
        time.sleep(0.5)
    for run in runs:
        out, _ = run.communicate(timeout=PATIENCE)
        assert run.returncode == 0, out
    for late in range(number, FILES):
        add_file(folder, late)
    one_pass(home_at(folder))
    assert_all_read_well(readers, stop)
    check_published(load_settings(folder, {}))
    assert_same_as_one_calm_run(folder, calm)


def test_two_processes_that_race_for_every_table_leave_what_one_leaves(
    folder: Path, calm: Path, tmp_path: Path
) -> None:
    workers = [Worker(), Worker()]
    stop, until = tmp_path / "stop", tmp_path / "until"
    readers = start_readers(folder, stop, READERS)
    for worker in workers:
        worker.start("passes", folder, until)
    for number in range(FILES):
        add_file(folder, number)
        time.sleep(0.3)
    until.touch()
    assert [worker.wait() for worker in workers] == [0, 0]
    assert_all_read_well(readers, stop)
    check_published(load_settings(folder, {}))
    found = answers(load_settings(folder, {}))
    assert len(found[TELEMETRY]) == FILES * POINTS_PER_FILE
    assert_same_as_one_calm_run(folder, calm)
    for worker in workers:
        worker.close()
