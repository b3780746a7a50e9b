"""Rego as OPA reads it to Rego that Regorus reads in the same way: what can be told from the words alone.

Belongs here: rewriting of texts by their tokens. Does not: what needs the syntax tree (`negation.py`), or refusing
(`vetting.py`).

- A line that starts with `(` is a statement of its own, never a call of what the line before ends with.
- A v0 rule may have several bodies, `r { … } { … }`; each becomes a rule of its own.
- A keyword after a dot is a name: `input.default` becomes `input["default"]`.
- Template strings, `$"{x} is wrong"`, become `concat`; an undefined expression reads `<undefined>`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable

from cogniforge_pipeline.gitops.policy.tokens import KEYWORDS, Token, template_parts, tokens

_OPERAND_ENDS = frozenset(")]}")
_KEYWORD_REF = "__keyword_"


def rewrite(source: str, keyword_heads: frozenset[str] = frozenset()) -> str:
    """The text with all rewritings done; lines keep their numbers unless a rule has several bodies.

    `keyword_heads` are the names of `keyword_heads()` over all modules of a policy. Raises RegoUnreadable.
    """
    words = tokens(source)
    source = _apply(source, [*_templates(words, keyword_heads), *_keywords(words, keyword_heads)])
    return _bodies(_apply(source, _lines_of_parentheses(tokens(source))))


def keyword_heads(sources: Iterable[str]) -> frozenset[str]:
    """The first names of rules and packages that have a keyword in their own path, such as `foo` of `foo.if := 1`."""
    found: set[str] = set()
    for source in sources:
        words = tokens(source)
        for at, (token, depth) in enumerate(_depths(words)):
            if depth or not token.first or not _name(token):
                continue
            names = words[at + 1 : at + 2] and words[at + 1].text == "."
            start = at + 1 if token.text in ("package", "default") and not names else at
            chain = _chain(words, start)
            if any(word.text in KEYWORDS for word in chain) and (len(chain) > 1):
                found |= {"data"} if token.text == "package" and not names else {"data", chain[0].text}
    return frozenset(found)


def _chain(words: list[Token], start: int) -> list[Token]:
    chain = words[start : start + 1]
    at = start + 1
    while at + 1 < len(words) and words[at].text == "." and _name(words[at + 1]):
        chain.append(words[at + 1])
        at += 2
    return chain


def _name(token: Token) -> bool:
    return token.kind == "name"


def _depths(words: list[Token]) -> list[tuple[Token, int]]:
    depth, found = 0, []
    for word in words:
        if word.kind == "mark" and word.text in ")]}":
            depth -= 1
        found.append((word, depth))
        if word.kind == "mark" and word.text in "([{":
            depth += 1
    return found


def _lines_of_parentheses(words: list[Token]) -> list[tuple[int, int, str]]:
    edits = []
    stack: list[str] = []
    for at, word in enumerate(words):
        if word.kind != "mark":
            continue
        if word.text == "(" and word.first and stack[-1:] == ["{"] and at and _ends_operand(words[at - 1]):
            edits.append((word.start, word.start, ";"))
        if word.text in "([{":
            stack.append(word.text)
        elif word.text in ")]}" and stack:
            stack.pop()
    return edits


def _ends_operand(word: Token) -> bool:
    if word.kind == "name":
        return word.text not in KEYWORDS - {"true", "false", "null"}
    return word.kind != "mark" or word.text in _OPERAND_ENDS


def _templates(words: list[Token], heads: frozenset[str]) -> list[tuple[int, int, str]]:
    return [(word.start, word.end, _template(word.text, heads)) for word in words if word.kind == "template"]


def _template(text: str, heads: frozenset[str]) -> str:
    parts = []
    for number, (expression, inner) in enumerate(template_parts(text)):
        if expression:
            name = f"__part{number}_{zlib.crc32(inner.encode())}"
            value = rewrite(inner, heads).strip()
            parts.append(f'array.concat([sprintf("%v", [{name}]) | {name} := {value}], ["<undefined>"])[0]')
        elif inner:
            parts.append(f'"{inner}"' if text[1] == '"' else json.dumps(inner))
    return f'concat("", [{", ".join(parts)}])' if len(parts) != 1 or parts[0][0] != '"' else parts[0]


def _keywords(words: list[Token], heads: frozenset[str]) -> list[tuple[int, int, str]]:
    """Keywords as names: bracketed where a value is read, renamed where they name a rule or a package."""
    edits = []
    at = 0
    while at < len(words):
        token = words[at]
        dotted = at + 2 < len(words) and words[at + 1].text == "." and _name(words[at + 2])
        if not _name(token) or not dotted:
            at += 1
            continue
        chain = _chain(words, at)
        package = at > 0 and words[at - 1].text in ("package", "import")
        renamed = (package and chain[0].text != "input") or chain[0].text in heads
        for number, word in enumerate(chain):
            if word.text not in KEYWORDS:
                continue
            if renamed:
                edits.append((word.start, word.end, f"{_KEYWORD_REF}{word.text}"))
            elif number:
                edits.append((words[at + 2 * number - 1].start, word.end, f'["{word.text}"]'))
        at += 2 * len(chain) - 1
    return edits


def _bodies(source: str) -> str:
    """Each further body of a rule with the rule's head before it."""
    words = _depths(tokens(source))
    edits: list[tuple[int, int, str]] = []
    head: int | None = None
    head_text = ""
    for at, (word, depth) in enumerate(words):
        if depth:
            continue
        previous = words[at - 1][0] if at else None
        if word.text == "else":
            head = None
        elif word.first and word.kind == "name" and (previous is None or _ends_operand(previous)):
            head, head_text = word.start, ""
        if word.text == "{" and head is not None:
            if not head_text:
                head_text = source[head : word.start]
            elif previous is not None and previous.text == "}" and not head_text.rstrip().endswith(("if", "=")):
                edits.append((word.start, word.start, f"\n{head_text.strip()} "))
    return _apply(source, edits)


def _apply(source: str, edits: Iterable[tuple[int, int, str]]) -> str:
    for start, end, text in sorted(edits, reverse=True):
        source = source[:start] + text + source[end:]
    return source
