"""JSON values: their types, their equality and exact numbers.

Belongs here: what draft-independent JSON says about values. Does not: schemas.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from fractions import Fraction
from typing import Any

from cogniforge_pipeline.data_mesh.compatibility.model import SchemaError

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
_CLASSES = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    str: "string",
    list: "array",
    tuple: "array",
    dict: "object",
}


def type_of(value: Any) -> str:
    """The one of ALL_TYPES that a value has; 1.0 is an integer. Raises SchemaError for what is no JSON value."""
    if type(value) in _CLASSES:
        return _CLASSES[type(value)]
    if isinstance(value, float) and math.isfinite(value):
        return "integer" if value.is_integer() else "fraction"
    for kind, name in _CLASSES.items():
        if isinstance(value, kind):
            return name
    raise SchemaError(
        f"#: {shown(value)} is no JSON value", "quote dates and times in YAML, and leave out NaN and Infinity"
    )


def equality_key(value: Any) -> Hashable:
    """A key that is equal for equal JSON values: 1 and 1.0 are equal, 1 and true are not."""
    kind = type_of(value)
    if kind == "object":
        return ("object", frozenset((name, equality_key(item)) for name, item in value.items()))
    if kind == "array":
        return ("array", tuple(equality_key(item) for item in value))
    return ("number" if kind in NUMBERS else kind, value)


def exact(number: int | float) -> Fraction:
    """The number as it is written: 0.1 is one tenth."""
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


def is_number(value: Any) -> bool:
    """True for a finite JSON number."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def shown(value: Any) -> str:
    """The value as Python writes it, also where it holds an integer with more digits than Python prints."""
    try:
        return repr(value)
    except ValueError:
        return "a value with a number too long to print"


def type_names(types: frozenset[str]) -> list[str]:
    """The JSON Schema names of a set of types, `number` standing for integers and fractions."""
    names = sorted(types - NUMBERS)
    if "fraction" in types:
        names.append("number")
    elif "integer" in types:
        names.append("integer")
    return sorted(names)
