"""Listing the documents of a schema that allows only a few.

Belongs here: enums, constants, booleans, small ranges, empty containers. Does not: judging them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cogniforge_pipeline.data_mesh.compatibility.shape import FALSE, Shape, integer_step, lower, upper

if TYPE_CHECKING:
    from cogniforge_pipeline.data_mesh.compatibility.subset import Prover

_MOST = 100


def finite_values(prover: Prover, shape: Shape) -> list[Any] | None:
    """Every document of the shape, perhaps among a few more that do not fit; None when they are not few.

    Values that are seen not to fit are left out.
    """
    if shape.enum is not None:
        prover.space.budget.spend(len(shape.enum))
        found: list[Any] | None = list(shape.enum.values())
    else:
        found = _by_type(shape)
    return None if found is None else [value for value in found if not prover.refused(shape, value)]


def _by_type(shape: Shape) -> list[Any] | None:
    found: list[Any] = []
    types = shape.types
    if "null" in types:
        found.append(None)
    if "boolean" in types:
        found += [False, True]
    for kind, word, value in (("string", "Length", ""), ("array", "Items", []), ("object", "Properties", {})):
        if kind in types:
            closed = kind == "object" and not shape.properties and not shape.matching and shape.additional == FALSE
            if not closed and shape.limits.get(f"max{word}", 1) != 0:
                return None
            found.append(value)
    if types & {"integer", "fraction"}:
        numbers = _numbers(shape)
        if numbers is None:
            return None
        found += numbers
    return found


def _numbers(shape: Shape) -> list[Any] | None:
    low, high, step = lower(shape), upper(shape), integer_step(shape)
    if low is None or high is None:
        return None
    if step is None:
        if low[0] < high[0]:
            return None
        found = [low[0]] if low == high and not low[1] else []
    else:
        count = math.floor((high[0] - low[0]) / step) + 1
        if count > _MOST:
            return None
        found = [low[0] + index * step for index in range(count)]
    values = [int(number) if number.denominator == 1 else float(number) for number in found]
    return values if all(value == number for value, number in zip(values, found, strict=True)) else None
