"""From a schema as it is written to its normal form, in the dialect of its document.

Belongs here: one keyword after the other, draft-04 to 2020-12. Does not: comparing.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from cogniforge_pipeline.data_mesh.compatibility.document import Document, Node
from cogniforge_pipeline.data_mesh.compatibility.model import Budget, Undecided
from cogniforge_pipeline.data_mesh.compatibility.shape import (
    FALSE,
    IMPOSSIBLE,
    TRUE,
    Condition,
    Contains,
    Group,
    Shape,
    Term,
    merge,
    mergeable,
    tidy,
)
from cogniforge_pipeline.data_mesh.compatibility.values import ALL_TYPES, NAMES, equality_key, exact

_BOUNDS = ("minimum", "maximum")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")


class Space:
    """The shapes of the documents of one comparison, each made once and when it is asked for."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._shapes: dict[Term, Shape] = {TRUE: Shape(), FALSE: IMPOSSIBLE}
        self._folded: dict[tuple[int, Term], Shape] = {}
        self._kept: dict[int, Shape] = {}
        self._numbers = 1

    def document(self, raw: Any) -> Document:
        """A checked document whose nodes can meet those of the other documents of this comparison."""
        found = Document(raw, self.budget, self._numbers)
        self._numbers += 1_000_000_000
        return found

    def shape(self, term: Term) -> Shape:
        """The normal form of a term; the same object for the same term."""
        found = self._shapes.get(term)
        if found is None:
            self.budget.spend(20)
            if len(term) == 1:
                found = self._of_node(term[0])
            else:
                found = self.shape(term[:1])
                for node in term[1:]:
                    found = self.fold(found, (node,))
            self._shapes[term] = found
        return found

    def fold(self, shape: Shape, term: Term) -> Shape:
        """A shape with one more term that must hold; the same object for the same pair."""
        if shape.nodes.issuperset(term):
            return shape
        found = self._folded.get((id(shape), term))
        if found is None:
            other = self.shape(term)
            self.budget.spend(20 + len(shape.properties) + len(other.properties) + len(shape.enum or ()))
            found = _fold(shape, other, term)
            self._folded[id(shape), term] = found
            self.keep(shape)
        return found

    def keep(self, shape: Shape) -> Shape:
        """The same shape, kept alive, so that its identity can stand for it."""
        self._kept[id(shape)] = shape
        return shape

    def _of_node(self, node: Node) -> Shape:
        document = node.document
        raw = node.raw
        if document is None:
            return IMPOSSIBLE
        target = document.target(raw)
        if target is not None and not document.newer:
            return self.shape(term(document, target))
        shape = replace(tidy(_local(document, raw, self.budget)), nodes=frozenset({node}))
        parts = [term(document, target)] if target is not None else []
        parts += [term(document, item) for item in raw.get("allOf", ())]
        excluded = raw.get("not")
        if isinstance(excluded, dict) and excluded.keys() == {"not"}:
            parts.append(term(document, excluded["not"]))
        for word in ("anyOf", "oneOf"):
            group = _group(document, word, raw.get(word))
            if isinstance(group, Group):
                shape = replace(shape, groups=(*shape.groups, group))
            elif group is not None:
                parts.append(group)
        for part in parts:
            shape = self.fold(shape, part)
        if ("$dynamicRef" in raw or "$recursiveRef" in raw) and target is None:
            shape = replace(shape, opaque=(*shape.opaque, node))
        return _unevaluated(document, node, shape)


def term(document: Document, raw: Any) -> Term:
    """The term of a subschema as it is written."""
    if isinstance(raw, bool):
        return TRUE if raw else FALSE
    return (document.node(raw),) if raw else TRUE


def _fold(shape: Shape, other: Shape, part: Term) -> Shape:
    try:
        if mergeable(shape, other):
            return merge(shape, other)
    except Undecided:
        pass
    return replace(shape, extra=(*shape.extra, part), nodes=shape.nodes.union(part))


def _group(document: Document, kind: Any, members: list[Any] | None) -> Group | Term | None:
    """The group of an `anyOf` or `oneOf`, or the term that it comes to."""
    if members is None:
        return None
    terms = [(position, term(document, item)) for position, item in enumerate(members)]
    kept = [(position, item) for position, item in terms if item != FALSE]
    if kind == "anyOf" and TRUE in (item for _, item in kept):
        return None
    if len(kept) <= 1:
        return kept[0][1] if kept else FALSE
    return Group(kind, tuple(item for _, item in kept), tuple(position for position, _ in kept))


def _local(document: Document, raw: dict[str, Any], budget: Budget) -> Shape:
    """The keywords that neither refer nor combine."""
    found: dict[str, Any] = {}
    if "type" in raw:
        listed = raw["type"] if isinstance(raw["type"], list) else [raw["type"]]
        found["types"] = found["declared"] = ALL_TYPES & frozenset().union(*(NAMES[name] for name in listed))
    if "const" in raw:
        found["enum"] = {equality_key(raw["const"]): raw["const"]}
    if "enum" in raw:
        values = {}
        for value in raw["enum"]:
            budget.spend()
            values[equality_key(value)] = value
        if "const" in raw:
            values = {key: value for key, value in values.items() if key in found["enum"]}
        found["enum"] = values
    limits = _limits(raw)
    if limits:
        found["limits"] = limits
    if "multipleOf" in raw:
        found["multiple"] = Fraction(exact(raw["multipleOf"]))
    if "pattern" in raw:
        found["patterns"] = (raw["pattern"],)
    if raw.get("uniqueItems"):
        found["unique"] = True
    excluded = raw.get("not", False)
    if excluded in (True, {}):
        found["types"] = frozenset()
    elif excluded and excluded.keys() != {"not"}:
        found["nots"] = (term(document, excluded),)
    if "if" in raw and ("then" in raw or "else" in raw):
        test, then, otherwise = (term(document, raw.get(word, True)) for word in ("if", "then", "else"))
        found["conditions"] = (Condition(test, then, otherwise),)
    _arrays(document, raw, found)
    _objects(document, raw, found)
    return Shape(**found)


def _limits(raw: dict[str, Any]) -> dict[str, int | float]:
    limits = {word: raw[word] for word in (*_BOUNDS, *_COUNTS) if word in raw}
    for word, strict in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        value = raw.get(strict)
        if value is True and word in limits:
            limits[strict] = limits.pop(word)
        elif value is not None and not isinstance(value, bool):
            limits[strict] = value
    return limits


def _arrays(document: Document, raw: dict[str, Any], found: dict[str, Any]) -> None:
    prefix, rest = raw.get("prefixItems"), raw.get("items")
    if isinstance(rest, list):
        prefix, rest = rest, raw.get("additionalItems")
    if prefix:
        found["prefix"] = tuple(term(document, item) for item in prefix)
    if rest is not None:
        found["rest"] = term(document, rest)
    if "contains" in raw:
        least, most = int(raw.get("minContains", 1)), raw.get("maxContains")
        if least or most is not None:
            limit = None if most is None else int(most)
            found["contains"] = (Contains(term(document, raw["contains"]), least, limit),)


def _objects(document: Document, raw: dict[str, Any], found: dict[str, Any]) -> None:
    for word, name in (("properties", "properties"), ("patternProperties", "matching")):
        if raw.get(word):
            found[name] = {key: term(document, item) for key, item in raw[word].items()}
    if "additionalProperties" in raw:
        found["additional"] = term(document, raw["additionalProperties"])
    if raw.get("required"):
        found["required"] = frozenset(raw["required"])
    if "propertyNames" in raw:
        found["names"] = term(document, raw["propertyNames"])
    needs = {name: frozenset(item) for name, item in raw.get("dependentRequired", {}).items() if item}
    implies = {name: term(document, item) for name, item in raw.get("dependentSchemas", {}).items()}
    for name, item in raw.get("dependencies", {}).items():
        if isinstance(item, list):
            if item:
                needs[name] = needs.get(name, frozenset()) | frozenset(item)
        else:
            implies[name] = (*implies.get(name, TRUE), *term(document, item))
    found["needs"] = needs
    found["implies"] = {name: item for name, item in implies.items() if item}


def _unevaluated(document: Document, node: Node, shape: Shape) -> Shape:
    """`unevaluated…` as `additional…` where nothing beside properties and items evaluates; else an opaque part."""
    raw = node.raw
    plain = not (shape.groups or shape.conditions or shape.implies or shape.extra or shape.opaque)
    opaque = False
    if "unevaluatedProperties" in raw and document.newer and shape.additional is None:
        closing = term(document, raw["unevaluatedProperties"])
        shape = replace(shape, additional=closing) if plain else shape
        opaque = bool(closing) and not plain
    if "unevaluatedItems" in raw and document.newer and shape.rest is None:
        closing = term(document, raw["unevaluatedItems"])
        plain = plain and not shape.contains
        shape = replace(shape, rest=closing) if plain else shape
        opaque = opaque or (bool(closing) and not plain)
    return replace(shape, opaque=(*shape.opaque, node)) if opaque else shape
