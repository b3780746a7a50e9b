"""Python callables that activities name, and what each is given.

Belongs here: the registry, finding `module:function`, the context of one attempt, and calling. Does not: retries.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from pydantic import JsonValue

from cogniforge_pipeline.errors import CogniforgeError

Handler = Callable[..., Any]


class NonRetryableError(Exception):
    """Raised by a handler: no other attempt would help."""


class StoppedError(Exception):
    """Raised by `heartbeat` when the attempt is to end: it ran out of time, or a cancellation was asked for."""


class Context:
    """What a handler may ask, as its second argument.

    `key` is the idempotency key: the same for every attempt, also after a crash, and never used for anything else.
    `attempt` counts from 1. `result` is what is to be undone, for a compensation. `details` are those of the last heartbeat
    of the attempt before. `stopping` is set when the attempt should end.
    """

    def __init__(
        self,
        key: str,
        execution_id: str = "",
        activity: str = "",
        attempt: int = 1,
        result: JsonValue = None,
        details: JsonValue = None,
    ) -> None:
        self.key = key
        self.execution_id = execution_id
        self.activity = activity
        self.attempt = attempt
        self.result = result
        self.details = details
        self.stopping = threading.Event()
        self.beaten = time.monotonic()

    def heartbeat(self, details: JsonValue = None) -> None:
        """Says that the work goes on, and where it stands. Raises StoppedError when it is to end."""
        if self.stopping.is_set():
            raise StoppedError("the attempt is to end")
        self.beaten = time.monotonic()
        if details is not None:
            self.details = details


class Handlers:
    """The callables of one process. Names with a colon are looked up as `module:function`."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Handler, bool]] = {}
        self._changed = threading.Condition()

    def register(self, name: str, handler: Handler) -> None:
        """A callable `(input)` or `(input, context)` under a name; a later one takes its place."""
        if not callable(handler):
            raise CogniforgeError(f"handler {name!r}: expected a callable, got {type(handler).__name__}")
        with self._changed:
            self._known[name] = (handler, _takes_context(handler))
            self._changed.notify_all()

    def find(self, name: str) -> tuple[Handler, bool] | None:
        """The callable and whether it takes a context; None for a name that is not registered.

        Raises CogniforgeError where `module:function` leads nowhere.
        """
        if name in self._known:
            return self._known[name]
        module, colon, function = name.partition(":")
        if not colon:
            return None
        try:
            found = import_module(module)
            for part in function.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise CogniforgeError(f"handler {name!r} cannot be imported: {error}", "write module:function") from error
        self.register(name, found)  # type: ignore[arg-type]
        return self._known[name]

    def wait(self, seconds: float) -> None:
        """Until a handler is registered, at most so long."""
        with self._changed:
            self._changed.wait(seconds)


def _takes_context(handler: Handler) -> bool:
    """Whether a second argument is asked for, or one named context is taken."""
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        return False
    places = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    return len(places) > 1 and (places[1].default is inspect.Parameter.empty or places[1].name == "context")
