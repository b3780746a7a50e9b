"""Series of a long frame as one matrix, and forecasts as a long frame again.

Belongs here: the time grid, what cannot be used and why. Does not: files (`files.py`), filling of gaps (`filling.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

import numpy as np
import numpy.typing as npt
import polars as pl

from cogniforge_pipeline.aiops.forecasting.accuracy import Array
from cogniforge_pipeline.aiops.forecasting.bounds import BOUNDS
from cogniforge_pipeline.errors import CogniforgeError

SEASONS_KEPT = 60
LEAST_KEPT = 1_000
USUAL = (1, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800)
"""Seconds of steps that a measured distance is taken to mean, if it is within 2 % of one."""


@dataclass(frozen=True)
class Panel:
    """n series that end in the last column of `values` (n, T); NaN is missing.

    `last` (n,) is the position of each one's newest row: a step, or microseconds since 1970 in UTC where `timed`. `unit`
    is the distance of two columns. `counts` (n,) are columns from the first value to the end; 0 without any value.
    """

    names: list[str | int]
    values: Array
    counts: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    unit: int
    timed: bool


def panel_of(frame: pl.DataFrame, season: int, horizon: int, *, place: str | None = None) -> Panel:
    """The panel of a long frame with the columns series, step (whole numbers) or ts, and value.

    A ts without time zone is taken as UTC. The distance that most neighbours have is the grid's; a row may lie up to a
    quarter of it aside. A missing row, null or NaN is a gap. Only the newest 60 seasons and two horizons (at least 1000
    steps) are kept. Raises CogniforgeError, naming `place` and the frame's column `line` if it has one, for columns that are
    missing or of another type, infinite values, a series twice at one time, and times off the grid.
    """
    key, timed = _check_columns(frame, place)
    position = pl.col(key).dt.replace_time_zone("UTC") if frame[key].dtype == pl.Datetime("us") else pl.col(key)
    if timed:
        position = position.cast(pl.Datetime("us", "UTC")).dt.timestamp("us")
    lines = [pl.col("line")] if "line" in frame.columns else []
    rows = frame.select(
        "series", position.cast(pl.Int64).alias("at"), pl.col("value").cast(pl.Float64).fill_nan(None), *lines
    )
    for column in ("series", "at"):
        if rows[column].null_count():
            _refuse(place, rows.filter(pl.col(column).is_null()), f"a row has no {key if column == 'at' else column}")
    wrong = rows.filter(pl.col("value").is_infinite())
    if len(wrong):
        _refuse(place, wrong, "value is infinite", "give a number, or leave the value empty")
    rows = rows.sort("series", "at", maintain_order=True)
    twice = rows.filter(pl.struct("series", "at").is_duplicated())
    if len(twice):
        _refuse(place, twice[1:], f"series {twice['series'][0]} has two values at one {key}", "keep one of them")
    unit = _unit(rows, timed, place)
    back = pl.col("at") - pl.col("at").last().over("series")
    rows = rows.with_columns((back / unit).round().cast(pl.Int64).alias("column"), back.alias("back"))
    aside = rows.filter((pl.col("back") - pl.col("column") * unit).abs() > unit / 4)
    if len(aside):
        hint = "aggregate the values to equal steps first, for example by the mean of each hour"
        shown = f"{unit / 1e6:g} s" if timed else unit
        _refuse(place, aside, f"{key} of series {aside['series'][0]} is off the grid, whose step is {shown}", hint)
    clash = rows.filter(pl.struct("series", "column").is_duplicated())
    if len(clash):
        _refuse(place, clash[1:], f"series {clash['series'][0]} has two values for one step of the grid")
    width = max(LEAST_KEPT, SEASONS_KEPT * season + 2 * horizon)
    rows = rows.filter(pl.col("column") > -width)
    ends = rows.group_by("series", maintain_order=True).agg(pl.col("at").last(), pl.col("column").min())
    wide = 1 - int(ends["column"].to_numpy().min())
    values = np.full((len(ends), wide), np.nan)
    number = rows["series"].rle_id().to_numpy()
    values[number, wide - 1 + rows["column"].to_numpy()] = rows["value"].to_numpy()
    known = ~np.isnan(values)
    counts = np.where(known.any(axis=1), wide - known.argmax(axis=1), 0)
    return Panel(ends["series"].to_list(), values, counts, ends["at"].to_numpy().astype(np.int64), unit, timed)


def frame_of(panel: Panel, bounds: dict[str, Array], served: list[str]) -> pl.DataFrame:
    """The long frame of a forecast (n, H): series, step or ts (UTC), mean, the bounds, and model, which was served."""
    count, horizon = bounds["mean"].shape
    at = panel.last[:, None] + panel.unit * np.arange(1, horizon + 1)
    times = pl.Series("ts" if panel.timed else "step", at.ravel())
    return pl.DataFrame(
        [
            pl.Series("series", panel.names).gather(np.repeat(np.arange(count), horizon)),
            times.cast(pl.Datetime("us", "UTC")) if panel.timed else times,
            *(pl.Series(name, bounds[name].ravel()).fill_nan(None) for name in BOUNDS),
            pl.Series("model", served, dtype=pl.String).gather(np.repeat(np.arange(count), horizon)),
        ]
    )


def _check_columns(frame: pl.DataFrame, place: str | None) -> tuple[str, bool]:
    where = f"{place}: " if place else ""
    keys = [name for name in ("step", "ts") if name in frame.columns]
    missing = [name for name in ("series", "value") if name not in frame.columns]
    if missing or len(keys) != 1:
        lacking = f"no column {' and '.join(missing)}" if missing else "neither step nor ts, or both"
        raise CogniforgeError(
            f"{where}{lacking}; it has {', '.join(c for c in frame.columns if c != 'line') or 'no columns of use'}",
            "the columns are series, value, and one of step (whole numbers) and ts (times)",
        )
    if not len(frame):
        raise CogniforgeError(f"{where}there are no rows", "give at least one value")
    key = keys[0]
    right = frame[key].dtype.is_temporal() if key == "ts" else frame[key].dtype.is_integer()
    if not right:
        wanted = "times" if key == "ts" else "whole numbers"
        raise CogniforgeError(f"{where}column {key} holds {frame[key].dtype}", f"it has to hold {wanted}")
    if not frame["value"].dtype.is_numeric():
        raise CogniforgeError(f"{where}column value holds {frame['value'].dtype}", "it has to hold numbers")
    if not (frame["series"].dtype == pl.String or frame["series"].dtype.is_integer()):
        raise CogniforgeError(
            f"{where}column series holds {frame['series'].dtype}", "it has to hold names or whole numbers"
        )
    return key, key == "ts"


def _unit(rows: pl.DataFrame, timed: bool, place: str | None) -> int:
    gaps = rows.select(pl.col("at").diff().over("series").alias("gap")).drop_nulls()
    if len(gaps):
        common = int(gaps.group_by("gap").len().sort(["len", "gap"], descending=[True, False])["gap"][0])
        usual = min(USUAL, key=lambda seconds: abs(seconds * 10**6 - common)) * 10**6
        return usual if timed and abs(usual - common) < 0.02 * usual else common
    if timed:
        raise CogniforgeError(
            f"{place + ': ' if place else ''}no series has two values, so the step of its grid is unknown",
            "give more history, or a column step instead of ts",
        )
    return 1


def _refuse(place: str | None, rows: pl.DataFrame, message: str, hint: str | None = None) -> NoReturn:
    """An error about the first of `rows`."""
    row = rows.row(0, named=True)
    where = place or ""
    if "line" in row:
        where += f":{row['line']}"
    elif row.get("series") is not None and row.get("at") is not None:
        at = datetime.fromtimestamp(row["at"] / 1e6, UTC).isoformat() if row["at"] > 10**14 else row["at"]
        where += f" (series {row['series']} at {at})" if where else f"series {row['series']} at {at}"
    raise CogniforgeError(f"{where}: {message}" if where else message, hint)
