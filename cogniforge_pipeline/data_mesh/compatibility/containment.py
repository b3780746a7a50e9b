"""Containment keyword by keyword: what one shape's own keywords promise about another's.

Belongs here: types, lists of values, texts, numbers, arrays, objects. Does not: combinators (subset.py).
Every function answers True only for what is proved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cogniforge_pipeline.data_mesh.compatibility.patterns import implied
from cogniforge_pipeline.data_mesh.compatibility.shape import (
    TRUE,
    Contains,
    Shape,
    Term,
    both,
    integer_step,
    lower,
    upper,
)

if TYPE_CHECKING:
    from cogniforge_pipeline.data_mesh.compatibility.subset import Prover


def keywords(prover: Prover, shape: Shape, other: Shape) -> bool:
    """True when the other shape's types and keywords follow from this one's."""
    if not shape.types <= other.types or (other.enum is not None and not _listed(shape, other)):
        return False
    types = shape.types
    if "string" in types and not texts(shape, other):
        return False
    if types & {"integer", "fraction"} and not numbers(shape, other):
        return False
    if "array" in types and not arrays(prover, shape, other):
        return False
    return "object" not in types or objects(prover, shape, other)


def _listed(shape: Shape, other: Shape) -> bool:
    return shape.enum is not None and other.enum is not None and shape.enum.keys() <= other.enum.keys()


def texts(shape: Shape, other: Shape) -> bool:
    """Lengths and patterns."""
    if not counts(shape, other, "Length", 0, None):
        return False
    return all(implied(pattern, shape.patterns) for pattern in other.patterns)


def counts(shape: Shape, other: Shape, word: str, least: int, most: int | None) -> bool:
    """`min…` and `max…`, where at least `least` and at most `most` are known from elsewhere."""
    low, high = f"min{word}", f"max{word}"
    if max(shape.limits.get(low, 0), least) < other.limits.get(low, 0):
        return False
    if high not in other.limits:
        return True
    known = [value for value in (shape.limits.get(high), most) if value is not None]
    return bool(known) and min(known) <= other.limits[high]


def numbers(shape: Shape, other: Shape) -> bool:
    """Bounds and multiples."""
    return bounds(shape, other) and multiples(shape, other)


def bounds(shape: Shape, other: Shape) -> bool:
    """Least and greatest numbers."""
    low, wanted = lower(shape), lower(other)
    if wanted is not None and (low is None or low[0] < wanted[0] or (low[0] == wanted[0] and wanted[1] > low[1])):
        return False
    high, wanted = upper(shape), upper(other)
    return wanted is None or (
        high is not None and (high[0] < wanted[0] or (high[0] == wanted[0] and wanted[1] <= high[1]))
    )


def multiples(shape: Shape, other: Shape) -> bool:
    """`multipleOf`; integers are multiples of 1."""
    step = integer_step(shape)
    return other.multiple is None or (step is not None and (step / other.multiple).denominator == 1)


def longest(prover: Prover, shape: Shape) -> int | None:
    """The greatest number of items an array may have, or None."""
    limit = shape.limits.get("maxItems")
    for index in range(len(shape.prefix) + 1):
        if limit is not None and index >= limit:
            break
        if prover.term_empty(shape.item(index)):
            return index
    return None if limit is None else int(limit)


def arrays(prover: Prover, shape: Shape, other: Shape) -> bool:
    """Items one by one, the rest, numbers of items, uniqueness, `contains`."""
    most = longest(prover, shape)
    if not counts(shape, other, "Items", 0, most):
        return False
    if other.unique and not shape.unique and (most is None or most > 1):
        return False
    length = max(len(shape.prefix), len(other.prefix))
    for index in range(length):
        if most is not None and index >= most:
            break
        if not prover.term_subset(shape.item(index), other.item(index)):
            return False
    if (most is None or most > length) and not prover.term_subset(shape.rest or TRUE, other.rest or TRUE):
        return False
    return all(_contains(prover, shape, rule, most) for rule in other.contains)


def _contains(prover: Prover, shape: Shape, rule: Contains, most: int | None) -> bool:
    if rule.most is not None and (most is None or most > rule.most):
        fewer = (
            known.most is not None and known.most <= rule.most and prover.term_subset(rule.term, known.term)
            for known in shape.contains
        )
        if not any(fewer):
            return False
    if not rule.least:
        return True
    if any(known.least >= rule.least and prover.term_subset(known.term, rule.term) for known in shape.contains):
        return True
    least = int(shape.limits.get("minItems", 0))
    positions = range(min(least, len(shape.prefix)))
    sure = sum(prover.term_subset(shape.item(index), rule.term) for index in positions)
    beyond = least - len(shape.prefix)
    if sure < rule.least and beyond > 0 and prover.term_subset(shape.rest or TRUE, rule.term):
        sure += beyond
    return sure >= rule.least


def closed(prover: Prover, shape: Shape) -> bool:
    """True when only the named properties may occur."""
    return not shape.matching and bool(shape.additional) and prover.term_empty(shape.additional or TRUE)


def needed(shape: Shape) -> frozenset[str]:
    """The properties every object of the shape has."""
    found = set(shape.required)
    waiting = list(found)
    while waiting:
        more = shape.needs.get(waiting.pop(), frozenset()) - found
        found |= more
        waiting.extend(more)
    return frozenset(found)


def objects(prover: Prover, shape: Shape, other: Shape) -> bool:
    """Required properties, their values, the content model, numbers and names of properties, dependencies."""
    if not other.required <= needed(shape) or not property_counts(prover, shape, other):
        return False
    for name in shape.properties.keys() | other.properties.keys():
        prover.space.budget.spend(2)
        if not possible_subset(prover, shape, name, other.value(name)):
            return False
    return content(prover, shape, other) and names(prover, shape, other) and dependencies(prover, shape, other)


def property_counts(prover: Prover, shape: Shape, other: Shape) -> bool:
    """Numbers of properties, from required ones and from the names a closed object may have."""
    most = len(shape.properties) if closed(prover, shape) else None
    return counts(shape, other, "Properties", len(needed(shape)), most)


def possible_subset(prover: Prover, shape: Shape, name: str, wanted: Term) -> bool:
    """True when the value of a property, if it may occur at all, fits."""
    if not wanted:
        return True
    term = shape.value(name)
    return prover.term_subset(term, wanted) or prover.term_empty(term) or forbidden(prover, shape, name)


def forbidden(prover: Prover, shape: Shape, name: str) -> bool:
    """True when `propertyNames` refuses the name."""
    return bool(shape.names) and prover.refused(prover.space.shape(shape.names), name)


def content(prover: Prover, shape: Shape, other: Shape) -> bool:
    """Values of properties that neither names: by pattern and by the rule for all others."""
    rest = shape.additional or TRUE
    for pattern, wanted in other.matching.items():
        own = shape.matching.get(pattern)
        if own is not None and prover.term_subset(own, wanted):
            continue
        if own is not None:
            return False
        if not prover.term_subset(rest, wanted):
            return False
        if not all(prover.term_subset(term, wanted) for term in shape.matching.values()):
            return False
    wanted = other.additional or TRUE
    if not wanted:
        return True
    open_patterns = [term for pattern, term in shape.matching.items() if pattern not in other.matching]
    return prover.term_subset(rest, wanted) and all(prover.term_subset(term, wanted) for term in open_patterns)


def names(prover: Prover, shape: Shape, other: Shape) -> bool:
    """`propertyNames`: of the same rule, or of every property a closed object may have."""
    if not other.names or prover.term_subset(both(shape.names, prover.text), other.names):
        return True
    if not closed(prover, shape):
        return False
    return all(
        prover.accepts(other.names, name) or prover.term_empty(term) or forbidden(prover, shape, name)
        for name, term in shape.properties.items()
    )


def dependencies(prover: Prover, shape: Shape, other: Shape) -> bool:
    """`dependentRequired`, `dependentSchemas`, `dependencies`."""
    present = needed(shape)
    for name, wanted in other.needs.items():
        known = needed_with(shape, name) | present
        if not wanted <= known and not _absent(prover, shape, name):
            return False
    for name, term in other.implies.items():
        own = shape.implies.get(name)
        if own is not None and prover.subset(prover.space.shape(own), term):
            continue
        if not prover.subset(shape, term) and not _absent(prover, shape, name):
            return False
    return True


def needed_with(shape: Shape, name: str) -> frozenset[str]:
    """The properties an object has when it has this one."""
    found, waiting = {name}, [name]
    while waiting:
        more = shape.needs.get(waiting.pop(), frozenset()) - found
        found |= more
        waiting.extend(more)
    return frozenset(found)


def _absent(prover: Prover, shape: Shape, name: str) -> bool:
    return prover.term_empty(shape.value(name)) or forbidden(prover, shape, name)
