"""Rows that come from outside a run, such as calls of the Python API: they become rows of a table at once.

Belongs here: values to typed rows, appending, and writing by primary key. Does not: what the rows mean, the registry
of declarations (`registry.py`), or tables that a run computes.

A row is a mapping of column names to values: str, bool, int, float, aware datetime, date, None, lists of these for
arrays, and mappings for STRUCT and MAP. What a row leaves out is NULL. The contract is held as in every publication,
but a row that breaks it is refused with an error, never set aside: whoever wrote it is there to hear of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, cast

import duckdb
from duckdb.sqltypes import DuckDBPyType

from cogniforge_pipeline import publish
from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import Circumstances, Mode, Publication, Staged
from cogniforge_pipeline.sqltext import ident, literal, qualified

Row = Mapping[str, Any]

SHOWN_REASONS = 3

_PYTHON: dict[str, tuple[type, ...]] = {
    "varchar": (str,),
    "boolean": (bool,),
    "double": (float, int),
    "float": (float, int),
    "date": (date,),
    "timestamp with time zone": (datetime,),
}
_WHOLE = {"tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "usmallint", "uinteger", "ubigint"}


class RowRefused(CogniforgeError):
    """A row that the table's contract does not allow; nothing was written."""


def append(home: Home, table: str, rows: Sequence[Row], *, run_id: str) -> Publication | None:
    """Adds rows; they are on disk when this returns, all or none. No rows: nothing happens, and None comes back.

    Raises RowRefused for unknown columns, values of another type, rows that break the contract, and primary keys that
    the table has already; LakeError as every write.
    """
    contract, cursor = _contract(home, table), home.lake.cursor()
    if not rows:
        return None

    with (
        home.lake.explained(),
        publish.stage(cursor, contract, [_select(contract, rows)], mode=Mode.APPEND, run_id=run_id) as staged,
    ):
        _refuse_bad(cursor, staged)
        with home.lake.transaction(cursor) as made:
            _refuse_known(cursor, staged)
            (written,) = publish.commit(cursor, [staged], Circumstances(run_id))
        return replace(written, snapshot=made.snapshot)


def append_within(home: Home, cursor: Connection, table: str, rows: Sequence[Row], *, run_id: str) -> None:
    """As `append`, inside a transaction that the caller holds on `cursor`: for rows of several tables, all or none."""
    contract = _contract(home, table)
    with publish.stage(cursor, contract, [_select(contract, rows)], mode=Mode.APPEND, run_id=run_id) as staged:
        _refuse_bad(cursor, staged)
        _refuse_known(cursor, staged)
        publish.commit(cursor, [staged], Circumstances(run_id))


def upsert(home: Home, table: str, rows: Sequence[Row], *, run_id: str) -> Publication | None:
    """Adds rows, in place of those that have the same primary key; otherwise as `append`.

    The table must have a primary key and no days: it is written as a whole, inside the lake. Raises as `append`.
    """
    return update(home, table, lambda _: rows, run_id=run_id)


def update(home: Home, table: str, make: Callable[[Connection], Sequence[Row]], *, run_id: str) -> Publication | None:
    """As `upsert`, with rows that `make` derives from what the lake holds: nobody writes between its reading and this.

    All other writers wait meanwhile, so `make` has to be quick. Retrying instead would starve: rows that come from
    outside come often and are few, and of six busy processes one lost twenty times in a row.
    """
    contract, cursor = _contract(home, table), home.lake.cursor()
    key = ", ".join(map(ident, contract.primary_key))
    if not key or contract.partition_column:
        raise ValueError(f"{table} has no primary key, or has days: its rows can only be appended")

    with home.lake.transaction(cursor) as made:
        rows = make(cursor)
        if not rows:
            return None
        with publish.stage(cursor, contract, [_select(contract, rows)], mode=Mode.APPEND, run_id=run_id) as new:
            _refuse_bad(cursor, new)
            kept = f"SELECT * FROM {qualified(table)} ANTI JOIN {new.good} USING ({key})"
            selects = [f"SELECT * FROM {new.good} UNION ALL BY NAME {kept}"]
            with publish.stage(cursor, contract, selects, mode=Mode.REPLACE, run_id=run_id) as whole:
                (written,) = publish.commit(cursor, [whole], Circumstances(run_id))
    return replace(written, snapshot=made.snapshot)


def _contract(home: Home, table: str) -> Contract:
    if table not in home.contracts:
        raise CogniforgeError(f"there is no table {table}", f"tables: {', '.join(sorted(home.contracts))}")
    return home.contracts[table]


def _select(contract: Contract, rows: Sequence[Row]) -> str:
    types = {column.name: duckdb.sqltype(column.type) for column in contract.columns}
    unknown = sorted({str(name) for row in rows for name in row} - set(types))
    if unknown:
        raise RowRefused(
            f"{contract.name} has no column {', '.join(unknown)}", f"its columns are {', '.join(sorted(types))}"
        )
    values = ", ".join(
        f"({', '.join(_value(f'{contract.name}.{name}', row.get(name), kind) for name, kind in types.items())})"
        for row in rows
    )
    return f"SELECT * FROM (VALUES {values}) AS rows ({', '.join(map(ident, types))})"


def _value(place: str, value: Any, kind: DuckDBPyType) -> str:
    """A value as a literal of a type. Raises RowRefused when it is of another one."""
    if value is None:
        return f"CAST(NULL AS {kind})"
    children = cast(dict[str, DuckDBPyType], dict(kind.children)) if kind.id in ("list", "struct", "map") else {}
    match kind.id:
        case "list" if isinstance(value, Sequence) and not isinstance(value, str):
            items = ", ".join(_value(f"{place}[{n}]", item, children["child"]) for n, item in enumerate(value))
            return f"CAST([{items}] AS {kind})"
        case "struct" if isinstance(value, Mapping) and set(value) <= set(children):
            parts = (
                f"{ident(name)}: {_value(f'{place}.{name}', value.get(name), child)}"
                for name, child in children.items()
            )
            return f"{{{', '.join(parts)}}}"
        case "map" if isinstance(value, Mapping):
            pairs = (
                f"{_value(place, key, children['key'])}: {_value(f'{place}[{key!r}]', item, children['value'])}"
                for key, item in value.items()
            )
            return f"CAST(MAP {{{', '.join(pairs)}}} AS {kind})"
    if not _fits(value, kind.id):
        raise RowRefused(f"{place}: expected {kind}, got {value!r}", "give a value of that type, or None")
    return f"CAST({literal(value)} AS {kind})"


def _fits(value: Any, kind: str) -> bool:
    if kind in _WHOLE:
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, bool) and kind != "boolean":
        return False
    if isinstance(value, datetime):
        return kind == "timestamp with time zone" and value.tzinfo is not None
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        return False
    return isinstance(value, _PYTHON.get(kind, ()))


def _refuse_bad(cursor: Connection, staged: Staged) -> None:
    if staged.quarantined:
        _refuse(staged.contract, staged.quarantined, cursor.execute(f"SELECT reason FROM {staged.bad}").fetchall())


def _refuse_known(cursor: Connection, staged: Staged) -> None:
    """Refuses primary keys that the table has, looked for on the days of the new rows where it has days."""
    contract = staged.contract
    if not contract.primary_key:
        return
    where = ""
    if contract.partition_column in contract.primary_key:
        column = ident(contract.partition_column)
        where = f"WHERE {column} BETWEEN (SELECT min({column}) FROM {staged.good}) AND (SELECT max({column}) FROM {staged.good})"
    key = ", ".join(map(ident, contract.primary_key))
    found = cursor.execute(
        f"SELECT {key} FROM {staged.good} SEMI JOIN (SELECT {key} FROM {qualified(contract.name)} {where}) USING ({key})"
    ).fetchall()
    if found:
        names = ", ".join(contract.primary_key)
        _refuse(contract, len(found), [(f"{names} {', '.join(map(str, row))} is there already",) for row in found])


def _refuse(contract: Contract, count: int, reasons: Sequence[tuple[str, ...]]) -> None:
    shown = "; ".join(row[0] for row in reasons[:SHOWN_REASONS])
    raise RowRefused(
        f"{contract.name} refuses {count} of these rows: {shown}",
        f"the rules stand in contracts/{contract.schema}/{contract.table}.yaml; nothing was written",
    )
