"""The value at this time of day on the last 8 days.

Belongs here: the table of days and what is read from it. Does not: the evidence made of it (`tails.py`).
"""

from __future__ import annotations

import numpy as np

from cogniforge_pipeline.aiops.detection.model import DAY, Array, Ints, State
from cogniforge_pipeline.aiops.detection.state import DAYS

ENOUGH = 5  # values that a median needs


def read_and_write(state: State, seconds: Ints, values: Array) -> tuple[Array, Array, Array]:
    """Median and median deviation of the time of day, and yesterday's value, each [series, tick]; NaN where unknown.

    Three slots of 8 days make a median: this time of day and its neighbours. Today's values are written
    but not read. `seconds` is [tick], since 1970 in UTC.
    """
    days, held = state["days"], state["day"]
    slots = days.shape[2]
    day, slot = seconds // DAY, (seconds % DAY) * slots // DAY
    median, spread, yesterday = (np.full(values.shape, np.nan) for _ in range(3))
    cuts = np.flatnonzero(np.diff(day)) + 1
    for start, stop in zip([0, *cuts], [*cuts, len(day)], strict=True):
        today, now = int(day[start]), slot[start:stop]
        past = (today - np.arange(1, DAYS)) % DAYS
        known = held[:, past] == today - np.arange(1, DAYS)
        if known.any():
            around = np.stack([(now - 1) % slots, now, (now + 1) % slots])
            found = days[:, past[:, None, None], around]
            found = np.where(known[:, :, None, None], found, np.float32(np.nan))
            yesterday[:, start:stop] = found[:, 0, 1]
            flat = found.reshape(len(values), -1, stop - start).transpose(0, 2, 1)
            median[:, start:stop], spread[:, start:stop] = _middle(np.ascontiguousarray(flat, dtype=np.float64))
        row = today % DAYS
        new = held[:, row] != today
        days[new, row] = np.nan
        held[new, row] = today
        days[:, row, now] = values[:, start:stop]
    return median, spread, yesterday


def _middle(values: Array) -> tuple[Array, Array]:
    count = np.isfinite(values).sum(axis=-1)
    median = _sorted_middle(values, count)
    return median, _sorted_middle(np.abs(values - median[..., None]), count)


def _sorted_middle(values: Array, count: Ints) -> Array:
    values = np.sort(values, axis=-1)
    last = np.maximum(count - 1, 0)
    low = np.take_along_axis(values, (last // 2)[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(values, (count // 2)[..., None], axis=-1)[..., 0]
    return np.where(count >= ENOUGH, 0.5 * (low + high), np.nan)
