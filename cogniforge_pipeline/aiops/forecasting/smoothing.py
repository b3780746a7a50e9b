"""Exponential smoothing with two seasons, many settings and many series at once.

Belongs here: the recursion and what it expects at each origin. Does not: which setting to trust (`base.py`).
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Steps = npt.NDArray[np.int64]

TRANSFORMED = np.array(list(itertools.product((0.003, 0.02, 0.08), (0.05, 0.2, 0.5), (0.15, 0.35, 0.6))), np.float32)
"""Gains of level, season and long season, run on the logarithm of positive series."""
PLAIN = np.array(
    [
        (0.003, 0.05, 0.15),
        (0.02, 0.2, 0.35),
        (0.08, 0.5, 0.6),
        (0.02, 0.05, 0.35),
        (0.08, 0.05, 0.15),
        (0.02, 0.5, 0.15),
    ],
    np.float32,
)
"""Gains run on the values as they are."""


def smoothed(
    values: Floats, gains: Floats, origins: Steps, steps: Steps, season: int, long: int | None, start: int
) -> Floats:
    """Forecasts (settings, series, origins, steps) of additive smoothing with one error (Taylor 2003, without trend).

    `values` is (series, time) without NaN. An origin is the number of values known then, in rising order; `steps` counts
    from 1. Level, season and long season are learnt from `start` on: y = level + season + long, each moved by its gain times
    the error. Without `long` its gain is added to the season's.
    """
    first = np.asarray(values[:, start : start + season])
    count = (len(gains), len(values))
    level = np.broadcast_to(first.mean(axis=1), count).astype(np.float32)
    seasonal = np.repeat((first - first.mean(axis=1, keepdims=True)).T[:, None, :], len(gains), axis=1)
    longer = np.zeros((long or 1, *count), np.float32)
    a, g, v = (gains[:, part, None] for part in range(3))
    if long is None:
        g, v = g + v, np.zeros_like(v)
    made = np.empty((*count, len(origins), len(steps)), np.float32)
    columns = np.ascontiguousarray(values.T)
    place = 0
    for now in range(start, int(origins[-1]) + 1):
        if now == origins[place]:
            ahead = now - start + steps - 1
            made[:, :, place] = np.moveaxis(level + seasonal[ahead % season] + longer[ahead % (long or 1)], 0, -1)
            place += 1
            if place == len(origins):
                break
        phase, phase_long = (now - start) % season, (now - start) % (long or 1)
        error = columns[now] - level - seasonal[phase] - longer[phase_long]
        level = level + a * error
        seasonal[phase] += g * error
        if long is not None:
            longer[phase_long] += v * error
    return made
