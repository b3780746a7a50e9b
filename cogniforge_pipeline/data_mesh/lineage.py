"""Lineage: which tables, and where their SQL shows it which columns, a table is computed from.

Belongs here: edges as plain values, read from queries. Does not: the log that says which tables a run has read
(`tables.py`).

Columns are followed by sqlglot through joins, common tables and expressions: an edge says that a value of the one column
may decide a value of the other. What only filters or joins rows is no column edge; the table edge stands for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.queries import Query


@dataclass(frozen=True, order=True)
class Edge:
    """`output_table` is computed from `input_table`; with columns, one column from another."""

    input_table: str
    output_table: str
    input_column: str | None = None
    output_column: str | None = None

    def to_row(self) -> dict[str, object]:
        """The row of `data_mesh.lineage`."""
        return {
            "input_table": self.input_table,
            "input_column": self.input_column,
            "output_table": self.output_table,
            "output_column": self.output_column,
            "kind": "table" if self.input_column is None else "column",
        }


def table_edges(inputs: Mapping[str, Iterable[str]]) -> list[Edge]:
    """The edges of tables, given what each is computed from."""
    return sorted({Edge(name, output) for output, names in inputs.items() for name in names})


def column_edges(queries: Iterable[Query], contracts: Mapping[str, Contract]) -> list[Edge]:
    """The edges of the columns of each query that has a contract.

    A column whose origin cannot be told (a parameter, a constant, a count of rows) has none, nor has one whose SQL
    sqlglot cannot follow.
    """
    columns = _schema(contracts)
    return sorted(
        edge for query in queries if query.name in contracts for edge in _query_edges(query, contracts, columns)
    )


def _schema(contracts: Mapping[str, Contract]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for contract in contracts.values():
        found.setdefault(contract.schema, {})[contract.table] = {c.name: c.type for c in contract.columns}
    return found


def _query_edges(query: Query, contracts: Mapping[str, Contract], columns: dict[str, Any]) -> set[Edge]:
    import sqlglot
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    try:
        tree = qualify(
            sqlglot.parse_one(query.text, dialect="duckdb"),
            schema=columns,
            dialect="duckdb",
            validate_qualify_columns=False,
            identify=False,
        )
        scope = build_scope(tree)
    except Exception:  # what it cannot read it refuses in many ways, AssertionError among them
        return set()
    if not isinstance(tree, sqlglot.exp.Query):
        return set()
    given = {name.lower() for name in tree.named_selects}
    found = set()
    for column in contracts[query.name].columns:
        if column.name.lower() in given:
            with suppress(Exception):
                node = lineage(column.name, tree, schema=columns, dialect="duckdb", scope=scope, copy=False)
                found |= {Edge(table, query.name, name, column.name) for table, name in _origins(node, contracts)}
    return found


def _origins(node: Any, contracts: Mapping[str, Contract]) -> Iterator[tuple[str, str]]:
    """The columns of known tables at the leaves."""
    from sqlglot.expressions import Table

    for leaf in node.walk():
        if not leaf.downstream and isinstance(leaf.source, Table):
            origin = f"{leaf.source.db}.{leaf.source.name}"
            name = leaf.name.rpartition(".")[2].strip('"')
            if origin in contracts and any(column.name == name for column in contracts[origin].columns):
                yield origin, name
