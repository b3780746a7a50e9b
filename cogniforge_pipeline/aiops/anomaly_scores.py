"""`aiops.anomaly_scores` and what is published with it: the detector over the rollups, day after day.

Belongs here: reading days and states from the lake, and laying out what they become as files that DuckDB reads. Does not:
the detector (`detection`), episodes.

Rows reach DuckDB as Parquet: it would import pandas to take arrays directly, which takes longer than a small home's day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cogniforge_pipeline.aiops.detection import running
from cogniforge_pipeline.aiops.detection.model import DAY, KINDS
from cogniforge_pipeline.aiops.detection.running import Group, Judged, Points, Watch
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.recipes import Beside, Written
from cogniforge_pipeline.scratch import Scratch
from cogniforge_pipeline.sqltext import literal

if TYPE_CHECKING:
    import pyarrow as pa

SCORES, POINTS, STATES = "aiops.anomaly_scores", "aiops.anomaly_points", "aiops.detector_states"
INPUTS = ("aiops.rollup_5m", "aiops.series")
AT_ONCE = 3_000_000
"""Rows of the rollup that are read at once; a day is never divided."""
RECENT, SUNDAYS = 3, 21
"""States are kept of the last days with telemetry, and of the Sundays in so many days before: a late point costs the days
since the state before it."""
NOBODY = -1
"""In place of a series: after this day none was watched."""


def scores_recipe(_: Connection) -> Written:
    """The recipe of all three tables. Its statements and what is beside them must be asked for in this order."""
    work = _Work(Scratch())
    return Written(SCORES, INPUTS, digest(), work.scores, lookback=None, others=work.others)


@cache
def digest() -> str:
    """Names the detector that made rows and states: another one starts anew."""
    here = Path(__file__)
    text = b"".join(path.read_bytes() for path in [here, *sorted((here.parent / "detection").glob("*.py"))])
    return sha256(text).hexdigest()[:16]


class _Work:
    """One materialization."""

    def __init__(self, scratch: Scratch) -> None:
        self.scratch = scratch
        self.folder = Path()
        self.kept: set[date] = set()

    def scores(self, cursor: Connection, start: datetime, end: datetime) -> list[str]:
        """Judges the days from `start` to before `end`, and what lies between them and the last state."""
        self.folder = self.scratch.fresh()
        first, after = start.date(), end.date()
        stood, watch = _last_watch(cursor, first)
        counts = _counts(cursor, stood, after)
        self.kept = _kept({day for day in counts if day >= first})
        with _Files(self.folder) as files:
            for day, points in _days(cursor, counts):
                judged, watch = running.judge_day(watch, (day - _EPOCH).days, points)
                if day >= first:
                    files.add(day, judged)
                if day in self.kept:
                    files.add_states(day, watch)
        return [_select(self.folder / "scores.parquet", SCORE_COLUMNS)]

    def others(self, cursor: Connection, days: Sequence[date]) -> list[Beside]:
        """The anomalous points, and the states that are kept. All states since the first of `days` are replaced."""
        found = cursor.execute(f"SELECT DISTINCT epoch_us(ts) // 86400000000 FROM {STATES}").fetchall()
        stored = {_EPOCH + timedelta(int(row[0])) for row in found}
        left = _kept({day for day in stored if day < days[0]} | self.kept)
        replaced = {*days, *(day for day in stored if day >= days[0] or day not in left)}
        columns = f"{STATE_COLUMNS}, {literal(digest())} AS made_by"
        return [
            Beside(POINTS, _select(self.folder / "points.parquet", POINT_COLUMNS), tuple(days)),
            Beside(STATES, _select(self.folder / "states.parquet", columns), tuple(sorted(replaced))),
        ]


def _kept(days: set[date]) -> set[date]:
    """Those of days with telemetry whose states are kept."""
    newest = max(days, default=_EPOCH)
    sundays = {day for day in days if day.weekday() == 6 and (newest - day).days < SUNDAYS}
    return {*sorted(days)[-RECENT:], *sundays}


_EPOCH = date(1970, 1, 1)
_TIME = "make_timestamptz(ts) AS ts"
_KIND = f"{literal(list(KINDS[1:]))}[nullif(kind, 0)] AS kind"
SCORE_COLUMNS = f"series_id, {_TIME}, value, expected, lower, upper, score, is_anomaly, {_KIND}"
POINT_COLUMNS = f"series_id, {_TIME}, seconds, known_days, value, expected, usual, score, is_anomaly, {_KIND}"
STATE_COLUMNS = f"series_id, {_TIME}, step, silent, since, state"


def _select(path: Path, columns: str) -> str:
    return f"SELECT * FROM (SELECT {columns} FROM read_parquet({literal(str(path))}))"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _last_watch(cursor: Connection, first: date) -> tuple[date | None, Watch]:
    """The newest day before `first` after which a state of this detector stands, and the state."""
    where = f"made_by = {literal(digest())} AND ts < {literal(_midnight(first))}"
    row = cursor.execute(f"SELECT max(epoch_us(ts)) // 86400000000 FROM {STATES} WHERE {where}").fetchone()
    if row is None or row[0] is None:
        return None, {}
    day = _EPOCH + timedelta(int(row[0]))
    watch: dict[int, Group] = {}
    for step in running.STEPS:
        found = cursor.execute(
            f"SELECT series_id, silent, since - DATE '1970-01-01' AS since, state FROM {STATES} "
            f"WHERE {where} AND ts = {literal(_midnight(day))} AND step = {step} ORDER BY series_id"
        ).fetchnumpy()
        series = np.asarray(found["series_id"])
        if len(series):
            packed = np.frombuffer(b"".join(found["state"]), np.uint8).reshape(len(series), -1)
            state = running.unpack(running.settings_of(step), packed)
            silent, since = (np.asarray(found[name]).astype(np.int64) for name in ("silent", "since"))
            watch[step] = Group(series, state, silent, since)
    return day, watch


def _counts(cursor: Connection, stood: date | None, after: date) -> dict[date, int]:
    """How many points each day has, of the days after `stood` (or all) and before `after`, in order."""
    since = f"ts >= {literal(_midnight(stood + timedelta(1)))}" if stood else "true"
    rows = cursor.execute(
        "SELECT epoch_us(ts) // 86400000000 AS day, count(*) FROM aiops.rollup_5m "
        f"WHERE {since} AND ts < {literal(_midnight(after))} GROUP BY day ORDER BY day"
    ).fetchall()
    return {_EPOCH + timedelta(int(day)): count for day, count in rows}


def _days(cursor: Connection, counts: Mapping[date, int]) -> Iterator[tuple[date, Points]]:
    """The points of each day, so many days read at once that they have no more than AT_ONCE."""
    batch: list[date] = []
    for day, count in counts.items():
        if batch and count + sum(counts[one] for one in batch) > AT_ONCE:
            yield from _read(cursor, batch)
            batch = []
        batch.append(day)
    if batch:
        yield from _read(cursor, batch)


def _read(cursor: Connection, days: Sequence[date]) -> Iterator[tuple[date, Points]]:
    start, end = literal(_midnight(days[0])), literal(_midnight(days[-1] + timedelta(1)))
    found = cursor.execute(
        "SELECT series_id, second, value, additive FROM ("
        "SELECT r.series_id, epoch_us(r.ts) // 1000000 AS second, s.kind <> 'gauge' AS additive, "
        "CASE WHEN s.kind = 'gauge' THEN r.mean ELSE r.increase END AS value "
        "FROM aiops.rollup_5m AS r JOIN aiops.series AS s USING (series_id) "
        f"WHERE r.ts >= {start} AND r.ts < {end}) WHERE value IS NOT NULL ORDER BY second // {DAY}, series_id, second"
    ).fetchnumpy()
    seconds = np.asarray(found["second"])
    columns = [np.asarray(found[name]) for name in ("series_id", "value", "additive")]
    for day in days:
        number = (day - _EPOCH).days
        low, high = np.searchsorted(seconds // DAY, [number, number + 1])
        series, values, additive = (column[low:high] for column in columns)
        yield day, Points(series, seconds[low:high] % DAY, values, additive)


class _Files:
    """Three Parquet files that grow day by day."""

    def __init__(self, folder: Path) -> None:
        import pyarrow as pa

        number, moment = pa.float64(), pa.int64()
        first = [("series_id", pa.int64()), ("ts", moment)]
        flags = [("score", number), ("is_anomaly", pa.bool_()), ("kind", pa.int8())]
        ends = [(name, number) for name in ("value", "expected", "lower", "upper")]
        marked = [
            ("seconds", pa.int32()),
            ("known_days", pa.int32()),
            *((name, number) for name in ("value", "expected", "usual")),
        ]
        kept = [("step", pa.int32()), ("silent", pa.int32()), ("since", pa.date32()), ("state", pa.large_binary())]
        self.folder, self.schemas = folder, {
            "scores": pa.schema([*first, *ends, *flags]),
            "points": pa.schema([*first, *marked, *flags]),
            "states": pa.schema([*first, *kept]),
        }  # fmt: skip
        self.writers: dict[str, Any] = {}

    def __enter__(self) -> _Files:
        import pyarrow.parquet as pq

        for name, schema in self.schemas.items():
            path = self.folder / f"{name}.parquet"
            self.writers[name] = pq.ParquetWriter(
                path, schema, compression="none", use_dictionary=["series_id", "kind"]
            )
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self.writers.values():
            writer.close()

    def add(self, day: date, judged: Judged) -> None:
        """The rows of one day."""
        midnight = (day - _EPOCH).days * DAY
        for block in judged.blocks:
            row, column = np.nonzero(block.shown)
            scores = block.scores
            shared = {
                "series_id": block.series[row],
                "ts": (midnight + block.seconds[column]) * 1_000_000,
                "value": block.values[row, column],
                "expected": scores.expected[row, column],
                "lower": scores.lower[row, column],
                "upper": scores.upper[row, column],
                "score": scores.score[row, column],
                "is_anomaly": scores.is_anomaly[row, column],
                "kind": scores.kind[row, column],
            }
            self._write("scores", shared)
            marked = np.flatnonzero(shared["kind"])
            if len(marked):
                shared |= {"usual": scores.usual[row, column], "seconds": np.full(len(row), block.step)}
                shared["known_days"] = block.known[row]
                self._write("points", {name: array[marked] for name, array in shared.items()})
        if (points := judged.unjudged) is not None:
            nothing = np.full(len(points.series), np.nan)
            named = dict.fromkeys(("expected", "lower", "upper"), nothing)
            flags = {"score": np.zeros(len(nothing)), "is_anomaly": np.zeros(len(nothing), np.bool_)}
            flags["kind"] = np.zeros(len(nothing), np.int8)
            times = (midnight + points.seconds) * 1_000_000
            rows = {"series_id": points.series, "ts": times, "value": points.values, **named, **flags}
            self._write("scores", rows)

    def _write(self, name: str, rows: Mapping[str, Any]) -> None:
        import pyarrow as pa

        schema = self.schemas[name]
        columns = [_array(rows[field.name], field.type) for field in schema]
        self.writers[name].write_table(pa.Table.from_arrays(columns, schema=schema))

    def add_states(self, day: date, watch: Watch) -> None:
        """The states after one day."""
        for step, group in watch.items():
            packed, width = running.pack(group.state)
            ends = np.arange(len(packed) + 1, dtype=np.int64) * width
            self._write_states(day, step, group, packed, ends)
        if not watch:
            nobody = Group(np.array([NOBODY]), {}, np.zeros(1, np.int64), np.zeros(1, np.int64))
            self._write_states(day, 0, nobody, np.empty(0), np.zeros(2, np.int64))

    def _write_states(self, day: date, step: int, group: Group, packed: Any, ends: Any) -> None:
        import pyarrow as pa

        count = len(group.series)
        moment = np.full(count, (day - _EPOCH).days * DAY * 1_000_000, np.int64)
        columns = [
            _array(group.series, pa.int64()),
            _array(moment, pa.int64()),
            _array(np.full(count, step), pa.int32()),
            _array(group.silent, pa.int32()),
            _array(group.since, pa.date32()),
            pa.Array.from_buffers(pa.large_binary(), count, [None, pa.py_buffer(ends), pa.py_buffer(packed)]),
        ]
        self.writers["states"].write_table(pa.Table.from_arrays(columns, schema=self.schemas["states"]))


def _array(values: NDArray[Any], kind: pa.DataType, valid: NDArray[np.bool_] | None = None) -> pa.Array:
    """An Arrow array of numbers or flags; NaN becomes NULL. From its bytes, for `pyarrow.array` imports pandas."""
    import pyarrow as pa

    if pa.types.is_floating(kind):
        valid = ~np.isnan(values)
    bits = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    if pa.types.is_boolean(kind):
        data = np.packbits(values, bitorder="little")
    else:
        data = np.ascontiguousarray(values, f"{'f' if pa.types.is_floating(kind) else 'i'}{kind.bit_width // 8}")
    return pa.Array.from_buffers(kind, len(values), [bits, pa.py_buffer(data)])
