"""A table computed from a few rows, in memory.

Belongs here: what the tests of `sql/` share. Does not: the lake.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from cogniforge_pipeline import contracts, publish
from cogniforge_pipeline.aiops import tables as aiops_tables
from cogniforge_pipeline.contracts import Contract, load_contracts
from cogniforge_pipeline.data_mesh import tables as mesh_tables
from cogniforge_pipeline.edge import tables as edge_tables
from cogniforge_pipeline.gitops import policy_tables
from cogniforge_pipeline.gitops import tables as gitops_tables
from cogniforge_pipeline.queries import load_queries
from cogniforge_pipeline.recipes import Recipe
from cogniforge_pipeline.settings import packaged
from cogniforge_pipeline.sqltext import ident, literal, qualified
from cogniforge_pipeline.sre import tables as sre_tables
from cogniforge_pipeline.workflow import tables as workflow_tables

CONTRACTS = load_contracts(packaged("contracts"))
QUERIES = load_queries(packaged("sql"))
PRODUCTS = load_contracts(Path(__file__).parent / "products")
"""Contracts that tables of the mesh look at in these tests, instead of those of the program."""
CLOCK = [datetime(2026, 3, 2, tzinfo=UTC)]
"""What the mesh takes for the wall clock: the end of the moment or days that are computed."""
COMPUTED = {
    table.name: table
    for table in (
        *sre_tables.computed(),
        *gitops_tables.computed(),
        *policy_tables.computed(),
        *mesh_tables.computed(lambda: PRODUCTS, lambda: (), lambda: CLOCK[0]),
        *edge_tables.computed(lambda: Path("nowhere")),
        *aiops_tables.computed(),
        *workflow_tables.computed(),
    )
}
BESIDE = {other: table.name for table in COMPUTED.values() for other in table.beside}
"""The tables that are published with another one, and that one."""
TABLES = sorted({*QUERIES, *COMPUTED, *BESIDE})


def aware(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


def _moment(value: date | datetime) -> datetime:
    return aware(value) if isinstance(value, datetime) else publish.midnight(value)


def declared(*documents: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the registry that hold OpenSLO documents."""
    return [
        {
            "kind": "slo",
            "name": document["metadata"]["name"],
            "version": 1,
            "origin": "api",
            "spec": json.dumps(document),
        }
        for document in documents
    ]


def others_declared(documents: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Rows of the registry that hold documents of other kinds, by kind."""
    return [
        {"kind": kind, "name": document.get("name", kind), "version": 1, "origin": "api", "spec": json.dumps(document)}
        for kind, several in documents.items()
        for document in several
    ]


def _fill(con: duckdb.DuckDBPyConnection, contract: Contract, rows: list[dict[str, Any]]) -> None:
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {ident(contract.schema)}")
    columns = ", ".join(f"{ident(column.name)} {column.type}" for column in contract.columns)
    con.execute(f"CREATE TABLE {qualified(contract.name)} ({columns})")
    for row in rows:
        names = ", ".join(map(ident, row))
        values = ", ".join(literal(aware(value)) for value in row.values())
        con.execute(f"INSERT INTO {qualified(contract.name)} ({names}) SELECT {values}")


def _midnights(values: Mapping[str, datetime]) -> list[datetime]:
    if "day_start" not in values:
        return []
    return [values["day_start"] + timedelta(n) for n in range((values["day_end"] - values["day_start"]).days)]


def compute(table: str, given: Mapping[str, list[dict[str, Any]]], params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The table's rows, ordered by the contract's key, after they passed the contract's audit."""
    contract = CONTRACTS[table]
    values = {name: _moment(value) for name, value in params.items()}
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        for other in CONTRACTS.values():
            _fill(con, other, given.get(other.name, []))
        CLOCK[0] = end = values["as_of"] if "as_of" in values else values["day_end"]
        recipe: Recipe = QUERIES[table] if table in QUERIES else COMPUTED[BESIDE.get(table, table)].recipe(con)
        selects = recipe.selects(con, values.get("day_start", end), end)
        if table in BESIDE:
            days = [day.date() for day in _midnights(values)]
            selects = [rows.select for rows in recipe.beside(con, days) if rows.table == table]
        columns = ", ".join(f"{ident(column.name)} {column.type}" for column in contract.columns)
        names = ", ".join(ident(column.name) for column in contract.columns)
        con.execute(f"CREATE TABLE result ({columns})")
        for select in selects:
            con.execute(f"INSERT INTO result SELECT {names} FROM ({select})")
        audit = contracts.audit(con, contract, "result", as_of=values.get("as_of"))
        assert not [result.message for result in audit.results if not result.passed]
        order = ", ".join(ident(name) for name in contract.primary_key or contract.sort_by)
        found = con.execute(f"SELECT * FROM result ORDER BY {order}")
        columns_found = [column[0] for column in found.description or []]
        return [{n: aware(v) for n, v in zip(columns_found, row, strict=True)} for row in found.fetchall()]
