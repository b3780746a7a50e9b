"""Whether one document fits a normal form.

Belongs here: judging a single JSON value. Does not: sets of values (subset.py).
"""

from __future__ import annotations

from typing import Any

from cogniforge_pipeline.data_mesh.compatibility.model import Undecided
from cogniforge_pipeline.data_mesh.compatibility.normalize import Space
from cogniforge_pipeline.data_mesh.compatibility.patterns import matches
from cogniforge_pipeline.data_mesh.compatibility.shape import Group, Shape, Term
from cogniforge_pipeline.data_mesh.compatibility.values import NUMBERS, equality_key, exact, type_of


def accepts(space: Space, term: Term, value: Any) -> bool:
    """True when the value fits the term. Raises Undecided where a pattern or keyword cannot be judged."""
    return fits(space, space.shape(term), value)


def fits(space: Space, shape: Shape, value: Any) -> bool:
    """True when the value fits the shape. Raises Undecided as `accepts` does."""
    space.budget.spend(10)
    kind = type_of(value)
    if kind not in shape.types or (shape.enum is not None and equality_key(value) not in shape.enum):
        return False
    if kind in NUMBERS and not _number(shape, value):
        return False
    if kind == "string" and not _string(shape, value):
        return False
    if kind == "array" and not _array(space, shape, value):
        return False
    if kind == "object" and not _object(space, shape, value):
        return False
    if not all(_group(space, group, value) for group in shape.groups):
        return False
    if any(accepts(space, term, value) for term in shape.nots):
        return False
    for rule in shape.conditions:
        if not accepts(space, rule.then if accepts(space, rule.test, value) else rule.otherwise, value):
            return False
    if not all(accepts(space, term, value) for term in shape.extra):
        return False
    if shape.opaque:
        raise Undecided("unevaluated or dynamic parts are not judged document by document")
    return True


def _number(shape: Shape, value: int | float) -> bool:
    limits, number = shape.limits, exact(value)
    if ("minimum" in limits and number < exact(limits["minimum"])) or (
        "exclusiveMinimum" in limits and number <= exact(limits["exclusiveMinimum"])
    ):
        return False
    if ("maximum" in limits and number > exact(limits["maximum"])) or (
        "exclusiveMaximum" in limits and number >= exact(limits["exclusiveMaximum"])
    ):
        return False
    return shape.multiple is None or (number / shape.multiple).denominator == 1


def _count(shape: Shape, word: str, count: int) -> bool:
    return shape.limits.get(f"min{word}", 0) <= count <= shape.limits.get(f"max{word}", count)


def _string(shape: Shape, value: str) -> bool:
    return _count(shape, "Length", len(value)) and all(matches(pattern, value) for pattern in shape.patterns)


def _array(space: Space, shape: Shape, value: list[Any]) -> bool:
    if not _count(shape, "Items", len(value)):
        return False
    if shape.unique and len({equality_key(item) for item in value}) < len(value):
        return False
    if not all(accepts(space, shape.item(index), item) for index, item in enumerate(value)):
        return False
    for rule in shape.contains:
        found = sum(accepts(space, rule.term, item) for item in value)
        if found < rule.least or (rule.most is not None and found > rule.most):
            return False
    return True


def _object(space: Space, shape: Shape, value: dict[str, Any]) -> bool:
    if not _count(shape, "Properties", len(value)) or not shape.required <= value.keys():
        return False
    for name, names in shape.needs.items():
        if name in value and not names <= value.keys():
            return False
    if shape.names and not all(accepts(space, shape.names, name) for name in value):
        return False
    if not all(accepts(space, shape.value(name), item) for name, item in value.items()):
        return False
    return all(accepts(space, term, value) for name, term in shape.implies.items() if name in value)


def _group(space: Space, group: Group, value: Any) -> bool:
    found = 0
    for member in group.members:
        found += accepts(space, member, value)
        if found and group.kind == "anyOf":
            return True
        if found > 1:
            return False
    return found == 1
