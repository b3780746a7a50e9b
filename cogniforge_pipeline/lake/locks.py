"""The commit lock: one process at a time changes the lake.

Belongs here: a file beside an embedded catalog, an advisory lock in PostgreSQL, and rolling back. Does not: what is
done while it is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from cogniforge_pipeline.lake.errors import COMMIT_LOCK, LOCK_TIMEOUT_SECONDS, busy, explain
from cogniforge_pipeline.settings import Settings
from cogniforge_pipeline.sqltext import literal

Connection = duckdb.DuckDBPyConnection

LOCKS = "locks"
"""The name of the attached PostgreSQL database through which the lock is asked for."""
_HOLD = (
    f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'; SET LOCAL idle_in_transaction_session_timeout = 0; "
    "SET LOCAL tcp_keepalives_idle = 30; SET LOCAL tcp_keepalives_interval = 10; SET LOCAL tcp_keepalives_count = 3; "
    f"SELECT pg_advisory_xact_lock({COMMIT_LOCK})"
)
"""Commits may idle while a large transaction runs; a machine that vanished loses the lock after a minute, not hours."""


@contextmanager
def commit_lock(connection: Connection, settings: Settings) -> Iterator[Callable[[], None]]:
    """Holds the commit lock; what it gives raises when the lock was lost (only PostgreSQL can take it away).

    Raises LakeError when the lock is not had within LOCK_TIMEOUT_SECONDS or its place cannot be reached.
    """
    if settings.catalog.startswith("postgres:"):
        try:
            with _advisory_lock(connection) as still_held:
                yield still_held
        except duckdb.Error as error:
            raise explain(error, settings) from error
        return
    lock = FileLock(Path(settings.catalog.partition(":")[2]).parent / "commit.lock", thread_local=False)
    try:
        lock.acquire(timeout=LOCK_TIMEOUT_SECONDS)
    except Timeout as error:
        raise busy(f"find who holds {lock.lock_file}") from error
    except OSError as error:
        raise explain(error, settings) from error
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
        holder.execute(f"CALL postgres_execute({literal(LOCKS)}, {literal(statements)})")

    try:
        holder.execute("BEGIN")
        ask(_HOLD)
        yield lambda: ask("SELECT 1")
    finally:
        rollback(holder)
        holder.close()


def rollback(cursor: Connection) -> None:
    """Ends a transaction that failed, if it still runs."""
    with suppress(duckdb.Error):  # the failed statement may have ended the transaction
        cursor.execute("ROLLBACK")
