"""Publishing to the event log, reading it, and forgetting what is old.

Belongs here: `EventLog`. Does not: the rules of an event (model), consumers (consumer), the SQLite file (storage).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from cogniforge_pipeline.events.consumer import Consumer
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
_APPEND = _INSERT.removesuffix(" RETURNING seq")


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

    def append_many(self, events: Iterable[NewEvent | Event]) -> int:
        """As `publish_many`, where nobody asks what was stored: faster, and gives the number of events that are new."""
        rows = [to_row(event) for event in events]
        if not rows:
            return 0
        with self._storage.writing() as connection:
            return connection.executemany(_APPEND, rows).rowcount

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

    def seq_at(self, time: datetime) -> int:
        """The `seq` before the first event that happened at this time or later; the last one where there is none."""
        with self._storage.reading() as connection:
            statement = "SELECT min(seq) - 1 FROM events WHERE time >= ?"
            found = connection.execute(statement, (rfc3339(time),)).fetchone()[0]
        return self.last_seq() if found is None else int(found)

    def expire(self, before: datetime, *, until: int) -> int:
        """Deletes events that happened before a time; gives their number.

        Only those up to the seq `until` and that every consumer has committed go, and dead letters stay. An event that is
        published again after it went is a new one.
        """
        with self._storage.writing() as connection:
            least = connection.execute("SELECT min(cursor) FROM consumers").fetchone()[0]
            last = until if least is None else min(until, least)
            kept = "SELECT seq FROM deliveries WHERE dead"
            statement = f"DELETE FROM events WHERE time < ? AND seq <= ? AND seq NOT IN ({kept})"
            return connection.execute(statement, (rfc3339(before), last)).rowcount

    def consumers(self) -> dict[str, int]:
        """The cursor of each consumer that ever committed, by name."""
        with self._storage.reading() as connection:
            return dict(connection.execute("SELECT name, cursor FROM consumers ORDER BY name").fetchall())

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
