"""Publishing to the event log, reading it, and consumers that remember how far they came.

Belongs here: `EventLog` and `Consumer`. Does not: the rules of an event (model), the SQLite file (storage).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from cogniforge_pipeline.events.model import (
    Event,
    EventError,
    NewEvent,
    from_row,
    is_name,
    rfc3339,
    to_row,
)
from cogniforge_pipeline.events.storage import Storage

_PAGE = 200
_PATTERN = re.compile(r"[a-z0-9_.*-]+")
_COLUMNS = "seq, id, source, type, subject, time, specversion, datacontenttype, dataschema, data, extensions"
_INSERT = (
    f"INSERT INTO events ({_COLUMNS}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (source, id) DO NOTHING RETURNING seq"
)
_BY_ID = f"SELECT {_COLUMNS} FROM events WHERE id = ? AND source = ?"
_COMMIT = (
    "INSERT INTO consumers (name, cursor, committed_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
    "SET cursor = excluded.cursor, committed_at = excluded.committed_at WHERE excluded.cursor > cursor"
)


class EventLog:
    """The log in the SQLite file `path`, made when it is not there; its folder must exist.

    Safe to share between threads, processes and across `os.fork`. Every method raises EventLogError when the
    file cannot be used. As a context manager it closes the calling thread's connection at the end.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._storage = Storage(self.path)
        with self._storage.reading():
            pass

    def publish(
        self,
        type: str,
        data: JsonValue = None,
        *,
        source: str,
        subject: str | None = None,
        time: datetime | None = None,
        id: str | None = None,
    ) -> Event:
        """Append one event; it is on disk when this returns.

        `type` is dotted lower-case words, `source` names the producer (a URI reference), `data` is any JSON
        value of at most 1 MiB, `time` (timezone-aware) is when it happened, now by default. Source and id
        together are unique: publishing them again returns the stored event and changes nothing.
        Raises EventError.
        """
        return self.publish_many([NewEvent(type, source, data, subject, time, id)])[0]

    def publish_many(self, events: Iterable[NewEvent | Event]) -> list[Event]:
        """Append all events or none, in one transaction; see `publish`. Returns them in the order given.

        An `Event`, such as one from `Event.from_cloudevent`, gets a new `seq` of this log. Raises EventError.
        """
        rows = [to_row(event) for event in events]
        stored: list[Event] = []
        if not rows:
            return stored
        with self._storage.writing() as connection:
            for row in rows:
                inserted = connection.execute(_INSERT, row).fetchall()
                if inserted:
                    stored.append(from_row(inserted[0][0], *row))
                else:
                    stored.append(from_row(*connection.execute(_BY_ID, row[:2]).fetchone()))
        return stored

    def read(
        self,
        after: int = 0,
        *,
        types: Sequence[str] | None = None,
        sources: Sequence[str] | None = None,
        limit: int | None = None,
        until: int | None = None,
    ) -> Iterator[Event]:
        """Events with `after < seq <= until` by rising `seq`; without `until`, to the end at the first step.

        `types` are names or patterns in which `*` stands for any characters, dots included ("asset.*");
        `sources` are exact; None means all. No lock is held between events.
        Raises EventError for a malformed pattern.
        """
        where = ""
        values: list[str] = []
        if types is not None:
            for pattern in types:
                if not _PATTERN.fullmatch(pattern):
                    raise EventError(f"expected an event type or a pattern such as 'asset.*', got {pattern!r}")
            where += f" AND ({' OR '.join(['type GLOB ?'] * len(types)) or 'FALSE'})"
            values += types
        if sources is not None:
            where += f" AND source IN ({', '.join('?' * len(sources))})"
            values += sources
        statement = f"SELECT {_COLUMNS} FROM events WHERE seq > ? AND seq <= ?{where} ORDER BY seq LIMIT ?"
        return self._pages(statement, values, after, until, limit)

    def _pages(
        self,
        statement: str,
        values: list[str],
        after: int,
        until: int | None,
        limit: int | None,
    ) -> Iterator[Event]:
        until = self.last_seq() if until is None else until
        left = until - after if limit is None else limit
        while left > 0:
            size = min(_PAGE, left)
            with self._storage.reading() as connection:
                page = connection.execute(statement, (after, until, *values, size)).fetchall()
            for row in page:
                yield from_row(*row)
            if len(page) < size:
                return
            after, left = page[-1][0], left - size

    def last_seq(self) -> int:
        """The `seq` of the newest event, 0 for an empty log."""
        with self._storage.reading() as connection:
            return int(connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])

    def consumer(self, name: str) -> Consumer:
        """The durable reader of this name (dotted lower-case words). Raises EventError for another name."""
        if not is_name(name):
            raise EventError(f"expected a consumer name of dotted lower-case words, got {name!r}")
        return Consumer(self._storage, self, name)

    def close(self) -> None:
        """Close the calling thread's connection; the next call opens it again."""
        self._storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Consumer:
    """A named reader whose cursor is kept in the log: what was not committed is delivered again.

    Made by `EventLog.consumer`; raises what the log raises.
    """

    def __init__(self, storage: Storage, log: EventLog, name: str) -> None:
        self._storage = storage
        self._log = log
        self.name = name

    @property
    def cursor(self) -> int:
        """The newest committed `seq`, 0 before the first commit."""
        with self._storage.reading() as connection:
            row = connection.execute("SELECT cursor FROM consumers WHERE name = ?", (self.name,)).fetchone()
        return int(row[0]) if row else 0

    def poll(self, limit: int = 100) -> list[Event]:
        """The next events after the cursor, at most `limit`; the same ones again until `commit`."""
        return list(self._log.read(self.cursor, limit=limit))

    def commit(self, seq: int) -> None:
        """Mark all events up to `seq` as done; on disk when this returns. The cursor never moves back.

        Raises EventError when the log does not reach that far.
        """
        if seq > (last := self._log.last_seq()):
            raise EventError(
                f"cannot commit event {seq}: the log ends at {last}",
                "commit the seq of a polled event",
            )
        with self._storage.writing() as connection:
            connection.execute(_COMMIT, (self.name, seq, rfc3339(datetime.now(UTC))))

    def lag(self) -> int:
        """How many events come after the cursor."""
        with self._storage.reading() as connection:
            counted = connection.execute(
                "SELECT count(*) FROM events WHERE seq > coalesce((SELECT cursor FROM consumers WHERE name = ?), 0)",
                (self.name,),
            )
            return int(counted.fetchone()[0])
