"""Tables as their contracts declare them, as statements for a DuckLake.

Belongs here: CREATE, COMMENT, partitioning. Does not: running them, changing existing tables.
DuckLake has no keys and no checks; those are rules of the audit.
"""

from __future__ import annotations

from cogniforge_pipeline.contracts.model import Contract
from cogniforge_pipeline.sqltext import ident, literal

QUARANTINE_COLUMNS = {
    "row": ("VARCHAR", "The refused row as JSON; NaN and Infinity are kept as such."),
    "rules": ("VARCHAR[]", "Names of the contract's rules that the row broke."),
    "reason": ("VARCHAR", "The same in words."),
    "contract_version": ("VARCHAR", "Version of the contract that judged the row."),
    "source": ("VARCHAR", "Where the row came from: a file, an endpoint or an asset."),
    "run_id": ("VARCHAR", "The run that refused the row."),
    "quarantined_at": ("TIMESTAMPTZ", "When it was refused, UTC."),
}


def create_table(contract: Contract, *, catalog: str = "lake") -> list[str]:
    """Statements that make the table: schema, columns, comments and partition.

    Not the sort order: rows are sorted when they are staged, and DuckLake would sort them a second time.

    All but the comments and the layout are IF NOT EXISTS; each of those makes a snapshot when it is repeated,
    so run the list only for a table that is missing. A date or timestamp partition column is split by UTC
    day.
    """
    columns = {column.name: (column.type, column.description) for column in contract.columns}
    statements = _create(catalog, contract.schema, contract.table, columns, contract.description)
    target = _target(catalog, contract.schema, contract.table)
    if contract.partition_column:
        name = ident(contract.partition_column)
        by_day = contract.column(contract.partition_column).temporal
        parts = f"year({name}), month({name}), day({name})" if by_day else name
        statements.append(f"ALTER TABLE {target} SET PARTITIONED BY ({parts})")
    return statements


def quarantine_table(contract: Contract, *, catalog: str = "lake") -> list[str]:
    """Statements that make `quarantine.<schema>__<table>`.

    All quarantine tables have the same shape, so a new version of the contract never has to change them.
    """
    purpose = f"Rows that broke a rule of {contract.name} and were kept out of it."
    return _create(catalog, "quarantine", f"{contract.schema}__{contract.table}", QUARANTINE_COLUMNS, purpose)


def _create(catalog: str, schema: str, table: str, columns: dict[str, tuple[str, str]], purpose: str) -> list[str]:
    target = _target(catalog, schema, table)
    body = ", ".join(f"{ident(name)} {kind}" for name, (kind, _) in columns.items())
    statements = [
        f"CREATE SCHEMA IF NOT EXISTS {ident(catalog)}.{ident(schema)}",
        f"CREATE TABLE IF NOT EXISTS {target} ({body})",
        f"COMMENT ON TABLE {target} IS {literal(purpose)}",
    ]
    return statements + [
        f"COMMENT ON COLUMN {target}.{ident(name)} IS {literal(text)}" for name, (_, text) in columns.items() if text
    ]


def _target(catalog: str, schema: str, table: str) -> str:
    return f"{ident(catalog)}.{ident(schema)}.{ident(table)}"
