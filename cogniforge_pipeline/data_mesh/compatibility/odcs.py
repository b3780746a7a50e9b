"""Contracts of tables (ODCS v3) compared as schemas are: columns by rule and path, other promises by name.

Belongs here: a table's contract as a schema of its rows. Does not: types (widening.py), quality and service levels
(promises.py), reading files (contracts).

A row is an object whose missing properties are NULL. The table is closed: it holds the columns it names. BACKWARD asks
whether the new contract accepts every row of the old one, so an added column must not be required, and a removed column
breaks; FORWARD asks whether a reader of the old contract may read the new rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

from cogniforge_pipeline.contracts import Column, Contract
from cogniforge_pipeline.contracts.formats import PATTERNS
from cogniforge_pipeline.data_mesh.compatibility import promises, widening
from cogniforge_pipeline.data_mesh.compatibility.compare import compare_schemas
from cogniforge_pipeline.data_mesh.compatibility.model import Compatibility, Difference, Direction, Mode
from cogniforge_pipeline.data_mesh.compatibility.rules import Found, found, message
from cogniforge_pipeline.data_mesh.compatibility.wellformed import token

_WIDTH = re.compile(r"(?:VARCHAR|CHAR|CHARACTER VARYING|BPCHAR|STRING|TEXT)\s*\(\s*(\d+)\s*\)", re.IGNORECASE)
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_PLAIN = ("minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "multipleOf")
_TYPE_RULES = {"wider": "TYPE_EXTENDED", "narrower": "TYPE_NARROWED", "other": "TYPE_CHANGED"}


def row_schema(contract: Contract) -> dict[str, Any]:
    """The JSON Schema of a row, without the types of its columns. Moments are seconds since 1970 UTC."""
    widths = _widths(contract)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "description": contract.description,
        "properties": {column.name: _column(column, widths.get(column.name)) for column in contract.columns},
        "required": [column.name for column in contract.columns if column.required],
        "additionalProperties": False,
    }


def compare_contracts(
    old: Contract,
    new: Contract,
    mode: Mode = "BACKWARD",
    *,
    history: Sequence[Contract] = (),
    budget_seconds: float = 1.0,
) -> Compatibility:
    """Whether a contract may take another's place; the modes are those of `compare_schemas`.

    Types follow DuckDB's widening: INTEGER to BIGINT, FLOAT to DOUBLE, DATE to TIMESTAMP, VARCHAR(n) to a greater width
    are compatible, narrowing breaks. A primary key that is new or covers fewer columns breaks. Quality rules, service
    levels and the partition never break, and are told from the old contract to the new one whatever the mode.
    """
    schemas = [row_schema(version) for version in history]
    shape = compare_schemas(row_schema(old), row_schema(new), mode, history=schemas, budget_seconds=budget_seconds)
    differences: dict[tuple[str, str, str, bool], Difference] = {}
    directions: list[Direction] = [] if mode.startswith("FORWARD") else ["BACKWARD"]
    if mode.startswith(("FORWARD", "FULL")):
        directions.append("FORWARD")
    versions = [*history, old] if mode.endswith("_TRANSITIVE") else [old]
    for version in reversed(versions):
        label = "" if version is old else f"; compared with version {version.version}"
        for direction in directions:
            pair = (version, new) if direction == "BACKWARD" else (new, version)
            suffix = label if direction == "BACKWARD" else f" (from the new contract to the old one){label}"
            for item in (*_types(*pair), *_keys(*pair)):
                _add(differences, _difference(item, direction, suffix))
    for difference in shape.differences:
        _add(differences, difference)
    for item in (*promises.rules(old, new), *promises.service_levels(old.sla, new.sla), *_partition(old, new)):
        _add(differences, _difference(item, "BACKWARD", ""))
    compatible = mode == "NONE" or not any(item.breaking for item in differences.values())
    return Compatibility(compatible, mode, tuple(differences.values()))


def _add(differences: dict[tuple[str, str, str, bool], Difference], item: Difference) -> None:
    differences.setdefault((item.rule, item.path, item.direction, item.breaking), item)


def _difference(item: Found, direction: Direction, suffix: str) -> Difference:
    path = f"#/{'/'.join(item.path)}"
    return Difference(item.rule, path, direction, item.breaking, message(item) + suffix)


def _types(old: Contract, new: Contract) -> Iterator[Found]:
    after = {column.name: column for column in new.columns}
    for column in old.columns:
        if column.name not in after:
            continue
        change = widening.change(column.type, after[column.name].type)
        if change != "same":
            detail = f"{column.type} became {after[column.name].type}"
            yield found(_TYPE_RULES[change], "properties", token(column.name), detail=detail)


def _keys(old: Contract, new: Contract) -> Iterator[Found]:
    before, after = old.primary_key, new.primary_key
    if before == after:
        return
    detail = f"{', '.join(before) or 'none'} became {', '.join(after) or 'none'}"
    if not after:
        yield found("PRIMARY_KEY_REMOVED", "primaryKey", detail=detail, breaking=False)
    elif not before:
        yield found("PRIMARY_KEY_ADDED", "primaryKey", detail=detail, breaking=True)
    else:
        fewer = not set(before) <= set(after)
        yield found("PRIMARY_KEY_CHANGED", "primaryKey", detail=detail, breaking=fewer)


def _partition(old: Contract, new: Contract) -> Iterator[Found]:
    if old.partition_column != new.partition_column:
        detail = f"{old.partition_column or 'none'} became {new.partition_column or 'none'}"
        yield found("PARTITION_CHANGED", "partition", detail=detail, breaking=False)


def _widths(contract: Contract) -> dict[str, int]:
    """Widths of texts as they are written; DuckDB's own spelling of a type drops them."""
    entries = (contract.raw.get("schema") or [{}])[0].get("properties") or []
    found_widths = {}
    for entry in entries:
        told = _WIDTH.fullmatch(str(entry.get("physicalType") or "").strip())
        if told:
            found_widths[str(entry.get("name"))] = int(told.group(1))
    return found_widths


def _column(column: Column, width: int | None) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": column.description} if column.description else {}
    options = column.options
    for word in _BOUNDS:
        if word in options:
            schema[word] = _number(options[word])
    schema |= {word: options[word] for word in _PLAIN if word in options}
    if width is not None:
        schema["maxLength"] = min(width, schema.get("maxLength", width))
    if column.enum:
        schema["enum"] = [_value(value) for value in column.enum]
    patterns = [f"^(?:{options['pattern']})$"] if "pattern" in options else []
    if column.type == "VARCHAR" and options.get("format") in PATTERNS:
        patterns.append(f"^(?:{PATTERNS[options['format']]})$")
    if patterns:
        schema["allOf"] = [{"pattern": pattern} for pattern in patterns]
    return schema


def _number(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return int(seconds) if seconds.is_integer() else seconds


def _value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
