"""The state of a detector: plain arrays whose first axis is the series.

Belongs here: making, joining, taking apart, saving and loading states. Does not: arithmetic on values.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cogniforge_pipeline.aiops.detection.model import Ints, Settings, State
from cogniforge_pipeline.errors import CogniforgeError

BINS = 160  # bins of a histogram of evidence
TAILS = 3  # calibrated components: dynamics, season, neighbours
FEATURES = 9  # of the dynamics
PAIRS = FEATURES * (FEATURES + 1) // 2 + FEATURES  # sums of products that the dynamics are fitted to
HELD = 8  # components of a score
VALUE, MEDIAN, NEAR, AR, SEASON, VARIANCE, FLAT, GAP = range(HELD)
DAYS = 9  # rows of the table of days: today and the 8 before


def new_state(settings: Settings, series: int, tick: int = 0) -> State:
    """The state of `series` series of which nothing is known; `tick` is that of a state they are to be joined with."""
    nan, inf = np.nan, np.inf
    extremes = 1 + len(settings.widths) + 2

    def full(value: float, *shape: int, dtype: type = np.float64) -> Ints:
        return np.full((series, *shape), value, dtype)

    return {
        "tick": full(tick, dtype=np.int64),
        "count": full(0, dtype=np.int64),
        "reference": full(nan),
        "tail": full(nan, settings.tail, dtype=np.float32),
        "low": full(inf, 2, extremes),
        "high": full(-inf, 2, extremes),
        "run": full(0, 4, dtype=np.int64),
        "days": full(nan, DAYS, settings.slots, dtype=np.float32),
        "day": full(-1, DAYS, dtype=np.int64),
        "blocks": full(nan, settings.bank, dtype=np.float32),
        "block_count": full(0, dtype=np.int64),
        "weights": full(0, FEATURES),
        "gram": full(0, PAIRS),
        "partial": full(0, PAIRS),
        "level": full(nan),
        "spread": full(0, 2),
        "sums": full(0, 6),
        "histogram": full(0, 2, TAILS, BINS, dtype=np.int32),
        "line": full(inf, 2, TAILS),
        "held": full(-inf, HELD),
        "emitted": full(0, 2),
        "emitted_at": full(-(1 << 40), dtype=np.int64),
    }


def join(states: Sequence[State]) -> State:
    """One state of all series, in order. Raises CogniforgeError when they are not at the same tick."""
    ticks = sorted({int(tick) for state in states for tick in state["tick"]})
    if len(ticks) > 1:
        raise CogniforgeError(
            f"states at the ticks {ticks[0]} and {ticks[-1]} cannot be joined", "bring them level first"
        )
    return {name: np.concatenate([state[name] for state in states]) for name in states[0]}


def take(state: State, rows: Ints) -> State:
    """The state of some series, by their numbers or a mask."""
    return {name: values[rows] for name, values in state.items()}


def save_state(path: Path, state: State) -> None:
    """Write a state as an .npz file."""
    with path.open("wb") as file:
        np.savez_compressed(file, **state)  # type: ignore[arg-type]


def load_state(path: Path) -> State:
    """Read what `save_state` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
