"""How much is asked for: the distribution of demand over a period, from history or forecasts.

Belongs here: the distribution, its tail, its course in time. Does not: units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cogniforge_pipeline.errors import CogniforgeError

Floats = NDArray[np.float64]

_TAIL = 0.05
_LEVELS = np.linspace(0.005, 0.995, 100)
FEWEST = 20


@dataclass(frozen=True)
class Demand:
    """Equally likely amounts of demand, sorted; `course` is a high amount (p90) for each step ahead.

    `step_hours` parts the steps of `course`; `history_days` is how long the demand was observed. Amounts are in the
    unit that `Scaling` takes: requests a second, bytes, or busy units.
    """

    amounts: Floats
    history_days: float
    source: Literal["history", "forecast"]
    course: Floats
    step_hours: float

    def quantile(self, level: float) -> float:
        """The amount that `level` of all moments do not exceed."""
        return float(np.quantile(self.amounts, level))

    def exceeds(self, amount: float) -> float:
        """The chance that demand at a moment of the period is above `amount`; falls with it, never below 0.

        Up to the 95 % quantile it is the share of the amounts. Beyond it the tail is exponential with the mean excess,
        so that more than was ever seen is unlikely, not impossible.
        """
        threshold, beyond, excess = self._tail
        if amount < threshold:
            return float((self.amounts > amount).mean())
        return 0.0 if excess == 0 else float(beyond * np.exp(-(amount - threshold) / excess))

    @cached_property
    def _tail(self) -> tuple[float, float, float]:
        threshold = self.quantile(1 - _TAIL)
        beyond = self.amounts[self.amounts > threshold]
        return threshold, len(beyond) / len(self.amounts), float(beyond.mean() - threshold) if len(beyond) else 0.0


def demand_from_history(amounts: ArrayLike, step_hours: float) -> Demand:
    """Demand that stays as it was, with the trend of its daily p90 carried on as far as it was seen.

    `amounts` are in order of time, `step_hours` apart, NaN where nothing was measured; at least 20 are needed. The
    trend is the median of pairwise slopes (Theil and Sen) over whole days; with fewer than 3 days there is none.
    Raises CogniforgeError for too few or negative amounts.
    """
    values = np.asarray(amounts, dtype=np.float64)
    seen = _checked(values, step_hours)
    days = len(values) * step_hours / 24
    level = float(np.quantile(seen, 0.9))
    per_day = max(1, round(24 / step_hours))
    daily = [
        float(np.quantile(day[np.isfinite(day)], 0.9))
        for day in (values[start : start + per_day] for start in range(0, len(values) - per_day + 1, per_day))
        if np.isfinite(day).sum() * 2 >= per_day
    ]
    steps = np.arange(1, max(2, int(days)) + 1)
    if len(daily) < 3:
        course = np.full(len(steps), level)
    else:
        slope = _theil_sen(np.array(daily))
        course = np.maximum(np.median(daily) + slope * ((len(daily) - 1) / 2 + steps), 0)
    return Demand(np.sort(seen), days, "history", course, 24.0)


def demand_from_forecast(quantiles: Mapping[float, Sequence[float]], step_hours: float, history_days: float) -> Demand:
    """Demand as forecast: `quantiles` gives for each level (such as .025, .1, .5, .9, .975) an amount for each step.

    Between the levels amounts are interpolated, beyond the outermost they go on along the line to the next; crossing
    quantiles are sorted. Negative amounts become 0. Raises CogniforgeError for fewer than two levels, levels outside
    0..1 and lengths that differ.
    """
    levels = sorted(quantiles)
    if len(levels) < 2 or not 0 < levels[0] < levels[-1] < 1:
        raise CogniforgeError(f"at least two quantiles between 0 and 1 are needed, got {levels}")
    if len({len(quantiles[level]) for level in levels}) > 1:
        raise CogniforgeError("the quantiles have different numbers of steps", "give an amount for each step in each")
    table = np.sort(np.array([quantiles[level] for level in levels], dtype=np.float64), axis=0)
    if table.size == 0 or not np.isfinite(table).all():
        raise CogniforgeError("the quantiles are empty or hold what is no number", "leave out steps without a forecast")
    if step_hours <= 0 or history_days < 0:
        raise CogniforgeError(f"steps of {step_hours} hours after {history_days} days make no sense")
    amounts = np.maximum(np.concatenate([_spread(levels, column) for column in table.T]), 0)
    course = np.array([max(0.0, float(np.interp(0.9, levels, column))) for column in table.T])
    return Demand(np.sort(amounts), history_days, "forecast", course, step_hours)


def _spread(levels: Sequence[float], values: Floats) -> Floats:
    """The amounts of one step at `_LEVELS`."""
    inside = np.interp(_LEVELS, levels, values)
    below = values[0] - (levels[0] - _LEVELS) * (values[1] - values[0]) / (levels[1] - levels[0])
    above = values[-1] + (_LEVELS - levels[-1]) * (values[-1] - values[-2]) / (levels[-1] - levels[-2])
    return np.where(levels[0] > _LEVELS, below, np.where(levels[-1] < _LEVELS, above, inside))


def _theil_sen(values: Floats) -> float:
    first, second = np.triu_indices(len(values), 1)
    return float(np.median((values[second] - values[first]) / (second - first)))


def _checked(values: Floats, step_hours: float) -> Floats:
    seen = values[np.isfinite(values)]
    if len(seen) < FEWEST:
        raise CogniforgeError(f"{len(seen)} amounts of demand, {FEWEST} are needed", "wait for more, or use a forecast")
    if seen.min() < 0:
        raise CogniforgeError(f"demand cannot be negative, got {seen.min()}")
    if step_hours <= 0:
        raise CogniforgeError(f"amounts cannot be {step_hours} hours apart")
    return seen
