"""Differences of types, listed values, texts and numbers.

Belongs here: what needs no subschema. Does not: objects.py, arrays.py, sums.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from cogniforge_pipeline.data_mesh.compatibility import containment
from cogniforge_pipeline.data_mesh.compatibility.patterns import implied
from cogniforge_pipeline.data_mesh.compatibility.rules import Found, found
from cogniforge_pipeline.data_mesh.compatibility.shape import Shape
from cogniforge_pipeline.data_mesh.compatibility.values import ALL_TYPES, NUMBERS, shown, type_names

_NUMBERS = {
    "minimum": "MINIMUM",
    "exclusiveMinimum": "EXCLUSIVE_MINIMUM",
    "maximum": "MAXIMUM",
    "exclusiveMaximum": "EXCLUSIVE_MAXIMUM",
}


def types(old: Shape, new: Shape) -> Iterator[Found]:
    """Types that came or went. `integer` to `number` extends a type, one more type extends a sum.

    Declared types are compared, so that what a `multipleOf` or a list of values leaves of them is told there alone.
    """
    known, wanted = old.declared_types, new.declared_types
    if old.types <= new.types and not known <= wanted:
        known, wanted = old.types, new.types
    if old.types == new.types or known == wanted:
        return
    before, after = type_names(known), type_names(wanted)
    detail = f"{_shown(known)} became {_shown(wanted)}"
    if known <= wanted:
        wider = wanted == ALL_TYPES or len(before) == len(after) or not before
        yield found("TYPE_EXTENDED" if wider else "SUM_TYPE_EXTENDED", detail=detail)
        return
    if known == ALL_TYPES or not known & wanted:
        yield found("TYPE_CHANGED", detail=detail)
    elif len(before) == len(after) and known > wanted:
        yield found("TYPE_NARROWED", detail=detail)
    elif known > wanted:
        yield found("SUM_TYPE_NARROWED", detail=detail)
    elif len(before) == 1:
        yield found("TYPE_CHANGED", detail=detail)
    else:
        if len(before) != len(after):
            yield found("SUM_TYPE_EXTENDED" if len(before) < len(after) else "SUM_TYPE_NARROWED", detail=detail)
        yield found("COMBINED_TYPE_SUBSCHEMAS_CHANGED", detail=detail)


def _shown(kinds: frozenset[str]) -> str:
    return "any type" if kinds == ALL_TYPES else " or ".join(type_names(kinds)) or "no type"


def listed(old: Shape, new: Shape) -> Iterator[Found]:
    """`enum` and `const`."""
    if old.enum is None and new.enum is None:
        return
    if new.enum is None:
        yield found("ENUM_ARRAY_EXTENDED", "enum", detail="values are no longer listed")
    elif old.enum is None:
        yield found("ENUM_ARRAY_NARROWED", "enum", detail=f"only {_values(new.enum.values())} are left")
    else:
        gone = [value for key, value in old.enum.items() if key not in new.enum]
        came = [value for key, value in new.enum.items() if key not in old.enum]
        if gone and came:
            yield found("ENUM_ARRAY_CHANGED", "enum", detail=f"{_values(gone)} gave way to {_values(came)}")
        elif gone:
            yield found("ENUM_ARRAY_NARROWED", "enum", detail=f"{_values(gone)} went")
        elif came:
            yield found("ENUM_ARRAY_EXTENDED", "enum", detail=f"{_values(came)} came")


def _values(values: Any) -> str:
    told = [shown(value) for value in list(values)[:5]]
    text = ", ".join(item if len(item) <= 40 else f"{item[:37]}..." for item in told)
    return f"{text} and {len(values) - 5} more" if len(values) > 5 else text


def limit(old: Shape, new: Shape, keyword: str, rule: str, breaking: bool | None = None) -> Iterator[Found]:
    """One bound that came, went or moved. With `breaking` told False, it is harmless whatever it did."""
    before, after = old.limits.get(keyword), new.limits.get(keyword)
    if before == after:
        return
    if before is None:
        yield found(f"{rule}_ADDED", keyword, detail=f"{shown(after)} is new", breaking=breaking)
    elif after is None:
        yield found(f"{rule}_REMOVED", keyword, detail=f"it was {shown(before)}", breaking=breaking)
    else:
        change = "INCREASED" if after > before else "DECREASED"
        yield found(f"{rule}_{change}", keyword, detail=f"{shown(before)} became {shown(after)}", breaking=breaking)


def texts(old: Shape, new: Shape) -> Iterator[Found]:
    """Lengths and patterns."""
    yield from limit(old, new, "maxLength", "MAX_LENGTH")
    yield from limit(old, new, "minLength", "MIN_LENGTH")
    gone = [pattern for pattern in old.patterns if pattern not in new.patterns]
    came = [pattern for pattern in new.patterns if pattern not in old.patterns]
    harmless = all(implied(pattern, old.patterns) for pattern in came)
    if gone and came:
        told = "" if harmless else "; whether one contains the other is not decided for patterns in general"
        detail = f"{', '.join(gone)} became {', '.join(came)}{told}"
        yield found("PATTERN_CHANGED", "pattern", detail=detail, breaking=not harmless)
    elif came:
        yield found("PATTERN_ADDED", "pattern", detail=f"{', '.join(came)} is new", breaking=not harmless)
    elif gone:
        yield found("PATTERN_REMOVED", "pattern", detail=f"it was {', '.join(gone)}")


def numbers(old: Shape, new: Shape) -> Iterator[Found]:
    """Bounds and multiples. A bound may move between inclusive and exclusive as long as the numbers still fit."""
    only = old.types & new.declared_types & NUMBERS
    before = Shape(types=only, limits=old.limits, multiple=old.multiple)
    fits = containment.bounds(before, new)
    for keyword, rule in _NUMBERS.items():
        yield from limit(old, new, keyword, rule, False if fits else None)
    if old.multiple == new.multiple:
        return
    detail = f"{_plain(old.multiple)} became {_plain(new.multiple)}"
    if new.multiple is None:
        yield found("MULTIPLE_OF_REMOVED", "multipleOf", detail=f"it was {_plain(old.multiple)}")
    elif old.multiple is None:
        harmless = containment.multiples(before, new)
        detail = f"{_plain(new.multiple)} is new"
        yield found("MULTIPLE_OF_ADDED", "multipleOf", detail=detail, breaking=not harmless)
    elif (old.multiple / new.multiple).denominator == 1:
        yield found("MULTIPLE_OF_REDUCED", "multipleOf", detail=detail)
    elif (new.multiple / old.multiple).denominator == 1:
        yield found("MULTIPLE_OF_EXPANDED", "multipleOf", detail=detail)
    else:
        yield found("MULTIPLE_OF_CHANGED", "multipleOf", detail=detail)


def _plain(number: Fraction | None) -> str:
    if number is None:
        return "none"
    if number.denominator == 1:
        return shown(number.numerator)
    try:
        return str(float(number))
    except OverflowError:
        return f"{shown(number.numerator)}/{shown(number.denominator)}"
