"""Gradient-boosted trees that are stored as plain arrays.

Belongs here: fitting with scikit-learn, prediction from the arrays, and the arrays themselves, so that a model is kept
without pickle and predicts the same bits after a restart. Does not: which features (`residual.py`, `intervals.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
LEAF = -1


@dataclass(frozen=True)
class Trees:
    """Trees over features that were replaced by the number of the bin they fall into.

    `edges` (features, bins - 1) are rising and padded with inf. All trees stand in one run of nodes; `roots` says where each
    begins. `feature` is -1 at a leaf, whose `value` counts; else a row goes `left` if its bin is at most `threshold`, or if
    the feature is missing and `missing_left`.
    """

    edges: npt.NDArray[np.float64]
    start: float
    roots: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    missing_left: npt.NDArray[np.bool_]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]

    def predict(self, features: Floats) -> npt.NDArray[np.float64]:
        """The prediction of each row (rows,) of `features` (rows, features); NaN is a missing feature."""
        columns, missing = _binned(features, self.edges)
        total = np.full(len(features), self.start)
        everything = np.arange(len(features))
        for root in self.roots:
            todo = [(int(root), everything)]
            while todo:
                node, rows = todo.pop()
                if self.feature[node] == LEAF:
                    total[rows] += self.value[node]
                    continue
                column = self.feature[node]
                goes_left = columns[column][rows] <= self.threshold[node]
                if missing[column] is not None:
                    goes_left = np.where(missing[column][rows], self.missing_left[node], goes_left)
                todo.append((int(self.left[node]), rows[goes_left]))
                todo.append((int(self.right[node]), rows[~goes_left]))
        return total

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is to be stored; `from_arrays` takes it back."""
        return {name: np.asarray(getattr(self, name)) for name in self.__dataclass_fields__}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Trees:
        """The trees that `arrays` gave. Raises KeyError for one that is not there."""
        found: dict[str, Any] = {name: arrays[name] for name in cls.__dataclass_fields__}
        return cls(**(found | {"start": float(arrays["start"])}))


def fit_trees(
    features: Floats,
    target: Floats,
    *,
    loss: str,
    iterations: int,
    leaves: int,
    minimum: int,
    bins: int,
    quantile: float | None = None,
    weight: Floats | None = None,
) -> Trees:
    """Trees for a target, by scikit-learn's HistGradientBoostingRegressor with learning rate 0.06.

    The features are put into bins of equal counts first: scikit-learn's own binning of weighted rows takes longer than all
    trees do.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    edges = _edges(features, bins)
    columns, missing = _binned(features, edges)
    table = np.stack(columns, axis=1).astype(np.float32)
    for place, holes in enumerate(missing):
        if holes is not None and not holes.all():
            table[holes, place] = np.nan
    booster = HistGradientBoostingRegressor(
        loss=loss,
        quantile=quantile,
        max_iter=iterations,
        learning_rate=0.06,
        max_leaf_nodes=leaves,
        min_samples_leaf=minimum,
        early_stopping=False,
        random_state=0,
    )
    with threadpool_limits(1):  # so few rows are learnt faster by one thread, above all beside other work
        fitted = booster.fit(table, target, sample_weight=weight)
    nodes = [stage[0].nodes for stage in fitted._predictors]
    roots = np.cumsum([0, *(len(tree) for tree in nodes)])[:-1]
    every = np.concatenate(nodes)
    shift = np.repeat(roots, [len(tree) for tree in nodes])
    leaf = every["is_leaf"].astype(bool)
    return Trees(
        edges=edges,
        start=float(np.ravel(fitted._baseline_prediction)[0]),
        roots=roots,
        feature=np.where(leaf, LEAF, every["feature_idx"]).astype(np.int64),
        threshold=every["num_threshold"].astype(np.float64),
        missing_left=every["missing_go_to_left"].astype(bool),
        left=every["left"].astype(np.int64) + shift,
        right=every["right"].astype(np.int64) + shift,
        value=every["value"].astype(np.float64),
    )


def _edges(features: Floats, bins: int) -> npt.NDArray[np.float64]:
    edges = np.full((features.shape[1], bins - 1), np.inf)
    for place, column in enumerate(features.T):
        known = column[~np.isnan(column)]
        if len(known):
            found = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1]))
            edges[place, : len(found)] = found
    return edges


def _binned(
    features: Floats, edges: npt.NDArray[np.float64]
) -> tuple[list[npt.NDArray[np.uint8]], list[npt.NDArray[np.bool_] | None]]:
    columns, missing = [], []
    for column, marks in zip(features.T, edges, strict=True):
        holes = np.isnan(column)
        columns.append(np.searchsorted(marks, np.where(holes, 0, column)).astype(np.uint8))
        missing.append(holes if holes.any() else None)
    return columns, missing
