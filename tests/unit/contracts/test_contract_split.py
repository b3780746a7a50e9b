"""Good and bad rows together are the input, whatever the rows; SQL and frames agree about them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import duckdb
import pandera.errors
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.contracts import audit, bad_rows, good_rows, pandera_schema

PROPERTIES = """
- {name: a, physicalType: BIGINT, required: true}
- {name: b, physicalType: INTEGER, logicalTypeOptions: {minimum: 0, exclusiveMaximum: 3}}
- {name: x, physicalType: DOUBLE, required: true, logicalTypeOptions: {maximum: 2}}
- {name: s, physicalType: VARCHAR, unique: true, logicalTypeOptions: {pattern: '[a-z]*', maxLength: 2}}
"""
TABLE = "quality: [{metric: duplicateValues, arguments: {properties: [a, b]}, mustBe: 0}]"
ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(0, 2),
        st.none() | st.integers(-1, 3),
        st.none() | st.sampled_from([0.0, 2.5, float("nan"), float("inf"), float("-inf")]),
        st.none() | st.sampled_from(["", "a", "b", "B", "abc", "a\n", "é", "it's"]),
    ),
    max_size=12,
)
TYPES = {"a": pl.Int64, "b": pl.Int32, "x": pl.Float64, "s": pl.String}


@pytest.fixture(scope="module")
def contract(make_contract: Any) -> Any:
    return make_contract(PROPERTIES, table=TABLE)


def _key(row: tuple[Any, ...]) -> tuple[str, ...]:
    """NaN equals NaN here."""
    return tuple(map(repr, row))


@given(rows=ROWS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_row_is_either_good_or_bad(rows: list[tuple[Any, ...]], contract: Any) -> None:
    frame = pl.DataFrame(rows, schema=TYPES, orient="row")
    with duckdb.connect() as con:
        con.register("frame", frame)
        con.execute("CREATE TABLE staged AS FROM frame")
        seen = audit(con, contract, "staged")
        for broken in (None, seen.broken):
            good = con.execute(good_rows(contract, "staged", broken=broken)).fetchall()
            bad = con.execute(bad_rows(contract, "staged", source="s", run_id="r", broken=broken)).fetchall()
            refused = [tuple(json.loads(row[0]).values()) for row in bad]
            assert Counter(map(_key, good)) + Counter(map(_key, refused)) == Counter(map(_key, rows))
            assert len(bad) == seen.bad_rows
            counts = Counter(name for row in bad for name in row[1])
            assert counts == {r.rule.name: r.failing for r in seen.results if r.failing}
        con.execute(f"CREATE TABLE kept AS {good_rows(contract, 'staged')}")
        assert audit(con, contract, "kept").bad_rows == 0
        con.execute("CREATE TABLE backwards AS SELECT * FROM staged ORDER BY rowid DESC")
        again = con.execute(good_rows(contract, "backwards")).fetchall()
        assert Counter(map(_key, again)) == Counter(map(_key, good))


@given(rows=ROWS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_frame_schema_accepts_exactly_what_the_audit_accepts(rows: list[tuple[Any, ...]], contract: Any) -> None:
    frame = pl.DataFrame(rows, schema=TYPES, orient="row")
    with duckdb.connect() as con:
        con.register("frame", frame)
        seen = audit(con, contract, "frame")
    try:
        pandera_schema(contract).validate(frame, lazy=True)
        accepted = True
    except pandera.errors.SchemaErrors:
        accepted = False
    assert accepted is not seen.row_failures


def test_a_quarantined_row_says_what_was_wrong_and_where_it_came_from(con: Any, contract: Any) -> None:
    con.execute("CREATE TABLE staged AS SELECT 1::BIGINT AS a, -1 AS b, 'nan'::DOUBLE AS x, 'a' AS s")
    statement = bad_rows(contract, "staged", source="landing/it's.csv", run_id="run-7")
    cursor = con.execute(statement)
    (row,) = cursor.fetchall()
    seen = dict(zip((item[0] for item in cursor.description), row, strict=True))
    assert seen.pop("quarantined_at").tzinfo is not None
    assert json.loads(seen.pop("row")) == {
        "a": 1,
        "b": -1,
        "x": pytest.approx(float("nan"), nan_ok=True),
        "s": "a",
    }
    assert seen == {
        "rules": ["b_min", "x_not_null", "x_max"],
        "reason": "b must be at least 0; x must not be missing or NaN; x must be at most 2",
        "contract_version": "1.2.0",
        "source": "landing/it's.csv",
        "run_id": "run-7",
    }


def test_a_frame_schema_names_what_only_the_lake_can_check(make_contract: Any) -> None:
    contract = make_contract(
        "- {name: id, physicalType: BIGINT, relationships: [{to: shop.items.id}]}",
        table="quality: [{metric: rowCount, mustBeGreaterThan: 0}]",
    )
    assert pandera_schema(contract).metadata["not_checked"] == ["id_in_shop_items", "row_count"]


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"a": [1], "b": [1], "x": [1.0]}, schema={"a": pl.Int64, "b": pl.Int32, "x": pl.Float64}),
        pl.DataFrame({"a": ["1"], "b": [1], "x": [1.0], "s": ["a"]}, schema={**TYPES, "a": pl.String}),
        pl.DataFrame({"a": [1], "b": [1], "x": [1.0], "s": ["a"], "more": [1]}, schema={**TYPES, "more": pl.Int64}),
    ],
    ids=["a column lacks", "a type differs", "a column is too much"],
)
def test_a_frame_of_another_shape_is_refused(contract: Any, frame: pl.DataFrame) -> None:
    with pytest.raises(pandera.errors.SchemaError):
        pandera_schema(contract).validate(frame)


def test_a_warning_of_a_frame_is_a_warning(make_contract: Any) -> None:
    contract = make_contract(
        "- {name: x, physicalType: BIGINT, quality: [{metric: nullValues, mustBe: 0, severity: warning}]}"
    )
    frame = pl.DataFrame({"x": [1, None]}, schema={"x": pl.Int64})
    with pytest.warns(Warning, match="x_null_values"):
        pandera_schema(contract).validate(frame)
