"""Resource quantities by their value: 1000m is 1, 1Gi is 1024Mi.

Belongs here: reading one. Does not: which fields are quantities (`kinds.py`).
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import Any

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i))?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


@lru_cache(4096)
def _of_text(text: str) -> Decimal | None:
    match = _FORM.fullmatch(text.strip()) if len(text) <= 64 else None
    if match is None:
        return None
    number, exponent, suffix = match.groups()
    value = Decimal(number + (exponent or ""))
    if suffix in _BINARY:
        return value * (1 << _BINARY[suffix])
    return value.scaleb(_DECIMAL[suffix]) if suffix else value


def quantity(value: Any) -> Decimal | None:
    """The value of a quantity (apimachinery's `resource.Quantity`); None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    return _of_text(str(value))


def same_quantity(left: Any, right: Any) -> bool:
    """Whether two quantities are the same amount."""
    amount = quantity(left)
    return amount is not None and amount == quantity(right)
