"""ODCS and JSON Schema of one table: what goes over, and that the rest is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cogniforge_pipeline.contracts import Contract, load_contracts
from cogniforge_pipeline.contracts.odcs import parse_contract
from cogniforge_pipeline.contracts.yaml_text import Document
from cogniforge_pipeline.data_mesh import DataContract
from cogniforge_pipeline.data_mesh.interchange import row_json_schema, table_contract
from cogniforge_pipeline.data_mesh.service import DataMeshService
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.settings import load_settings, packaged

SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Order",
    "description": "An order of the shop.",
    "type": "object",
    "definitions": {
        "money": {"type": "number", "minimum": 0, "description": "In euros."},
        "address": {
            "type": "object",
            "properties": {"street": {"type": "string"}, "zip": {"type": "string", "pattern": "^[0-9]{5}$"}},
            "required": ["street"],
            "additionalProperties": False,
        },
    },
    "properties": {
        "order_id": {"type": "integer", "minimum": 1},
        "email": {"type": "string", "format": "email", "maxLength": 80},
        "status": {"enum": ["new", "paid", "sent"]},
        "total": {"$ref": "#/definitions/money"},
        "placed_at": {"type": "string", "format": "date-time"},
        "due": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        "code": {"type": ["string", "null"], "pattern": "^[A-Z]{2}-"},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 5, "uniqueItems": True},
        "address": {"$ref": "#/definitions/address"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "extra": {},
    },
    "required": ["order_id", "status", "placed_at", "due"],
    "additionalProperties": False,
}


def loaded(document: dict[str, Any]) -> Contract:
    return parse_contract(Document(Path("contract"), document, {}))


def imported(schema: Any) -> tuple[Contract, tuple[str, ...]]:
    document, notes = table_contract(schema, "shop.orders")
    return loaded(document), notes


def one(schema: Any, **more: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The column that a closed object's one required property becomes, and the notes."""
    whole = {"type": "object", "properties": {"x": schema}, "required": ["x"], "additionalProperties": False, **more}
    document, notes = table_contract(whole, "shop.orders")
    (column,) = document["schema"][0]["properties"]
    return column, notes


def odcs(*columns: Mapping[str, Any], table: Mapping[str, Any] | None = None) -> Contract:
    entry = {"name": "orders", "physicalType": "table", **(table or {}), "properties": [dict(item) for item in columns]}
    return loaded(
        {
            "apiVersion": "v3.1.0", "kind": "DataContract", "id": "orders", "name": "shop.orders", "version": "1.2.0",
            "status": "active", "schema": [entry],
        }
    )  # fmt: skip


def test_a_json_schema_becomes_a_contract_with_types_and_rules() -> None:
    contract, _ = imported(SCHEMA)
    assert {column.name: column.type for column in contract.columns} == {
        "order_id": "BIGINT",
        "email": "VARCHAR",
        "status": "VARCHAR",
        "total": "DOUBLE",
        "placed_at": "TIMESTAMP WITH TIME ZONE",
        "due": "DATE",
        "code": "VARCHAR",
        "tags": "VARCHAR[]",
        "address": "STRUCT(street VARCHAR, zip VARCHAR)",
        "labels": "MAP(VARCHAR, VARCHAR)",
        "extra": "JSON",
    }
    assert [rule.name for rule in contract.rules] == [
        "order_id_not_null", "order_id_min", "email_max_length", "email_format", "status_not_null", "status_values",
        "total_min", "placed_at_not_null", "code_pattern", "tags_max_length", "tags_unique_items",
    ]  # fmt: skip
    assert contract.description == "An order of the shop." and contract.column("total").description == "In euros."


def test_what_a_table_cannot_say_of_a_json_schema_is_told() -> None:
    _, notes = imported(SCHEMA)
    assert list(notes) == [
        "#: optional properties that refuse null: email, total, tags, address, labels; here they may be null",
        "#: required properties that may be null: due; here they may lack",
        "#: inner values that must be there and not null: #/properties/tags/items, #/properties/address/properties/street, "
        "#/properties/address/properties/zip, #/properties/labels/additionalProperties; here they may be null",
        "#/properties/address/properties/zip: patterns; there are no rules for the inside of a column",
    ]


@pytest.mark.parametrize(
    ("schema", "physical", "told"),
    [
        ({"type": "integer", "format": "int32"}, "INTEGER", {}),
        ({"type": "number", "exclusiveMinimum": 0, "multipleOf": 5}, "DOUBLE", {"exclusiveMinimum": 0, "multipleOf": 5}),
        ({"const": 3}, "BIGINT", {}),
        ({"enum": [0.5, 1]}, "DOUBLE", {}),
        ({"type": "boolean"}, "BOOLEAN", {}),
        ({"type": "string", "format": "uuid"}, "VARCHAR", {"format": "uuid"}),
        ({"type": "string", "format": "uuid", "x-physicalType": "UUID"}, "UUID", {}),
        ({"type": "number", "x-physicalType": "DECIMAL(10,2)"}, "DECIMAL(10,2)", {}),
        ({"allOf": [{"type": "integer", "minimum": 1}, {"minimum": 4}, {"maximum": 9}]}, "BIGINT", {"minimum": 4, "maximum": 9}),
        ({"oneOf": [{"type": "string", "minLength": 2}, {"type": "null"}]}, "VARCHAR", {"minLength": 2}),
        ({"type": "array", "items": {"type": "array", "items": {"type": "number"}}, "minItems": 1}, "DOUBLE[][]", {"minItems": 1}),
        ({"type": "object", "properties": {"a": True}, "additionalProperties": False}, "STRUCT(a JSON)", {}),
    ],
)  # fmt: skip
def test_every_way_to_write_a_type_finds_its_column(schema: Any, physical: str, told: dict[str, Any]) -> None:
    column, notes = one(schema)
    assert (column["physicalType"], column.get("logicalTypeOptions", {})) == (physical, told)
    assert not [note for note in notes if not note.startswith("#: ")]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string", "default": "new"}, "default 'new'"),
        ({"type": "string", "format": "iri"}, "format 'iri'"),
        ({"type": "string", "minimum": 3}, "minimum 3"),
        ({"type": "string", "pattern": "(?=a)b"}, "which RE2 cannot read"),
        ({"type": "string", "pattern": r"^\s*$"}, "more than ASCII white space"),
        ({"type": "integer", "not": {"minimum": 3}}, "not {'minimum': 3}"),
        ({"type": "integer", "exclusiveMinimum": True, "minimum": 3}, "exclusiveMinimum True"),
        ({"type": ["string", "integer"]}, "type integer, string; the column takes any JSON value"),
        ({"type": "string", "enum": ["a", 1]}, "the values [1], which a VARCHAR column does not hold"),
        ({"type": "string", "x-unit": "ms"}, "x-unit 'ms'"),
        ({"type": "string", "x-physicalType": "TEXTS"}, "x-physicalType TEXTS"),
        ({"type": "string", "x-physicalType": "BIGINT"}, "which is not of the type that the schema states"),
        ({"type": "string", "if": {"minLength": 2}, "then": {"pattern": "a"}}, "if {'minLength': 2}, then"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "anyOf"),
        ({"type": "array", "items": [{"type": "string"}]}, "items [{'type': 'string'}]"),
        ({"type": "array", "contains": {"const": 1}}, "contains {'const': 1}"),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, "properties that it does not name"),
        ({"type": "object", "properties": {"a": {"minLength": 2, "type": "string"}}}, "properties/a: minLength"),
        ({"type": "object", "properties": {"A": {}, "a": {}}}, "the column takes any JSON value"),
        ({"allOf": [{"type": "string", "format": "uri"}, {"format": "email"}]}, "format 'email' beside 'uri'"),
        ({"type": "string", "format": ["uri"]}, "format ['uri']"),
        (False, "a property that is never there is no column"),
    ],
)
def test_what_goes_missing_is_told_with_its_place(schema: Any, words: str) -> None:
    whole = {"type": "object", "properties": {"x": schema, "y": {}}}
    _, notes = table_contract(whole, "shop.orders")
    assert [note for note in notes if words in note and note.startswith("#/properties/x")], notes


def test_what_the_whole_schema_says_and_no_table_can_is_told() -> None:
    more = {"$id": "urn:x", "minProperties": 1, "patternProperties": {"^x": {}}, "additionalProperties": {}}
    _, notes = one({"type": "string"}, **more, required=["x", "z"])
    assert notes == (
        "#: properties that it does not name; a table is closed",
        "#: $id, minProperties, patternProperties",
        "#: required z: no property says what they are",
    )


def test_a_schema_that_holds_itself_becomes_json_and_one_that_explodes_is_refused() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}, "value": {"type": "integer"}}}
    contract, notes = imported({"properties": {"root": {"$ref": "#/$defs/tree"}}, "$defs": {"tree": tree}})
    assert contract.column("root").type == 'STRUCT("left" JSON, "value" BIGINT)'
    assert any("the same again" in note for note in notes)
    doubling = {
        f"d{n}": {"type": "object", "properties": {k: {"$ref": f"#/$defs/d{n + 1}"} for k in "ab"}} for n in range(25)
    }
    with pytest.raises(CogniforgeError, match=r"more than \d+ places"):
        imported({"properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": {**doubling, "d25": {"type": "string"}}})
    doubling = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(25)}
    with pytest.raises(CogniforgeError, match=r"more than \d+ schemas"):
        imported({"properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": {**doubling, "d25": {"type": "string"}}})


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "array", "items": {"type": "object"}}, "a row is an object with properties, this schema is of array"),
        ({"type": "object"}, "has no properties"),
        (True, "has no properties"),
        ({"type": "object", "properties": {"x": {"type": "txet"}}}, "#/properties/x/type"),
        ({"type": "object", "properties": {"x": {"$ref": "https://example.org/x.json"}}}, "leads nowhere"),
        ({"type": "object", "properties": {"Id": {}, "id": {}}}, "'Id' and 'id' are one column for DuckDB"),
        ({"type": "object", "properties": {"": {}}}, "'' cannot name a column"),
    ],
)
def test_what_is_no_schema_of_a_row_is_refused(schema: Any, message: str) -> None:
    with pytest.raises(CogniforgeError, match=message):
        table_contract(schema, "shop.orders")


def test_a_contract_becomes_a_closed_schema_of_its_rows() -> None:
    quality = [{"metric": "missingValues", "arguments": {"missingValues": ["n/a"]}, "mustBe": 0}]
    contract = odcs(
        {"name": "id", "physicalType": "INTEGER", "primaryKey": True, "logicalTypeOptions": {"minimum": 1}},
        {"name": "mail", "physicalType": "VARCHAR", "logicalTypeOptions": {"format": "ipv4", "maxLength": 9}},
        {"name": "code", "physicalType": "VARCHAR", "logicalTypeOptions": {"pattern": "a|b"}, "quality": quality},
        {"name": "kind", "physicalType": "VARCHAR", "required": True, "enum": [{"value": "x"}]},
        {"name": "due", "physicalType": "DATE", "logicalTypeOptions": {"minimum": date(2020, 1, 1)}},
        table={"quality": [{"name": "later", "type": "sql", "query": "due > '2000-01-01'", "mustBe": True}]},
    )
    schema, notes = row_json_schema(contract)
    assert schema == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "shop.orders",
        "x-version": "1.2.0",
        "type": "object",
        "properties": {
            "id": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1, "x-physicalType": "INTEGER"},
            "mail": {
                "type": ["string", "null"],
                "maxLength": 9,
                "format": "ipv4",
                "pattern": schema["properties"]["mail"]["pattern"],
            },
            "code": {"type": ["string", "null"], "pattern": "^(?:a|b)$", "not": {"enum": ["n/a"]}},
            "kind": {"type": "string", "enum": ["x"]},
            "due": {"type": ["string", "null"], "format": "date"},
        },
        "required": ["id", "kind"],
        "additionalProperties": False,
    }
    assert notes == (
        "#: the rule unique_id: id must be unique, this is an extra row",
        "#: the rule due_min: due must be at least 2020-01-01",
        "#: the rule later: due > '2000-01-01'",
    )


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ({"physicalType": "VARCHAR(20)"}, "the width of VARCHAR(20)"),
        ({"physicalType": "DECIMAL(8,2)"}, "keeps 2 digits after the point"),
        ({"physicalType": "TIMESTAMP"}, "how a TIMESTAMP is written"),
        ({"physicalType": "VARCHAR", "tags": ["pii"], "classification": "secret"}, "classification, tags"),
        ({"physicalType": "VARCHAR", "quality": [{"type": "text", "description": "be nice"}]}, "the text 'be nice'"),
        ({"physicalType": "VARCHAR", "logicalTypeOptions": {"pattern": "(?i)a"}}, "the rule x_pattern"),
        ({"physicalType": "VARCHAR", "relationships": [{"to": "shop.items.id"}]}, "must exist in shop.items"),
        ({"physicalType": "BIGINT", "unique": True}, "the rule unique_x"),
        ({"physicalType": "VARCHAR", "logicalTypeOptions": {"format": "date"}}, "that the day of the date exists"),
        ({"physicalType": "DATE", "logicalTypeOptions": {"format": "dd.MM.yyyy"}}, "format dd.MM.yyyy"),
        ({"physicalType": "MAP(BIGINT, VARCHAR)"}, "that the keys of the map are BIGINT"),
        (
            {"physicalType": "BIGINT", "quality": [{"metric": "nullValues", "mustBe": 0, "severity": "warning"}]},
            "the rule x_null_values",
        ),
    ],
)
def test_what_a_json_schema_cannot_say_of_a_contract_is_told(column: dict[str, Any], words: str) -> None:
    _, notes = row_json_schema(odcs({"name": "x", **column}))
    assert [note for note in notes if words in note], notes


def test_every_contract_of_the_package_is_the_same_schema_after_a_way_out_and_in() -> None:
    for name, contract in load_contracts(packaged("contracts")).items():
        schema, _ = row_json_schema(contract)
        jsonschema.Draft202012Validator.check_schema(schema)
        document, notes = table_contract(schema, name)
        again = loaded(document)
        assert notes == ()
        assert row_json_schema(again)[0] == schema
        assert [(c.name, c.type, c.required) for c in again.columns] == [
            (c.name, c.type, c.required) for c in contract.columns
        ]


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> DataMeshService:
    return DataMeshService(load_settings(tmp_path_factory.mktemp("interchange") / "home", environ={}))


def register(mesh: DataMeshService, contract_id: str, definition: Any, version: str = "1.0.0", **more: Any) -> None:
    told = {"domain": "Commerce", "name": contract_id, "description": "What the shop sells."}
    mesh.create_data_contract(
        DataContract(contract_id=contract_id, schema_version=version, schema_definition=definition, **{**told, **more})
    )


def test_a_kept_version_of_a_product_goes_out_in_both_formats(mesh: DataMeshService) -> None:
    first = {
        "type": "object",
        "properties": {"id": {"type": "integer"}},
        "required": ["id"],
        "additionalProperties": False,
    }
    second = {**first, "properties": {**first["properties"], "name": {"type": ["string", "null"]}}}
    promises = {"freshness_seconds": 60, "availability": 0.999}
    more = {"owners": ["ana", "ben"], "consumers": ["eve"], "sla_guarantees": promises}
    register(mesh, "user-profile v1", first, **more)
    register(mesh, "user-profile v1", second, "1.1.0", **more)
    assert mesh.export_contract("user-profile v1", format="json-schema").document == second
    assert json.loads(mesh.export_contract("user-profile v1", "1.0.0", format="json-schema").text) == first
    found = mesh.export_contract("user-profile v1")
    contract = loaded(yaml.safe_load(found.text))
    assert found.document == yaml.safe_load(found.text)
    assert (contract.name, contract.version, contract.owner) == ("commerce.user_profile_v1", "1.1.0", "ana")
    assert contract.sla == promises and contract.custom == {"compatibilityMode": "BACKWARD", "consumers": "eve"}
    assert [(column.name, column.required) for column in contract.columns] == [("id", True), ("name", False)]
    assert found.notes == ("#: 'user-profile v1' is no schema.table, the table is named commerce.user_profile_v1",)


def test_a_registered_table_goes_out_as_it_came_and_as_a_schema(mesh: DataMeshService) -> None:
    contract = odcs({"name": "id", "physicalType": "BIGINT", "primaryKey": True})
    register(mesh, "shop.orders", contract.raw, "1.2.0")
    assert mesh.export_contract("shop.orders").document == contract.raw
    found = mesh.export_contract("shop.orders", format="json-schema")
    assert found.document == row_json_schema(contract)[0]
    assert found.notes == ("#: the rule unique_id: id must be unique, this is an extra row",)


def test_what_is_not_kept_cannot_go_out(mesh: DataMeshService) -> None:
    register(mesh, "flag", {"type": "boolean"})
    with pytest.raises(CogniforgeError, match="there is no contract 'nothing'"):
        mesh.export_contract("nothing")
    with pytest.raises(CogniforgeError, match=r"flag has no version 2\.0\.0") as error:
        mesh.export_contract("flag", "2.0.0")
    assert error.value.hint == "kept are 1.0.0"
    with pytest.raises(CogniforgeError, match="a row is an object with properties"):
        mesh.export_contract("flag")
