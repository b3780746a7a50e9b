"""What reaches an execution while it runs here: signals, a cancellation, the end of a wait, the end of this process.

Belongs here: the mailboxes of the executions of one process, and the thread that fills them. Does not: keeping signals.
"""

from __future__ import annotations

import logging
import threading
import time

from cogniforge_pipeline.workflow.handlers import Context
from cogniforge_pipeline.workflow.machine import CANCEL
from cogniforge_pipeline.workflow.store import Signal, Store

POLL_SECONDS = 0.1
_log = logging.getLogger(__name__)


class Closing(BaseException):
    """This process ends: the execution stops where it is, and nothing of that is kept. Another worker goes on with it."""


class Mailbox:
    """That of one execution."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.signals: list[Signal] = []
        self.cancelled = False
        self.closing = False
        self._interrupted: set[str] = set()
        self._contexts: set[Context] = set()

    def put(self, signal: Signal) -> None:
        """Takes a signal, once."""
        with self.changed:
            if any(known.seq == signal.seq for known in self.signals):
                return
            self.signals.append(signal)
            if signal.name == CANCEL:
                self.cancelled = True
                self._stop_contexts()
            self.changed.notify_all()

    def first(self, name: str, after: int) -> Signal | None:
        """The first signal of a name after a place."""
        return next((each for each in self.signals if each.name == name and each.seq > after), None)

    def interrupt(self, operations: set[str]) -> None:
        """Ends waits early."""
        with self.changed:
            self._interrupted |= operations
            self.changed.notify_all()

    def interrupted(self, operation: str) -> bool:
        """Whether an operation is to end early. Raises Closing."""
        if self.closing:
            raise Closing
        return operation in self._interrupted

    def watch(self, context: Context, heeds_cancel: bool) -> None:
        """Lets a context know when its attempt is to end."""
        with self.changed:
            if heeds_cancel:
                self._contexts.add(context)
            if self.closing or (heeds_cancel and self.cancelled):
                context.stopping.set()

    def unwatch(self, context: Context) -> None:
        self._contexts.discard(context)

    def close(self) -> None:
        """The process ends."""
        with self.changed:
            self.closing = True
            self._stop_contexts()
            self.changed.notify_all()

    def _stop_contexts(self) -> None:
        for context in self._contexts:
            context.stopping.set()


class Mailboxes:
    """Those of all executions of this process; a thread looks for signals while there are any."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._boxes: dict[str, Mailbox] = {}
        self._lock = threading.Condition()
        self._after = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    def open(self, execution_id: str, *, fresh: bool) -> Mailbox:
        """The mailbox of an execution; one that is not `fresh` may have had signals before."""
        with self._lock:
            box = self._boxes.setdefault(execution_id, Mailbox())
            box.closing = self._closed
            if self._thread is None:
                self._after = self._store.last_signal()
                self._thread = threading.Thread(target=self._fill, name="workflow-signals", daemon=True)
                self._thread.start()
            self._lock.notify_all()
        if not fresh:
            for _, signal in self._store.signals([execution_id]):
                box.put(signal)
        return box

    def drop(self, execution_id: str) -> None:
        with self._lock:
            self._boxes.pop(execution_id, None)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            boxes = list(self._boxes.values())
            self._lock.notify_all()
        for box in boxes:
            box.close()

    def look(self) -> None:
        """Reads what came since the last look."""
        with self._lock:
            ids, after = list(self._boxes), self._after
        if not ids:
            return
        last = self._store.last_signal()
        if last <= after:
            return
        for execution_id, signal in self._store.signals(ids, after):
            if box := self._boxes.get(execution_id):
                box.put(signal)
        with self._lock:
            self._after = max(self._after, last)

    def _fill(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closed or self._boxes)
                if self._closed:
                    return
            time.sleep(POLL_SECONDS)
            try:
                self.look()
            except Exception as error:  # the database may be away for a moment: what came is read at the next look
                _log.warning("signals are not read: %s", self._store.settings.redact(str(error)))
                time.sleep(POLL_SECONDS)
