"""The forecaster on series as they come: with gaps, constant, short, negative, of several lengths."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.aiops.forecasting import Model, rolling_accuracy, train
from cogniforge_pipeline.errors import CogniforgeError

BOUNDS = ["mean", "lo80", "hi80", "lo95", "hi95"]
HOURS = np.arange(500)
DAILY = 100 + 30 * np.sin(2 * np.pi * HOURS / 24)


def long(series: dict[str, np.ndarray]) -> pl.DataFrame:
    """A long frame whose NaN stay; steps count from 1."""
    return pl.concat(
        pl.DataFrame({"series": [name] * len(v), "step": np.arange(1, len(v) + 1), "value": v.astype(float)})
        for name, v in series.items()
    )


def noisy(seed: int, size: int = 500) -> np.ndarray:
    return DAILY[:size] + np.random.default_rng(seed).normal(0, 3, size)


def of(forecast: pl.DataFrame, name: str) -> pl.DataFrame:
    return forecast.filter(pl.col("series") == name)


def ordered(forecast: pl.DataFrame) -> bool:
    return forecast.select(
        (
            (pl.col("lo95") <= pl.col("lo80"))
            & (pl.col("lo80") <= pl.col("mean"))
            & (pl.col("mean") <= pl.col("hi80"))
            & (pl.col("hi80") <= pl.col("hi95"))
        ).all()
    ).item()


@pytest.fixture(scope="module")
def many() -> pl.DataFrame:
    """Enough series that the trees are learnt."""
    return long({f"s{number:02}": noisy(number) * (1 + number) for number in range(60)})


@pytest.fixture(scope="module")
def model(many: pl.DataFrame) -> Model:
    return train(many, season=24, horizon=24)


def test_a_daily_shape_is_continued_more_closely_than_the_noise_is_wide(model: Model) -> None:
    future = 100 + 30 * np.sin(2 * np.pi * np.arange(500, 524) / 24)
    for number in (0, 30, 59):
        mean = of(model.forecast(), f"s{number:02}")["mean"].to_numpy() / (1 + number)
        assert np.abs(mean - future).mean() < 3


def test_bounds_hold_about_as_many_of_the_coming_values_as_they_say(model: Model) -> None:
    forecast = model.forecast()
    inside = {80: 0, 95: 0}
    for number in range(60):
        future = 100 + 30 * np.sin(2 * np.pi * np.arange(500, 524) / 24)
        actual = (future + np.random.default_rng(1000 + number).normal(0, 3, 24)) * (1 + number)
        own = of(forecast, f"s{number:02}")
        for level in inside:
            lower, upper = own[f"lo{level}"].to_numpy(), own[f"hi{level}"].to_numpy()
            inside[level] += int(((actual >= lower) & (actual <= upper)).sum())
    assert 0.72 < inside[80] / (60 * 24) < 0.92
    assert 0.91 < inside[95] / (60 * 24) < 0.99


def test_trees_are_learnt_and_survive_being_stored_bit_for_bit(
    model: Model, many: pl.DataFrame, tmp_path: Path
) -> None:
    assert model.learnt.residual is not None
    model.save(tmp_path / "model.npz")
    loaded = Model.load(tmp_path / "model.npz")
    assert loaded.forecast().equals(model.forecast())
    assert loaded.backtest().equals(model.backtest())
    assert loaded.forecast(history=many).equals(model.forecast())


def test_the_same_frame_in_another_order_gives_the_same_model(model: Model, many: pl.DataFrame) -> None:
    again = train(many.sample(fraction=1, shuffle=True, seed=5), season=24, horizon=24)
    assert again.forecast().equals(model.forecast())


def test_stored_trees_predict_what_scikit_learn_predicts() -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor

    from cogniforge_pipeline.aiops.forecasting.boosting import fit_trees

    random = np.random.default_rng(3)
    features = random.integers(0, 20, (2000, 3)).astype(np.float32)
    features[random.random(features.shape) < 0.1] = np.nan
    target = np.nan_to_num(features[:, 0]) * 2 + np.where(np.isnan(features[:, 1]), 30, 0) + random.normal(0, 1, 2000)
    ours = fit_trees(features, target, loss="quantile", quantile=0.8, iterations=20, leaves=8, minimum=20, bins=64)
    theirs = HistGradientBoostingRegressor(
        loss="quantile",
        quantile=0.8,
        max_iter=20,
        max_leaf_nodes=8,
        min_samples_leaf=20,
        learning_rate=0.06,
        early_stopping=False,
    ).fit(features, target)
    assert ours.predict(features) == pytest.approx(theirs.predict(features), abs=1e-6)


def test_newer_history_moves_the_forecast_on(model: Model, many: pl.DataFrame) -> None:
    older = many.filter(pl.col("step") <= 490)
    assert of(model.forecast(history=older), "s00")["step"][0] == 491
    assert of(model.forecast(), "s00")["step"][0] == 501


def test_a_shorter_horizon_is_the_beginning_of_the_longer_one(model: Model) -> None:
    assert model.forecast(5).equals(model.forecast().filter(pl.col("step") <= 505))
    with pytest.raises(CogniforgeError, match="trained for 1 to 24"):
        model.forecast(25)


def test_odd_series_beside_good_ones_all_get_ordered_bounds() -> None:
    gaps = noisy(1)
    gaps[100:160] = np.nan
    gaps[::17] = np.nan
    gaps[-3:] = np.nan
    series = {
        "gaps": gaps,
        "constant": np.full(500, 5.0),
        "zeros": np.zeros(500),
        "negative": noisy(2) - 200,
        "sparse": np.where(np.random.default_rng(4).random(500) < 0.05, 3.0, 0.0),
        "half": noisy(3, 250),
        "short": noisy(4, 70),
        "one day": noisy(5, 20),
        "one value": np.array([4.0]),
        "only gaps": np.full(30, np.nan),
        "tiny": noisy(6) * 1e-9,
        "huge": noisy(7) * 1e12,
        "step": np.where(HOURS < 400, 10.0, 1000.0) + noisy(8) / 100,
    }
    forecast = train(long(series), season=24, horizon=30).forecast()
    assert len(forecast) == 30 * len(series)
    told = forecast.filter(pl.col("series") != "only gaps")
    assert told.select(pl.col(BOUNDS).is_finite().all()).row(0) == (True,) * 5
    assert ordered(told)
    assert of(forecast, "only gaps")["mean"].null_count() == 30
    assert set(of(forecast, "only gaps")["model"]) == {"none"}
    assert of(forecast, "constant").select(pl.col(BOUNDS).unique()).row(0) == (5.0,) * 5
    assert of(forecast, "zeros").select(pl.col(BOUNDS).unique()).row(0) == (0.0,) * 5
    assert set(of(forecast, "one value")["mean"]) == {4.0}
    assert of(forecast, "negative")["mean"].max() < 0
    assert np.abs(of(forecast, "gaps")["mean"].to_numpy() - 100).max() < 50
    assert of(forecast, "step")["mean"].min() > 900
    below = told.filter(pl.col("lo95") < 0)["series"].unique().to_list()
    assert below == ["negative"]


def test_a_forecast_that_loses_to_seasonal_naive_is_not_served() -> None:
    repeating = np.tile(np.random.default_rng(0).permutation(24).astype(float), 20)
    model = train(long({"exact": repeating, "other": noisy(1, 480)}), season=24, horizon=24)
    backtest = model.backtest()
    assert (backtest["mase"] <= backtest["naive_mase"]).all()
    assert of(model.forecast(), "exact")["mean"].to_numpy() == pytest.approx(repeating[:24], abs=1e-3)


def test_a_short_series_with_a_trend_is_served_by_a_model_that_follows_it() -> None:
    trend = np.arange(30) * 2.0 + np.random.default_rng(0).normal(0, 0.1, 30)
    forecast = train(long({"trend": trend}), season=1, horizon=20).forecast()
    assert forecast["mean"][4] > trend[-1] + 4
    assert forecast["model"][0] != "seasonal_naive"


def test_rolling_origins_train_on_what_was_known_then_and_beat_seasonal_naive_on_noise() -> None:
    series = {f"s{number}": noisy(number) for number in range(4)} | {"late": noisy(9, 40)}
    found = rolling_accuracy(long(series), season=24, horizon=24, origins=2)
    assert found["steps_back"].to_list() == [24, 48]
    assert found["series"].to_list() == [5, 4]
    assert (found["mase"] < found["naive_mase"]).all()
    spoilt = {name: np.where(HOURS[: len(v)] >= len(v) - 24, 1e6, v) for name, v in series.items()}
    assert rolling_accuracy(long(spoilt), season=24, horizon=24, origins=2)[1].equals(found[1])
    with pytest.raises(CogniforgeError, match="fewer origins"):
        rolling_accuracy(long(series), season=24, horizon=24, origins=30)


def test_another_period_than_the_declared_one_is_found() -> None:
    shape = 100 + 30 * np.sin(2 * np.pi * np.arange(800) / 17)
    model = train(long({"seventeen": shape + np.random.default_rng(1).normal(0, 1, 800)}), season=24, horizon=48)
    future = 100 + 30 * np.sin(2 * np.pi * np.arange(800, 848) / 17)
    assert np.abs(model.forecast()["mean"].to_numpy() - future).mean() < 3


def test_times_go_on_in_utc_with_the_grid_of_the_series() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "series": [7] * 300,
            "ts": [start + timedelta(minutes=5 * number, seconds=number % 3) for number in range(300)],
            "value": DAILY[:300],
        }
    )
    forecast = train(frame, season=24, horizon=3).forecast()
    assert forecast["ts"].to_list() == [frame["ts"][-1] + timedelta(minutes=5 * ahead) for ahead in (1, 2, 3)]
    assert forecast["ts"].dtype == pl.Datetime("us", "UTC")
    assert forecast["series"].to_list() == [7, 7, 7]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"series": ["a"], "value": [1.0]}), "neither step nor ts"),
        (pl.DataFrame({"step": [1], "value": [1.0]}), "no column series"),
        (pl.DataFrame({"series": ["a", "a"], "step": [1, 1], "value": [1.0, 2.0]}), "two values at one step"),
        (pl.DataFrame({"series": ["a"], "step": [1.5], "value": [1.0]}), "step holds Float64"),
        (pl.DataFrame({"series": ["a"], "step": [1], "value": [float("inf")]}), "infinite"),
        (pl.DataFrame({"series": ["a"] * 4, "step": [0, 10, 20, 24], "value": [1.0] * 4}), "off the grid"),
        (pl.DataFrame({"series": [], "step": [], "value": []}, schema_overrides={"step": pl.Int64}), "no rows"),
    ],
)
def test_a_frame_that_cannot_be_used_is_refused_with_the_reason(frame: pl.DataFrame, message: str) -> None:
    with pytest.raises(CogniforgeError, match=message):
        train(frame, season=24, horizon=2)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.npz").write_bytes(b"not a model")
    with pytest.raises(CogniforgeError, match="not a stored forecaster"):
        Model.load(tmp_path / "model.npz")


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=80),
    season=st.integers(1, 12),
    horizon=st.integers(1, 15),
)
def test_any_series_gets_ordered_finite_bounds_that_respect_its_sign(
    values: list[float | None], season: int, horizon: int
) -> None:
    frame = pl.DataFrame(
        {"series": ["a"] * len(values), "step": range(len(values)), "value": pl.Series(values, dtype=pl.Float64)}
    )
    forecast = train(frame, season=season, horizon=horizon).forecast()
    assert len(forecast) == horizon
    known = [value for value in values if value is not None]
    if not known:
        assert forecast["mean"].null_count() == horizon
        return
    assert forecast.select(pl.col(BOUNDS).is_finite().all()).row(0) == (True,) * 5
    assert ordered(forecast)
    if min(known) >= 0:
        assert forecast["lo95"].min() >= 0
