"""Regular expressions of schemas: matching a text within bounds, and when one pattern implies another.

Belongs here: patterns as Python's `re` reads them, which JSON Schema's validators for Python do too. Does not: the
decision whether one regular language contains another in general; that stays undecided.
"""

from __future__ import annotations

import re
import re._constants as sre  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import warnings
from functools import lru_cache
from typing import Any

from cogniforge_pipeline.data_mesh.compatibility.model import Undecided

_ALWAYS = {"", "^", ".*", "^.*", r"[\s\S]*", r"^[\s\S]*", r"[\s\S]*$", r"^[\s\S]*$", r"(.|\n)*", r"^(.|\n)*$"}
_STEPS = 1_000_000
_SPECIAL = set("\\.^$*+?{}[]|()")
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT)


def always(pattern: str) -> bool:
    """True for a pattern that is seen to match every text."""
    return pattern in _ALWAYS


def implied(pattern: str, by: tuple[str, ...]) -> bool:
    """True when every text that matches all of `by` is seen to match `pattern`.

    Decided for equal patterns, for patterns that match everything, and for `^text` where one of `by` begins with it.
    """
    return always(pattern) or pattern in by or any(_starts(other, pattern) for other in by)


def _starts(longer: str, prefix: str) -> bool:
    if not prefix.startswith("^") or not _SPECIAL.isdisjoint(prefix[1:]) or not longer.startswith(prefix):
        return False
    return "|" not in longer and longer[len(prefix) : len(prefix) + 1] not in ("*", "?", "{")


@lru_cache(maxsize=4096)
def matches(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text. Raises Undecided where Python cannot read it or it might take long."""
    compiled, loops, nested = _compile(pattern)
    length = len(text) + 1
    if (nested and length > 20) or length**loops > _STEPS:
        raise Undecided(f"the pattern {pattern!r} may take too long on a text of {length - 1} characters")
    return compiled.search(text) is not None


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> tuple[re.Pattern[str], int, bool]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = re.compile(pattern)
            tree = parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise Undecided(f"the pattern {pattern!r} is not one that Python reads: {error}") from error
    loops, nested = _loops(tree, False)
    anchored = bool(tree) and tree[0][0] is sre.AT
    return compiled, max(loops + (not anchored), 1), nested


def _loops(tree: Any, inside: bool) -> tuple[int, bool]:
    """How many open repeats a pattern has, and whether one of them holds a choice (which may double every step)."""
    loops, nested = 0, False
    for code, argument in tree:
        within = inside
        if code in _REPEATS or code is sre.POSSESSIVE_REPEAT:
            low, high, _ = argument
            nested |= inside and low != high
            if high is sre.MAXREPEAT or high > 10:
                loops, within = loops + 1, True
        elif code is sre.BRANCH:
            nested |= inside
        for part in _parts(code, argument):
            more, deeper = _loops(part, within)
            loops, nested = loops + more, nested or deeper
    return loops, nested


def _parts(code: object, argument: object) -> list[Any]:
    if isinstance(argument, parser.SubPattern):
        return [argument]
    if not isinstance(argument, tuple):
        return []
    if code is sre.BRANCH:
        return list(argument[1])
    return [part for part in argument if isinstance(part, parser.SubPattern)]
