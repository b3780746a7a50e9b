"""Deployment risk: when it learns and when it says that it guesses, its reasons, its advice, and its calibration."""

from __future__ import annotations

import csv
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.sre.risk import FEATURES, RiskError, RiskModel, fit_risk

QT = Path(__file__).parents[4] / "shared" / "data" / "sre" / "issta21_qt.csv"
START = datetime(2024, 1, 1, 9, tzinfo=UTC)
PRIOR = fit_risk([])


def deployments(count: int, seed: int = 1, slope: float = 1.0, base: float = -2.0) -> list[dict[str, Any]]:
    """Deployments whose log odds grow with log lines and anomalies; canaries are safer."""
    rng = np.random.default_rng(seed)
    lines = np.round(rng.lognormal(4, 1.5, count))
    anomalies = rng.integers(0, 3, count)
    canary = rng.random(count) < 0.5
    odds = base + slope * (0.6 * (np.log1p(lines) - 4) + 0.7 * anomalies - 0.8 * canary)
    failed = rng.random(count) < 1 / (1 + np.exp(-odds))
    return [
        {
            "at": START + timedelta(hours=row),
            "lines_changed": float(lines[row]),
            "active_anomalies": int(anomalies[row]),
            "strategy": "canary" if canary[row] else "rolling",
            "failed": bool(failed[row]),
        }
        for row in range(count)
    ]


@pytest.fixture(scope="module")
def learnt() -> RiskModel:
    return fit_risk(deployments(1500))


@pytest.fixture(scope="module")
def curved() -> tuple[RiskModel, list[dict[str, Any]]]:
    """Fails where exactly one of two features is large, which no straight line can tell."""
    rng = np.random.default_rng(4)
    a, b = rng.random((2, 4000))
    failed = rng.random(4000) < np.where((a > 0.5) ^ (b > 0.5), 0.5, 0.05)
    rows = [
        {"at": START + timedelta(hours=i), "a": float(a[i]), "b": float(b[i]), "failed": bool(failed[i])}
        for i in range(4000)
    ]
    return fit_risk(rows[:3000], features=("a", "b")), rows[3000:]


def test_too_small_a_history_gives_the_prior_and_says_what_is_missing() -> None:
    model = fit_risk(deployments(100))
    assert model.basis.startswith("prior (100 deployments with ")
    assert "learning needs 50 failures and 50 successes" in model.basis
    assert PRIOR.assess({}).probability == pytest.approx(0.15)


def test_the_priors_base_rate_moves_with_what_was_seen() -> None:
    calm = fit_risk([{**row, "failed": False} for row in deployments(200)])
    assert calm.assess({}).probability < 0.03
    assert fit_risk([{**row, "failed": True} for row in deployments(30)]).assess({}).probability > 0.5


def test_a_large_enough_history_is_learnt_from(learnt: RiskModel) -> None:
    assert learnt.basis.startswith("learnt from 1500 deployments, ")
    later = deployments(1500, seed=2)
    said, came = learnt.probabilities(later), np.array([row["failed"] for row in later])
    for part in np.array_split(np.argsort(said), 5):
        assert said[part].mean() == pytest.approx(came[part].mean(), abs=0.06)


def test_rows_without_an_outcome_teach_nothing_and_the_order_of_rows_does_not_matter(learnt: RiskModel) -> None:
    rows = deployments(1500)
    again = fit_risk([*reversed(rows), {**rows[0], "failed": None}])
    np.testing.assert_allclose(again.probabilities(rows[:50]), learnt.probabilities(rows[:50]))


def test_what_did_not_hold_for_the_newest_deployments_is_not_used() -> None:
    turned = deployments(1200, base=-1) + deployments(600, slope=-1, base=-1)
    rows = [{**row, "at": START + timedelta(hours=place)} for place, row in enumerate(turned)]
    assert "did not hold for the newest fifth" in fit_risk(rows).basis


def test_the_largest_reason_comes_first_and_is_told_in_words(learnt: RiskModel) -> None:
    for model in (PRIOR, learnt):
        told = model.assess({"lines_changed": 60_000, "active_anomalies": 1, "strategy": "canary"}).contributions
        assert told[0].feature == "lines_changed"
        assert told[0].words.startswith("lines_changed 6e+04 (usually ")
        assert "raises the odds of failure" in told[0].words
        sizes = [abs(entry.log_odds) for entry in told]
        assert sizes == sorted(sizes, reverse=True)


def test_what_is_not_known_is_named(learnt: RiskModel) -> None:
    assert learnt.assess({"lines_changed": 10}).unknown == ("active_anomalies", "off_hours", "strategy")
    assert set(PRIOR.assess({}).unknown) == set(FEATURES)


def test_curves_and_interactions_are_learnt_from_many_failures(
    curved: tuple[RiskModel, list[dict[str, Any]]],
) -> None:
    model, later = curved
    said = model.probabilities(later)
    odd = np.array([(row["a"] > 0.5) != (row["b"] > 0.5) for row in later])
    assert said[odd].mean() == pytest.approx(0.5, abs=0.08)
    assert said[~odd].mean() == pytest.approx(0.05, abs=0.05)


def test_a_model_read_back_from_json_says_the_same(
    learnt: RiskModel, curved: tuple[RiskModel, list[dict[str, Any]]]
) -> None:
    for model, rows in ((learnt, deployments(20, seed=9)), (PRIOR, deployments(20, seed=9)), curved):
        again = RiskModel.from_json(model.to_json())
        assert again.basis == model.basis
        assert again.probabilities(rows).tolist() == model.probabilities(rows).tolist()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 99}'])
def test_a_text_that_is_no_model_is_refused(text: str) -> None:
    with pytest.raises(RiskError, match="risk model"):
        RiskModel.from_json(text)


@settings(max_examples=50, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "lines_changed": st.integers(0, 10**7),
            "files_changed": st.integers(0, 10**5),
            "recent_failure_rate": st.floats(0, 1),
            "budget_remaining": st.floats(-100, 1),
            "active_anomalies": st.integers(0, 1000),
            "strategy": st.sampled_from(["canary", "blue_green", "rolling", "recreate"]),
        },
    ),
    st.sampled_from([("lines_changed", 1), ("active_anomalies", 1), ("budget_remaining", -1)]),
)
def test_the_prior_is_a_probability_and_worse_facts_never_lower_it(
    features: dict[str, Any], worse: tuple[str, int]
) -> None:
    name, step = worse
    before = PRIOR.assess(features)
    after = PRIOR.assess({**features, name: features.get(name, {"budget_remaining": 1}.get(name, 0)) + step})
    assert 0 < before.probability < 1
    if name in features:
        assert after.probability >= before.probability - 1e-12
    assert before.by_strategy["canary"] < before.by_strategy["rolling"] < before.by_strategy["recreate"]


def test_the_advice_keeps_an_acceptable_plan_moves_to_a_more_careful_one_or_holds() -> None:
    small = {"lines_changed": 1, "files_changed": 1, "recent_failure_rate": 0.0, "budget_remaining": 1.0}
    kept = PRIOR.assess({**small, "strategy": "canary"})
    assert kept.strategy == "canary"
    assert PRIOR.assess({**small, "strategy": "recreate"}).strategy == "rolling"
    large = {"lines_changed": 5000, "files_changed": 200, "recent_failure_rate": 0.3, "strategy": "rolling"}
    moved = PRIOR.assess(large)
    assert moved.strategy == "canary"
    assert "instead of rolling" in moved.recommendation
    assert PRIOR.assess({**large, "active_anomalies": 4}).strategy == "hold"
    spent = PRIOR.assess({**small, "budget_remaining": 0.0})
    assert spent.strategy == "hold"
    assert "error budget is spent" in spent.recommendation


@pytest.mark.parametrize(
    "at, off",
    [
        (datetime(2024, 1, 3, 10, tzinfo=UTC), False),
        (datetime(2024, 1, 5, 14, 59, tzinfo=UTC), False),
        (datetime(2024, 1, 5, 15, tzinfo=UTC), True),
        (datetime(2024, 1, 6, 10, tzinfo=UTC), True),
        (datetime(2024, 1, 3, 18, tzinfo=UTC), True),
    ],
)
def test_the_hour_of_a_deployment_counts(at: datetime, off: bool) -> None:
    named = {entry.feature for entry in PRIOR.assess({"at": at}).contributions}
    assert ("off_hours" in named) is off


@pytest.mark.parametrize(
    "row, message",
    [
        ({"lines_changed": "many"}, "lines_changed must be a finite number"),
        ({"budget_remaining": float("nan")}, "budget_remaining must be a finite number"),
        ({"strategy": "yolo"}, "strategy must be one of"),
    ],
)
def test_features_of_the_wrong_kind_are_named(row: dict[str, Any], message: str) -> None:
    with pytest.raises(RiskError, match=message):
        PRIOR.assess(row)
    with pytest.raises(RiskError, match=message):
        fit_risk([{**row, "at": START, "failed": True}])


def test_history_needs_aware_times_and_numbers_in_own_features() -> None:
    with pytest.raises(RiskError, match="'at' must be an aware time"):
        fit_risk([{"failed": True, "at": datetime(2024, 1, 1)}])
    with pytest.raises(RiskError, match="every deployment needs an aware time"):
        fit_risk([{"failed": True}])
    with pytest.raises(RiskError, match="size must be a number"):
        fit_risk([{"failed": True, "at": START, "size": [1]}], features=("size",))


@pytest.mark.skipif(not QT.exists(), reason="issta21_qt.csv is not beside the repository")
def test_real_commits_are_ranked_and_the_probabilities_beat_the_constant_rate() -> None:
    from sklearn.metrics import roc_auc_score

    names = ("nf", "la", "ld", "lt", "ndev", "nuc")
    with QT.open(encoding="utf-8", newline="") as file:
        rows = [
            {name: float(row[name]) for name in names}
            | {"at": datetime.fromtimestamp(int(row["date"]), UTC), "failed": row["bug"] == "1"}
            for row in itertools.islice(csv.DictReader(file), 4000)
        ]
    model = fit_risk(rows[:3000], features=names)
    came, said = np.array([row["failed"] for row in rows[3000:]]), model.probabilities(rows[3000:])
    assert roc_auc_score(came, said) > 0.7
    assert np.mean((said - came) ** 2) < 0.95 * np.mean((came.mean() - came) ** 2)
