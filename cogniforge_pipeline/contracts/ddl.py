"""Tables as their contracts declare them, as statements for a DuckLake.

Belongs here: CREATE, ALTER, COMMENT, partitioning. Does not: running them, or whether a change is allowed.
DuckLake has no keys and no checks; those are rules of the audit.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

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

_IN_PLACE = {*combinations(("TINYINT", "SMALLINT", "INTEGER", "BIGINT"), 2), ("FLOAT", "DOUBLE")}
"""Types that DuckLake changes without writing any row again."""


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


def alter_table(contract: Contract, actual: Mapping[str, str], *, catalog: str = "lake") -> list[str]:
    """Statements that give a table with the columns `actual` (types by name, as DESCRIBE prints them) those of the contract.

    None where they are the same. Rows keep what the new types can hold, NULL takes the place of the rest, and older
    snapshots keep everything. Columns that are new or have another type come last. Run them in one transaction.
    """
    target = _target(catalog, contract.schema, contract.table)
    wanted = {column.name: column.type for column in contract.columns}
    changed = [name for name in actual if name in wanted and actual[name] != wanted[name]]
    in_place = [name for name in changed if (actual[name], wanted[name]) in _IN_PLACE]
    cast = [name for name in changed if name not in in_place]
    statements = [f"ALTER TABLE {target} ALTER {ident(name)} TYPE {wanted[name]}" for name in in_place]
    statements += [
        f"ALTER TABLE {target} DROP COLUMN {ident(name)}" for name in actual if name not in wanted or name in cast
    ]
    for column in contract.columns:
        if column.name not in actual or column.name in cast:
            statements.append(f"ALTER TABLE {target} ADD COLUMN {ident(column.name)} {column.type}")
            if column.description:
                statements.append(f"COMMENT ON COLUMN {target}.{ident(column.name)} IS {literal(column.description)}")
    return _keeping(target, actual, wanted, statements) if cast else statements


def _keeping(target: str, actual: Mapping[str, str], wanted: Mapping[str, str], alter: list[str]) -> list[str]:
    """The statements, with all rows put aside and back as the new types: DuckLake changes few types by itself, and to
    rename a nested column leaves a catalog that it cannot read."""
    kept = f"temp.{ident(f'kept {target}')}"
    columns = ", ".join(
        f"TRY_CAST({ident(name)} AS {wanted[name]}) AS {ident(name)}" for name in actual if name in wanted
    )
    return [
        f"CREATE TEMP TABLE {kept} AS SELECT {columns} FROM {target}",
        f"DELETE FROM {target}",
        *alter,
        f"INSERT INTO {target} BY NAME SELECT * FROM {kept}",
        f"DROP TABLE {kept}",
    ]


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
