"""A CSV or Parquet file of counters as the relations `aiops.series` and `aiops.telemetry` of a DuckDB in memory.

Belongs here: what the columns of such a file mean, and what is refused. Does not: SLOs.

Columns: `ts`, ISO 8601 (without a zone in UTC) or epoch seconds; `series`, the metric's name, or Prometheus' text of a
series such as `requests_total{code="500"}`; `value`. Every further column is a label, `service` is the service too.
Empty labels are not there. A sample without a value, or of NaN as Prometheus marks a series that ended, is no sample.
"""

from __future__ import annotations

import glob
import gzip
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.sqltext import ident, literal
from cogniforge_pipeline.sre.selectors import parse_selector

COLUMNS = ("ts", "series", "value")
_LABELS = "MAP(VARCHAR, VARCHAR)"
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_MILLISECONDS = 100_000_000_000
_EARLIEST, _LATEST = "1700-01-01 00:00:00+00", "2262-01-01 00:00:00+00"


@dataclass(frozen=True)
class Counters:
    """The opened file: a connection that can read nothing else, and the times of its first and last sample, in UTC.

    `services`: whether any series has a service.
    """

    connection: duckdb.DuckDBPyConnection
    first: datetime
    last: datetime
    services: bool


def open_counters(path: Path) -> Counters:
    """The file's samples as `aiops.telemetry`, its series as counters in `aiops.series`.

    Raises CogniforgeError for a file that cannot be read, a column that is missing, a time or value that cannot be
    parsed, two values of one series at one time, and for a file without samples.
    """
    if not path.is_file():
        raise CogniforgeError(f"there is no file {path}", "give a CSV or Parquet file of counters")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false; CREATE SCHEMA aiops")
    try:
        scan = _scan(path)
        types = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE FROM {scan}").fetchall()}
        _check_columns(path, list(types))
        labels = [name for name in types if name not in COLUMNS]
        connection.execute(f"CREATE TEMP TABLE read AS {_read(scan, types, labels)}")
    except (duckdb.Error, OSError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise CogniforgeError(
            f"{path} cannot be read: {first_line}", f"expected CSV with a header, or Parquet: {', '.join(COLUMNS)}"
        ) from error
    connection.execute("SET enable_external_access = false; SET lock_configuration = true")
    _check_rows(connection, path)
    _name_series(connection, path, labels)
    return _summary(connection, path)


def moment_of(text: str) -> datetime:
    """A time as the `ts` column has it. Raises CogniforgeError."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        row = connection.execute(f"SELECT {_moment('t', 'VARCHAR')} FROM (SELECT {literal(text)} AS t)").fetchone()
    if row is None or not isinstance(row[0], datetime):
        raise CogniforgeError(f"not a time: {text!r}", "write it as 2024-05-01T12:00:00Z, or as epoch seconds")
    return row[0]


def _scan(path: Path) -> str:
    with path.open("rb") as file:
        magic = file.read(4)
    name = literal(glob.escape(str(path)))
    if magic == b"PAR1":
        return f"read_parquet({name}, hive_partitioning = false)"
    with gzip.open(path, "rb") if magic[:2] == b"\x1f\x8b" else path.open("rb") as text:
        header = text.readline(1 << 16).decode("utf-8", "replace")
    packed = "gzip" if magic[:2] == b"\x1f\x8b" else "none"
    delimiter = max(",;\t|", key=header.count)
    return (
        f"read_csv({name}, header = true, all_varchar = true, delim = {literal(delimiter)}, quote = '\"', "
        f"escape = '\"', hive_partitioning = false, compression = '{packed}')"
    )


def _check_columns(path: Path, names: list[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise CogniforgeError(
            f"{path} has no column {' and no column '.join(missing)}; its columns are {', '.join(names)}",
            f"name the columns {', '.join(COLUMNS)}; every further column is a label",
        )


def _read(scan: str, types: dict[str, str], labels: list[str]) -> str:
    """Rows with their number, what could be parsed, and the text of what could not."""
    picked = "".join(
        f", coalesce(CAST({ident(name)} AS VARCHAR), '') AS label_{place}" for place, name in enumerate(labels)
    )
    value = "try_cast(value AS DOUBLE)"
    return f"""
SELECT * EXCLUDE (ts_raw, value_raw, moment, number), moment AS ts, number AS value,
    CASE WHEN moment IS NULL THEN coalesce(CAST(ts_raw AS VARCHAR), '') END AS bad_ts,
    CASE WHEN value_raw IS NOT NULL AND CAST(value_raw AS VARCHAR) <> '' AND (number IS NULL OR isinf(number))
        THEN CAST(value_raw AS VARCHAR) END AS bad_value
FROM (
    SELECT row_number() OVER () AS line, trim(coalesce(CAST(series AS VARCHAR), '')) AS series, ts AS ts_raw,
        value AS value_raw, {_moment("ts", types["ts"])} AS moment, {value} AS number{picked}
    FROM {scan}
)"""


def _moment(column: str, kind: str) -> str:
    """A column as TIMESTAMPTZ, NULL for what is no time from 1700 to 2262."""
    if kind.startswith(("TIMESTAMP", "DATE")):
        found = f"CAST({column} AS TIMESTAMPTZ)"
    elif kind == "VARCHAR":
        number = f"list_transform([try_cast({column} AS DOUBLE)], lambda n: {_of_seconds('n')})[1]"
        numeric = f"regexp_full_match(trim({column}), {literal(_NUMBER)})"
        zoned = rf"try_cast(regexp_replace(trim({column}), ' ([+-]\d\d:?\d\d)$', '\1') AS TIMESTAMPTZ)"
        found = f"CASE WHEN {numeric} THEN {number} ELSE {zoned} END"
    else:
        found = f"list_transform([CAST({column} AS DOUBLE)], lambda n: {_of_seconds('n')})[1]"
    bounds = f"m BETWEEN TIMESTAMPTZ '{_EARLIEST}' AND TIMESTAMPTZ '{_LATEST}'"
    return f"list_transform([{found}], lambda m: CASE WHEN {bounds} THEN m END)[1]"


def _of_seconds(number: str) -> str:
    return f"CASE WHEN abs({number}) < {_MILLISECONDS} THEN make_timestamptz(CAST(round({number} * 1e6) AS BIGINT)) END"


def _check_rows(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    checks = {
        "bad_ts": ("ts", "expected ISO 8601 such as 2024-05-01T12:00:00Z, or epoch seconds (not milliseconds)"),
        "bad_value": ("value", "expected a finite number, or nothing where there is no sample"),
        "CASE WHEN series = '' THEN '' END": ("series", "expected the name of a metric"),
    }
    for expression, (column, hint) in checks.items():
        row = connection.execute(
            f"SELECT count({expression}), min(line) FILTER (WHERE {expression} IS NOT NULL), "
            f"arg_min({expression}, line) FROM read"
        ).fetchone()
        if row is not None and row[0]:
            count, line, text = row
            more = f", and in {count - 1:,} more rows" if count > 1 else ""
            raise CogniforgeError(f"{path}, row {line} after the header: {column} is {text!r}{more}", hint)


def _name_series(connection: duckdb.DuckDBPyConnection, path: Path, labels: list[str]) -> None:
    """Makes `aiops.series` and `aiops.telemetry` of the rows."""
    columns = [f"label_{place}" for place in range(len(labels))]
    pairs = ", ".join(f"{{'k': {literal(n)}, 'v': {c}}}" for n, c in zip(labels, columns, strict=True))
    given = f"map_from_entries(list_filter([{pairs}], lambda pair: pair.v <> ''))" if labels else "MAP {}"
    key = ", ".join(["series", *columns])
    written = _written(connection, path)
    connection.execute(
        f"""
CREATE TEMP TABLE named AS SELECT row_number() OVER (ORDER BY {key}) AS series_id, * FROM (SELECT DISTINCT {key} FROM read);
CREATE TABLE aiops.series AS
SELECT series_id, coalesce(labels['service'], '') AS service, metric, labels, 'counter' AS kind
FROM (
    SELECT series_id, coalesce(written.metric, series) AS metric,
        map_concat(CAST({given} AS {_LABELS}), coalesce(written.labels, MAP {{}})) AS labels
    FROM named LEFT JOIN ({written}) AS written USING (series)
);
CREATE TABLE aiops.telemetry AS
SELECT ts, series_id, value FROM read JOIN named USING ({key}) WHERE value IS NOT NULL AND NOT isnan(value);
CREATE TEMP TABLE repeated AS
SELECT series_id, ts, min(value) AS low, max(value) AS high FROM aiops.telemetry GROUP BY ALL HAVING count(*) > 1"""
    )
    clash = connection.execute(
        "SELECT metric, ts, low, high FROM repeated JOIN aiops.series USING (series_id) WHERE low <> high "
        "ORDER BY ts, metric LIMIT 1"
    ).fetchone()
    if clash is not None:
        metric, ts, low, high = clash
        raise CogniforgeError(
            f"{path}: a series of {metric} has two values at {ts.isoformat()}: {low:g} and {high:g}",
            "a label that tells the series apart may be missing",
        )
    if connection.execute("FROM repeated LIMIT 1").fetchone():
        connection.execute("CREATE OR REPLACE TABLE aiops.telemetry AS SELECT DISTINCT * FROM aiops.telemetry")


def _written(connection: duckdb.DuckDBPyConnection, path: Path) -> str:
    """A SELECT of series, metric, labels for names that are Prometheus' text of a series."""
    rows = []
    for (text,) in connection.execute("SELECT DISTINCT series FROM read WHERE contains(series, '{')").fetchall():
        try:
            selector = parse_selector(text)
            wrong = next((matcher for matcher in selector.matchers if matcher.op != "="), None)
            if wrong is not None:
                raise ValueError(f"a series has labels with =, got {wrong}")
        except ValueError as error:
            raise CogniforgeError(
                f"{path}: series is {text!r}: {error}", 'write a metric\'s name, or requests_total{code="500"}'
            ) from error
        found = {matcher.label: matcher.value for matcher in selector.matchers if matcher.value}
        rows.append(f"({literal(text)}, {literal(selector.metric)}, CAST({literal(found)} AS {_LABELS}))")
    values = ", ".join(rows) or f"(NULL::VARCHAR, NULL::VARCHAR, NULL::{_LABELS})"
    return f"FROM (VALUES {values}) AS written(series, metric, labels)"


def _summary(connection: duckdb.DuckDBPyConnection, path: Path) -> Counters:
    row = connection.execute("SELECT min(ts), max(ts) FROM aiops.telemetry").fetchone()
    services = connection.execute("SELECT bool_or(service <> '') FROM aiops.series").fetchone()
    if row is None or row[0] is None:
        raise CogniforgeError(f"{path} has no samples", "give a file with at least two samples of each counter")
    return Counters(connection, row[0], row[1], bool(services and services[0]))
