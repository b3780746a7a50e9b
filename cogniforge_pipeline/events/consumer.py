"""Named readers that remember how far they came, and what to do with an event that cannot be handled.

Belongs here: `Consumer` and `DeadLetter`. Does not: publishing, or what handlers do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cogniforge_pipeline.events.model import Event, EventError, from_row, rfc3339
from cogniforge_pipeline.events.storage import Storage

if TYPE_CHECKING:
    from cogniforge_pipeline.events.log import EventLog

MOST_FAILURES = 5
_EVENT = "e.seq, e.id, e.source, e.type, e.subject, e.time, e.specversion, e.datacontenttype, e.dataschema, e.data, e.extensions"
_COMMIT = (
    "INSERT INTO consumers (name, cursor, committed_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
    "SET cursor = excluded.cursor, committed_at = excluded.committed_at"
)
_FORWARD = f"{_COMMIT} WHERE excluded.cursor > cursor"
_FAIL = (
    "INSERT INTO deliveries (consumer, seq, failures, reason, failed_at, dead) VALUES (?, ?, 1, ?, ?, ?) "
    "ON CONFLICT (consumer, seq) DO UPDATE SET failures = failures + 1, reason = excluded.reason, "
    "failed_at = excluded.failed_at, dead = dead OR excluded.dead RETURNING failures"
)


@dataclass(frozen=True)
class DeadLetter:
    """An event that a consumer gave up on: after so many failures, for the reason of the last one."""

    event: Event
    failures: int
    reason: str
    failed_at: datetime


class Reading:
    """What handling events is, wherever they and the cursor are kept."""

    def poll(self, limit: int = 100) -> list[Event]:
        raise NotImplementedError

    def commit(self, seq: int) -> None:
        raise NotImplementedError

    def _fail(self, event: Event, reason: str, most: int) -> int:
        """Keeps a failure, and makes the event a dead letter at the last one; gives how many there were."""
        raise NotImplementedError

    def process(
        self,
        handle: Callable[[Event], object],
        *,
        most_failures: int = MOST_FAILURES,
        limit: int = 100,
    ) -> int:
        """Hands the next events to a handler in order, and commits those it took; gives their number.

        Where the handler raises, the event stays for the next call, so that order is kept; after `most_failures` it
        becomes a dead letter and the next one's turn comes. An event may be handed over again after a crash.
        """
        taken, done = 0, 0
        for event in self.poll(limit):
            try:
                handle(event)
            except Exception as error:
                if self._fail(event, f"{type(error).__name__}: {error}", most_failures) < most_failures:
                    break
            else:
                taken += 1
            done = event.seq
        if done:
            self.commit(done)
        return taken

    def bury(self, event: Event, reason: str) -> None:
        """Makes an event a dead letter at once. The cursor is not moved."""
        self._fail(event, reason, 1)


class Consumer(Reading):
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
        self._move(seq, _FORWARD)

    def seek(self, seq: int) -> None:
        """Sets the cursor, also back: everything after `seq` is delivered again. Raises EventError as `commit`."""
        self._move(seq, _COMMIT)

    def _move(self, seq: int, statement: str) -> None:
        if seq > (last := self._log.last_seq()) or seq < 0:
            raise EventError(
                f"cannot commit event {seq}: the log ends at {last}",
                "commit the seq of a polled event",
            )
        with self._storage.writing() as connection:
            connection.execute(statement, (self.name, seq, rfc3339(datetime.now(UTC))))

    def _fail(self, event: Event, reason: str, most: int) -> int:
        with self._storage.writing() as connection:
            now = rfc3339(datetime.now(UTC))
            row = connection.execute(_FAIL, (self.name, event.seq, reason[:2000], now, most <= 1)).fetchone()
            if int(row[0]) >= most:
                connection.execute(
                    "UPDATE deliveries SET dead = TRUE WHERE consumer = ? AND seq = ?", (self.name, event.seq)
                )
            return int(row[0])

    def dead_letters(self) -> list[DeadLetter]:
        """The events that this consumer gave up on, in order."""
        statement = (
            f"SELECT d.failures, d.reason, d.failed_at, {_EVENT} FROM deliveries AS d JOIN events AS e USING (seq) "
            "WHERE d.consumer = ? AND d.dead ORDER BY d.seq"
        )
        with self._storage.reading() as connection:
            rows = connection.execute(statement, (self.name,)).fetchall()
        return [DeadLetter(from_row(*row[3:]), row[0], row[1], datetime.fromisoformat(row[2])) for row in rows]

    def revive(self, handle: Callable[[Event], object]) -> int:
        """Hands the dead letters over once more; those that are taken are no dead letters any more. Gives their number."""
        taken = 0
        for letter in self.dead_letters():
            try:
                handle(letter.event)
            except Exception as error:
                self._fail(letter.event, f"{type(error).__name__}: {error}", 1)
                continue
            with self._storage.writing() as connection:
                connection.execute(
                    "DELETE FROM deliveries WHERE consumer = ? AND seq = ?", (self.name, letter.event.seq)
                )
            taken += 1
        return taken

    def lag(self) -> int:
        """How many events come after the cursor."""
        with self._storage.reading() as connection:
            counted = connection.execute(
                "SELECT count(*) FROM events WHERE seq > coalesce((SELECT cursor FROM consumers WHERE name = ?), 0)",
                (self.name,),
            )
            return int(counted.fetchone()[0])
