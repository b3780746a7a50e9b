"""A result in temp tables, checked against its contract, with its bad rows set aside.

Belongs here: all of a publication that needs no lock. Does not: writing to the lake (`write.py`).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

import duckdb

from cogniforge_pipeline import contracts
from cogniforge_pipeline.contracts import Audit, Contract
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.lake import Connection, Lake
from cogniforge_pipeline.publish.attempt import Attempt, tell
from cogniforge_pipeline.sqltext import ident

_EPOCH = date(1970, 1, 1)
_DAY_US = 86_400_000_000
_names = itertools.count(1)


class Mode(StrEnum):
    """What a publication does to the rows that the table holds."""

    REPLACE = "replace"
    REPLACE_DAYS = "replace_days"
    APPEND = "append"


class Superseded(CogniforgeError):
    """Another process has published the table since the versions were read."""


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
    started: datetime
    selects: tuple[str, ...]


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
    broken, CogniforgeError when a statement fails, duckdb.Error when disk or memory do. Whoever listens to the lake is
    told of an error, here or in the block, unless it is Superseded: then somebody else has published.
    """
    started = datetime.now(UTC)
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
        aside_rows = count(cursor, bad) if aside else 0
        if audit.row_failures:
            set_aside = aside_rows - sum(count(cursor, f"({select})") for select in refused)
            if count(cursor, good) + set_aside != audit.rows:
                raise CogniforgeError(
                    f"{contract.name}: a rule judged some of the {audit.rows} rows otherwise when it was asked again",
                    "its SQL must always answer alike: no random(), and an ORDER BY inside mode, first and the like",
                )
        yield Staged(contract, kept, bad, audit, aside_rows, mode, tuple(days), started, tuple(selects))
    except Superseded:
        raise
    except Exception as error:
        replaced = tuple(days) if mode is Mode.REPLACE_DAYS else ()
        attempt = Attempt(
            contract, run_id, started, datetime.now(UTC), days=replaced, selects=tuple(selects), error=error
        )
        if lake := Lake.owning(cursor):
            lake.later(cursor, lambda _: tell(lake, attempt))
        raise
    finally:
        with suppress(duckdb.Error):  # a caller's transaction that failed takes them with it
            for table in (raw, good, bad):
                cursor.execute(f"DROP TABLE IF EXISTS {table}")


def _create(cursor: Connection, contract: Contract, table: str, selects: Sequence[str]) -> None:
    columns = ", ".join(f"{ident(c.name)} {c.type}" for c in contract.columns)
    cursor.execute(f"CREATE TEMP TABLE {table} ({columns})")
    names = ", ".join(ident(c.name) for c in contract.columns)
    order = ", ".join(ident(name) for name in contract.sort_by)
    for select in selects:
        cursor.execute(f"INSERT INTO {table} SELECT {names} FROM ({select}\n){' ORDER BY ' + order if order else ''}")


def _days(cursor: Connection, table: str, column: str) -> list[date]:
    """The UTC days of a table's rows; a cast to DATE would ask the time zone's calendar for every row."""
    rows = cursor.execute(f"SELECT DISTINCT epoch_us({ident(column)}) // {_DAY_US} FROM {table}").fetchall()
    return [_EPOCH + timedelta(days=row[0]) for row in sorted(rows)]


def count(cursor: Connection, table: str) -> int:
    """How many rows a table has."""
    row = cursor.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0
