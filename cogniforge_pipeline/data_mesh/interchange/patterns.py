"""Regular expressions between the two dialects: RE2 that matches the whole text, and ECMA 262 that is found in it.

Belongs here: rewriting a pattern so that it means the same. Does not: what a pattern is for. Both dialects read the
common syntax alike, but for `\\s`, which is ASCII in RE2, and for `.`, which ECMA does not let match \\r and U+2028.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_EVERYTHING = r"[\s\S]*"
_TOKEN = re.compile(r"\\x\{[0-9A-Fa-f]{1,4}\}|\\u[0-9A-Fa-f]{4}|\\.|\(\?P?<?.|\[\[:|.", re.DOTALL)
_RE2_ONLY = re.compile(r"\\[AzQECapP]|\\x\{|\(\?P|\(\?[A-Za-z-]|\[\[:")


def to_ecma(pattern: str) -> str | None:
    """The pattern of JSON Schema for an RE2 pattern that must match the whole text, or None where ECMA has no such
    syntax."""
    inner = _whole_group(pattern.removeprefix(_EVERYTHING).removesuffix(_EVERYTHING))
    found = inner is not None and to_re2(inner) == pattern
    tokens = [_escape(token) for token in _TOKEN.findall(inner if found and inner else pattern)]
    if any(_RE2_ONLY.match(token) for token in tokens):
        return None
    translated = "".join(tokens)
    return translated if found else f"^(?:{translated})$"


def to_re2(pattern: str) -> str:
    """The RE2 pattern that matches the texts as a whole in which a pattern of JSON Schema is found.

    Whether RE2 can read it is not asked: it has no look-around and no back references.
    """
    text = "".join(
        f"\\x{{{token[2:]}}}" if re.fullmatch(r"\\u[0-9A-Fa-f]{4}", token) else token
        for token in _TOKEN.findall(pattern)
    )
    if text.startswith("^") and text.endswith("$") and not _escaped(text, len(text) - 1):
        inner = text[1:-1]
        group = _whole_group(inner)
        if group is not None:
            return group
        if all(depth > 0 or char != "|" for _, char, depth in _bare(inner)):
            return inner
    return f"{_EVERYTHING}(?:{text}){_EVERYTHING}"


def _escape(token: str) -> str:
    return f"\\u{int(token[3:-1], 16):04x}" if re.fullmatch(r"\\x\{[0-9A-Fa-f]{1,4}\}", token) else token


def _whole_group(text: str) -> str | None:
    """What is inside where the text is one group `(?:…)`."""
    if not text.startswith("(?:") or not text.endswith(")"):
        return None
    closing = next((at for at, char, depth in _bare(text) if char == ")" and depth == 0), None)
    return text[3:-1] if closing == len(text) - 1 else None


def _bare(text: str) -> Iterator[tuple[int, str, int]]:
    """Place, character and depth of groups, outside of escapes and classes; a closing bracket has the depth outside."""
    depth, in_class, at = 0, False, 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 2
            continue
        if in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
            at += 2 if text[at + 1 : at + 2] == "]" else 1 if text[at + 1 : at + 3] != "^]" else 3
            continue
        else:
            depth -= char == ")"
            yield at, char, depth
            depth += char == "("
        at += 1


def _escaped(text: str, at: int) -> bool:
    return (at - len(text[:at].rstrip("\\"))) % 2 == 1
