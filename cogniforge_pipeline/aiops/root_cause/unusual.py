"""How unusual a value is beside its own normal ones.

Belongs here: robust scores with calibrated tails. Does not: nodes, graphs, causes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ALERT = 3.0
"""The alert line in tail scores: what at most about one normal point in a thousand passes."""
FEWEST = 20
"""Normal points a column needs: the tail starts at its 95 % quantile, and at least one point must lie beyond."""

_TAIL = 0.05
_SHAPE = 0.2


def tail_scores(normal: Floats, abnormal: Floats) -> Floats:
    """-log10 of the chance that a normal point lies as far from the median; 0 within the usual 95 %.

    Both arrays are [moment, column] with NaN for missing; the result has the shape of `abnormal`, 0 where that is NaN
    or the column has fewer than `FEWEST` normal values. Beyond the 95 % quantile u of |x - median| the tail is a
    generalised Pareto with shape .2 and the mean excess m as its scale (peaks over threshold): metrics have heavier
    tails than the exponential, which would call any spike impossible. m has a floor of 2 % of u and .1 % of the
    median, so that a constant column answers with a finite score. n normal points cannot tell chances much below
    1/n: scores end at log10(n) + 3.
    """
    counts = np.isfinite(normal).sum(axis=0)
    scores = np.zeros_like(abnormal)
    judged = counts >= FEWEST
    if not judged.any():
        return scores
    normal, abnormal = normal[:, judged], abnormal[:, judged]
    median = np.nanmedian(normal, axis=0)
    distance = np.abs(normal - median)
    threshold = np.nanquantile(distance, 1 - _TAIL, axis=0)
    beyond = distance > threshold
    excess = np.where(beyond, distance - threshold, 0).sum(axis=0) / np.maximum(beyond.sum(axis=0), 1)
    scale = excess + 0.02 * threshold + 1e-3 * np.abs(median) + np.finfo(float).tiny
    over = np.nan_to_num(np.abs(abnormal - median)) - threshold
    with np.errstate(over="ignore"):
        tail = -np.log10(_TAIL) + np.log1p(_SHAPE * np.maximum(over, 0) / scale) / (_SHAPE * np.log(10))
    scores[:, judged] = np.where(over > 0, np.minimum(tail, np.log10(counts[judged]) + 3), 0)
    return scores


def upper_half_mean(scores: Floats) -> Floats:
    """The mean of the larger half of the moments for each column: an incident need not fill its window."""
    half = (len(scores) + 1) // 2
    return np.asarray(np.sort(scores, axis=0)[-half:].mean(axis=0))
