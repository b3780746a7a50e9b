"""`sprintf` where its format does not fit its arguments: Go, and so OPA, writes what is wrong into the text.

    sprintf("%v of %v", [1])     1 of %!v(MISSING)
    sprintf("%d", ["a"])         %!d(string=a)

Belongs here: this one function. Does not: formats that fit, which the engine knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

_VERB = re.compile(r"%(?:%|(?P<flags>[-+# 0]*\d*(?:\.\d+)?)(?P<verb>[A-Za-z]))")


def sprintf(form: str, values: Sequence[Any], one: Callable[[str, Any], str]) -> str:
    """The text. `one` formats a single value, and raises ValueError where the verb does not fit it."""
    left = list(values)

    def written(match: re.Match[str]) -> str:
        verb = match.group("verb")
        if verb is None:
            return "%"
        if not left:
            return f"%!{verb}(MISSING)"
        value = left.pop(0)
        try:
            return one(match.group(), value)
        except ValueError:
            return f"%!{verb}({_typed(value, one)})"

    text = _VERB.sub(written, form)
    return text + (f"%!(EXTRA {', '.join(_typed(value, one) for value in left)})" if left else "")


def _typed(value: Any, one: Callable[[str, Any], str]) -> str:
    kind = "int" if isinstance(value, int) and not isinstance(value, bool) else "string"
    kind = "float64" if isinstance(value, float) else "bool" if isinstance(value, bool) else kind
    return f"{kind}={one('%v', value)}"
