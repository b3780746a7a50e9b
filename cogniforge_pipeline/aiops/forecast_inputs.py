"""What forecasts are made from: telemetry on a grid, read from the five-minute rollups, never further back than a window.

Belongs here: reading rollups and what is declared, and telling what was touched since. Does not: forecasting, tables.

A value is the mean of a gauge over a step, or what a counter or delta grew by each second of it. The cost follows from the
window and the number of series, not from the length of the history.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cogniforge_pipeline.aiops.forecasting.steps import FIVE_MINUTES, HOURLY, Step
from cogniforge_pipeline.aiops.planning_model import FORECASTING_KIND, FiveMinutes, Forecasting
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import MATERIALIZATIONS, last
from cogniforge_pipeline.registry import declared
from cogniforge_pipeline.sqltext import ident, literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

ROLLUP, SERIES = "aiops.rollup_5m", "aiops.series"
DIGITS = 10
"""Values count to so many digits: the order in which a database adds numbers must not change a forecast."""
LEAST_DAYS = 2
"""Nothing is forecast before so many days of telemetry, begun ones included, are known."""


@dataclass(frozen=True)
class Grid:
    """A step, and how many of them are forecast, for the series of `among` (all for None)."""

    step: Step
    horizon: int
    among: FiveMinutes | None = None

    def moment(self, as_of: datetime) -> datetime:
        """The end of the newest whole step."""
        return floored(as_of, self.step.seconds)


@dataclass(frozen=True)
class Recent:
    """n series that all end at `end`: `values` (n, T), NaN where nothing was measured, `counts` (n,) from the first value on."""

    grid: Grid
    end: datetime
    ids: npt.NDArray[np.int64]
    metric_types: npt.NDArray[np.object_]
    values: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]

    def only(self, rows: npt.NDArray[Any]) -> Recent:
        """Some of the series, by row."""
        return replace(
            self,
            ids=self.ids[rows],
            metric_types=self.metric_types[rows],
            values=self.values[rows],
            counts=self.counts[rows],
        )


def declared_grids(cursor: Connection) -> tuple[Grid, ...]:
    """The grids that are forecast on, by what is declared now."""
    found = declared(cursor, FORECASTING_KIND)
    settings = found[0].model if found else Forecasting()
    grids = [Grid(HOURLY, settings.horizon_hours)]
    if settings.five_minutes:
        grids.append(Grid(FIVE_MINUTES, settings.five_minutes.hours * 12, settings.five_minutes))
    return tuple(grids)


def floored(moment: datetime, seconds: int) -> datetime:
    """The newest multiple of so many seconds since 1970, UTC."""
    return datetime.fromtimestamp(int(moment.timestamp()) // seconds * seconds, UTC)


def has_history(cursor: Connection) -> bool:
    """Whether so many days of telemetry are known that anything is forecast."""
    row = cursor.execute(
        f"SELECT count(DISTINCT day) FROM (SELECT unnest(days) AS day FROM {MATERIALIZATIONS} "
        f"WHERE table_name = {literal(ROLLUP)})"
    ).fetchone()
    return bool(row and row[0] >= LEAST_DAYS)


def recent(cursor: Connection, grid: Grid, end: datetime) -> Recent:
    """The series with a value in the last day before `end`, over the window of the grid's step, by series_id."""
    import numpy as np

    step = grid.step
    seconds = step.seconds
    start = end - timedelta(seconds=seconds * step.columns)
    found = cursor.execute(
        f"SELECT r.series_id, (epoch_us(r.ts) - {int(start.timestamp()) * 10**6}) // {seconds * 10**6} AS place, "
        "any_value(s.metric_type) AS metric_type, CASE WHEN any_value(s.kind) = 'gauge' THEN fsum(r.sum) / sum(r.count) "
        f"ELSE fsum(r.increase) / {seconds} END AS value FROM {ROLLUP} AS r JOIN {SERIES} AS s USING (series_id) "
        f"WHERE r.ts >= {literal(start)} AND r.ts < {literal(end)}{_among(grid.among)} "
        "GROUP BY r.series_id, place HAVING value IS NOT NULL ORDER BY r.series_id, place"
    ).fetchnumpy()
    ids, rows = np.unique(np.asarray(found["series_id"], dtype=np.int64), return_inverse=True)
    values = np.full((len(ids), step.columns), np.nan)
    values[rows, np.asarray(found["place"], dtype=np.int64)] = _rounded(np.asarray(found["value"], dtype=np.float64))
    kinds = np.full(len(ids), "", dtype=object)
    kinds[rows] = np.asarray(found["metric_type"], dtype=object)
    known = ~np.isnan(values)
    counts = np.where(known.any(axis=1), step.columns - known.argmax(axis=1), 0).astype(np.int64)
    alive = known[:, -step.season :].any(axis=1)
    return Recent(grid, end, ids, kinds, values, counts).only(np.flatnonzero(alive))


def touched(cursor: Connection, table: str, digest: str, grid: Grid, end: datetime) -> bool:
    """Whether a table's definition, or rollups over the window before `end`, changed since it was last published."""
    entry = last(cursor, table)
    if entry is None or not str(entry["code_version"]).startswith(f"{digest}:"):
        return True
    inputs = entry["inputs"]
    read = inputs.get(ROLLUP, 0) if isinstance(inputs, Mapping) else 0
    start = end - timedelta(seconds=grid.step.seconds * grid.step.columns)
    row = cursor.execute(
        f"SELECT count(*) FROM (SELECT unnest(days) AS day FROM {MATERIALIZATIONS} WHERE table_name = {literal(ROLLUP)} "
        f"AND version > {read}) WHERE day >= {literal(start.date())} AND day::TIMESTAMP < {literal(end)}::TIMESTAMP"
    ).fetchone()
    return bool(row and row[0])


def rows_of(cursor: Connection, name: str, columns: Mapping[str, tuple[str, Sequence[Any]]]) -> str:
    """A SELECT of rows that Python made: `columns` gives each one's type and values; a TIMESTAMPTZ is in seconds since 1970.

    They become a temp table of the cursor. JSON carries them: every double comes back the same, and no library is loaded.
    """
    kinds = {column: "BIGINT" if kind == "TIMESTAMPTZ" else kind for column, (kind, _) in columns.items()}
    text = json.dumps({column: list(values) for column, (_, values) in columns.items()})
    shape = json.dumps({column: [kind] for column, kind in kinds.items()})
    taken = ", ".join(
        (f"to_timestamp(unnest(made.{ident(column)}))" if kind == "TIMESTAMPTZ" else f"unnest(made.{ident(column)})")
        + f" AS {ident(column)}"
        for column, (kind, _) in columns.items()
    )
    table = f"temp.{ident('made_' + name)}"
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE {ident('made_' + name)} AS "
        f"SELECT {taken} FROM (SELECT from_json({literal(text)}, {literal(shape)}) AS made)"
    )
    return f"SELECT * FROM {table}"


def _rounded(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    import numpy as np

    size = np.where(values == 0, 1.0, np.abs(values))
    power = DIGITS - 1 - np.floor(np.log10(size))
    factor = 10.0 ** np.clip(power, -290, 290)
    return np.asarray(np.round(values * factor) / factor, dtype=np.float64)


def _among(chosen: FiveMinutes | None) -> str:
    parts = [] if chosen is None else [("s.service", chosen.services), ("s.metric", chosen.metrics)]
    return "".join(f" AND {name} IN ({', '.join(map(literal, of))})" for name, of in parts if of != "*")
