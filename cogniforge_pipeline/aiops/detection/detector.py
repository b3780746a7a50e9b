"""The detector: many series, one state, and scores that use the past only.

Belongs here: how chunks are cut, and how the components make one score. Does not: the components, files, tables.

Ticks are counted alike for all series of a state. Models and tails are fitted at every 64th tick and stand still between,
so that a chunk of any length is worked on in whole arrays over series and ticks, and gives exactly what other chunks give.
For this, sums over time run in the order of time, or over whole numbers.

The score is the weighted sum of the logarithms of 1 + evidence, over the components; logarithms keep one huge component
from standing for many.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cogniforge_pipeline.aiops.detection import alerts, neighbours, records, season
from cogniforge_pipeline.aiops.detection.calibrated import Pass
from cogniforge_pipeline.aiops.detection.model import KINDS, SEGMENT, Array, Flags, Ints, Scores, Settings, State
from cogniforge_pipeline.aiops.detection.state import (
    AR,
    FLAT,
    GAP,
    HELD,
    MEDIAN,
    NEAR,
    SEASON,
    VALUE,
    VARIANCE,
    new_state,
)
from cogniforge_pipeline.errors import CogniforgeError

LONG = 2048  # columns worked on at once
AREA = 1 << 16  # cells worked on at once
LARGEST = 1e30  # of a value less the first one
LINE = 1.5  # the sum of evidence that is the alert line
WEIGHTS = np.zeros(HELD)
WEIGHTS[[VALUE, MEDIAN, FLAT, GAP]] = 1.0
WEIGHTS[[SEASON, NEAR, VARIANCE, AR]] = 0.8, 0.7, 0.6, 0.35
NAMES = np.zeros(HELD, np.int8)
NAMES[[VALUE, MEDIAN, NEAR, AR, SEASON, VARIANCE, FLAT, GAP]] = [
    KINDS.index(name)
    for name in ("spike", "level_shift", "pattern", "spike", "seasonal", "variance", "flat_line", "missing")
]


class Detector:
    """Scores many series by one set of settings. It holds no state of its own."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()

    def start(self, series: int, tick: int = 0) -> State:
        """The state before the first point; `tick` is that of a state the series are to be joined with."""
        return new_state(self.settings, series, tick)

    def update(self, state: State, times: NDArray[np.datetime64], values: Array) -> tuple[Scores, State]:
        """Scores of the next ticks, and the state after them; the given state is left as it is.

        `times` is [tick] in UTC, `values` is [series, tick], NaN or infinite where a value is missing. Any
        division of the ticks into calls gives exactly the same scores and states. Raises CogniforgeError when shapes
        differ.
        """
        values = np.asarray(values, dtype=np.float64)
        series = len(state["tick"])
        if values.shape != (series, len(times)):
            raise CogniforgeError(
                f"values of shape {values.shape} came for {series} series and {len(times)} times",
                "give an array [series, tick]",
            )
        seconds = np.asarray(times).astype("datetime64[s]").astype(np.int64)
        state = {name: array.copy() for name, array in state.items()}
        result = _empty(values.shape)
        start = 0
        while series and start < len(seconds):
            left = self.settings.generation - int(state["tick"][0]) % self.settings.generation
            stop = min(len(seconds), start + min(LONG, left))
            rows = max(1, AREA // (stop - start + SEGMENT))
            for first in range(0, series, rows):
                part = slice(first, first + rows)
                view = {name: array[part] for name, array in state.items()}
                with np.errstate(all="ignore"):
                    chunk = _advance(self.settings, view, seconds[start:stop], values[part, start:stop])
                for name, array in vars(result).items():
                    array[part, start:stop] = getattr(chunk, name)
            start = stop
        return result, state


def _empty(shape: tuple[int, ...]) -> Scores:
    one, two, three, four, five, six = (np.empty(shape) for _ in range(6))
    return Scores(one, two, three, four, five, six, np.empty(shape, np.bool_), np.empty(shape, np.int8))


def _advance(settings: Settings, state: State, seconds: Ints, values: Array) -> Scores:
    """Scores of a chunk within one generation; the state's arrays are changed in place."""
    length, tick = values.shape[1], int(state["tick"][0])
    if tick and tick % settings.generation == 0:
        _renew(state)
    seen = np.isfinite(values)
    y = _relative(state, values, seen)
    count = state["count"][:, None] + np.cumsum(seen, axis=1)
    kept = state["tail"].shape[1]
    whole = np.concatenate([state["tail"].astype(np.float64), y], axis=1)
    _fill(whole, kept, seen)
    filled = whole[:, kept:]
    floor = np.maximum(1e-9 * np.abs(state["reference"]), 1e-300)[:, None]
    ticks = tick + np.arange(length)
    evidence = np.zeros((len(values), HELD, length))

    lows, highs = _records(settings, state, whole, ticks, count, seen, floor, evidence)
    _missing_and_flat(settings, state, whole[:, kept - 1 :], seen, count - seen, evidence)
    past = season.read_and_write(state, seconds, np.where(seen, y, np.nan))
    apart = np.full(values.shape, np.nan)
    at = np.flatnonzero(ticks % settings.block == settings.block - 1)
    if len(at):
        means = neighbours.block_means(whole, settings.block, kept + at)
        extent = np.maximum(highs, filled)[:, at] - np.minimum(lows, filled)[:, at]
        apart[:, at] = neighbours.distances(state, means, extent)
    calibrated = Pass(settings, state, whole, seen, count, past, apart, floor, evidence)
    ends = (np.flatnonzero((ticks + 1) % SEGMENT == 0) + 1).tolist()
    for start, stop in zip([0, *ends], [*ends, length], strict=True):
        calibrated.judge(start, stop)
        if stop in ends and stop > start:
            calibrated.fit(stop)

    held, state["held"][:] = alerts.hold(evidence, state["held"], 100.0 / settings.warmup)
    parts = np.log1p(held) * WEIGHTS[:, None]
    score = np.add.accumulate(parts, axis=1)[:, -1] / LINE
    emitted = alerts.refractory(state, score, settings.warmup)
    emitted = np.where(count - seen >= settings.warmup, emitted, 0.0)
    alert = np.where(emitted > 0, emitted, 0.25 * score / (1.0 + score))
    strongest = parts.argmax(axis=1)
    kind = NAMES[strongest]
    falling = filled < calibrated.expected
    kind = np.where((kind == KINDS.index("spike")) & falling, KINDS.index("dip"), kind)
    kind = np.where((score >= 1) | (emitted >= 1), kind, 0).astype(np.int8)

    state["tail"][:] = whole[:, -kept:]
    state["count"][:] = count[:, -1]
    state["tick"] += length
    reference = state["reference"][:, None]
    expected, usual = calibrated.expected + reference, past[0] + reference
    low, high = expected - calibrated.width, expected + calibrated.width
    return Scores(expected, low, high, usual, score, alert, emitted >= 1, kind)


def _renew(state: State) -> None:
    for name, empty in (("low", np.inf), ("high", -np.inf), ("histogram", 0)):
        state[name][:, 0] = state[name][:, 1]
        state[name][:, 1] = empty


def _relative(state: State, values: Array, seen: Flags) -> Array:
    """Values less the first one ever seen, in the 24 bits of float32, so that the state can hold them exactly."""
    values = np.clip(values, -1e300, 1e300)
    first = np.where(seen.any(axis=1), values[np.arange(len(values)), seen.argmax(axis=1)], np.nan)
    state["reference"][:] = np.where(np.isnan(state["reference"]), first, state["reference"])
    relative = np.clip(values - state["reference"][:, None], -LARGEST, LARGEST)
    return relative.astype(np.float32).astype(np.float64)


def _fill(whole: Array, kept: int, seen: Flags) -> None:
    """Missing values become the last one before them, in place; `seen` is about the columns from `kept`."""
    if seen.all():
        return
    place = np.where(seen, np.arange(seen.shape[1]) + kept, kept - 1)
    whole[:, kept:] = np.take_along_axis(whole, np.maximum.accumulate(place, axis=1), axis=1)


def _records(
    settings: Settings, state: State, whole: Array, ticks: Ints, count: Ints, seen: Flags, floor: Array, evidence: Array
) -> tuple[Array, Array]:
    """Evidence of records, and the range of values before each tick.

    Wide medians vary little in a short past: a tenth of the range of values counts as their range at least. Steps are
    compared in octaves.
    """
    low, high = state["low"], state["high"]
    kept = whole.shape[1] - len(ticks)
    ready = count - seen >= settings.warmup / 2

    def compare(place: int, values: Array, least: Array, at: Ints) -> tuple[Array, Array, Array]:
        below, above, low[:, 1, place], high[:, 1, place] = records.running(values, low[:, :, place], high[:, :, place])
        found = records.record(values, below, above, least)
        return np.where(ready[:, at] & np.isfinite(below) & np.isfinite(values), found, 0.0), below, above

    evidence[:, VALUE], lows, highs = compare(0, whole[:, kept:], floor, np.arange(len(ticks)))
    for number, width in enumerate(settings.widths):
        every = max(1, width // 16)
        at = np.flatnonzero(ticks % every == every - 1)
        if not len(at):
            continue
        extent = (highs - lows)[:, at]
        known = count[:, at] > width
        medians = np.where(known, records.rolling_medians(whole, width, kept + at), np.nan)
        found, _, _ = compare(1 + number, medians, np.maximum(floor, 0.1 * extent), at)
        evidence[:, MEDIAN, at] = np.maximum(evidence[:, MEDIAN, at], found)
        if number >= 2:
            steps = records.rolling_steps(whole, width, kept + at)
            octaves = np.log2(np.maximum(steps, np.maximum(1e-4 * extent, floor)))
            found, _, _ = compare(3 + number, np.where(known, octaves, np.nan), np.full_like(floor, 0.1), at)
            evidence[:, VARIANCE, at] = np.maximum(evidence[:, VARIANCE, at], found)
    return lows, highs


def _missing_and_flat(
    settings: Settings, state: State, values: Array, seen: Flags, before: Ints, evidence: Array
) -> None:
    """Evidence of runs without a value, and of runs of one value, beside the longest ones of the past."""
    half, run = settings.warmup / 2, state["run"]
    gap, longest = records.runs(~seen & (before > 0), run[:, 0], run[:, 1])
    excess = gap / np.maximum(2.0 * longest, 2.0) - 1.0
    evidence[:, GAP] = np.where(~seen & (before >= half), records.growth(np.maximum(excess, 0.0)), 0.0)
    run[:, 0], run[:, 1] = gap[:, -1], longest[:, -1]
    flat, longest = records.runs((values[:, 1:] == values[:, :-1]) & seen, run[:, 2], run[:, 3])
    excess = flat / np.maximum(3.0 * longest, 0.05 * settings.warmup) - 1.0
    varied = seen & (before - flat >= half)
    evidence[:, FLAT] = np.where(varied, records.growth(np.maximum(excess, 0.0)), 0.0)
    run[:, 2], run[:, 3] = flat[:, -1], longest[:, -1]
