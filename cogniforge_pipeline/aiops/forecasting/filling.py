"""Series without gaps, from series with gaps, and each series' own period.

Belongs here: what the vectorised experts need before they can run. Does not: reading frames (`panel.py`).
In all arrays rows are series, columns are steps, and the last column is each series' newest step.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
OWN_PERIOD = 0.6
"""Another period replaces the declared season only if its naive error is below this share of the season's."""


def filled(values: Array, season: int) -> Array:
    """The series with every NaN replaced; a series without any value becomes zeros.

    A gap takes the value one season before, then one season later, then the newest value before it, then the first one.
    """
    values = np.array(values, dtype=np.float64)
    holes = np.flatnonzero(np.isnan(values).any(axis=1))
    part = values[holes]
    for view in (part, part[:, ::-1]):
        for start in range(season, view.shape[1], season):
            block, before = view[:, start : start + season], view[:, start - season : start]
            before = before[:, : block.shape[1]]
            block[:] = np.where(np.isnan(block), before, block)
    for view in (part, part[:, ::-1]):
        newest = np.maximum.accumulate(np.where(np.isnan(view), 0, np.arange(view.shape[1])), axis=1)
        view[:] = np.take_along_axis(view, newest, axis=1)
    values[holes] = np.nan_to_num(part)
    return values


def lengthened(values: Array, known: npt.NDArray[np.int64], count: int, cycle: int) -> Array:
    """`count` columns put before the series, and all before each one's first `known` value, repeat its first cycle."""
    rows, width = values.shape
    made = np.concatenate([np.zeros((rows, count)), values], axis=1)
    first = width - known + count
    column = np.arange(width + count)
    size = np.minimum(known, cycle)
    source = np.where(column < first[:, None], first[:, None] + (column - first[:, None]) % size[:, None], column)
    return np.take_along_axis(made, source, axis=1)


def own_periods(values: Array, season: int) -> npt.NDArray[np.int64]:
    """The period of each series (n,): the season, unless half to 1.3 of it holds a far better one (`OWN_PERIOD`).

    Judged by the seasonal-naive error over the last 14 seasons. Gaps (NaN) are left out.
    """
    longest = int(1.3 * season)
    window = 14 * season
    if season < 4 or values.shape[1] < window + longest:
        return np.full(len(values), season)
    candidates = np.arange(season // 2, longest + 1)
    recent = values[:, -window:]
    errors = np.full((len(values), len(candidates)), np.inf)
    for place, lag in enumerate(candidates):
        change = np.abs(recent - values[:, -window - lag : -lag])
        count = (~np.isnan(change)).sum(axis=1)
        enough = count >= window // 2
        errors[enough, place] = np.nansum(change[enough], axis=1) / count[enough]
    declared = errors[:, season - season // 2]
    best = errors.argmin(axis=1)
    better = np.isfinite(declared) & (errors[np.arange(len(values)), best] < OWN_PERIOD * declared)
    return np.where(better, candidates[best], season)
