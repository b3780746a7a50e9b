"""Days judged one after the other: what is watched, what is told of it, and that any way of asking gives the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.aiops.detection import running
from cogniforge_pipeline.aiops.detection.model import KINDS
from cogniforge_pipeline.aiops.detection.running import FORGOTTEN, Judged, Points, Watch, judge_day

FIRST = 20_000
COUNT = 288


def points(found: dict[int, dict[int, float]], *, additive: bool = False) -> Points:
    """Points of one day from {series: {seconds: value}}."""
    rows = [(series, second, value) for series in sorted(found) for second, value in sorted(found[series].items())]
    series, seconds, values = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.empty(0),) * 3
    return Points(series.astype(np.int64), seconds.astype(np.int64), values.astype(float), np.full(len(rows), additive))


def wave(day: int, *, step: int = 300, seed: int = 0) -> dict[int, float]:
    noise = np.random.default_rng((seed, day)).normal(0, 1, 86_400 // step)
    return {n * step: 50 + 10 * np.sin(n * step / 86_400 * 2 * np.pi) + float(e) for n, e in enumerate(noise)}


def rows(judged: Judged) -> list[tuple[int, int, float | None, float, str]]:
    """Series, second, value, score and kind of all shown rows."""
    found = []
    for block in judged.blocks:
        for row, column in zip(*np.nonzero(block.shown), strict=True):
            scores = block.scores
            kind = KINDS[scores.kind[row, column]]
            value, score = float(block.values[row, column]), float(scores.score[row, column])
            known = None if np.isnan(value) else value
            found.append((int(block.series[row]), int(block.seconds[column]), known, score, kind))
    return sorted(found, key=lambda row: row[:2])


def judge(days: list[Points], watch: Watch | None = None) -> tuple[list[Judged], Watch]:
    found = []
    watch = watch or {}
    for number, day in enumerate(days):
        judged, watch = judge_day(watch, FIRST + number, day)
        found.append(judged)
    return found, watch


def stored(watch: Watch) -> Watch:
    """The watch as a table gives it back."""
    found = {}
    for step, group in watch.items():
        packed, _ = running.pack(group.state)
        state = running.unpack(
            running.settings_of(step), np.frombuffer(packed.tobytes(), np.uint8).reshape(packed.shape)
        )
        found[step] = running.Group(group.series, state, group.silent, group.since)
    return found


@settings(max_examples=8, deadline=None)
@given(
    present=st.lists(st.sets(st.sampled_from([1, 2, 3, 4])), min_size=8, max_size=12),
    cut=st.integers(1, 7),
    seed=st.integers(0, 9),
)
def test_a_state_that_was_stored_goes_on_as_if_it_had_not(present: list[set[int]], cut: int, seed: int) -> None:
    steps = {1: 300, 2: 300, 3: 3600, 4: 21_600}
    days = [
        points({series: wave(n, step=steps[series], seed=seed + series) for series in some})
        for n, some in enumerate(present)
    ]
    together, end = judge(days)
    _, before = judge(days[:cut])
    watch, alone = stored(before), []
    for number, day in enumerate(days[cut:], cut):
        judged, watch = judge_day(watch, FIRST + number, day)
        watch = stored(watch)
        alone.append(judged)
    assert list(map(rows, alone)) == list(map(rows, together[cut:]))
    assert watch.keys() == end.keys()
    assert all(watch[step].series.tolist() == end[step].series.tolist() for step in end)


def test_a_score_does_not_depend_on_the_other_series() -> None:
    alone, _ = judge([points({2: wave(n, seed=2)}) for n in range(5)])
    among, _ = judge([points({series: wave(n, seed=series) for series in (1, 2, 3)}) for n in range(5)])
    assert [[row for row in rows(day) if row[0] == 2] for day in among] == list(map(rows, alone))


def test_silence_is_an_anomaly_until_a_day_is_over_and_then_it_rests() -> None:
    days = [points({1: wave(n, seed=1), 2: wave(n, seed=2)}) for n in range(4)]
    half = {second: value for second, value in wave(4, seed=2).items() if second < 43_200}
    days += [points({1: wave(4, seed=1), 2: half})] + [points({1: wave(n, seed=1)}) for n in range(5, 8)]
    found, watch = judge(days)
    missing = [[row for row in rows(day) if row[0] == 2 and row[2] is None] for day in found]
    assert [len(day) for day in missing[:4]] == [0] * 4
    assert 120 <= len(missing[4]) <= 144 and len(missing[5]) == COUNT and not missing[6] and not missing[7]
    assert {row[4] for day in missing for row in day} == {"missing"}
    assert watch[300].silent.tolist() == [0, 3]


def test_nothing_is_said_of_the_time_after_the_newest_point_of_all() -> None:
    days = [points({1: wave(n), 2: wave(n)}) for n in range(4)]
    first_hours = {second: value for second, value in wave(4).items() if second <= 10_800}
    found, _ = judge([*days, points({1: first_hours, 2: {0: 50.0}})])
    assert max(row[1] for row in rows(found[4])) == 10_800
    assert any(row[0] == 2 and row[4] == "missing" for row in rows(found[4]))


def test_a_series_that_was_silent_for_long_is_a_new_one() -> None:
    days = [points({1: wave(n), 2: wave(n)}) for n in range(2)] + [
        points({1: wave(n)}) for n in range(2, 2 + FORGOTTEN)
    ]
    _, before = judge(days[:-1])
    _, after = judge(days)
    assert before[300].series.tolist() == [1, 2]
    assert after[300].series.tolist() == [1]


def test_a_step_is_what_the_first_day_shows() -> None:
    found = {
        1: {0: 1.0, 300: 1.0, 600: 1.0},
        2: {0: 1.0, 3600: 2.0, 7200: 3.0, 7500: 4.0, 10_800: 1.0, 14_400: 1.0},
        3: {0: 1.0, 43_200: 2.0},
    }
    judged, watch = judge_day({}, FIRST, points(found))
    assert {step: group.series.tolist() for step, group in watch.items()} == {300: [1], 3600: [2]}
    assert judged.unjudged is not None and judged.unjudged.series.tolist() == [3, 3]
    assert [row[2] for row in rows(judged) if row[0] == 2] == [1.0, 2.0, 3.5, 1.0, 1.0]
    added, _ = judge_day({}, FIRST, points(found, additive=True))
    assert [row[2] for row in rows(added) if row[0] == 2] == [1.0, 2.0, 7.0, 1.0, 1.0]


@pytest.mark.parametrize("step, warmup", [(300, 576), (1800, 336), (3600, 168), (21_600, 28)])
def test_two_days_or_a_week_are_learnt_from(step: int, warmup: int) -> None:
    assert running.settings_of(step).warmup == warmup
