"""Evidence by each series' own tails: of the dynamics' errors, of the season, of the neighbours.

Belongs here: what stands still between two fits, and the fits. Does not: the tails (`tails.py`), the prediction
(`dynamics.py`).
"""

from __future__ import annotations

import numpy as np

from cogniforge_pipeline.aiops.detection import dynamics, tails
from cogniforge_pipeline.aiops.detection.model import Array, Flags, Ints, Settings, State
from cogniforge_pipeline.aiops.detection.state import AR, NEAR, SEASON

DIGITS = 3.0  # between the bounds lie all but 10 ** -3 of ordinary points
FAR = 6.0  # usual errors that an error counts at most when their size is learnt


class Pass:
    """One chunk of [series, tick]: fills the evidence, `expected` and `width`, relative to the reference.

    `whole` is the kept values and those of the chunk; `past` is the median, deviation and yesterday's value of the time of
    day; `apart` is the distance to the nearest neighbour. The state is changed in place.
    """

    def __init__(
        self, settings: Settings, state: State, whole: Array, seen: Flags, count: Ints,
        past: tuple[Array, Array, Array], apart: Array, floor: Array, evidence: Array,
    ) -> None:  # fmt: skip
        self.settings, self.state, self.count, self.floor, self.evidence = settings, state, count, floor, evidence
        kept = whole.shape[1] - seen.shape[1]
        self.last, self.now = whole[:, kept - 1 : -1], whole[:, kept:]
        self.usable = seen & np.isfinite(self.last)
        self.target = np.where(self.usable, self.now - self.last, 0.0)
        median, self.deviation, yesterday = past
        self.features = dynamics.features(whole, kept, median, yesterday)
        self.away = np.where(seen, np.abs(self.now - median), np.nan)
        self.statistics = np.stack([self.away, self.away, apart], axis=1)
        self.expected, self.width = np.empty(seen.shape), np.empty(seen.shape)

    def judge(self, start: int, stop: int) -> None:
        """Evidence for the ticks from `start` to `stop`, between two fits, and what the next fit needs of them."""
        cut, state, warmup = slice(start, stop), self.state, self.settings.warmup
        usable, last, away = self.usable[:, cut], self.last[:, cut], self.away[:, cut]
        spread, count, statistics = state["spread"], self.count[:, cut], self.statistics[:, :, cut]
        found = self.features[:, :, cut]
        dynamics.set_level(found, state["level"], last)
        foretold = dynamics.total((found * state["weights"][:, :, None]).transpose(0, 2, 1))
        error = np.where(usable, np.abs(self.target[:, cut] - foretold), 0.0)

        statistics[:, 0] = np.where(usable, error / np.maximum(spread[:, :1], self.floor), np.nan)
        scale = np.maximum(1.4826 * self.deviation[:, cut], 0.5 * spread[:, 1:])
        statistics[:, 1] = away / np.maximum(scale, self.floor)
        known = np.isfinite(statistics) & (count >= 0.1 * warmup)[:, None]
        rare = tails.evidence(np.where(known, statistics, 0.0), state["line"])
        self.evidence[:, [AR, SEASON, NEAR], cut] = np.where((count >= 0.9 * warmup)[:, None], rare, 0.0)
        known[:, :2] &= (spread > 0)[:, :, None]
        tails.add(state["histogram"][:, 1], statistics, known)
        self.expected[:, cut] = last + foretold
        width = tails.reach(state["line"], 0, DIGITS) * spread[:, 0]
        self.width[:, cut] = np.where(np.isfinite(width), width, np.nan)[:, None]

        weight = dynamics.trust(found, error, spread[:, :1], usable)
        clip = np.where(spread > 0, FAR * spread, np.inf)
        dated = np.isfinite(away)
        sums = np.empty((*state["sums"].shape, stop - start + 1))
        sums[:, :, 0] = state["sums"]
        sums[:, 0, 1:] = np.minimum(error, clip[:, :1])
        sums[:, 1, 1:] = np.where(dated, np.minimum(away, clip[:, 1:]), 0.0)
        sums[:, 2, 1:] = np.where(usable, self.now[:, cut], 0.0)
        sums[:, 3, 1:] = sums[:, 5, 1:] = usable
        sums[:, 4, 1:] = dated
        state["sums"][:] = dynamics.total(sums)
        added = dynamics.products(found, self.target[:, cut], weight, state["partial"])
        state["partial"][:] = dynamics.total(added)

    def fit(self, stop: int) -> None:
        """Weights, sizes of usual errors, level and tails for the ticks from `stop`."""
        state = self.state
        state["gram"][:] = dynamics.forget(state["gram"], state["partial"])
        state["partial"][:] = 0
        state["weights"][:] = dynamics.solve(state["gram"])
        amount, number = state["sums"][:, :3], state["sums"][:, 3:]
        learnt = np.clip(self.count[:, stop - 1], 1, self.settings.warmup)[:, None]
        old = np.concatenate([state["spread"], state["level"][:, None]], axis=1)
        known = np.isfinite(old)
        known[:, :2] &= old[:, :2] > 0
        share = np.minimum(number / learnt, 1.0)
        mean = amount / np.maximum(number, 1.0)
        new = np.where(number > 0, np.where(known, old + share * (mean - old), mean), old)
        state["spread"][:], state["level"][:] = new[:, :2], new[:, 2]
        state["sums"][:] = 0
        state["line"][:] = tails.fit(state["histogram"].sum(axis=1))
