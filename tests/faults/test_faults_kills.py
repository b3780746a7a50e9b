"""`kill -9` at any moment of a run or of the maintenance leaves every table at a published state."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from datetime import timedelta
from pathlib import Path

from cogniforge_pipeline.lake import maintain
from tests.support.faults import (
    LEDGER,
    POINTS_PER_FILE,
    TELEMETRY,
    Worker,
    add_file,
    answers,
    check_published,
    home_at,
    load_settings,
    one_pass,
    watch_writes,
)

KILLS = 30
MAINTENANCE_KILLS = 6


def data_files(folder: Path) -> set[Path]:
    return set((folder / "lake" / "data").rglob("*.parquet"))


def live_files(folder: Path) -> set[Path]:
    """The Parquet files that the newest snapshot reads."""
    cursor = home_at(folder).lake.cursor()
    tables = cursor.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_catalog()"
    ).fetchall()
    return {
        Path(name)
        for schema, table in tables
        for row in cursor.execute("FROM ducklake_list_files('lake', ?, schema => ?)", [table, schema]).fetchall()
        for name in row
        if isinstance(name, str)
    }


def test_thirty_kills_lose_nothing_and_double_nothing(folder: Path, calm: Path, worker: Worker) -> None:
    settings = load_settings(folder, {})
    chance = random.Random(20240301)
    add_file(folder, 0)
    assert worker.run("pass", folder) == 0
    began = time.monotonic()
    add_file(folder, 1)
    writes = watch_writes(folder, worker.start("pass", folder))
    assert worker.wait() == 0
    duration = time.monotonic() - began
    killed = 0
    for number in range(2, 2 + KILLS):
        add_file(folder, number)
        if number % 2:
            status = worker.kill_after(chance.uniform(0.05, 1) * duration, "pass", folder)
        else:
            status = worker.kill_at_write(chance.randint(1, writes), "pass", folder)
        assert status in (0, -signal.SIGKILL)
        killed += status != 0
        check_published(settings)
    assert killed >= KILLS // 2, "too few kills hit a run at work"
    assert worker.run("pass", folder) == 0
    check_published(settings)
    found = answers(settings)
    assert len(found[TELEMETRY]) == (2 + KILLS) * POINTS_PER_FILE
    assert len(found[LEDGER]) == 2 + KILLS
    shutil.copytree(folder / "landing", calm / "landing")
    one_pass(home_at(calm))
    assert found == answers(load_settings(calm, {}))


def test_maintenance_deletes_what_a_killed_writer_left_and_nothing_else(folder: Path, worker: Worker) -> None:
    for number in range(3):
        add_file(folder, number)
        assert worker.run("pass", folder) == 0
    settings = load_settings(folder, {})
    before = answers(settings)
    files = data_files(folder)
    assert worker.run("die_before_commit", folder) == -signal.SIGKILL
    orphans = data_files(folder) - files
    assert orphans
    check_published(settings)
    home = home_at(folder)
    assert not maintain(home.lake)["orphans_deleted"], "a young file may belong to a writer at work"
    assert orphans <= data_files(folder)
    for orphan in orphans:
        old = time.time() - timedelta(days=2).total_seconds()
        os.utime(orphan, (old, old))
    assert maintain(home.lake)["orphans_deleted"] == len(orphans)
    assert not orphans & data_files(folder)
    assert answers(settings) == before
    check_published(settings)


def test_maintenance_that_is_killed_again_and_again_loses_nothing(folder: Path, worker: Worker) -> None:
    chance = random.Random(7)
    settings = load_settings(folder, {})
    for number in range(3):
        add_file(folder, number)
        assert worker.run("pass", folder) == 0
    shutil.copytree(folder, spare := folder.with_name("spare"))
    writes = watch_writes(spare, worker.start("maintain", spare))
    assert worker.wait() == 0
    assert writes
    killed = 0
    for number in range(3, 3 + MAINTENANCE_KILLS):
        add_file(folder, number)
        assert worker.run("pass", folder) == 0
        before = answers(settings)
        killed += worker.kill_at_write(chance.randint(1, writes), "maintain", folder) == -signal.SIGKILL
        check_published(settings)
        assert answers(settings) == before
    assert killed
    before = answers(settings)
    assert worker.run("maintain", folder) == 0
    assert answers(settings) == before
    assert data_files(folder) == live_files(folder), "what no snapshot needs is still there"
