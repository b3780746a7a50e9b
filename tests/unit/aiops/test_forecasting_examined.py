"""What was learnt, kept as bytes, and examined on days held out."""

from __future__ import annotations

import numpy as np
import pytest

from cogniforge_pipeline.aiops.forecasting.boosting import fit_trees
from cogniforge_pipeline.aiops.forecasting.examination import examine, naive_forecast, until
from cogniforge_pipeline.aiops.forecasting.learnt import Learnt
from cogniforge_pipeline.aiops.forecasting.origins import backs
from cogniforge_pipeline.aiops.forecasting.panel import Panel
from cogniforge_pipeline.aiops.forecasting.short import forecast_many
from cogniforge_pipeline.errors import CogniforgeError

HOUR = 3600 * 10**6
SEASON, HORIZON = 24, 24


def panel(values: np.ndarray) -> Panel:
    known = ~np.isnan(values)
    counts = np.where(known.any(axis=1), values.shape[1] - known.argmax(axis=1), 0)
    return Panel(list(range(len(values))), values, counts, np.full(len(values), 10**6 * HOUR), HOUR, timed=True)


def noisy(count: int, size: int) -> np.ndarray:
    random = np.random.default_rng(1)
    return 50 + 10 * np.sin(2 * np.pi * np.arange(size) / 24) + random.normal(0, 2, (count, size))


def test_what_was_learnt_comes_back_from_bytes_and_predicts_the_same_bits() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(4000, 5)).astype(np.float32)
    features[random.random(features.shape) < 0.1] = np.nan
    target = np.nan_to_num(features[:, 0]) * 3 + random.normal(size=4000).astype(np.float32)
    trees = fit_trees(features, target, loss="absolute_error", iterations=10, leaves=8, minimum=20, bins=32)
    learnt = Learnt(trees, {0.8: trees, 0.95: 2.5})
    data = learnt.to_bytes()
    again = Learnt.from_bytes(data)
    assert again.residual is not None and again.widths[0.95] == 2.5
    assert np.array_equal(again.residual.predict(features), trees.predict(features))
    assert again.to_bytes() == data
    assert again.has_trees and not Learnt().has_trees
    assert Learnt.from_bytes(Learnt().to_bytes()) == Learnt()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no archive", b"x" * 100])
def test_bytes_that_are_no_forecaster_are_refused(data: bytes) -> None:
    with pytest.raises(CogniforgeError, match="stored forecaster"):
        Learnt.from_bytes(data)


def test_the_origins_lie_a_horizon_and_up_to_two_days_before_the_end() -> None:
    assert backs(24, 72) == (72, 96, 120)


def test_figures_are_of_the_days_held_out_alone() -> None:
    """Whatever comes after an origin's horizon, or before it is the end, changes its actual values only."""
    values = noisy(3, 600)
    figures = examine(panel(values), SEASON, HORIZON, Learnt())
    assert figures.origins.tolist() == [3, 3, 3] and figures.points.tolist() == [72, 72, 72]
    assert (figures.mase < figures.naive_mase).all() and not figures.lost.any()
    moved = values.copy()
    moved[0, -1] += 1000  # in the newest origin's horizon only
    changed = examine(panel(moved), SEASON, HORIZON, Learnt())
    assert changed.mase[0] > figures.mase[0] + 1
    assert np.array_equal(changed.mase[1:], figures.mase[1:])


def test_a_series_without_values_in_the_horizon_or_too_short_is_not_examined() -> None:
    values = noisy(3, 600)
    values[0, -24:] = np.nan
    values[1, :500] = np.nan
    figures = examine(panel(values), SEASON, HORIZON, Learnt())
    assert figures.origins.tolist() == [2, 0, 3]
    assert np.isnan(figures.mase[1]) and not figures.lost[1]


def test_seasonal_naive_repeats_the_last_day_and_its_bounds_grow_with_each_day() -> None:
    values = np.tile(np.arange(24.0), 3)[None] + np.repeat([0, 1, 2], 24)[None]
    mean, half = naive_forecast(values, 24, 48)
    assert mean[0].tolist() == (np.arange(24.0) + 2).tolist() * 2
    assert half[0, 0] == pytest.approx(1.96) and half[0, 47] == pytest.approx(1.96 * np.sqrt(2))


def test_a_panel_until_then_has_nothing_of_later() -> None:
    values = np.arange(20.0)[None].repeat(2, axis=0)
    values[0, :15] = np.nan
    then = until(panel(values), np.array([1, 0]), 4)
    assert then.values.shape == (2, 16) and then.counts.tolist() == [16, 1] and then.names == [1, 0]
    assert until(panel(values), np.array([0]), 6).counts.tolist() == [0]


def test_short_series_are_fitted_only_where_that_is_asked_for() -> None:
    rising = np.stack([np.arange(30.0), np.arange(30.0)]) + 5
    bounds, models = forecast_many(rising, np.array([30, 30]), 1, 5, np.array([True, False]))
    assert models[1] == "seasonal_naive" and models[0] in ("theta", "ets")
    assert abs(bounds["mean"][0, 4] - 39) < abs(bounds["mean"][1, 4] - 39)
    assert (bounds["lo95"] <= bounds["lo80"]).all() and (bounds["hi80"] <= bounds["hi95"]).all()
