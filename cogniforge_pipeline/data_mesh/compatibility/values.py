"""JSON values: their types, their equality and exact numbers.

Belongs here: what draft-independent JSON says about values. Does not: schemas.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from fractions import Fraction
from typing import Any

# A number is an integer or a fraction, so that sets of these seven names can be intersected.
ALL_TYPES = frozenset({"null", "boolean", "integer", "fraction", "string", "array", "object"})
NUMBERS = frozenset({"integer", "fraction"})
NAMES = {
    "null": frozenset({"null"}),
    "boolean": frozenset({"boolean"}),
    "integer": frozenset({"integer"}),
    "number": NUMBERS,
    "string": frozenset({"string"}),
    "array": frozenset({"array"}),
    "object": frozenset({"object"}),
}


def type_of(value: Any) -> str:
    """The one of ALL_TYPES that a value has; 1.0 is an integer."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "fraction"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list | tuple):
        return "array"
    if isinstance(value, dict):
        return "object"
    raise TypeError(f"{type(value).__name__} is no JSON value")


def equality_key(value: Any) -> Hashable:
    """A key that is equal for equal JSON values: 1 and 1.0 are equal, 1 and true are not."""
    if isinstance(value, dict):
        return ("object", frozenset((name, equality_key(item)) for name, item in value.items()))
    if isinstance(value, list | tuple):
        return ("array", tuple(equality_key(item) for item in value))
    kind = type_of(value)
    return ("number" if kind in NUMBERS else kind, value)


def exact(number: int | float) -> Fraction:
    """The number as it is written: 0.1 is one tenth."""
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


def is_number(value: Any) -> bool:
    """True for a finite JSON number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def type_names(types: frozenset[str]) -> list[str]:
    """The JSON Schema names of a set of types, `number` standing for integers and fractions."""
    names = sorted(types - NUMBERS)
    if "fraction" in types:
        names.append("number")
    elif "integer" in types:
        names.append("integer")
    return sorted(names)
