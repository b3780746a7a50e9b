"""One batch of items between reading and publishing, as temp tables of one cursor.

Belongs here: SQL that names series, finds points that are bad or already held, and counts per item. Does not: which
items to read, and the commit (`ingest.py`).

Small items are copied into a temp table once, because text is costly to parse. A large Parquet file is scanned twice
instead: copying it would cost more than reading it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import duckdb

from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import MATERIALIZATIONS, midnight
from cogniforge_pipeline.sources.points import POINT_COLUMNS, Item, Reader, RefusedItem
from cogniforge_pipeline.sources.semantics import metric_type_sql, unit_sql
from cogniforge_pipeline.sqltext import literal

LARGE_BYTES = 64 << 20
MAX_NEW_SERIES = 100_000
"""An item that brings more new series than this is refused: a label holds what should be a value."""

_LABELS_TEXT = (
    "array_to_string(list_sort(list_transform(map_entries(labels), lambda e: e.key || '=' || e.value)), chr(30))"
)
SERIES_ID = f"(md5_number_lower(concat_ws(chr(31), service, metric, {_LABELS_TEXT})) >> 1)::BIGINT"
"""A series' id follows from service, metric and labels alone, so every process gives it the same one."""

_RAW = "temp.ingest_raw"
_NAMES = "temp.ingest_names"
_POINTS = "temp.ingest_points"


@dataclass(frozen=True)
class Counts:
    """Of one item: rows read, rows set aside, and the times of its first and last good point (UTC) or None."""

    read: int = 0
    bad: int = 0
    first: datetime | None = None
    last: datetime | None = None


@contextmanager
def damage_refused() -> Iterator[None]:
    """Raises RefusedItem where reading a file's content fails; what is the machine's fault stays what it is."""
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.InvalidInputException, duckdb.IOException, duckdb.ConversionException) as error:
        if "No space left" in str(error):
            raise
        raise RefusedItem(f"the content is damaged: {error}", "write the file again, whole") from error


class Staging:
    """Reads items, then answers what is to be published of them. One use for one batch; `clear` drops its tables."""

    def __init__(self, cursor: Connection, telemetry: Contract, run_id: str) -> None:
        self._cursor = cursor
        self._contract = telemetry
        self._run_id = run_id
        self._items: dict[int, str] = {}
        self._direct: str | None = None
        self._copied = False
        columns = ", ".join(f"{name} {kind}" for name, kind in POINT_COLUMNS.items())
        self.clear()
        cursor.execute(f"CREATE TEMP TABLE ingest_raw (item_no INTEGER, {columns})")

    def clear(self) -> None:
        for table in (_RAW, _NAMES, _POINTS):
            self._cursor.execute(f"DROP TABLE IF EXISTS {table}")

    def read(self, reader: Reader, number: int, item: Item) -> None:
        """Reads one item. Raises RefusedItem when it cannot be read, or brings too many series."""
        select = f"SELECT {number} AS item_no, {', '.join(POINT_COLUMNS)} FROM ({reader.relation(self._cursor, item)})"
        try:
            with damage_refused():
                if item.size >= LARGE_BYTES and item.item.endswith(".parquet"):
                    self._direct = select
                    self._too_many_series(select)
                else:
                    self._cursor.execute(f"INSERT INTO {_RAW} {select}")
                    try:
                        self._too_many_series(f"SELECT * FROM {_RAW} WHERE item_no = {number}")
                    except RefusedItem:
                        self._cursor.execute(f"DELETE FROM {_RAW} WHERE item_no = {number}")
                        raise
        except RefusedItem:
            self._direct = None
            raise
        self._items[number] = item.item

    def _too_many_series(self, select: str) -> None:
        """Adds the item's series to the names, unless there are too many new ones."""
        first = "CREATE TEMP TABLE ingest_names AS" if not self._has_names() else f"INSERT INTO {_NAMES}"
        self._cursor.execute(
            f"{first} SELECT *, {SERIES_ID} AS series_id FROM (SELECT item_no, service, metric, labels, "
            "problem IS NULL AS good, any_value(metric_type) AS metric_type, any_value(unit) AS unit, "
            "any_value(kind) AS kind, count(*) AS points, min(ts) AS first, max(ts) AS last "
            f"FROM ({select}) GROUP BY ALL)"
        )
        where = f"item_no = (SELECT max(item_no) FROM {_NAMES})"
        row = self._cursor.execute(
            f"SELECT count(DISTINCT series_id) FROM {_NAMES} WHERE good AND {where} "
            "AND series_id NOT IN (SELECT series_id FROM aiops.series)"
        ).fetchone()
        if row and row[0] > MAX_NEW_SERIES:
            self._cursor.execute(f"DELETE FROM {_NAMES} WHERE {where}")
            self._direct = None
            raise RefusedItem(
                f"the item would create {row[0]:,} new series, more than {MAX_NEW_SERIES:,}",
                "a label seems to hold ids or times; leave that label out of the source",
            )

    def _has_names(self) -> bool:
        found = self._cursor.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'temp' AND table_name = 'ingest_names'"
        ).fetchone()
        return bool(found and found[0])

    def settle(self) -> None:
        """After the last item: joins points with their series, unless one large item is read straight through."""
        if not self._has_names():
            self._cursor.execute(
                "CREATE TEMP TABLE ingest_names (item_no INTEGER, service VARCHAR, metric VARCHAR, labels MAP(VARCHAR, "
                "VARCHAR), good BOOLEAN, metric_type VARCHAR, unit VARCHAR, kind VARCHAR, points BIGINT, "
                "first TIMESTAMPTZ, last TIMESTAMPTZ, series_id BIGINT)"
            )
        if not self._direct:
            self._cursor.execute(f"CREATE TEMP TABLE ingest_points AS {self._joined(f'SELECT * FROM {_RAW}')}")

    def _joined(self, select: str) -> str:
        """The good points with their series; labels are compared only where they vary, for maps are slow to compare."""
        row = self._cursor.execute(f"SELECT count(*) FROM (SELECT DISTINCT labels FROM {_NAMES} WHERE good)").fetchone()
        labels = " AND r.labels IS NOT DISTINCT FROM n.labels" if row and row[0] > 1 else ""
        return (
            "SELECT r.item_no, r.position, r.ts, n.series_id, r.value "
            f"FROM ({select}) AS r JOIN {_NAMES} AS n ON n.good AND r.problem IS NULL AND r.item_no = n.item_no "
            f"AND r.service = n.service AND r.metric = n.metric{labels}"
        )

    def _points(self) -> str:
        return f"({self._joined(self._direct)})" if self._direct and not self._copied else _POINTS

    def new_series(self) -> str:
        """SELECT of the series that the lake does not know yet."""
        unit = unit_sql("unit")
        return (
            "SELECT series_id, service, metric, coalesce(metric_type, "
            f"{metric_type_sql('metric', unit)}) AS metric_type, {unit} AS unit, labels, kind FROM ("
            "SELECT series_id, any_value(service) AS service, any_value(metric) AS metric, any_value(metric_type) AS "
            "metric_type, any_value(unit) AS unit, any_value(labels) AS labels, coalesce(any_value(kind), 'gauge') AS kind "
            f"FROM {_NAMES} WHERE good AND series_id NOT IN (SELECT series_id FROM aiops.series) GROUP BY series_id)"
        )

    def held_days(self) -> list[date]:
        """The days within this batch's time range that the lake already has points of."""
        rows = self._cursor.execute(
            f"WITH span AS (SELECT min(first)::DATE AS low, max(last)::DATE AS high FROM {_NAMES} WHERE good), "
            f"held AS (SELECT DISTINCT unnest(days) AS day FROM {MATERIALIZATIONS} "
            f"WHERE table_name = {literal(self._contract.name)}) "
            "SELECT day FROM held, span WHERE day BETWEEN low AND high ORDER BY day",
        ).fetchall()
        return [row[0] for row in rows]

    def telemetry(self, duplicates: bool) -> str:
        """SELECT of the points to publish; without those already held or repeated when `duplicates` were found."""
        if duplicates:
            return (
                "SELECT ts, series_id, value FROM temp.ingest_points AS p "
                "WHERE NOT EXISTS (FROM temp.ingest_duplicates AS d WHERE d.item_no = p.item_no AND d.position = p.position "
                "AND d.series_id = p.series_id AND d.ts = p.ts)"
            )
        return f"SELECT ts, series_id, value FROM {self._points()}"

    def find_duplicates(self) -> int:
        """Makes `temp.ingest_duplicates`: points whose series and time the lake holds or an earlier row of the batch has.

        Returns how many there are. A point with such a twin in a large file read straight through is found by the
        contract's uniqueness rule instead.
        """
        held = self.held_days()
        if self._direct and held:
            self._cursor.execute(f"CREATE TEMP TABLE ingest_points AS {self._joined(self._direct)}")
            self._copied = True
        self._cursor.execute("DROP TABLE IF EXISTS temp.ingest_duplicates")
        if self._direct and not self._copied:
            return 0
        row = self._cursor.execute(
            f"SELECT count(*) > (SELECT count(*) FROM (SELECT DISTINCT series_id, ts FROM {_POINTS})) FROM {_POINTS}"
        ).fetchone()
        repeated = (
            f"SELECT * FROM {_POINTS} QUALIFY row_number() OVER (PARTITION BY series_id, ts ORDER BY item_no, position) > 1"
            if row and row[0]
            else f"SELECT * FROM {_POINTS} LIMIT 0"
        )
        known = f"SELECT * FROM {_POINTS} LIMIT 0"
        if held:
            low, high = literal(midnight(held[0])), literal(midnight(held[-1] + timedelta(1)))
            known = (
                f"SELECT p.* FROM {_POINTS} AS p SEMI JOIN (SELECT series_id, ts FROM aiops.telemetry "
                f"WHERE ts >= {low} AND ts < {high}) AS t ON t.series_id = p.series_id AND t.ts = p.ts"
            )
        self._cursor.execute(f"CREATE TEMP TABLE ingest_duplicates AS ({repeated}) UNION ({known})")
        count = self._cursor.execute("SELECT count(*) FROM temp.ingest_duplicates").fetchone()
        return int(count[0]) if count else 0

    def bad(self, duplicates: bool) -> list[str]:
        """SELECTs of the rows to set aside, in the shape of a quarantine table."""
        tail = (
            f"{literal(self._contract.version)} AS contract_version, {self._place()} AS source, "
            f"{literal(self._run_id)} AS run_id, now() AS quarantined_at"
        )
        raw = f"({self._direct})" if self._direct else _RAW
        selects = []
        if self._problems():
            selects.append(
                "SELECT coalesce(to_json(raw)::VARCHAR, to_json({ts: ts, service: service, metric: metric, value: value})"
                "::VARCHAR) AS row, ['readable'] AS rules, problem AS reason, "
                f"{tail} FROM {raw} AS bad WHERE problem IS NOT NULL"
            )
        if duplicates:
            selects.append(
                "SELECT to_json({ts: ts, series_id: series_id, value: value})::VARCHAR AS row, "
                "['unique_series_id_ts'] AS rules, 'a point of this series at this time is already there' AS reason, "
                f"{tail} FROM temp.ingest_duplicates AS bad"
            )
        return selects

    def counts(self, duplicates: bool) -> dict[int, Counts]:
        """What was read of each item."""
        twins = "SELECT item_no, count(*) AS twins FROM temp.ingest_duplicates GROUP BY ALL"
        none = "SELECT NULL::INTEGER AS item_no, 0::BIGINT AS twins"
        rows = self._cursor.execute(
            "SELECT item_no, sum(points)::BIGINT, (sum(points) FILTER (NOT good))::BIGINT, "
            "min(first) FILTER (good), max(last) FILTER (good), any_value(twins) "
            f"FROM {_NAMES} LEFT JOIN ({twins if duplicates else none}) USING (item_no) GROUP BY item_no"
        ).fetchall()
        return {
            number: Counts(read, (bad or 0) + (repeated or 0), first, last)
            for number, read, bad, first, last, repeated in rows
        }

    def _problems(self) -> bool:
        row = self._cursor.execute(f"SELECT count(*) FROM {_NAMES} WHERE NOT good").fetchone()
        return bool(row and row[0])

    def _place(self) -> str:
        items = literal([self._items.get(n, "") for n in range(max(self._items, default=-1) + 1)])
        return f"({items}::VARCHAR[])[bad.item_no + 1] || ':' || bad.position"
