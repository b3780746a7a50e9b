"""What the machine asks for, and what it is told: the two types between deciding and doing.

Belongs here: an operation, its outcome, and how a unit of a workflow stands. Does not: deciding (`machine.py`) or doing
(`perform.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, TypeVar

from pydantic import JsonValue

from cogniforge_pipeline.workflow import expressions
from cogniforge_pipeline.workflow.expressions import ExpressionError
from cogniforge_pipeline.workflow.model import Action, WorkflowActivity

A = TypeVar("A", bound=Action)

CANCELLED = "Cancelled"
TIMED_OUT = "TimedOut"
HEARTBEAT = "HeartbeatTimeout"
UNDOING = ("compensate", "compensate_rest")
UNKNOWN_EFFECT = (TIMED_OUT, HEARTBEAT, CANCELLED)
"""Errors after which the effect may have happened, or may happen still."""


class Failure(TypedDict, total=False):
    """Why something failed: the name of the error's class, what it says, and whether no other attempt may follow."""

    type: str
    message: str
    final: bool


class Outcome(TypedDict, total=False):
    """What came of an operation, as the journal keeps it. `started` and `finished` are seconds since 1970 in UTC.

    `stopped` says that a cancellation was asked for by then; `interrupted`, that the operation ended early and without
    an effect. `seq` is that of the signal taken, `details` those of the last heartbeat, `input` the one given.
    """

    ok: bool
    result: JsonValue
    error: Failure
    started: float
    finished: float
    stopped: bool
    interrupted: bool
    seq: int
    details: JsonValue
    kind: str
    unit: str
    attempt: int
    due: float


@dataclass(frozen=True)
class Operation:
    """One thing to do now.

    `attempt` does an action, `compensate` undoes one, `wait` is a timer, `rest` and `compensate_rest` are the waits before
    another attempt, `signal` waits for a message. `key` is the idempotency key, the same for all attempts. `due` (seconds
    since 1970) ends a wait, and is the deadline of an attempt. `after` is the last signal taken before; `details` those of
    the last heartbeat.
    """

    kind: Literal["attempt", "compensate", "compensate_rest", "wait", "rest", "signal"]
    unit: str
    attempt: int
    key: str = ""
    action: Action | None = None
    input: JsonValue = None
    result: JsonValue = None
    due: float | None = None
    timeout: float | None = None
    heartbeat: float | None = None
    signal: str = ""
    after: int = 0
    approval: bool = False
    details: JsonValue = None

    @property
    def name(self) -> str:
        """The operation's name in the journal, unique in an execution."""
        return f"{self.kind} {self.unit} {self.attempt}"


@dataclass
class Unit:
    """One making of an activity: of the activity itself, of an item of `for_each`, or of a branch.

    `status` is waiting, running, completed, recovered, failed, skipped or cancelled; `done` is its place in the order of
    ends. `unsure` says that an effect may be there although the unit failed.
    """

    key: str
    activity: WorkflowActivity
    item: JsonValue = None
    index: int = 0
    status: str = "waiting"
    attempt: int = 0
    failures: int = 0
    polls: int = 0
    input: JsonValue = None
    result: JsonValue = None
    error: Failure | None = None
    details: JsonValue = None
    unsure: bool = False
    done: int = 0
    undone: str = ""
    undo_attempt: int = 0
    undo_error: Failure | None = None

    @property
    def ended(self) -> bool:
        return self.status not in ("waiting", "running")


def rendered(action: A, values: Mapping[str, Any]) -> A:
    """The action with the expressions of its command or request replaced. Raises ExpressionError."""
    if action.command is not None:
        words = tuple(expressions.as_text(expressions.render(word, values)) for word in action.command)
        return action.model_copy(update={"command": words})
    if action.http is not None:
        http = action.http
        update = {
            "url": expressions.as_text(expressions.render(http.url, values)),
            "headers": {n: expressions.as_text(expressions.render(v, values)) for n, v in http.headers.items()},
            "json_body": expressions.render(http.json_body, values),
        }
        return action.model_copy(update={"http": http.model_copy(update=update)})
    return action


def failure(error: ExpressionError) -> Failure:
    """An expression that does not fit will not fit the next time."""
    return {"type": type(error).__name__, "message": error.message, "final": True}
