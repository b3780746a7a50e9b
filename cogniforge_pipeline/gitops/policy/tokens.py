"""The words of Rego: a source text to tokens, with their places.

Belongs here: strings, comments, names, operators. Does not: grammar (that of the engine), or what is made of the tokens
(`rewriting.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

TokenKind = Literal["name", "number", "string", "template", "mark"]

_KEYWORDS = "as contains default else every false if import in not null package some true with"
KEYWORDS = frozenset(_KEYWORDS.split())
_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      |(?P<template>\$["`])
      |(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
      |(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      |(?P<name>[A-Za-z_]\w*)
      |(?P<mark>:=|==|!=|<=|>=|[^\w\s])""",
    re.VERBOSE,
)


class RegoUnreadable(Exception):
    """A text that is not Rego in its very words, such as a string without end."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word from `start` to before `end`; `first` on its line. `text` is as written."""

    kind: TokenKind
    text: str
    start: int
    end: int
    first: bool


def tokens(source: str) -> list[Token]:
    """All words but comments. Raises RegoUnreadable for a string that does not end."""
    found: list[Token] = []
    at, first = 0, True
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None or (match.lastgroup == "mark" and match.group() in '"`'):
            line = source.count("\n", 0, at) + 1
            raise RegoUnreadable(f"line {line}: a string without end" if match else f"line {line}: {source[at]!r}")
        kind, end = match.lastgroup, match.end()
        if kind == "space":
            first = first or "\n" in match.group()
        else:
            if kind == "template":
                end = _template_end(source, match.end(), source[at + 1])
            found.append(Token(kind, source[at:end], at, end, first))  # type: ignore[arg-type]
            first = False
        at = end
    return found


def template_parts(text: str) -> list[tuple[bool, str]]:
    """The parts of `$"…"` or `` $`…` ``: whether each is an expression, and its text (escapes of plain text resolved)."""
    quote, inner = text[1], text[2:-1]
    parts: list[tuple[bool, str]] = []
    plain, at = "", 0
    while at < len(inner):
        if inner.startswith("\\{", at):
            plain, at = plain + "{", at + 2
        elif inner[at] == "\\" and quote == '"':
            plain, at = plain + inner[at : at + 2], at + 2
        elif inner[at] == "{":
            end = _expression_end(inner, at + 1)
            parts += [(False, plain), (True, inner[at + 1 : end])]
            plain, at = "", end + 1
        else:
            plain, at = plain + inner[at], at + 1
    return [*parts, (False, plain)]


def _template_end(source: str, at: int, quote: str) -> int:
    while at < len(source):
        if source[at] == "\\" and (quote == '"' or source.startswith("\\{", at)):
            at += 2
        elif source[at] == "{":
            at = _expression_end(source, at + 1) + 1
        elif source[at] == quote:
            return at + 1
        else:
            at += 1
    raise RegoUnreadable("a template string without end")


def _expression_end(source: str, at: int) -> int:
    """Where the brace that closes the expression stands."""
    depth = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            break
        text, end = match.group(), match.end()
        if match.lastgroup == "template":
            end = _template_end(source, match.end(), source[at + 1])
        elif text == "{":
            depth += 1
        elif text == "}":
            if depth == 0:
                return at
            depth -= 1
        at = end
    raise RegoUnreadable("a template expression without end")
