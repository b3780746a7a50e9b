"""Several processes commit to a catalog in PostgreSQL at once. The data lies in a folder: S3 plays no part in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cogniforge_pipeline.lake import COMMIT_LOCK, Lake, LakeError
from cogniforge_pipeline.settings import load_settings
from tests.support import publisher
from tests.support.postgres import Postgres

REPOSITORY = Path(__file__).parents[2]
LOCKS = (
    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database "
    "WHERE locktype = 'advisory' AND datname = '{}' "
)
TABLES = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'ducklake%'"
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def database(pg: Postgres, request: pytest.FixtureRequest) -> str:
    name = f"commits{abs(hash(request.node.name))}"
    pg.create(name)
    return name


@pytest.fixture
def variables(pg: Postgres, database: str, tmp_path: Path) -> dict[str, str]:
    return {"COGNIFORGE_CATALOG": pg.uri(database), "COGNIFORGE_HOME": str(tmp_path), "COGNIFORGE_THREADS": "1"}


@pytest.fixture
def start(variables: dict[str, str]) -> Iterator[Start]:
    """Starts a publisher."""
    started = []

    def begin(mode: str, *tables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.publisher", mode, *tables],
            env={**os.environ, **variables},
            cwd=REPOSITORY,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def waiting(pg: Postgres, database: str) -> Callable[[], bool]:
    return lambda: pg.ask(database, LOCKS.format(database) + "AND NOT granted") == "1"


def log(variables: dict[str, str], table: str) -> list[tuple[int]]:
    lake = Lake(load_settings(environ=variables), read_only=True)
    found = lake.cursor().execute(
        f"SELECT version FROM data_mesh.materializations WHERE table_name = '{table}' ORDER BY ALL"
    )
    return found.fetchall()


def test_processes_that_publish_the_same_and_different_tables_at_once_lose_no_update(
    start: Start, variables: dict[str, str]
) -> None:
    processes = [start("many", "test.common", own) for own in ("test.first", "test.second", "test.third")]
    written = [process.communicate(timeout=120)[0].split("\n") for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert all(json.loads(lines[1])["superseded"] >= 0 for lines in written)
    for table, count in (("test.common", 3), ("test.first", 1), ("test.second", 1), ("test.third", 1)):
        total = count * publisher.ROUNDS
        assert log(variables, table) == [(version,) for version in range(1, total + 1)]
        rows = Lake(load_settings(environ=variables), read_only=True).cursor().execute(f"FROM {table}").fetchall()
        moment = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
        assert rows == [(moment, total, ["a", None, "é"], {"k": total})]


def test_a_publication_that_read_an_older_version_waits_for_the_commit_and_is_superseded(
    start: Start, pg: Postgres, database: str, variables: dict[str, str]
) -> None:
    late = start("once", "test.common")
    assert [told(late), told(late)] == ["open", "ready"]
    holder = start("hold", "test.common")
    assert [told(holder), told(holder)] == ["open", "holding"]
    tell(late)
    until(waiting(pg, database), "the second process does not wait for the first")
    tell(holder)
    assert told(holder) == "published"
    assert told(late) == "superseded"
    assert log(variables, "test.common") == [(1,)]


def test_killing_the_holder_frees_the_lock_and_leaves_nothing_of_its_commit(
    start: Start, pg: Postgres, database: str, variables: dict[str, str]
) -> None:
    other = start("once", "test.common")
    assert [told(other), told(other)] == ["open", "ready"]
    holder = start("hold", "test.common")
    assert [told(holder), told(holder)] == ["open", "holding"]
    tell(other)
    until(waiting(pg, database), "the second process does not wait for the first")
    holder.send_signal(signal.SIGKILL)
    assert told(other) == "published"
    assert log(variables, "test.common") == [(1,)]


def test_a_commit_whose_lock_postgresql_took_away_is_refused(
    start: Start, pg: Postgres, database: str, variables: dict[str, str]
) -> None:
    holder = start("hold", "test.common")
    assert [told(holder), told(holder)] == ["open", "holding"]
    held = LOCKS.format(database).replace("count(*)", "pg_terminate_backend(pid)") + "AND granted"
    assert pg.ask(database, held) == "t"
    tell(holder)
    assert told(holder).startswith("refused: ")
    assert log(variables, "test.common") == []


def test_processes_that_make_the_same_catalog_at_once_take_turns_and_all_find_it_whole(
    start: Start, pg: Postgres, database: str
) -> None:
    with subprocess.Popen([pg.binaries / "psql", "-Xqd", pg.uri(database)], stdin=subprocess.PIPE, text=True) as first:
        assert first.stdin
        print(f"BEGIN; SELECT FROM pg_advisory_xact_lock({COMMIT_LOCK});", file=first.stdin, flush=True)
        until(lambda: pg.ask(database, LOCKS.format(database) + "AND granted") == "1", "psql does not get the lock")
        processes = [start("once", "test.common") for _ in range(3)]
        until(lambda: pg.ask(database, LOCKS.format(database) + "AND NOT granted") == "3", "nobody waits")
        assert pg.ask(database, TABLES) == "0"
        first.stdin.close()
    assert [[told(process), told(process)] for process in processes] == [["open", "ready"]] * 3


def test_reading_where_there_is_no_lake_says_so_and_makes_none(
    pg: Postgres, database: str, variables: dict[str, str]
) -> None:
    with pytest.raises(LakeError, match="there is no lake"):
        Lake(load_settings(environ=variables), read_only=True)
    assert pg.ask(database, TABLES) == "0"
