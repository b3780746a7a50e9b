"""The event log on NATS JetStream, for producers and consumers on many machines; the extra `nats`.

Belongs here: the same methods as `EventLog` and `Consumer`, over a stream and a bucket of cursors. Does not: the server.

An event is a message in structured mode under `<stream>.<type>`; its `seq` is that of the stream. JetStream tells repetitions of
(source, id) for DUPLICATE_SECONDS, the file of a home does for as long as it keeps them. When `publish` returns the server has
stored the event; that it survives a power cut is the server's setting `sync_interval`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import JsonValue

from cogniforge_pipeline.events import messages
from cogniforge_pipeline.events.consumer import DeadLetter, Reading
from cogniforge_pipeline.events.model import Event, EventError, NewEvent, from_row, is_name, to_row
from cogniforge_pipeline.events.storage import EventLogError

if TYPE_CHECKING:
    from nats.js.kv import KeyValue

DUPLICATE_SECONDS = 3600.0
SECONDS = 5.0
_PAGE = 500
R = TypeVar("R")


class JetStreamLog:
    """The log in the stream `name` of the servers at `url`, made when it is not there; safe to share between threads.

    Every method raises EventLogError when the server cannot be used.
    """

    def __init__(self, url: str, name: str = "cogniforge") -> None:
        self.name = name
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="jetstream", daemon=True)
        self._thread.start()
        try:
            self._do(self._connect(url))
        except BaseException:
            self.close()
            raise

    async def _connect(self, url: str) -> None:
        import nats
        from nats.js.api import KeyValueConfig, StorageType, StreamConfig

        self._nats = await asyncio.wait_for(nats.connect(url, max_reconnect_attempts=-1), SECONDS)
        self._stream = self._nats.jetstream(timeout=SECONDS)
        await self._stream.add_stream(
            StreamConfig(
                name=self.name,
                subjects=[f"{self.name}.>"],
                storage=StorageType.FILE,
                duplicate_window=DUPLICATE_SECONDS,
            )
        )
        self._bucket: KeyValue = await self._stream.create_key_value(
            KeyValueConfig(bucket=f"{self.name}_consumers", storage=StorageType.FILE)
        )

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
        """As `EventLog.publish`."""
        return self.publish_many([NewEvent(type, source, data, subject, time, id)])[0]

    def publish_many(self, events: Iterable[NewEvent | Event]) -> list[Event]:
        """As `EventLog.publish_many`, but one after the other: those before a failure are stored."""
        return [event for event, _ in self._publish(events)]

    def append_many(self, events: Iterable[NewEvent | Event]) -> int:
        """As `EventLog.append_many`; see `publish_many`."""
        return sum(not duplicate for _, duplicate in self._publish(events))

    def _publish(self, events: Iterable[NewEvent | Event]) -> list[tuple[Event, bool]]:
        checked = [from_row(0, *to_row(event)) for event in events]

        async def send(event: Event) -> tuple[Event, bool]:
            headers, body = messages.structured(event)
            identity = hashlib.sha256(f"{event.source}\0{event.id}".encode()).hexdigest()
            told = await self._stream.publish(
                f"{self.name}.{event.type}", body, headers={**headers, "Nats-Msg-Id": identity}
            )
            if told.duplicate:
                return await self._get(told.seq), True
            return _numbered(event, told.seq), False

        async def all_of_them() -> list[tuple[Event, bool]]:
            return [await send(event) for event in checked]

        return self._do(all_of_them())

    async def _get(self, seq: int) -> Event:
        message = await self._stream.get_msg(self.name, seq)
        return _numbered(messages.parse(message.headers or {}, message.data or b""), seq)

    def read(
        self,
        after: int = 0,
        *,
        types: Sequence[str] | None = None,
        sources: Sequence[str] | None = None,
        limit: int | None = None,
        until: int | None = None,
    ) -> Iterator[Event]:
        """As `EventLog.read`."""
        last, left = self.last_seq() if until is None else until, limit
        while after < last and left != 0:
            page = self._do(self._page(after, min(_PAGE, last - after)))
            if not page:
                return
            for event in page:
                after = event.seq
                if after > last or left == 0:
                    return
                if types is not None and not any(fnmatchcase(event.type, pattern) for pattern in types):
                    continue
                if sources is not None and event.source not in sources:
                    continue
                left = None if left is None else left - 1
                yield event

    async def _page(self, after: int, size: int) -> list[Event]:
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=after + 1,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=60,
            mem_storage=True,
        )
        reader = await self._stream.pull_subscribe(f"{self.name}.>", stream=self.name, config=config)
        try:
            found = await reader.fetch(size, timeout=SECONDS)
        finally:
            await reader.unsubscribe()
        return [
            _numbered(messages.parse(each.headers or {}, each.data), each.metadata.sequence.stream) for each in found
        ]

    def last_seq(self) -> int:
        """As `EventLog.last_seq`."""
        return int(self._do(self._stream.stream_info(self.name)).state.last_seq)

    def consumer(self, name: str) -> JetStreamConsumer:
        """As `EventLog.consumer`."""
        if not is_name(name):
            raise EventError(f"expected a consumer name of dotted lower-case words, got {name!r}")
        return JetStreamConsumer(self, name)

    def close(self) -> None:
        """Ends the connection."""
        if hasattr(self, "_nats") and not self._nats.is_closed:
            self._do(self._nats.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _do(self, work: Coroutine[Any, Any, R]) -> R:
        from nats.errors import Error

        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except (Error, OSError, TimeoutError) as error:
            raise EventLogError(
                f"cannot use the event log {self.name} of NATS: {error}", "is the server there?"
            ) from error

    def _kept(self, key: str) -> Any:
        async def get() -> Any:
            from nats.js.errors import KeyNotFoundError

            try:
                return json.loads((await self._bucket.get(key)).value or b"null")
            except KeyNotFoundError:
                return None

        return self._do(get())

    def _keep(self, key: str, value: Any) -> None:
        self._do(self._bucket.put(key, json.dumps(value).encode()))


class JetStreamConsumer(Reading):
    """As `Consumer`. One process at a time may read under a name; two deliver twice."""

    def __init__(self, log: JetStreamLog, name: str) -> None:
        self._log = log
        self.name = name

    @property
    def cursor(self) -> int:
        """As `Consumer.cursor`."""
        return int(self._log._kept(f"cursor.{self.name}") or 0)

    def poll(self, limit: int = 100) -> list[Event]:
        """As `Consumer.poll`."""
        return list(self._log.read(self.cursor, limit=limit))

    def commit(self, seq: int) -> None:
        """As `Consumer.commit`."""
        if seq > self.cursor:
            self.seek(seq)

    def seek(self, seq: int) -> None:
        """As `Consumer.seek`."""
        if seq > (last := self._log.last_seq()) or seq < 0:
            raise EventError(f"cannot commit event {seq}: the log ends at {last}", "commit the seq of a polled event")
        self._log._keep(f"cursor.{self.name}", seq)

    def lag(self) -> int:
        """As `Consumer.lag`."""
        return max(0, self._log.last_seq() - self.cursor)

    def _fail(self, event: Event, reason: str, most: int) -> int:
        key = f"failures.{self.name}"
        kept = self._log._kept(key) or {}
        failures = kept.get(str(event.seq), {}).get("failures", 0) + 1
        told = {
            "failures": failures,
            "reason": reason[:2000],
            "at": datetime.now(UTC).isoformat(),
            "dead": failures >= most,
        }
        self._log._keep(key, {**kept, str(event.seq): told})
        return int(failures)

    def dead_letters(self) -> list[DeadLetter]:
        """As `Consumer.dead_letters`."""
        kept = self._log._kept(f"failures.{self.name}") or {}
        dead = sorted((int(seq), told) for seq, told in kept.items() if told["dead"])
        return [
            DeadLetter(
                self._log._do(self._log._get(seq)), told["failures"], told["reason"], datetime.fromisoformat(told["at"])
            )
            for seq, told in dead
        ]


def _numbered(event: Event, seq: int) -> Event:
    return from_row(seq, *to_row(event))
