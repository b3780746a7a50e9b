"""One process's door to the lake: cursors, transactions, snapshots.

Belongs here: what every reader and writer needs. Does not: how it is connected, locked or kept small, or what is
written (`publish`).
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import duckdb

from cogniforge_pipeline.lake.connect import CATALOG, Snapshot, connect
from cogniforge_pipeline.lake.copies import private_catalog
from cogniforge_pipeline.lake.errors import LakeError, explain
from cogniforge_pipeline.lake.locks import Connection, commit_lock, rollback
from cogniforge_pipeline.settings import Settings
from cogniforge_pipeline.sqltext import literal


@dataclass
class Commit:
    """What a transaction made: `snapshot` is its id, once the block has ended."""

    snapshot: int = 0


_owners: WeakKeyDictionary[Connection, Lake] = WeakKeyDictionary()


class Lake:
    """One process's door to the lake; `Lake.of(settings)` gives the one that this process already has.

    `listener` hears of every attempt to publish (see `publish.Attempt`). Raises LakeError when catalog or data cannot be
    reached.
    """

    def __init__(self, settings: Settings, *, read_only: bool = False, snapshot: Snapshot | None = None) -> None:
        self.settings = settings
        self.read_only = read_only or snapshot is not None
        self.listener: Callable[[Any], None] | None = None
        self._commits = threading.Lock()
        self._later: tuple[Connection, list[Callable[[int | None], None]]] | None = None
        self._copy = private_catalog(settings) if self.read_only else None
        catalog = f"sqlite:{self._copy}" if self._copy else settings.catalog
        self._connection = connect(settings, catalog, read_only=self.read_only, snapshot=snapshot)

    @staticmethod
    def of(settings: Settings) -> Lake:
        """The lake of this process for these settings, connected once."""
        return _shared(settings, os.getpid())

    @staticmethod
    def owning(cursor: Connection) -> Lake | None:
        """The lake that a cursor is of."""
        return _owners.get(cursor)

    def cursor(self) -> Connection:
        """A new cursor (one for each step or thread) with the lake as its default catalog."""
        with self.explained():
            cursor = self._connection.cursor()
            cursor.execute(f"USE {CATALOG}")
        _owners[cursor] = self
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
        calls: list[Callable[[int | None], None]] = []
        try:
            with self.exclusive() as still_held:
                try:
                    self._later = (cursor, calls)
                    cursor.execute("BEGIN")
                    yield commit
                    still_held()
                    cursor.execute("COMMIT")
                except BaseException as error:
                    rollback(cursor)
                    if isinstance(error, duckdb.Error):
                        raise explain(error, self.settings) from error
                    raise
                finally:
                    self._later = None
                commit.snapshot = self.snapshot_id(cursor)
        finally:
            for call in calls:
                call(commit.snapshot or None)

    def later(self, cursor: Connection, call: Callable[[int | None], None]) -> None:
        """Calls when the cursor's transaction has ended and others may commit, with its snapshot, or None when it was
        rolled back; at once, with None, where the cursor has no transaction."""
        current = self._later
        if current and current[0] is cursor:
            current[1].append(call)
        else:
            call(None)

    def snapshot_id(self, cursor: Connection) -> int:
        """The id of the newest published snapshot."""
        row = cursor.execute(f"FROM ducklake_current_snapshot({literal(CATALOG)})").fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def exclusive(self) -> Iterator[Callable[[], None]]:
        """While no other thread and no other process commits; what it gives raises when the lock was lost."""
        with self._commits, commit_lock(self._connection, self.settings) as still_held:
            yield still_held


@cache
def _shared(settings: Settings, _process: int) -> Lake:
    return Lake(settings)
