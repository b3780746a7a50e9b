"""Deciding what an execution does next, from its definition, its input and what came of it so far.

Belongs here: the order of activities, retries, waits, groups, failure, cancellation and compensation. Does not: doing any of
it, keeping it, or asking a clock: the time is that of the newest outcome, so the same outcomes give the same decisions
whenever they are replayed.
"""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

from cogniforge_pipeline.workflow import compensation, expressions, retries
from cogniforge_pipeline.workflow.expressions import ExpressionError
from cogniforge_pipeline.workflow.model import WorkflowDefinition
from cogniforge_pipeline.workflow.operations import (
    CANCELLED,
    TIMED_OUT,
    UNDOING,
    UNKNOWN_EFFECT,
    Failure,
    Operation,
    Outcome,
    Unit,
    failure,
    rendered,
)
from cogniforge_pipeline.workflow.units import Group

CANCEL = "cogniforge.cancel"
"""The signal that asks for a cancellation; names of users' signals have no dot."""


class Machine:
    """One execution. Ask `begin` for operations, tell `settle` what came of each, until nothing is in flight."""

    def __init__(self, definition: WorkflowDefinition, execution_id: str, input: JsonValue, started: float) -> None:
        self.definition = definition
        self.execution_id = execution_id
        self.input: JsonValue = input
        if input is None or isinstance(input, dict):
            self.input = {**definition.input_data, **(input or {})}
        self.clock = started
        self.deadline = None if definition.timeout_seconds is None else started + definition.timeout_seconds
        self.groups = {activity.activity_id: Group(activity) for activity in definition.activities}
        self.flying: dict[str, Operation] = {}
        self.stop: Failure | None = None
        self.output: JsonValue = None
        self.finished = False
        self._needs = definition.needs
        self._results: dict[str, JsonValue] = {}
        self._summaries: dict[str, Any] = {}
        self._units: dict[str, tuple[Group, Unit]] = {}
        self._signals: dict[str, int] = {}
        self._ends = 0
        self._next: list[Operation] = []

    def begin(self) -> list[Operation]:
        """The operations to begin now. Nothing in flight after this means that the execution ended."""
        if self.stop is None:
            self._advance()
        if self.stop is not None and not self.flying and not self._next:
            self._compensate()
        if not self._next and not self.flying:
            self.finished = True
        begun, self._next = self._next, []
        self.flying.update({operation.name: operation for operation in begun})
        return begun

    def settle(self, operation: Operation, outcome: Outcome) -> None:
        """Takes what came of an operation that `begin` gave."""
        del self.flying[operation.name]
        self.clock = max(self.clock, outcome["finished"])
        group, unit = self._unit(operation.unit)
        if operation.kind in UNDOING:
            self._settle_undo(unit, operation, outcome)
            return
        if outcome.get("stopped") and self.stop is None:
            self.stop = {"type": CANCELLED, "message": "a cancellation was asked for"}
        if outcome.get("interrupted"):
            self._interrupted(unit, operation)
        elif operation.kind == "rest":
            self._attempt(unit)
        elif outcome["ok"]:
            self._succeeded(unit, outcome)
        else:
            self._failed(group, unit, outcome)
        if self.deadline is not None and self.clock >= self.deadline and self.stop is None and not self._complete():
            self.stop = {"type": TIMED_OUT, "message": f"not done after {self.definition.timeout_seconds:g} s"}

    @property
    def interrupted(self) -> set[str]:
        """The names of operations in flight that should end early, if they can without an effect."""
        if self.stop is not None:
            return {name for name, operation in self.flying.items() if operation.kind not in UNDOING}
        return {name for name, o in self.flying.items() if o.kind != "attempt" and self._unit(o.unit)[0].closed}

    @property
    def status(self) -> str:
        """running, compensating, completed, failed, compensated, compensation_failed or cancelled."""
        units = [unit for group in self.groups.values() for unit in group.units]
        if self.stop is None:
            return "completed" if self.finished else "running"
        if not self.finished:
            return "compensating"
        if any(unit.undone == "failed" for unit in units):
            return "compensation_failed"
        if self.stop["type"] == CANCELLED:
            return "cancelled"
        return "compensated" if any(unit.undone for unit in units) else "failed"

    def values(self) -> dict[str, Any]:
        """What expressions see: input, results and activities by name, and the execution itself."""
        return {
            "input": self.input,
            "results": self._results,
            "activities": self._summaries,
            "execution": {"id": self.execution_id, "workflow": self.definition.workflow_id},
        }

    def _unit(self, key: str) -> tuple[Group, Unit]:
        return self._units[key]

    def _enter(self, group: Group, status: str, result: JsonValue) -> None:
        group.status = status
        name = group.activity.activity_id
        self._results[name] = result
        self._summaries[name] = group.summary()

    def _complete(self) -> bool:
        return all(group.ended for group in self.groups.values())

    def _advance(self) -> None:
        """Begins what can begin, until nothing more can without an outcome."""
        while self.stop is None:
            moved = False
            for name, group in self.groups.items():
                if group.status == "waiting" and all(self.groups[need].ended for need in self._needs[name]):
                    if not self._room():
                        return
                    self._open(group)
                    moved = True
                while group.status == "running" and (unit := group.startable()) and self._room() and self.stop is None:
                    self._start(group, unit)
                    moved = True
                if group.status == "running" and group.over:
                    self._close(group)
                    moved = True
            if not moved:
                break
        if self.stop is None and self._complete() and not self.finished:
            self._conclude()

    def _room(self) -> bool:
        limit = self.definition.max_concurrency
        return limit is None or len(self.flying) + len(self._next) < limit

    def _conclude(self) -> None:
        try:
            template = self.definition.output
            self.output = dict(self._results) if template is None else expressions.render(template, self.values())
        except ExpressionError as error:
            self.stop = failure(error)

    def _open(self, group: Group) -> None:
        activity = group.activity
        try:
            if activity.when is not None and not expressions.truth(expressions.evaluate(activity.when, self.values())):
                self._enter(group, "skipped", None)
                return
            group.open(None if activity.for_each is None else expressions.evaluate(activity.for_each, self.values()))
        except ExpressionError as error:
            group.broken()
            self._know(group)
            self._end(group.units[0], "failed", failure(error))
        else:
            self._know(group)

    def _know(self, group: Group) -> None:
        self._units.update({unit.key: (group, unit) for unit in group.units})

    def _start(self, group: Group, unit: Unit) -> None:
        activity = unit.activity
        unit.status, unit.attempt = "running", 1
        group.begun += 1
        values = {**self.values(), "item": unit.item, "index": unit.index, "previous": None}
        try:
            unit.input = expressions.render(activity.input_data, values)
            if activity.wait_seconds is not None:
                seconds = activity.wait_seconds
                found = expressions.evaluate(seconds, values) if isinstance(seconds, str) else seconds
                if isinstance(found, bool) or not isinstance(found, int | float) or not found >= 0:
                    raise ExpressionError(f"wait_seconds: expected a number of at least 0, got {found!r}")
                self._push(Operation("wait", unit.key, 1, due=self._capped(self.clock + found)))
            elif activity.signal or activity.approval:
                self._await_signal(unit, self.clock)
            else:
                self._push(self._operation(unit))
        except ExpressionError as error:
            self._end(unit, "failed", failure(error))

    def _await_signal(self, unit: Unit, since: float) -> None:
        spec, approval = unit.activity.signal, unit.activity.approval
        name = spec.name if spec else unit.activity.activity_id
        limit = spec.timeout_seconds if spec else approval.timeout_seconds if approval else None
        due = None if limit is None else since + limit
        self._push(
            Operation(
                "signal",
                unit.key,
                1,
                due=self._capped(due),
                heartbeat=spec.heartbeat_seconds if spec else None,
                signal=name,
                after=self._signals.get(name, 0),
                approval=approval is not None,
            )
        )

    def _operation(self, unit: Unit) -> Operation:
        """The next attempt of a unit. Raises ExpressionError."""
        activity = unit.activity
        values = {**self.values(), "item": unit.item, "index": unit.index, "previous": unit.result}
        return Operation(
            "attempt",
            unit.key,
            unit.attempt,
            key=f"{self.execution_id}:{unit.key}",
            action=rendered(activity, {**values, "input_data": unit.input}),
            input=unit.input,
            due=self.deadline,
            timeout=activity.start_to_close_seconds,
            heartbeat=activity.heartbeat_seconds,
            details=unit.details,
        )

    def _attempt(self, unit: Unit) -> None:
        unit.attempt += 1
        try:
            if unit.activity.until is not None:
                values = {**self.values(), "item": unit.item, "index": unit.index, "previous": unit.result}
                unit.input = expressions.render(unit.activity.input_data, values)
            self._push(self._operation(unit))
        except ExpressionError as error:
            self._end(unit, "failed", failure(error))

    def _succeeded(self, unit: Unit, outcome: Outcome) -> None:
        unit.result, unit.failures, unit.error = outcome.get("result"), 0, None
        activity = unit.activity
        if "seq" in outcome:
            name = activity.signal.name if activity.signal else activity.activity_id
            self._signals[name] = max(outcome["seq"], self._signals.get(name, 0))
        if activity.until is not None:
            unit.polls += 1
            try:
                values = {**self.values(), "item": unit.item, "index": unit.index, "result": unit.result}
                met = expressions.truth(expressions.evaluate(activity.until.condition, values))
            except ExpressionError as error:
                self._end(unit, "failed", failure(error))
                return
            if not met:
                if 0 < activity.until.max_attempts <= unit.polls:
                    self._end(unit, "failed", {"type": "PollingEnded", "message": f"not so after {unit.polls} polls"})
                else:
                    self._rest(unit, retries.poll_delay(activity.until, unit.polls))
                return
        self._end(unit, "completed", None)

    def _failed(self, group: Group, unit: Unit, outcome: Outcome) -> None:
        error = outcome["error"]
        unit.failures += 1
        unit.unsure |= error["type"] in UNKNOWN_EFFECT and unit.activity.undo is not None
        unit.details = outcome.get("details", unit.details)
        policy = unit.activity.retry_policy
        timed = unit.activity.signal or unit.activity.approval or unit.activity.wait_seconds is not None
        if timed or self.stop is not None or group.closed or not retries.again(policy, unit.failures, error):
            self._end(unit, "failed", error)
            return
        unit.error = error
        self._rest(unit, retries.delay(policy, unit.failures, f"{self.execution_id}:{unit.key}:{unit.attempt}"))

    def _rest(self, unit: Unit, seconds: float) -> None:
        if self.stop is not None:
            self._end(unit, "cancelled", None)
            return
        self._push(Operation("rest", unit.key, unit.attempt, due=self._capped(self.clock + seconds)))

    def _interrupted(self, unit: Unit, operation: Operation) -> None:
        failed = operation.kind == "rest" and unit.error is not None
        self._end(unit, "failed" if failed else "cancelled", unit.error)

    def _end(self, unit: Unit, status: str, error: Failure | None) -> None:
        self._ends += 1
        unit.status, unit.error, unit.done = status, error, self._ends
        group = self._unit(unit.key)[0]
        if status == "failed" and error is not None and not group.many:
            self._fail(group, error, unit)
        elif status == "completed" and not group.many:
            self._enter(group, "completed", unit.result)
        elif group.many:
            if group.branched:
                self._results[unit.activity.activity_id] = unit.result
            group.judge(status)

    def _close(self, group: Group) -> None:
        """A group of several units has nothing left to begin and nothing in flight."""
        self._enter(group, "completed", [unit.result for unit in group.counted])
        if group.reason == "too_many_failures":
            first = next(unit.error for unit in group.units if unit.status == "failed")
            self._fail(group, first or {"type": "Failed", "message": "too many of its parts failed"}, None)

    def _fail(self, group: Group, error: Failure, unit: Unit | None) -> None:
        activity = group.activity
        if activity.recovers and self.stop is None:
            try:
                result = expressions.render(activity.fallback, {**self.values(), "error": error})
            except ExpressionError as broken:
                error = failure(broken)
            else:
                if unit is not None:
                    unit.status = "recovered"
                self._enter(group, "recovered", result)
                return
        group.status = "failed"
        if self.stop is None:
            self.stop = {**error, "message": f"{activity.activity_id}: {error['message']}"}

    def _compensate(self) -> None:
        """Begins the next compensation."""
        while unit := compensation.owed(unit for group in self.groups.values() for unit in group.units):
            try:
                unit.undo_attempt += 1
                self._push(compensation.operation(unit, self.execution_id, self.values()))
                return
            except ExpressionError as error:
                unit.undone, unit.undo_error = "failed", failure(error)

    def _settle_undo(self, unit: Unit, operation: Operation, outcome: Outcome) -> None:
        if operation.kind == "compensate_rest":
            unit.undo_attempt += 1
            self._push(compensation.operation(unit, self.execution_id, self.values()))
        elif (due := compensation.settle(unit, outcome, self.execution_id)) is not None:
            self._push(Operation("compensate_rest", unit.key, unit.undo_attempt, due=self.clock + due))

    def _push(self, operation: Operation) -> None:
        self._next.append(operation)

    def _capped(self, due: float | None) -> float | None:
        limits = [each for each in (due, self.deadline) if each is not None]
        return min(limits) if limits else None
