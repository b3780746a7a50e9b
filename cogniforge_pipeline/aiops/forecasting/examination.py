"""How good a trained forecaster was at origins after all that it has learnt from: figures for each series beside naive's.

Belongs here: the origins, the figures. Does not: measures (`accuracy.py`), learning (`model.py`), tables. Unlike
`evaluation.py` it trains nothing: the very trees that serve are examined.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cogniforge_pipeline.aiops.forecasting.accuracy import Array, mase, msis, seasonal_scale
from cogniforge_pipeline.aiops.forecasting.filling import filled
from cogniforge_pipeline.aiops.forecasting.groups import long_enough
from cogniforge_pipeline.aiops.forecasting.learnt import Learnt
from cogniforge_pipeline.aiops.forecasting.model import serve
from cogniforge_pipeline.aiops.forecasting.origins import backs
from cogniforge_pipeline.aiops.forecasting.panel import Panel


@dataclass(frozen=True)
class Examination:
    """Figures of n series over the rolling origins; NaN where nothing could be examined.

    `origins` and `points` (n,) say how many were compared. MASE and MSIS (of 95 % bounds) have the scale of seasonal naive's
    in-sample error at the origin. The naive bounds are those of the M4 competition: 1.96 standard deviations of the naive
    errors, times the square root of the seasons ahead.
    """

    origins: npt.NDArray[np.int64]
    points: npt.NDArray[np.int64]
    mase: Array
    naive_mase: Array
    msis: Array
    naive_msis: Array
    coverage80: Array
    coverage95: Array

    @property
    def lost(self) -> npt.NDArray[np.bool_]:
        """Who did not do better than seasonal naive, as far as it is known."""
        return self.mase >= self.naive_mase


def until(panel: Panel, rows: npt.NDArray[np.int64], back: int) -> Panel:
    """Some series of a panel as they were `back` steps before its end."""
    width = panel.values.shape[1] - back
    values = panel.values[rows, :width]
    known = ~np.isnan(values)
    counts = np.where(known.any(axis=1), width - known.argmax(axis=1), 0)
    names = [panel.names[row] for row in rows]
    return replace(panel, names=names, values=values, counts=counts, last=panel.last[rows] - back * panel.unit)


def examine(panel: Panel, season: int, horizon: int, learnt: Learnt) -> Examination:
    """The figures of all series of a panel that were long enough at an origin for the global forecaster."""
    count = len(panel.names)
    sums = {
        name: np.zeros(count)
        for name in ("mase", "naive_mase", "msis", "naive_msis", "in80", "in95", "points", "origins")
    }
    for back in backs(season, horizon):
        everything = until(panel, np.arange(count), back)
        rows = np.flatnonzero(long_enough(everything, season, horizon))
        if not len(rows):
            continue
        known = until(panel, rows, back)
        actual = panel.values[rows, known.values.shape[1] :][:, :horizon]
        rows_told = ~np.isnan(actual).all(axis=1)
        rows, actual = rows[rows_told], actual[rows_told]
        known = until(panel, rows, back)
        for name, values in _figures(known, actual, season, horizon, learnt).items():
            sums[name][rows] += values
    origins, points = sums["origins"], sums["points"]
    with np.errstate(invalid="ignore", divide="ignore"):
        return Examination(
            origins=origins.astype(np.int64),
            points=points.astype(np.int64),
            **{name: sums[name] / origins for name in ("mase", "naive_mase", "msis", "naive_msis")},
            coverage80=sums["in80"] / points,
            coverage95=sums["in95"] / points,
        )


def _figures(known: Panel, actual: Array, season: int, horizon: int, learnt: Learnt) -> dict[str, Array]:
    bounds = serve(known, season, horizon, learnt).bounds
    naive, spread = naive_forecast(known.values, season, horizon)
    scale = np.array(
        [seasonal_scale(row[None, -size:], season)[0] for row, size in zip(known.values, known.counts, strict=True)]
    )
    told = ~np.isnan(actual)
    return {
        "mase": mase(actual, bounds["mean"], scale),
        "naive_mase": mase(actual, naive, scale),
        "msis": msis(actual, bounds["lo95"], bounds["hi95"], scale),
        "naive_msis": msis(actual, naive - spread, naive + spread, scale),
        "in80": (told & (actual >= bounds["lo80"]) & (actual <= bounds["hi80"])).sum(axis=1),
        "in95": (told & (actual >= bounds["lo95"]) & (actual <= bounds["hi95"])).sum(axis=1),
        "points": told.sum(axis=1),
        "origins": np.ones(len(actual)),
    }


def naive_forecast(values: Array, season: int, horizon: int) -> tuple[Array, Array]:
    """Seasonal naive (n, H) of series that all end now, and its half-widths at 95 %."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        size = np.sqrt(np.nanmean((values[:, season:] - values[:, :-season]) ** 2, axis=1))
    ahead = np.arange(horizon)
    last = filled(values, season)[:, -season:]
    return last[:, ahead % season], 1.96 * size[:, None] * np.sqrt(ahead // season + 1)
