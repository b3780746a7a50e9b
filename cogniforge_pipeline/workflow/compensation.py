"""Undoing what an execution did: what ended last comes first.

Belongs here: which unit is next, the operation that undoes it, and its retries. Does not: when undoing begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cogniforge_pipeline.workflow import expressions, retries
from cogniforge_pipeline.workflow.operations import Operation, Outcome, Unit, rendered


def owed(units: Iterable[Unit]) -> Unit | None:
    """The unit to undo next: of those that completed, or may have had their effect, the one that ended last."""
    left = [u for u in units if u.activity.undo and not u.undone and (u.status == "completed" or u.unsure)]
    return max(left, key=lambda unit: unit.done, default=None)


def operation(unit: Unit, execution_id: str, values: Mapping[str, Any]) -> Operation:
    """Undoes a unit. Its input is the unit's own unless the compensation has one. Raises ExpressionError."""
    undo = unit.activity.undo
    assert undo is not None
    seen = {**values, "item": unit.item, "index": unit.index, "result": unit.result}
    given = expressions.render(undo.input_data, seen) if undo.input_data else unit.input
    return Operation(
        "compensate",
        unit.key,
        unit.undo_attempt,
        key=f"{execution_id}:{unit.key}:compensate",
        action=rendered(undo, {**seen, "input_data": given}),
        input=given,
        result=unit.result,
        timeout=undo.start_to_close_seconds,
    )


def settle(unit: Unit, outcome: Outcome, execution_id: str) -> float | None:
    """Takes what came of an attempt to undo; gives the seconds to wait before the next one, where one follows."""
    undo = unit.activity.undo
    assert undo is not None
    if outcome["ok"]:
        unit.undone, unit.undo_error = "completed", None
        return None
    unit.undo_error = outcome["error"]
    if retries.again(undo.retry_policy, unit.undo_attempt, outcome["error"]):
        seed = f"{execution_id}:{unit.key}:compensate:{unit.undo_attempt}"
        return retries.delay(undo.retry_policy, unit.undo_attempt, seed)
    unit.undone = "failed"
    return None
