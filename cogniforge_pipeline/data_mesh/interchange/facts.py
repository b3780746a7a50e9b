"""What a JSON Schema says of one value, gathered from its references, `allOf` and the ways to say "or null".

Belongs here: one flat set of keywords for each place of a document. Does not: what a table makes of them (tables.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cogniforge_pipeline.data_mesh.compatibility.document import Document
from cogniforge_pipeline.data_mesh.compatibility.values import NAMES, NUMBERS, type_of
from cogniforge_pipeline.errors import CogniforgeError

_GREATER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_SMALLER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_UNREAD = ("$schema", "$defs", "definitions", "$ref", "$dynamicRef", "$recursiveRef")
_OWN = ("title", "description", "examples", "deprecated", "default", "$comment", "$id")
_TYPES = {"title": str, "description": str, "format": str, "examples": list, "deprecated": bool}
_BRANCHES = ("anyOf", "oneOf")
MOST = 5_000
"""The most schemas that one document or one value of it may have, references followed."""


@dataclass
class Facts:
    """The keywords of one place, each once.

    `patterns` and `values` hold every pattern and enumeration that must be kept, `refused` the values of `not`; `kinds`
    are the JSON types without null, None for any. `unsaid` are keywords that contradict or cannot be joined.
    """

    words: dict[str, Any] = field(default_factory=dict)
    kinds: frozenset[str] | None = None
    nullable: bool = True
    patterns: list[str] = field(default_factory=list)
    values: list[list[Any]] = field(default_factory=list)
    refused: list[Any] = field(default_factory=list)
    properties: dict[str, Any] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    followed: frozenset[int] = frozenset()
    unsaid: list[str] = field(default_factory=list)
    parts: int = 0

    @property
    def kind(self) -> str | None:
        """The one JSON type: string, integer, number, boolean, array, object; None for any or several."""
        kinds = self.kinds
        if kinds is None and self.values:
            kinds = frozenset(type_of(item) for item in self.values[0] if item is not None)
        if kinds == frozenset({"integer"}):
            return "integer"
        if kinds and kinds <= NUMBERS:
            return "number"
        return next(iter(kinds)) if kinds and len(kinds) == 1 else None


def gather(document: Document, raw: Any) -> Facts:
    """The facts of one schema of the document. Ends on every document, since references never circle in one place."""
    facts = Facts()
    fragments = list(_fragments(document, raw, facts))
    for fragment in fragments:
        for word, value in fragment.items():
            _add(facts, word, value)
    if facts.values and not all(None in values for values in facts.values):
        facts.nullable = False
    facts.values = [[item for item in values if item is not None] for values in facts.values]
    if len([1 for item in fragments if "properties" in item]) > 1 and "additionalProperties" in facts.words:
        facts.unsaid.append("additionalProperties of a part of allOf")
    return facts


def _fragments(document: Document, raw: Any, facts: Facts) -> Iterator[Mapping[str, Any]]:
    """The schema objects that must all hold, its own keywords first."""
    facts.parts += 1
    if facts.parts > MOST:
        raise CogniforgeError(
            f"a value has more than {MOST} schemas once references are followed",
            "import the parts that the table needs",
        )
    if isinstance(raw, bool):
        yield {} if raw else {"not": {}}
        return
    target = document.target(raw)
    if target is None or document.newer:
        joined = [word for word in _BRANCHES if word in raw and _or_null(raw[word]) is not None]
        yield {word: value for word, value in raw.items() if word not in (*_UNREAD, "allOf", *joined)}
        for word in joined:
            for fragment in _fragments(document, _or_null(raw[word]), facts):
                yield _with_null(fragment)
        for part in raw.get("allOf", ()):
            yield from _fragments(document, part, facts)
    if target is not None:
        facts.followed |= {id(target)}
        yield from _fragments(document, target, facts)


def _or_null(branches: list[Any]) -> Any | None:
    """The other of two branches where one is null."""
    others = [item for item in branches if item not in ({"type": "null"}, {"const": None}, {"enum": [None]})]
    return others[0] if len(others) == 1 and len(branches) == 2 else None


def _with_null(fragment: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(fragment)
    if "type" in changed:
        kinds = changed["type"] if isinstance(changed["type"], list) else [changed["type"]]
        changed["type"] = [*kinds, "null"]
    if "const" in changed:
        changed["enum"] = [changed.pop("const")]
    if "enum" in changed:
        changed["enum"] = [*changed["enum"], None]
    return changed


def _add(facts: Facts, word: str, value: Any) -> None:
    words = facts.words
    wrong = word in _TYPES and not isinstance(value, _TYPES[word])
    if wrong:
        facts.unsaid.append(f"{word} {value!r}")
    elif word == "type":
        listed = value if isinstance(value, list) else [value]
        kinds = frozenset().union(*(NAMES[name] for name in listed))
        facts.nullable &= "null" in kinds
        kinds -= {"null"}
        facts.kinds = kinds if facts.kinds is None else facts.kinds & kinds
    elif word == "const":
        facts.values.append([value])
    elif word == "enum":
        facts.values.append(list(value))
    elif word == "pattern":
        facts.patterns += [value] if value not in facts.patterns else []
    elif word == "not" and isinstance(value, Mapping) and value.keys() in ({"enum"}, {"const"}):
        refused = value.get("enum", [value.get("const")])
        facts.nullable &= None not in refused
        facts.refused += [item for item in refused if item is not None and item not in facts.refused]
    elif word == "not" and value == {"type": "null"}:
        facts.nullable = False
    elif word == "properties":
        for name, item in value.items():
            before = facts.properties.get(name)
            facts.properties[name] = item if before is None or before == item else {"allOf": [before, item]}
    elif word == "required":
        facts.required += [name for name in value if name not in facts.required]
    elif word not in words or words[word] == value:
        words[word] = value
    elif word in (*_GREATER, *_SMALLER) and not isinstance(value, bool):
        words[word] = (max if word in _GREATER else min)(value, words[word])
    elif word not in _OWN:
        facts.unsaid.append(f"{word} {value!r} beside {words[word]!r}")
