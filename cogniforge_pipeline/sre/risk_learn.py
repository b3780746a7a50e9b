"""Learning the log odds of a failed deployment from history, as plain numbers that JSON can hold.

Belongs here: encoding rows, fitting, calibrating, and evaluating a fitted document. Does not: which features there are,
the prior, and what is advised (`risk`).

Every number x enters as sign(x) log(1 + |x|). With few failures the model is a ridge logistic regression. From
FAILURES_FOR_CURVES failures on it is the mean of two members in log odds: a logistic regression on hinges at four
quantiles and on products of pairs, and gradient-boosted trees. The log odds are then calibrated by Platt's straight
line (Platt 1999), fitted on the newest fifth by members that saw only what came before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cogniforge_pipeline.errors import CogniforgeError

Floats = npt.NDArray[np.float64]
Document = dict[str, Any]

FAILURES_FOR_CURVES = 500
FAILURES_TO_CALIBRATE = 30
LATER_SHARE = 0.2
QUANTILES = (0.2, 0.4, 0.6, 0.8)
MAX_LEVELS = 20


class RiskError(CogniforgeError):
    """A risk model cannot be fitted, read or asked as it was given."""


def describe_columns(rows: Sequence[Mapping[str, Any]], features: Sequence[str]) -> list[Document]:
    """Columns of the matrix: one for each number (with its median), one for each frequent level of a text feature."""
    columns: list[Document] = []
    for name in features:
        values = [row.get(name) for row in rows]
        texts = [value for value in values if isinstance(value, str)]
        if texts:
            levels, counts = np.unique(np.array(texts), return_counts=True)
            common = [str(levels[place]) for place in np.argsort(-counts, kind="stable")[:MAX_LEVELS]]
            columns += [{"feature": name, "level": level, "usual": common[0]} for level in common]
            continue
        numbers = _numbers(name, [value for value in values if value is not None])
        numbers = numbers[np.isfinite(numbers)]
        if numbers.size:
            columns.append({"feature": name, "level": None, "usual": float(np.median(numbers))})
    return columns


def encode(rows: Sequence[Mapping[str, Any]], columns: Sequence[Document]) -> Floats:
    """Rows as a matrix; what is missing is taken as usual."""
    matrix = np.empty((len(rows), len(columns)))
    for place, column in enumerate(columns):
        usual = column["usual"]
        values = [usual if (value := row.get(column["feature"])) is None else value for row in rows]
        if column["level"] is not None:
            matrix[:, place] = [value == column["level"] for value in values]
        else:
            numbers = _numbers(column["feature"], values)
            numbers = np.where(np.isfinite(numbers), numbers, usual)
            matrix[:, place] = np.sign(numbers) * np.log1p(np.abs(numbers))
    return matrix


def learn(matrix: Floats, failed: npt.NDArray[np.bool_]) -> Document | None:
    """Fit the members on rows in the order of time and calibrate them; None where later rows deny what was learnt."""
    curves = int(failed.sum()) >= FAILURES_FOR_CURVES
    line = [0.0, 1.0]
    cut = round(len(failed) * (1 - LATER_SHARE))
    later = failed[cut:]
    if FAILURES_TO_CALIBRATE <= later.sum() <= len(later) - FAILURES_TO_CALIBRATE:
        from sklearn.linear_model import LogisticRegression

        earlier = {"members": _members(matrix[:cut], failed[:cut], curves), "line": line}
        platt = LogisticRegression(C=1e6).fit(log_odds(earlier, matrix[cut:])[:, None], later)
        line = [float(platt.intercept_[0]), float(platt.coef_[0, 0])]
        if line[1] <= 0:
            return None
    return {"members": _members(matrix, failed, curves), "line": line}


def log_odds(document: Document, matrix: Floats) -> Floats:
    """Calibrated log odds of failure of each row."""
    kinds = {"logistic": _logistic_log_odds, "trees": _trees_log_odds}
    members = [kinds[member["kind"]](member, matrix) for member in document["members"]]
    calibrated: Floats = document["line"][0] + document["line"][1] * np.mean(members, axis=0)
    return calibrated


def _numbers(name: str, values: list[Any]) -> Floats:
    try:
        return np.array([float(value) for value in values])
    except (TypeError, ValueError) as error:
        raise RiskError(f"{name} must be a number in every row: {error}", hint="leave out what is not known") from None


def _members(matrix: Floats, failed: npt.NDArray[np.bool_], curves: bool) -> list[Document]:
    if not curves:
        return [_fit_logistic(matrix, failed, (), pairs=False, c=0.1)]
    return [_fit_logistic(matrix, failed, QUANTILES, pairs=True, c=0.003), _fit_trees(matrix, failed)]


def _fit_logistic(
    matrix: Floats, failed: npt.NDArray[np.bool_], quantiles: tuple[float, ...], *, pairs: bool, c: float
) -> Document:
    from sklearn.linear_model import LogisticRegression

    centre, spread = matrix.mean(axis=0), matrix.std(axis=0) + 1e-9
    scaled = (matrix - centre) / spread
    knots = np.quantile(scaled, quantiles, axis=0) if quantiles else np.empty((0, matrix.shape[1]))
    basis = _basis(scaled, knots, pairs)
    basis_centre, basis_spread = basis.mean(axis=0), basis.std(axis=0) + 1e-9
    fitted = LogisticRegression(C=c, max_iter=500).fit((basis - basis_centre) / basis_spread, failed)
    slopes = fitted.coef_[0] / basis_spread
    return {
        "kind": "logistic",
        "centre": centre.tolist(),
        "spread": spread.tolist(),
        "knots": knots.tolist(),
        "pairs": pairs,
        "slopes": slopes.tolist(),
        "intercept": float(fitted.intercept_[0] - slopes @ basis_centre),
    }


def _logistic_log_odds(member: Document, matrix: Floats) -> Floats:
    scaled = (matrix - np.array(member["centre"])) / np.array(member["spread"])
    knots = np.array(member["knots"]).reshape(-1, matrix.shape[1])
    result: Floats = _basis(scaled, knots, member["pairs"]) @ np.array(member["slopes"]) + member["intercept"]
    return result


def _basis(scaled: Floats, knots: Floats, pairs: bool) -> Floats:
    parts = [scaled, *(np.maximum(scaled - knot, 0) for knot in knots)]
    if pairs:
        first, second = np.tril_indices(scaled.shape[1], k=-1)
        parts.append(scaled[:, first] * scaled[:, second])
    return np.hstack(parts)


def _fit_trees(matrix: Floats, failed: npt.NDArray[np.bool_]) -> Document:
    from sklearn.ensemble import GradientBoostingClassifier

    fitted = GradientBoostingClassifier(
        n_estimators=250,
        learning_rate=0.025,
        max_depth=5,
        min_samples_leaf=50,
        subsample=0.5,
        max_features=min(5, matrix.shape[1]),
        random_state=0,
    ).fit(matrix, failed)
    share = float(failed.mean())
    trees = [
        {
            "feature": tree.feature.tolist(),
            "threshold": tree.threshold.tolist(),
            "left": tree.children_left.tolist(),
            "right": tree.children_right.tolist(),
            "value": (fitted.learning_rate * tree.value[:, 0, 0]).tolist(),
        }
        for tree in (stage[0].tree_ for stage in fitted.estimators_)
    ]
    return {"kind": "trees", "start": math.log(share / (1 - share)), "trees": trees}


def _trees_log_odds(member: Document, matrix: Floats) -> Floats:
    """Sum of the leaves; numbers are compared in single precision, as the trees were grown."""
    single = matrix.astype(np.float32)
    rows = np.arange(len(matrix))
    total = np.full(len(matrix), float(member["start"]))
    for tree in member["trees"]:
        feature, left, right = (np.array(tree[part]) for part in ("feature", "left", "right"))
        threshold, value = np.array(tree["threshold"]), np.array(tree["value"])
        node = np.zeros(len(matrix), dtype=np.int64)
        inner = left[node] >= 0
        while inner.any():
            goes_left = single[rows, np.maximum(feature[node], 0)] <= threshold[node]
            node = np.where(inner, np.where(goes_left, left[node], right[node]), node)
            inner = left[node] >= 0
        total += value[node]
    return total
