"""Forecasts of series that are too short for a past: theta and ETS where they beat seasonal naive.

Belongs here: one short series at a time. Does not: series long enough for the global forecaster (`past.py`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cogniforge_pipeline.aiops.forecasting.accuracy import Array, seasonal_scale
from cogniforge_pipeline.aiops.forecasting.bounds import BOUNDS, bounded, respect_history
from cogniforge_pipeline.aiops.forecasting.filling import filled

LEAST = 8
"""Shorter series are served seasonal naive."""
MOST = 2_000
"""So are longer ones, which only come here with most of their values missing, or without any change."""
ORIGINS = 3


@dataclass(frozen=True)
class ShortForecast:
    """A forecast (H,) with half-widths at 80 and 95 %, the model that was served, and its backtest error and naive's.

    The errors are mean absolute ones in the series' unit; NaN where there was nothing to test on.
    """

    mean: Array
    half80: Array
    half95: Array
    model: str
    error: float
    naive_error: float


def forecast_short(values: Array, season: int, horizon: int, *, fit: bool = True) -> ShortForecast:
    """A forecast of one series (T,), NaN where missing, from its first value on.

    Seasonal naive repeats the last season, or the last value of a series shorter than one. Theta and ETS are tried on up to
    three rolling origins, and served if the mean absolute error is below that of seasonal naive. Bounds are Student's t on
    those errors, which grow with the square root of the distance beyond the tested one. Unless `fit`, only seasonal naive
    is there.
    """
    from scipy.special import stdtrit

    known = ~np.isnan(values)
    whole = filled(values[None], season)[0]
    tested = min(horizon, max(1, len(whole) // 4))
    origins = [len(whole) - tested - back * max(1, tested // 2) for back in range(ORIGINS)]
    origins = [origin for origin in origins if origin >= max(1, len(whole) // 3)]
    candidates = {"seasonal_naive": _naive}
    if fit and LEAST <= len(whole) <= MOST and known.sum() >= LEAST and whole.min() != whole.max():
        candidates |= {"theta": _theta, "ets": _ets}
    errors: dict[str, Array] = {}
    for name, candidate in candidates.items():
        found = [_errors(candidate, whole, known, origin, season, tested) for origin in origins]
        errors[name] = np.concatenate(found) if found else np.zeros(0)
    error = {name: float(np.abs(e).mean()) if len(e) else float("nan") for name, e in errors.items()}
    naive = error["seasonal_naive"]
    better = [name for name in error if error[name] < naive]
    model = min(better, key=lambda name: error[name], default="seasonal_naive")
    mean = candidates[model](whole, season, horizon)
    if not np.isfinite(mean).all():
        model, mean = "seasonal_naive", _naive(whole, season, horizon)
    own = errors[model]
    size = float(np.sqrt(np.mean(own**2))) if len(own) else float(seasonal_scale(values[None], season)[0])
    growth = np.sqrt(np.maximum(1, np.arange(1, horizon + 1) / tested))
    freedom = max(len(own) - 1, 1)
    half80, half95 = (float(stdtrit(freedom, 0.5 + level / 2)) * size * growth for level in (0.8, 0.95))
    return ShortForecast(mean, half80, half95, model, error[model], naive)


def forecast_many(
    values: Array, counts: npt.NDArray[np.int64], season: int, horizon: int, fit: npt.NDArray[np.bool_]
) -> tuple[dict[str, Array], list[str]]:
    """Bounds (n, H) and models of series (n, T) that all end now, each with `counts` values from its first on, at least one.

    Theta and ETS are only tried for those of `fit` (n,).
    """
    bounds = {name: np.full((len(values), horizon), np.nan) for name in BOUNDS}
    models = []
    for row, count in enumerate(counts):
        made = forecast_short(values[row, -count:], season, horizon, fit=bool(fit[row]))
        for name, found in bounded(made.mean, made.half80, made.half95).items():
            bounds[name][row] = found
        models.append(made.model)
    respect_history(values, bounds)
    return bounds, models


def _errors(
    candidate: Callable[[Array, int, int], Array], whole: Array, known: Array, origin: int, season: int, steps: int
) -> Array:
    actual, real = whole[origin : origin + steps], known[origin : origin + steps].astype(bool)
    wrong = actual - candidate(whole[:origin], season, len(actual))
    return np.asarray(np.where(np.isfinite(wrong), wrong, np.inf)[real])


def _naive(values: Array, season: int, horizon: int) -> Array:
    period = season if len(values) >= season else 1
    return np.asarray(values[len(values) - period + np.arange(horizon) % period])


def _theta(values: Array, season: int, horizon: int) -> Array:
    from statsmodels.tsa.forecasting.theta import ThetaModel

    seasonal = season > 1 and len(values) >= 2 * season + 1

    def fitted() -> Array:
        model = ThetaModel(values, period=season if seasonal else 1, deseasonalize=seasonal, method="auto")
        return np.asarray(model.fit().forecast(horizon), dtype=np.float64)

    return _quietly(fitted, horizon)


def _ets(values: Array, season: int, horizon: int) -> Array:
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    seasonal = season > 1 and len(values) >= 2 * season + 4

    def fitted() -> Array:
        model = ExponentialSmoothing(
            values,
            trend="add",
            damped_trend=True,
            seasonal="add" if seasonal else None,
            seasonal_periods=season if seasonal else None,
            initialization_method="estimated" if not seasonal else "heuristic" if len(values) >= 10 else "estimated",
        )
        return np.asarray(model.fit().forecast(horizon), dtype=np.float64)

    return _quietly(fitted, horizon)


def _quietly(fitted: Callable[[], Array], horizon: int) -> Array:
    """What a fit gives; NaN where it fails, so that it is not chosen."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return fitted()
        except (ValueError, NotImplementedError, np.linalg.LinAlgError, ZeroDivisionError, IndexError):
            return np.full(horizon, np.nan)
