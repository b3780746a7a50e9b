"""From a score at every point to a stream of alerts.

Belongs here: holding evidence for a while, and the refractory. Does not: where evidence comes from.
"""

from __future__ import annotations

import numpy as np

from cogniforge_pipeline.aiops.detection.model import Array, State

GRAIN = 2.0**20
HIGHER = 1.3  # an alert must be that much above the last one
REACH = 0.5  # within this share of the warm-up
LOAD = 0.2  # share of what was emitted that later scores must make up for


def hold(evidence: Array, held: Array, decay: float) -> tuple[Array, Array]:
    """Evidence [..., tick] held with exp(-decay) a tick, and what to hold at the next tick.

    Logarithms are rounded to whole grains, so that sums are exact and chunks give what the batch gives.
    """
    step = np.rint(decay * GRAIN)
    grains = np.rint(np.log(evidence) * GRAIN)
    ticks = np.arange(1, evidence.shape[-1] + 1) * step
    highest = (
        np.maximum.accumulate(np.concatenate([held[..., None], grains + ticks], axis=-1), axis=-1)[..., 1:] - ticks
    )
    return np.exp(highest / GRAIN), highest[..., -1]


def refractory(state: State, score: Array, warmup: int) -> Array:
    """What of the score [series, tick] is let through, 0 elsewhere; the state's emitted amounts follow.

    Emitted is the score less a fifth of the load, if above 1.3 times what was last emitted within half a warm-up.
    Emitted amounts add to the load, which decays by exp(-1 / warmup) a tick.
    """
    series, length = score.shape
    fade = np.exp(-np.arange(40 * warmup + 1) / warmup)
    tick = state["tick"]
    emitted = np.zeros(score.shape)
    cursor = np.zeros(series, np.int64)
    rows = np.arange(series)
    ticks = np.arange(length)
    while len(rows):
        start = int(cursor[rows].min())
        age = tick[rows, None] + ticks[start:] - state["emitted_at"][rows, None]
        load = state["emitted"][rows, 1, None] * fade[np.clip(age, 0, 40 * warmup)]
        amount = score[rows, start:] - LOAD * load
        last = np.where(age <= REACH * warmup, state["emitted"][rows, 0, None], 0.0)
        passing = (amount > HIGHER * last) & (ticks[start:] >= cursor[rows, None])
        some = passing.any(axis=1)
        place = passing.argmax(axis=1)[some]
        rows, amount, load = rows[some], amount[some, place], load[some, place]
        emitted[rows, start + place] = amount
        state["emitted"][rows] = np.stack([amount, load + amount], axis=1)
        state["emitted_at"][rows] = tick[rows] + start + place
        cursor[rows] = start + place + 1
        rows = rows[cursor[rows] < length]
    return emitted
