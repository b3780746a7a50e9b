"""The tables of forecasts in a real lake: what is learnt once and kept, what is made anew, and that nothing knows the future."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cogniforge_pipeline import registry
from cogniforge_pipeline.aiops.forecast_service import Futures
from cogniforge_pipeline.aiops.forecasting import model
from cogniforge_pipeline.aiops.planning_model import CAPACITY_KIND, FORECASTING_KIND
from cogniforge_pipeline.declarations import declare
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.sqltext import literal
from tests.support.pipeline import Pipeline, Point, at, csv

MODELS, ACCURACY, FORECASTS = "aiops.forecast_models", "aiops.forecast_accuracy", "aiops.forecasts"
PLANS = "aiops.capacity_plans"
START = at("2026-03-01 00:00")
DAYS = 24
NOON = START + timedelta(days=DAYS - 1, hours=12)
SERIES = 62


def value(series: int, hour: int) -> float:
    """A daily shape with noise of its own, and a little growth."""
    noise = np.random.default_rng((series, hour)).normal(0, 1)
    return float(round(40 + 10 * np.sin(2 * np.pi * (hour + series) / 24) + 0.01 * hour + noise, 3))


def points(first: int, after: int, names: Iterator[int] | range = range(SERIES)) -> list[Point]:
    """Hourly values of some series, services of three series each."""
    return [
        (
            START + timedelta(hours=hour),
            f"s{series // 3:02}",
            ("cpu_percent", "depth", "latency_ms")[series % 3],
            value(series, hour),
        )
        for series in names
        for hour in range(first, after)
    ]


def fill(work: Pipeline, name: str, found: list[Point]) -> None:
    work.drop(f"{name}.csv", csv(found))
    work.ingest()
    work.compute("aiops.rollup_5m")


def forecast(work: Pipeline, as_of: datetime) -> dict[str, list[tuple[Any, ...]]]:
    for table in (MODELS, ACCURACY, FORECASTS):
        work.compute(table, as_of=as_of)
    return {table: work.rows(table) for table in (MODELS, ACCURACY, FORECASTS)}


def learnt(work: Pipeline) -> list[tuple[Any, ...]]:
    return work.rows(MODELS, "model_id, learnt_until, examined_until, series, learnt")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, dict[str, list[tuple[Any, ...]]]]:
    """A home that knows what was known at noon, and what it made of it."""
    work = Pipeline(tmp_path_factory.mktemp("told") / "home")
    fill(work, "known", points(0, (DAYS - 1) * 24 + 12))
    return work, forecast(work, NOON)


def test_trees_are_learnt_and_examined_on_days_they_have_not_seen(told: Any) -> None:
    work, _ = told
    [(_, until, examined, series, what)] = learnt(work)
    assert (until, examined) == (at("2026-03-19 00:00"), at("2026-03-24 00:00"))
    assert (series, what) == (SERIES, "trees")
    rows = work.rows(ACCURACY, "origins, mase, naive_mase, msis, naive_msis, coverage95, served")
    assert {row[0] for row in rows} == {3}
    assert np.mean([row[1] for row in rows]) < 0.85 * np.mean([row[2] for row in rows])
    assert np.mean([row[3] for row in rows]) < np.mean([row[4] for row in rows])
    assert 0.9 < np.mean([row[5] for row in rows]) < 0.99


def test_what_loses_to_seasonal_naive_is_not_served(told: Any) -> None:
    work, _ = told
    refused = {series for series, served in work.rows(ACCURACY, "series_id, served") if not served}
    models = dict(work.rows(FORECASTS, "DISTINCT series_id, model"))
    assert all(models[series] == "seasonal_naive" for series in refused)
    assert list(models.values()).count("global") > SERIES / 2


def test_another_process_makes_the_same_of_the_same(told: Any, tmp_path: Path) -> None:
    _, made = told
    script = (
        "import json, sys; from pathlib import Path; from tests.unit.aiops import test_forecast_tables as t; "
        "work = t.Pipeline(Path(sys.argv[1])); "
        "t.fill(work, 'known', t.points(0, (t.DAYS - 1) * 24 + 12)); "
        "print(json.dumps(t.forecast(work, t.NOON), default=str))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "other")], capture_output=True, text=True, check=True
    )
    assert json.loads(out.stdout) == json.loads(json.dumps(made, default=str))


def test_nothing_is_known_of_the_future(tmp_path: Path) -> None:
    """A home that has two days more gives the same rows when it is asked as of then."""
    few, hours = range(4), 300
    then = START + timedelta(hours=hours)
    work, later = Pipeline(tmp_path / "then"), Pipeline(tmp_path / "later")
    fill(work, "known", points(0, hours, few))
    made = forecast(work, then)
    fill(later, "known", [(ts, *rest, v * (1 if ts < then else 5)) for ts, *rest, v in points(0, hours + 48, few)])
    assert forecast(later, then + timedelta(hours=48)) != made
    assert forecast(later, then) == made
    assert len(made[MODELS]) == 1 and len(made[ACCURACY]) == 4 and len(made[FORECASTS]) == 4 * 72


def test_models_are_kept_for_a_day_and_learnt_anew_when_what_they_were_learnt_from_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Pipeline(tmp_path / "home")
    few = range(3)
    ends: list[int] = []
    learn = model.learn
    monkeypatch.setattr(model, "learn", lambda panel, *rest: (ends.append(int(panel.last[0])), learn(panel, *rest))[1])
    fill(work, "known", points(0, 300, few))
    morning = START + timedelta(hours=300)
    forecast(work, morning)
    made = work.rows(FORECASTS)
    forecast(work, morning + timedelta(minutes=20))
    assert work.rows(FORECASTS) == made  # no other hour is over
    fill(work, "more", points(300, 301, few))
    forecast(work, morning + timedelta(hours=1))
    assert {ts for (ts,) in work.rows(FORECASTS, "DISTINCT made_at")} == {morning + timedelta(hours=1)}
    assert len(ends) == 1
    fill(work, "late", [(START + timedelta(hours=150, minutes=7), "s00", "cpu_percent", 900.0)])
    forecast(work, morning + timedelta(hours=1))
    assert len(ends) == 2 and len(set(ends)) == 1
    fill(work, "next", points(301, 330, few))
    forecast(work, START + timedelta(hours=330))
    assert len(ends) == 3 and ends[2] - ends[1] == timedelta(days=1) // timedelta(microseconds=1)
    assert {row[2] for row in learnt(work)} == {at("2026-03-14 00:00")}


def test_five_minutes_are_forecast_where_they_are_asked_for(tmp_path: Path) -> None:
    work = Pipeline(tmp_path / "home")
    minutes = [
        (START + timedelta(minutes=5 * n), service, "cpu_percent", 50 + 10 * float(np.sin(2 * np.pi * n / 288)))
        for service in ("web", "api")
        for n in range(600)
    ]
    fill(work, "known", minutes)
    asked = {"horizon_hours": 3, "five_minutes": {"hours": 1, "services": ["web"]}}
    registry.record(work.home, [declare(FORECASTING_KIND, asked)], run_id="declare")
    as_of = START + timedelta(minutes=5 * 600 + 4)
    forecast(work, as_of)
    found = work.rows(
        f"{FORECASTS}", "step, count(*) OVER (PARTITION BY step), min(ts) OVER (PARTITION BY step), series_id"
    )
    assert {row[:3] for row in found} == {
        ("1h", 6, START + timedelta(hours=50)),
        ("5m", 12, as_of - timedelta(minutes=4)),
    }
    expected = {ts: v for ts, service, _, v in minutes if service == "web"}
    for ts, mean in work.rows(FORECASTS, "ts, CASE WHEN step = '5m' THEN mean END"):
        assert mean is None or mean == pytest.approx(expected[ts - timedelta(days=1)], rel=1e-6)


def test_a_home_of_a_day_waits_and_a_home_of_three_loads_no_library_of_models(tmp_path: Path) -> None:
    """The many homes that know little must cost little."""
    work = Pipeline(tmp_path / "home")
    fill(work, "day", points(0, 20, range(3)))
    assert work.compute(MODELS, as_of=START + timedelta(hours=20)).publication is None
    script = (
        "import sys; from pathlib import Path; from tests.unit.aiops import test_forecast_tables as t; "
        "work = t.Pipeline(Path(sys.argv[1])); "
        "t.fill(work, 'rest', t.points(20, 72, range(3))); "
        "before = set(sys.modules); "
        "made = t.forecast(work, t.START + t.timedelta(hours=72)); "
        "work.compute(t.PLANS, as_of=t.START + t.timedelta(hours=72)); "
        "heavy = {'sklearn', 'statsmodels', 'polars', 'pandas', 'pyarrow'} & (set(sys.modules) - before); "
        "print(len(made[t.FORECASTS]), sorted(heavy))"
    )
    out = subprocess.run([sys.executable, "-c", script, str(work.folder)], capture_output=True, text=True, check=True)
    assert out.stdout.split(maxsplit=1) == [str(3 * 72), "[]\n"]


def test_load_and_capacity_are_asked_from_python(told: Any) -> None:
    work, _ = told
    futures = Futures(work.home)
    found = futures.forecast_load("s00", "cpu_usage", hours_ahead=24, as_of=NOON)
    [(mean, low, high)] = (
        work.home.lake.cursor()
        .execute(
            f"SELECT mean, lo95, hi95 FROM {FORECASTS} JOIN aiops.series AS s USING (series_id) WHERE s.service = 's00' "
            f"AND s.metric = 'cpu_percent' AND ts = {literal(NOON + timedelta(hours=23))}"
        )
        .fetchall()
    )
    assert (found.predicted_load, found.lower_bound, found.upper_bound) == (mean, low, high)
    assert found.peak.predicted_load == max(point.predicted_load for point in found.points) and len(found.points) == 24
    earlier = futures.forecast_load("s00", "cpu_usage", hours_ahead=5, as_of=NOON - timedelta(hours=3))
    assert earlier.made_at == NOON - timedelta(hours=3) and len(earlier.points) == 5
    plan = futures.generate_capacity_plan("s00", forecast_horizon_hours=24, as_of=NOON)
    assert (plan.current_capacity, plan.recommended_capacity) == (1, 1)
    with pytest.raises(CogniforgeError, match="no series of type latency") as refused:
        futures.forecast_load("nobody", "latency")
    assert "nobody" in str(refused.value.hint)
    with pytest.raises(CogniforgeError, match="from 1 to 72 hours"):
        futures.forecast_load("s00", "cpu_usage", hours_ahead=100, as_of=NOON)


def test_a_declared_limit_makes_a_plan_and_what_runs_out_is_told_once_a_day(tmp_path: Path) -> None:
    work = Pipeline(tmp_path / "home")
    filling = [(START + timedelta(hours=h), "db", "queue_depth", 100 + 0.5 * h) for h in range(20 * 24)]
    fill(work, "known", filling)
    limits = {"name": "db", "services": ["db"], "units": 2, "limits": [{"metric": "queue_depth", "limit": 400}]}
    registry.record(work.home, [declare(CAPACITY_KIND, limits)], run_id="declare")
    as_of = START + timedelta(days=20)
    for table in (FORECASTS, PLANS):
        work.compute(table, as_of=as_of)
    [(units, needed, hours, reason)] = work.rows(PLANS, "units_now, units_needed, hours_to_exhaustion, reason")
    assert (units, needed) == (2, 3)
    # the daily p90 passes 400 when the hour at 90 % of a day does: 600 hours after the start, less a tenth of a day
    assert hours == pytest.approx(600 - 480, abs=30)
    assert "needs every unit" in reason
    for _ in range(2):
        work.home.announce(PLANS)
    told = [event for event in work.home.events.read() if event.type == "forecast.breach.predicted"]
    assert [(event.subject, event.time) for event in told] == [("db", as_of)]
