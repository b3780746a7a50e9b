"""The JSON Schema (2020-12) of one row of a table.

Belongs here: from a contract to the schema that accepts the rows its ERROR row rules accept. Does not: files, versions.

`compatibility.row_schema` is another one: it compares two contracts, so it has no types and no NULL.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from cogniforge_pipeline.contracts import Column, Contract, Rule
from cogniforge_pipeline.contracts.formats import PATTERNS, WITH_DATE
from cogniforge_pipeline.data_mesh.compatibility.wellformed import token
from cogniforge_pipeline.data_mesh.interchange.patterns import to_ecma
from cogniforge_pipeline.data_mesh.interchange.types import PHYSICAL, TEXT, or_null, type_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
VERSION = "x-version"
_BOUNDS = {
    "min": "minimum",
    "exclusive_min": "exclusiveMinimum",
    "max": "maximum",
    "exclusive_max": "exclusiveMaximum",
}
_TOLD_AT_TOP = {"apiVersion", "kind", "id", "name", "version", "status", "description", "schema"}
_TOLD_OF_TABLE = {"id", "name", "logicalType", "physicalType", "description", "properties", "quality", "relationships"}
_TOLD_OF_COLUMN = _TOLD_OF_TABLE | {
    "required", "logicalTypeOptions", "enum", "examples", "businessName", "deprecated",
    "primaryKey", "primaryKeyPosition", "unique", "items",
}  # fmt: skip
_NO_RULE = {"password", "byte", "binary"}


def row_json_schema(contract: Contract) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The schema of a row, and notes on what of the contract it does not say.

    Closed: other properties are refused. A column that may be NULL takes null and may be missing. Texts with a `format`
    also get its pattern, since most validators take `format` for a comment.
    """
    notes = list(_untold(contract))
    columns = {column.name: _Told(column) for column in contract.columns}
    for column in columns.values():
        path = f"#/properties/{token(column.column.name)}"
        column.schema = type_schema(column.column.type, path, column.notes)
    for rule in contract.rules:
        told = columns[rule.columns[0]] if _about_one_cell(rule) else None
        if told is None or not _tell(rule, told):
            notes.append(f"#: the rule {rule.name}: {rule.description}")
    entries = {str(entry["name"]): entry for entry in _table(contract).get("properties") or ()}
    properties: dict[str, dict[str, Any]] = {}
    for name, told in columns.items():
        properties[name] = _annotations(contract.column(name), entries[name]) | told.finished()
        notes += [*told.notes, *_untold_options(told.column), *_untold_of_column(name, entries[name])]
    schema: dict[str, Any] = {
        "$schema": DIALECT,
        "title": contract.name,
        **({"description": contract.description} if contract.description else {}),
        VERSION: contract.version,
        "type": "object",
        "properties": properties,
        "required": [name for name, told in columns.items() if told.required],
        "additionalProperties": False,
    }
    return schema, tuple(dict.fromkeys(notes))


@dataclass
class _Told:
    """The schema of a column as it grows rule by rule."""

    column: Column
    schema: dict[str, Any] = field(default_factory=dict)
    required: bool = False
    patterns: list[str] = field(default_factory=list)
    formatted: list[str] = field(default_factory=list)
    values: list[list[Any]] = field(default_factory=list)
    refused: list[Any] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def finished(self) -> dict[str, Any]:
        """All that was told, in an order that does not depend on that of the rules."""
        schema = dict(self.schema)
        texts = list(dict.fromkeys([*self.patterns, *self.formatted]))
        more: list[dict[str, Any]] = [{"pattern": text} for text in texts[1:]]
        if texts:
            schema["pattern"] = texts[0]
        own = [schema.pop("enum")] if "enum" in schema else []
        listed = [*own, *self.values]
        if listed:
            schema["enum"] = listed[0]
            more += [{"enum": values if self.required else [*values, None]} for values in listed[1:]]
        refused = [*self.refused, *([None] if self.required and "type" not in schema else [])]
        if refused:
            schema["not"] = {"enum": refused}
        if not self.required:
            schema = or_null(schema)
        if more:
            schema["allOf"] = more
        physical = schema.pop(PHYSICAL, None)
        if self.column.type == TEXT and schema.get("format") in WITH_DATE:
            physical = TEXT
        return schema | ({PHYSICAL: physical} if physical else {})


def _about_one_cell(rule: Rule) -> bool:
    return rule.kind == "row" and rule.severity == "ERROR" and len(rule.columns) == 1


def _tell(rule: Rule, told: _Told) -> bool:
    """Adds a rule to the column's schema; False where JSON Schema has no word for it."""
    column, schema, value = told.column, told.schema, rule.value
    match rule.test:
        case "not_null":
            told.required = True
        case "finite":
            pass  # JSON has no other numbers
        case "min" | "max" | "exclusive_min" | "exclusive_max" if _number(schema) and _sayable([value]):
            word = _BOUNDS[rule.test]
            tighter = max if rule.test.endswith("min") else min
            schema[word] = tighter(value, schema.get(word, value))
        case "min_length" | "max_length":
            word = rule.test.removesuffix("_length") + ("Length" if column.type == TEXT else "Items")
            tighter = max if rule.test == "min_length" else min
            schema[word] = tighter(value, schema.get(word, value))
        case "multiple_of":
            schema["multipleOf"] = value
            if column.floating or not float(value).is_integer():
                told.notes.append(
                    f"{_path(column)}: that a multiple of {value} may be off by 1e-9 of it; validators differ in that"
                )
        case "unique_items":
            schema["uniqueItems"] = True
        case "pattern":
            text = to_ecma(value)
            if text is None:
                return False
            told.patterns.append(text)
        case "format":
            schema["format"] = value
            text = to_ecma(PATTERNS[value])
            told.formatted += [text] if text else []
            if value in WITH_DATE:
                told.notes.append(f"{_path(column)}: that the day of the {value} exists, as 2023-02-30 does not")
        case "values" if _sayable(value):
            told.values.append([_json(item) for item in value])
        case "not_missing" if _sayable(value):
            told.required |= None in value
            told.refused += [_json(item) for item in value if item is not None and _json(item) not in told.refused]
        case _:
            return False
    return True


def _number(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") in ("integer", "number")


def _sayable(values: Iterable[Any]) -> bool:
    """False for numbers that JSON lacks, and for moments: those can be written in several ways, so no text is theirs."""
    return not any(isinstance(v, datetime) or (isinstance(v, float) and not math.isfinite(v)) for v in values)


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _annotations(column: Column, entry: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "title": entry.get("businessName"),
        "description": column.description,
        "examples": [_json(item) for item in entry.get("examples") or ()],
        "deprecated": entry.get("deprecated"),
    }
    return {word: value for word, value in told.items() if value}


def _path(column: Column) -> str:
    return f"#/properties/{token(column.name)}"


def _table(contract: Contract) -> Mapping[str, Any]:
    found: Mapping[str, Any] = contract.raw["schema"][0]
    return found


def _untold(contract: Contract) -> list[str]:
    """What the document says of the contract and of the table beside columns and rules."""
    table = _table(contract)
    purpose = contract.raw.get("description") or {}
    words = sorted(contract.raw.keys() - _TOLD_AT_TOP)
    words += [f"description.{word}" for word in sorted(purpose) if word != "purpose" or table.get("description")]
    words += [f"schema.{word}" for word in sorted(table.keys() - _TOLD_OF_TABLE)]
    if contract.raw.get("status") != "active":
        words.append(f"status {contract.raw.get('status')}")
    return [f"#: {', '.join(words)}"] if words else []


def _untold_options(column: Column) -> list[str]:
    """Options that make no rule."""
    words = {"timezone", "defaultTimezone", "required", "minProperties", "maxProperties", "dimensions"}
    found = sorted(words & column.options.keys())
    form = column.options.get("format")
    if form is not None and (column.type != TEXT or form in _NO_RULE):
        found.append(f"format {form}")
    return [f"{_path(column)}: {', '.join(found)} (logicalTypeOptions)"] if found else []


def _untold_of_column(name: str, entry: Mapping[str, Any]) -> list[str]:
    found = sorted(entry.keys() - _TOLD_OF_COLUMN - {"customProperties"})
    custom = [str(item.get("property")) for item in entry.get("customProperties") or ()]
    found += [f"customProperties.{word}" for word in custom if word != "finite"]  # all numbers of JSON are
    found += ["rules of its inner properties"] if entry.get("properties") or entry.get("items") else []
    declared = str(entry.get("physicalType") or "")
    if "(" in declared and declared.upper().startswith(("VARCHAR", "CHAR", "TEXT", "STRING", "BPCHAR")):
        found.append(f"the width of {declared}, which nothing checks: use maxLength")
    quality = entry.get("quality") or ()
    found += [f"the text {item.get('description')!r}" for item in quality if item.get("type") == "text"]
    return [f"#/properties/{token(name)}: {', '.join(found)}"] if found else []
