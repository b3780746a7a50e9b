"""A small home that grows, processes that work on it and can be killed, and what must hold of it at every moment.

Belongs here: input whose sums are known, one pass of the kernel without Dagster, the worker that runs passes in forked
processes, the reader's checks, tiny and read-only disks. Does not: what a test does with them.

`python -m tests.support.faults serve` is the worker, `… read <home> <stop file>` a reader.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import openlineage.client  # noqa: F401  (the worker has imported all that a pass needs)
import psutil
from filelock import FileLock

from cogniforge_pipeline import contracts, publish
from cogniforge_pipeline.aiops import tables as aiops_tables
from cogniforge_pipeline.data_mesh.projection import EVENTS, project_events
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.increments import Request, materialize_recipe
from cogniforge_pipeline.lake import Connection, Lake, LakeError, maintain
from cogniforge_pipeline.publish import MATERIALIZATIONS
from cogniforge_pipeline.registry import REGISTRY, record
from cogniforge_pipeline.reports.export import publish_duckdb
from cogniforge_pipeline.settings import Settings, load_settings
from cogniforge_pipeline.sources.declared import SOURCE_KIND, sources_of
from cogniforge_pipeline.sources.ingest import LEDGER, SERIES, TELEMETRY, ingest

REPOSITORY = Path(__file__).parents[2]
FIRST = datetime(2024, 3, 1, tzinfo=UTC)
DAYS = 4
SERVICES = ("api", "web")
POINTS_PER_FILE = 60 * len(SERVICES)
ROLLUP, SCORES, HEALTH = "aiops.rollup_5m", "aiops.anomaly_scores", "aiops.service_health"
ANOMALIES, INCIDENTS = "aiops.anomalies", "aiops.incidents"
TABLES = (SERIES, TELEMETRY, LEDGER, ROLLUP, SCORES, ANOMALIES, INCIDENTS, HEALTH)
READ = ("sre.alerts", "sre.error_budgets")
"""What a service's health reads of another domain; here they stay empty."""
NOBODY = 65534
PATIENCE = 600
"""Seconds that a machine may take before a test gives it up for hung."""


def add_file(home: Path, number: int) -> Path:
    """One hour of one day into landing/, a point a minute for each service, each of the whole value `number` + 1.

    No two numbers below 24 * DAYS share a moment, and neighbours fall on different days.
    """
    start = FIRST + timedelta(days=number % DAYS, hours=number // DAYS)
    lines = ["timestamp,service,metric,value"]
    lines += [
        f"{(start + timedelta(minutes=minute)).isoformat()},{service},latency_ms,{number + 1}"
        for minute in range(60)
        for service in SERVICES
    ]
    target = home / "landing" / f"feed_{number:03}.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".tmp")
    draft.write_text("\n".join(lines) + "\n")
    return draft.rename(target)


def home_at(folder: Path, **environment: str) -> Home:
    """The home of a folder, where Lake.of keeps one connection for this process."""
    (folder / "platform").mkdir(parents=True, exist_ok=True)
    return _small(load_settings(folder, environment))


def _small(settings: Settings) -> Home:
    """A home of the tables that one pass writes: every further one makes each statement slower, and proves no more."""
    computed = [table for table in aiops_tables.computed() if table.name in TABLES]
    home = Home(settings, (SOURCE_KIND,), computed)
    beside = {other for table in computed for other in table.beside}
    written = {*TABLES, *READ, *beside, MATERIALIZATIONS, publish.QUALITY, EVENTS, REGISTRY}
    home.contracts = {name: contract for name, contract in home.contracts.items() if name in written}
    home.queries = {name: query for name, query in home.queries.items() if name in written}
    return home


def one_pass(home: Home, *, only_changed: bool = True) -> None:
    """What a run does to the lake, in its order, without Dagster."""
    run_id = uuid.uuid4().hex
    platform = home.platform()
    record(home, platform, run_id=run_id)
    ingest(home.lake, home.contracts, sources_of(platform), run_id=run_id)
    home.events.publish("run.started", {"run_id": run_id}, source="/tests")
    for table in (ROLLUP, SCORES, ANOMALIES, HEALTH):
        materialize(home, table, run_id=run_id, only_changed=only_changed)
    project_events(home, run_id=run_id)
    publish_duckdb(home)


def materialize(home: Home, table: str, *, run_id: str = "test", only_changed: bool = True) -> None:
    """One table made as a run without any tags makes it."""
    recipe = home.recipe(table, home.lake.cursor())
    request = Request(run_id, home.as_of(), only_changed=only_changed, newest=home.as_of)
    materialize_recipe(home.lake, home.contracts[table], recipe, home.facts(recipe), request, home.contracts)


def answers(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of all tables in a fixed order, without what names a run or its time."""
    chosen = dict.fromkeys(TABLES, "*") | {
        LEDGER: "source, item, status, bytes, rows_read, rows_ingested, rows_quarantined, first_ts, last_ts"
    }
    lake = Lake(settings, read_only=True)
    try:
        cursor = lake.cursor()
        found = {name: cursor.execute(f"SELECT {columns} FROM {name}").fetchall() for name, columns in chosen.items()}
        quarantined = [f"quarantine.{name.replace('.', '__')}" for name in TABLES]
        found |= {name: cursor.execute(f"SELECT row, reason FROM {name}").fetchall() for name in quarantined}
    finally:
        lake.close()
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


_STATE = f"""
WITH ledger AS (
    SELECT first_ts::DATE AS day, ingested_at, rows_ingested AS points,
        rows_ingested * (regexp_extract(item, 'feed_(\\d+)', 1)::INT + 1) AS total
    FROM {LEDGER} WHERE status = 'ingested'
),
states AS (
    SELECT day, sum(points) OVER past AS points, sum(total) OVER past AS total
    FROM (SELECT day, ingested_at, sum(points) AS points, sum(total) AS total FROM ledger GROUP BY ALL)
    WINDOW past AS (PARTITION BY day ORDER BY ingested_at)
),
raw AS (SELECT count(*) AS points, coalesce(sum(value), 0) AS total FROM {TELEMETRY}),
rolled AS (SELECT ts::DATE AS day, sum(count) AS points, sum(sum) AS total FROM {ROLLUP} GROUP BY ALL),
log AS (SELECT table_name, max(version) AS version, count(*) AS entries, sum(row_count) AS written,
            arg_max(row_count, version) AS newest, arg_max(as_of, version) AS as_of
        FROM {MATERIALIZATIONS} GROUP BY ALL),
versions AS (SELECT map_from_entries(list((table_name, version))) AS newest FROM log)
SELECT versions.newest, [
    CASE WHEN raw.points <> (SELECT coalesce(sum(points), 0) FROM ledger) THEN 'points are not those of the ledger' END,
    CASE WHEN raw.total <> (SELECT coalesce(sum(total), 0) FROM ledger) THEN 'values are not those of the ledger' END,
    CASE WHEN raw.points <> (SELECT count(*) FROM (SELECT DISTINCT series_id, ts FROM {TELEMETRY}))
        THEN 'a point is there twice' END,
    CASE WHEN EXISTS (FROM {TELEMETRY} ANTI JOIN {SERIES} USING (series_id)) THEN 'a point has no series' END,
    CASE WHEN EXISTS (FROM rolled ANTI JOIN states USING (day, points, total))
        THEN 'a rolled day was never a state of the telemetry' END,
    CASE WHEN EXISTS (FROM log WHERE entries <> version) THEN 'a version lacks or is there twice' END,
    CASE WHEN (SELECT written FROM log WHERE table_name = '{TELEMETRY}') <> raw.points
        THEN 'the log of publications counts other points' END,
    CASE WHEN coalesce((SELECT newest FROM log WHERE table_name = '{HEALTH}'), 0) <> (SELECT count(*) FROM {HEALTH})
        THEN 'the decision is not the one of the log' END,
    CASE WHEN EXISTS (FROM {HEALTH} WHERE as_of <> (SELECT as_of FROM log WHERE table_name = '{HEALTH}'))
        THEN 'the decision has another as_of than the log' END
] FROM raw, versions
"""


def look(cursor: Connection) -> dict[str, int]:
    """Reads all tables in one statement; the newest version of each. Raises AssertionError for a torn state."""
    row = cursor.execute(_STATE).fetchone()
    assert row
    wrong = [text for text in row[1] if text]
    assert not wrong, wrong
    return dict(row[0] or {})


def look_twice(cursor: Connection) -> None:
    """Two statements of one transaction see one state. Raises AssertionError."""
    cursor.execute("BEGIN")
    before = cursor.execute(f"SELECT coalesce(sum(rows_ingested), 0) FROM {LEDGER}").fetchone()
    time.sleep(0.02)
    after = cursor.execute(f"SELECT count(*) FROM {TELEMETRY}").fetchone()
    cursor.execute("COMMIT")
    assert before == after, (before, after)


def check_published(settings: Settings) -> None:
    """Everything that must hold of a lake that nobody works on, also after a kill. Raises AssertionError."""
    with FileLock(Path(settings.catalog.partition(":")[2]).parent / "commit.lock", timeout=PATIENCE):
        pass
    home = _small(settings)
    lake = Lake(settings, read_only=True)
    try:
        cursor = lake.cursor()
        look(cursor)
        for contract in (home.contracts[name] for name in (*TABLES, MATERIALIZATIONS, publish.QUALITY, EVENTS)):
            broken = contracts.audit(cursor, contract, contract.name).broken
            assert not broken, (contract.name, broken)
    finally:
        lake.close()


def read_until(settings: Settings, stop: Path) -> None:
    """A reader in a loop, from before there is a lake until `stop` is there; prints how often it looked."""
    seen: dict[str, int] = {}
    looked = attached = 0
    lake: Lake | None = None
    while not stop.exists() or not looked:
        try:
            if lake is None:
                lake = Lake(settings, read_only=True)
                attached += 1
            cursor = lake.cursor()
            versions = look(cursor)
            look_twice(cursor)
        except (LakeError, duckdb.Error) as error:
            if looked or ("there is no lake" not in str(error) and "does not exist" not in str(error)):
                raise
            time.sleep(0.05)
            continue
        assert all(versions.get(name, 0) >= version for name, version in seen.items()), (seen, versions)
        seen, looked = versions, looked + 1
        if looked % 5 == 0:
            lake.close()
            lake = None
        time.sleep(1)
    print(json.dumps({"looked": looked, "attached": attached, "versions": seen}))  # noqa: T201


@contextmanager
def reading(home: Path, stop: Path, count: int) -> Iterator[None]:
    """Readers in so many processes while the block runs. Raises AssertionError when one of them met an error."""
    command = [sys.executable, "-m", "tests.support.faults", "read", str(home), str(stop)]
    readers = [
        subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    try:
        yield
        stop.touch()
        for reader in readers:
            out, err = reader.communicate(timeout=PATIENCE)
            assert reader.returncode == 0, err
            told = json.loads(out)
            assert told["looked"] > 0
            assert told["versions"][TELEMETRY] > 0
    finally:
        for reader in readers:
            reader.kill()


def cogniforge(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """The command in a process of its own, on a home of one domain: more tables take time, and prove no more."""
    return subprocess.Popen(
        [sys.executable, "-m", "cogniforge_pipeline.cli", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "COLUMNS": "300", "COGNIFORGE_DOMAINS": "aiops", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _pass(folder: str) -> None:
    one_pass(home_at(Path(folder)))


def _passes(folder: str, until: str) -> None:
    """Passes until the file `until` is there, and one after it."""
    home = home_at(Path(folder))
    last = False
    while not last:
        last = Path(until).exists()
        one_pass(home)


def _maintain(folder: str) -> None:
    maintain(home_at(Path(folder)).lake, keep_days=0, grace=timedelta(0))


def _die_before_commit(folder: str) -> None:
    home = home_at(Path(folder))
    cursor = home.lake.cursor()
    with home.lake.transaction(cursor):
        cursor.execute(
            f"INSERT INTO {TELEMETRY} SELECT TIMESTAMPTZ '2024-03-01' + to_seconds(n), 1, 1 FROM range(5000) AS t (n)"
        )
        os.kill(os.getpid(), signal.SIGKILL)


def _as_nobody(folder: str, report: str) -> None:
    """What a user without any rights meets: the answer of a query, and the error of a run."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    found: dict[str, Any] = {}
    try:
        lake = Lake(load_settings(folder, {}), read_only=True)
        look(lake.cursor())
        found["points"] = len(lake.cursor().execute(f"FROM {TELEMETRY}").fetchall())
        lake.close()
    except CogniforgeError as error:
        found["refused"] = str(error)
    try:
        one_pass(home_at(Path(folder)))
    except CogniforgeError as error:
        found["error"] = str(error)
    Path(report).write_text(json.dumps(found))


_JOBS: dict[str, Callable[..., None]] = {
    "pass": _pass,
    "passes": _passes,
    "maintain": _maintain,
    "die_before_commit": _die_before_commit,
    "as_nobody": _as_nobody,
}


class Worker:
    """A process that has imported everything and forks a child for each job, so that a kill hits work, not imports."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.faults", "serve"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, job: str, *arguments: object) -> int:
        """Starts a job of _JOBS and returns its process id."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps([job, *map(str, arguments)]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def wait(self) -> int:
        """The exit code of the job, or minus the signal that ended it."""
        return self._answer()

    def run(self, job: str, *arguments: object) -> int:
        self.start(job, *arguments)
        return self.wait()

    def kill_after(self, seconds: float, job: str, *arguments: object) -> int:
        """Starts a job, kills it after so long, and gives what `wait` does; 0 when it was faster."""
        victim = self.start(job, *arguments)
        time.sleep(seconds)
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        return self.wait()

    def kill_at_write(self, writes: int, job: str, folder: Path) -> int:
        """Starts a job and kills it as soon as it wrote so often to catalog or data; as `kill_after` else."""
        victim = self.start(job, folder)
        watch_writes(folder, victim, writes)
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        return self.wait()

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(PATIENCE)

    def _answer(self) -> int:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the worker ended"
        return int(line)


def _works(process: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def watch_writes(folder: Path, process: int, at_most: int = sys.maxsize) -> int:
    """How often a process was seen to write to the lake, until it ended or did so `at_most` times."""
    writes, before = 0, _written(folder)
    while writes < at_most and _works(process):
        now = _written(folder)
        writes += now != before
        before = now
        time.sleep(0.003)
    return writes


def _written(folder: Path) -> tuple[int, ...]:
    """Changes with every commit, often more than once, and with every data file; not with reading."""
    found = [sum(1 for _ in (folder / "lake" / "data").rglob("*.parquet"))]
    with suppress(FileNotFoundError):
        found.append((folder / "lake" / "catalog.sqlite").stat().st_mtime_ns)
    with suppress(FileNotFoundError):
        found.append((folder / "lake" / "catalog.sqlite-wal").stat().st_size)
    return tuple(value for value in found if value)


def _serve() -> None:
    answers_to, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        job, *arguments = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                _JOBS[job](*arguments)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        answers_to.write(f"{child}\n")
        answers_to.flush()
        _, status = os.waitpid(child, 0)
        answers_to.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers_to.flush()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """Mounts a tmpfs of this size at the folder; gives False where that is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


@contextmanager
def read_only_disk(folder: Path) -> Iterator[bool]:
    """Makes a folder read-only for everybody, root as well; gives False where that is not permitted."""
    mounted = _mount("--bind", str(folder), str(folder))
    try:
        yield mounted and _mount("-o", "remount,bind,ro", str(folder))
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


def _mount(*arguments: str) -> bool:
    if not shutil.which("mount") or os.geteuid():
        return False
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


def fill(folder: Path, *, leave: int = 0) -> Path:
    """A file that takes the folder's disk but for `leave` bytes; delete it to free the space."""
    ballast = folder / ".ballast"
    free = shutil.disk_usage(folder).free
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        file.write(b"\0" * max(0, free - leave))
        while not leave and file.write(b"\0" * 512):
            pass
    return ballast


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve()
    else:
        read_until(load_settings(sys.argv[2], {}), Path(sys.argv[3]))
