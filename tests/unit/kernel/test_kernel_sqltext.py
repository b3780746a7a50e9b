"""Names and values in SQL text mean themselves, whatever they hold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.sqltext import ident, literal, qualified

names = st.text(min_size=1).filter(lambda name: "\0" not in name)
moments = st.datetimes(
    min_value=datetime(1, 1, 2),
    max_value=datetime(9999, 12, 30),
    timezones=st.just(UTC),
) | st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.timezones())
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | moments | st.dates()
many = settings(max_examples=150, deadline=None)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("CREATE TABLE victim AS SELECT 1 AS x")
        yield connection


def value_of(con: duckdb.DuckDBPyConnection, value: Any) -> Any:
    row = con.execute(f"SELECT {literal(value)}").fetchone()
    assert row
    return row[0]


@many
@example(value="'; DROP TABLE victim; --")
@example(value="\\'; DROP TABLE victim; --")
@example(value="a\0b")
@example(value="\0")
@example(value="$1 ? $$ {} %s")
@example(value=datetime(1, 1, 1, tzinfo=UTC))
@example(value=datetime(1963, 12, 15, tzinfo=ZoneInfo("America/Argentina/Buenos_Aires")))
@given(value=scalars)
def test_a_value_comes_back_from_duckdb_as_it_was(con: duckdb.DuckDBPyConnection, value: Any) -> None:
    back = value_of(con, value)
    if isinstance(value, datetime):  # a wall-clock time that a zone skips equals no other zone's time
        value = value.astimezone(UTC)
    assert back == value
    assert con.execute("SELECT x FROM victim").fetchall() == [(1,)]


@many
@example(value=-0.0)
@example(value=5e-324)
@given(value=st.floats())
def test_a_float_comes_back_bit_by_bit(con: duckdb.DuckDBPyConnection, value: float) -> None:
    back = value_of(con, value)
    assert back.hex() == value.hex() if not math.isnan(value) else math.isnan(back)


@many
@given(values=st.lists(st.text()), pairs=st.dictionaries(st.text(), st.text() | st.none(), max_size=5))
def test_lists_and_maps_come_back_as_they_were(
    con: duckdb.DuckDBPyConnection, values: list[str], pairs: dict[str, str | None]
) -> None:
    assert value_of(con, values) == values
    assert value_of(con, pairs) == pairs


@many
@example(name='x" FROM victim; DROP TABLE victim; --')
@example(name="select")
@given(name=names)
def test_any_name_can_be_a_column(con: duckdb.DuckDBPyConnection, name: str) -> None:
    found = con.execute(f"SELECT 1 AS {ident(name)}").description
    assert found is not None
    assert found[0][0] == name


def test_a_name_with_quotes_is_a_tables_name_and_nothing_more(con: duckdb.DuckDBPyConnection) -> None:
    name = 'x"; DROP TABLE victim; --'
    con.execute(f"CREATE TABLE {ident(name)} (y INTEGER)")
    assert con.execute(f"SELECT count(*) FROM {ident(name)}").fetchone() == (0,)
    assert con.execute("SELECT x FROM victim").fetchall() == [(1,)]


def test_each_part_of_a_dotted_name_is_quoted() -> None:
    assert qualified('a.b"c') == '"a"."b""c"'


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        ident(name)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        literal(datetime(2026, 1, 1))


def test_a_time_of_any_zone_is_the_same_moment(con: duckdb.DuckDBPyConnection) -> None:
    local = datetime(2026, 1, 1, 5, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert value_of(con, local) == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_date_stays_a_date(con: duckdb.DuckDBPyConnection) -> None:
    assert value_of(con, date(2026, 1, 31)) == date(2026, 1, 31)


def test_a_value_without_a_literal_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        literal(object())  # type: ignore[arg-type]
