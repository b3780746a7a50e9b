"""The comparison itself: modes, directions, versions, limits.

Belongs here: `compare_schemas`. Does not: what differs (differ.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cogniforge_pipeline.data_mesh.compatibility.differ import Differ
from cogniforge_pipeline.data_mesh.compatibility.model import (
    MODES,
    Budget,
    Compatibility,
    Difference,
    Direction,
    Mode,
    OutOfBudget,
    SchemaError,
)
from cogniforge_pipeline.data_mesh.compatibility.normalize import Space, term
from cogniforge_pipeline.data_mesh.compatibility.rules import found, message
from cogniforge_pipeline.data_mesh.compatibility.values import equality_key

_FAILURES = (OutOfBudget, RecursionError, OverflowError, ValueError, ZeroDivisionError)


def compare_schemas(
    old: dict[str, Any] | bool,
    new: dict[str, Any] | bool,
    mode: Mode = "BACKWARD",
    *,
    history: Sequence[dict[str, Any] | bool] = (),
    budget_seconds: float = 1.0,
) -> Compatibility:
    """Whether a JSON Schema may take another's place, with every difference named.

    BACKWARD: every document that `old` accepts is accepted by `new`. FORWARD: the other way round. FULL: both. The
    `…_TRANSITIVE` modes ask the same of every version of `history` (oldest first, without `old`) as well. NONE lists the
    differences of BACKWARD and accepts them all.

    The rules and their verdicts are those of Confluent's Schema Registry, and stricter where a validator would refuse a
    document: a new required property is breaking also with a default. Draft-04 to 2020-12, by `$schema`, else by the
    keywords. What is not decided in `budget_seconds`, or not at all, is refused with the rule UNDECIDED. Patterns count
    where Python's meaning and that of ECMA-262 agree on a text, else they are undecided.

    Paths are told in the words of draft-07 whatever the dialect: `#/items/0` for the first of `prefixItems`,
    `#/additionalItems` for the items after them, `#/dependencies/a` for `dependentRequired` and `dependentSchemas`, and
    `#/additionalProperties` also for `unevaluatedProperties`.

    Raises SchemaError (a CogniforgeError) for a schema that is not well formed or refers to nothing, and for a mode that
    does not exist.
    """
    if mode not in MODES:
        raise SchemaError(f"compatibility mode {mode!r} is unknown", f"use one of {', '.join(MODES)}")
    budget = Budget(budget_seconds)
    versions = [*history, old] if mode.endswith("_TRANSITIVE") else [old]
    directions: list[Direction] = []
    if not mode.startswith("FORWARD"):
        directions.append("BACKWARD")
    if mode.startswith(("FORWARD", "FULL")):
        directions.append("FORWARD")
    differences: dict[tuple[str, str, str, bool], Difference] = {}
    for number, version in reversed(list(enumerate(versions, 1))):
        label = f"; compared with version {number} of {len(versions)}" if number < len(versions) else ""
        for item in _pair(version, new, directions, budget, label):
            differences.setdefault((item.rule, item.path, item.direction, item.breaking), item)
    compatible = mode == "NONE" or not any(item.breaking for item in differences.values())
    return Compatibility(compatible, mode, tuple(differences.values()))


def _pair(old: Any, new: Any, directions: Sequence[Direction], budget: Budget, label: str) -> list[Difference]:
    """The differences of one pair in each direction. Never raises for a pair that takes too long or cannot be computed."""
    try:
        space = Space(budget)
        before, after = space.document(old), space.document(new)
        if old == new and equality_key(old) == equality_key(new):
            return []
        left, right = term(before, old), term(after, new)
        differ = Differ(space)
    except _FAILURES as error:
        return [_undecided(direction, _reason(error, budget), label) for direction in directions]
    differences = []
    for direction in directions:
        pair = (left, right) if direction == "BACKWARD" else (right, left)
        try:
            budget.spend(1000)
            findings = differ.compare(*pair)
        except _FAILURES as error:
            differences.append(_undecided(direction, _reason(error, budget), label))
            continue
        suffix = label if direction == "BACKWARD" else f" (from the new schema to the old one){label}"
        differences += [
            Difference(item.rule, f"#/{'/'.join(item.path)}", direction, item.breaking, message(item) + suffix)
            for item in findings
        ]
    return differences


def _reason(error: Exception, budget: Budget) -> str:
    if isinstance(error, OutOfBudget):
        return f"no answer within {budget.seconds:g} s"
    if isinstance(error, RecursionError):
        return "the schema is nested too deeply"
    return f"a value of the schemas cannot be computed with: {error}"


def _undecided(direction: Direction, detail: str, label: str) -> Difference:
    return Difference("UNDECIDED", "#/", direction, True, message(found("UNDECIDED", detail=detail)) + label)
