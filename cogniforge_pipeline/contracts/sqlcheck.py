"""Checks of SQL and patterns while a contract is read, so that a mistake shows its line and not a failed run.

Belongs here: asking DuckDB whether a text is what it claims to be. Does not: building or running rules.
Every function raises ValueError with DuckDB's own words.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache

import duckdb

from cogniforge_pipeline.contracts.model import Column
from cogniforge_pipeline.sqltext import ident, literal


def canonical_type(text: str) -> str:
    """DuckDB's spelling of a type: `TIMESTAMPTZ` gives `TIMESTAMP WITH TIME ZONE`, as DESCRIBE prints it."""
    try:
        return str(duckdb.sqltype(text))
    except duckdb.Error as error:
        raise ValueError(_first_line(error)) from error


def check_pattern(pattern: str) -> None:
    """Accept a pattern that RE2 can read."""
    try:
        empty_cursor().execute(f"SELECT regexp_full_match('', {literal(pattern)})")
    except duckdb.Error as error:
        raise ValueError(_first_line(error)) from error


def check_expression(text: str, columns: Sequence[Column]) -> None:
    """Accept one boolean expression over the columns."""
    try:
        duckdb.SQLExpression(text)
    except duckdb.Error as error:
        raise ValueError(_first_line(error)) from error
    found = _result_types(f"SELECT ({text}) FROM checked", columns)
    if found not in (None, ["BOOLEAN"]):
        raise ValueError(f"it gives {', '.join(found or [])}, not true or false")


def check_query(text: str, columns: Sequence[Column]) -> None:
    """Accept one SELECT over the table `checked` that returns one column."""
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise ValueError(_first_line(error)) from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ValueError("it is not one SELECT")
    found = _result_types(text, columns)
    if found is not None and len(found) != 1:
        raise ValueError(f"it returns {len(found)} columns, not one value")


def _result_types(query: str, columns: Sequence[Column]) -> list[str] | None:
    """Types the query gives over an empty table `checked`; None when it reads other tables, unknown here."""
    body = ", ".join(f"{ident(column.name)} {column.type}" for column in columns)
    with empty_cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE checked ({body})")
        try:
            return [str(kind) for kind in cursor.sql(query).types]
        except duckdb.CatalogException as error:
            if "Table with name" in str(error):
                return None
            raise ValueError(_first_line(error)) from error
        except duckdb.Error as error:
            raise ValueError(_first_line(error)) from error


def empty_cursor() -> duckdb.DuckDBPyConnection:
    """A session of its own on a database with nothing in it; opening one for each of a hundred checks would be much of a
    start."""
    return _database(os.getpid()).cursor()


@cache
def _database(_process: int) -> duckdb.DuckDBPyConnection:
    """One empty database per process: a fork must not use its parent's."""
    return duckdb.connect(config={"threads": 1})


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
