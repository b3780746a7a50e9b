"""Bounds from what earlier forecasts missed: a series' own past errors, and trees that say how far to trust them.

Belongs here: half-widths at 80 and 95 %. Does not: the forecast in their middle. The way is that of conformal prediction:
the trees learn quantiles of errors that were made out of sample, at past origins.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cogniforge_pipeline.aiops.forecasting.boosting import Trees, fit_trees
from cogniforge_pipeline.aiops.forecasting.features import DRAWN, describe, draw
from cogniforge_pipeline.aiops.forecasting.learnt import LEVELS
from cogniforge_pipeline.aiops.forecasting.past import JUDGED, Past
from cogniforge_pipeline.aiops.forecasting.residual import Rows, stacked

Floats = npt.NDArray[np.float32]
ORIGINS, APART = 16, 2
ROWS, FEWEST = 42_000, 3_000
ZONES = 8
WIDER = 1.08
"""Half-widths are stretched by this: chosen on forecasts of M4 Hourly made 96 h and more before its end,
and with a view to the coverage of its last 48 h."""


def past_errors(past: Past, served: Floats) -> Floats:
    """Absolute errors (n, O, K) in scales of the forecasts `served` at past origins; NaN where none is known."""
    errors = np.abs(past.actual - served) / past.scale[:, None, None]
    return np.where(past.known & past.usable[:, :, None], errors, np.nan).astype(np.float32)


def own_quantiles(past: Past, errors: Floats, origin: int) -> Floats:
    """Quantiles (n, K, 7) of a series' past errors as known at an origin.

    At .5, .8, .9, .95 and 1 of errors at about the same distance (an eighth of the horizon and its neighbours), and at .8
    and .95 of all. Every second origin and step is looked at.
    """
    grid = past.grid
    seen = np.arange(max(0, origin - JUDGED - grid.blocks), origin)[::-2]
    known = grid.offsets[seen][:, None] - past.age(origin) >= grid.steps
    past_ones = np.where(known, errors[:, seen], np.nan)
    zones = np.array_split(np.arange(len(grid.steps)), min(ZONES, len(grid.steps)))
    found = np.empty((len(errors), len(grid.steps), 7), np.float32)
    for number, zone in enumerate(zones):
        near = np.concatenate(zones[max(0, number - 1) : number + 2])[::2]
        found[:, zone, :5] = _quantiles(past_ones[:, :, near], (0.5, 0.8, 0.9, 0.95, 1))[:, None]
    found[:, :, 5:] = _quantiles(past_ones[:, :, ::2], (0.8, 0.95))[:, None]
    return found


def width_rows(past: Past, errors: Floats, series: int, random: np.random.Generator) -> Rows:
    """Features, errors over their expected size (clipped at 10), and weights of one, from `ORIGINS` past origins."""
    share = min(1.0, ROWS / (ORIGINS * DRAWN * series))
    made: list[Rows] = []
    for origin in past.whole()[::-APART][:ORIGINS]:
        rows, steps = draw(past, int(origin), share, random)
        features, size = situation(past, errors, int(origin))
        ratio = errors[rows, origin, steps] / size[rows, steps]
        made.append((features[rows, steps], np.clip(ratio, 0, 10), np.ones_like(ratio)))
    return stacked(made)


def fit_widths(rows: Rows) -> dict[float, Trees | float]:
    """For each level, trees of the quantile of (error / expected size), or the quantile itself from too few rows."""
    features, ratio, _ = rows
    if len(ratio) >= FEWEST:
        return {
            level: fit_trees(
                features, ratio, loss="quantile", quantile=level, iterations=60, leaves=15, minimum=200, bins=64
            )
            for level in LEVELS
        }
    if len(ratio) < 40:
        return {level: 1.0 + (level > 0.9) for level in LEVELS}
    return {level: float(np.quantile(ratio, level, method="higher")) for level in LEVELS}


def situation(past: Past, errors: Floats, origin: int | None = None) -> tuple[Floats, Floats]:
    """Features, and the size (n, steps) that errors are expected to have, in scales; of now for None."""
    place = len(past.grid.offsets) - 1 if origin is None else origin
    own = own_quantiles(past, errors, place)
    if origin is None:
        own = own[:, -(-np.arange(1, past.grid.horizon + 1) // past.grid.stride) - 1]
    size = (np.nan_to_num(0.5 * own[..., 3] + 0.5 * own[..., 6], nan=1.0) + 0.02).astype(np.float32)
    relative = np.log(own + 1e-3) - np.log(size)[..., None]
    features = describe(past, origin, distances=False)
    return np.concatenate([relative, np.log(size)[..., None], features], axis=-1).astype(np.float32), size


def half_widths(features: Floats, size: Floats, widths: dict[float, Trees | float]) -> dict[float, Floats]:
    """Half-widths (n, H) at each level, in scales, from `situation`; those of 95 % are never the narrower."""
    made: dict[float, Floats] = {}
    for level, model in widths.items():
        if isinstance(model, Trees):
            factor = model.predict(features.reshape(-1, features.shape[-1])).reshape(size.shape)
        else:
            factor = np.full(size.shape, model)
        made[level] = (WIDER * np.maximum(factor, 0.1) * size).astype(np.float32)
    made[0.95] = np.maximum(made[0.8], made[0.95])
    return made


def _quantiles(values: Floats, levels: tuple[float, ...]) -> Floats:
    """Quantiles (n, levels) over all but the first axis, without NaN, linear between neighbours; NaN without any value."""
    if not values.size:
        return np.full((len(values), len(levels)), np.nan, np.float32)
    ordered = np.sort(values.reshape(len(values), -1), axis=1)
    count = (~np.isnan(ordered)).sum(axis=1, keepdims=True)
    position = np.asarray(levels) * np.maximum(count - 1, 0)
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(count - 1, 0))
    low, high = np.take_along_axis(ordered, below, axis=1), np.take_along_axis(ordered, above, axis=1)
    return np.asarray(low + (position - below) * (high - low), dtype=np.float32)
