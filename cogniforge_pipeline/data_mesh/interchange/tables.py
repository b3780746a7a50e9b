"""The contract of a table (ODCS v3) from the JSON Schema of its rows.

Belongs here: from a schema document to an ODCS document that the house's loader accepts. Does not: files, names of files.

A row cannot tell a missing property from null, the inside of a list, struct or map has types but no rules, and a table
holds the columns that it names and no others. What a schema says beyond that is told in the notes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from cogniforge_pipeline.contracts.formats import DOCUMENTATION, PATTERNS
from cogniforge_pipeline.contracts.odcs import parse_contract
from cogniforge_pipeline.contracts.sqlcheck import check_pattern
from cogniforge_pipeline.contracts.yaml_text import Document as ContractDocument
from cogniforge_pipeline.data_mesh.compatibility.document import Document
from cogniforge_pipeline.data_mesh.compatibility.model import Budget, OutOfBudget
from cogniforge_pipeline.data_mesh.compatibility.wellformed import token
from cogniforge_pipeline.data_mesh.interchange.facts import Facts, gather
from cogniforge_pipeline.data_mesh.interchange.inference import Inference
from cogniforge_pipeline.data_mesh.interchange.patterns import to_ecma, to_re2
from cogniforge_pipeline.data_mesh.interchange.rows import VERSION
from cogniforge_pipeline.data_mesh.interchange.types import TEXT, type_schema
from cogniforge_pipeline.errors import CogniforgeError

_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_LOGICAL = {"object": "object", "array": "array", "boolean": "boolean", "integer": "integer", "number": "number"}
_BY_TYPE = {"DATE": "date", "TIMESTAMP WITH TIME ZONE": "timestamp", TEXT: "string"}
_SECONDS = 5.0


def table_contract(schema: Any, name: str, *, version: str = "1.0.0") -> tuple[dict[str, Any], tuple[str, ...]]:
    """The ODCS document of the table `name` (`schema.table`), and notes on what of the JSON Schema it does not say.

    `version` is that of the contract where the schema names none with `x-version`. Formats are checked here, while
    most validators take them for comments. Raises SchemaError for a schema that is not well formed or refers to
    nothing, and CogniforgeError for one that describes no object with properties.
    """
    try:
        document = Document(schema, Budget(_SECONDS))
        facts = gather(document, schema)
        if not facts.properties or (facts.kinds is not None and "object" not in facts.kinds):
            kinds = ", ".join(sorted(facts.kinds or {"no type"}))
            raise CogniforgeError(
                f"a row is an object with properties, this schema is of {kinds}"
                + ("" if facts.properties else " and has no properties"),
                "import the schema of one row; give the items of a list a file of their own",
            )
        reader = _Reader(Inference(document))
        properties = reader.columns(facts)
    except (OutOfBudget, RecursionError):
        raise CogniforgeError(
            "the schema is too large or nested too deeply to be read", "import a part of it"
        ) from None
    words = facts.words
    table: dict[str, Any] = {"name": name.rpartition(".")[2], "physicalType": "table"}
    if words.get("title") not in (None, name):
        table["businessName"] = words["title"]
    if words.get("description"):
        table["description"] = words["description"]
    made = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": name.replace(".", "-").replace("_", "-"),
        "name": name,
        "version": str(words.get(VERSION) or version),
        "status": "active",
        "schema": [table | {"properties": properties}],
    }
    parse_contract(ContractDocument(Path(name), made, {}))
    return made, reader.told(facts)


class _Reader:
    """The columns of one schema; the notes are those of the inference and its own."""

    def __init__(self, inference: Inference) -> None:
        self.inference = inference
        self.notes = inference.notes
        self.or_null: list[str] = []
        self.or_missing: list[str] = []

    def columns(self, facts: Facts) -> list[dict[str, Any]]:
        by_name: dict[str, str] = {}
        found = []
        for name, raw in facts.properties.items():
            twin = by_name.setdefault(name.lower(), name)
            if twin != name:
                raise CogniforgeError(f"{twin!r} and {name!r} are one column for DuckDB", "rename one of the two")
            if not name or "\0" in name:
                raise CogniforgeError(f"{name!r} cannot name a column", "rename the property")
            if raw is False:
                self.notes.append(f"#/properties/{token(name)}: a property that is never there is no column")
                continue
            found.append(self._column(name, raw, name in facts.required))
        unknown = [name for name in facts.required if name not in facts.properties]
        if unknown:
            self.notes.append(f"#: required {', '.join(unknown)}: no property says what they are")
        return found

    def told(self, facts: Facts) -> tuple[str, ...]:
        """All notes, those of the document first."""
        others = facts.words.pop("additionalProperties", True)
        notes = ["#: properties that it does not name; a table is closed"] if others is not False else []
        read = ("title", "description", VERSION)
        words = [word for word in facts.words if word not in read] + facts.unsaid
        words += [word for word in ("patterns", "values", "refused") if getattr(facts, word)]
        notes += [f"#: {', '.join(words)}"] if words else []
        if self.or_null:
            notes.append(f"#: optional properties that refuse null: {', '.join(self.or_null)}; here they may be null")
        if self.or_missing:
            notes.append(f"#: required properties that may be null: {', '.join(self.or_missing)}; here they may lack")
        if self.inference.loose:
            paths = ", ".join(dict.fromkeys(self.inference.loose))
            notes.append(f"#: inner values that must be there and not null: {paths}; here they may be null")
        return tuple(dict.fromkeys([*notes, *self.notes]))

    def _column(self, name: str, raw: Any, required: bool) -> dict[str, Any]:
        path = f"#/properties/{token(name)}"
        physical, facts = self.inference.column(raw, path)
        if required and facts.nullable:
            self.or_missing.append(name)
        elif not required and not facts.nullable:
            self.or_null.append(name)
        kind = type_schema(physical, path, []).get("type")
        logical = _BY_TYPE.get(physical) or _LOGICAL.get(kind or "")
        column: dict[str, Any] = {"name": name}
        for word, told in (("title", "businessName"), ("description", "description")):
            if facts.words.get(word):
                column[told] = facts.words.pop(word)
        column |= ({"logicalType": logical} if logical else {}) | {"physicalType": physical}
        if required and not facts.nullable:
            column["required"] = True
        for word in ("examples", "deprecated"):
            if facts.words.get(word):
                column[word] = facts.words.pop(word)
        quality: list[dict[str, Any]] = []
        options = _options(facts, physical, kind)
        options |= self._patterns(facts, physical, path, options, quality)
        if options:
            column["logicalTypeOptions"] = options
        for number, values in enumerate(self._values(facts.values, physical, kind, path)):
            if number == 0:
                column["enum"] = [{"value": value} for value in values]
            else:
                quality.append(_none_invalid(f"{name} values {number + 1}", "validValues", values))
        for values in self._values([facts.refused] if facts.refused else [], physical, kind, path):
            quality.append({"metric": "missingValues", "arguments": {"missingValues": values}, "mustBe": 0})
        if quality:
            column["quality"] = quality
        unsaid = [*(f"{word} {value!r}"[:120] for word, value in facts.words.items()), *facts.unsaid]
        self.notes += [f"{path}: {', '.join(unsaid)}"] if unsaid else []
        return column

    def _patterns(
        self, facts: Facts, physical: str, path: str, options: Mapping[str, Any], quality: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """The `pattern` option; further patterns become quality entries."""
        known = PATTERNS.get(str(options.get("format")))
        found: list[str] = []
        for pattern in facts.patterns:
            whole = to_re2(pattern)
            if known is not None and pattern == to_ecma(known):
                continue
            if physical != TEXT:
                self.notes.append(f"{path}: pattern {pattern}, which is about texts")
                continue
            try:
                check_pattern(whole)
            except ValueError as error:
                self.notes.append(f"{path}: pattern {pattern}, which RE2 cannot read: {error}")
                continue
            if "\\s" in pattern or "\\S" in pattern:
                self.notes.append(f"{path}: that \\s in {pattern} is more than ASCII white space")
            found.append(whole)
        name = path.rpartition("/")[2]
        quality += [
            _none_invalid(f"{name} pattern {number}", "pattern", item) for number, item in enumerate(found[1:], 2)
        ]
        return {"pattern": found[0]} if found else {}

    def _values(self, lists: Sequence[list[Any]], physical: str, kind: str | None, path: str) -> list[list[Any]]:
        """The lists without the values that the column can never hold, which are told."""
        found = []
        for values in lists:
            fitting = [item for item in values if _fits(item, physical, kind)]
            if len(fitting) < len(values):
                others = [item for item in values if item not in fitting]
                self.notes.append(f"{path}: the values {others!r}, which a {physical} column does not hold"[:200])
            if fitting:
                found.append([int(v) if kind == "integer" else v for v in fitting])
        return found


def _options(facts: Facts, physical: str, kind: str | None) -> dict[str, Any]:
    """The keywords that are logicalTypeOptions of such a column; they are taken out of the facts."""
    taken: tuple[str, ...] = ()
    if kind in ("integer", "number"):
        taken = _BOUNDS
    elif physical == TEXT:
        taken = ("minLength", "maxLength")
        if facts.words.get("format") in (*PATTERNS, *DOCUMENTATION):
            taken = (*taken, "format")
    elif kind == "array":
        taken = ("minItems", "maxItems", *(["uniqueItems"] if facts.words.get("uniqueItems") else []))
    facts.words = {word: value for word, value in facts.words.items() if (word, value) != ("uniqueItems", False)}
    found = {}
    for word in taken:
        value = facts.words.get(word)
        if value is None or (isinstance(value, bool) and word != "uniqueItems"):
            continue
        del facts.words[word]
        found[word] = int(value) if word.startswith(("minL", "maxL", "minI", "maxI")) else value
    return found


def _none_invalid(name: str, argument: str, value: Any) -> dict[str, Any]:
    return {"name": name, "metric": "invalidValues", "arguments": {argument: value}, "mustBe": 0}


def _fits(value: Any, physical: str, kind: str | None) -> bool:
    if physical == "DATE":
        try:
            return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
        except ValueError:
            return False
    if physical == TEXT:
        return isinstance(value, str)
    if kind in ("integer", "number"):
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return not isinstance(value, bool) and (whole or (kind == "number" and isinstance(value, float)))
    return kind == "boolean" and isinstance(value, bool)
