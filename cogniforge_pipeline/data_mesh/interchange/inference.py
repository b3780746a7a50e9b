"""The DuckDB type of a value that a JSON Schema describes.

Belongs here: types of columns, and what of a schema has no place inside a list, struct or map. Does not: rules of
columns (tables.py). Where no type fits, the column is JSON, which takes any value, and a note says so.
"""

from __future__ import annotations

from typing import Any

from cogniforge_pipeline.contracts.sqlcheck import canonical_type
from cogniforge_pipeline.data_mesh.compatibility.document import Document
from cogniforge_pipeline.data_mesh.compatibility.values import NAMES
from cogniforge_pipeline.data_mesh.compatibility.wellformed import token
from cogniforge_pipeline.data_mesh.interchange.facts import MOST, Facts, gather
from cogniforge_pipeline.data_mesh.interchange.types import (
    ANY,
    PHYSICAL,
    TEXT,
    default_type,
    implied_formats,
    type_schema,
)
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.sqltext import ident

_DEEPEST = 30


class Inference:
    """Types of one document. `notes` are what its schemas say and types do not, `loose` the inner places where null is
    refused and DuckDB lets it be."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.notes: list[str] = []
        self.loose: list[str] = []
        self._seen = 0

    def column(self, raw: Any, path: str) -> tuple[str, Facts]:
        """The type of a column, as DuckDB spells it, and the facts that the type does not imply."""
        facts = gather(self.document, raw)
        return canonical_type(self._type(facts, path, ())), facts

    def _type(self, facts: Facts, path: str, inside: tuple[int, ...]) -> str:
        self._seen += 1
        if self._seen > MOST:
            raise CogniforgeError(
                f"the schema has more than {MOST} places once references are followed",
                "import the parts that the table needs",
            )
        stated = facts.words.pop(PHYSICAL, None)
        physical = self._stated(stated, facts, path) if stated is not None else None
        return physical or self._inferred(facts, path, inside)

    def _stated(self, stated: Any, facts: Facts, path: str) -> str | None:
        try:
            physical = canonical_type(str(stated))
        except ValueError as error:
            self.notes.append(f"{path}: {PHYSICAL} {stated}: {error}")
            return None
        name = type_schema(physical, path, []).get("type")
        if name and (facts.kinds is None or not facts.kinds <= NAMES[name]):
            self.notes.append(f"{path}: {PHYSICAL} {stated}, which is not of the type that the schema states")
            return None
        _drop_implied(facts, physical, path)
        return physical

    def _inferred(self, facts: Facts, path: str, inside: tuple[int, ...]) -> str:
        if not facts.followed.isdisjoint(inside) or len(inside) > _DEEPEST:
            self.notes.append(f"{path}: what is inside, which is the same again; the column takes any JSON value")
            _forget(facts)
            return ANY
        kind = facts.kind or ("object" if facts.properties and facts.kinds is None else None)
        within = (*inside, *(facts.followed or (0,)))
        if kind == "array":
            found = self._list(facts, path, within)
        elif kind == "object":
            found = self._object(facts, path, within)
        elif kind:
            form = facts.words.get("format")
            found = default_type(kind, form)
            if form in implied_formats(kind, found):
                del facts.words["format"]
            _drop_implied(facts, found, path)
        else:
            found = None
        return found or self._any(facts, path)

    def _any(self, facts: Facts, path: str) -> str:
        if facts.kinds is not None:
            names = ", ".join(sorted(facts.kinds)) or "none"
            self.notes.append(f"{path}: type {names}; the column takes any JSON value")
        return ANY

    def _list(self, facts: Facts, path: str, inside: tuple[int, ...]) -> str | None:
        items = facts.words.get("items", True)
        if isinstance(items, list) or "prefixItems" in facts.words:
            return None
        facts.words.pop("items", None)
        return f"{self._inner(items, f'{path}/items', inside)}[]"

    def _object(self, facts: Facts, path: str, inside: tuple[int, ...]) -> str | None:
        others = facts.words.get("additionalProperties", True)
        if facts.properties:
            facts.words.pop("additionalProperties", None)
            if others is not False:
                self.notes.append(f"{path}: properties that it does not name; they have no place in a struct")
            parts = {
                name: self._inner(item, f"{path}/properties/{token(name)}", inside)
                for name, item in facts.properties.items()
            }
            self.loose += [f"{path}/properties/{token(name)}" for name in facts.required]
            facts.properties, facts.required = {}, []
            if "" in parts or any("\0" in name for name in parts) or len({*map(str.lower, parts)}) < len(parts):
                self.notes.append(f"{path}: its properties, whose names DuckDB does not take or tell apart")
                return None
            return f"STRUCT({', '.join(f'{ident(name)} {kind}' for name, kind in parts.items())})"
        if isinstance(others, dict):
            del facts.words["additionalProperties"]
            return f"MAP({TEXT}, {self._inner(others, f'{path}/additionalProperties', inside)})"
        return None

    def _inner(self, raw: Any, path: str, inside: tuple[int, ...]) -> str:
        facts = gather(self.document, raw)
        physical = self._type(facts, path, inside)
        if not facts.nullable:
            self.loose.append(path)
        unsaid = [*facts.words, *facts.unsaid]
        unsaid += [word for word in ("patterns", "values", "refused", "properties", "required") if getattr(facts, word)]
        if unsaid:
            self.notes.append(f"{path}: {', '.join(unsaid)}; there are no rules for the inside of a column")
        return physical


def _drop_implied(facts: Facts, physical: str, path: str) -> None:
    """Takes the keywords out of the facts that the type says by itself."""
    for word, value in type_schema(physical, path, []).items():
        if word == "enum" and value in facts.values:
            facts.values.remove(value)
        elif word == "properties" and facts.properties == value:
            facts.properties = {}
        elif word in facts.words and facts.words[word] == value:
            del facts.words[word]


def _forget(facts: Facts) -> None:
    facts.words, facts.properties, facts.required = {}, {}, []
    facts.patterns, facts.values, facts.refused = [], [], []
