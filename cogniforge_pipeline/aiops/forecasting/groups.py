"""Series of one shape, worked on together, and what one of them says of the future.

Belongs here: which series the global forecaster can take, in which groups, and the forecast of a group. Does not: training
and storing (`model.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cogniforge_pipeline.aiops.forecasting.accuracy import Array, seasonal_scale
from cogniforge_pipeline.aiops.forecasting.boosting import Trees
from cogniforge_pipeline.aiops.forecasting.bounds import bounded
from cogniforge_pipeline.aiops.forecasting.features import describe
from cogniforge_pipeline.aiops.forecasting.filling import own_periods
from cogniforge_pipeline.aiops.forecasting.intervals import half_widths, past_errors, situation
from cogniforge_pipeline.aiops.forecasting.panel import Panel
from cogniforge_pipeline.aiops.forecasting.past import Grid, Past, least_length, look_back
from cogniforge_pipeline.aiops.forecasting.residual import correction

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
CELLS = 30_000_000
"""Forecasts of experts held at once: 120 MB."""
WEEKLY = 12
"""Seasons of at least so many steps also get a long season of seven."""


@dataclass(frozen=True)
class Group:
    """`rows` of a panel that share a period, a long season and, to a factor of two, a length."""

    rows: Rows
    season: int
    long: int | None


@dataclass(frozen=True)
class Outlook:
    """What is known of the future of a group before the trees have their say; (n, H) or (n,)."""

    base: Floats
    naive: Floats
    lost: npt.NDArray[np.bool_]
    scale: Floats
    features: Floats
    width_features: Floats
    size: Floats
    error: Array
    naive_error: Array


def long_enough(panel: Panel, season: int, horizon: int) -> npt.NDArray[np.bool_]:
    """Which series (n,) the global forecaster takes: long enough, not constant, at least half of the values there."""
    known = ~np.isnan(panel.values)
    count = known.sum(axis=1)
    changes = np.nanmax(np.where(known, panel.values, -np.inf), axis=1) > np.nanmin(
        np.where(known, panel.values, np.inf), axis=1
    )
    return np.asarray((panel.counts >= least_length(season, horizon)) & (2 * count >= panel.counts) & changes)


def groups_of(panel: Panel, rows: Rows, season: int, horizon: int) -> Iterator[Group]:
    """The groups of `rows`, each small enough to be worked on at once."""
    periods = own_periods(panel.values[rows], season)
    periods = np.where(panel.counts[rows] >= 2 * season + least_length(season, horizon), periods, season)
    weekly = (periods == season) & (season >= WEEKLY) & (panel.counts[rows] >= 14 * season + horizon)
    length = np.ceil(np.log2(panel.counts[rows])).astype(np.int64)
    keys = np.stack([periods, weekly, length], axis=1)
    for period, long, size in np.unique(keys, axis=0):
        found = rows[(keys == (period, long, size)).all(axis=1)]
        grid = Grid.over(int(period), None, horizon, int(panel.counts[found].max()))
        each = 58 * (len(grid.offsets) * len(grid.steps) + horizon)
        for part in np.array_split(found, -(-len(found) * each // CELLS)):
            yield Group(part, int(period), 7 * season if long else None)


def past_of(panel: Panel, group: Group, season: int, horizon: int) -> Past:
    """The past of a group; scales are those of the declared season."""
    longest = int(panel.counts[group.rows].max())
    values = panel.values[group.rows, -longest:]
    grid = Grid.over(group.season, group.long, horizon, longest)
    return look_back(values, panel.counts[group.rows], seasonal_scale(values, season), grid)


def served_past(
    past: Past, refused: npt.NDArray[np.bool_] | None = None
) -> tuple[Floats, npt.NDArray[np.bool_], Array, Array]:
    """The forecasts of the past that would be served (n, O, K), who lost to seasonal naive, and both mean errors in scales.

    Those of `refused` (n,) count as lost.
    """
    judged = past.known & past.usable[:, :, None]
    count = np.maximum(judged.sum(axis=(1, 2)), 1)
    error, naive_error = (
        (np.abs(past.actual - forecast) * judged).sum(axis=(1, 2), dtype=np.float64) / count / past.scale
        for forecast in (past.base, past.experts[0])
    )
    lost = error > naive_error if refused is None else refused | (error > naive_error)
    served = np.where(lost[:, None, None], past.experts[0], past.base)
    return served, lost, error, naive_error


def outlook(past: Past, refused: npt.NDArray[np.bool_] | None = None) -> Outlook:
    """What a group's past says of its future; those of `refused` are to be served seasonal naive."""
    served, lost, error, naive_error = served_past(past, refused)
    width_features, size = situation(past, past_errors(past, served))
    return Outlook(
        base=past.base_now,
        naive=past.experts_now[0],
        lost=lost,
        scale=past.scale,
        features=describe(past),
        width_features=width_features,
        size=size,
        error=error,
        naive_error=naive_error,
    )


def concluded(view: Outlook, residual: Trees | None, widths: dict[float, Trees | float]) -> dict[str, Array]:
    """The forecast (n, H) of a group: mean and bounds."""
    scale = view.scale[:, None].astype(np.float64)
    mean = view.base + scale * correction(view.features, residual)
    mean = np.where(view.lost[:, None], view.naive, mean).astype(np.float64)
    half = half_widths(view.width_features, view.size, widths)
    return bounded(mean, scale * half[0.8], scale * half[0.95])
