"""A SQL file's table computed from a few rows, in memory.

Belongs here: what the tests of `sql/` share. Does not: the lake.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import duckdb

from cogniforge_pipeline import contracts, publish
from cogniforge_pipeline.contracts import Contract, load_contracts
from cogniforge_pipeline.queries import Query, load_queries
from cogniforge_pipeline.settings import packaged
from cogniforge_pipeline.sqltext import ident, literal, qualified

CONTRACTS = load_contracts(packaged("contracts"))
QUERIES = load_queries(packaged("sql"))


def aware(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


def _moment(value: date | datetime) -> datetime:
    return aware(value) if isinstance(value, datetime) else publish.midnight(value)


def _needed(query: Query, given: Mapping[str, Any]) -> list[Contract]:
    """The query's inputs, and every table that the result's foreign keys name."""
    named = {rule.value[0] for rule in CONTRACTS[query.name].rules if rule.test == "foreign_key"}
    return [CONTRACTS[name] for name in sorted({*query.inputs, *named, *given})]


def _fill(con: duckdb.DuckDBPyConnection, contract: Contract, rows: list[dict[str, Any]]) -> None:
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {ident(contract.schema)}")
    columns = ", ".join(f"{ident(column.name)} {column.type}" for column in contract.columns)
    con.execute(f"CREATE TABLE {qualified(contract.name)} ({columns})")
    for row in rows:
        names = ", ".join(map(ident, row))
        values = ", ".join(literal(aware(value)) for value in row.values())
        con.execute(f"INSERT INTO {qualified(contract.name)} ({names}) SELECT {values}")


def compute(query: Query, given: Mapping[str, list[dict[str, Any]]], params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The query's rows, ordered by the contract's key, after they passed the contract's audit."""
    contract = CONTRACTS[query.name]
    values = {name: _moment(value) for name, value in params.items()}
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        for table in _needed(query, given):
            if table.name != query.name:
                _fill(con, table, given.get(table.name, []))
        con.execute(f"CREATE TABLE result AS {query.bind(**values)}")
        audit = contracts.audit(con, contract, "result", as_of=values.get("as_of"))
        assert not [result.message for result in audit.results if not result.passed]
        order = ", ".join(ident(name) for name in contract.primary_key or contract.sort_by)
        found = con.execute(f"SELECT * FROM result ORDER BY {order}")
        names = [column[0] for column in found.description or []]
        assert set(names) == {column.name for column in contract.columns}
        return [{n: aware(v) for n, v in zip(names, row, strict=True)} for row in found.fetchall()]
