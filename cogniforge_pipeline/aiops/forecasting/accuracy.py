"""How good a forecast is: MASE, sMAPE, MSIS, coverage, and OWA against Naive2.

Belongs here: the published measures over plain arrays. Does not: producing forecasts, except the two naive ones that the
measures are defined by. In all functions rows are series, columns are steps; NaN marks a value that is not known, and
such values are left out of the means.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def seasonal_scale(history: Array, season: int) -> Array:
    """The mean absolute in-sample error of seasonal naive, per series (n,): the scale of MASE and MSIS.

    Hyndman and Koehler (2006), "Another look at measures of forecast accuracy". A series that has no two values one
    season apart, or whose scale is zero (it repeats itself exactly), falls back to the mean absolute change from step to
    step, then to the mean absolute value, then to 1, so that the scale is always positive.
    """
    history = np.atleast_2d(history)
    scale = np.full(len(history), np.nan)
    for candidate in (_change(history, season), _change(history, 1), _mean(np.abs(history))):
        scale = np.where(scale > 0, scale, candidate)
    return np.where(scale > 0, scale, 1.0)


def mase(actual: Array, mean: Array, scale: Array) -> Array:
    """Mean absolute scaled error per series (n,): the mean of |y - f| over the horizon / `scale`.

    Hyndman and Koehler (2006); `scale` as from `seasonal_scale`.
    """
    return _mean(np.abs(actual - mean)) / scale


def smape(actual: Array, mean: Array) -> Array:
    """Symmetric mean absolute percentage error per series (n,), 0 to 200: mean of 200 |y - f| / (|y| + |f|).

    As in the M4 competition (Makridakis, Spiliotis and Assimakopoulos 2020). 0 / 0 counts as 0.
    """
    total = np.abs(actual) + np.abs(mean)
    return _mean(200 * np.abs(actual - mean) / np.where(total == 0, 1.0, total))


def msis(actual: Array, lower: Array, upper: Array, scale: Array, level: float = 0.95) -> Array:
    """Mean scaled interval score per series (n,): width plus 2 / (1 - level) of what lies outside, / `scale`.

    Gneiting and Raftery (2007), scaled as in the M4 competition.
    """
    outside = np.maximum(lower - actual, 0) + np.maximum(actual - upper, 0)
    return _mean(upper - lower + 2 / (1 - level) * outside) / scale


def coverage(actual: Array, lower: Array, upper: Array) -> float:
    """Share of the known values that lie within their bounds; NaN without any."""
    known = ~np.isnan(actual)
    return float(np.mean((actual >= lower)[known] & (actual <= upper)[known])) if known.any() else float("nan")


def owa(smape_: float, mase_: float, smape_naive2: float, mase_naive2: float) -> float:
    """Overall weighted average: the mean of the two measures' ratios to those of Naive2 (M4 competition).

    The arguments are means over all series, as the competition takes them.
    """
    return (smape_ / smape_naive2 + mase_ / mase_naive2) / 2


def naive2(history: Sequence[Array], horizon: int, season: int) -> Array:
    """Naive2 of the M4 competition, (n, horizon): the last value of each series, seasonally adjusted where seasonal.

    `history` are one-dimensional and without NaN. A series is seasonal if its autocorrelation at lag `season` exceeds
    1.645 sqrt((1 + 2 sum of the squares of those before) / length), and it has at least three seasons. Then it is divided by
    indices of a classical multiplicative decomposition (centred moving average), and the last value multiplied back.
    """
    made = np.empty((len(history), horizon))
    for row, values in enumerate(history):
        index = _indices(values, season) if _is_seasonal(values, season) else np.ones(season)
        ahead = np.arange(len(values), len(values) + horizon) % season
        made[row] = values[-1] / index[(len(values) - 1) % season] * index[ahead]
    return made


@dataclass(frozen=True)
class Accuracy:
    """Figures of one forecast over many series: means over series, and the coverage over all points."""

    series: int
    mase: float
    smape: float
    owa: float
    msis: float
    coverage80: float
    coverage95: float


def assess(actual: Array, bounds: Mapping[str, Array], history: Sequence[Array], season: int) -> Accuracy:
    """The M4 figures of a forecast, (n, horizon) each of mean, lo80, hi80, lo95, hi95 in `bounds`.

    `history` is what was known, one array for each series, without NaN. MSIS is that of the 95 % bounds.
    """
    scale = np.array([seasonal_scale(values, season)[0] for values in history])
    reference = naive2(history, actual.shape[1], season)
    mean_mase, mean_smape = (
        float(np.nanmean(mase(actual, bounds["mean"], scale))),
        float(np.nanmean(smape(actual, bounds["mean"]))),
    )
    return Accuracy(
        series=len(actual),
        mase=mean_mase,
        smape=mean_smape,
        owa=owa(
            mean_smape,
            mean_mase,
            float(np.nanmean(smape(actual, reference))),
            float(np.nanmean(mase(actual, reference, scale))),
        ),
        msis=float(np.nanmean(msis(actual, bounds["lo95"], bounds["hi95"], scale))),
        coverage80=coverage(actual, bounds["lo80"], bounds["hi80"]),
        coverage95=coverage(actual, bounds["lo95"], bounds["hi95"]),
    )


def _mean(values: Array) -> Array:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.asarray(np.nanmean(values, axis=1), dtype=np.float64)


def _change(history: Array, lag: int) -> Array:
    if history.shape[1] <= lag:
        return np.full(len(history), np.nan)
    return _mean(np.abs(history[:, lag:] - history[:, :-lag]))


def _is_seasonal(values: Array, season: int) -> bool:
    if season < 2 or len(values) < 3 * season:
        return False
    centred = values - values.mean()
    total = float(centred @ centred)
    if total == 0:
        return False
    lags = np.array([centred[lag:] @ centred[:-lag] for lag in range(1, season + 1)]) / total
    return bool(abs(lags[-1]) > 1.645 * np.sqrt((1 + 2 * np.sum(lags[:-1] ** 2)) / len(values)))


def _indices(values: Array, season: int) -> Array:
    """Multiplicative seasonal indices by phase, counted from the first value, with mean 1; ones where they fail."""
    weights = np.ones(season) if season % 2 else np.r_[0.5, np.ones(season - 1), 0.5]
    half = len(weights) // 2
    trend = np.convolve(values, weights / season, mode="valid")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = values[half : half + len(trend)] / trend
    phase = (np.arange(len(trend)) + half) % season
    index = np.array([ratio[phase == part].mean() for part in range(season)])
    index = index / index.mean()
    return index if np.all(np.isfinite(index)) and np.all(index > 0) else np.ones(season)
