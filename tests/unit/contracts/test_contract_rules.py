"""Each way to declare a rule refuses the rows it is meant to refuse, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from cogniforge_pipeline.contracts import audit, bad_rows, good_rows
from cogniforge_pipeline.contracts.frames import row_expression

# (declaration of column x, SQL type, good values, bad values, name of the rule)
CASES = [
    ("physicalType: BIGINT, required: true", ["1", "0"], ["NULL"], "x_not_null"),
    ("physicalType: DOUBLE, required: true", ["1.5", "'inf'"], ["NULL", "'nan'"], "x_not_null"),
    (
        "physicalType: DOUBLE, customProperties: [{property: finite, value: true}]",
        ["1.5", "NULL"],
        ["'nan'", "'inf'", "'-inf'"],
        "x_finite",
    ),
    ("physicalType: DOUBLE, logicalTypeOptions: {minimum: 0}", ["0", "0.1", "NULL"], ["-0.1"], "x_min"),
    ("physicalType: DOUBLE, logicalTypeOptions: {maximum: 1.5}", ["1.5", "NULL"], ["1.6"], "x_max"),
    (
        "physicalType: INTEGER, logicalTypeOptions: {exclusiveMinimum: 0}",
        ["1", "NULL"],
        ["0", "-1"],
        "x_exclusive_min",
    ),
    (
        "physicalType: INTEGER, logicalTypeOptions: {exclusiveMaximum: 9}",
        ["8", "NULL"],
        ["9", "10"],
        "x_exclusive_max",
    ),
    (
        "physicalType: DATE, logicalTypeOptions: {minimum: 2024-01-02}",
        ["'2024-01-02'", "NULL"],
        ["'2024-01-01'"],
        "x_min",
    ),
    (
        "physicalType: TIMESTAMPTZ, logicalTypeOptions: {maximum: '2024-01-02T00:00:00+01:00'}",
        ["'2024-01-01 23:00:00+00'", "NULL"],
        ["'2024-01-01 23:00:01+00'"],
        "x_max",
    ),
    (
        "physicalType: TIMESTAMP, logicalTypeOptions: {minimum: '2024-01-02T00:00:00'}",
        ["'2024-01-02 00:00:00'", "NULL"],
        ["'2024-01-01 23:59:59'"],
        "x_min",
    ),
    (
        "physicalType: VARCHAR, logicalTypeOptions: {minLength: 2}",
        ["'äö'", "'abc'", "NULL"],
        ["'ä'", "''"],
        "x_min_length",
    ),
    (
        "physicalType: VARCHAR, logicalTypeOptions: {maxLength: 2}",
        ["'äö'", "''", "NULL"],
        ["'abc'"],
        "x_max_length",
    ),
    (
        "physicalType: 'INTEGER[]', logicalTypeOptions: {minItems: 1}",
        ["[1]", "NULL"],
        ["[]"],
        "x_min_length",
    ),
    (
        "physicalType: 'INTEGER[]', logicalTypeOptions: {uniqueItems: true}",
        ["[1, 2]", "[]", "NULL"],
        ["[1, 1]"],
        "x_unique_items",
    ),
    (
        "physicalType: VARCHAR, logicalTypeOptions: {pattern: '[a-c]+'}",
        ["'abc'", "NULL"],
        ["''", "'xabc'", "'abc '", "'abc' || chr(10)"],
        "x_pattern",
    ),
    (
        "physicalType: INTEGER, logicalTypeOptions: {multipleOf: 5}",
        ["0", "10", "-5", "NULL"],
        ["3"],
        "x_multiple_of",
    ),
    ("physicalType: VARCHAR, enum: [{value: a}, {value: b}]", ["'a'", "NULL"], ["'A'", "''"], "x_values"),
    ("physicalType: INTEGER, enum: [{value: 1}, {value: 2}]", ["2", "NULL"], ["3"], "x_values"),
    (
        "physicalType: VARCHAR, quality: [{metric: invalidValues, arguments: {validValues: [a]}, mustBe: 0}]",
        ["'a'", "NULL"],
        ["'b'"],
        "x_invalid_values",
    ),
    (
        "physicalType: VARCHAR, quality: [{metric: invalidValues, arguments: {pattern: 'a+'}, mustBe: 0}]",
        ["'aa'", "NULL"],
        ["'ab'"],
        "x_invalid_values",
    ),
    (
        "physicalType: VARCHAR, "
        "quality: [{metric: missingValues, arguments: {missingValues: [null, '', n/a]}, mustBe: 0}]",
        ["'a'"],
        ["''", "'n/a'", "NULL"],
        "x_missing_values",
    ),
    (
        "physicalType: VARCHAR, quality: [{metric: missingValues, arguments: {missingValues: ['']}, mustBe: 0}]",
        ["'a'", "NULL"],
        ["''"],
        "x_missing_values",
    ),
    ("physicalType: INTEGER, quality: [{metric: nullValues, mustBe: 0}]", ["1"], ["NULL"], "x_null_values"),
    (
        "physicalType: INTEGER, quality: [{type: sql, name: even, query: '${column} % 2 = 0', mustBe: true}]",
        ["2", "NULL"],
        ["3"],
        "even",
    ),
    (
        "physicalType: INTEGER, relationships: [{to: shop.items.id}]",
        ["1", "3", "NULL"],
        ["4"],
        "x_in_shop_items",
    ),
]
FORMATS = {
    "email": (["a.b+c@example.org"], ["a@b", "a b@example.org", "@example.org", "a@-x.org"]),
    "uuid": (
        ["123e4567-e89b-12d3-a456-426614174000"],
        ["123e4567e89b12d3a456426614174000", "g23e4567-e89b-12d3-a456-426614174000"],
    ),
    "uri": (["https://example.org/a?b#c", "urn:x:y"], ["example.org", "http://a b"]),
    "hostname": (["a", "db-1.example.org"], ["-a.org", "a..b", "a_b"]),
    "ipv4": (["0.0.0.0", "255.1.20.199"], ["256.1.1.1", "1.2.3", "01.2.3.4"]),
    "ipv6": (
        ["::", "::1", "2001:db8::8a2e:370:7334", "1:2:3:4:5:6:7:8", "::ffff:10.0.0.1"],
        [":::", "1:2", "1::2::3", "12345::"],
    ),
    "date": (["2024-02-29"], ["2023-02-29", "2024-2-9", "24-02-29"]),
    "time": (["23:59:59", "10:00:00.5Z"], ["24:00:00", "10:00"]),
    "date-time": (
        ["2024-02-29T10:00:00Z", "2024-01-01T10:00:00.25+02:00"],
        ["2024-02-30T10:00:00Z", "2024-01-01T10:00:00"],
    ),
}
for kind, (good, bad) in FORMATS.items():
    CASES.append(
        (
            f"physicalType: VARCHAR, logicalType: string, logicalTypeOptions: {{format: {kind}}}",
            [f"'{value}'" for value in good] + ["NULL"],
            [f"'{value}'" for value in bad],
            "x_format",
        )
    )


@pytest.mark.parametrize(("declared", "good", "bad", "name"), CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_a_rule_refuses_its_bad_rows_and_no_others(
    con: Any, make_contract: Any, declared: str, good: list[str], bad: list[str], name: str
) -> None:
    contract = make_contract(f"- {{name: id, physicalType: INTEGER}}\n- {{name: x, {declared}}}")
    kind = contract.column("x").type
    rows = ", ".join(f"({i}, CAST({value} AS {kind}))" for i, value in enumerate(good + bad))
    con.execute(f"CREATE TABLE staged AS SELECT * FROM (VALUES {rows}) t(id, x)")

    seen = audit(con, contract, "staged")

    (result,) = [r for r in seen.results if r.rule.name == name]
    assert (result.failing, result.passed) == (len(bad), False)
    assert seen.broken == {name}
    assert seen.bad_rows == len(bad)
    assert seen.row_failures
    assert not seen.blocking
    kept = con.execute(f"SELECT id FROM ({good_rows(contract, 'staged')}) ORDER BY id").fetchall()
    assert [row[0] for row in kept] == list(range(len(good)))
    refused = con.execute(f"SELECT rules, reason FROM ({bad_rows(contract, 'staged', source='s', run_id='r')})")
    assert refused.fetchall() == [([name], result.rule.description)] * len(bad)


@pytest.mark.parametrize(("declared", "good", "bad", "name"), CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_a_frame_expression_refuses_the_same_rows_as_the_sql(
    con: Any, make_contract: Any, declared: str, good: list[str], bad: list[str], name: str
) -> None:
    contract = make_contract(f"- {{name: x, {declared}}}")
    (rule,) = [r for r in contract.rules if r.name == name]
    expression = row_expression(rule, contract)
    if expression is None:
        assert rule.test in ("foreign_key", "sql")
        return
    kind = contract.column("x").type
    for value, expected in [(v, True) for v in good] + [(v, False) for v in bad]:
        frame = con.sql(f"SELECT CAST({value} AS {kind}) AS x").pl()
        assert frame.select(expression.fill_null(True)).item() is expected, value


def test_a_cross_column_rule_judges_each_row(con: Any, make_contract: Any) -> None:
    contract = make_contract(
        "- {name: low, physicalType: INTEGER}\n- {name: high, physicalType: INTEGER}",
        table="quality: [{type: sql, name: in_order, query: low <= high, mustBe: true}]",
    )
    con.execute("CREATE TABLE staged AS SELECT * FROM (VALUES (1, 2), (2, 1), (NULL, 1)) t(low, high)")
    seen = audit(con, contract, "staged")
    assert [(r.rule.name, r.failing, r.rule.dimension) for r in seen.results] == [("in_order", 1, "consistency")]
    assert seen.figures["consistency"] == pytest.approx(2 / 3)


def test_a_foreign_key_of_two_columns_looks_for_both_together(con: Any, make_contract: Any) -> None:
    contract = make_contract(
        "- {name: item, physicalType: INTEGER}\n- {name: region, physicalType: VARCHAR}",
        table="relationships: [{from: [orders.item, orders.region], to: [shop.items.id, shop.items.region]}]",
    )
    con.execute(
        "CREATE TABLE staged AS SELECT * FROM (VALUES (1, 'eu'), (2, 'eu'), (NULL, 'eu'), (9, NULL)) t(item, region)"
    )
    kept = con.execute(good_rows(contract, "staged")).fetchall()
    assert kept == [(1, "eu"), (None, "eu"), (9, None)]


def test_null_passes_a_foreign_key_to_an_empty_table(con: Any, make_contract: Any) -> None:
    contract = make_contract("- {name: item, physicalType: INTEGER, relationships: [{to: shop.items.id}]}")
    con.execute("DELETE FROM shop.items")
    con.execute("CREATE TABLE staged AS SELECT * FROM (VALUES (NULL::INTEGER), (1)) t(item)")
    assert audit(con, contract, "staged").bad_rows == 1
    assert con.execute(good_rows(contract, "staged")).fetchall() == [(None,)]


def test_a_missing_referenced_table_is_named(con: Any, make_contract: Any) -> None:
    contract = make_contract("- {name: item, physicalType: INTEGER, relationships: [{to: shop.nothing.id}]}")
    con.execute("CREATE TABLE staged AS SELECT 1 AS item")
    with pytest.raises(Exception, match=r"rules of shop\.orders cannot be run.*nothing(.|\n)*materialize"):
        audit(con, contract, "staged")


def test_a_missing_referenced_column_is_an_error_and_not_silently_true(con: Any, make_contract: Any) -> None:
    contract = make_contract("- {name: item, physicalType: INTEGER, relationships: [{to: shop.items.item}]}")
    con.execute("CREATE TABLE staged AS SELECT 1 AS item")
    with pytest.raises(Exception, match="cannot be run"):
        audit(con, contract, "staged")


def test_a_name_that_looks_like_sql_stays_a_name(con: Any, make_contract: Any) -> None:
    name = 'x"; DROP TABLE staged; --'
    contract = make_contract(f"- name: '{name}'\n  physicalType: VARCHAR\n  enum: [{{value: \"it's\"}}]")
    con.execute("""CREATE TABLE staged AS SELECT * FROM (VALUES ('it''s'), ('b')) t("x""; DROP TABLE staged; --")""")
    assert audit(con, contract, "staged").bad_rows == 1
    assert con.execute(good_rows(contract, "staged")).fetchall() == [("it's",)]
