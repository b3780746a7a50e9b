"""Judging one metric of a canary against its baseline, with the semantics of Kayenta's judge.

Belongs here: cleaning two samples, the Mann-Whitney test, effect sizes and the class of one metric.
Does not: the score over many metrics (`canary_score`), and judging while data still comes (`canary_looks`):
this test has a fixed sample, so looking at it again and again raises false alarms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cogniforge_pipeline.errors import CogniforgeError

Floats = npt.NDArray[np.float64]

MAX_PAIRS = 16_000_000
DIRECTIONS = ("increase", "decrease", "either")
EFFECTS = {"mean_ratio": 1.0, "cles": 0.5}


class CanaryError(CogniforgeError):
    """A canary cannot be judged as it was given."""


@dataclass(frozen=True)
class Shift:
    """How far the experiment lies above the control, in the metric's unit.

    `low` and `high` bound the shift at the asked confidence, `estimate` is Hodges and Lehmann's. `reached` is false
    where the samples are so small that no data could reach that confidence: the interval is then the whole range.
    """

    estimate: float
    low: float
    high: float
    p_value: float
    reached: bool


@dataclass(frozen=True)
class MetricJudgement:
    """The class of one metric and the figures behind it.

    `classification` is pass, high, low or nodata. `critical` says that this result fails the whole canary.
    `deviation` is mean(experiment) / mean(control), NaN unless both means are positive; `effect_size` is the chosen
    measure. Counts are taken after NaN and outlier handling. `shift` is None where no test was needed.
    """

    classification: str
    critical: bool
    reason: str
    deviation: float
    effect_size: float
    control_count: int
    experiment_count: int
    control_mean: float
    experiment_mean: float
    shift: Shift | None


def judge_metric(
    control: Iterable[float | None],
    experiment: Iterable[float | None],
    *,
    direction: str = "either",
    tolerance: float = 0.25,
    confidence: float = 0.98,
    effect_size_measure: str = "mean_ratio",
    effect_size_thresholds: tuple[float, float] | None = None,
    critical_thresholds: tuple[float, float] | None = None,
    nan_strategy: str = "remove",
    is_critical: bool = False,
    outlier_factor: float | None = 3.0,
) -> MetricJudgement:
    """Say whether the experiment is High, Low or Pass beside its control, or has no data.

    High: the shift's interval lies above `tolerance` * |estimate| and the effect size is at least the second of
    `effect_size_thresholds`; Low mirrors it with the first. `direction` says which of the two matters. An undefined
    effect size (NaN) leaves the decision to the interval. The result is critical if `is_critical` and the effect also
    passes `critical_thresholds`, or if there is no data. Thresholds are (decrease, increase), by default (1, 1) for
    mean_ratio and (0.5, 0.5) for cles (the share of pairs in which the experiment is larger).

    `nan_strategy` remove drops NaN and None; replace makes them 0, and an absent side becomes zeros beside a present
    one. Two absent sides are nodata with either strategy. Values outside [min(P1, Q1 - f IQR), max(P99, Q3 + f IQR)]
    with f = `outlier_factor` are removed; None keeps all. Raises CanaryError for an unknown option or infinite values.
    Source of the rules: the documentation of Spinnaker's NetflixACAJudge.
    """
    direction = _choice("direction", direction, DIRECTIONS)
    measure = _choice("effect_size_measure", effect_size_measure, tuple(EFFECTS))
    strategy = _choice("nan_strategy", nan_strategy, ("remove", "replace"))
    if not 0 < confidence < 1 or not tolerance >= 0:
        raise CanaryError(
            f"confidence must lie between 0 and 1 and tolerance be at least 0, not {confidence} and {tolerance}"
        )
    neutral = EFFECTS[measure]
    allowed = _pair("effect_size_thresholds", effect_size_thresholds, neutral)
    critical_at = _pair("critical_thresholds", critical_thresholds, neutral)
    base, canary = clean(control, experiment, strategy, outlier_factor)

    def result(
        kind: str, critical: bool, reason: str, effect: float = neutral, shift: Shift | None = None
    ) -> MetricJudgement:
        base_mean, canary_mean = (float(side.mean()) if side.size else math.nan for side in (base, canary))
        deviation = mean_ratio(base, canary) if shift else (math.nan if kind == "nodata" else 1.0)
        return MetricJudgement(
            kind, critical, reason, deviation, effect, base.size, canary.size, base_mean, canary_mean, shift
        )

    if not base.size or not canary.size:
        absent = [name for name, side in (("control", base), ("experiment", canary)) if not side.size]
        return result("nodata", is_critical, f"no data in {' and '.join(absent)}", math.nan)
    if np.array_equal(np.sort(base), np.sort(canary)) or np.ptp(np.concatenate([base, canary])) == 0:
        return result("pass", False, "control and experiment hold the same values")

    shift = shift_interval(base, canary, confidence)
    effect = mean_ratio(base, canary) if measure == "mean_ratio" else cles(base, canary)
    bound = tolerance * abs(shift.estimate)
    high = shift.low > bound and (math.isnan(effect) or effect >= allowed[1])
    low = shift.high < -bound and (math.isnan(effect) or effect <= allowed[0])
    figures = (
        f"shift {shift.estimate:.4g} with {confidence:.0%} interval [{shift.low:.4g}, {shift.high:.4g}], "
        f"tolerance {bound:.4g}, {measure} {effect:.4g}, {base.size} and {canary.size} points"
    )
    if not shift.reached:
        figures += f"; so few points cannot reach {confidence:.0%} confidence, the interval is only their range"
    if high and direction in ("increase", "either"):
        critical = is_critical and (math.isnan(effect) or effect >= critical_at[1])
        return result("high", critical, f"experiment is higher than control: {figures}", effect, shift)
    if low and direction in ("decrease", "either"):
        critical = is_critical and (math.isnan(effect) or effect <= critical_at[0])
        return result("low", critical, f"experiment is lower than control: {figures}", effect, shift)
    if high or low:
        return result("pass", False, f"differs only in the direction that is not watched: {figures}", effect, shift)
    return result("pass", False, f"no difference beyond the tolerance: {figures}", effect, shift)


def shift_interval(control: Floats, experiment: Floats, confidence: float) -> Shift:
    """Confidence interval of the shift by inverting the Mann-Whitney test, as R's wilcox.test(exact=FALSE).

    Between two neighbouring pairwise differences the statistic and its tie-corrected deviation are constant, so the
    inversion has a closed form: the k-th smallest and largest of the n*m differences with
    k = ceil(n m / 2 - 1/2 - z sigma). The estimate is their median (Hodges and Lehmann 1963). The p value is
    two-sided with continuity correction. Raises CanaryError above 16 million pairs.
    """
    from scipy.stats import mannwhitneyu, norm

    pairs = control.size * experiment.size
    if pairs > MAX_PAIRS:
        raise CanaryError(
            f"{control.size} and {experiment.size} points give {pairs} pairs, at most {MAX_PAIRS} are compared",
            hint="aggregate the samples first, for example to one point for each minute",
        )
    count = control.size + experiment.size
    ties = sum(_tie_term(side) for side in (control, experiment))
    sigma = math.sqrt(pairs / 12 * (count + 1 - ties / (count * (count - 1))))
    rank = math.ceil(pairs / 2 - 0.5 - float(norm.ppf(0.5 + confidence / 2)) * sigma)
    place = max(rank, 1) - 1
    differences = np.subtract.outer(experiment, control).ravel()
    middle = (pairs - 1) // 2, pairs // 2
    differences.partition(sorted({place, pairs - 1 - place, *middle}))
    p_value = mannwhitneyu(experiment, control, method="asymptotic", use_continuity=True).pvalue
    estimate = (differences[middle[0]] + differences[middle[1]]) / 2
    return Shift(
        float(estimate), float(differences[place]), float(differences[pairs - 1 - place]), float(p_value), rank >= 1
    )


def mean_ratio(control: Floats, experiment: Floats) -> float:
    """mean(experiment) / mean(control); NaN unless both are positive, as the ratio has no meaning there."""
    base, canary = float(control.mean()), float(experiment.mean())
    return canary / base if base > 0 and canary > 0 else math.nan


def cles(control: Floats, experiment: Floats) -> float:
    """Common language effect size: the share of pairs in which the experiment is larger, ties counting a half.

    McGraw and Wong 1992, in the form of Vargha and Delaney 2000.
    """
    ordered = np.sort(control)
    below = np.searchsorted(ordered, experiment, "left") + np.searchsorted(ordered, experiment, "right")
    return float(below.mean() / 2 / control.size)


def clean(
    control: Iterable[float | None], experiment: Iterable[float | None], nan_strategy: str, outlier_factor: float | None
) -> tuple[Floats, Floats]:
    """Both samples as arrays without NaN and outliers, in the given order."""
    sides = [_floats("control", control), _floats("experiment", experiment)]
    if nan_strategy == "replace":
        longest = max(side.size for side in sides)
        sides = [np.nan_to_num(side, nan=0.0) if side.size else np.zeros(longest) for side in sides]
    else:
        sides = [side[~np.isnan(side)] for side in sides]
    if outlier_factor is not None:
        if not outlier_factor > 0:
            raise CanaryError(f"outlier_factor must be positive or None, not {outlier_factor}")
        sides = [_without_outliers(side, outlier_factor) for side in sides]
    return sides[0], sides[1]


def _without_outliers(values: Floats, factor: float) -> Floats:
    if not values.size:
        return values
    first, low, high, last = np.percentile(values, [1, 25, 75, 99], method="weibull")
    fence = factor * (high - low)
    kept: Floats = values[(values >= min(first, low - fence)) & (values <= max(last, high + fence))]
    return kept


def _tie_term(values: Floats) -> float:
    counts = np.unique(values, return_counts=True)[1].astype(float)
    return float((counts**3 - counts).sum())


def _floats(name: str, values: Iterable[Any]) -> Floats:
    try:
        array = np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise CanaryError(f"{name} must be numbers: {error}", hint="use None or NaN where a value is missing") from None
    if np.isinf(array).any():
        raise CanaryError(f"{name} holds an infinite value", hint="use None or NaN where a value is missing")
    return array


def _choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    found = {choice.replace("_", ""): choice for choice in choices}.get(value.lower().replace("_", ""))
    if found is None:
        raise CanaryError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    return found


def _pair(name: str, value: tuple[float, float] | None, neutral: float) -> tuple[float, float]:
    if value is None:
        return neutral, neutral
    if len(value) != 2 or not all(math.isfinite(bound) for bound in value):
        raise CanaryError(f"{name} must be two numbers (decrease, increase), not {value!r}")
    return float(value[0]), float(value[1])
