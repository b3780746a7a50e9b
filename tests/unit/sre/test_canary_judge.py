"""Judging a finished canary: Kayenta's cases, the interval by inversion, missing data, and the score."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from cogniforge_pipeline.sre.canary import CanaryError, clean, judge_metric, shift_interval
from cogniforge_pipeline.sre.canary_score import score_canary

SHARED = Path(__file__).parents[4] / "shared" / "data" / "sre"


def cases(name: str) -> list[Any]:
    path = SHARED / name
    if not path.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"{name} is not beside the repository"))]
    return [pytest.param(case, id=case["name"]) for case in json.loads(path.read_text())]


class Metric:
    def __init__(self, classification: str, critical: bool = False, reason: str = "why") -> None:
        self.classification, self.critical, self.reason = classification, critical, reason


@pytest.mark.parametrize("case", cases("canary_classifier.json"))
def test_kayentas_classifier_cases_get_the_same_class(case: dict[str, Any]) -> None:
    result = judge_metric(
        case["control"],
        case["experiment"],
        direction=case["direction"],
        tolerance=case["tolerance"],
        confidence=case["conf_level"],
        effect_size_measure=case["effect_size_measure"],
        effect_size_thresholds=case["effect_size_thresholds"],
        critical_thresholds=case["critical_thresholds"],
        nan_strategy=case["nan_strategy"],
        is_critical=case["is_critical"],
    )
    assert result.classification == case["expected"].lower()
    if case["expected_critical"] is not None:
        assert result.critical is case["expected_critical"]


@pytest.mark.parametrize("case", cases("canary_scorer.json"))
def test_kayentas_scorer_cases_get_the_same_score(case: dict[str, Any]) -> None:
    judged = [(Metric(m["classification"].lower(), m["critical"]), m["groups"]) for m in case["metrics"]]
    assert score_canary(judged, case["group_weights"]).score == case["summary_score"]


distinct = st.lists(st.integers(-500, 500), min_size=6, max_size=15, unique=True)


@settings(max_examples=60, deadline=None)
@given(distinct, distinct, st.sampled_from([0.8, 0.9, 0.95, 0.98]))
def test_the_interval_holds_exactly_the_shifts_that_the_test_does_not_reject(
    control: list[int], experiment: list[int], confidence: float
) -> None:
    base, canary = np.array(control, float), np.array(experiment, float)
    shift = shift_interval(base, canary, confidence)

    def p_value(assumed: float) -> float:
        return float(mannwhitneyu(canary - assumed, base, method="asymptotic", use_continuity=True).pvalue)

    if shift.reached:
        assert p_value(shift.low - 0.5) <= 1 - confidence + 1e-12
        assert p_value(shift.high + 0.5) <= 1 - confidence + 1e-12
    if shift.high - shift.low > 1:
        assert p_value(shift.low + 0.5) >= 1 - confidence - 1e-12
        assert p_value(shift.high - 0.5) >= 1 - confidence - 1e-12
    assert shift.low <= shift.estimate <= shift.high


@settings(max_examples=40, deadline=None)
@given(distinct, distinct)
def test_swapping_control_and_experiment_mirrors_the_verdict(control: list[int], experiment: list[int]) -> None:
    measured: dict[str, Any] = {"effect_size_measure": "cles", "tolerance": 0.1, "confidence": 0.9}
    one, other = judge_metric(control, experiment, **measured), judge_metric(experiment, control, **measured)
    assert {"high": "low", "low": "high"}.get(one.classification, one.classification) == other.classification


def test_no_data_is_never_a_pass() -> None:
    for strategy in ("remove", "replace"):
        for empty in ([], [] if strategy == "replace" else [math.nan, None]):
            result = judge_metric(empty, empty, nan_strategy=strategy, is_critical=True)
            assert (result.classification, result.critical) == ("nodata", True)
    assert judge_metric([1, 2, 3], [math.nan], nan_strategy="remove").reason == "no data in experiment"


def test_missing_errors_count_as_zero_when_replaced() -> None:
    errors = [3, 4, 5, 6, 7, 8]
    result = judge_metric([None] * 6, errors, nan_strategy="replace", direction="increase", is_critical=True)
    assert (result.classification, result.critical) == ("high", True)
    assert math.isnan(result.deviation)
    assert judge_metric([], errors, nan_strategy="replace").classification == "high"
    assert judge_metric([None] * 6, [0] * 6, nan_strategy="replace").classification == "pass"


def test_constant_samples_that_differ_are_told_apart() -> None:
    assert judge_metric([5.0] * 8, [9.0] * 8).classification == "high"
    assert judge_metric([5.0] * 8, [5.0] * 3).classification == "pass"


def test_small_error_rates_keep_their_precision() -> None:
    rng = np.random.default_rng(3)
    control, experiment = rng.normal(2e-5, 1e-6, 40), rng.normal(4e-5, 1e-6, 40)
    result = judge_metric(control, experiment)
    assert result.classification == "high"
    assert result.shift is not None
    assert result.shift.estimate == pytest.approx(2e-5, rel=0.05)


def test_the_reason_warns_where_so_few_points_cannot_reach_the_confidence() -> None:
    result = judge_metric([1, 2, 3], [7, 8, 9])
    assert result.shift is not None
    assert not result.shift.reached
    assert "cannot reach 98% confidence" in result.reason
    five = judge_metric([1, 2, 3, 4, 5], [7, 8, 9, 10, 11]).shift
    assert five is not None and five.reached


def test_an_outlier_is_removed_only_where_there_are_enough_points_to_call_it_one() -> None:
    many = [*np.linspace(1, 2, 300), 1000.0]
    assert clean(many, [1.0], "remove", 3.0)[0].max() <= 2
    assert clean(many, [1.0], "remove", None)[0].max() == 1000
    assert clean([1.0, 2.0, 3.0, 1000.0], [1.0], "remove", 3.0)[0].size == 4


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"direction": "up"}, "direction must be one of increase, decrease, either"),
        ({"effect_size_measure": "d"}, "effect_size_measure must be one of"),
        ({"nan_strategy": "keep"}, "nan_strategy must be one of"),
        ({"confidence": 1.0}, "confidence must lie between 0 and 1"),
        ({"effect_size_thresholds": (1.0,)}, "two numbers"),
        ({"outlier_factor": 0.0}, "outlier_factor must be positive"),
    ],
)
def test_a_wrong_option_is_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(CanaryError, match=message):
        judge_metric([1.0, 2.0], [3.0, 4.0], **wrong)


def test_values_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(CanaryError, match="experiment holds an infinite value"):
        judge_metric([1.0], [math.inf])
    with pytest.raises(CanaryError, match="control must be numbers"):
        judge_metric(["fast"], [1.0])  # type: ignore[list-item]


def test_one_critical_failure_or_half_without_data_scores_zero() -> None:
    fine = [(Metric("pass"), ["errors"])] * 9
    critical = score_canary([*fine, (Metric("high", critical=True, reason="p99 is higher"), ["latency"])])
    assert (critical.score, critical.classification) == (0.0, "fail")
    assert "p99 is higher" in critical.reason
    absent = score_canary([(Metric("pass"), ["errors"]), (Metric("nodata"), ["latency"])])
    assert (absent.score, absent.groups) == (0.0, {"errors": 100.0, "latency": None})
    assert score_canary([]).classification == "fail"


def test_weights_count_and_groups_without_one_share_the_rest() -> None:
    judged = [(Metric("high"), ["errors"]), (Metric("pass"), ["latency"]), (Metric("pass"), ["cpu"])]
    assert score_canary(judged, {"errors": 50}).score == 50
    assert score_canary(judged, {"errors": 20}).classification == "marginal"
    assert score_canary(judged, {"errors": 5}).classification == "pass"


@pytest.mark.parametrize("weights", [{"errors": 101}, {"errors": -1}, {"errors": 40, "latency": 40}, {"typo": 10}])
def test_weights_that_cannot_reach_a_hundred_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(CanaryError, match="weights"):
        score_canary([(Metric("pass"), ["errors"]), (Metric("pass"), ["latency"])], weights)
