"""The files of a `table` source: which are new or changed, and their rows as texts.

Belongs here: planning and reading such a source. Does not: types and reasons (`casting.py`), or what becomes of the rows
(`landed.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import duckdb

from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.sources.casting import fill_columns, row_sql, text_sql
from cogniforge_pipeline.sources.files import RecordReader, csv_fields, json_documents, parquet_digest
from cogniforge_pipeline.sources.folder import Found, item_of_home
from cogniforge_pipeline.sources.growth import plan_anew, prefix_digest, whole_number
from cogniforge_pipeline.sources.model import TableSource
from cogniforge_pipeline.sources.points import INGESTED, Item, Ledger, Refusal, RefusedItem
from cogniforge_pipeline.sources.records import Fields, json_pointer, listed_columns
from cogniforge_pipeline.sqltext import literal


def definition_of(source: TableSource, contract: Contract) -> str:
    """Changes when the same files may give other rows."""
    meaning = source.model_dump_json(exclude={"name", "description", "path", "exclude"})
    columns = repr([(column.name, column.type, column.required) for column in contract.columns])
    return f"{hashlib.sha256(f'{meaning}{columns}'.encode()).hexdigest()[:16]}:{contract.version}"


class TableReader(RecordReader):
    """Reads a declared `table` source for the contract of its table."""

    def __init__(self, source: TableSource, contract: Contract, *, home: Path, base: Path) -> None:
        super().__init__(source, home=home, base=base)
        self._source, self._contract = source, contract
        self._definition = definition_of(source, contract)
        self._only: str | None = None

    def plan(self, ledger: Ledger, now: datetime) -> Iterator[Item | Refusal]:
        """The files that are new or changed, by path; in mode `replace` only the newest, unless a newer one was read."""
        if self._source.mode == "replace":
            found = [file for file in self._find() if isinstance(file, Found) and self._format(file.path)]
            newest = max(found, key=lambda file: (file.mtime_ns, file.item), default=None)
            read = [e for e in ledger.values() if e.status == INGESTED and newest and e.item != newest.item]
            outdated = newest and any(whole_number(e.cursor, "mtime_ns") > newest.mtime_ns for e in read)
            self._only = newest.item if newest and not outdated else ""
        yield from super().plan(ledger, now)

    def _find(self) -> Iterator[Found | Refusal]:
        for found in super()._find():
            if isinstance(found, Found):
                yield replace(found, item=item_of_home(found.path, self._home))
            else:
                yield found

    def _plan_file(self, found: Found, ledger: Ledger, now: datetime) -> Item | Refusal | None:
        if self._only is not None and found.item != self._only and self._format(found.path):
            return None
        if refusal := self._unreadable(found):
            return refusal
        if not found.size:
            fingerprint = f"empty:{found.mtime_ns}"
            hint = "write it again; what has no rows is a CSV file with a header only, or a Parquet file without rows"
            return Refusal(self._source.name, found.item, fingerprint, "the file is empty", hint)
        path = found.path
        digest: Callable[[], str] | None = None
        if self._format(path) == "parquet":
            digest = partial(parquet_digest, path)
        elif path.suffix == ".gz":
            digest = partial(prefix_digest, path, found.size)
        item = plan_anew(self._source.name, found, ledger.get(found.item), now, self._definition, digest)
        half = item and self._source.mode == "replace" and item.size < found.size
        return None if half else item

    def relation(self, con: duckdb.DuckDBPyConnection, item: Item) -> str:
        """SELECT of `position`, `row` and `problem` (see `casting.py`). Raises RefusedItem as other readers do."""
        self.notices = []
        path = self._path(item)
        match self._format(path):
            case "csv":
                lines = self._lines(path, item)
                if not lines.header:
                    raise RefusedItem("there is no header line", "name the columns in the file's first line")
                fields = csv_fields(self._source.delimiter, lines, path)
                return self._rows(fields, item, {name: f"nullif({c.sql}, '')" for name, c in fields.columns.items()})
            case "jsonl":
                return self._documents(*json_documents(self._lines(path, item)))
            case _:
                fields = self._parquet(con, path, item)
                return self._rows(fields, item, {name: text_sql(column) for name, column in fields.columns.items()})

    def _rows(self, fields: Fields, item: Item, texts: dict[str, str]) -> str:
        filled = fill_columns(self._contract, self._source.columns, list(texts))
        if unused := sorted(texts.keys() - filled.values()):
            self.notices = [
                f"{item.item}: columns that fill none of {self._contract.name} were left out: {listed_columns(unused)}"
            ]
        row = row_sql({name: texts[column] for name, column in filled.items()})
        return _judged(fields.relation, row, fields.raw, fields.problem)

    def _documents(self, relation: str, problem: str) -> str:
        names = [column.name for column in self._contract.columns]
        pointers = literal([json_pointer(self._source.columns.get(name, name)) for name in names])
        relation = f"SELECT *, json_extract_string(doc, {pointers}) AS texts FROM ({relation})"
        row = row_sql({name: f"texts[{number}]" for number, name in enumerate(names, 1)})
        return _judged(relation, row, "line", problem)


def _judged(relation: str, row: str, raw: str, problem: str) -> str:
    broken = f"CASE {problem}END" if problem else "NULL::VARCHAR"
    return (
        f"SELECT position, CASE WHEN problem IS NULL THEN {row} ELSE CAST(to_json({raw}) AS VARCHAR) END AS row, problem "
        f"FROM (SELECT *, {broken} AS problem FROM ({relation}))"
    )
