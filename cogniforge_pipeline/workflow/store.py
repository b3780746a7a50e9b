"""The database under the executions: one SQLite file in the home, or PostgreSQL for workers on several machines.

Belongs here: opening it, the signals that wait in it, and which workers live. Does not: what DBOS keeps there.

A worker is one process. It holds a lock for as long as it lives, a file's or PostgreSQL's advisory one, which the system
gives back however it dies; so a worker whose lock can be had is dead, and no clock is needed to find out.

On SQLite the journal is written with WAL and synchronous = NORMAL: nothing is lost by a kill, the newest commits may be by
a power cut, after which steps are made again under their idempotency keys. `flush` makes what was accepted safe from that.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import JsonValue

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.settings import Settings

if TYPE_CHECKING:
    import sqlalchemy as sa
    from filelock import FileLock

BUSY_MILLISECONDS = 30_000
_TABLE = "cogniforge_signals"


class StoreError(CogniforgeError):
    """The journal of workflows cannot be used."""


class Signal(NamedTuple):
    """One message to an execution; `seq` is its place among all."""

    seq: int
    name: str
    payload: JsonValue


class Store:
    """The journal's database of one installation."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.postgres = settings.workflows is not None
        self.engine = self._postgres() if settings.workflows else self._sqlite(settings.workflow_journal)
        self._held: FileLock | sa.Connection | None = None
        self._create()

    def _sqlite(self, path: Path) -> sa.Engine:
        import sqlalchemy as sa

        path.parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(f"sqlite:///{path}", pool_size=20, max_overflow=100)

        @sa.event.listens_for(engine, "connect")
        def prepare(connection: Any, _: object) -> None:
            connection.isolation_level = "IMMEDIATE"  # as DBOS opens it: writers wait instead of failing
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")

        return engine

    def _postgres(self) -> sa.Engine:
        import sqlalchemy as sa

        url = sa.make_url(self.url)
        return sa.create_engine(url, pool_size=20, max_overflow=100, pool_pre_ping=True)

    @property
    def url(self) -> str:
        """The address as SQLAlchemy takes it; it may hold a password."""
        if self.settings.workflows is None:
            return f"sqlite:///{self.settings.workflow_journal}"
        return "postgresql+psycopg://" + self.settings.workflows.split("://", 1)[1]

    def _create(self) -> None:
        import sqlalchemy as sa

        kind = "BIGSERIAL PRIMARY KEY" if self.postgres else "INTEGER PRIMARY KEY AUTOINCREMENT"
        statements = (
            f"CREATE TABLE IF NOT EXISTS {_TABLE} (seq {kind}, execution_id TEXT NOT NULL, name TEXT NOT NULL, "
            "payload TEXT NOT NULL, signal_id TEXT, sent_at DOUBLE PRECISION NOT NULL, UNIQUE (execution_id, signal_id))",
            f"CREATE INDEX IF NOT EXISTS {_TABLE}_by_execution ON {_TABLE} (execution_id, seq)",
        )
        try:
            with self.engine.begin() as connection:
                if self.postgres:
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(7215)"))  # two at once would collide
                for statement in statements:
                    connection.execute(sa.text(statement))
        except sa.exc.SQLAlchemyError as error:
            reason = self.settings.redact(str(error.__cause__ or error)).splitlines()[0]
            raise StoreError(
                f"the journal of workflows cannot be opened: {reason}", "see COGNIFORGE_WORKFLOWS"
            ) from None

    def flush(self) -> None:
        """Makes everything committed so far safe from a power cut."""
        if self.postgres:
            return
        log = Path(f"{self.settings.workflow_journal}-wal")
        if log.exists():
            with log.open("rb") as file:
                os.fsync(file.fileno())

    def send(self, execution_id: str, name: str, payload: JsonValue, signal_id: str | None = None) -> None:
        """Keeps a signal; one with a known id is kept once."""
        import sqlalchemy as sa

        with self.engine.begin() as connection:
            if self.postgres:  # the order of numbers is that of commits only when one writes at a time
                connection.execute(sa.text(f"LOCK TABLE {_TABLE} IN EXCLUSIVE MODE"))
            connection.execute(
                sa.text(
                    f"INSERT INTO {_TABLE} (execution_id, name, payload, signal_id, sent_at) "
                    "VALUES (:execution, :name, :payload, :id, :at) ON CONFLICT (execution_id, signal_id) DO NOTHING"
                ),
                {
                    "execution": execution_id,
                    "name": name,
                    "payload": json.dumps(payload),
                    "id": signal_id,
                    "at": time.time(),
                },
            )

    def signals(self, execution_ids: Iterable[str], after: int = 0) -> list[tuple[str, Signal]]:
        """The signals of these executions after a place, in order."""
        import sqlalchemy as sa

        statement = sa.text(
            f"SELECT execution_id, seq, name, payload FROM {_TABLE} WHERE seq > :after AND execution_id IN :ids ORDER BY seq"
        ).bindparams(sa.bindparam("ids", expanding=True))
        with self.engine.connect() as connection:
            rows = connection.execute(statement, {"after": after, "ids": list(execution_ids)}).fetchall()
        return [(row[0], Signal(row[1], row[2], json.loads(row[3]))) for row in rows]

    def last_signal(self) -> int:
        """The place of the newest signal, 0 without one."""
        import sqlalchemy as sa

        with self.engine.connect() as connection:
            return int(connection.execute(sa.text(f"SELECT coalesce(max(seq), 0) FROM {_TABLE}")).scalar() or 0)

    def live(self, worker: str) -> None:
        """Holds the lock of this worker until the process ends or `close` is called."""
        import sqlalchemy as sa
        from filelock import FileLock

        if self.postgres:
            connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _key(worker)})
            self._held = connection
        else:
            self._workers.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._workers / f"{worker}.lock", thread_local=False)
            lock.acquire()
            self._held = lock

    def dead(self, workers: Iterable[str]) -> list[str]:
        """Those of these workers that do not live any more."""
        return [worker for worker in workers if self._is_dead(worker)]

    def _is_dead(self, worker: str) -> bool:
        import sqlalchemy as sa
        from filelock import FileLock, Timeout

        if self.postgres:
            with self.engine.connect() as connection:
                return bool(
                    connection.execute(sa.text("SELECT pg_try_advisory_xact_lock(:k)"), {"k": _key(worker)}).scalar()
                )
        path = self._workers / f"{worker}.lock"
        if not path.exists():
            return True
        try:
            with FileLock(path, timeout=0):
                path.unlink(missing_ok=True)
                return True
        except Timeout:
            return False

    @property
    def _workers(self) -> Path:
        return self.settings.state / "workers"

    def close(self) -> None:
        """Gives the lock back and closes all connections."""
        from filelock import BaseFileLock

        if isinstance(self._held, BaseFileLock):
            path = Path(self._held.lock_file)
            self._held.release()
            path.unlink(missing_ok=True)
        elif self._held is not None:
            self._held.close()
        self._held = None
        self.engine.dispose()


def _key(worker: str) -> int:
    return int.from_bytes(hashlib.sha256(worker.encode()).digest()[:8], signed=True)
