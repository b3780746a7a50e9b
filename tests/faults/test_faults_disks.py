"""A full disk and a read-only one: a clear error, the published state stays readable, nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cogniforge_pipeline.events.storage import EventLogError
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.increments import Plan, Request, materialize
from cogniforge_pipeline.lake import Lake, LakeError
from cogniforge_pipeline.settings import Settings
from tests.support.faults import (
    PATIENCE,
    POINTS_PER_FILE,
    SERIES,
    TELEMETRY,
    Worker,
    add_file,
    answers,
    check_published,
    cogniforge,
    fill,
    home_at,
    load_settings,
    look,
    one_pass,
    read_only_disk,
    small_disk,
)

NO_MOUNT = "this user may not mount file systems"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "4m") as mounted:
        if not mounted:
            pytest.skip(NO_MOUNT)
        yield tmp_path / "disk"


def told(*arguments: str, **environment: str) -> tuple[int, str]:
    command = cogniforge(*arguments, **environment)
    out, _ = command.communicate(timeout=PATIENCE)
    return command.returncode, out


def assert_a_full_disk_delays_and_loses_nothing(home: Home, disk: Path, calm: Path) -> None:
    folder = home.settings.home
    add_file(folder, 0)
    one_pass(home)
    before = answers(home.settings)
    ballast = fill(disk)
    add_file(folder, 1)
    with pytest.raises(LakeError, match=r"the disk is full") as error:
        one_pass(home)
    assert str(disk) in str(error.value.hint)
    assert "then run again" in str(error.value.hint)
    assert answers(home.settings) == before
    ballast.unlink()
    one_pass(home)
    check_published(home.settings)
    shutil.copytree(folder / "landing", calm / "landing")
    one_pass(home_at(calm))
    assert answers(home.settings) == answers(load_settings(calm, {}))


def test_a_full_disk_under_the_data(folder: Path, calm: Path, disk: Path) -> None:
    home = home_at(folder, COGNIFORGE_DATA=str(disk / "data"))
    assert_a_full_disk_delays_and_loses_nothing(home, disk, calm)


def test_a_full_disk_under_the_catalog(folder: Path, calm: Path, disk: Path) -> None:
    home = home_at(folder, COGNIFORGE_CATALOG=f"sqlite:{disk / 'catalog.sqlite'}")
    assert_a_full_disk_delays_and_loses_nothing(home, disk, calm)


def test_a_disk_that_fills_up_in_the_middle_of_a_run_leaves_published_states(
    folder: Path, calm: Path, disk: Path
) -> None:
    home = home_at(folder, COGNIFORGE_DATA=str(disk / "data"), COGNIFORGE_CATALOG=f"sqlite:{disk / 'catalog.sqlite'}")
    add_file(folder, 0)
    one_pass(home)
    refused = 0
    for number, leave in enumerate(range(4 << 10, 64 << 10, 8 << 10), 1):
        ballast = fill(disk, leave=leave)
        add_file(folder, number)
        try:
            one_pass(home)
        except LakeError as error:
            if "the disk is full" not in str(error):
                raise
            refused += 1
        ballast.unlink()
        check_published(home.settings)
    assert refused
    one_pass(home)
    shutil.copytree(folder / "landing", calm / "landing")
    one_pass(home_at(calm))
    assert answers(home.settings) == answers(load_settings(calm, {}))


def test_a_full_disk_under_the_spill_folder(home: Home) -> None:
    with small_disk(home.settings.state / "spill", "1m") as mounted:
        if not mounted:
            pytest.skip(NO_MOUNT)
        before = look(home.lake.cursor())
        home.lake.cursor().execute("SET GLOBAL memory_limit = '100MB'")
        many = (
            "SELECT n AS series_id, md5(n::VARCHAR) AS service, md5((n + 1)::VARCHAR) AS metric, "
            "'custom' AS metric_type, NULL::VARCHAR AS unit, MAP([md5(n::VARCHAR)], [md5((n + 2)::VARCHAR)]) AS labels, "
            "'gauge' AS kind FROM range(3_000_000) AS t (n)"
        )
        plan = Plan({}, before[SERIES], (), True, "asked for")
        with pytest.raises(LakeError, match="the disk is full") as error:
            materialize(
                home.lake, home.contracts[SERIES], lambda _: plan, lambda *_: [many], code="", request=Request("test")
            )
        assert str(home.settings.home) in str(error.value.hint)
        assert look(home.lake.cursor()) == before


def test_the_command_names_the_full_disk_and_the_next_one_completes(folder: Path, disk: Path) -> None:
    (folder / "platform").mkdir(parents=True)
    environment = {"COGNIFORGE_DATA": str(disk / "data")}
    add_file(folder, 0)
    ballast = fill(disk)
    (disk / "data").mkdir(exist_ok=True)
    status, out = told("run", "--home", str(folder), **environment)
    assert status == 1
    assert "the disk is full" in out
    assert str(disk / "data") in out
    assert "Traceback" not in out
    ballast.unlink()
    one_pass(home := home_at(folder, **environment))
    assert len(answers(home.settings)[TELEMETRY]) == POINTS_PER_FILE


def test_a_home_on_a_full_disk_ends_with_a_message_and_not_with_a_trace(home: Home, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "6m") as mounted:
        if not mounted:
            pytest.skip(NO_MOUNT)
        folder = tmp_path / "disk" / "home"
        shutil.copytree(home.settings.home, folder)
        add_file(folder, 1)
        ballast = fill(tmp_path / "disk")
        status, out = told("run", "--home", str(folder))
        assert status == 1
        assert "disk" in out
        assert "full" in out or "No space left" in out
        assert "Traceback" not in out
        check_published(load_settings(folder, {}))
        ballast.unlink()
        one_pass(home_at(folder))
        assert len(answers(load_settings(folder, {}))[TELEMETRY]) == 2 * POINTS_PER_FILE


def test_a_read_only_home_can_be_queried_and_a_run_says_why_it_cannot_work(home: Home) -> None:
    folder = home.settings.home
    add_file(folder, 1)
    before = answers(home.settings)
    with read_only_disk(folder) as mounted:
        if not mounted:
            pytest.skip(NO_MOUNT)
        assert answers(home.settings) == before
        status, out = told("sql", "--home", str(folder), f"SELECT count(*) AS points FROM {TELEMETRY}")
        assert status == 0, out
        assert str(POINTS_PER_FILE) in out
        status, out = told("run", "--home", str(folder))
        assert status == 1
        assert str(folder) in out
        assert "written" in out
        assert "Traceback" not in out
        with pytest.raises((LakeError, EventLogError), match=r"read-?only|cannot be written"):
            one_pass(home)
    assert answers(home.settings) == before
    one_pass(home)
    assert len(answers(home.settings)[TELEMETRY]) == 2 * POINTS_PER_FILE
    check_published(home.settings)


@pytest.mark.parametrize("writer", [False, True], ids=["at rest", "while another user writes"])
def test_a_user_who_may_only_read_can_query(home: Home, worker: Worker, writer: bool) -> None:
    if os.geteuid():
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory(prefix="cogniforge-faults-") as open_to_all:
        Path(open_to_all).chmod(0o755)
        folder = Path(open_to_all) / "home"
        shutil.copytree(home.settings.home, folder)
        add_file(folder, 1)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        report = Path(open_to_all) / "report.json"
        report.touch()
        report.chmod(0o666)
        held: Lake | None = None
        if writer:
            held = Lake(load_settings(folder, {}))
            cursor = held.cursor()
            cursor.execute("BEGIN")
            cursor.execute(f"SELECT count(*) FROM {TELEMETRY}").fetchall()
        assert worker.run("as_nobody", folder, report) == 0
        if held:
            held.close()
        found = json.loads(report.read_text())
        if "could not be loaded" in found.get("refused", ""):
            pytest.skip("another user cannot read this installation")
        assert found["points"] == POINTS_PER_FILE
        assert str(folder) in found["error"]
        assert "hint" in found["error"]


def test_a_home_can_be_moved(home: Home) -> None:
    before = answers(home.settings)
    moved = home.settings.home.with_name("elsewhere")
    home.lake.close()
    Lake.of.__globals__["_shared"].cache_clear()
    home.settings.home.rename(moved)
    settings: Settings = load_settings(moved, {})
    assert answers(settings) == before
    add_file(moved, 1)
    one_pass(home_at(moved))
    check_published(settings)
    assert len(answers(settings)[TELEMETRY]) == 2 * POINTS_PER_FILE
