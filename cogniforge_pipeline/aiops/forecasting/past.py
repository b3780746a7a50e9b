"""What the base forecast said at past origins, and says now.

Belongs here: origins, the errors of experts that were known at each, the base forecast there. Does not: the experts
(`experts.py`), what is learnt from the past (`residual.py`, `intervals.py`), choice of groups (`groups.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cogniforge_pipeline.aiops.forecasting.accuracy import Array
from cogniforge_pipeline.aiops.forecasting.base import combine, error_weight
from cogniforge_pipeline.aiops.forecasting.experts import expert_forecasts, reach
from cogniforge_pipeline.aiops.forecasting.filling import filled, lengthened

Floats = npt.NDArray[np.float32]
JUDGED = 40
"""Origins whose whole horizon is known that an expert is judged by."""
EARLIER = 24
"""Further origins back, so that the base forecast itself has a past."""
STEPS = 96
"""At most so many steps of a horizon are looked at in the past."""


@dataclass(frozen=True)
class Grid:
    """Where origins and steps lie: origins `every` steps apart, `blocks` of `every` steps make up the horizon.

    In the past every `stride`-th step is looked at: `steps` (K,), counted from 1. `offsets` (O,) count back from the newest
    value and end with 0.
    """

    season: int
    long: int | None
    horizon: int
    every: int
    blocks: int
    stride: int
    steps: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]

    @classmethod
    def over(cls, season: int, long: int | None, horizon: int, known: int) -> Grid:
        """The grid for series of which the longest has `known` values."""
        every = max(1, season // 4)
        blocks = -(-horizon // every)
        strides = [size for size in range(1, every + 1) if every % size == 0]
        stride = next((size for size in strides if blocks * every // size <= STEPS), every)
        most = max(0, (known - least_history(season)) // every)
        origins = min(blocks + JUDGED + EARLIER, most + 1)
        return cls(
            season=season,
            long=long,
            horizon=horizon,
            every=every,
            blocks=blocks,
            stride=stride,
            steps=np.arange(stride, blocks * every + 1, stride),
            offsets=every * np.arange(origins)[::-1],
        )


@dataclass(frozen=True)
class Past:
    """The past and the present of n series. O origins (the last is now), K steps in the past, H steps ahead.

    `usable` (n, O) says where enough errors were known for a base forecast. `known` (n, O, K) says which errors exist.
    `experts` (E, n, O, K) and `experts_now` (E, n, H) are all forecasts; the first is seasonal naive.
    """

    grid: Grid
    values: Floats
    scale: Floats
    actual: Floats
    known: npt.NDArray[np.bool_]
    weight: Floats
    usable: npt.NDArray[np.bool_]
    experts: Floats
    base: Floats
    spread: Floats
    best_error: Floats
    experts_now: Floats
    base_now: Floats
    spread_now: Floats

    def age(self, origin: int) -> int:
        """How many steps before now an origin lies."""
        return int(self.grid.offsets[origin])

    def whole(self) -> npt.NDArray[np.int64]:
        """The origins whose whole horizon is over."""
        return np.flatnonzero(self.grid.offsets >= self.grid.blocks * self.grid.every)


def least_history(season: int) -> int:
    """How many values an origin needs before it."""
    return max(2 * season, 4)


def least_length(season: int, horizon: int) -> int:
    """How many values a series needs, so that six origins can judge the experts over the whole horizon."""
    every = max(1, season // 4)
    return least_history(season) + (-(-horizon // every) + 5) * every


def look_back(series: Array, counts: npt.NDArray[np.int64], scale: Array, grid: Grid) -> Past:
    """The past of series (n, T), NaN where missing, each with `counts` values from its first to its newest."""
    season, width = grid.season, series.shape[1]
    room = reach(season, grid.long) + int(grid.offsets[0]) - width
    room = max(room, 0) + season
    cycle = grid.long if grid.long is not None else season
    values = lengthened(filled(series, season), counts, room, cycle).astype(np.float32)
    now = room + width
    origins = now - grid.offsets
    size = scale.astype(np.float32)
    experts = expert_forecasts(values, origins, grid.steps, season, grid.long)
    at = origins[:, None] + grid.steps - 1
    inside = np.minimum(at, now - 1)
    actual = values[:, inside]
    real = np.concatenate([np.zeros((len(series), room), bool), ~np.isnan(series)], axis=1)
    started = counts[:, None] - grid.offsets >= least_history(season)
    known = real[:, inside] & (at < now) & started[:, :, None]
    weight = error_weight(actual, size[:, None, None]) * known
    base, spread, best_error, usable = _bases(experts, actual, weight / size[:, None, None], known, grid)
    if grid.stride == 1:
        experts_now = experts[:, :, -1, : grid.horizon]
        base_now, spread_now = base[:, -1, : grid.horizon], spread[:, -1, : grid.horizon]
    else:
        ahead = np.arange(1, grid.horizon + 1)
        experts_now = expert_forecasts(values, origins[-1:], ahead, season, grid.long)[:, :, 0]
        errors = _known_errors(
            _block_errors(experts, actual, weight / size[:, None, None], grid), len(origins) - 1, grid
        )
        base_now, spread_now, _ = combine(experts_now, errors)
    return Past(
        grid=grid,
        values=values,
        scale=size,
        actual=actual,
        known=known,
        weight=weight,
        usable=usable,
        experts=experts,
        base=base,
        spread=spread,
        best_error=best_error,
        experts_now=experts_now,
        base_now=base_now,
        spread_now=spread_now,
    )


def _block_errors(experts: Floats, actual: Floats, cost: Floats, grid: Grid) -> Floats:
    """The cost of each expert's errors (E, n, O + 1, blocks), summed over each block and over all origins before."""
    sums = np.zeros((*experts.shape[:2], experts.shape[2] + 1, grid.blocks), np.float32)
    for expert, forecast in enumerate(experts):
        error = np.abs(forecast - actual) * cost
        summed = error.reshape(*error.shape[:2], grid.blocks, -1).sum(axis=-1)
        sums[expert, :, 1:] = np.cumsum(summed, axis=1, dtype=np.float64)
    return sums


def _known_errors(sums: Floats, origin: int, grid: Grid) -> Floats:
    """The cost (E, n) of each expert over the newest origins, as far as it was known at `origin`."""
    first = max(0, origin - JUDGED - grid.blocks)
    total = np.zeros(sums.shape[:2], np.float32)
    for block in range(grid.blocks):
        total += sums[:, :, max(origin - block, first), block] - sums[:, :, first, block]
    return total


def _bases(
    experts: Floats, actual: Floats, cost: Floats, known: npt.NDArray[np.bool_], grid: Grid
) -> tuple[Floats, Floats, Floats, npt.NDArray[np.bool_]]:
    sums = _block_errors(experts, actual, cost, grid)
    counts = np.cumsum(known.reshape(*known.shape[:2], grid.blocks, -1).sum(axis=-1), axis=1)
    counts = np.concatenate([np.zeros_like(counts[:, :1]), counts], axis=1)[None].astype(np.float32)
    base, spread = experts[0].copy(), np.zeros_like(actual)
    best_error = np.zeros(actual.shape[:2], np.float32)
    usable = np.zeros(actual.shape[:2], bool)
    enough = 4 * actual.shape[2]
    for origin in range(actual.shape[1]):
        count = _known_errors(counts, origin, grid)[0]
        usable[:, origin] = count >= enough
        if usable[:, origin].any() or origin == actual.shape[1] - 1:
            errors = _known_errors(sums, origin, grid) / np.maximum(count, 1)
            base[:, origin], spread[:, origin], best_error[:, origin] = combine(experts[:, :, origin], errors)
    return base, spread, best_error, usable
