"""Whether a schema is one: the shape of every keyword, and where its subschemas are.

Belongs here: errors about a schema as it is written. Does not: references (document.py), meaning (shape.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cogniforge_pipeline.data_mesh.compatibility.model import SchemaError
from cogniforge_pipeline.data_mesh.compatibility.values import NAMES, is_number, shown

SINGLE = (
    "additionalProperties",
    "additionalItems",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
MAPS = ("properties", "patternProperties", "definitions", "$defs", "dependentSchemas")
IN_PLACE = ("not", "if", "then", "else")
_COUNTS = (
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minContains",
    "maxContains",
)


def token(name: str) -> str:
    """A name as one part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def subschemas(raw: dict[str, Any], path: str = "#") -> Iterator[tuple[str, Any]]:
    """Path and value of every direct subschema."""
    for word in SINGLE:
        if word in raw:
            yield f"{path}/{word}", raw[word]
    for word in LISTS:
        for index, item in enumerate(raw.get(word, ())):
            yield f"{path}/{word}/{index}", item
    for word in MAPS:
        for name, item in raw.get(word, {}).items():
            yield f"{path}/{word}/{token(name)}", item
    if "items" in raw:
        if isinstance(raw["items"], list):
            for index, item in enumerate(raw["items"]):
                yield f"{path}/items/{index}", item
        else:
            yield f"{path}/items", raw["items"]
    for name, item in raw.get("dependencies", {}).items():
        if not isinstance(item, list):
            yield f"{path}/dependencies/{token(name)}", item


def check_keywords(raw: Any, path: str) -> None:
    """Raise SchemaError when one schema object, without its subschemas, is not well formed."""
    if isinstance(raw, bool):
        return
    if not isinstance(raw, dict):
        _fail(path, "a schema is an object, true or false", raw)
    if not all(isinstance(name, str) for name in raw):
        _fail(path, "the names of keywords are texts", next(name for name in raw if not isinstance(name, str)))
    _check_type(raw, path)
    for word in ("minimum", "maximum"):
        if word in raw and not is_number(raw[word]):
            _fail(f"{path}/{word}", f"{word} is a number", raw[word])
    for word in ("exclusiveMinimum", "exclusiveMaximum"):
        if word in raw and not isinstance(raw[word], bool) and not is_number(raw[word]):
            _fail(f"{path}/{word}", f"{word} is a number", raw[word])
    if "multipleOf" in raw and not (is_number(raw["multipleOf"]) and raw["multipleOf"] > 0):
        _fail(f"{path}/multipleOf", "multipleOf is a number above 0", raw["multipleOf"])
    for word in _COUNTS:
        value = raw.get(word, 0)
        if not is_number(value) or value < 0 or value != int(value):
            _fail(f"{path}/{word}", f"{word} is a whole number from 0", value)
    for word in ("pattern", "$ref", "$id", "$anchor", "$dynamicRef", "$dynamicAnchor"):
        if word in raw and not isinstance(raw[word], str):
            _fail(f"{path}/{word}", f"{word} is a text", raw[word])
    if not isinstance(raw.get("uniqueItems", False), bool):
        _fail(f"{path}/uniqueItems", "uniqueItems is true or false", raw["uniqueItems"])
    if not isinstance(raw.get("enum", []), list):
        _fail(f"{path}/enum", "enum is a list of values", raw["enum"])
    _check_containers(raw, path)


def _check_type(raw: dict[str, Any], path: str) -> None:
    if "type" not in raw:
        return
    listed = raw["type"] if isinstance(raw["type"], list) else [raw["type"]]
    if not listed or not all(isinstance(item, str) and item in NAMES for item in listed):
        _fail(f"{path}/type", f"type is one of {', '.join(NAMES)}, or a list of them", raw["type"])


def _check_containers(raw: dict[str, Any], path: str) -> None:
    if "required" in raw and not _texts(raw["required"]):
        _fail(f"{path}/required", "required is a list of property names", raw["required"])
    for word in LISTS:
        value = raw.get(word, ())
        if word in raw and (not isinstance(value, list) or not value):
            _fail(f"{path}/{word}", f"{word} is a list of at least one schema", value)
    for word in (*MAPS, "dependencies", "dependentRequired"):
        value = raw.get(word, {})
        if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
            _fail(f"{path}/{word}", f"{word} is an object", value)
    for word in ("dependencies", "dependentRequired"):
        for name, item in raw.get(word, {}).items():
            if (isinstance(item, list) or word == "dependentRequired") and not _texts(item):
                _fail(f"{path}/{word}/{token(name)}", "a dependency is a list of property names", item)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _fail(path: str, expected: str, found: Any) -> None:
    told = shown(found)
    told = told if len(told) <= 80 else f"{told[:77]}..."
    raise SchemaError(f"{path}: {expected}, found {told}", "correct the schema, then compare again")
