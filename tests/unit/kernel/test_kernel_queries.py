"""A SQL file becomes a table's query: its inputs, its parameters, and what it must not be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from cogniforge_pipeline.queries import Query, QueryInvalid, check_inputs, load_queries, load_query

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
Load = Callable[[str], Query]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def write(text: str) -> Query:
        path = tmp_path / "shop" / "orders.sql"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return load_query(path)

    return write


def result(query: Query, **values: datetime) -> list[tuple[object, ...]]:
    """The rows as the platform asks for them: the text stands in parentheses."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'; CREATE SCHEMA a; CREATE TABLE a.b AS SELECT 1 AS x")
        return con.execute(f"SELECT * FROM ({query.bind(**values)}) ORDER BY ALL").fetchall()


def test_a_query_is_named_after_its_place(load: Load) -> None:
    assert load("SELECT 1 AS x").name == "shop.orders"


def test_inputs_are_found_in_joins_subqueries_and_common_tables(load: Load) -> None:
    query = load(
        "WITH c AS (SELECT * FROM a.one), d AS (SELECT * FROM c JOIN a.two USING (x)) "
        "SELECT * FROM d WHERE x IN (SELECT x FROM b.three) AND EXISTS (FROM b.four) "
        "UNION ALL SELECT (SELECT max(x) FROM c.five) AS x FROM (SELECT * FROM a.one) AS again"
    )
    assert query.inputs == ("a.one", "a.two", "b.four", "b.three", "c.five")


def test_a_common_table_may_bear_the_name_of_its_input(load: Load) -> None:
    assert load("WITH b AS (SELECT * FROM a.b) SELECT * FROM b").inputs == ("a.b",)


def test_inputs_of_common_tables_within_subqueries_are_found(load: Load) -> None:
    assert load("SELECT * FROM (WITH r AS (FROM a.b) SELECT * FROM r) AS q").inputs == ("a.b",)


def test_names_in_comments_and_strings_are_no_inputs(load: Load) -> None:
    assert load("SELECT 'FROM c.d' AS x -- FROM e.f\nFROM a.b").inputs == ("a.b",)


def test_a_table_without_its_schema_is_refused(load: Load) -> None:
    with pytest.raises(QueryInvalid, match=r"orders\.sql: table 'b' has no schema"):
        load("SELECT * FROM b")


def test_a_file_as_a_table_is_refused(load: Load) -> None:
    with pytest.raises(QueryInvalid, match="has no schema"):
        load("SELECT * FROM '/etc/passwd'")


@pytest.mark.parametrize(
    "text", ["SELECT 1; SELECT 2", "DROP TABLE a.b", "INSERT INTO a.b SELECT 1", "SELECT FROM", "", "-- nothing"]
)
def test_anything_but_one_select_is_refused_with_the_files_name(load: Load, text: str) -> None:
    with pytest.raises(QueryInvalid, match=r"shop/orders\.sql") as caught:
        load(text)
    assert "exactly one SELECT" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT x FROM a.b;",
        "SELECT x FROM a.b; -- the end",
        "SELECT x FROM a.b -- the end",
        "SELECT x FROM a.b\n/* the end; */ ;;",
        "-- lookback: 2 days\nSELECT x FROM a.b\n",
    ],
)
def test_semicolons_and_comments_at_the_end_do_no_harm(load: Load, text: str) -> None:
    assert result(load(text)) == [(1,)]


def test_an_unknown_table_is_refused_with_the_nearest_name(load: Load) -> None:
    query = load("SELECT * FROM aiops.telemtry")
    with pytest.raises(QueryInvalid, match=r"sql/shop/orders\.sql reads aiops\.telemtry") as caught:
        check_inputs(query, ["aiops.series", "aiops.telemetry"])
    assert caught.value.hint == "did you mean aiops.telemetry?"


def test_a_table_like_no_other_is_refused_with_all_names(load: Load) -> None:
    with pytest.raises(QueryInvalid) as caught:
        check_inputs(load("SELECT * FROM zzz.qqq"), ["b.two", "a.one"])
    assert caught.value.hint == "known tables: a.one, b.two"


def test_known_tables_pass(load: Load) -> None:
    check_inputs(load("SELECT * FROM a.b"), {"a.b": object()})


def test_parameters_are_filled_in_as_moments(load: Load) -> None:
    query = load("SELECT $as_of AS at, $day_start < $as_of AS later FROM a.b")
    assert query.parameters == {"as_of", "day_start"}
    assert result(query, as_of=MOMENT, day_start=datetime(2026, 3, 1, tzinfo=UTC)) == [(MOMENT, True)]


def test_dollars_in_strings_names_and_comments_are_no_parameters(load: Load) -> None:
    query = load(
        "-- $other stays, so does $as_of\n"
        "SELECT '$as_of' AS text, 'é $day_end' AS umlaut, 1 AS \"$day_start\", $$ $as_of $$ AS quoted, $as_of AS at "
        "/* $nothing */ FROM a.b"
    )
    assert query.parameters == {"as_of"}
    assert result(query, as_of=MOMENT) == [("$as_of", "é $day_end", 1, " $as_of ", MOMENT)]


@pytest.mark.parametrize("name", ["asof", "AS_OF", "1", "as_of2"])
def test_an_unknown_parameter_is_refused(load: Load, name: str) -> None:
    with pytest.raises(QueryInvalid, match=rf"unknown parameter \${name}") as caught:
        load(f"SELECT ${name} AS at")
    assert "$as_of, $day_start, $day_end" in str(caught.value)


def test_a_parameter_without_a_value_is_refused(load: Load) -> None:
    with pytest.raises(QueryInvalid, match=r"shop\.orders: \$as_of has no value"):
        load("SELECT $as_of AS at").bind(day_start=MOMENT)


def test_lookback_is_read_from_the_comments_at_the_top(load: Load) -> None:
    assert load("-- Why: because\n-- lookback: 14 days\nSELECT 1 AS x").lookback == 14
    assert load("-- lookback: 1 day\nSELECT 1 AS x").lookback == 1
    assert load("SELECT 1 AS x\n-- lookback: 3 days").lookback == 0


def test_a_lookback_that_is_no_number_of_days_names_its_line(load: Load) -> None:
    with pytest.raises(QueryInvalid, match=r"orders\.sql:2: expected `-- lookback: N days`"):
        load("-- Why: because\n-- lookback: two weeks\nSELECT 1 AS x")


def test_the_digest_changes_with_text_and_lookback_only(load: Load) -> None:
    first = load("-- lookback: 1 day\nSELECT 1 AS x")
    assert first.digest == load("-- lookback: 1 day\nSELECT 1 AS x").digest
    assert len({first.digest, load("-- lookback: 2 days\nSELECT 1 AS x").digest, load("SELECT 2 AS x").digest}) == 3


def test_a_folder_of_queries_is_read_by_name_and_a_missing_one_is_empty(tmp_path: Path, load: Load) -> None:
    load("SELECT 1 AS x")
    assert list(load_queries(tmp_path)) == ["shop.orders"]
    assert load_queries(tmp_path / "nowhere") == {}
