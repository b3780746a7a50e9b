"""Differences of objects: properties, content models, required properties, dependencies.

Belongs here: what JSON Schema says of objects. Does not: the values of properties (differ.py compares those).

A content model is open where any other property may have any value, closed where none may occur, and partially open
where patterns or a schema judge the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from cogniforge_pipeline.data_mesh.compatibility import containment
from cogniforge_pipeline.data_mesh.compatibility.rules import Found, breaks, found, under
from cogniforge_pipeline.data_mesh.compatibility.scalars import limit
from cogniforge_pipeline.data_mesh.compatibility.shape import FALSE, TRUE, Shape, Term
from cogniforge_pipeline.data_mesh.compatibility.wellformed import token

if TYPE_CHECKING:
    from cogniforge_pipeline.data_mesh.compatibility.differ import Differ


def objects(differ: Differ, old: Shape, new: Shape) -> Iterator[Found]:
    """All differences that concern objects."""
    names = [*old.properties, *(name for name in new.properties if name not in old.properties)]
    for name in names:
        differ.space.budget.spend(3)
        place = ("properties", token(name))
        if name in old.properties and name in new.properties:
            yield from under(place, differ.compare(old.value(name), new.value(name)))
        elif name in new.properties:
            yield from under(place, _added(differ, old, new, name))
        else:
            yield from under(place, _removed(differ, old, new, name))
    yield from _required(differ, old, new)
    yield from _additional(differ, old, new)
    yield from _patterns(differ, old, new)
    fits = False if containment.property_counts(differ.prover, old, new) else None
    yield from limit(old, new, "maxProperties", "MAX_PROPERTIES", fits)
    yield from limit(old, new, "minProperties", "MIN_PROPERTIES", fits)
    yield from _names(differ, old, new)
    yield from _dependencies(differ, old, new)


def _added(differ: Differ, old: Shape, new: Shape, name: str) -> Iterator[Found]:
    term = new.value(name)
    known = FALSE if containment.forbidden(differ.prover, old, name) else old.value(name)
    if old.open and known != FALSE:
        if differ.accepts_all(term):
            yield found("PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL")
        else:
            detail = f"older documents may hold {name} with any value"
            yield found("PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", detail=detail)
        return
    if known == FALSE:
        if name in new.required and name not in old.required:
            default = "_WITH_DEFAULT" if differ.annotation(term, "default") is not None else ""
            detail = f"older documents lack {name}" + ("; a validator does not fill in defaults" if default else "")
            yield found(f"REQUIRED_PROPERTY{default}_ADDED_TO_UNOPEN_CONTENT_MODEL", detail=detail)
        else:
            yield found("OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL")
        return
    inner = differ.compare(known, term)
    covered = "NOT" if breaks(inner) else "IS"
    yield found(
        f"PROPERTY_ADDED_{covered}_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
        detail="the rule for unnamed properties allowed more" if breaks(inner) else "",
    )


def _removed(differ: Differ, old: Shape, new: Shape, name: str) -> Iterator[Found]:
    term = old.value(name)
    if new.open:
        yield found("PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL")
        return
    known = new.value(name)
    if known == FALSE:
        if differ.prover.term_empty(term):
            yield found("PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL")
        else:
            detail = f"documents that hold {name} are refused"
            yield found("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", detail=detail)
        return
    inner = differ.compare(term, known)
    covered = "NOT" if breaks(inner) else "IS"
    yield found(
        f"PROPERTY_REMOVED_{covered}_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
        detail="the rule for unnamed properties allows less" if breaks(inner) else "",
    )


def _required(differ: Differ, old: Shape, new: Shape) -> Iterator[Found]:
    present = containment.needed(old)
    for name in sorted(new.required - old.required):
        if name in new.properties and name not in old.properties and _closed_to(differ, old, name):
            continue
        default = name in new.properties and differ.annotation(new.properties[name], "default") is not None
        detail = "older documents may lack it" + ("; a validator does not fill in defaults" if default else "")
        rule = "REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED" if default else "REQUIRED_ATTRIBUTE_ADDED"
        yield found(rule, "required", token(name), detail=detail, breaking=name not in present)
    for name in sorted(old.required - new.required):
        yield found("REQUIRED_ATTRIBUTE_REMOVED", "required", token(name))


def _closed_to(differ: Differ, shape: Shape, name: str) -> bool:
    return shape.value(name) == FALSE or containment.forbidden(differ.prover, shape, name)


def _additional(differ: Differ, old: Shape, new: Shape) -> Iterator[Found]:
    before, after = old.additional or TRUE, new.additional or TRUE
    place = "additionalProperties"
    if before == after:
        return
    if before == FALSE:
        yield found("ADDITIONAL_PROPERTIES_ADDED", place)
    elif after == FALSE:
        yield found("ADDITIONAL_PROPERTIES_REMOVED", place, detail="properties without a name here are refused")
    elif not after:
        yield found("ADDITIONAL_PROPERTIES_EXTENDED", place)
    elif not before:
        breaking = not differ.accepts_all(after)
        yield found("ADDITIONAL_PROPERTIES_NARROWED", place, breaking=breaking)
    else:
        yield from under((place,), differ.compare(before, after))


def _patterns(differ: Differ, old: Shape, new: Shape) -> Iterator[Found]:
    """`patternProperties`: a pattern of one side only meets whatever the other side says of such names."""
    before, after = old.additional or TRUE, new.additional or TRUE
    for pattern, term in new.matching.items():
        place = ("patternProperties", token(pattern))
        if pattern in old.matching:
            yield from under(place, differ.compare(old.matching[pattern], term))
            continue
        fits = differ.prover.term_subset(before, term) and _all_fit(differ, old.matching.values(), term)
        if fits:
            yield found("ADDITIONAL_PROPERTIES_EXTENDED", *place, detail="a pattern of names is new", breaking=False)
        else:
            detail = "names that match the pattern allowed more"
            yield found("ADDITIONAL_PROPERTIES_NARROWED", *place, detail=detail)
    for pattern, term in old.matching.items():
        if pattern in new.matching:
            continue
        place = ("patternProperties", token(pattern))
        if not after or differ.prover.term_subset(term, after):
            yield found("ADDITIONAL_PROPERTIES_EXTENDED", *place, detail="a pattern of names went")
        else:
            detail = "names that match the pattern are judged more strictly"
            yield found("ADDITIONAL_PROPERTIES_NARROWED", *place, detail=detail)


def _all_fit(differ: Differ, terms: Iterable[Term], wanted: Term) -> bool:
    return all(differ.prover.term_subset(term, wanted) for term in terms)


def _names(differ: Differ, old: Shape, new: Shape) -> Iterator[Found]:
    if old.names == new.names:
        return
    if not new.names:
        yield found("PROPERTY_NAMES_REMOVED", "propertyNames")
        return
    fits = containment.names(differ.prover, old, new)
    if not old.names:
        yield found("PROPERTY_NAMES_ADDED", "propertyNames", breaking=not fits)
    elif not fits or not differ.same(old.names, new.names):
        yield found(f"PROPERTY_NAMES_{'EXTENDED' if fits else 'NARROWED'}", "propertyNames")


def _dependencies(differ: Differ, old: Shape, new: Shape) -> Iterator[Found]:
    for name in dict.fromkeys([*old.needs, *new.needs]):
        before, after = old.needs.get(name, frozenset()), new.needs.get(name, frozenset())
        if before == after:
            continue
        if not before:
            change = "ADDED"
        elif not after:
            change = "REMOVED"
        elif before < after:
            change = "EXTENDED"
        else:
            change = "NARROWED" if after < before else "CHANGED"
        sure = after <= containment.needed_with(old, name) | containment.needed(old)
        detail = f"{', '.join(sorted(before)) or 'nothing'} became {', '.join(sorted(after)) or 'nothing'}"
        rule = f"DEPENDENCY_ARRAY_{change}"
        yield found(rule, "dependencies", token(name), detail=detail, breaking=False if sure else None)
    for name in dict.fromkeys([*old.implies, *new.implies]):
        place = ("dependencies", token(name))
        if name not in new.implies:
            yield found("DEPENDENCY_SCHEMA_REMOVED", *place)
        elif name not in old.implies:
            fits = differ.prover.subset(old, new.implies[name])
            yield found("DEPENDENCY_SCHEMA_ADDED", *place, breaking=not fits)
        else:
            yield from under(place, differ.compare(old.implies[name], new.implies[name]))
