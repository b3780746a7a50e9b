"""Tables of the lake: making them, and committing staged rows.

Belongs here: every statement that changes a table of the lake. Does not: checking rows (`stage.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial

from cogniforge_pipeline import contracts
from cogniforge_pipeline.contracts import Audit, Contract
from cogniforge_pipeline.lake import Connection, Lake
from cogniforge_pipeline.publish.attempt import Attempt, tell
from cogniforge_pipeline.publish.days import midnight, spans
from cogniforge_pipeline.publish.log import Circumstances, enter, versions
from cogniforge_pipeline.publish.stage import Mode, Staged, Superseded, count
from cogniforge_pipeline.queries import Query
from cogniforge_pipeline.sqltext import ident, literal, qualified

ATTEMPTS = 20
"""So often a caller starts over after Superseded. Each time another process did publish, so somebody always goes on."""


@dataclass(frozen=True)
class Publication:
    """What was published: one entry of the log, and the figures of its audit."""

    table: str
    version: int
    snapshot: int
    rows: int
    quarantined: int
    days: tuple[date, ...]
    audit: Audit


def prepare(lake: Lake, tables: Sequence[Contract], views: Mapping[str, Query] | None = None) -> None:
    """Makes the tables that are not there yet, with their quarantine and the log, and the views that are new or
    changed."""
    cursor = lake.cursor()
    known = {
        f"{schema}.{table}"
        for schema, table in cursor.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_catalog()"
        ).fetchall()
    }
    missing = [c for c in tables if c.name not in known or quarantine_of(c) not in known]
    held = {
        f"{schema}.{view}": comment
        for schema, view, comment in cursor.execute(
            "SELECT schema_name, view_name, comment FROM duckdb_views() WHERE database_name = current_catalog()"
        ).fetchall()
    }
    changed = [view for name, view in (views or {}).items() if held.get(name) != view.digest]
    if not missing and not changed:
        return
    with lake.transaction(cursor):
        for contract in missing:
            for statement in (*contracts.create_table(contract), *contracts.quarantine_table(contract)):
                cursor.execute(statement)
            for name in (contract.name, quarantine_of(contract)):
                _give_statistics(cursor, name)
        for view in changed:
            cursor.execute(f"CREATE OR REPLACE VIEW {qualified(view.name)} AS {view.text}")
            cursor.execute(f"COMMENT ON VIEW {qualified(view.name)} IS {literal(view.digest)}")


def _give_statistics(cursor: Connection, table: str) -> None:
    """A row that comes and goes in the same transaction. DuckLake 1.5 asks its catalog for the statistics of a table that
    has none again for every column that a statement reads, which takes longer than all else about an empty table.
    """
    cursor.execute(f"INSERT INTO {qualified(table)} DEFAULT VALUES")
    cursor.execute(f"DELETE FROM {qualified(table)}")


def publish(
    lake: Lake, cursor: Connection, staged: Sequence[Staged], circumstances: Circumstances
) -> list[Publication]:
    """Commits the staged tables in one transaction, with quarantine, quality figures and log.

    Raises Superseded when one of the tables has another version than expected; LakeError when the commit fails.
    """
    with lake.transaction(cursor) as made:
        written = commit(cursor, staged, circumstances)
    return [replace(publication, snapshot=made.snapshot) for publication in written]


def commit(cursor: Connection, staged: Sequence[Staged], circumstances: Circumstances) -> list[Publication]:
    """The writes of `publish`, inside a transaction that the caller holds; `snapshot` is 0 until it ends."""
    current = versions(cursor)
    for name, expected in circumstances.expected.items():
        if current.get(name, 0) != expected:
            raise Superseded(f"{name} is at version {current.get(name, 0)} by now, expected {expected}", "run again")
    now = datetime.now(UTC)
    written = []
    for item in staged:
        contract = item.contract
        rows = count(cursor, item.good)
        _reshape(cursor, contract)
        _delete(cursor, item)
        columns = ", ".join(ident(c.name) for c in contract.columns)
        if rows:
            cursor.execute(f"INSERT INTO {qualified(contract.name)} ({columns}) SELECT {columns} FROM {item.good}")
        if item.quarantined:
            cursor.execute(f"INSERT INTO {qualified(quarantine_of(contract))} BY NAME SELECT * FROM {item.bad}")
        version = current.get(contract.name, 0) + 1
        enter(cursor, item, rows, version, circumstances, now)
        publication = Publication(contract.name, version, 0, rows, item.quarantined, item.days, item.audit)
        written.append(publication)
        if lake := Lake.owning(cursor):
            lake.later(cursor, partial(_tell, lake, item, publication, circumstances))
    return written


def _tell(lake: Lake, item: Staged, made: Publication, circumstances: Circumstances, snapshot: int | None) -> None:
    if snapshot is None:
        return
    attempt = Attempt(
        item.contract,
        circumstances.run_id,
        item.started,
        datetime.now(UTC),
        days=item.days if item.mode is Mode.REPLACE_DAYS else (),
        selects=item.selects,
        circumstances=circumstances,
        publication=replace(made, snapshot=snapshot),
    )
    tell(lake, attempt)


def _reshape(cursor: Connection, contract: Contract) -> None:
    """Gives the table the columns of its contract, where that is another one than the contract that made it."""
    columns = cursor.execute(f"DESCRIBE {qualified(contract.name)}").fetchall()
    for statement in contracts.alter_table(contract, {name: kind for name, kind, *_ in columns}):
        cursor.execute(statement)


def _delete(cursor: Connection, item: Staged) -> None:
    table = qualified(item.contract.name)
    quarantine = qualified(quarantine_of(item.contract))
    if item.mode is Mode.REPLACE:
        cursor.execute(f"DELETE FROM {table}")
        cursor.execute(f"DELETE FROM {quarantine}")
    elif item.mode is Mode.REPLACE_DAYS:
        column = ident(item.contract.partition_column or "ts")
        for first, after in spans(item.days):
            cursor.execute(
                f"DELETE FROM {table} WHERE {column} >= {literal(midnight(first))} AND {column} < {literal(midnight(after))}"
            )
            at = f"try_cast(json_extract_string(row, {literal('$.' + (item.contract.partition_column or 'ts'))}) AS TIMESTAMPTZ)"
            cursor.execute(
                f"DELETE FROM {quarantine} WHERE {at} >= {literal(midnight(first))} AND {at} < {literal(midnight(after))}"
            )


def quarantine_of(contract: Contract) -> str:
    """The table that takes the bad rows of a contract's table."""
    return f"quarantine.{contract.schema}__{contract.table}"
