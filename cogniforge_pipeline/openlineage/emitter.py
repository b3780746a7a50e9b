"""Where OpenLineage events go: a file in the home, and a server where one is set.

Belongs here: writing, sending, and putting up with a server that is down. Does not: what an event holds (`events.py`).

The file takes every event before it is sent, so what a server missed is there to be sent again: each line is the body of
one `POST <url>/api/v1/lineage`.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from cogniforge_pipeline.openlineage.events import ColumnOrigins, Source, run_events
from cogniforge_pipeline.publish import Attempt
from cogniforge_pipeline.queries import Query
from cogniforge_pipeline.settings import Settings

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent
    from openlineage.client.transport.http import HttpTransport

FILE = "openlineage.jsonl"
LARGEST = 32 * 1024 * 1024
"""Bytes of the file. A larger one is moved to `openlineage.1.jsonl`, in place of the one before it."""
SECONDS = 1.0
"""How long a connection, and how long an answer, is waited for."""
PAUSE_SECONDS = 60
"""A server that did not answer is left alone for so long, by all processes of the home."""
LOCK_SECONDS = 5

_log = logging.getLogger(__name__)


class Emitter:
    """The listener of one process on one lake. `queries` gives the query of each table that has one."""

    def __init__(
        self,
        settings: Settings,
        queries: Callable[[], Mapping[str, Query]],
        origins: ColumnOrigins | None = None,
    ) -> None:
        self.settings = settings
        self.file = settings.state / FILE
        self._queries, self._origins = queries, origins
        self._unreachable = settings.state / "openlineage.unreachable"
        self._transport: HttpTransport | None = None
        self._warned = False

    def __call__(self, attempt: Attempt) -> None:
        """Writes the events of an attempt, then sends them. A file or a server that fails costs a warning, no more."""
        events = run_events(attempt, self.settings, self._source(attempt))
        try:
            write(self.file, events)
        except OSError as error:
            self._warn(f"{self.file} cannot be written: {error}", attempt.run_id)
        chosen = self.settings.openlineage
        if chosen and chosen.url:
            self._send(chosen.url, events, attempt.run_id)

    def _source(self, attempt: Attempt) -> Source:
        """Only a computed table has one; what comes from outside need not have the queries read for it."""
        if attempt.circumstances and not attempt.circumstances.code_version:
            return Source()
        query = self._queries().get(attempt.contract.name)
        return Source(query, tuple(self._origins(query)) if query and self._origins else ())

    def _send(self, url: str, events: Sequence[RunEvent], run_id: str) -> None:
        with suppress(OSError):
            if time.time() - self._unreachable.stat().st_mtime < PAUSE_SECONDS:
                return self._missed(url, "it did not answer a moment ago", run_id)
        try:
            for event in events:
                self._server(url).emit(event)
        except Exception as error:  # a proxy, a certificate, an answer of 500: whatever it is, the table is published
            self._missed(url, self.settings.redact(_reason(error)), run_id)
            with suppress(OSError):
                self._unreachable.write_text(run_id)
        else:
            self._warned = False
            self._unreachable.unlink(missing_ok=True)
        return None

    def _server(self, url: str) -> HttpTransport:
        from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport, TokenProvider

        if self._transport is None:
            key = self.settings.openlineage.api_key if self.settings.openlineage else None
            auth = ApiKeyTokenProvider({"apiKey": key}) if key else TokenProvider({})
            config = HttpConfig(f"{url}/", timeout=SECONDS, auth=auth, retry={"total": 0})
            self._transport = HttpTransport(config)
        return self._transport

    def _missed(self, url: str, reason: str, run_id: str) -> None:
        self._warn(f"{url} takes no OpenLineage events, they stay in {self.file}: {reason}", run_id)

    def _warn(self, message: str, run_id: str) -> None:
        """Once for a run, of how many processes it may be, and once for a process, of how many runs it may work on."""
        with suppress(OSError):
            self._warned = self._warned or self._unreachable.read_text() == run_id
        if not self._warned:
            _log.warning(message)
        self._warned = True


def _reason(error: BaseException) -> str:
    """What came first: the libraries between wrap it in more and more of their own words."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


def write(file: Path, events: Sequence[RunEvent]) -> None:
    """Appends events, one line each; the half of a line that a killed process left is cut off first.

    Raises OSError, a TimeoutError among them when other processes hold the file for LOCK_SECONDS.
    """
    from openlineage.client.serde import Serde

    lines = "".join(f"{Serde.to_json(event)}\n" for event in events).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock"), timeout=LOCK_SECONDS):
        if file.exists() and file.stat().st_size > LARGEST:
            file.replace(file.with_suffix(".1.jsonl"))
        with file.open("ab") as out:
            if torn := _torn(file):
                out.truncate(out.tell() - torn)
            out.write(lines)


def _torn(file: Path) -> int:
    """How many bytes stand behind the last line's end."""
    with file.open("rb") as found:
        size = found.seek(0, os.SEEK_END)
        torn, step = 0, 64 * 1024
        while torn < size:
            start = max(0, size - torn - step)
            found.seek(start)
            part = found.read(size - torn - start)
            end = part.rfind(b"\n")
            if end >= 0:
                return torn + len(part) - end - 1
            torn += len(part)
    return torn
