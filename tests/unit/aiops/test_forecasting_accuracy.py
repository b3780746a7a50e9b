"""The measures of forecasts against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cogniforge_pipeline.aiops.forecasting.accuracy import (
    assess,
    coverage,
    mase,
    msis,
    naive2,
    owa,
    seasonal_scale,
    smape,
)


def test_the_scale_is_the_mean_change_over_one_season() -> None:
    history = np.array([[1.0, 5.0, 2.0, 8.0, 2.0, 7.0]])
    assert seasonal_scale(history, 2) == pytest.approx([(1 + 3 + 0 + 1) / 4])


def test_a_scale_is_positive_even_for_repeating_constant_and_zero_series() -> None:
    assert seasonal_scale(np.array([[1.0, 4.0, 1.0, 4.0]]), 2) == pytest.approx([3])
    assert seasonal_scale(np.array([[7.0, 7.0, 7.0, 7.0]]), 2) == pytest.approx([7])
    assert seasonal_scale(np.zeros((1, 4)), 2) == pytest.approx([1])


def test_mase_smape_and_msis_are_what_their_formulas_say() -> None:
    actual, mean = np.array([[10.0, 20.0]]), np.array([[12.0, 20.0]])
    scale = np.array([4.0])
    assert mase(actual, mean, scale) == pytest.approx([0.25])
    assert smape(actual, mean) == pytest.approx([200 * 2 / 22 / 2])
    lower, upper = np.array([[11.0, 15.0]]), np.array([[14.0, 25.0]])
    assert msis(actual, lower, upper, scale) == pytest.approx([(3 + 10 + 40 * 1) / 2 / 4])
    assert coverage(actual, lower, upper) == 0.5


def test_values_that_are_not_known_are_left_out() -> None:
    actual, mean = np.array([[10.0, np.nan]]), np.array([[12.0, 99.0]])
    assert mase(actual, mean, np.array([1.0])) == pytest.approx([2])
    assert coverage(actual, mean - 5, mean + 5) == 1.0


def test_owa_is_the_mean_of_both_ratios_to_naive2() -> None:
    assert owa(5, 1, 10, 4) == pytest.approx((0.5 + 0.25) / 2)


def test_naive2_repeats_a_seasonal_shape_and_the_last_value_of_a_series_without_one() -> None:
    shape = np.array([1.0, 2.0, 3.0, 2.0])
    assert naive2([np.tile(shape, 6)], 4, 4)[0] == pytest.approx(shape)
    noise = np.random.default_rng(1).normal(100, 1, 40)
    assert naive2([noise], 3, 4)[0] == pytest.approx(noise[-1])


def test_the_forecast_of_naive2_has_an_owa_of_one() -> None:
    random = np.random.default_rng(2)
    series = np.tile([10.0, 20.0, 30.0, 20.0], (3, 8)) + random.normal(0, 1, (3, 32))
    mean = naive2(list(series[:, :-4]), 4, 4)
    bounds = dict.fromkeys(("lo80", "hi80", "lo95", "hi95", "mean"), mean)
    assert assess(series[:, -4:], bounds, list(series[:, :-4]), 4).owa == pytest.approx(1)
