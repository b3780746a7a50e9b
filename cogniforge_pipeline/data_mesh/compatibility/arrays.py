"""Differences of arrays: items, tuples, additional items, numbers of items, `contains`.

Belongs here: what JSON Schema says of arrays. Does not: the items themselves (differ.py compares those).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cogniforge_pipeline.data_mesh.compatibility import containment
from cogniforge_pipeline.data_mesh.compatibility.rules import Found, breaks, found, under
from cogniforge_pipeline.data_mesh.compatibility.scalars import limit
from cogniforge_pipeline.data_mesh.compatibility.shape import FALSE, TRUE, Contains, Shape

if TYPE_CHECKING:
    from cogniforge_pipeline.data_mesh.compatibility.differ import Differ


def arrays(differ: Differ, old: Shape, new: Shape) -> Iterator[Found]:
    """All differences that concern arrays."""
    for index in range(max(len(old.prefix), len(new.prefix))):
        place = ("items", str(index))
        if index < len(old.prefix) and index < len(new.prefix):
            yield from under(place, differ.compare(old.prefix[index], new.prefix[index]))
        elif index < len(new.prefix):
            yield under(place, [_added(differ, old, new, index)])[0]
        else:
            yield under(place, [_removed(differ, old, new, index)])[0]
    yield from _rest(differ, old, new)
    longest = containment.longest(differ.prover, old)
    fits = False if containment.counts(old, new, "Items", 0, longest) else None
    yield from limit(old, new, "maxItems", "MAX_ITEMS", fits)
    yield from limit(old, new, "minItems", "MIN_ITEMS", fits)
    if old.unique != new.unique:
        short = longest is not None and longest <= 1
        rule = "UNIQUE_ITEMS_ADDED" if new.unique else "UNIQUE_ITEMS_REMOVED"
        yield found(rule, "uniqueItems", breaking=False if short else None)
    yield from _contains(differ, old, new)


def _added(differ: Differ, old: Shape, new: Shape, index: int) -> Found:
    term, known = new.prefix[index], old.rest or TRUE
    if not known:
        if differ.accepts_all(term):
            return found("ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL")
        detail = f"older documents may hold any value at position {index}"
        return found("ITEM_ADDED_TO_OPEN_CONTENT_MODEL", detail=detail)
    if known == FALSE:
        return found("ITEM_ADDED_TO_CLOSED_CONTENT_MODEL")
    covered = "NOT" if breaks(differ.compare(known, term)) else "IS"
    return found(f"ITEM_ADDED_{covered}_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL")


def _removed(differ: Differ, old: Shape, new: Shape, index: int) -> Found:
    term, known = old.prefix[index], new.rest or TRUE
    if not known:
        return found("ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL")
    if known == FALSE:
        if differ.prover.term_empty(term):
            return found("ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL")
        detail = f"documents with an item at position {index} are refused"
        return found("ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL", detail=detail)
    covered = "NOT" if breaks(differ.compare(term, known)) else "IS"
    return found(f"ITEM_REMOVED_{covered}_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL")


def _rest(differ: Differ, old: Shape, new: Shape) -> Iterator[Found]:
    before, after = old.rest or TRUE, new.rest or TRUE
    if before == after:
        return
    if not old.prefix and not new.prefix and FALSE not in (before, after):
        if not before:
            yield found("SCHEMA_ADDED", "items", breaking=not differ.accepts_all(after))
        elif not after:
            yield found("SCHEMA_REMOVED", "items")
        else:
            yield from under(("items",), differ.compare(before, after))
        return
    place = "additionalItems"
    if before == FALSE:
        yield found("ADDITIONAL_ITEMS_ADDED", place)
    elif after == FALSE:
        longest = containment.longest(differ.prover, old)
        short = longest is not None and longest <= len(new.prefix)
        yield found("ADDITIONAL_ITEMS_REMOVED", place, breaking=not short)
    elif not after:
        yield found("ADDITIONAL_ITEMS_EXTENDED", place)
    elif not before:
        yield found("ADDITIONAL_ITEMS_NARROWED", place, breaking=not differ.accepts_all(after))
    else:
        yield from under((place,), differ.compare(before, after))


def _contains(differ: Differ, old: Shape, new: Shape) -> Iterator[Found]:
    if not old.contains and not new.contains:
        return
    if not new.contains:
        yield found("CONTAINS_REMOVED", "contains")
        return
    kept = Shape(types=frozenset({"array"}), contains=new.contains)
    before = Shape(
        types=frozenset({"array"}), limits=old.limits, prefix=old.prefix, rest=old.rest, contains=old.contains
    )
    fits = containment.arrays(differ.prover, before, kept)
    if not old.contains:
        yield found("CONTAINS_ADDED", "contains", breaking=not fits)
    elif not fits or not _same(differ, old.contains, new.contains):
        yield found(f"CONTAINS_{'EXTENDED' if fits else 'NARROWED'}", "contains")


def _same(differ: Differ, old: tuple[Contains, ...], new: tuple[Contains, ...]) -> bool:
    return len(old) == len(new) and all(
        (before.least, before.most) == (after.least, after.most) and differ.same(before.term, after.term)
        for before, after in zip(old, new, strict=True)
    )
