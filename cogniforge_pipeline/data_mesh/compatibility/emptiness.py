"""Emptiness keyword by keyword: when one shape's own keywords contradict each other.

Belongs here: texts, numbers, arrays, objects that cannot exist. Does not: combinators (subset.py).
Every function answers True only for what is proved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cogniforge_pipeline.data_mesh.compatibility.containment import closed, longest, needed
from cogniforge_pipeline.data_mesh.compatibility.shape import TRUE, Shape, Term, lower, upper

if TYPE_CHECKING:
    from cogniforge_pipeline.data_mesh.compatibility.normalize import Space
    from cogniforge_pipeline.data_mesh.compatibility.subset import Prover


def keywords(prover: Prover, shape: Shape) -> bool:
    """True when no type is left that a document of the shape could have."""
    if shape.impossible:
        return True
    types = shape.types
    if types & {"null", "boolean"}:
        return False
    if "string" in types and not _crossed(shape, "Length"):
        return False
    if types & {"integer", "fraction"} and not _no_number(shape):
        return False
    if "array" in types and not _no_array(prover, shape):
        return False
    return "object" not in types or _no_object(prover, shape)


def _crossed(shape: Shape, word: str) -> bool:
    return bool(shape.limits.get(f"min{word}", 0) > shape.limits.get(f"max{word}", float("inf")))


def _no_number(shape: Shape) -> bool:
    low, high = lower(shape), upper(shape)
    if low is None or high is None:
        return False
    return low[0] > high[0] or (low[0] == high[0] and (low[1] or high[1]))


def _no_array(prover: Prover, shape: Shape) -> bool:
    if _crossed(shape, "Items"):
        return True
    least = shape.limits.get("minItems", 0)
    needs_one = any(rule.least for rule in shape.contains)
    if not least and not needs_one:
        return False
    most = longest(prover, shape)
    if most is not None and (most < least or any(most < rule.least for rule in shape.contains)):
        return True
    return any(rule.least and prover.term_empty(rule.term) for rule in shape.contains)


def _no_object(prover: Prover, shape: Shape) -> bool:
    if _crossed(shape, "Properties"):
        return True
    present = needed(shape)
    if len(present) > shape.limits.get("maxProperties", len(present)):
        return True
    if any(prover.term_empty(shape.value(name)) for name in present):
        return True
    if shape.names and any(prover.refused(prover.space.shape(shape.names), name) for name in present):
        return True
    least = shape.limits.get("minProperties", 0)
    if least and closed(prover, shape):
        possible = [name for name, term in shape.properties.items() if not prover.term_empty(term)]
        return len(possible) < least
    return any(name in present and prover.disjoint(shape, term) for name, term in shape.implies.items() if term != TRUE)


def plainly_disjoint(space: Space, left: Shape, right: Shape) -> bool:
    """True when types, listed values, or those of a required property show at once that nothing fits both."""
    if _apart(left, right):
        return True
    if left.types != {"object"} and right.types != {"object"}:
        return False
    for name in left.required | right.required:
        mine, other = left.properties.get(name, TRUE), right.properties.get(name, TRUE)
        if mine and other and _apart_terms(space, mine, other):
            return left.types & right.types <= {"object"}
    return False


def _apart_terms(space: Space, left: Term, right: Term) -> bool:
    return _apart(space.shape(left), space.shape(right))


def _apart(left: Shape, right: Shape) -> bool:
    if left.types.isdisjoint(right.types):
        return True
    return left.enum is not None and right.enum is not None and left.enum.keys().isdisjoint(right.enum.keys())
