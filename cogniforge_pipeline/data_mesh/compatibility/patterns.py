"""Regular expressions of schemas: matching a text within bounds, and when one pattern implies another.

Belongs here: patterns where Python's `re`, which JSON Schema's validators for Python use, and ECMA-262, which the
specification names, mean the same. Does not: the decision whether one regular language contains another in general;
that stays undecided.
"""

from __future__ import annotations

import re
import re._constants as sre  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import warnings
from functools import lru_cache
from typing import Any

from cogniforge_pipeline.data_mesh.compatibility.model import Undecided

_ALWAYS = {"", "^", ".*", "^.*", r"[\s\S]*", r"^[\s\S]*", r"[\s\S]*$", r"^[\s\S]*$", r"(.|\n)*"}
_STEPS = 1_000_000
_SPECIAL = set("\\.^$*+?{}[]|()")
# What ECMA-262 means by `\s`, `\S` and `.`, as Python's `re` writes it inside brackets.
_SPACE = r"\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_NO_SPACE = (
    r"\x00-\x08\x0e-\x1f!-\x9f\u00a1-\u167f\u1681-\u1fff\u200b-\u2027\u202a-\u202e"
    r"\u2030-\u205e\u2060-\u2fff\u3001-\ufefe\uff00-\U0010ffff"
)
_SPACES = {r"\s": _SPACE, r"\S": _NO_SPACE}
_ANY = r"[^\n\r\u2028\u2029]"
_ESCAPES = re.compile(r"\\.", re.DOTALL)
_TOKENS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\.|.", re.DOTALL)
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
    """Whether the pattern is found in the text.

    Raises Undecided where Python cannot read it, where it might take long, and where ECMA-262 answers otherwise.
    """
    compiled, other, loops, nested = _compile(pattern)
    length = len(text) + 1
    if (nested and length > 20) or length**loops > _STEPS:
        raise Undecided(f"the pattern {pattern!r} may take too long on a text of {length - 1} characters")
    found = compiled.search(text) is not None
    if found != (other.search(text) is not None):
        raise Undecided(f"Python and ECMA-262 differ on whether the pattern {pattern!r} matches {text[:40]!r}")
    return found


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> tuple[re.Pattern[str], re.Pattern[str], int, bool]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = re.compile(pattern)
            tree = parser.parse(pattern)
            other = re.compile(_as_ecma(pattern), re.ASCII)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise Undecided(f"the pattern {pattern!r} is not one that Python reads: {error}") from error
    loops, nested = _loops(tree, False)
    anchored = bool(tree) and tree[0][0] is sre.AT
    return compiled, other, max(loops + (not anchored), 1), nested


def _as_ecma(pattern: str) -> str:
    """A pattern that Python reads, written so that with `re.ASCII` it means what ECMA-262 means by the original."""
    return _TOKENS.sub(lambda found: _token_as_ecma(found[0]), pattern)


def _token_as_ecma(part: str) -> str:
    if part in _SPACES:
        return f"[{_SPACES[part]}]"
    if len(part) > 1 and part.startswith("["):
        return _ESCAPES.sub(lambda found: _SPACES.get(found[0], found[0]), part)
    return {".": _ANY, "$": r"\Z"}.get(part, part)


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
