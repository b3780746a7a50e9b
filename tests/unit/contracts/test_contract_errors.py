"""A contract that cannot be used says which file, which line and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline.contracts import ContractError, load_contract, load_contracts
from cogniforge_pipeline.contracts.model import MODES
from cogniforge_pipeline.errors import CogniforgeError

X = "- name: x\n  physicalType: "


def _error(tmp_path: Path, text: str) -> ContractError:
    path = tmp_path / "orders.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ContractError) as caught:
        load_contract(path)
    assert isinstance(caught.value, CogniforgeError)
    assert caught.value.hint
    assert caught.value.message.startswith(f"{path}:")
    return caught.value


@pytest.mark.parametrize(
    ("properties", "table", "top", "line", "message"),
    [
        (
            X + "BIGINT\n  requried: true",
            "",
            "",
            13,
            "schema.0.properties.0.requried is not a field of ODCS v3",
        ),
        (X + "BIGINT", "", "stauts: active", 7, "stauts is not a field of ODCS v3"),
        (X + "BIGNUMBER", "", "", 12, "column x: Catalog Error: Type with name BIGNUMBER does not exist"),
        ("- name: x", "", "", 11, "column x has no type"),
        ("- name: x\n  logicalType: object", "", "", 11, "column x has no type"),
        (X + "'BIGINT); DROP TABLE t; --'", "", "", 12, "can not be converted to a DuckDB Type"),
        (X + "BIGINT\n- name: x\n  physicalType: BIGINT", "", "", 10, "a column is listed twice"),
        (X + "BIGINT\n  name: y", "", "", 13, "'name' is written twice"),
        (X + "BIGINT\n  required: maybe", "", "", 13, "required: Input should be a valid boolean"),
        (
            X + "BIGINT\n  logicalTypeOptions: {minimum: a}",
            "",
            "",
            13,
            "x is BIGINT and expects a number, found 'a'",
        ),
        (X + "DATE\n  logicalTypeOptions: {minimum: soon}", "", "", 13, "expects a date such as 2024-01-31"),
        (X + "BIGINT\n  logicalTypeOptions: {maxLength: 3}", "", "", 13, "maxLength does not fit x"),
        (X + "VARCHAR\n  logicalTypeOptions: {maxLength: -1}", "", "", 13, "expects a whole number from 0"),
        (X + "VARCHAR\n  logicalTypeOptions: {maxLenght: 3}", "", "", 13, "has no option 'maxLenght'"),
        (X + "VARCHAR\n  logicalTypeOptions: {format: emial}", "", "", 13, "format 'emial' is unknown"),
        (X + "VARCHAR\n  logicalTypeOptions: {pattern: '(?=a)'}", "", "", 13, "is not one RE2 can read"),
        (
            X + "INTEGER\n  logicalTypeOptions: {multipleOf: 0}",
            "",
            "",
            13,
            "multipleOf expects a number above 0",
        ),
        (X + "VARCHAR\n  enum: [{value: yes}]", "", "", 13, "expects a text, found True"),
        (
            X + "INTEGER\n  customProperties: [{property: finite, value: true}]",
            "",
            "",
            11,
            "finite is for DOUBLE",
        ),
        (
            X + "INTEGER\n  relationships: [{to: items.id}]",
            "",
            "",
            13,
            "'items.id' is not schema.table.column",
        ),
        (X + "INTEGER\n  quality: [{metric: nullValues}]", "", "", 13, "nullValues has no bound"),
        (
            X + "INTEGER\n  quality: [{metric: nulls, mustBe: 0}]",
            "",
            "",
            13,
            "quality metric 'nulls' is unknown",
        ),
        (
            X + "INTEGER\n  quality: [{metric: nullValues, mustBe: 0, mustBeLessThan: 2}]",
            "",
            "",
            13,
            "stated together",
        ),
        (
            X + "INTEGER\n  quality: [{metric: nullValues, mustBe: 0, severity: loud}]",
            "",
            "",
            13,
            "severity 'loud' is unknown",
        ),
        (
            X + "INTEGER\n  quality: [{metric: nullValues, mustBe: 0, arguments: {a: 1}}]",
            "",
            "",
            13,
            "no argument 'a'",
        ),
        (
            X + "INTEGER\n  quality: [{metric: nullValues, mustBe: 1, unit: kilo}]",
            "",
            "",
            13,
            "unit 'kilo' is unknown",
        ),
        (
            X + "INTEGER\n  quality: [{type: custom, engine: soda, implementation: a}]",
            "",
            "",
            13,
            "type 'custom' is not checked here",
        ),
        (X + "INTEGER\n  quality: [{type: sql, mustBe: 0}]", "", "", 13, "has no query"),
        (
            X + "INTEGER\n  quality: [{type: sql, query: y > 1, mustBe: true}]",
            "",
            "",
            13,
            'Referenced column "y" not found',
        ),
        (
            X + "INTEGER\n  quality: [{type: sql, query: x + 1, mustBe: true}]",
            "",
            "",
            13,
            "gives INTEGER, not true or false",
        ),
        (
            X + "INTEGER\n  quality: [{type: sql, query: x > 1, mustBe: 5}]",
            "",
            "",
            13,
            "must be true for every row",
        ),
        (
            X + "INTEGER\n  quality: [{type: sql, query: 'x > 1) OR (TRUE; DROP TABLE t', mustBe: true}]",
            "",
            "",
            13,
            "the SQL cannot be used",
        ),
        (
            X + "INTEGER\n  quality: [{type: sql, query: SELECT 1, mustBe: 1}]",
            "",
            "",
            13,
            "does not read the table it checks",
        ),
        (
            X + "INTEGER\n  quality: [{type: sql, query: 'SELECT 1 FROM ${table}; SELECT 2', mustBe: 1}]",
            "",
            "",
            13,
            "it is not one SELECT",
        ),
        (
            X + "INTEGER\n  quality: [{type: sql, query: 'SELECT 1, 2 FROM ${table}', mustBe: 1}]",
            "",
            "",
            13,
            "returns 2 columns",
        ),
        (
            X + "INTEGER",
            "quality: [{metric: nullValues, mustBe: 0}]",
            "",
            10,
            "nullValues is about one column",
        ),
        (
            X + "INTEGER",
            "quality: [{metric: duplicateValues, arguments: {properties: [y]}, mustBe: 0}]",
            "",
            10,
            "columns of this table",
        ),
        (X + "INTEGER", "customProperties: [{property: sortBy, value: [y]}]", "", 10, "sortBy names y"),
        (
            X + "INTEGER\n  required: true\n  quality: [{metric: nullValues, name: x_not_null, mustBe: 0}]",
            "",
            "",
            9,
            "two rules are named x_not_null",
        ),
        (
            X + "INTEGER\n  primaryKey: true\n- {name: y, physicalType: DATE, primaryKey: true}",
            "",
            "",
            11,
            "positions of the primary key",
        ),
        (
            X + "DATE\n  partitioned: true\n- {name: y, physicalType: DATE, partitioned: true}",
            "",
            "",
            14,
            "two columns are partitioned",
        ),
        (X + "DATE", "", "slaProperties: [{property: latency, value: 5}]", 7, "latency has the unit None"),
        (
            X + "DATE",
            "",
            "slaProperties: [{property: latency, value: -5, unit: d}]",
            7,
            "expects a number above 0",
        ),
        (
            X + "INTEGER",
            "",
            "slaProperties: [{property: latency, value: 5, unit: d, element: x}]",
            7,
            "x is no date or timestamp column",
        ),
        (
            X + "DATE",
            "",
            "slaProperties:\n- {property: uptime, value: 5}\n- value: 5\n  property: Error-Rate",
            10,
            "the SLA property 'Error-Rate' is unknown",
        ),
        (
            X + "DATE",
            "",
            "customProperties:\n- property: compatibilityMode\n  value: BACKWRD",
            9,
            "compatibilityMode 'BACKWRD' is unknown",
        ),
        (
            X + "DATE",
            "",
            "customProperties: [{property: compatibilityMode}]",
            7,
            "compatibilityMode None is unknown",
        ),
    ],
)
def test_a_mistake_is_shown_with_its_line(
    tmp_path: Path, contract_text: Any, properties: str, table: str, top: str, line: int, message: str
) -> None:
    error = _error(tmp_path, contract_text(properties, table, top))
    assert message in error.message
    assert error.message.startswith(f"{tmp_path / 'orders.yaml'}:{line}:")


@pytest.mark.parametrize(
    ("mode", "hint"),
    [("BACKWRD", "did you mean BACKWARD? "), ("full", "did you mean FULL? "), ("XYZ", ""), ("[FULL]", None)],
)
def test_a_wrong_mode_is_shown_with_those_that_there_are(
    tmp_path: Path, contract_text: Any, mode: str, hint: str | None
) -> None:
    top = f"customProperties: [{{property: compatibilityMode, value: {mode}}}]"
    found = _error(tmp_path, contract_text(X + "BIGINT", "", top)).hint or ""
    assert found.endswith(f"use one of {', '.join(MODES)}")
    assert hint is None or found == f"{hint}use one of {', '.join(MODES)}"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("availabilty", "availability"),
        ("Retention", "retention"),
        ("errorrate", "errorRate"),
        ("freshnes", "freshness"),
        ("timeToDetekt", "timeToDetect"),
    ],
)
def test_a_promise_that_is_nearly_one_of_the_standard_is_taken_for_a_slip(
    tmp_path: Path, contract_text: Any, name: str, meant: str
) -> None:
    text = contract_text(X + "BIGINT", "", f"slaProperties: [{{property: {name}, value: 5}}]")
    assert _error(tmp_path, text).hint == f"did you mean {meant}?"


@pytest.mark.parametrize("name", ["uptime", "recency", "errorRate", "error_rate", "timeOfAvailability", "timeToRepair"])
def test_a_promise_of_another_name_is_kept_as_it_is(make_contract: Any, name: str) -> None:
    contract = make_contract(X + "BIGINT", top=f"slaProperties: [{{property: {name}, value: 5}}]")
    assert contract.sla == {name: 5}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: DataContract\n", "", "the field kind is missing"),
        ("kind: DataContract", "kind: Dashboard", "kind 'Dashboard' is no contract"),
        ("v3.1.0", "v2.2.2", "apiVersion v2.2.2 is not ODCS v3"),
        ("version: 1.2.0", "version: 1.2", "version: Input should be a valid string, found 1.2"),
        ("status: active", "status: fine", "status 'fine' is unknown"),
        ("name: shop.orders", "name: orders", "name 'orders' is not schema.table"),
        ("name: shop.orders", "name: shop.sales", "the table is named 'orders', the contract shop.sales"),
        ("name: orders\n", "name: orders\n  - name: more\n", "expected one table under schema, found 2"),
        ("kind: DataContract", "kind: [", "not YAML"),
    ],
)
def test_a_wrong_head_is_shown(tmp_path: Path, contract_text: Any, old: str, new: str, message: str) -> None:
    text = contract_text(X + "BIGINT")
    assert text.count(old) == 1
    assert message in _error(tmp_path, text.replace(old, new)).message


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    assert "expected a mapping" in _error(tmp_path, text).message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"nothing\.yaml: cannot be read"):
        load_contract(tmp_path / "nothing.yaml")


def test_a_contract_must_lie_where_its_name_says(tmp_path: Path, contract_text: Any) -> None:
    (tmp_path / "sales").mkdir()
    (tmp_path / "sales" / "orders.yaml").write_text(contract_text(X + "BIGINT"), encoding="utf-8")
    with pytest.raises(ContractError, match=r"named shop\.orders, its path says sales\.orders") as caught:
        load_contracts(tmp_path)
    assert "shop/orders.yaml" in (caught.value.hint or "")


def test_a_contract_reads_as_declared(make_contract: Any) -> None:
    contract = make_contract(
        """
        - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 2, description: Number.}
        - {name: day, physicalType: date, primaryKey: true, primaryKeyPosition: 1, partitioned: true}
        """,
        table="description: All orders.",
        top="""
        team: {name: sales}
        tags: [gold]
        customProperties: [{property: sla_tier, value: 1}]
        slaProperties:
          - {property: latency, value: 1.5, unit: h}
          - {property: retention, value: 30, unit: days}
          - {property: availability, value: 99.9, unit: percent}
        """,
    )
    assert (contract.name, contract.key, contract.version) == ("shop.orders", ["shop", "orders"], "1.2.0")
    assert (contract.owner, contract.tags, contract.description) == ("sales", ("gold",), "All orders.")
    assert [(c.name, c.type, c.required) for c in contract.columns] == [
        ("id", "BIGINT", True),
        ("day", "DATE", True),
    ]
    assert contract.primary_key == contract.sort_by == ("day", "id")
    assert (contract.partition_column, contract.time_column) == ("day", "day")
    assert contract.freshness_seconds == 5400
    assert contract.sla == {"freshness_seconds": 5400, "retention_seconds": 2592000, "availability": 99.9}
    assert contract.custom == {"sla_tier": "1"}
