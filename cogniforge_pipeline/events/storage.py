"""The SQLite file under the event log: its schema and its connections across threads and forks.

Belongs here: opening, migrating, locking and error messages. Does not: what the rows mean.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakSet

from filelock import FileLock

from cogniforge_pipeline.errors import CogniforgeError

BUSY_SECONDS = 30
SCHEMA_VERSION = 2
_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    type TEXT NOT NULL,
    subject TEXT,
    time TEXT NOT NULL,
    specversion TEXT NOT NULL,
    datacontenttype TEXT NOT NULL,
    dataschema TEXT,
    data TEXT,
    extensions TEXT NOT NULL,
    UNIQUE (source, id)
);
CREATE INDEX events_by_type ON events (type, seq);
CREATE TABLE consumers (name TEXT PRIMARY KEY, cursor INTEGER NOT NULL, committed_at TEXT NOT NULL);
PRAGMA user_version = 1;
COMMIT;
"""
_MIGRATIONS = {
    1: """
BEGIN IMMEDIATE;
CREATE TABLE deliveries (
    consumer TEXT NOT NULL,
    seq INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    reason TEXT NOT NULL,
    failed_at TEXT NOT NULL,
    dead BOOLEAN NOT NULL,
    PRIMARY KEY (consumer, seq)
);
CREATE INDEX events_by_time ON events (time);
PRAGMA user_version = 2;
COMMIT;
"""
}
"""What brings a file of a version to the next one."""


class EventLogError(CogniforgeError):
    """The file of the log cannot be opened, read or written."""


class _Slot:
    """The connection of one thread; the lock is held while it is in use."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.connection: sqlite3.Connection | None = None

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Storage:
    """Connections to the file `path`, one for each thread, made when first used.

    SQLite's locks do not live through a fork, so an inherited connection can lose what others wrote. Hence
    a fork waits for the calls under way and closes all connections first; both sides open new ones.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._threads = threading.local()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The thread's connection. Raises EventLogError, also for SQLite's errors in the body."""
        slot = self._slot()
        with _gate:
            slot.lock.acquire()
        try:
            if slot.connection is None:
                slot.connection = _open(self.path)
            yield slot.connection
        except (sqlite3.Error, OSError) as error:
            raise EventLogError(f"cannot use the event log {self.path}: {error}", _advice(error)) from error
        finally:
            slot.lock.release()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """As `reading`, in a transaction that is on disk when the block ends, or undone when it raises."""
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the calling thread's connection; the next use opens it again."""
        slot = self._slot()
        with slot.lock:
            slot.close()

    def _slot(self) -> _Slot:
        slot: _Slot | None = getattr(self._threads, "slot", None)
        if slot is None:
            slot = self._threads.slot = _Slot()
            with _gate:
                _slots.add(slot)
        return slot


def _open(path: Path) -> sqlite3.Connection:
    if not path.parent.is_dir():
        raise EventLogError(
            f"no folder {path.parent} for the event log",
            "make the home with `cogniforge init`",
        )
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        if _version(connection) < SCHEMA_VERSION:
            with FileLock(path.with_name(path.name + ".lock"), timeout=BUSY_SECONDS):
                if _version(connection) == 0:
                    _create(connection, path)
                while (found := _version(connection)) in _MIGRATIONS:
                    connection.executescript(_MIGRATIONS[found])
        if (found := _version(connection)) != SCHEMA_VERSION:
            raise EventLogError(
                f"the event log {path} has schema version {found}, this program knows {SCHEMA_VERSION}",
                "use the newer version of cogniforge-pipeline that wrote it",
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _create(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise EventLogError(f"{path} is a SQLite file, but not an event log", "name another file")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(_SCHEMA)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _advice(error: Exception) -> str:
    text = str(error)
    if "lock" in text or "busy" in text:
        return f"another process held it for more than {BUSY_SECONDS} seconds; end it and try again"
    if "not a database" in text or "malformed" in text:
        return "the file is damaged or of another program: move it away, or restore it from a copy"
    if "full" in text:
        return "make room on the disk; nothing of this call was stored"
    return "check that the file and its folder are there and that this user may write both"


_slots: WeakSet[_Slot] = WeakSet()
_gate = threading.RLock()  # kept shut during a fork, so that no call starts while it waits for those under way
_held: list[_Slot] = []


def _before_fork() -> None:
    _gate.acquire()
    for slot in list(_slots):
        slot.lock.acquire()
        _held.append(slot)
        slot.close()


def _after_fork() -> None:
    while _held:
        _held.pop().lock.release()
    _gate.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
