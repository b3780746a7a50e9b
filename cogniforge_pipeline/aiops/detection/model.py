"""The settings of a detector and what it gives back.

Belongs here: types, the kinds of anomalies and the numbers chosen once for all series. Does not: state or arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogniforge_pipeline.errors import CogniforgeError

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[Any]
State = dict[str, NDArray[Any]]

KINDS = ("", "spike", "dip", "level_shift", "pattern", "seasonal", "variance", "flat_line", "missing")
"""What `Scores.kind` counts: "" where nothing is anomalous."""

SEGMENT = 64  # points between two fits of the dynamics and of the tails
DAY = 86_400


@dataclass(frozen=True)
class Settings:
    """How long a series is learnt from, and how it is sampled.

    `warmup` is the number of points before the first alert (scores start at half of it); the widths of all windows
    follow from it. `step` is the usual number of seconds between two points; the time of day is cut in at most 288 slots.
    """

    warmup: int = 576
    step: float = 300.0

    def __post_init__(self) -> None:
        if self.warmup < 1:
            raise CogniforgeError(f"a warm-up of {self.warmup} points was given", "give at least 1")
        if not self.step > 0:
            raise CogniforgeError(f"a step of {self.step} seconds was given", "give a positive number")

    @property
    def slots(self) -> int:
        """Slots of a day."""
        return int(min(288, max(1, DAY // self.step)))

    @property
    def block(self) -> int:
        """Points in one of the 8 blocks of a compared window."""
        return max(1, round(self.warmup / 104))

    @property
    def bank(self) -> int:
        """Blocks of the past that windows are compared with."""
        return min(1024, 20 * self.warmup // self.block)

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the rolling medians."""
        return tuple(max(2, round(self.warmup * share)) for share in (0.01, 0.03, 0.1, 0.3))

    @property
    def tail(self) -> int:
        """The last values that are kept."""
        return max(self.widths[-1] + self.block, 2 * self.block, 13)

    @property
    def generation(self) -> int:
        """Ticks after which what is remembered of the whole past is renewed: the past is 1 to 2 generations long."""
        return SEGMENT * self.block * max(1, round(36 * self.warmup / (SEGMENT * self.block)))


@dataclass(frozen=True)
class Scores:
    """One array [series, tick] for each output.

    `expected`, `lower`, `upper` are in the series' unit, NaN where unknown yet; between the bounds lie about 99.9 % of
    ordinary points. `usual` is the median of this time of day on the last 8 days: what a change that lasts is measured
    against, for `expected` follows the last values.

    `score` is continuous and never masked, and 1 is the alert line. Of points without change about 1 in 6,000 is an
    alert, on average over the eight sorts of series in the tests with a warm-up of 576 points: none of 41,000 on a daily
    wave with noise, 1 in 1,800 with heavy tails (Student's t with 3 degrees of freedom).

    `alert` is the score as an alert stream has it: what the refractory lets through after the warm-up, and below 0.25,
    ordered as `score`, for all other points. `is_anomaly` is alert >= 1. `kind` indexes KINDS where score >= 1 or an
    alert stands, else 0.
    """

    expected: Array
    lower: Array
    upper: Array
    usual: Array
    score: Array
    alert: Array
    is_anomaly: Flags
    kind: NDArray[np.int8]
