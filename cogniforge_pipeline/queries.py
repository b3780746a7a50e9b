"""SQL files as tables: reading `sql/<schema>/<table>.sql`, finding what it depends on, filling in its parameters.

Belongs here: one query as a plain value. Does not: running it (`increments.py`) or its Dagster asset (`sql_assets.py`).

A file holds one SELECT. It may use `$as_of` (a decision's time) and, when its table is partitioned by day,
`$day_start` and `$day_end` (half-open), all TIMESTAMPTZ. Comment lines at its top may declare

    -- lookback: 14 days

how many earlier days the rows of a day depend on: when a day changes, so many later days are computed again.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import ClassVar

import duckdb

from cogniforge_pipeline.contracts.sqlcheck import empty_cursor
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.recipes import Beside
from cogniforge_pipeline.sqltext import literal

PARAMETERS = ("as_of", "day_start", "day_end")
_PARAMETER = re.compile(rb"\$(\w+)")
_HEADER = re.compile(r"^--\s*(\w+)\s*:\s*(.+?)\s*$")


class QueryInvalid(CogniforgeError):
    """A SQL file that cannot become a table."""


@dataclass(frozen=True)
class Query:
    """One SELECT: `name` is `schema.table`, `inputs` the tables it reads, `lookback` in days."""

    name: str
    text: str
    inputs: tuple[str, ...]
    lookback: int = 0
    ahead: ClassVar[int] = 0
    idle: ClassVar[bool] = False
    timeless: ClassVar[bool] = False

    @property
    def parameters(self) -> frozenset[str]:
        return frozenset(_parameters(self.text))

    @property
    def digest(self) -> str:
        """Changes when the query's meaning may have changed."""
        return hashlib.sha256(f"{self.lookback}\n{self.text}".encode()).hexdigest()[:16]

    def bind(self, **values: datetime | None) -> str:
        """The text with its parameters filled in as literals. Raises QueryInvalid when one has no value."""

        def fill(match: re.Match[bytes]) -> bytes:
            if match.start() not in starts:
                return match.group()
            name = match.group(1).decode()
            if values.get(name) is None:
                raise QueryInvalid(f"{self.name}: ${name} has no value here", f"use {', '.join(values) or 'none'}")
            return literal(values[name]).encode()

        starts = _tokens(self.text)
        return _PARAMETER.sub(fill, self.text.encode()).decode()

    def selects(self, _: Connection, start: datetime, end: datetime) -> list[str]:
        """The text for the days from `start` to before `end`, or at `end` (see `recipes.Recipe`)."""
        return [self.bind(as_of=end) if "as_of" in self.parameters else self.bind(day_start=start, day_end=end)]

    def beside(self, _: Connection, __: Sequence[date]) -> Sequence[Beside]:
        return ()


def load_query(path: Path) -> Query:
    """Reads one file; its name is its place: `<schema>/<table>.sql`.

    Raises QueryInvalid, naming the file, when it is not one SELECT, uses an unknown parameter, or reads a table
    without its schema.
    """
    name = f"{path.parent.name}.{path.stem}"
    text = path.read_text(encoding="utf-8").strip()
    options = _options(path, text)
    unknown = set(_parameters(text)) - set(PARAMETERS)
    if unknown:
        raise QueryInvalid(
            f"{path}: unknown parameter ${sorted(unknown)[0]}", f"the parameters are ${', $'.join(PARAMETERS)}"
        )
    inputs = tuple(sorted(set(_tables(path, text))))
    return Query(name, _embeddable(text), inputs, options)


def load_queries(folder: Path) -> dict[str, Query]:
    """All queries of a folder by name; a folder that is not there has none."""
    return {query.name: query for query in map(load_query, sorted(folder.glob("*/*.sql")))}


def check_inputs(query: Query, known: Collection[str]) -> None:
    """Raises QueryInvalid when the query reads a table that nobody makes, with the nearest name as a hint."""
    for table in query.inputs:
        if table not in known:
            near = difflib.get_close_matches(table, known, 1)
            raise QueryInvalid(
                f"sql/{query.name.replace('.', '/')}.sql reads {table}, which no asset makes",
                f"did you mean {near[0]}?" if near else f"known tables: {', '.join(sorted(known))}",
            )


def _tokens(text: str) -> set[int]:
    """Byte offsets of the tokens; what stands in strings and comments is none."""
    return {offset for offset, _ in duckdb.tokenize(text)}


def _parameters(text: str) -> Iterator[str]:
    starts = _tokens(text)
    return (m[1].decode() for m in _PARAMETER.finditer(text.encode()) if m.start() in starts)


def _embeddable(text: str) -> str:
    """One statement's text for use in parentheses: no semicolon, and an end that no comment swallows."""
    raw = bytearray(text.encode())
    for offset in _tokens(text):
        if raw[offset : offset + 1] == b";":
            raw[offset : offset + 1] = b" "
    return f"{raw.decode().rstrip()}\n"


def _options(path: Path, text: str) -> int:
    lookback = 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("--"):
            break
        match = _HEADER.match(line)
        if match and match.group(1) == "lookback":
            days = re.fullmatch(r"(\d+) days?", match.group(2))
            if not days:
                raise QueryInvalid(f"{path}:{number}: expected `-- lookback: N days`, got {line!r}")
            lookback = int(days.group(1))
    return lookback


def tables_of(text: str) -> tuple[str, ...]:
    """The tables that one SELECT reads, in order of name. Raises QueryInvalid unless each has its schema."""
    return tuple(sorted(set(_tables(Path("query"), text))))


def _tables(path: Path, text: str) -> Iterator[str]:
    with empty_cursor() as parser:
        # a literal, for DuckDB imports pandas as soon as a value is bound: a second of each process's start
        row = parser.execute(f"SELECT json_serialize_sql({literal(text)})").fetchone()
    tree = json.loads(row[0]) if row else {}
    if tree.get("error"):
        raise QueryInvalid(f"{path}: {tree.get('error_message')}", "a table's file holds exactly one SELECT")
    if len(tree["statements"]) != 1:
        raise QueryInvalid(f"{path}: {len(tree['statements'])} statements", "a table's file holds exactly one SELECT")
    common = {name for node in _walk(tree) for name in _common_tables(node)}
    for node in _walk(tree):
        if node.get("type") != "BASE_TABLE":
            continue
        schema, table = node["schema_name"], node["table_name"]
        if schema:
            yield f"{schema}.{table}"
        elif table not in common:
            raise QueryInvalid(f"{path}: table {table!r} has no schema", "write schema.table, such as aiops.telemetry")


def _common_tables(node: dict[str, object]) -> Iterator[str]:
    entries = node.get("cte_map")
    if isinstance(entries, dict):
        yield from (entry["key"] for entry in entries["map"])


def _walk(node: object) -> Iterator[dict[str, object]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from _walk(value)
