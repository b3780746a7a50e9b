"""ODCS and JSON Schema of one table, generated: the way out and in loses nothing, and both judge rows alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.contracts import Contract, good_rows
from cogniforge_pipeline.contracts.odcs import parse_contract
from cogniforge_pipeline.contracts.yaml_text import Document
from cogniforge_pipeline.data_mesh import SchemaError
from cogniforge_pipeline.data_mesh.interchange import row_json_schema, table_contract
from cogniforge_pipeline.data_mesh.interchange.patterns import to_ecma, to_re2
from cogniforge_pipeline.sqltext import ident, literal


def loaded(document: dict[str, Any]) -> Contract:
    return parse_contract(Document(Path("contract"), document, {}))


def odcs(*columns: Mapping[str, Any]) -> Contract:
    entry = {"name": "orders", "physicalType": "table", "properties": [dict(item) for item in columns]}
    return loaded(
        {
            "apiVersion": "v3.1.0", "kind": "DataContract", "id": "orders", "name": "shop.orders", "version": "1.2.0",
            "status": "active", "schema": [entry],
        }
    )  # fmt: skip


SCALARS = [
    "VARCHAR",
    "BIGINT",
    "SMALLINT",
    "UTINYINT",
    "DOUBLE",
    "FLOAT",
    "BOOLEAN",
    "DATE",
    "TIMESTAMPTZ",
    "UUID",
    "BLOB",
]
SCALARS += ["DECIMAL(6,2)", "DECIMAL(9,0)", "HUGEINT", "TIMESTAMP", "TIME", "INTERVAL", "JSON", "ENUM('a', 'b')"]
TYPES = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.one_of(
        inner.map("{}[]".format),
        inner.map("{}[2]".format),
        inner.map("MAP(VARCHAR, {})".format),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda kinds: f"STRUCT({', '.join(f'f{n} {kind}' for n, kind in enumerate(kinds))})"
        ),
    ),
    max_leaves=4,
)
PATTERNS = [
    "[a-z]+",
    "a|b",
    "(ab)?c*",
    r"\d{1,2}",
    ".*b",
    "[^ab]+",
    "",
    r"(?:a)|(?:b)",
    "[]a]",
    r"a\$",
    "[(|]",
    "^ab$",
    r"\x{e9}",
]
TEXTS = st.text(alphabet="abcA0159 .-|($é]", max_size=6) | st.sampled_from(
    ["a@b.co", "10.0.0.1", "10.0.0.256", "::1", "x.y", "12:00:00", "2024-02-30", "n/a"]
)


@st.composite
def columns(draw: Any, name: str, *, kinds: Any = TYPES) -> dict[str, Any]:
    """A column with rules that suit its type."""
    physical = draw(kinds)
    options: dict[str, Any] = {}
    column: dict[str, Any] = {"name": name, "physicalType": physical, "required": draw(st.booleans())}
    if physical == "VARCHAR":
        options |= draw(st.fixed_dictionaries({}, optional={
            "minLength": st.integers(0, 3), "maxLength": st.integers(0, 5), "pattern": st.sampled_from(PATTERNS),
            "format": st.sampled_from(["email", "ipv4", "ipv6", "hostname", "uri", "time", "uuid"]),
        }))  # fmt: skip
        words = st.lists(TEXTS, min_size=1, max_size=4, unique=True)
        if draw(st.booleans()):
            column["enum"] = [{"value": value} for value in draw(words)]
        metrics = st.sampled_from([("missingValues", "missingValues"), ("invalidValues", "validValues")])
        column["quality"] = [
            {"name": f"{name} quality {number}", "metric": metric, "arguments": {argument: draw(words)}, "mustBe": 0}
            for number, (metric, argument) in enumerate(draw(st.lists(metrics, max_size=2)))
        ]
        column["quality"] += [
            {"name": f"{name} {p}", "metric": "invalidValues", "arguments": {"pattern": p}, "mustBe": 0}
            for p in draw(st.lists(st.sampled_from(PATTERNS[:4]), max_size=2, unique=True))
        ]
    elif physical in ("BIGINT", "SMALLINT", "UTINYINT", "DOUBLE", "DECIMAL(6,2)"):
        numbers = st.integers(-5, 300)
        options |= draw(st.fixed_dictionaries({}, optional={
            "minimum": numbers, "exclusiveMinimum": numbers, "maximum": numbers, "exclusiveMaximum": numbers,
            **({"multipleOf": st.integers(1, 3)} if physical.endswith("INT") else {}),
        }))  # fmt: skip
        if draw(st.booleans()):
            column["enum"] = [
                {"value": value} for value in draw(st.lists(numbers, min_size=1, max_size=5, unique=True))
            ]
    elif physical.endswith("[]"):
        options |= draw(st.fixed_dictionaries({}, optional={
            "minItems": st.integers(0, 2), "maxItems": st.integers(0, 3), "uniqueItems": st.booleans(),
        }))  # fmt: skip
    elif physical == "DATE" and draw(st.booleans()):
        column["enum"] = [{"value": "2024-02-29"}, {"value": "1999-12-31"}]
    return column | {"logicalTypeOptions": options}


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_out_and_in_and_out_again_is_the_same_schema(data: st.DataObject) -> None:
    contract = odcs(*(data.draw(columns(f"c{number}")) for number in range(data.draw(st.integers(1, 3)))))
    schema, _ = row_json_schema(contract)
    jsonschema.Draft202012Validator.check_schema(schema)
    document, _ = table_contract(schema, contract.name)
    again = loaded(document)
    assert [(c.name, c.type, c.required) for c in again.columns] == [
        (c.name, c.type, "not_null" in {r.test for r in contract.rules if c.name in r.columns})
        for c in contract.columns
    ]
    assert row_json_schema(again)[0] == schema


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "VARCHAR": TEXTS,
    "BIGINT": st.integers(-6, 301),
    "SMALLINT": st.integers(-6, 301),
    "UTINYINT": st.integers(0, 255),
    "DOUBLE": st.integers(-12, 602).map(lambda n: n / 2),
    "DECIMAL(6,2)": st.integers(-600, 30100).map(lambda n: n / 100),
    "BOOLEAN": st.booleans(),
    "DATE": st.sampled_from([date(2024, 2, 29), date(1999, 12, 31), date(2000, 1, 1)]),
    "TIMESTAMPTZ": st.sampled_from([datetime(2024, 2, 29, 23, 59, tzinfo=UTC)]),
    "VARCHAR[]": st.lists(st.sampled_from(["a", "b", None]), max_size=4),
}


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


@given(data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_schema_accepts_the_rows_that_the_one_pass_accepts_and_no_others(
    con: duckdb.DuckDBPyConnection, data: st.DataObject
) -> None:
    kinds = st.sampled_from(sorted(VALUES))
    told = [data.draw(columns(f"c{number}", kinds=kinds)) for number in range(data.draw(st.integers(1, 3)))]
    contract = odcs({"name": "n", "physicalType": "BIGINT", "required": True}, *told)
    schema, notes = row_json_schema(contract)
    assert not [note for note in notes if "the rule" in note]
    rows = data.draw(
        st.lists(st.tuples(*(st.none() | VALUES[item["physicalType"]] for item in told)), min_size=1, max_size=25)
    )
    casts = [[f"CAST({literal(v)} AS {c['physicalType']})" for c, v in zip(told, row, strict=True)] for row in rows]
    body = ", ".join(f"({', '.join([str(n), *cells])})" for n, cells in enumerate(casts))
    names = ", ".join(["n", *(ident(item["name"]) for item in told)])
    kept = {
        row[0] for row in con.execute(good_rows(contract, f"(SELECT * FROM (VALUES {body}) AS t({names}))")).fetchall()
    }
    validator = jsonschema.Draft202012Validator(schema)
    documents = [
        {"n": n} | {item["name"]: as_json(value) for item, value in zip(told, row, strict=True)}
        for n, row in enumerate(rows)
    ]
    assert {item["n"] for item in documents if validator.is_valid(item)} == kept


@st.composite
def property_schemas(draw: Any) -> dict[str, Any]:
    """A property as people write it, without what a table cannot say."""
    kind = draw(st.sampled_from(["string", "integer", "number", "boolean"]))
    schema: dict[str, Any] = {"type": kind}
    numbers = st.integers(-5, 20)
    if kind == "string":
        schema |= draw(st.fixed_dictionaries({}, optional={
            "minLength": st.integers(0, 3), "maxLength": st.integers(0, 5), "enum": st.lists(TEXTS, min_size=1, max_size=4),
            "pattern": st.sampled_from(["a", "^a", "a$", "^a$", "^a|b$", "^(a|b)$", r"\.", "[$]$", "^[^ ]*$", r"a\$", r"\u00e9"]),
            "not": st.just({"enum": ["a", "ab"]}),
        }))  # fmt: skip
    elif kind != "boolean":
        schema |= draw(st.fixed_dictionaries({}, optional={
            "minimum": numbers, "exclusiveMaximum": numbers, "const": numbers, "allOf": st.just([{"maximum": 7}]),
        }))  # fmt: skip
    return schema


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_a_schema_that_became_a_contract_without_notes_judges_rows_as_before(data: st.DataObject) -> None:
    properties = {f"p{number}": data.draw(property_schemas()) for number in range(data.draw(st.integers(1, 3)))}
    for item in properties.values():
        assume(item.get("type") != "string" or any(isinstance(v, str) for v in item.get("enum", ["a"])))
    before = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    document, notes = table_contract(before, "shop.orders")
    assert notes == ()
    after, _ = row_json_schema(loaded(document))
    kinds = {"string": TEXTS, "integer": st.integers(-6, 21), "number": st.integers(-6, 21), "boolean": st.booleans()}
    judges = [jsonschema.Draft202012Validator(schema) for schema in (before, after)]
    for _ in range(15):
        row = {name: data.draw(st.none() | kinds[item["type"]]) for name, item in properties.items()}
        assert judges[0].is_valid(row) == judges[1].is_valid(row), row


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, "a", "b", "", "date", "email", "[", "^a$"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
KEYWORDS = [
    "minimum",
    "maxLength",
    "pattern",
    "format",
    "enum",
    "const",
    "not",
    "allOf",
    "anyOf",
    "items",
    "properties",
]
KEYWORDS += [
    "additionalProperties",
    "required",
    "uniqueItems",
    "type",
    "if",
    "$ref",
    "x-physicalType",
    "prefixItems",
    "default",
]
ANY_SCHEMA = st.recursive(
    st.booleans() | st.sampled_from([{"type": "string"}, {"type": ["integer", "null"]}, {"$ref": "#/properties/a"}, {}]),
    lambda inner: st.fixed_dictionaries({}, optional={
        "type": st.sampled_from(["string", "integer", "array", "object", ["string", "null"], ["array", "object"]]),
        "anyOf": st.lists(inner, min_size=1, max_size=2), "allOf": st.lists(inner, min_size=1, max_size=2),
        "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2), "items": inner, "not": inner,
        "additionalProperties": inner, "required": st.lists(st.sampled_from("ab"), max_size=2),
    }) | st.dictionaries(st.sampled_from(KEYWORDS), JSON_VALUES, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(ANY_SCHEMA)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_document_becomes_a_contract_that_goes_out_again(schema: Any) -> None:
    whole = {"type": "object", "properties": {"a": schema, "b": {"type": "integer"}}}
    try:
        document, _ = table_contract(whole, "shop.orders")
    except SchemaError:  # it is no JSON Schema
        return
    once, _ = row_json_schema(loaded(document))
    jsonschema.Draft202012Validator.check_schema(once)
    twice, _ = row_json_schema(loaded(table_contract(once, "shop.orders")[0]))
    assert twice == once


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_of_the_whole_text_comes_back_from_json_schema(pattern: str) -> None:
    outside = to_ecma(pattern)
    assert outside is not None and to_ecma(to_re2(outside)) == outside
