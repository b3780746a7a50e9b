"""From any statistic to evidence on one scale, by the tail of the statistic's own past.

Belongs here: histograms of the past, the tail fitted to them, and evidence. Does not: what the statistics are.

Above the 95 % quantile u the tail is taken as a generalised Pareto distribution of shape 0.2 whose scale follows from the mean
excess; evidence is -log10 of the tail's probability, divided by 2.4.
"""

from __future__ import annotations

import numpy as np

from cogniforge_pipeline.aiops.detection.model import Array, Flags, Ints
from cogniforge_pipeline.aiops.detection.state import BINS

SHAPE = 0.2
LEVEL = 0.95
UNIT = 2.4
PER_OCTAVE = 8
LOWEST = -12.0  # log2 of the first bin's lower edge
EDGES = np.exp2(LOWEST + np.arange(BINS + 1) / PER_OCTAVE)
CENTRES = 0.5 * (EDGES[1:] + EDGES[:-1])
FEWEST = 20  # values that a tail needs


def add(histogram: Ints, values: Array, seen: Flags) -> None:
    """Count values [series, tail, tick] where seen in the histogram [series, tail, bin], in place."""
    place = np.clip((np.log2(values) - LOWEST) * PER_OCTAVE, 0, BINS - 1)
    which = np.nonzero(seen)
    np.add.at(histogram, (which[0], which[1], place[which].astype(np.int64)), 1)


def fit(histogram: Ints) -> Array:
    """Threshold and scale [series, 2, tail] of histograms [series, tail, bin]; the threshold is infinite with too few values."""
    series, kinds, bins = histogram.shape
    flat = histogram.reshape(-1, bins)
    row = np.arange(len(flat))
    counts = np.cumsum(flat, axis=-1)
    sums = np.cumsum(flat * CENTRES, axis=-1)
    total = counts[:, -1]
    aim = LEVEL * total
    place = np.argmax(counts >= aim[:, None], axis=-1)
    own = flat[row, place]
    share = (aim - counts[row, place] + own) / np.maximum(own, 1)
    threshold = EDGES[place] + share * (EDGES[place + 1] - EDGES[place])
    above = sums[:, -1] - sums[row, place] + (1.0 - share) * own * 0.5 * (threshold + EDGES[place + 1])
    excess = np.maximum(above / np.maximum(total - aim, 1e-9) - threshold, 0.0) + 0.02 * threshold
    known = total >= FEWEST
    line = np.stack([np.where(known, threshold, np.inf), np.where(known, excess, 1.0)])
    return line.reshape(2, series, kinds).transpose(1, 0, 2)


def evidence(values: Array, line: Array) -> Array:
    """Evidence [series, tail, tick] of values by the fitted `line` [series, 2, tail]; 0 below the threshold."""
    excess = (values - line[:, 0, :, None]) / line[:, 1, :, None]
    rare = 1.301 + np.log1p(SHAPE * np.maximum(excess, 0.0)) / (SHAPE * np.log(10.0))
    return np.where(excess > 0, rare / UNIT, 0.0)


def reach(line: Array, tail: int, digits: float) -> Array:
    """The value [series] of one tail that is exceeded with probability 10 ** -digits; infinite where no tail is known.

    By an exponential tail of the same mean excess: evidence is careful with what is rare, bounds are not to be too wide.
    """
    value: Array = line[:, 0, tail] + line[:, 1, tail] * np.log(10.0) * (digits - 1.301)
    return value
