"""Table rules, uniqueness, shape and the quality figures of an audit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cogniforge_pipeline.contracts import audit, bad_rows, good_rows

ID = "- {name: id, physicalType: INTEGER}"
KEYED = """
- {name: a, physicalType: INTEGER}
- {name: b, physicalType: INTEGER}
- {name: note, physicalType: VARCHAR}
"""


@pytest.mark.parametrize(
    ("bound", "passing", "breaking"),
    [
        ("mustBe: 3", 3, 2),
        ("mustNotBe: 3", 2, 3),
        ("mustBeGreaterThan: 2", 3, 2),
        ("mustBeGreaterOrEqualTo: 3", 3, 2),
        ("mustBeLessThan: 3", 2, 3),
        ("mustBeLessOrEqualTo: 2", 2, 3),
        ("mustBeBetween: [2, 3]", 3, 4),
        ("mustNotBeBetween: [2, 3]", 4, 2),
    ],
)
def test_a_row_count_out_of_bounds_blocks(
    con: Any, make_contract: Any, bound: str, passing: int, breaking: int
) -> None:
    contract = make_contract(ID, table=f"quality: [{{metric: rowCount, {bound}}}]")
    good = audit(con, contract, f"(SELECT range::INTEGER AS id FROM range({passing}))")
    bad = audit(con, contract, f"(SELECT range::INTEGER AS id FROM range({breaking}))")
    assert good.blocking == ()
    (result,) = bad.blocking
    assert (result.rule.name, result.observed, result.rule.dimension) == ("row_count", breaking, "volume")
    assert not bad.row_failures


@pytest.mark.parametrize(
    ("quality", "observed"),
    [
        ("metric: nullValues, mustBeLessThan: 1", 1),
        ("metric: nullValues, unit: percent, mustBeLessOrEqualTo: 10", 25.0),
        ("metric: missingValues, arguments: {missingValues: [null, '']}, mustBeLessThan: 2", 2),
        ("metric: invalidValues, arguments: {validValues: [a]}, mustBeLessThan: 1", 1),
        ("metric: invalidValues, arguments: {pattern: '[a-z]'}, unit: percent, mustBeLessThan: 5", 25.0),
        ("metric: duplicateValues, mustBeLessThan: 1", 1),
        ("type: sql, query: 'SELECT max(length(${property})) FROM ${object}', mustBe: 2", 1),
        ("type: sql, query: 'SELECT count(DISTINCT x) FROM {table}', mustBeGreaterThan: 2", 2),
    ],
)
def test_a_tolerance_on_a_column_is_a_table_rule(con: Any, make_contract: Any, quality: str, observed: float) -> None:
    contract = make_contract(f"- {{name: x, physicalType: VARCHAR, quality: [{{{quality}}}]}}")
    values = {"duplicateValues": "('a'), ('a'), (NULL), (NULL)"}.get(quality[8:23], "('a'), ('a'), (''), (NULL)")
    seen = audit(con, contract, f"(SELECT * FROM (VALUES {values}) t(x))")
    (result,) = seen.blocking
    assert result.observed == observed
    assert seen.bad_rows == 0


def test_a_warning_is_reported_and_stops_nothing(con: Any, make_contract: Any) -> None:
    contract = make_contract(
        "- {name: x, physicalType: INTEGER, quality: [{metric: nullValues, mustBe: 0, severity: warning}]}",
        table="quality: [{metric: rowCount, mustBeGreaterThan: 5, severity: info}]",
    )
    con.execute("CREATE TABLE staged AS SELECT NULL::INTEGER AS x")
    seen = audit(con, contract, "staged")
    assert {r.rule.name for r in seen.warnings} == {"x_null_values", "row_count"}
    assert not seen.blocking
    assert not seen.row_failures
    assert seen.bad_rows == 0
    assert con.execute(good_rows(contract, "staged")).fetchall() == [(None,)]


def test_text_quality_is_documentation(con: Any, make_contract: Any) -> None:
    contract = make_contract(ID, table="quality: [{type: text, description: the owner looks at it weekly}]")
    assert contract.rules == ()


def test_of_equal_keys_the_first_row_by_the_sort_order_is_kept(con: Any, make_contract: Any) -> None:
    contract = make_contract(
        KEYED,
        table="""
        customProperties: [{property: sortBy, value: [b, note]}]
        quality: [{metric: duplicateValues, arguments: {properties: [a]}, mustBe: 0}]
        """,
    )
    rows = "(1, 9, 'late'), (1, 2, 'second'), (1, 2, 'first'), (2, 5, 'alone'), (NULL, 1, 'x'), (NULL, 1, 'x')"
    con.execute(f"CREATE TABLE staged AS SELECT * FROM (VALUES {rows}) t(a, b, note)")
    seen = audit(con, contract, "staged")
    (result,) = seen.results
    assert (result.rule.name, result.failing, seen.bad_rows) == ("unique_a", 2, 2)
    kept = con.execute(f"SELECT note FROM ({good_rows(contract, 'staged')}) ORDER BY note").fetchall()
    assert kept == [("alone",), ("first",), ("x",), ("x",)]


def test_a_row_that_breaks_another_rule_never_pushes_out_a_good_row(con: Any, make_contract: Any) -> None:
    contract = make_contract(
        "- {name: id, physicalType: INTEGER, primaryKey: true}\n"
        "- {name: x, physicalType: INTEGER, logicalTypeOptions: {minimum: 0}}"
    )
    con.execute("CREATE TABLE staged AS SELECT * FROM (VALUES (1, -5), (1, 7)) t(id, x)")
    seen = audit(con, contract, "staged")
    assert con.execute(good_rows(contract, "staged")).fetchall() == [(1, 7)]
    bad = con.execute(f"SELECT rules FROM ({bad_rows(contract, 'staged', source='', run_id='')})").fetchall()
    assert bad == [(["x_min", "unique_id"],)]
    assert seen.bad_rows == 1


def test_duplicate_keys_years_apart_are_found(con: Any, make_contract: Any) -> None:
    contract = make_contract(
        "- {name: id, physicalType: INTEGER, unique: true}\n- {name: ts, physicalType: TIMESTAMPTZ, partitioned: true}"
    )
    rows = "(1, TIMESTAMPTZ '2014-01-01 00:00:00+00'), (1, TIMESTAMPTZ '2024-01-01 00:00:00+00')"
    seen = audit(con, contract, f"(SELECT * FROM (VALUES {rows}) t(id, ts))")
    assert seen.broken == {"unique_id"}


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("SELECT 1 AS id", "column x DOUBLE is missing"),
        ("SELECT 1 AS id, 1.0::DOUBLE AS x, 2 AS y", "column y is not in the contract"),
        ("SELECT 1 AS id, 'a' AS x", "column x is VARCHAR, the contract says DOUBLE"),
        ("SELECT 1.5::DOUBLE AS id, 1.0::DOUBLE AS x", "column id is DOUBLE, the contract says INTEGER"),
    ],
)
def test_a_wrong_shape_blocks_and_says_how(con: Any, make_contract: Any, select: str, message: str) -> None:
    contract = make_contract(f"{ID}\n- {{name: x, physicalType: DOUBLE, required: true}}")
    seen = audit(con, contract, f"({select})")
    (result,) = seen.blocking
    assert (result.rule.name, result.message) == ("columns", message)
    assert seen.rows == 1


def test_types_that_convert_without_loss_fit_the_shape(con: Any, make_contract: Any) -> None:
    contract = make_contract(
        "- {name: n, physicalType: BIGINT}\n- {name: x, physicalType: DOUBLE}\n- {name: t, physicalType: TIMESTAMPTZ}"
    )
    seen = audit(
        con,
        contract,
        "(SELECT t, sum(n) AS n, 1::INTEGER AS x FROM (SELECT DATE '2024-01-01' AS t, 1 AS n) GROUP BY t)",
    )
    assert seen.blocking == ()


TIMED = """
- {name: ts, physicalType: TIMESTAMPTZ, partitioned: true, required: true}
- {name: x, physicalType: DOUBLE, required: true, logicalTypeOptions: {minimum: 0}}
- {name: low, physicalType: DOUBLE}
"""
PROMISE = "slaProperties: [{property: latency, value: 10, unit: min, element: orders.ts}]"


def test_figures_count_cells_rows_and_age(con: Any, make_contract: Any) -> None:
    contract = make_contract(
        TIMED, table="quality: [{type: sql, name: low_first, query: low <= x, mustBe: true}]", top=PROMISE
    )
    con.execute(
        """CREATE TABLE staged AS
        SELECT '2024-01-01 00:00:00+00'::TIMESTAMPTZ + i * INTERVAL 1 MINUTE AS ts, x, low
        FROM (VALUES (0, 1::DOUBLE, 0::DOUBLE), (1, NULL, 0), (2, -1, 0), (3, 'nan', NULL)) t(i, x, low)"""
    )
    seen = audit(con, contract, "staged", as_of=datetime(2024, 1, 1, 0, 23, tzinfo=UTC))
    assert dict(seen.figures) == {
        "completeness": pytest.approx(6 / 8),
        "accuracy": pytest.approx(3 / 4),
        "consistency": pytest.approx(3 / 4),
        "timeliness": pytest.approx(0.5),
        "freshness_seconds": 1200.0,
        "volume": 4,
        "error_rate": pytest.approx(3 / 4),
    }
    assert seen.null_counts == {"ts": 0, "x": 1, "low": 1}
    assert (seen.first_time, seen.last_time) == (
        datetime(2024, 1, 1, tzinfo=UTC),
        datetime(2024, 1, 1, 0, 3, tzinfo=UTC),
    )


def test_freshness_is_not_measured_without_a_moment(con: Any, make_contract: Any) -> None:
    contract = make_contract(TIMED, top=PROMISE)
    seen = audit(con, contract, "(SELECT now() AS ts, 1.0::DOUBLE AS x, 1.0::DOUBLE AS low)")
    assert seen.figures["freshness_seconds"] is None
    assert seen.figures["timeliness"] is None


def test_an_old_table_is_late_but_never_blocked(con: Any, make_contract: Any) -> None:
    contract = make_contract(TIMED, top=PROMISE)
    row = "(SELECT TIMESTAMPTZ '2014-01-01 00:00:00+00' AS ts, 1.0::DOUBLE AS x, 1.0::DOUBLE AS low)"
    seen = audit(con, contract, row, as_of=datetime(2024, 1, 1, tzinfo=UTC))
    assert 0 < (seen.figures["timeliness"] or 0) < 0.001
    assert not seen.blocking


def test_an_empty_table_has_full_shares(con: Any, make_contract: Any) -> None:
    contract = make_contract(TIMED, top=PROMISE)
    seen = audit(
        con,
        contract,
        "(SELECT now() AS ts, 1.0::DOUBLE AS x, 1.0::DOUBLE AS low WHERE FALSE)",
        as_of=datetime(2024, 1, 1, tzinfo=UTC),
    )
    assert (seen.rows, seen.figures["completeness"], seen.figures["error_rate"]) == (0, 1.0, 0.0)
    assert (seen.last_time, seen.figures["freshness_seconds"]) == (None, None)
    assert not seen.row_failures
