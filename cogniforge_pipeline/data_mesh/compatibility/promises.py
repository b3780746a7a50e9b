"""What became of a contract's quality rules and service levels: weaker, stronger, gone.

Belongs here: promises beside the shape of a table. They never break a reader, but are named. Does not: columns (odcs.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cogniforge_pipeline.contracts import Bounds, Column, Contract, Rule
from cogniforge_pipeline.data_mesh.compatibility.rules import Found, found
from cogniforge_pipeline.data_mesh.compatibility.values import is_number
from cogniforge_pipeline.data_mesh.compatibility.wellformed import token

_OPTION_TESTS = {
    "minimum": "min",
    "exclusiveMinimum": "exclusive_min",
    "maximum": "max",
    "exclusiveMaximum": "exclusive_max",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
    "uniqueItems": "unique_items",
    "multipleOf": "multiple_of",
    "pattern": "pattern",
    "format": "format",
}
_SHORTER_IS_BETTER = ("freshness", "latency", "frequency", "timeTo", "errorRate", "timeBetween")
_INFINITE = float("inf")


def rules(old: Contract, new: Contract) -> Iterator[Found]:
    """Quality rules by name, without those that follow from how a column is declared."""
    before, after = _named(old), _named(new)
    for name in dict.fromkeys([*before, *after]):
        place = ("quality", token(name))
        if name not in after:
            yield _found("QUALITY_RULE_REMOVED", place, before[name].description)
        elif name not in before:
            yield _found("QUALITY_RULE_ADDED", place, after[name].description)
        else:
            change = _change(before[name], after[name])
            if change:
                yield _found(f"QUALITY_RULE_{change}", place, f"{_told(before[name])} became {_told(after[name])}")


def _found(rule: str, place: tuple[str, ...], detail: str) -> Found:
    return found(rule, *place, detail=detail, breaking=False)


def _named(contract: Contract) -> dict[str, Rule]:
    declared = {name for column in contract.columns for name in _declared(column)}
    return {rule.name: rule for rule in contract.rules if rule.name not in declared and rule.value != "primary key"}


def _declared(column: Column) -> Iterator[str]:
    """Names of the rules that follow from how a column is declared; the schema of a row has them."""
    if column.required:
        yield f"{column.name}_not_null"
    if column.enum:
        yield f"{column.name}_values"
    for option in column.options:
        if option in _OPTION_TESTS:
            yield f"{column.name}_{_OPTION_TESTS[option]}"


def _told(rule: Rule) -> str:
    bounds = f" {rule.bounds}" if rule.bounds else ""
    return f"{rule.severity} {rule.description}{bounds}"


def _change(old: Rule, new: Rule) -> str:
    """WEAKENED, STRENGTHENED or CHANGED; nothing when both ask the same."""
    asked = (old.kind, old.test, old.columns, old.value, old.predicate, old.measure, old.percent)
    if asked != (new.kind, new.test, new.columns, new.value, new.predicate, new.measure, new.percent):
        return "CHANGED"
    turns = {_severity(old, new), _bounds(old.bounds, new.bounds)} - {""}
    if not turns:
        return ""
    return turns.pop() if len(turns) == 1 else "CHANGED"


def _severity(old: Rule, new: Rule) -> str:
    if old.severity == new.severity:
        return ""
    return "WEAKENED" if new.severity == "WARN" else "STRENGTHENED"


def _bounds(old: Bounds | None, new: Bounds | None) -> str:
    if old == new:
        return ""
    before, after = _interval(old), _interval(new)
    if before is None or after is None:
        return "CHANGED"
    if after[0] <= before[0] and after[1] >= before[1]:
        return "WEAKENED"
    return "STRENGTHENED" if after[0] >= before[0] and after[1] <= before[1] else "CHANGED"


def _interval(bounds: Bounds | None) -> tuple[tuple[float, int], tuple[float, int]] | None:
    """Lower and upper end; an excluded end lies a little inside."""
    if bounds is None:
        return None
    ends = bounds.value if isinstance(bounds.value, list | tuple) else [bounds.value]
    if not ends or not all(is_number(end) for end in ends):
        return None
    low, high = ends[0], ends[-1]
    match bounds.operator:
        case "mustBe" | "mustBeBetween":
            return (low, 0), (high, 0)
        case "mustBeGreaterThan":
            return (low, 1), (_INFINITE, 0)
        case "mustBeGreaterOrEqualTo":
            return (low, 0), (_INFINITE, 0)
        case "mustBeLessThan":
            return (-_INFINITE, 0), (high, -1)
        case "mustBeLessOrEqualTo":
            return (-_INFINITE, 0), (high, 0)
    return None


def service_levels(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Found]:
    """Service levels by name: durations in seconds, other promises as they are written."""
    for name in dict.fromkeys([*old, *new]):
        place = ("slaProperties", token(name))
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if after is None:
            yield _found("SLA_REMOVED", place, f"{before} was promised")
        elif before is None:
            yield _found("SLA_ADDED", place, f"{after} is promised")
        else:
            yield _found(f"SLA_{_level(name, before, after)}", place, f"{before} became {after}")


def _level(name: str, old: Any, new: Any) -> str:
    try:
        less = float(new) < float(old)
    except (TypeError, ValueError, OverflowError):
        try:
            less = bool(new < old)
        except TypeError:
            return "CHANGED"
    better = less if name.startswith(_SHORTER_IS_BETTER) else not less
    return "STRENGTHENED" if better else "WEAKENED"
