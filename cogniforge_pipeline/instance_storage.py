"""Where the Dagster instance of a home keeps runs, events and ticks: SQLite files under state/dagster.

Belongs here: the storage that dagster.yaml names. Does not: what is stored, or the lake's own catalog (`lake.py`).

Dagster's default opens, syncs and closes two databases for each event; a run whose checks are many then spends most of
its time there. Here one connection pool stays open and a commit does not wait for the disk: after a power cut the last
events may be missing, the tables of the lake never are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import sqlalchemy
from dagster._config.config_schema import UserConfigSchema
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage
from dagster._core.storage.event_log.polling_event_watcher import SqlPollingEventWatcher
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from filelock import FileLock
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import ConnectionPoolEntry

from cogniforge_pipeline.settings import load_settings

BUSY_SECONDS = 60


class HomeEventLog(ConsolidatedSqliteEventLogStorage):
    """Events of all runs in one database, over connections that stay open."""

    def __init__(self, base_dir: str) -> None:
        self._engine: Engine | None = None
        self._open = threading.local()
        self._tables: dict[str, bool] = {}
        self._watcher = SqlPollingEventWatcher(self)
        super().__init__(base_dir)

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        """A transaction; inside of another one of the same thread, that one."""
        if connection := getattr(self._open, "connection", None):
            yield connection
            return
        if self._engine is None:
            self._engine = sqlalchemy.create_engine(self._conn_string, connect_args={"timeout": BUSY_SECONDS})
            sqlalchemy.event.listen(self._engine, "connect", _commit_without_waiting)
        with self._engine.connect() as connection, connection.begin():
            self._open.connection = connection
            try:
                yield connection
            finally:
                self._open.connection = None

    def store_event(self, event: EventLogEntry) -> None:
        with self._connect():
            super().store_event(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        with self._connect():
            super().store_event_batch(events)

    def has_table(self, table_name: str) -> bool:
        """Asked for every event, and answered once: tables are only made by an upgrade, which is another process."""
        if table_name not in self._tables:
            with self._connect() as connection:
                self._tables[table_name] = connection.dialect.has_table(connection, table_name)
        return self._tables[table_name]

    def watch(self, run_id: str, cursor: str | None, callback: Callable[..., Any]) -> None:
        """Polls: in WAL mode the database file itself does not change with every commit."""
        self._watcher.watch_run(run_id, cursor, callback)

    def end_watch(self, run_id: str, handler: Callable[..., Any]) -> None:
        self._watcher.unwatch_run(run_id, handler)

    def dispose(self) -> None:
        self._watcher.close()
        if self._engine is not None:
            self._engine.dispose()


class HomeStorage(DagsterSqliteStorage):
    """Runs, events and ticks of the home that the environment names."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self.base_dir = base_dir
        self._inst_data = inst_data
        with FileLock(Path(base_dir) / "storage.lock"):  # two processes that make the same databases must not meet
            self._run_storage = SqliteRunStorage.from_local(base_dir)
            self._event_log_storage: Any = HomeEventLog(base_dir)
            self._schedule_storage = SqliteScheduleStorage.from_local(base_dir)

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:  # noqa: ARG003
        folder = load_settings().dagster_home
        folder.mkdir(parents=True, exist_ok=True)
        return cls(str(folder), inst_data)


def _commit_without_waiting(connection: Any, _: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
