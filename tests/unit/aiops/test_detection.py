"""A detector's scores: the same for any chunks, from the past only, and finite for any input."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from cogniforge_pipeline.aiops.detection import (
    KINDS,
    Detector,
    Scores,
    Settings,
    join,
    load_state,
    save_state,
    take,
)
from cogniforge_pipeline.errors import CogniforgeError

HOURLY = Settings(warmup=60, step=3600.0)
START = np.datetime64("2024-03-01T00:00:00")


def hours(count: int) -> np.ndarray:
    return START + np.arange(count) * np.timedelta64(3600, "s")


def mixture(seed: int, series: int, length: int) -> np.ndarray:
    """Series of many sorts: noise, days, walks, constants, spikes, gaps, late births, huge and tiny values."""
    rng = np.random.default_rng(seed)
    ticks = np.arange(length)
    rows = []
    for number in range(series):
        row = {
            0: lambda: rng.normal(size=length),
            1: lambda: 10 + np.sin(ticks / 24 * 2 * np.pi) + 0.1 * rng.normal(size=length),
            2: lambda: np.cumsum(rng.normal(size=length)),
            3: lambda: np.full(length, 5.0),
            4: lambda: rng.poisson(0.3, length).astype(float),
            5: lambda: 1e9 + rng.normal(size=length),
            6: lambda: rng.standard_cauchy(length) * 10.0 ** rng.integers(-200, 300),
        }[int((number + seed) % 7)]()
        row[rng.random(length) < rng.choice([0.0, 0.02, 0.3])] = np.nan
        if rng.random() < 0.3:
            row[: rng.integers(0, length)] = np.nan
        if rng.random() < 0.3:
            row[rng.integers(0, length) :] += 100.0
        if rng.random() < 0.2:
            row[rng.integers(0, length)] = rng.choice([np.inf, -np.inf, 1e308, -1e308])
        rows.append(row)
    return np.array(rows)


def equal(one: Scores, other: Scores, columns: slice = slice(None)) -> None:
    for field in fields(Scores):
        np.testing.assert_array_equal(
            getattr(one, field.name)[:, columns], getattr(other, field.name)[:, columns], err_msg=field.name
        )


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    series=st.integers(1, 9),
    warmup=st.sampled_from([4, 8, 60, 130]),
    cuts=st.lists(st.integers(0, 700), max_size=8),
)
def test_any_chunks_give_exactly_the_scores_and_the_state_of_the_batch(
    seed: int, series: int, warmup: int, cuts: list[int]
) -> None:
    values, times = mixture(seed, series, 700), hours(700)
    detector = Detector(Settings(warmup=warmup, step=3600.0))
    batch, final = detector.update(detector.start(series), times, values)
    state, parts = detector.start(series), []
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), 700], strict=True):
        scores, state = detector.update(state, times[start:stop], values[:, start:stop])
        parts.append(scores)
    joined = Scores(*(np.concatenate([getattr(part, f.name) for part in parts], axis=1) for f in fields(Scores)))
    equal(joined, batch)
    for name in final:
        np.testing.assert_array_equal(state[name], final[name], err_msg=name)


def test_one_tick_at_a_time_gives_exactly_the_batch() -> None:
    values, times = mixture(3, 7, 420), hours(420)
    detector = Detector(HOURLY)
    batch, _ = detector.update(detector.start(7), times, values)
    state = detector.start(7)
    for tick in range(420):
        scores, state = detector.update(state, times[tick : tick + 1], values[:, tick : tick + 1])
        for field in fields(Scores):
            np.testing.assert_array_equal(
                getattr(scores, field.name)[:, 0], getattr(batch, field.name)[:, tick], err_msg=field.name
            )


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), known=st.integers(0, 900))
def test_what_comes_later_changes_no_score(seed: int, known: int) -> None:
    values, times = mixture(seed, 5, 900), hours(900)
    other = values.copy()
    other[:, known:] = mixture(seed + 1, 5, 900)[:, known:]
    detector = Detector(HOURLY)
    one, _ = detector.update(detector.start(5), times, values)
    two, _ = detector.update(detector.start(5), times, other)
    prefix, _ = detector.update(detector.start(5), times[:known], values[:, :known])
    equal(one, two, slice(0, known))
    equal(one, prefix, slice(0, known))


def test_a_series_scores_the_same_alone_and_among_others() -> None:
    values, times = mixture(11, 40, 600), hours(600)
    detector = Detector(HOURLY)
    together, _ = detector.update(detector.start(40), times, values)
    for row in (0, 17, 39):
        alone, _ = detector.update(detector.start(1), times, values[row : row + 1])
        for field in fields(Scores):
            np.testing.assert_array_equal(getattr(alone, field.name)[0], getattr(together, field.name)[row])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), length=st.integers(0, 300), warmup=st.integers(1, 200))
def test_scores_are_finite_for_any_input_and_of_any_length(seed: int, length: int, warmup: int) -> None:
    values = mixture(seed, 8, max(length, 1))[:, :length]
    detector = Detector(Settings(warmup=warmup, step=3600.0))
    scores, _ = detector.update(detector.start(8), hours(length), values)
    assert scores.score.shape == (8, length)
    assert np.isfinite(scores.score).all()
    assert np.isfinite(scores.alert).all()
    assert (scores.score >= 0).all()
    np.testing.assert_array_equal(scores.is_anomaly, scores.alert >= 1)
    assert (scores.kind[scores.is_anomaly] > 0).all()
    assert not (scores.lower > scores.upper).any()


def test_a_state_survives_a_file(tmp_path: Path) -> None:
    values, times = mixture(5, 6, 500), hours(500)
    detector = Detector(HOURLY)
    batch, _ = detector.update(detector.start(6), times, values)
    _, state = detector.update(detector.start(6), times[:333], values[:, :333])
    save_state(tmp_path / "state.npz", state)
    loaded = load_state(tmp_path / "state.npz")
    assert {name: array.dtype for name, array in loaded.items()} == {name: array.dtype for name, array in state.items()}
    rest, _ = detector.update(loaded, times[333:], values[:, 333:])
    equal(rest, Scores(*(getattr(batch, field.name)[:, 333:] for field in fields(Scores))))


def test_a_state_does_not_grow_and_the_given_one_is_left_alone() -> None:
    detector = Detector(HOURLY)
    state = detector.start(3)
    copy = {name: array.copy() for name, array in state.items()}
    _, later = detector.update(state, hours(5000), mixture(1, 3, 5000))
    assert {name: array.shape for name, array in later.items()} == {name: array.shape for name, array in copy.items()}
    for name, array in copy.items():
        np.testing.assert_array_equal(state[name], array)


def test_series_may_join_and_leave_between_ticks() -> None:
    values, times = mixture(8, 4, 600), hours(600)
    values[3, :200] = np.nan
    detector = Detector(HOURLY)
    batch, _ = detector.update(detector.start(4), times, values)
    _, state = detector.update(detector.start(3), times[:200], values[:3, :200])
    state = take(join([state, detector.start(1, tick=200)]), np.array([0, 2, 3]))
    rest, _ = detector.update(state, times[200:], values[[0, 2, 3], 200:])
    equal(rest, Scores(*(getattr(batch, field.name)[[0, 2, 3], 200:] for field in fields(Scores))))


def test_states_at_different_ticks_are_not_joined() -> None:
    detector = Detector(HOURLY)
    with pytest.raises(CogniforgeError, match="ticks 0 and 5"):
        join([detector.start(1), detector.start(1, tick=5)])


def test_a_wrong_shape_is_refused() -> None:
    detector = Detector(HOURLY)
    with pytest.raises(CogniforgeError, match="2 series and 3 times"):
        detector.update(detector.start(2), hours(3), np.zeros((3, 2)))


def test_no_alert_stands_before_the_warmup_is_over() -> None:
    values = daily()
    values[[130, 200, 239]] += [500, 5000, 50000]
    detector = Detector(Settings(warmup=240, step=3600.0))
    scores, _ = detector.update(detector.start(1), hours(1000), values[None])
    assert not scores.is_anomaly[0, :240].any()
    assert scores.score[0, 130] >= 1


def daily(seed: int = 0, length: int = 1000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 50 + 10 * np.sin(np.arange(length) / 24 * 2 * np.pi) + rng.normal(size=length)


def after(values: np.ndarray, start: int, within: int = 48) -> set[str]:
    """Kinds above the alert line in some ticks after one, at which an alert must stand."""
    detector = Detector(Settings(warmup=240, step=3600.0))
    scores, _ = detector.update(detector.start(1), hours(len(values)), values[None])
    part = slice(start, start + within)
    assert scores.is_anomaly[0, part].any()
    return {KINDS[kind] for kind in scores.kind[0, part]} - {""}


def test_a_spike_and_a_dip_are_told_apart() -> None:
    up, down = daily(), daily()
    up[900] += 60
    down[900] -= 60
    assert "spike" in after(up, 900, 3)
    assert "dip" in after(down, 900, 3)


def test_a_level_shift_ends_as_a_level_shift() -> None:
    values = daily()
    values[800:] += 40
    assert "level_shift" in after(values, 800)


def test_more_noise_within_the_usual_range_is_a_change_of_variance() -> None:
    values = daily()
    values[800:] += np.random.default_rng(1).normal(0, 6, 200)
    assert "variance" in after(values, 800, 150)


def test_a_value_that_stands_still_is_a_flat_line() -> None:
    values = daily()
    values[800:] = values[799]
    assert "flat_line" in after(values, 800, 100)


def test_missing_values_are_a_kind_of_their_own() -> None:
    values = daily()
    values[800:830] = np.nan
    assert after(values, 800, 12) == {"missing"}


def quiet() -> dict[str, np.ndarray]:
    """Series without change, of eight sorts, at 5 minutes."""
    rng = np.random.default_rng(0)
    shape = (12, 4000)
    day = np.sin(np.arange(shape[1]) / 288 * 2 * np.pi)
    noise = rng.normal(size=shape)
    return {
        "noise": noise,
        "short memory": lfilter([1], [1, -0.9], noise),
        "long memory": lfilter([1], [1, -0.99], noise),
        "daily wave": 10 * day + noise,
        "skewed daily wave": np.exp(day + 0.3 * noise),
        "counts": rng.poisson(3 * np.exp(day), shape).astype(float),
        "exponential": rng.exponential(size=shape),
        "heavy tails": rng.standard_t(3, shape),
    }


def test_series_without_change_alert_once_in_some_thousand_points() -> None:
    detector = Detector(Settings(warmup=576, step=300.0))
    times = START + np.arange(4000) * np.timedelta64(300, "s")
    rates = []
    for name, values in quiet().items():
        scores, _ = detector.update(detector.start(len(values)), times, values)
        rates.append(scores.is_anomaly[:, 576:].mean())
        assert rates[-1] < 1 / 1000, name
        inside = (values >= scores.lower) & (values <= scores.upper)
        assert 0.995 < inside[:, 1000:].mean() < 0.99999, name
    assert 0 < np.mean(rates) < 1 / 4000


def test_bounds_follow_the_season() -> None:
    values = daily(4)
    detector = Detector(Settings(warmup=240, step=3600.0))
    scores, _ = detector.update(detector.start(1), hours(1000), values[None])
    late = slice(500, None)
    assert np.abs(values[late] - scores.expected[0, late]).mean() < 2.0
    assert (scores.upper - scores.lower)[0, late].mean() < 20.0
