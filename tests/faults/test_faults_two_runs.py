"""Two runs at once, with readers, while files arrive."""

from __future__ import annotations

import shutil
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
    reading,
)

FILES = 16
READERS = 4
CHECKED = ("--select", "+aiops/service_health")
"""The tables that readers look at, and all that they are made of: what a second run does beside the first."""


def assert_same_as_one_calm_run(folder: Path, calm: Path) -> None:
    shutil.copytree(folder / "landing", calm / "landing")
    one_pass(home_at(calm))
    assert answers(load_settings(folder, {})) == answers(load_settings(calm, {}))


def test_two_commands_at_once_and_four_readers_meet_no_error_and_no_torn_state(
    folder: Path, calm: Path, tmp_path: Path
) -> None:
    (folder / "platform").mkdir(parents=True)
    waiting = list(range(FILES))
    for _ in range(4):
        add_file(folder, waiting.pop(0))
    with reading(folder, tmp_path / "stop", READERS):
        runs = [cogniforge("run", "--home", str(folder)), cogniforge("run", "--home", str(folder), *CHECKED)]
        while any(run.poll() is None for run in runs):
            if waiting:
                add_file(folder, waiting.pop(0))
            time.sleep(0.5)
        for run in runs:
            out, _ = run.communicate(timeout=PATIENCE)
            assert run.returncode == 0, out
        for number in waiting:
            add_file(folder, number)
        one_pass(home_at(folder))
    check_published(load_settings(folder, {}))
    assert_same_as_one_calm_run(folder, calm)


def test_two_processes_that_race_for_every_table_leave_what_one_leaves(
    folder: Path, calm: Path, tmp_path: Path, worker: Worker
) -> None:
    until = tmp_path / "until"
    workers = [worker, Worker()]
    with reading(folder, tmp_path / "stop", READERS):
        for one in workers:
            one.start("passes", folder, until)
        for number in range(FILES):
            add_file(folder, number)
            time.sleep(0.2)
        until.touch()
        assert [one.wait() for one in workers] == [0, 0]
    workers[1].close()
    check_published(load_settings(folder, {}))
    assert len(answers(load_settings(folder, {}))[TELEMETRY]) == FILES * POINTS_PER_FILE
    assert_same_as_one_calm_run(folder, calm)
