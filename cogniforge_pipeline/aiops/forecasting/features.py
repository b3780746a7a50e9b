"""What the boosted trees know of an origin: how the base errs lately, how far the experts disagree.

Belongs here: features, the rows that trees learn from. Does not: the trees (`boosting.py`), their targets
(`residual.py`, `intervals.py`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cogniforge_pipeline.aiops.forecasting.past import Past

Floats = npt.NDArray[np.float32]
CHOSEN = (0, 1, 2, 3, 4, 6, 8, 12, 13, 15, 16, 17, 22, 26, 30, 34, 38, 42, 45, 48, 51, 52, 53, 54, 55, 56, 57)
"""Experts whose distance from the base is a feature."""
DRAWN = 6
"""Steps drawn at random for each series and origin."""


def describe(past: Past, origin: int | None = None, *, distances: bool = True) -> Floats:
    """Features (n, steps, features) of an origin, over the steps looked at; of now, over the whole horizon, for None.

    Unless `distances` is unset, with those of `CHOSEN` at the end.
    Errors, distances and spread are in scales. NaN where the past does not reach so far.
    """
    grid, now = past.grid, len(past.grid.offsets) - 1
    place = now if origin is None else origin
    if origin is None:
        steps = np.arange(1, grid.horizon + 1)
        base, spread, experts = past.base_now, past.spread_now, past.experts_now
    else:
        steps = grid.steps
        base, spread, experts = past.base[:, origin], past.spread[:, origin], past.experts[:, :, origin]
    scale = past.scale[:, None]
    values = past.values[:, : past.values.shape[1] - past.age(place)]
    shape = base.shape
    last = values[:, -1:]

    def flat(column: Floats) -> Floats:
        return np.broadcast_to(column, shape)

    def error(back: int, steps: npt.NDArray[np.int64]) -> Floats:
        """Errors of the base made `back` origins earlier, at steps that are known by now."""
        before = place - back
        if back > grid.blocks or before < 0:
            return np.full((shape[0], len(steps)), np.nan, np.float32)
        at = -(-steps // grid.stride) - 1
        wrong = (past.actual[:, before] - past.base[:, before])[:, at] / scale
        return np.where(past.usable[:, before, None], wrong, np.nan).astype(np.float32)

    block = np.arange(1, grid.every + 1)
    day = np.arange(1, 4 * grid.every + 1)
    phase = (steps - 1) % (4 * grid.every) + 1
    same = values.shape[1] - grid.season + (steps - 1) % grid.season
    level = np.abs(values[:, -7 * grid.season :]).mean(axis=1, keepdims=True) / scale
    situation = [
        flat(steps.astype(np.float32)),
        spread / scale,
        flat(np.log(past.best_error[:, place, None] + 1e-6)),
        *(flat(error(back, block + (back - 1) * grid.every).mean(axis=1, keepdims=True)) for back in (1, 2, 4, 8)),
        flat(np.abs(error(4, day)).mean(axis=1, keepdims=True)),
        flat(error(1, block[-1:])),
        error(4, phase),
        error(8, phase + 4 * grid.every),
        (values[:, same - 1] - base) / scale,
        (values[:, np.minimum(same + 1, values.shape[1] - 1)] - base) / scale,
        (last - base) / scale,
        flat(np.log(level + 1e-6)),
        np.abs(base) / scale,
    ]
    if distances:
        missing = np.full(shape, np.nan, np.float32)
        situation += [(experts[one] - base) / scale if one < len(experts) else missing for one in CHOSEN]
    return np.stack(situation, axis=-1).astype(np.float32)


def draw(past: Past, origin: int, share: float, random: np.random.Generator) -> tuple[npt.NDArray[np.int64], ...]:
    """Indices (series, steps) of a `share` of the rows of an origin: `DRAWN` random steps for each series, where known."""
    count, steps = past.base.shape[0], past.base.shape[2]
    rows = np.repeat(np.arange(count), DRAWN)
    columns = random.integers(0, steps, len(rows))
    kept = random.random(len(rows)) < share
    kept &= past.usable[rows, origin] & past.known[rows, origin, columns]
    return rows[kept], columns[kept]
