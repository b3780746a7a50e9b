"""Cheap forecasts from every origin, for many series at once.

Belongs here: the experts. Does not: which to trust (`base.py`), filling gaps (`panel.py`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cogniforge_pipeline.aiops.forecasting.smoothing import PLAIN, TRANSFORMED, smoothed

Floats = npt.NDArray[np.float32]
Steps = npt.NDArray[np.int64]
PERIODS_BACK = 8


def expert_forecasts(values: Floats, origins: Steps, steps: Steps, season: int, long: int | None) -> Floats:
    """Forecasts (experts, series, origins, steps); expert 0 is seasonal naive, those after the first 48 need `long`.

    `values` (series, time) has no NaN and reaches back far enough (`reach`) before the first origin. An origin is the number
    of values known then, in rising order; `steps` counts from 1.
    """
    last = Periods(values, origins, steps, season)
    made = [last.back(1)]
    made += [last.mean(count) for count in (2, 3, 7)]
    level = window_mean(values, origins, season)
    earlier = [window_mean(values, origins - season * back, season) for back in range(1, PERIODS_BACK)]
    week = np.mean([level, *earlier[:6]], axis=0)
    three = np.mean([level, *earlier[:2]], axis=0)
    rising = (level - earlier[0])[:, :, None]
    made.append(made[0] + 0.5 * last.ahead * rising)
    for count in (3, 5, 8):
        time = np.arange(count, dtype=np.float32) - (count - 1) / 2
        weights = time / (time @ time)
        slope = sum(weights[-back] * last.back(back) for back in range(1, count + 1))
        overall = sum(weights[-back] * ([level, *earlier][back - 1]) for back in range(1, count + 1))
        reach_ahead = (count - 1) / 2 + last.ahead
        made.append(last.mean(count) + slope * reach_ahead)
        made.append(last.mean(count) + overall[:, :, None] * reach_ahead)
    made += shifted(made[2], level, three)
    made += shifted(made[3], level, week)
    seasonal = np.concatenate([np.stack(made), *_smoothing(values, origins, steps, season, long)])
    if long is None:
        return seasonal
    return np.concatenate([seasonal, np.stack(_over_weeks(values, origins, steps, season, long, made[0]))])


def _over_weeks(values: Floats, origins: Steps, steps: Steps, season: int, long: int, newest: Floats) -> list[Floats]:
    """The experts that look back by long seasons; `newest` is seasonal naive."""
    level = window_mean(values, origins, season)
    weeks = Periods(values, origins, steps, long)
    one, pair, month = weeks.back(1), weeks.mean(2), weeks.mean(4)
    levels = [window_mean(values, origins - back * long, season) for back in range(1, 5)]
    return [
        one,
        pair,
        month,
        0.5 * (one + newest),
        *shifted(one, level, levels[0]),
        *shifted(pair, level, np.mean(levels[:2], axis=0)),
        *shifted(month, level, np.mean(levels, axis=0)),
    ]


def reach(season: int, long: int | None) -> int:
    """How many steps the experts look back from an origin at most, beside the horizon."""
    return max(PERIODS_BACK * season + season, 5 * (long or 0) + season)


def window_mean(values: Floats, ends: Steps, width: int) -> Floats:
    """The mean of the `width` values before each end: (series, ends)."""
    total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1, dtype=np.float64)], axis=1)
    return np.asarray((total[:, ends] - total[:, ends - width]) / width, dtype=np.float32)


def shifted(expert: Floats, now: Floats, then: Floats) -> list[Floats]:
    """An expert moved from the level that its values had to the level of now: by the difference, and by the ratio."""
    moved = expert + (now - then)[:, :, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((now > 0) & (then > 0), now / then, 1.0).astype(np.float32)
    return [moved, expert * (np.clip(ratio, 0.1, 10) ** 0.8)[:, :, None]]


class Periods:
    """The values of the same phase, one, two, ... periods back, at every origin and step."""

    def __init__(self, values: Floats, origins: Steps, steps: Steps, season: int) -> None:
        self.values, self.season = values, season
        self.ahead = np.ceil(steps / season).astype(np.float32)
        self._newest = origins[:, None] + steps - 1 - season * self.ahead.astype(np.int64)
        self._found: dict[int, Floats] = {}

    def back(self, periods: int) -> Floats:
        """(series, origins, steps); `periods` = 1 is the newest that is known."""
        if periods not in self._found:
            self._found[periods] = self.values[:, self._newest - self.season * (periods - 1)]
        return self._found[periods]

    def mean(self, count: int) -> Floats:
        """The mean of the last `count` periods."""
        return np.asarray(sum(self.back(back) for back in range(1, count + 1)) / count, dtype=np.float32)


def _smoothing(values: Floats, origins: Steps, steps: Steps, season: int, long: int | None) -> list[Floats]:
    """Smoothing of the logarithm where a series is positive, else of the series over its size; and of it as it is."""
    start = max(0, int(origins[0]) - reach(season, long))
    positive = values.min(axis=1) > 0
    size = np.maximum(np.abs(values).mean(axis=1), 1e-12).astype(np.float32)
    plain = values / size[:, None]
    curved = np.where(positive[:, None], np.log(np.where(positive[:, None], plain, 1)), plain)
    low, high = curved.min(axis=1), curved.max(axis=1)
    margin = np.maximum(high - low, 1e-6)
    made = smoothed(curved, TRANSFORMED, origins, steps, season, long, start)
    np.clip(made, (low - margin)[:, None, None], (high + margin)[:, None, None], out=made)
    made[:, positive] = np.exp(made[:, positive])
    made *= size[:, None, None]
    straight = smoothed(plain, PLAIN, origins, steps, season, long, start)
    return [made, straight * size[:, None, None]]
