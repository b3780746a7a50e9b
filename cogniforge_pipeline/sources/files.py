"""CSV, JSON lines and Parquet files as points.

Belongs here: the three formats, and the reader of a declared `files` source. Does not: what a column means.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
from datetime import datetime
from pathlib import Path

import duckdb

from cogniforge_pipeline.sources.folder import Found, path_names
from cogniforge_pipeline.sources.growth import plan_whole
from cogniforge_pipeline.sources.lines import Lines, lay_out
from cogniforge_pipeline.sources.model import FileFormat, FilesSource, RecordSource
from cogniforge_pipeline.sources.paths import PathReader
from cogniforge_pipeline.sources.points import Item, Ledger, Refusal, RefusedItem
from cogniforge_pipeline.sources.records import (
    USUAL_NAMES,
    Column,
    Fields,
    Records,
    assign_roles,
    json_pointer,
    points_sql,
)
from cogniforge_pipeline.sqltext import ident, literal

_ENDINGS: dict[str, FileFormat] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_PARQUET_MAGIC = b"PAR1"
_FOOTER = 64 << 10


class RecordReader(PathReader):
    """Plans over files of the three formats, and opens them; what derives from it gives their columns a meaning."""

    def __init__(self, source: RecordSource, *, home: Path, base: Path) -> None:
        super().__init__(source, home=home, base=base)
        self._records = source

    def _unreadable(self, found: Found) -> Refusal | None:
        """The refusal of a file that can be seen from outside to be unreadable."""
        file_format = self._format(found.path)
        if file_format is None:
            return Refusal(
                self._records.name,
                found.item,
                "ending",
                f"no reader for files named *{found.path.suffix or found.path.name}",
                f"known are {', '.join(_ENDINGS)} (text also with .gz), and *.otlp.jsonl; or set `format`",
                found.size,
            )
        if file_format == "parquet" and not _complete_parquet(found.path, found.size):
            fingerprint = f"incomplete:{found.size}:{found.mtime_ns}"
            reason = "not a complete Parquet file: it does not begin and end with PAR1"
            hint = "write it under another name and rename it when it is complete"
            return Refusal(self._records.name, found.item, fingerprint, reason, hint, found.size)
        return None

    def _format(self, path: Path) -> FileFormat | None:
        name = path.name.removesuffix(".gz")
        ending = _ENDINGS.get(Path(name).suffix.lower())
        return self._records.format or (None if ending == "parquet" and name != path.name else ending)

    def _lines(self, path: Path, item: Item) -> Lines:
        return lay_out(path, item, self._scratch.fresh(), header=self._format(path) == "csv")

    def _parquet(self, con: duckdb.DuckDBPyConnection, path: Path, item: Item) -> Fields:
        """Raises RefusedItem when it is not the file that was planned, or none at all."""
        if parquet_digest(path) != item.fingerprint:
            raise RefusedItem("changed after it was planned", "it is tried again")
        return parquet_fields(con, self._safe_path(path))

    def _safe_path(self, path: Path) -> Path:
        """A path without glob characters, which DuckDB would expand."""
        if not re.search(r"[*?\[\]{}]", str(path)):
            return path
        link = self._scratch.fresh() / "data.parquet"
        link.symlink_to(path.absolute())
        return link


class FilesReader(RecordReader):
    """Reads a declared `files` source."""

    def __init__(self, source: FilesSource, *, home: Path, base: Path) -> None:
        super().__init__(source, home=home, base=base)
        self._source = source

    def _plan_file(self, found: Found, ledger: Ledger, now: datetime) -> Item | Refusal | None:
        if refusal := self._unreadable(found):
            return refusal
        if self._format(found.path) == "parquet":
            return plan_whole(self._source.name, found, ledger.get(found.item), lambda: parquet_digest(found.path))
        return super()._plan_file(found, ledger, now)

    def relation(self, con: duckdb.DuckDBPyConnection, item: Item) -> str:
        """SELECT of the item's points. Raises RefusedItem for a file that cannot be read as a whole."""
        path = self._path(item)
        names = path_names(path, item.item, self._source.path_pattern)
        match self._format(path):
            case "csv":
                records = csv_records(self._source, self._lines(path, item), path)
            case "jsonl":
                records = jsonl_records(self._source, self._lines(path, item))
            case _:
                records = _records(self._source, self._parquet(con, path, item))
        return points_sql(records, self._source, names, self._time())


def csv_records(source: FilesSource, lines: Lines, path: Path) -> Records:
    """The records of a CSV file with a header. Raises RefusedItem for columns that are missing, and as `csv_fields`."""
    if not lines.header:
        return Records("SELECT 0 AS position, '' AS line WHERE FALSE", _no_roles(), {}, {}, "line")
    return _records(source, csv_fields(source.delimiter, lines, path))


def csv_fields(delimiter: str | None, lines: Lines, path: Path) -> Fields:
    """The records of a CSV file with a header. A record is one line: quotes that span lines are a row's
    problem.

    The delimiter is the one of `,;|` and tab that the header has most of, unless it is given. Columns without a name
    are left out. Raises RefusedItem for column names that come twice.
    """
    if "\r" in lines.header:
        raise RefusedItem("lines end with a carriage return only", "convert it: tr '\\r' '\\n'")
    delimiter = delimiter or ("\t" if ".tsv" in path.name else _delimiter(lines.header))
    names = [name.strip() for name in next(csv.reader([lines.header], delimiter=delimiter))]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise RefusedItem(f"column names that come twice: {', '.join(twice)}", "rename them in the header")
    simple = f"string_split(line, {literal(delimiter)})"
    problem = f"WHEN line = {literal(lines.header)} THEN 'the header line again' "
    if lines.quoted:
        sep = f"\\x{{{ord(delimiter):x}}}"
        blank = " *" if delimiter == "\t" else r"\s*"
        pattern = rf'(?:^|{sep})({blank}"(?:[^"]|"")*"{blank}|[^"{sep}]*)'
        quoted = f"regexp_extract_all(line, {literal(pattern)}, 1)"
        plain = (
            "lambda part: CASE WHEN starts_with(trim(part), '\"') "
            "THEN replace(substr(trim(part), 2, length(trim(part)) - 2), '\"\"', '\"') ELSE part END"
        )
        whole = f"list_sum(list_transform({quoted}, lambda part: length(part))) + len({quoted}) - 1"
        problem += (
            f"WHEN contains(line, '\"') AND {whole} <> length(line) "
            "THEN 'quotes that do not enclose a whole field of this line' "
        )
        fields = f"CASE WHEN contains(line, '\"') THEN list_transform({quoted}, {plain}) ELSE {simple} END"
    else:
        fields = simple
    problem += f"WHEN len(fields) <> {len(names)} THEN 'expected {len(names)} fields, found ' || len(fields) "
    columns = {name: Column(f"fields[{i}]") for i, name in enumerate(names, 1) if name}
    relation = f"SELECT position, line, {fields} AS fields FROM ({lines.relation()})"
    return Fields(relation, columns, "line", problem)


def _no_roles() -> dict[str, Column]:
    return {role: Column("NULL") for role in ("timestamp", "value", "service", "metric")}


def _delimiter(header: str) -> str:
    return max(",;\t|", key=header.count)


def _records(source: FilesSource, fields: Fields) -> Records:
    columns = fields.columns
    roles = assign_roles(source, list(columns))
    used = {*roles.values(), *source.values}
    labelled = source.label_columns if source.label_columns is not None else set(columns) - used
    return Records(
        fields.relation,
        {role: columns[name] for role, name in roles.items()},
        {name: columns[name] for name in source.values},
        {name: columns[name] for name in columns if name in labelled},
        fields.raw,
        fields.problem,
    )


def json_documents(lines: Lines) -> tuple[str, str]:
    """A relation of `position`, `line` and `doc`, one JSON object on each line, and the branches for what is none."""
    doc = "CASE WHEN json_valid(line) THEN CAST(line AS JSON) END AS doc"
    problem = (
        "WHEN doc IS NULL THEN 'not JSON' WHEN json_type(doc) <> 'OBJECT' THEN 'not a JSON object' "
        "WHEN len(json_keys(doc)) <> len(list_distinct(json_keys(doc))) THEN 'a name comes twice in the "
        "object' "
    )
    return f"SELECT position, line, {doc} FROM ({lines.relation()})", problem


def jsonl_records(source: FilesSource, lines: Lines) -> Records:
    """The records of a file with one JSON object on each line. Nested objects become labels as JSON text."""

    def at(name: str) -> str:
        return f"json_extract_string(doc, {literal(json_pointer(name))})"

    roles, used = {}, set(source.values)
    for role, usual in USUAL_NAMES.items():
        declared: str | None = getattr(source.columns, role)
        names = (declared,) if declared else usual
        if not (source.values and role in ("value", "metric")):
            roles[role] = Column(f"coalesce({', '.join(map(at, names))})")
            used.update(names)
    values = {name: Column(at(name)) for name in source.values}
    labels: tuple[str, ...] = ()
    if source.label_columns is None:
        entries = """map_entries(TRY(from_json(doc, '"MAP(VARCHAR, VARCHAR)"')))"""
        kept = f"NOT list_contains({literal(sorted(used))}, pair.key) AND nullif(pair.value, '') IS NOT NULL"
        labels = (f"TRY(map_from_entries(list_filter({entries}, lambda pair: {kept})))",)
    relation, problem = json_documents(lines)
    columns = {name: Column(at(name)) for name in source.label_columns or ()}
    return Records(relation, roles, values, columns, "line", problem, labels)


def parquet_fields(con: duckdb.DuckDBPyConnection, path: Path) -> Fields:
    """The records of a Parquet file; `position` is the row's number from 1."""
    scan = f"read_parquet({literal(str(path))}, file_row_number = true, hive_partitioning = false)"
    try:
        described = con.execute(f"DESCRIBE SELECT * EXCLUDE (file_row_number) FROM {scan}").fetchall()
    except duckdb.Error as error:
        raise RefusedItem(f"not readable as Parquet: {str(error).splitlines()[0]}", "write the file again") from error
    columns = {str(name): Column(f"c{i}", str(kind)) for i, (name, kind, *_) in enumerate(described, 1)}
    picked = ", ".join(f"{ident(name)} AS {column.sql}" for name, column in columns.items())
    raw = f"CAST(to_json({{{', '.join(f'{literal(name)}: {c.sql}' for name, c in columns.items())}}}) AS VARCHAR)"
    return Fields(f"SELECT file_row_number + 1 AS position, {picked} FROM {scan}", columns, raw)


def _complete_parquet(path: Path, size: int) -> bool:
    with path.open("rb") as file:
        begins = file.read(4) == _PARQUET_MAGIC
        file.seek(max(0, size - 4))
        return size > 12 and begins and file.read(4) == _PARQUET_MAGIC


def parquet_digest(path: Path) -> str:
    """Digest of a Parquet file's size, time of modification and footer."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            file.seek(max(0, status.st_size - _FOOTER))
            tail = file.read(_FOOTER)
    except OSError as error:
        raise RefusedItem(f"cannot be read: {error.strerror}", "check the file and its permissions") from error
    about = f"{status.st_size}:{status.st_mtime_ns}:".encode()
    return hashlib.blake2b(about + tail, digest_size=16).hexdigest()
