"""DuckDB types as JSON Schemas of one value.

Belongs here: what each type looks like in JSON, and which type a JSON type gets when nothing else is said. Does not:
rules of columns, NULL at the top of a column (rows.py, tables.py).

A type that `default_type` would not choose is named by the keyword `x-physicalType`, so that it is found again. The
ranges of integers up to 32 bits are told, those of wider ones are not: most readers of JSON cannot hold them.
"""

from __future__ import annotations

from typing import Any

import duckdb

from cogniforge_pipeline.data_mesh.compatibility.wellformed import token

PHYSICAL = "x-physicalType"
TEXT, ANY = "VARCHAR", "JSON"
_DEFAULTS = {"string": TEXT, "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN"}
_BY_FORMAT = {
    ("string", "date"): "DATE",
    ("string", "date-time"): "TIMESTAMP WITH TIME ZONE",
    ("integer", "int32"): "INTEGER",
    ("integer", "int64"): "BIGINT",
    ("number", "float"): "FLOAT",
    ("number", "double"): "DOUBLE",
}
_BITS = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "UTINYINT": 8, "USMALLINT": 16, "UINTEGER": 32}
_WHOLE = {*_BITS, "BIGINT", "HUGEINT", "UBIGINT", "UHUGEINT", "BIGNUM"}
_PLAIN: dict[str, dict[str, Any]] = {
    "VARCHAR": {"type": "string"},
    "BOOLEAN": {"type": "boolean"},
    "DOUBLE": {"type": "number"},
    "FLOAT": {"type": "number"},
    "DATE": {"type": "string", "format": "date"},
    "TIMESTAMP WITH TIME ZONE": {"type": "string", "format": "date-time"},
    "TIME WITH TIME ZONE": {"type": "string", "format": "time"},
    "UUID": {"type": "string", "format": "uuid"},
    "BLOB": {"type": "string", "contentEncoding": "base64"},
    "JSON": {},
}


def default_type(kind: str, form: str | None = None) -> str:
    """The DuckDB type of a scalar JSON type (string, integer, number, boolean) with this `format`."""
    return _BY_FORMAT.get((kind, form or ""), _DEFAULTS[kind])


def implied_formats(kind: str, physical: str) -> set[str]:
    """The formats that say no more of a JSON type than the DuckDB type does."""
    return {form for (name, form), found in _BY_FORMAT.items() if name == kind and found == physical}


def type_schema(physical: str, path: str, notes: list[str]) -> dict[str, Any]:
    """The JSON Schema of a value of the type, not NULL; `notes` gets what JSON Schema cannot say of it.

    `physical` is DuckDB's own spelling. Elements of lists, structs and maps may be null, as DuckDB lets them be.
    """
    kind = duckdb.sqltype(physical)
    if kind.id in ("list", "array", "struct", "map"):
        return _container(kind, path, notes)
    schema = _scalar(kind, physical, path, notes)
    stated = schema.get("type")
    if not stated:
        expected = ANY
    else:
        expected = default_type(stated, schema.get("format"))
    return schema if physical == expected else schema | {PHYSICAL: physical}


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with null allowed."""
    changed = dict(schema)
    if "type" in changed:
        changed["type"] = [changed["type"], "null"]
    if "enum" in changed:
        changed["enum"] = [*changed["enum"], None]
    return changed


def _scalar(kind: Any, physical: str, path: str, notes: list[str]) -> dict[str, Any]:
    if physical in _PLAIN:
        return dict(_PLAIN[physical])
    if physical in _WHOLE:
        schema: dict[str, Any] = {"type": "integer"}
        bits, signed = _BITS.get(physical), not physical.startswith("U")
        if bits:
            schema["minimum"] = -(2 ** (bits - 1)) if signed else 0
            schema["maximum"] = 2 ** (bits - signed) - 1
        elif not signed:
            schema["minimum"] = 0
        return schema
    if kind.id == "decimal":
        told = dict(kind.children)
        scale = int(told["scale"])
        limit = 10 ** (int(told["precision"]) - scale)
        if scale:
            notes.append(f"{path}: that {physical} keeps {scale} digits after the point")
        return {"type": "number" if scale else "integer", "exclusiveMinimum": -limit, "exclusiveMaximum": limit}
    if kind.id == "enum":
        return {"type": "string", "enum": list(dict(kind.children)["values"])}
    if kind.id == "union":
        notes.append(f"{path}: what a {physical} may hold")
        return {}
    notes.append(f"{path}: how a {physical} is written; there is no format for it")
    return {"type": "string"}


def _container(kind: Any, path: str, notes: list[str]) -> dict[str, Any]:
    parts = dict(kind.children)
    if kind.id in ("list", "array"):
        items = or_null(type_schema(str(parts["child"]), f"{path}/items", notes))
        schema: dict[str, Any] = {"type": "array", "items": items}
        if kind.id == "array":
            size = int(parts["size"])
            schema |= {"minItems": size, "maxItems": size, PHYSICAL: str(kind)}
        return schema
    if kind.id == "struct":
        properties = {
            name: or_null(type_schema(str(part), f"{path}/properties/{token(name)}", notes))
            for name, part in kind.children
        }
        return {"type": "object", "properties": properties, "additionalProperties": False}
    values = or_null(type_schema(str(parts["value"]), f"{path}/additionalProperties", notes))
    schema = {"type": "object", "additionalProperties": values}
    if str(parts["key"]) != TEXT:
        notes.append(f"{path}: that the keys of the map are {parts['key']}")
        schema[PHYSICAL] = str(kind)
    return schema
