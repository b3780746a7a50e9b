"""What leaves the range of its own past: values, rolling medians, runs of equal or of missing values.

Belongs here: exact running extremes, medians and runs. Does not: calibrated evidence (`tails.py`).
"""

from __future__ import annotations

import numpy as np

from cogniforge_pipeline.aiops.detection.model import Array, Flags, Ints

CAP = 10.0


def growth(excess: Array) -> Array:
    """0 at 0, 1 at about 0.09, 3.1 at 1: the evidence of an excess that is a share of the past range."""
    return 0.7 * np.log10(1.0 + 20.0 * np.minimum(excess, CAP)) / 0.3


def running(values: Array, low: Array, high: Array) -> tuple[Array, Array, Array, Array]:
    """Extremes of [series, tick] before each tick, and after the last. NaN is passed over.

    `low` and `high` are [series, 2]: of the generation before and of this one.
    """
    lows = np.fmin.accumulate(np.concatenate([low[:, 1:], values], axis=1), axis=1)
    highs = np.fmax.accumulate(np.concatenate([high[:, 1:], values], axis=1), axis=1)
    return np.minimum(lows[:, :-1], low[:, :1]), np.maximum(highs[:, :-1], high[:, :1]), lows[:, -1], highs[:, -1]


def record(values: Array, low: Array, high: Array, floor: Array) -> Array:
    """Evidence that a value lies outside [low, high]: 0 inside, at least 0.3 outside."""
    excess = np.maximum(values - high, low - values) / np.maximum(high - low, floor)
    return np.where(excess > 0, 0.3 + growth(np.maximum(excess, 0.0)), 0.0)


def rolling_medians(values: Array, width: int, ends: Ints) -> Array:
    """Medians [series, end] of the `width` values of [series, tick] up to each end, both middle ones averaged."""
    windows = np.ascontiguousarray(values[:, ends[:, None] + np.arange(1 - width, 1)])
    middle = (width - 1) // 2, width // 2
    windows.partition(middle, axis=-1)
    return 0.5 * (windows[..., middle[0]] + windows[..., middle[1]])


def rolling_steps(values: Array, width: int, ends: Ints) -> Array:
    """Mean absolute steps [series, end] between the `width` + 1 values of [series, tick] up to each end."""
    steps = np.abs(np.diff(values, axis=1))
    windows = steps[:, ends[:, None] + np.arange(-width, 0)]
    mean: Array = np.add.accumulate(windows, axis=-1)[..., -1] / width
    return mean


def runs(flags: Flags, ongoing: Ints, longest: Ints) -> tuple[Ints, Ints]:
    """Length of the run of true flags at each tick, and the longest one that ended before it.

    `flags` is [series, tick]; `ongoing` is the run's length before the first tick, `longest` that of those before.
    """
    ticks = np.arange(1, flags.shape[1] + 1)
    last_false = np.maximum.accumulate(np.where(flags, 0, ticks), axis=1)
    length = np.where(flags, ticks - last_false + np.where(last_false == 0, ongoing[:, None], 0), 0)
    before = np.concatenate([ongoing[:, None], length[:, :-1]], axis=1)
    ended = np.where(flags, 0, before)
    return length, np.maximum.accumulate(np.maximum(ended, longest[:, None]), axis=1)
