"""The DuckLake: connecting to it, committing to it, and keeping it small.

Belongs here: one DuckDB instance for each process with the lake attached, the commit lock, transactions, snapshots,
read-only and past views, maintenance. Does not: what is written (`publish.py`) or what it must look like (`contracts`).
"""

from __future__ import annotations

import atexit
import glob
import importlib.metadata
import os
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import duckdb
import psutil
from filelock import FileLock, Timeout

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.settings import Settings
from cogniforge_pipeline.sqltext import literal

Connection = duckdb.DuckDBPyConnection

CATALOG = "lake"
LOCK_TIMEOUT_SECONDS = 600
COPY_SECONDS = 30
_LOCKS = "locks"
COMMIT_LOCK = 0x636F676E  # the advisory lock of all writers of one PostgreSQL database
_HOLD = (
    f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'; SET LOCAL idle_in_transaction_session_timeout = 0; "
    "SET LOCAL tcp_keepalives_idle = 30; SET LOCAL tcp_keepalives_interval = 10; SET LOCAL tcp_keepalives_count = 3; "
    f"SELECT pg_advisory_xact_lock({COMMIT_LOCK})"
)
"""Commits may idle while a large transaction runs; a machine that vanished loses the lock after a minute, not hours."""


class LakeError(CogniforgeError):
    """The lake could not be opened, read or written."""


@dataclass(frozen=True)
class Snapshot:
    """A state of the lake: its id, or a time (timezone-aware) whose last snapshot is meant."""

    at: int | datetime

    @property
    def option(self) -> str:
        name = "SNAPSHOT_VERSION" if isinstance(self.at, int) else "SNAPSHOT_TIME"
        value = str(self.at) if isinstance(self.at, int) else literal(self.at.isoformat())
        return f"{name} {value}"


@dataclass
class Commit:
    """What a transaction made: `snapshot` is its id, once the block has ended."""

    snapshot: int = 0


class Lake:
    """One process's door to the lake; `Lake.of(settings)` gives the one that this process already has.

    Raises LakeError when catalog or data cannot be reached.
    """

    def __init__(self, settings: Settings, *, read_only: bool = False, snapshot: Snapshot | None = None) -> None:
        self.settings = settings
        self.read_only = read_only or snapshot is not None
        self._commits = threading.Lock()
        self._copy = _private_catalog(settings) if self.read_only else None
        catalog = f"sqlite:{self._copy}" if self._copy else settings.catalog
        self._connection = _connect(settings, catalog, read_only=self.read_only, snapshot=snapshot)

    @staticmethod
    def of(settings: Settings) -> Lake:
        """The lake of this process for these settings, connected once."""
        return _shared(settings, os.getpid())

    def cursor(self) -> Connection:
        """A new cursor (one for each step or thread) with the lake as its default catalog."""
        with self.explained():
            cursor = self._connection.cursor()
            cursor.execute(f"USE {CATALOG}")
        return cursor

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raises LakeError where the block raises duckdb.Error: what is wrong, and what to do about it."""
        try:
            yield
        except duckdb.Error as error:
            raise explain(error, self.settings) from error

    def close(self) -> None:
        self._connection.close()
        if self._copy:
            shutil.rmtree(self._copy.parent, ignore_errors=True)

    @contextmanager
    def transaction(self, cursor: Connection) -> Iterator[Commit]:
        """All of the block or nothing of it, while no other process commits.

        Keep the block short: compute before it. Raises LakeError when the lock is not had within LOCK_TIMEOUT_SECONDS
        or when the commit fails (full disk, read-only lake); the lake then stays as it was.
        """
        if self.read_only:
            raise LakeError("this lake is open for reading only", "write through a run, or through the Python API")
        commit = Commit()
        with self._commits, self._lock() as still_held:
            try:
                cursor.execute("BEGIN")
                yield commit
                still_held()
                cursor.execute("COMMIT")
            except BaseException as error:
                _rollback(cursor)
                if isinstance(error, duckdb.Error):
                    raise explain(error, self.settings) from error
                raise
            commit.snapshot = self.snapshot_id(cursor)

    def snapshot_id(self, cursor: Connection) -> int:
        """The id of the newest published snapshot."""
        row = cursor.execute(f"FROM ducklake_current_snapshot({literal(CATALOG)})").fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def _lock(self) -> Iterator[Callable[[], None]]:
        """Holds the commit lock; what it gives raises when the lock was lost (only PostgreSQL can take it away)."""
        if self.settings.catalog.startswith("postgres:"):
            try:
                with _advisory_lock(self._connection) as still_held:
                    yield still_held
            except duckdb.Error as error:
                raise explain(error, self.settings) from error
            return
        lock = FileLock(Path(self.settings.catalog.partition(":")[2]).parent / "commit.lock", thread_local=False)
        try:
            lock.acquire(timeout=LOCK_TIMEOUT_SECONDS)
        except Timeout as error:
            raise LakeError(
                f"another process has been committing to the lake for more than {LOCK_TIMEOUT_SECONDS} s",
                f"find who holds {lock.lock_file}",
            ) from error
        except OSError as error:
            raise explain(error, self.settings) from error
        try:
            yield lambda: None
        finally:
            lock.release()


@contextmanager
def _advisory_lock(connection: Connection) -> Iterator[Callable[[], None]]:
    """A PostgreSQL advisory lock in a transaction of its own, so that it ends with this process at the latest.

    A DuckDB transaction keeps one connection to PostgreSQL until it ends, and `postgres_execute` uses that one.
    """
    holder = connection.cursor()

    def ask(statements: str) -> None:
        holder.execute(f"CALL postgres_execute({literal(_LOCKS)}, {literal(statements)})")

    try:
        holder.execute("BEGIN")
        ask(_HOLD)
        yield lambda: ask("SELECT 1")
    finally:
        _rollback(holder)
        holder.close()


@cache
def _shared(settings: Settings, _process: int) -> Lake:
    return Lake(settings)


def extension_path(name: str) -> Path | None:
    """The signed extension file that the wheel `duckdb-extension-<name>` brings, or None where there is no wheel."""
    try:
        files = importlib.metadata.files(f"duckdb-extension-{name}") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    wanted = f"v{duckdb.__version__}"
    return next((Path(str(f.locate())) for f in files if f.suffix == ".duckdb_extension" and wanted in f.parts), None)


def load_extension(connection: Connection, name: str) -> None:
    """Loads an extension from its wheel, or installs it where there is none.

    Raises LakeError when neither works.
    """
    path = extension_path(name)
    try:
        if path:
            connection.execute(f"LOAD {literal(str(path))}")
        else:
            plain = name.replace("-", "_")
            connection.execute(f"INSTALL {plain}; LOAD {plain}")
    except duckdb.Error as error:
        raise LakeError(
            f"the DuckDB extension {name} could not be loaded: {error}",
            f"pip install 'duckdb-extension-{name}=={duckdb.__version__}'",
        ) from error


def explain(error: Exception, settings: Settings) -> LakeError:
    """The error of DuckDB or of the system, with what to do about it."""
    text = settings.redact(str(error)).strip()
    if "Unable to connect to Postgres" in text:
        return LakeError(f"the catalog cannot be reached: {text}", "check COGNIFORGE_CATALOG, user and password")
    if "No snapshot found" in text:
        return LakeError(text, "list the snapshots with: cogniforge sql \"FROM ducklake_snapshots('lake')\"")
    if "lock timeout" in text:
        return LakeError(
            f"another process has been committing to the lake for more than {LOCK_TIMEOUT_SECONDS} s",
            f"find it in PostgreSQL: SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = {COMMIT_LOCK}",
        )
    if isinstance(error, duckdb.HTTPException):
        return LakeError(
            f"the data at {settings.data} cannot be reached: {text}",
            "check COGNIFORGE_DATA, AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    if any(words in text.lower() for words in _FULL) or ("disk I/O error" in text and not _room(settings)):
        return LakeError(f"the disk is full: {text}", f"free space for {_places(settings)}, then run again")
    if "readonly" in text.lower() or "read-only" in text.lower() or "Permission denied" in text:
        return LakeError(f"the lake cannot be written: {text}", f"make {_places(settings)} writable")
    if "creating a new DuckLake is explicitly disabled" in text:
        return _no_lake(settings)
    if "does not match existing data path" in text:
        return LakeError(f"the lake's data lies elsewhere: {text}", "set COGNIFORGE_DATA to where it lies")
    return LakeError(f"the lake refused: {text}", "run `cogniforge doctor`")


_FULL = ("no space left", "not enough space", "disk is full", "max_temp_directory_size")
"""Words of the system, DuckDB's checkpoints, SQLite and DuckDB's spilling."""


def _no_lake(settings: Settings) -> LakeError:
    return LakeError(f"there is no lake at {settings.catalog}", "make one with `cogniforge run`")


def _room(settings: Settings) -> bool:
    kind, _, where = settings.catalog.partition(":")
    return kind != "sqlite" or shutil.disk_usage(Path(where).parent).free >= _ROOM_BYTES


def _places(settings: Settings) -> str:
    places = [settings.catalog.removeprefix("sqlite:"), settings.data, str(settings.home)]
    return " and ".join(dict.fromkeys(place for place in places if place.startswith("/")))


def _rollback(cursor: Connection) -> None:
    with suppress(duckdb.Error):  # the failed statement may have ended the transaction
        cursor.execute("ROLLBACK")


_COPY = "catalog.sqlite"
_ROOM_BYTES = 1 << 20


def _private_catalog(settings: Settings) -> Path | None:
    """A copy of an embedded catalog beside which nothing can be written, or None where none is needed.

    SQLite writes beside a catalog even to read it, so a user who may only read, and a full disk, need a copy. It is what
    the lake was at this moment: what is committed later is not in it. Removed when the process ends. Raises LakeError.
    """
    kind, _, where = settings.catalog.partition(":")
    if kind != "sqlite" or not Path(where).exists() or _can_write(settings, Path(where)):
        return None
    files = [Path(where), Path(f"{where}-wal")]
    try:
        folder = Path(tempfile.mkdtemp(prefix="cogniforge-"))
        atexit.register(shutil.rmtree, folder, True)
        deadline = time.monotonic() + COPY_SECONDS
        while time.monotonic() < deadline:
            before = [_state(file) for file in files]
            for file in files:
                copy = folder / file.name.replace(files[0].name, _COPY, 1)
                copy.unlink(missing_ok=True)
                with suppress(FileNotFoundError):
                    shutil.copyfile(file, copy)
            if before == [_state(file) for file in files]:
                return folder / _COPY
            time.sleep(0.05)
    except OSError as error:
        raise explain(error, settings) from error
    raise LakeError(f"{where} changed all the time while it was copied", "try again, or get the right to write there")


def _can_write(settings: Settings, catalog: Path) -> bool:
    may = os.access(catalog, os.W_OK) and os.access(catalog.parent, os.W_OK)
    return may and _room(settings)


def _state(file: Path) -> tuple[int, int] | None:
    """Changes whenever the file does; None without a file."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def _connect(settings: Settings, catalog: str, *, read_only: bool, snapshot: Snapshot | None) -> Connection:
    connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET GLOBAL preserve_insertion_order = true")
    if settings.memory_limit:
        connection.execute(f"SET GLOBAL memory_limit = {literal(settings.memory_limit)}")
    if settings.threads:
        connection.execute(f"SET GLOBAL threads = {settings.threads}")
    load_extension(connection, "ducklake")
    kind, _, where = catalog.partition(":")
    try:
        options = [f"DATA_PATH {literal(settings.data)}", *_prepare_catalog(connection, settings, catalog, read_only)]
        _prepare_data(connection, settings, read_only)
        if read_only:
            options.append("READ_ONLY")
        if snapshot:
            options.append(snapshot.option)
        attach = f"ATTACH {literal(f'ducklake:{kind}:{where}')} AS {CATALOG} ({', '.join(options)})"
        with _first_attach(connection, settings, read_only):
            connection.execute(attach)
    except (duckdb.Error, OSError) as error:
        connection.close()
        raise explain(error, settings) from error
    return connection


def _prepare_catalog(connection: Connection, settings: Settings, catalog: str, read_only: bool) -> list[str]:
    """What attaching this catalog needs; gives its options."""
    kind, _, where = catalog.partition(":")
    if kind == "postgres":
        load_extension(connection, "postgres-scanner")
        if settings.password:  # in a secret, for DuckDB shows connection strings in errors and in duckdb_databases()
            connection.execute(f"CREATE SECRET (TYPE postgres, PASSWORD {literal(settings.password)})")
        if not read_only:
            connection.execute(f"ATTACH {literal(where)} AS {_LOCKS} (TYPE postgres)")
        return []
    load_extension(connection, "sqlite-scanner")
    if not read_only:
        Path(where).parent.mkdir(parents=True, exist_ok=True)
    elif not Path(where).exists() or not Path(where).stat().st_size:
        raise _no_lake(settings)
    options = ["META_JOURNAL_MODE 'WAL'", "META_BUSY_TIMEOUT 60000"]
    if settings.data == str(Path(settings.catalog.partition(":")[2]).parent / "data"):
        options.append("OVERRIDE_DATA_PATH TRUE")  # the folder was moved or mounted elsewhere as a whole
    return options


def _prepare_data(connection: Connection, settings: Settings, read_only: bool) -> None:
    if settings.data.startswith("s3://"):
        load_extension(connection, "httpfs")
        for copied in ("s3_access_key_id", "s3_secret_access_key", "s3_session_token"):
            connection.execute(f"SET GLOBAL {copied} = ''")  # httpfs shows AWS_* of the environment as settings
        parameters = ", ".join(f"{key} {literal(value)}" for key, value in settings.s3.items())
        connection.execute(f"CREATE SECRET cogniforge (TYPE s3{', ' + parameters if parameters else ''})")
    elif not read_only:
        Path(settings.data).mkdir(parents=True, exist_ok=True)
    if not read_only:
        spill = settings.state / "spill" / f"{platform.node()}-{os.getpid()}"
        spill.parent.mkdir(parents=True, exist_ok=True)
        _remove_left(spill.parent)
        connection.execute(f"SET GLOBAL temp_directory = {literal(str(spill))}")


def _remove_left(spills: Path) -> None:
    """Removes what killed processes of this machine spilled."""
    for folder in spills.glob(f"{glob.escape(platform.node())}-*"):
        process = folder.name.rpartition("-")[2]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _first_attach(connection: Connection, settings: Settings, read_only: bool) -> Iterator[None]:
    """Two processes that make the same catalog at once must not meet: the first attach creates its tables."""
    kind, _, where = settings.catalog.partition(":")
    if read_only:
        yield
    elif kind == "postgres":
        with _advisory_lock(connection):
            yield
    else:
        with FileLock(Path(where).parent / "commit.lock", timeout=LOCK_TIMEOUT_SECONDS):
            yield


def maintain(lake: Lake, *, keep_days: int = 30, grace: timedelta = timedelta(days=1)) -> dict[str, int]:
    """Merges small files, expires snapshots older than `keep_days`, and deletes files that no snapshot needs.

    Returns how many files each step touched. A file is deleted once it has been of no use for `grace`, so that a reader
    at work keeps it; so are files that a killed writer left. Commits of others wait for one step at most.
    """
    cursor = lake.cursor()
    done: dict[str, int] = {}
    name = literal(CATALOG)
    kept = f"now() - INTERVAL {int(grace.total_seconds())} SECOND"
    steps = {
        "inlined_flushed": f"CALL ducklake_flush_inlined_data({name})",
        "files_merged": f"CALL ducklake_merge_adjacent_files({name})",
        "snapshots_expired": f"CALL ducklake_expire_snapshots({name}, older_than => now() - INTERVAL {keep_days} DAY)",
        "files_cleaned": f"CALL ducklake_cleanup_old_files({name}, older_than => {kept})",
        "orphans_deleted": f"CALL ducklake_delete_orphaned_files({name}, older_than => {kept})",
    }
    for step, statement in steps.items():
        with lake._commits, lake._lock():
            try:
                done[step] = len(cursor.execute(statement).fetchall())
            except duckdb.Error as error:
                raise explain(error, lake.settings) from error
    return done
