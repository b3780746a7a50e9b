"""Write, audit, publish: the only way that rows become a table of the lake.

Belongs here: staging a result, checking it against its contract, setting bad rows aside, and committing tables together
with their quarantine, their quality figures and their entry in the log of materializations. Does not: computing a
result, deciding which days to compute (`increments.py`), or Dagster.

The log `data_mesh.materializations` gives each table a version that grows by one with every publication. A publication
names the versions that it read; when another process has published the same table in between, it is refused with
`Superseded` and the caller computes again. So two runs at once never overwrite newer rows with older ones.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

import duckdb

from cogniforge_pipeline import contracts
from cogniforge_pipeline.contracts import Audit, Contract
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.lake import Connection, Lake
from cogniforge_pipeline.queries import Query
from cogniforge_pipeline.sqltext import ident, literal, qualified

MATERIALIZATIONS = "data_mesh.materializations"
QUALITY = "data_mesh.quality_metrics"
ATTEMPTS = 20
"""So often a caller starts over after Superseded. Each time another process did publish, so somebody always goes on."""

_EPOCH = date(1970, 1, 1)
_DAY_US = 86_400_000_000
_names = itertools.count(1)


class Mode(StrEnum):
    """What a publication does to the rows that the table holds."""

    REPLACE = "replace"
    REPLACE_DAYS = "replace_days"
    APPEND = "append"


class AuditFailed(CogniforgeError):
    """A table rule of severity ERROR is broken: nothing was published."""

    def __init__(self, contract: Contract, audit: Audit) -> None:
        self.contract = contract
        self.audit = audit
        broken = "; ".join(f"{r.rule.name}: {r.message}" for r in audit.blocking)
        super().__init__(
            f"{contract.name} breaks its contract and was not published: {broken}",
            f"the rule stands in contracts/{contract.schema}/{contract.table}.yaml; the last published state is unchanged",
        )


class Superseded(CogniforgeError):
    """Another process has published the table since the versions were read."""


@dataclass(frozen=True)
class Staged:
    """A checked result that waits to be published: temp tables with its good and its bad rows."""

    contract: Contract
    good: str
    bad: str
    audit: Audit
    quarantined: int
    mode: Mode
    days: tuple[date, ...]


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


@dataclass(frozen=True)
class Circumstances:
    """Why and from what a table is made: goes to the log with every publication.

    `inputs` are the versions that were read, `expected` the version that this publication replaces (None: no check),
    both by table name.
    """

    run_id: str
    as_of: datetime | None = None
    code_version: str = ""
    inputs: Mapping[str, int] = field(default_factory=dict)
    expected: Mapping[str, int] = field(default_factory=dict)


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
        for view in changed:
            cursor.execute(f"CREATE OR REPLACE VIEW {qualified(view.name)} AS {view.text}")
            cursor.execute(f"COMMENT ON VIEW {qualified(view.name)} IS {literal(view.digest)}")


def versions(cursor: Connection) -> dict[str, int]:
    """The newest version of every table that was ever published."""
    rows = cursor.execute(f"SELECT table_name, max(version) FROM {MATERIALIZATIONS} GROUP BY ALL").fetchall()
    return {name: int(version) for name, version in rows}


def last(cursor: Connection, table: str) -> dict[str, object] | None:
    """The newest entry of the log for one table, or None: version, inputs, code_version, as_of, row_count and so on."""
    found = cursor.execute(
        f"SELECT * FROM {MATERIALIZATIONS} WHERE table_name = {literal(table)} ORDER BY version DESC LIMIT 1"
    )
    names = [column[0] for column in found.description or []]
    row = found.fetchone()
    return dict(zip(names, row, strict=True)) if row else None


Staging = AbstractContextManager[Staged]


@contextmanager
def stage(
    cursor: Connection,
    contract: Contract,
    selects: Sequence[str],
    *,
    mode: Mode,
    run_id: str,
    days: Sequence[date] = (),
    source: str = "",
    refused: Sequence[str] = (),
) -> Iterator[Staged]:
    """Computes the rows of `selects` (all of them together), audits them and sets bad rows aside, in temp tables that
    live as long as the block.

    The selects must give the contract's columns by name; order and types follow the contract. `days` are those that the
    rows replace; those that appended rows touch are found here. Freshness is measured against the clock. `refused` gives rows that
    were set aside before, in the shape of a quarantine table. Raises AuditFailed when a table rule of severity ERROR is
    broken, CogniforgeError when a statement fails, duckdb.Error when disk or memory do.
    """
    token = f"{contract.table}_{os.getpid()}_{next(_names)}"
    raw, good, bad = (f"temp.{ident(f'{kind}_{token}')}" for kind in ("stage", "good", "bad"))
    try:
        try:
            _create(cursor, contract, raw, selects)
        except (duckdb.IOException, duckdb.OutOfMemoryException):
            raise
        except duckdb.Error as error:
            raise CogniforgeError(
                f"{contract.name} could not be computed: {str(error).strip()}",
                f"its query must give the columns of contracts/{contract.schema}/{contract.table}.yaml",
            ) from error
        ordered = len(selects) == 1 and bool(contract.sort_by)
        audit = contracts.audit(cursor, contract, raw, as_of=datetime.now(UTC), ordered=ordered)
        if audit.blocking:
            raise AuditFailed(contract, audit)
        aside = list(refused)
        if audit.row_failures:
            broken = audit.broken
            aside.append(contracts.bad_rows(contract, raw, source=source, run_id=run_id, broken=broken))
            cursor.execute(f"CREATE TEMP TABLE {good} AS {contracts.good_rows(contract, raw, broken=broken)}")
        if aside:
            cursor.execute(
                f"CREATE TEMP TABLE {bad} AS {' UNION ALL BY NAME '.join(f'({select})' for select in aside)}"
            )
        kept = good if audit.row_failures else raw
        if mode is Mode.APPEND and contract.partition_column:
            days = _days(cursor, kept, contract.partition_column)
        yield Staged(contract, kept, bad, audit, _count(cursor, bad) if aside else 0, mode, tuple(days))
    finally:
        for table in (raw, good, bad):
            cursor.execute(f"DROP TABLE IF EXISTS {table}")


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
        rows = _count(cursor, item.good)
        _delete(cursor, item)
        columns = ", ".join(ident(c.name) for c in contract.columns)
        if rows:
            cursor.execute(f"INSERT INTO {qualified(contract.name)} ({columns}) SELECT {columns} FROM {item.good}")
        if item.quarantined:
            cursor.execute(f"INSERT INTO {qualified(quarantine_of(contract))} BY NAME SELECT * FROM {item.bad}")
        version = current.get(contract.name, 0) + 1
        _log(cursor, item, rows, version, circumstances, now)
        written.append(Publication(contract.name, version, 0, rows, item.quarantined, item.days, item.audit))
    return written


def _create(cursor: Connection, contract: Contract, table: str, selects: Sequence[str]) -> None:
    columns = ", ".join(f"{ident(c.name)} {c.type}" for c in contract.columns)
    cursor.execute(f"CREATE TEMP TABLE {table} ({columns})")
    names = ", ".join(ident(c.name) for c in contract.columns)
    order = ", ".join(ident(name) for name in contract.sort_by)
    for select in selects:
        cursor.execute(f"INSERT INTO {table} SELECT {names} FROM ({select}\n){' ORDER BY ' + order if order else ''}")


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


def _log(
    cursor: Connection, item: Staged, rows: int, version: int, circumstances: Circumstances, now: datetime
) -> None:
    contract = item.contract
    _append(
        cursor,
        MATERIALIZATIONS,
        table_name=contract.name,
        version=version,
        inputs=dict(circumstances.inputs),
        days=list(item.days),
        row_count=rows,
        rows_quarantined=item.quarantined,
        mode=item.mode.value,
        code_version=circumstances.code_version,
        as_of=circumstances.as_of,
        run_id=circumstances.run_id,
        published_at=now,
    )
    judged = rows + item.quarantined
    _append(
        cursor,
        QUALITY,
        product_id=contract.name,
        timestamp=now,
        **(dict(item.audit.figures) | {"error_rate": item.quarantined / judged if judged else 0.0}),
        contract_version=contract.version,
        run_id=circumstances.run_id,
        version=version,
    )


def _append(cursor: Connection, table: str, **values: Any) -> None:
    columns = ", ".join(f"{literal(value)} AS {ident(name)}" for name, value in values.items())
    cursor.execute(f"INSERT INTO {table} BY NAME SELECT {columns}")


def spans(days: Sequence[date]) -> list[tuple[date, date]]:
    """Contiguous half-open spans [first, after) that cover exactly these days."""
    found: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        after = date.fromordinal(day.toordinal() + 1)
        if found and found[-1][1] == day:
            found[-1] = (found[-1][0], after)
        else:
            found.append((day, after))
    return found


def midnight(day: date) -> datetime:
    """The first instant of a UTC day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def quarantine_of(contract: Contract) -> str:
    return f"quarantine.{contract.schema}__{contract.table}"


def _days(cursor: Connection, table: str, column: str) -> list[date]:
    """The UTC days of a table's rows; a cast to DATE would ask the time zone's calendar for every row."""
    rows = cursor.execute(f"SELECT DISTINCT epoch_us({ident(column)}) // {_DAY_US} FROM {table}").fetchall()
    return [_EPOCH + timedelta(days=row[0]) for row in sorted(rows)]


def _count(cursor: Connection, table: str) -> int:
    row = cursor.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0
