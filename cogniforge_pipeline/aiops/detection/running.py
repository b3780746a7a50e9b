"""Many series watched day after day: whole UTC days in, scores out, and a state that stands between two days.

Belongs here: which series are watched, the step of each, and how a day of points becomes rows of the detector.
Does not: the detector, tables.

What comes out of a day follows from the state before it and from its points alone, so any way of asking for days gives the
same scores. Days without any point of any series are passed over: nobody watched then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogniforge_pipeline.aiops.detection.detector import Detector
from cogniforge_pipeline.aiops.detection.model import DAY, KINDS, Array, Ints, Scores, Settings, State
from cogniforge_pipeline.aiops.detection.state import new_state, take

STEPS = (300, 600, 900, 1800, 3600, 7200, 10_800, 21_600)
"""Seconds between two points of a series: the longest of these that is not above what its first day shows."""
SHOWN = 3  # points of a day that show a series' step
FORGOTTEN = 8  # days in a row without a point, after which a series is taken for a new one
WARMUP, WEEK, LEAST = 576, 7 * DAY, 24  # points learnt from at most; what they span at most; at least
MISSING = KINDS.index("missing")


def settings_of(step: int) -> Settings:
    """What series of a step are watched with: two days at five minutes are learnt from, a week of hours, at least 24
    points."""
    return Settings(max(LEAST, min(WARMUP, WEEK // step)), float(step))


@dataclass(frozen=True)
class Points:
    """One day's points in order of series and time: `series` numbers, `seconds` since midnight UTC, on whole five
    minutes and each once for a series, and finite `values`; all [point]. `additive` says of a point that several within
    a step are added up, not averaged."""

    series: Ints
    seconds: Ints
    values: Array
    additive: NDArray[np.bool_]


@dataclass(frozen=True)
class Group:
    """The series of one step: `series` numbers in order, the detector's state of each, for how many days each was silent,
    and `since` which day (since 1970) it is watched."""

    series: Ints
    state: State
    silent: Ints
    since: Ints


@dataclass(frozen=True)
class Block:
    """The judged day of some series of one step: arrays [series, tick]. `values` is NaN where nothing came; `seconds`
    [tick] are since midnight. `shown` marks what is a row: every value, and what is missing while that is strange. Each
    series is watched for `known` days before this one."""

    step: int
    series: Ints
    known: Ints
    seconds: Ints
    values: Array
    scores: Scores
    shown: NDArray[np.bool_]


@dataclass
class Judged:
    """A judged day: blocks, and the points of series whose step is not known yet, which nobody can judge."""

    blocks: list[Block] = field(default_factory=list)
    unjudged: Points | None = None


Watch = Mapping[int, Group]
"""The groups by step."""


def judge_day(watch: Watch, day: int, points: Points) -> tuple[Judged, Watch]:
    """The scores of one day (days since 1970), and the state after it; `watch` is left as it is.

    A series is judged from the day on that shows its step. One that was silent for a whole day rests: nothing is told of
    it until it is back, and after FORGOTTEN days it is a new one.
    """
    judged = Judged()
    if not len(points.series):
        return judged, watch
    known = np.concatenate([group.series for group in watch.values()]) if watch else np.empty(0, np.int64)
    watch = dict(watch)
    fresh = ~np.isin(points.series, known)
    steps = _steps(_some(points, fresh))
    for step in STEPS:
        group, added = watch.get(step), np.array([number for number, own in steps.items() if own == step], np.int64)
        if group is None and not len(added):
            continue
        settings = settings_of(step)
        new = Group(added, new_state(settings, len(added)), *(np.full(len(added), n, np.int64) for n in (0, day)))
        group = new if group is None else _joined(group, new) if len(added) else group
        watch[step], block = _judge(settings, step, group, day, points)
        if block is not None:
            judged.blocks.append(block)
        if not len(watch[step].series):
            del watch[step]
    unknown = fresh & ~np.isin(points.series, np.array([n for n, step in steps.items() if step], np.int64))
    if unknown.any():
        judged.unjudged = _some(points, unknown)
    return judged, watch


def _joined(one: Group, other: Group) -> Group:
    state = {name: np.concatenate([one.state[name], other.state[name]]) for name in one.state}
    both = [
        np.concatenate(pair)
        for pair in ((one.series, other.series), (one.silent, other.silent), (one.since, other.since))
    ]
    return _of(Group(both[0], state, both[1], both[2]), np.argsort(both[0], kind="stable"))


def _of(group: Group, chosen: Ints) -> Group:
    return Group(group.series[chosen], take(group.state, chosen), group.silent[chosen], group.since[chosen])


def _judge(settings: Settings, step: int, group: Group, day: int, points: Points) -> tuple[Group, Block | None]:
    length = DAY // step
    place = np.searchsorted(group.series, points.series)
    place[place == len(group.series)] = 0
    mine = group.series[place] == points.series if len(group.series) else np.zeros(len(place), np.bool_)
    row, column = place[mine], points.seconds[mine] // step
    present = np.zeros(len(group.series), np.bool_)
    present[row] = True
    silent = np.where(present, 0, group.silent + 1)
    watched = np.flatnonzero(silent <= 1)
    group = replace(group, silent=silent)
    if not len(watched):
        return _of(group, np.flatnonzero(silent < FORGOTTEN)), None
    values = _matrix(points.values[mine], points.additive[mine], row, column, (len(group.series), length))[watched]
    state = group.state if len(watched) == len(silent) else take(group.state, watched)
    state = {**state, "tick": np.full(len(watched), day * length, np.int64)}
    seconds = np.arange(length) * step
    times = (day * DAY + seconds).astype("datetime64[s]")
    scores, after = Detector(settings).update(state, times, values)
    last = int(points.seconds.max()) // step
    shown = np.isfinite(values) | ((scores.kind == MISSING) & (np.arange(length) <= last))
    known = day - group.since[watched]
    block = Block(step, group.series[watched], known, seconds, values, scores, shown)
    if len(watched) < len(silent):
        for name, array in after.items():
            whole = group.state[name].copy()
            whole[watched] = array
            after[name] = whole
    group = replace(group, state=after)
    kept = silent < FORGOTTEN
    return (group if kept.all() else _of(group, np.flatnonzero(kept))), block


def _matrix(values: Array, additive: NDArray[np.bool_], row: Ints, column: Ints, shape: tuple[int, int]) -> Array:
    """Values [series, tick], NaN where there is none."""
    cell = row * shape[1] + column
    count = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    total = np.bincount(cell, weights=values, minlength=shape[0] * shape[1]).reshape(shape)
    added = np.zeros((shape[0], 1), np.bool_)
    added[row[additive]] = True
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, total / np.where(added, 1, count), np.nan)


def _steps(points: Points) -> dict[int, int]:
    """The step of each series that these points show; 0 where they show none, or a longer one than is watched."""
    if not len(points.series):
        return {}
    starts = np.flatnonzero(np.diff(points.series, prepend=points.series[0] - 1))
    found: dict[int, int] = {}
    counts = np.diff(starts, append=len(points.series))
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        number = int(points.series[start])
        usual = float(np.median(np.diff(points.seconds[start : start + count]))) if count >= SHOWN else 0.0
        fitting = [step for step in STEPS if step <= usual]
        found[number] = fitting[-1] if fitting and usual < 2 * STEPS[-1] else 0
    return found


def _some(points: Points, chosen: NDArray[np.bool_]) -> Points:
    return Points(*(array[chosen] for array in vars(points).values()))


def pack(state: State) -> tuple[NDArray[Any], int]:
    """The states of all series as bytes [series, width], and the width."""
    series = len(state["tick"])
    parts = [np.ascontiguousarray(array).reshape(series, -1).view(np.uint8) for array in state.values()]
    packed = np.concatenate(parts, axis=1)
    return packed, packed.shape[1]


def unpack(settings: Settings, packed: NDArray[Any]) -> State:
    """What `pack` made bytes of."""
    state, start = {}, 0
    for name, like in new_state(settings, 1).items():
        part = np.ascontiguousarray(packed[:, start : start + like.nbytes])
        state[name] = part.view(like.dtype).reshape(len(packed), *like.shape[1:])
        start += like.nbytes
    return state
