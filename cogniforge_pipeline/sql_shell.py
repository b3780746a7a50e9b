"""Read-only SQL against the lake, now or at a snapshot.

Belongs here: opening the lake so that a query can read its tables and nothing else, and the forms of output. Does not:
queries of our own.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.lake import Connection, Lake, LakeError, Snapshot
from cogniforge_pipeline.settings import Settings
from cogniforge_pipeline.sqltext import literal

if TYPE_CHECKING:
    import polars as pl

FORMATS = ("table", "csv", "json", "parquet")
SHOWN_ROWS = 200
_EXPLAIN = re.compile(r"\s*EXPLAIN\s+(?:ANALYZE\s+|\([^)]*\)\s*)?", re.IGNORECASE)
_NAME = re.compile(rb'"(\w+)"|(\w+)')
_HARMLESS = re.compile(
    r"duckdb_(?!secrets)\w+|pragma_\w+|ducklake_(current_snapshot|last_committed_snapshot|list_files|snapshots)|"
    r"ducklake_table_\w+|range|generate_series|unnest|repeat|repeat_row|json_each|json_tree|histogram|"
    r"histogram_values|summary|query_table|pg_timezone_names|icu_calendar_names"
)
"""Table functions that a query may call. Others read files, run SQL that was not looked at, or write in the lake's
folder even while the lake is open for reading only."""


def connect(settings: Settings, at: str | None = None) -> Connection:
    """A cursor that can read the lake's tables (at a snapshot when `at` is its id or a time), and no other file.

    Raises LakeError when there is no lake, CogniforgeError for an `at` that is neither.
    """
    try:
        cursor = Lake(settings, read_only=True, snapshot=_snapshot(at)).cursor()
    except LakeError as error:
        if at is None or "No snapshot found" not in error.message:
            raise
        raise LakeError(
            f"--at {at}: the lake has no such snapshot",
            "list them with: cogniforge sql \"FROM ducklake_snapshots('lake')\"",
        ) from error
    folder = settings.data.rstrip("/") + "/"
    cursor.execute(f"SET GLOBAL allowed_directories = [{literal(folder)}]")
    cursor.execute("SET GLOBAL enable_external_access = false")
    cursor.execute("SET GLOBAL lock_configuration = true")
    return cursor


def read(cursor: Connection, query: str) -> Connection:
    """Runs one reading statement. Raises CogniforgeError for any other, or with DuckDB's message."""
    try:
        statements = cursor.extract_statements(query)
        if len(statements) != 1 or not _reads(cursor, query):
            raise CogniforgeError(
                "expected one SELECT; this command only reads", "data changes through `cogniforge run`"
            )
        for name in _calls(query):
            if name in _refused(cursor):
                raise CogniforgeError(f"{name} is refused: a query reads the lake's tables and nothing else")
        return cursor.execute(statements[0])
    except duckdb.Error as error:
        raise CogniforgeError(str(error).strip(), 'list the tables with: cogniforge sql "SHOW ALL TABLES"') from error


def _reads(cursor: Connection, query: str) -> bool:
    """Whether a single statement is a SELECT, or explains one; EXPLAIN ANALYZE runs what it explains."""
    inner = cursor.extract_statements(_EXPLAIN.sub("", query, count=1) if _EXPLAIN.match(query) else query)
    return len(inner) == 1 and inner[0].type.name == "SELECT"


def _calls(query: str) -> Iterator[str]:
    """Lower-case names of the functions that a statement calls."""
    text = query.encode()
    starts = [offset for offset, _ in duckdb.tokenize(query)]
    for start, after in itertools.pairwise(starts):
        name = _NAME.match(text, start)
        if name and text[after : after + 1] == b"(":
            yield (name[1] or name[2]).decode().lower()


def _refused(cursor: Connection) -> set[str]:
    """Names of the table functions that are not harmless; the lake's own also work without their prefix."""
    names = cursor.execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ('table', 'table_macro', 'pragma')"
    ).fetchall()
    refused = {name for (name,) in names if not _HARMLESS.fullmatch(name)}
    return refused | {name.removeprefix("ducklake_") for name in refused}


def show(settings: Settings, query: str, *, at: str | None, form: str, output: Path | None, console: Console) -> None:
    """Prints a query's rows, or writes them to a file (Parquet needs one). Raises CogniforgeError."""
    if form not in FORMATS:
        raise CogniforgeError(f"--format {form}: expected one of {', '.join(FORMATS)}")
    if form == "parquet" and output is None:
        raise CogniforgeError("--format parquet needs a file", "add --output rows.parquet")
    found = read(connect(settings, at), query)
    if form == "table" and output is None:
        _print_table(found, console)
        return
    frame = _frame(found)
    if output is None:
        text = _csv(frame) if form == "csv" else frame.write_json()
        console.file.write(text if text.endswith("\n") else text + "\n")
        return
    try:
        if form == "parquet":
            frame.write_parquet(output)
        else:
            output.write_text(frame.write_json() if form == "json" else _csv(frame), encoding="utf-8")
    except OSError as error:
        raise CogniforgeError(
            f"{output} cannot be written: {error.strerror or error}", "choose another file"
        ) from error


def _frame(found: Connection) -> pl.DataFrame:
    from polars.exceptions import PolarsError

    try:
        return found.pl()
    except PolarsError as error:
        kinds = ", ".join(f"{name} {kind}" for name, kind, *_ in found.description or [])
        raise CogniforgeError(
            f"a column has a type that only the table form can show: {kinds}", "cast it to VARCHAR"
        ) from error


def _csv(frame: pl.DataFrame) -> str:
    import polars as pl

    nested = [name for name, kind in frame.schema.items() if kind.is_nested()]
    text = frame.with_columns(
        pl.col(name).map_elements(lambda v: str(list(v) if hasattr(v, "to_list") else v), pl.String) for name in nested
    )
    return text.write_csv()


def _print_table(found: Connection, console: Console) -> None:
    names = [column[0] for column in found.description or []]
    rows = found.fetchmany(SHOWN_ROWS + 1)
    table = Table(*map(escape, names), header_style="bold")
    for row in rows[:SHOWN_ROWS]:
        table.add_row(*(_cell(value) for value in row))
    console.print(table)
    if len(rows) > SHOWN_ROWS:
        console.print(f"[dim]the first {SHOWN_ROWS} rows; --format csv gives all[/]")


def _cell(value: object) -> str:
    if value is None:
        return "[dim]NULL[/]"
    if isinstance(value, datetime):
        value = value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if value.tzinfo else value
    elif isinstance(value, float):
        value = f"{value:.6g}"
    return escape(str(value))


def _snapshot(at: str | None) -> Snapshot | None:
    if at is None:
        return None
    if re.fullmatch(r"\d+", at):
        return Snapshot(int(at))
    try:
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise CogniforgeError(
            f"--at {at!r}: expected a snapshot's id or a time", "such as 12 or 2026-11-01T00:00:00Z"
        ) from error
    return Snapshot(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
