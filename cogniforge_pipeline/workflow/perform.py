"""Doing one operation: an attempt, a compensation, or a wait. What comes of it is what the journal keeps.

Belongs here: time limits, heartbeats, errors as outcomes, waiting. Does not: deciding, or the journal.

An attempt that runs out of time is told to stop; a command is killed. A Python callable cannot be: where it does not listen,
it goes on in a thread of its own while the next attempt begins, with the same idempotency key.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from pydantic import JsonValue

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.workflow.handlers import Context, Handlers, NonRetryableError, StoppedError
from cogniforge_pipeline.workflow.mailbox import Mailbox
from cogniforge_pipeline.workflow.model import Action
from cogniforge_pipeline.workflow.operations import (
    CANCELLED,
    HEARTBEAT,
    TIMED_OUT,
    UNDOING,
    Failure,
    Operation,
    Outcome,
)
from cogniforge_pipeline.workflow.outside import call_http, run_command

MOST_RESULT_BYTES = 1024 * 1024
KILL_SECONDS = 5.0
SLICE_SECONDS = 1.0

Child = Callable[[str, Operation, Mailbox], JsonValue]
"""Runs a workflow as part of another one, and gives its output."""


class _Limit(Exception):
    """An attempt ran out of time; its text is the error's type."""


def perform(
    operation: Operation,
    execution_id: str,
    mailbox: Mailbox,
    handlers: Handlers,
    allowed: tuple[str, ...],
    child: Child,
) -> Outcome:
    """What came of an operation. Raises Closing where this process ends before."""
    started = time.time()
    if operation.kind in ("wait", "rest", "compensate_rest", "signal"):
        outcome = _wait(operation, mailbox)
    elif operation.kind == "attempt" and (mailbox.cancelled or mailbox.interrupted(operation.name)):
        outcome = {"ok": False, "interrupted": True}
    else:
        outcome = _attempt(operation, execution_id, mailbox, handlers, allowed, child)
        mailbox.interrupted(operation.name)
    told: Outcome = {
        "kind": operation.kind,
        "unit": operation.unit,
        "attempt": operation.attempt,
        "started": started,
        "finished": max(time.time(), started),
    }
    if operation.kind not in UNDOING and mailbox.cancelled:
        told["stopped"] = True
    return {**told, **outcome}


def _wait(operation: Operation, mailbox: Mailbox) -> Outcome:
    beaten, heard = time.time(), operation.after
    with mailbox.changed:
        while True:
            now = time.time()
            if mailbox.interrupted(operation.name) or (mailbox.cancelled and operation.kind not in UNDOING):
                return {"ok": False, "interrupted": True}
            if operation.kind == "signal":
                if signal := mailbox.first(operation.signal, operation.after):
                    return _signalled(operation, signal.payload) | {"seq": signal.seq}
                if beat := mailbox.first(f"{operation.signal}.heartbeat", heard):
                    heard, beaten = beat.seq, now
            silent = None if operation.heartbeat is None else beaten + operation.heartbeat
            if operation.due is not None and now >= operation.due:
                late: Failure = {"type": TIMED_OUT, "message": f"no signal {operation.signal!r} in time"}
                return {"ok": False, "error": late} if operation.kind == "signal" else {"ok": True}
            if silent is not None and now >= silent:
                return {"ok": False, "error": {"type": HEARTBEAT, "message": f"silent for {operation.heartbeat:g} s"}}
            ends = [each - now for each in (operation.due, silent) if each is not None]
            mailbox.changed.wait(min([*ends, SLICE_SECONDS]))


def _signalled(operation: Operation, payload: JsonValue) -> Outcome:
    """A payload of {"failed": {"type": …, "message": …}} is a failure; so is an approval that was not given."""
    if isinstance(payload, dict) and isinstance(failed := payload.get("failed"), dict):
        told = {"type": str(failed.get("type") or "SignalFailed"), "message": str(failed.get("message") or "")}
        return {"ok": False, "error": {"type": told["type"], "message": told["message"]}}
    if operation.approval and not (isinstance(payload, dict) and payload.get("approved") is True):
        by = payload.get("by") if isinstance(payload, dict) else None
        return {"ok": False, "error": {"type": "ApprovalRejected", "message": f"rejected by {by or 'somebody'}"}}
    return {"ok": True, "result": payload}


def _attempt(
    operation: Operation,
    execution_id: str,
    mailbox: Mailbox,
    handlers: Handlers,
    allowed: tuple[str, ...],
    child: Child,
) -> Outcome:
    context = Context(
        operation.key, execution_id, operation.unit, operation.attempt, operation.result, operation.details
    )
    began, action = time.time(), operation.action
    assert action is not None
    mailbox.watch(context, operation.kind == "attempt")
    try:
        seconds = _seconds(operation)
        if seconds is not None and seconds <= 0:
            raise _Limit(TIMED_OUT)
        work = _work(operation, action, context, mailbox, handlers, allowed, child, seconds)
        if seconds is None and operation.heartbeat is None:
            result = work()
        else:
            result = _limited(work, context, seconds, operation.heartbeat, action.command is not None)
        return {"ok": True, "result": _plain(result)}
    except _Limit as limit:
        failure: Failure = {"type": str(limit), "message": f"not done after {time.time() - began:.3g} s"}
    except StoppedError as error:
        failure = {"type": CANCELLED, "message": str(error), "final": True}
    except Exception as error:
        policy = action.retry_policy.non_retryable_errors
        names = {each.__name__ for each in type(error).__mro__}
        failure = {"type": type(error).__name__, "message": _message(error)}
        if isinstance(error, NonRetryableError) or names & set(policy):
            failure["final"] = True
    finally:
        mailbox.unwatch(context)
    outcome: Outcome = {"ok": False, "error": failure}
    if context.details is not None:
        outcome["details"] = context.details
    return outcome


def _seconds(operation: Operation) -> float | None:
    left = None if operation.due is None else operation.due - time.time()
    limits = [each for each in (left, operation.timeout) if each is not None]
    return min(limits) if limits else None


def _work(
    operation: Operation,
    action: Action,
    context: Context,
    mailbox: Mailbox,
    handlers: Handlers,
    allowed: tuple[str, ...],
    child: Child,
    seconds: float | None,
) -> Callable[[], JsonValue]:
    if action.command is not None:
        words = action.command
        return lambda: run_command(words, allowed, operation.input, operation.key, context.stopping)
    if action.http is not None:
        call = action.http
        return lambda: call_http(call, operation.input, operation.key, seconds)
    if action.workflow is not None:
        workflow = action.workflow
        return lambda: child(workflow, operation, mailbox)
    assert action.handler is not None
    while (found := handlers.find(action.handler)) is None:
        # Whoever registers it may still be at it, after a restart; a cancellation and the end of the process go on.
        if mailbox.interrupted(operation.name) or context.stopping.is_set():
            raise StoppedError(f"the handler {action.handler!r} is not registered here")
        if operation.due is not None and time.time() >= operation.due:
            raise _Limit(TIMED_OUT)
        handlers.wait(0.2)
    function, takes_context = found
    return lambda: function(operation.input, context) if takes_context else function(operation.input)


def _limited(
    work: Callable[[], JsonValue], context: Context, seconds: float | None, heartbeat: float | None, stops: bool
) -> JsonValue:
    """Does work in a thread of its own, within limits. Raises what it raises, and _Limit."""
    done = threading.Event()
    came: dict[str, Any] = {}

    def run() -> None:
        try:
            came["result"] = work()
        except BaseException as error:
            came["error"] = error
        finally:
            done.set()

    begun = context.beaten = time.monotonic()
    threading.Thread(target=run, name=f"workflow-{context.key}", daemon=True).start()
    while True:
        now = time.monotonic()
        ends = [] if seconds is None else [(begun + seconds, TIMED_OUT)]
        ends += [] if heartbeat is None else [(context.beaten + heartbeat, HEARTBEAT)]
        end, kind = min(ends)
        if done.wait(max(0.0, end - now)):
            break
        if time.monotonic() >= end and (kind == TIMED_OUT or context.beaten + (heartbeat or 0) <= end):
            context.stopping.set()
            if stops:
                done.wait(KILL_SECONDS)
            raise _Limit(kind)
    if "error" in came:
        raise came["error"]
    result: JsonValue = came["result"]
    return result


def _plain(result: Any) -> JsonValue:
    """The result as JSON has it, which is how it would be read again. Raises NonRetryableError."""
    try:
        text = json.dumps(result, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise NonRetryableError(f"the result is not JSON: {error}") from None
    if len(text) > MOST_RESULT_BYTES:
        raise NonRetryableError(f"the result has {len(text)} bytes, {MOST_RESULT_BYTES} are allowed: keep it elsewhere")
    plain: JsonValue = json.loads(text)
    return plain


def _message(error: Exception) -> str:
    return (error.message if isinstance(error, CogniforgeError) else str(error))[:2000]
