"""What the last values foretell of the next one: a linear prediction whose weights are fitted every few points.

Belongs here: the features, weighted least squares with forgetting, and the size of usual errors.
Does not: the evidence made of an error (`tails.py`).

A value is predicted by its predecessor and by what other values were above it: those 2, 3, 4, 6, 8 and 12 ticks back,
the level, the median of this time of day, and yesterday's value. So a shifted series gives shifted predictions. Within a
segment the weights stand still, which lets a whole segment be worked on at once.
"""

from __future__ import annotations

import numpy as np

from cogniforge_pipeline.aiops.detection.model import SEGMENT, Array, Flags
from cogniforge_pipeline.aiops.detection.state import FEATURES, PAIRS

LAGS = (2, 3, 4, 6, 8, 12)
FORGET = 0.9995  # weight of a point one tick older
FIRST, SECOND = np.triu_indices(FEATURES)
FADE = FORGET**SEGMENT
RIDGE = 1e-3
EYE = np.eye(FEATURES)


def features(values: Array, start: int, median: Array, yesterday: Array) -> Array:
    """Features [series, feature, tick] from column `start` of `values`; 0 where unknown, and for the level."""
    stop = values.shape[1]
    before = values[:, start - 1 : stop - 1]
    lagged = [values[:, start - lag : stop - lag] for lag in LAGS]
    found = np.stack([*lagged, before, median, yesterday], axis=1)
    found -= before[:, None]
    return np.where(np.isfinite(found), found, 0.0)


def set_level(found: Array, level: Array, before: Array) -> None:
    """Put the feature of the level, [series], in place; `before` is the predecessors [series, tick]."""
    above = level[:, None] - before
    found[:, len(LAGS)] = np.where(np.isfinite(above), above, 0.0)


def total(products: Array) -> Array:
    """The last of running sums over the last axis, added in the order of time whatever the memory layout."""
    last: Array = np.add.accumulate(products, axis=-1)[..., -1]
    return last


def trust(found: Array, error: Array, usual: Array, seen: Flags) -> Array:
    """Weight [series, tick] of each point in the fit: small where the error or a feature is far out, 0 where unseen."""
    size = np.abs(found).max(axis=1)
    far = np.fmin(np.minimum(6.0 * usual / error, 50.0 * usual / size), 1.0)
    far = np.where(usual > 0, far, 1.0)
    return np.where(seen, far * far, 0.0)


def products(found: Array, target: Array, weight: Array, carried: Array) -> Array:
    """Weighted products that least squares needs, [series, pair, 1 + tick]: first what was carried over."""
    series, _, length = found.shape
    weighted = found * weight[:, None]
    result = np.empty((series, PAIRS, 1 + length))
    result[:, :, 0] = carried
    np.multiply(weighted[:, FIRST], found[:, SECOND], out=result[:, : len(FIRST), 1:])
    np.multiply(weighted, target[:, None], out=result[:, len(FIRST) :, 1:])
    return result


def forget(gram: Array, partial: Array) -> Array:
    """Sums of products after one more segment."""
    return gram * FADE + partial


def solve(gram: Array) -> Array:
    """Weights [series, feature] that fit the sums of products [series, pair]."""
    matrix = np.zeros((len(gram), FEATURES, FEATURES))
    matrix[:, FIRST, SECOND] = gram[:, : len(FIRST)]
    matrix[:, SECOND, FIRST] = gram[:, : len(FIRST)]
    size = np.sqrt(np.diagonal(matrix, axis1=1, axis2=2))
    scale = np.where(size > 0, 1.0 / np.where(size > 0, size, 1.0), 0.0)
    matrix = matrix * scale[:, :, None] * scale[:, None, :] + RIDGE * EYE
    aim = gram[:, len(FIRST) :] * scale
    return np.asarray(np.linalg.solve(matrix, aim[:, :, None])[:, :, 0] * scale, dtype=np.float64)
