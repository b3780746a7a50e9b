"""From the texts of a file to the types of a contract, as SQL.

Belongs here: which of a file's columns fills which of the contract's, casts, the reasons why a value cannot be cast, and
the day of a row. Does not: opening files, or what is done with a row.

A landed row is what a file said, kept as it was: `item` and `position` (file and line), `row` (a JSON object of the
contract's columns, each value as text or null; of a record that is broken as such its text), `problem` (why it cannot
be a row of the table, NULL where it can) and `day` (UTC, of a table with days; NULL where the row does not tell).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from cogniforge_pipeline.contracts import Column, Contract
from cogniforge_pipeline.sources import records
from cogniforge_pipeline.sources.model import TableSource
from cogniforge_pipeline.sources.points import time_problem
from cogniforge_pipeline.sqltext import ident, literal

SHOWN_TEXT = 80
_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"}
_INTEGERS |= {f"U{name}" for name in _INTEGERS}
_DAY_US = 86_400_000_000
PLACE = "item || ':' || position"
"""Where a landed row comes from, as the `source` of quarantined rows has it: file and line."""
_PLACE = '"src:item" || \':\' || "src:position"'


def fill_columns(contract: Contract, mapping: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """The contract's columns that a file with the columns `names` fills, and the file's column for each.

    Letter case does not matter where it leaves no doubt. Raises RefusedItem when a column is not there that the
    contract requires or the mapping names.
    """
    folded = records.by_any_case(names)
    found = {}
    for column in contract.columns:
        wanted = mapping.get(column.name, column.name)
        name = folded.get(wanted) or folded.get(wanted.lower())
        if name is not None:
            found[column.name] = name
        elif column.required or column.name in mapping:
            raise records.no_column(wanted, names)
    return found


def row_sql(texts: Mapping[str, str]) -> str:
    """The `row` of a landed row from expressions of text by column."""
    return f"CAST(json_object({', '.join(f'{literal(name)}, {sql}' for name, sql in texts.items())}) AS VARCHAR)"


def text_sql(column: records.Column) -> str:
    """A file's value as text that `cast_sql` reads back; nested values are JSON."""
    if column.type == "VARCHAR":
        return column.sql
    plain = f"to_json({column.sql})" if _nested(column.type) else column.sql
    return f"CAST({plain} AS VARCHAR)"


def cast_sql(text: str, kind: str, source: TableSource) -> str:
    """A text as a value of a DuckDB type; NULL when it is empty or no such value.

    A fraction is no whole number, and an infinite time is no time.
    """
    if kind == "VARCHAR":
        return text
    trimmed = f"nullif(trim({text}), '')"
    if kind in _INTEGERS:
        return rf"CASE WHEN NOT regexp_matches({text}, '\.\d*[1-9]') THEN try_cast({trimmed} AS {kind}) END"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return _finite(records.timestamp_sql(records.Column(text), source))
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        cast = f"try_cast({trimmed} AS {kind})"
        if source.timestamp_format:
            parsed = f"try_strptime({trimmed}, {literal(source.timestamp_format)})"
            cast = f"coalesce(CAST({parsed} AS {kind}), {cast})"
        return _finite(cast)
    if _nested(kind):
        return f"TRY(CAST(CASE WHEN json_valid({text}) THEN CAST({text} AS JSON) END AS {kind}))"
    return f"try_cast({trimmed} AS {kind})"


def day_sql(time: str) -> str:
    """The UTC day of a time; a cast to DATE would ask the time zone's calendar for every row."""
    return f"DATE '1970-01-01' + CAST(epoch_us({time}) // {_DAY_US} AS INTEGER)"


def judged_sql(contract: Contract, source: TableSource, relation: str, now: datetime) -> str:
    """SELECT of landed rows with `problem` and `day`, from a relation of `item`, `position`, `row` and `problem`.

    In a table with days the time that says the day must be there, not before 1970 and at most a day after `now`.
    """
    reasons = [_uncast(contract, column) for column in contract.columns if column.type != "VARCHAR"]
    day = "CAST(NULL AS DATE)"
    if name := contract.partition_column:
        column = contract.column(name)
        untold = f"CASE {time_problem(now, ident(name))}END"
        reasons.append(f"CASE WHEN {_uncast(contract, column)} IS NULL THEN {literal(f'{name}: ')} || {untold} END")
        day = f"CASE WHEN {untold} IS NULL THEN {day_sql(ident(name))} END"
    broken = (
        f"nullif(array_to_string(list_filter([{', '.join(reasons) or 'NULL'}], lambda r: r IS NOT NULL), '; '), '')"
    )
    return (
        f'SELECT "src:item" AS item, "src:position" AS position, {day} AS day, "src:row" AS row, '
        f'coalesce("src:problem", {broken}) AS problem FROM ({_cast_rows(contract, source, relation)})'
    )


def good_sql(contract: Contract, source: TableSource, landed: str) -> str:
    """SELECT of the contract's columns, and of `src:place`, from the landed rows that have no problem."""
    columns = ", ".join(ident(column.name) for column in contract.columns)
    cast = _cast_rows(contract, source, f"SELECT * FROM ({landed}) WHERE problem IS NULL")
    return f'SELECT {columns}, {_PLACE} AS "src:place" FROM ({cast})'


def bad_sql(contract: Contract, source: TableSource, landed: str, run_id: str) -> str:
    """SELECT of the landed rows with a problem in the shape of a quarantine table.

    The time that says a row's day is in UTC there, so that the row goes with its day.
    """
    row = '"src:row"'
    if name := contract.partition_column:
        patched = f"json_merge_patch(CAST({row} AS JSON), json_object({literal(name)}, CAST({ident(name)} AS VARCHAR)))"
        row = f'CASE WHEN "src:day" IS NULL THEN {row} ELSE CAST({patched} AS VARCHAR) END'
    cast = _cast_rows(contract, source, f"SELECT * FROM ({landed}) WHERE problem IS NOT NULL", ', day AS "src:day"')
    return (
        f"SELECT {row} AS row, ['readable'] AS rules, \"src:problem\" AS reason, "
        f"{literal(contract.version)} AS contract_version, "
        f"{_PLACE} AS source, "
        f"{literal(run_id)} AS run_id, now() AS quarantined_at FROM ({cast})"
    )


def _cast_rows(contract: Contract, source: TableSource, relation: str, more: str = "") -> str:
    """SELECT of the contract's columns, and what a row came with under names that no column has."""
    pointers = literal([records.json_pointer(column.name) for column in contract.columns])
    casts = ", ".join(
        f"{cast_sql(_text(contract, column), column.type, source)} AS {ident(column.name)}"
        for column in contract.columns
    )
    return (
        f'SELECT *, {casts} FROM (SELECT item AS "src:item", position AS "src:position", row AS "src:row", '
        f'problem AS "src:problem"{more}, json_extract_string(row, {pointers}) AS "src:texts" FROM ({relation}))'
    )


def _text(contract: Contract, column: Column) -> str:
    return f'"src:texts"[{contract.columns.index(column) + 1}]'


def _uncast(contract: Contract, column: Column) -> str:
    """Why a column's text is no value of its type, or NULL."""
    text = _text(contract, column)
    got = f"left(trim({text}), {SHOWN_TEXT})"
    expected = literal(f"{column.name}: expected {column.type}, got '")
    there = f"{ident(column.name)} IS NULL AND nullif(trim({text}), '') IS NOT NULL"
    return f"CASE WHEN {there} THEN {expected} || {got} || '''' END"


def _finite(time: str) -> str:
    return f"list_filter([{time}], lambda t: isfinite(t))[1]"


def _nested(kind: str) -> bool:
    return kind.endswith("]") or kind.startswith(("STRUCT(", "MAP("))
