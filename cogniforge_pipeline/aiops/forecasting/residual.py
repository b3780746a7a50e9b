"""What the base forecast misses, learnt over all series by one set of trees.

Belongs here: target, weights and size of the correction. Does not: features (`features.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cogniforge_pipeline.aiops.forecasting.boosting import Trees, fit_trees
from cogniforge_pipeline.aiops.forecasting.features import DRAWN, describe, draw
from cogniforge_pipeline.aiops.forecasting.past import Past

Floats = npt.NDArray[np.float32]
Rows = tuple[Floats, Floats, Floats]
ORIGINS, APART = 9, 4
ROWS, FEWEST = 25_000, 3_000
"""Rows to learn from at most, and those without which nothing is learnt."""
SHARE = 0.9
"""The part of what the trees say that is added to the base."""


def residual_rows(past: Past, series: int, random: np.random.Generator) -> Rows:
    """Features, targets (errors of the base in scales, clipped at 15) and weights from `ORIGINS` past origins.

    `series` is the count over all groups, by which the rows are shared.
    """
    share = min(1.0, ROWS / (ORIGINS * DRAWN * series))
    made: list[Rows] = []
    for origin in past.whole()[::-APART][:ORIGINS]:
        rows, steps = draw(past, int(origin), share, random)
        scale = past.scale[rows]
        error = (past.actual[rows, origin, steps] - past.base[rows, origin, steps]) / scale
        features = describe(past, int(origin))[rows, steps]
        made.append((features, np.clip(error, -15, 15), past.weight[rows, origin, steps]))
    return stacked(made)


def stacked(parts: Sequence[Rows]) -> Rows:
    """Rows of several parts in one; empty without parts."""
    if not parts:
        return np.zeros((0, 0), np.float32), np.zeros(0, np.float32), np.zeros(0, np.float32)
    features, targets, weights = zip(*parts, strict=True)
    return np.concatenate(features), np.concatenate(targets), np.concatenate(weights)


def fit_residual(rows: Rows) -> Trees | None:
    """Trees of the base's error; None where there are too few rows (`FEWEST`)."""
    features, target, weight = rows
    if len(target) < FEWEST:
        return None
    return fit_trees(
        features, target, loss="absolute_error", iterations=120, leaves=31, minimum=100, bins=128, weight=weight
    )


def correction(features: Floats, trees: Trees | None) -> Floats:
    """What is to be added to the base (n, H), in scales; zeros without trees. `features` as from `describe`."""
    shape = features.shape[:2]
    if trees is None:
        return np.zeros(shape, np.float32)
    return (SHARE * trees.predict(features.reshape(-1, features.shape[-1])).reshape(shape)).astype(np.float32)
