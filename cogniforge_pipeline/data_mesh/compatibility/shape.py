"""The normal form: one schema, with its references and `allOf` folded in, whatever dialect it was written in.

Belongs here: the form and the conjunction of two. Does not: reading schemas into it (normalize.py).

A Term is a conjunction of schema objects: the empty one accepts everything. Subschemas stay Terms until they are
looked at, so a recursive schema has a finite form.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

from cogniforge_pipeline.data_mesh.compatibility.document import Node
from cogniforge_pipeline.data_mesh.compatibility.patterns import matches
from cogniforge_pipeline.data_mesh.compatibility.values import ALL_TYPES, exact, type_of

Term = tuple[Node, ...]
TRUE: Term = ()
FALSE: Term = (Node(None, False, 0),)
_LOWEST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def both(*terms: Term) -> Term:
    """The conjunction of terms, in one order whatever order they came in."""
    found = {node for term in terms for node in term}
    return FALSE if FALSE[0] in found else tuple(sorted(found, key=lambda node: node.number))


@dataclass(frozen=True)
class Group:
    """An `anyOf` or `oneOf`, with the position of each member as it was written."""

    kind: Literal["anyOf", "oneOf"]
    members: tuple[Term, ...]
    positions: tuple[int, ...]


@dataclass(frozen=True)
class Condition:
    """An `if` with what follows from it and from its opposite."""

    test: Term
    then: Term
    otherwise: Term


@dataclass(frozen=True)
class Contains:
    """A `contains` with how many items must fit, and how many may (None: any number)."""

    term: Term
    least: int
    most: int | None


@dataclass(frozen=True, eq=False)
class Shape:
    """Everything a document must keep at once. The defaults accept every document.

    `types` are those that are left, `declared` those the keyword `type` names. `nodes` are the schema objects that were
    folded in, for which nothing is left to do.
    """

    types: frozenset[str] = ALL_TYPES
    declared: frozenset[str] = ALL_TYPES
    enum: Mapping[Hashable, Any] | None = None
    limits: Mapping[str, int | float] = field(default_factory=dict)
    multiple: Fraction | None = None
    patterns: tuple[str, ...] = ()
    unique: bool = False
    prefix: tuple[Term, ...] = ()
    rest: Term | None = None
    contains: tuple[Contains, ...] = ()
    properties: Mapping[str, Term] = field(default_factory=dict)
    matching: Mapping[str, Term] = field(default_factory=dict)
    additional: Term | None = None
    required: frozenset[str] = frozenset()
    names: Term = TRUE
    needs: Mapping[str, frozenset[str]] = field(default_factory=dict)
    implies: Mapping[str, Term] = field(default_factory=dict)
    groups: tuple[Group, ...] = ()
    nots: tuple[Term, ...] = ()
    conditions: tuple[Condition, ...] = ()
    extra: tuple[Term, ...] = ()
    opaque: tuple[Node, ...] = ()
    nodes: frozenset[Node] = frozenset()

    @cached_property
    def changed(self) -> set[str]:
        """The names of the fields that ask for something."""
        found = {name for name, value in _DEFAULTS.items() if getattr(self, name) != value}
        return found - {"nodes", *(name for name in ("rest", "additional") if not getattr(self, name))}

    @property
    def declared_types(self) -> frozenset[str]:
        """The types as a reader sees them: those declared, else those of the listed values."""
        if self.declared != ALL_TYPES or self.enum is None:
            return self.declared
        return frozenset(type_of(value) for value in self.enum.values())

    @property
    def impossible(self) -> bool:
        """True when no document fits, as far as types and listed values show."""
        return not self.types or (self.enum is not None and not self.enum)

    @property
    def trivial(self) -> bool:
        """True when every document fits and nothing needs to be looked at to see it."""
        return not self.changed

    @property
    def sum_only(self) -> bool:
        """True for one `anyOf` or `oneOf` with nothing beside it."""
        return len(self.groups) == 1 and self.changed == {"groups"}

    @property
    def combined(self) -> bool:
        """True where more than plain keywords decide."""
        return bool(self.groups or self.nots or self.conditions or self.extra or self.opaque)

    def item(self, index: int) -> Term:
        """What the item at a position must fit."""
        return self.prefix[index] if index < len(self.prefix) else self.rest or TRUE

    def value(self, name: str) -> Term:
        """What the value of a property must fit. Raises Undecided when a pattern cannot be matched."""
        found = [term for pattern, term in self.matching.items() if matches(pattern, name)]
        if name in self.properties:
            found.append(self.properties[name])
        return both(*found) if found else self.additional or TRUE

    @property
    def open(self) -> bool:
        """True for an open content model: any other property may have any value."""
        return not self.matching and not self.additional


_DEFAULT = Shape()
_DEFAULTS = {item.name: getattr(_DEFAULT, item.name) for item in fields(Shape)}
IMPOSSIBLE = Shape(types=frozenset())


def tidy(shape: Shape) -> Shape:
    """The same with types and values that contradict each other left out."""
    types = shape.types
    if shape.multiple is not None and shape.multiple.denominator == 1:
        types -= {"fraction"}
    enum = shape.enum
    if enum is not None:
        if types != ALL_TYPES:
            enum = {key: value for key, value in enum.items() if type_of(value) in types}
        types &= {type_of(value) for value in enum.values()}
    return shape if types == shape.types and enum == shape.enum else replace(shape, types=types, enum=enum)


def merge(left: Shape, right: Shape) -> Shape:
    """The conjunction of two shapes, exactly, where they are `mergeable`."""
    if left is _DEFAULT or right is _DEFAULT:
        return right if left is _DEFAULT else left
    enum = left.enum
    if right.enum is not None:
        enum = right.enum if enum is None else {key: value for key, value in enum.items() if key in right.enum}
    limits = dict(left.limits)
    for word, value in right.limits.items():
        known = limits.get(word, value)
        limits[word] = min(known, value) if word in _LOWEST else max(known, value)
    length = max(len(left.prefix), len(right.prefix))
    return tidy(
        Shape(
            types=left.types & right.types,
            declared=left.declared & right.declared,
            enum=enum,
            limits=limits,
            multiple=_common_multiple(left.multiple, right.multiple),
            patterns=_joined(left.patterns, right.patterns),
            unique=left.unique or right.unique,
            prefix=tuple(both(left.item(i), right.item(i)) for i in range(length)),
            rest=_both_or_none(left.rest, right.rest),
            contains=_joined(left.contains, right.contains),
            required=left.required | right.required,
            names=both(left.names, right.names),
            needs={
                name: left.needs.get(name, frozenset()) | right.needs.get(name, frozenset())
                for name in left.needs.keys() | right.needs.keys()
            },
            implies=_each(left.implies, right.implies),
            groups=_joined(left.groups, right.groups),
            nots=_joined(left.nots, right.nots),
            conditions=_joined(left.conditions, right.conditions),
            extra=_joined(left.extra, right.extra),
            opaque=_joined(left.opaque, right.opaque),
            nodes=left.nodes | right.nodes,
            **_merge_objects(left, right),
        )
    )


def _merge_objects(left: Shape, right: Shape) -> dict[str, Any]:
    """Properties, patterns and additional properties of both.

    A name that only one side knows falls under the other side's rule for names it does not know, so that rule moves
    to the name or to the pattern.
    """
    if not (left.properties or left.matching or left.additional is not None):
        left, right = right, left
    if not (right.properties or right.matching or right.additional is not None):
        return {"properties": left.properties, "matching": left.matching, "additional": left.additional}
    properties = {}
    for name in [*left.properties, *(name for name in right.properties if name not in left.properties)]:
        sides = []
        for side in (left, right):
            if name in side.properties:
                sides.append(side.properties[name])
            elif side.additional and not any(matches(pattern, name) for pattern in side.matching):
                sides.append(side.additional)
        properties[name] = both(*sides)
    matching = _each(left.matching, right.matching)
    for pattern in matching:
        for side in (left, right):
            if pattern not in side.matching and side.additional:
                matching[pattern] = both(matching[pattern], side.additional)
    additional = _both_or_none(left.additional, right.additional)
    return {"properties": properties, "matching": matching, "additional": additional}


def mergeable(left: Shape, right: Shape) -> bool:
    """False where a pattern of one side meets names that the other side judges by more than its rule for all others.

    Raises Undecided when a pattern cannot be matched.
    """
    for side, other in ((left, right), (right, left)):
        foreign = other.matching.keys() - side.matching.keys() if side.additional else ()
        if foreign and (side.matching or any(matches(text, name) for text in foreign for name in side.properties)):
            return False
    return True


def _each(left: Mapping[str, Term], right: Mapping[str, Term]) -> dict[str, Term]:
    names = [*left, *(name for name in right if name not in left)]
    return {name: both(left.get(name, TRUE), right.get(name, TRUE)) for name in names}


def _both_or_none(left: Term | None, right: Term | None) -> Term | None:
    if left is None or right is None:
        return left if right is None else right
    return both(left, right)


def _joined(left: tuple[Any, ...], right: Iterable[Any]) -> tuple[Any, ...]:
    return (*left, *(item for item in right if item not in left))


def _common_multiple(left: Fraction | None, right: Fraction | None) -> Fraction | None:
    if left is None or right is None:
        return left or right
    return Fraction(
        math.lcm(left.numerator * right.denominator, right.numerator * left.denominator),
        left.denominator * right.denominator,
    )


def integer_step(shape: Shape) -> Fraction | None:
    """The distance of the numbers a shape allows: its `multipleOf`, or 1 for integers; None when any number fits."""
    if "fraction" in shape.types:
        return shape.multiple
    return _common_multiple(shape.multiple, Fraction(1))


def lower(shape: Shape) -> tuple[Fraction, bool] | None:
    """The least number allowed and whether it is itself excluded; of integers the first that fits."""
    found = [
        (exact(shape.limits[word]), strict)
        for word, strict in (("minimum", False), ("exclusiveMinimum", True))
        if word in shape.limits
    ]
    if not found:
        return None
    bound, strict = max(found)
    step = integer_step(shape)
    if step is None:
        return bound, strict
    first = math.ceil(bound / step) * step
    return (first + step if strict and first == bound else first), False


def upper(shape: Shape) -> tuple[Fraction, bool] | None:
    """The greatest number allowed and whether it is itself excluded; of integers the last that fits."""
    found = [
        (exact(shape.limits[word]), not strict)
        for word, strict in (("maximum", False), ("exclusiveMaximum", True))
        if word in shape.limits
    ]
    if not found:
        return None
    bound, inclusive = min(found)
    step = integer_step(shape)
    if step is None:
        return bound, not inclusive
    last = math.floor(bound / step) * step
    return (last - step if not inclusive and last == bound else last), False
