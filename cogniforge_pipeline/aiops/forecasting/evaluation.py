"""How well the forecaster would have done: rolling-origin evaluation.

Belongs here: holding out, training at each origin, figures beside seasonal naive's. Does not: the measures (`accuracy.py`).
"""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import polars as pl

from cogniforge_pipeline.aiops.forecasting.accuracy import assess, mase, seasonal_scale
from cogniforge_pipeline.aiops.forecasting.filling import filled
from cogniforge_pipeline.aiops.forecasting.model import Progress, train_panel
from cogniforge_pipeline.aiops.forecasting.panel import Panel, panel_of
from cogniforge_pipeline.errors import CogniforgeError


def rolling_accuracy(
    frame: pl.DataFrame,
    *,
    season: int,
    horizon: int,
    origins: int = 3,
    apart: int | None = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """One row for each origin, newest first, of forecasts by models that were trained on what was known then.

    Columns: steps_back (from the end of each series to the origin), series (how many), mase, smape, owa, msis, coverage80,
    coverage95, naive_mase. The newest origin lies one horizon back, the others `apart` (by default a horizon) further. `frame`
    is as `train` takes it; a series without any value before an origin is not part of its figures. Raises CogniforgeError where
    nothing is left before an origin.
    """
    panel = panel_of(frame, season, horizon)
    rows = []
    for number in range(origins):
        back = horizon + number * (apart or horizon)
        kept = np.flatnonzero(panel.counts > back)
        if not len(kept):
            raise CogniforgeError(
                f"no series has values more than {back} steps before its end",
                "ask for fewer origins or a shorter horizon",
            )
        known = _until(panel, kept, back)
        bounds = train_panel(known, season, horizon).served.bounds
        first = panel.values.shape[1] - back
        actual = panel.values[kept, first : first + horizon]
        history = [filled(row[None, -count:], season)[0] for row, count in zip(known.values, known.counts, strict=True)]
        naive = np.array(
            [np.resize(values[-season:] if len(values) >= season else values[-1:], horizon) for values in history]
        )
        scale = np.array([seasonal_scale(values[None], season)[0] for values in history])
        figures = asdict(assess(actual, bounds, history, season))
        rows.append({"steps_back": back} | figures | {"naive_mase": float(np.nanmean(mase(actual, naive, scale)))})
        if progress:
            progress(number + 1, origins)
    return pl.DataFrame(rows)


def _until(panel: Panel, rows: np.ndarray[tuple[int], np.dtype[np.int64]], back: int) -> Panel:
    """Some series of a panel as they were `back` steps before their ends."""
    return replace(
        panel,
        names=[panel.names[row] for row in rows],
        values=panel.values[rows, : panel.values.shape[1] - back],
        counts=panel.counts[rows] - back,
        last=panel.last[rows] - back * panel.unit,
    )
