"""How far a window is from the nearest earlier window of the same series.

Belongs here: block means and distances. Does not: the evidence made of a distance (`tails.py`).

Block means are counted in whole units, a power of two that follows from the range. All products and sums of a
distance are then whole numbers below 2 ** 53, exact in any order, so that BLAS may choose its own and a tick gives what
the batch gives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cogniforge_pipeline.aiops.detection.model import Array, Ints, State

BLOCKS = 8
SHAPE = 0.2  # weight of the shape beside that of the amplitude
FLOOR = 0.03  # what is added to a window's deviation, as a share of the next power of two above the range
FINE = 12  # bits of a range, and of a standard deviation
CACHE = 1 << 18  # cells of distances made at once


def block_means(values: Array, block: int, ends: Ints) -> Array:
    """Means [series, end] of the `block` values up to each end."""
    total = values[:, ends]
    for back in range(1, block):
        total = total + values[:, ends - back]
    return (total / block).astype(np.float32).astype(np.float64)


def distances(state: State, means: Array, extent: Array) -> Array:
    """Distance of the window that each new block ends to its nearest neighbour, as a share of `extent`, the range.

    `means` and `extent` are [series, new block]. NaN where there is no neighbour yet or no range. Windows that share
    a block are not neighbours. The state's bank takes up the new blocks.
    """
    series, new = means.shape
    bank = state["blocks"].shape[1]
    every = np.concatenate([state["blocks"].astype(np.float64), means], axis=1)
    count = state["block_count"][:, None] + np.cumsum(np.isfinite(means), axis=1)
    result = np.full(means.shape, np.nan)
    ready = (count >= 2 * BLOCKS) & (extent > 0) & np.isfinite(extent)
    if ready.any():
        octave = np.frexp(np.where(ready, extent, 1.0))[1]
        first = np.take_along_axis(octave, ready.argmax(axis=1)[:, None], axis=1)
        rows = max(1, CACHE // ((bank + new) * max(new, BLOCKS)))
        for start in range(0, series, rows):
            part = slice(start, start + rows)
            used = int(min(bank + new, max(count[part, -1].max(), new) + BLOCKS))
            later = octave[part] - first[part]
            for number in np.unique(later[ready[part]]):
                unit = np.ldexp(1.0, first[part] + number - FINE)[:, :, None]
                near = _nearest(every[part, -used:], new, bank, count[part], extent[part], unit)
                result[part] = np.where(ready[part] & (later == number), near, result[part])
    state["blocks"][:] = every[:, -bank:]
    state["block_count"][:] = count[:, -1]
    return result


def _nearest(blocks: Array, new: int, bank: int, count: Ints, extent: Array, unit: Array) -> Array:
    whole = np.rint(np.where(np.isfinite(blocks), blocks, 0.0) / unit[:, :, 0])
    whole = whole - whole[:, :1]
    number = whole.shape[1] - BLOCKS + 1
    windows = np.stack([whole[:, place : place + number] for place in range(BLOCKS)], axis=1)
    level, square = windows.sum(axis=1), (windows * windows).sum(axis=1)
    size = np.sqrt(BLOCKS * square - level * level) + BLOCKS * FLOOR * 2.0**FINE
    form = np.rint((BLOCKS * windows - level[:, None]) * (2.0**FINE / size)[:, None])
    apart = _apart(windows, square, new) * (unit / extent[:, :, None]).astype(np.float32)
    apart *= np.float32(1.0 - SHAPE)
    apart += _apart(form, (form * form).sum(axis=1), new) * np.float32(SHAPE * 2.0**-FINE)
    ends = np.arange(number)
    back = ends[-new:, None] - ends
    apart[(back < BLOCKS) | (back > (np.minimum(bank, count) - BLOCKS)[:, :, None])] = np.inf
    nearest: Array = apart.min(axis=-1).astype(np.float64)
    return nearest


def _apart(windows: Array, square: Array, new: int) -> NDArray[np.float32]:
    """Root mean squares [series, query, window] of differences between the last `new` windows and all."""
    product = windows[:, :, -new:].transpose(0, 2, 1) @ windows
    product *= -2.0
    product += square[:, None, :]
    product += square[:, -new:, None]
    apart: NDArray[np.float32] = np.sqrt(product.astype(np.float32) / np.float32(BLOCKS))
    return apart
