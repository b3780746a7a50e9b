"""The evidence about one criterion of a running canary, from all of its looks.

Belongs here: the kinds of values, what keeps and what breaks a criterion, in figures and words. Does not: the formulas
(`sequential`), time limits and the verdict over all criteria (`canary_looks`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from cogniforge_pipeline.sre import sequential
from cogniforge_pipeline.sre.canary import CanaryError

BASELINE_MIN_EVENTS = 300
PRIOR_SHIFT = 0.25


@dataclass(frozen=True)
class Counts:
    """Bad events among all events of one look, and the same of the baseline where there is one."""

    bad: int
    total: int
    baseline_bad: int | None = None
    baseline_total: int | None = None


@dataclass(frozen=True)
class Means:
    """Mean and sample variance of `count` observations of one look, and the same of the baseline where there is one."""

    count: int
    mean: float
    variance: float
    baseline_count: int | None = None
    baseline_mean: float | None = None
    baseline_variance: float | None = None


Observed = float | Counts | Means | None


@dataclass(frozen=True)
class Criterion:
    """What a metric must keep to.

    `limit` is its upper limit, or its lower one for bare numbers with `at_least`; None compares with the baseline
    instead, to which the canary must come within `tolerance` (a share of the baseline, and one event) to be promoted.
    `failure_limit` is how many bare numbers may break the limit. `min_events` is the traffic needed to promote: by
    default 3 / limit events, since with fewer even none bad does not show a share below the limit at 95 % (the rule of
    three, Hanley and Lippman-Hand 1983); 300 on either side beside a baseline; 30 observations for means.
    """

    limit: float | None = None
    at_least: bool = False
    failure_limit: int = 0
    tolerance: float = 0.25
    min_events: int | None = None


@dataclass(frozen=True)
class Evidence:
    """What is known of one criterion: `kept` (fit to promote), `broken_at` (the look that broke it) and why.

    `estimate` is the share, mean or newest value, `target` the limit or the baseline's, `events` the events, or the
    looks of bare numbers; `p_value` is always valid, None for bare numbers.
    """

    name: str
    kept: bool
    broken_at: datetime | None
    reason: str
    estimate: float | None
    target: float | None
    events: int
    p_value: float | None


def weigh(name: str, rule: Criterion, values: Sequence[tuple[datetime, Observed]], alpha: float) -> Evidence:
    """Weigh all values of one criterion, in the order of time, at the level `alpha`."""
    present = [(at, value) for at, value in values if has_data(value)]
    kinds = {type(value) if isinstance(value, (Counts, Means)) else float for _, value in present}
    if len(kinds) > 1:
        raise CanaryError(f"{name}: looks mix bare numbers, Counts and Means", hint="give one kind for each criterion")
    if not present:
        return Evidence(name, False, None, f"{name}: no data", None, rule.limit, 0, None)
    times = [at for at, _ in present]
    counts = [value for _, value in present if isinstance(value, Counts)]
    means = [value for _, value in present if isinstance(value, Means)]
    if rule.at_least and (counts or means):
        raise CanaryError(f"{name}: at_least is for bare numbers only", hint="count the bad events instead")
    if counts:
        return _weigh_counts(name, rule, times, counts, alpha)
    if means:
        return _weigh_means(name, rule, times, means, alpha)
    return _weigh_numbers(name, rule, times, [float(value) for _, value in present if isinstance(value, (int, float))])


def _weigh_counts(name: str, rule: Criterion, times: list[datetime], counts: list[Counts], alpha: float) -> Evidence:
    bad, total = (np.array([getattr(look, part) for look in counts]) for part in ("bad", "total"))
    events, share = int(total.sum()), float(bad.sum() / total.sum())
    if rule.limit is not None:
        if not 0 <= rule.limit < 1:
            raise CanaryError(f"{name}: a limit for counts is a share from 0 up to 1, not {rule.limit}")
        log_evidence = sequential.evidence_over_limit(bad, total, rule.limit)
        needed = rule.min_events or (math.ceil(3 / rule.limit) if rule.limit else BASELINE_MIN_EVENTS)
        target, accepted, enough = rule.limit, rule.limit, events >= needed
        words = f"{name}: {int(bad.sum())} bad of {events} ({share:.3%}), limit {rule.limit:.3%}"
    else:
        _needs_baseline(name, [look.baseline_bad is not None and look.baseline_total is not None for look in counts])
        base_bad = np.array([look.baseline_bad for look in counts], dtype=np.int64)
        base_total = np.array([look.baseline_total for look in counts], dtype=np.int64)
        log_evidence = sequential.evidence_over_baseline(bad, total, base_bad, base_total)
        base_events = int(base_total.sum())
        needed = rule.min_events or BASELINE_MIN_EVENTS
        target = float(base_bad.sum() / base_events) if base_events else math.nan
        accepted, enough = target * (1 + rule.tolerance) + 1 / events, min(events, base_events) >= needed
        words = (
            f"{name}: {int(bad.sum())} bad of {events} ({share:.3%}), "
            f"baseline {int(base_bad.sum())} of {base_events} ({target:.3%})"
        )
    missing = "" if enough else f"too few events to promote, {needed} are needed"
    return _decide(name, times, log_evidence, alpha, share, target, accepted, events, words, missing)


def _weigh_means(name: str, rule: Criterion, times: list[datetime], means: list[Means], alpha: float) -> Evidence:
    count, mean, variance = _pooled([(look.count, look.mean, look.variance) for look in means])
    if rule.limit is not None:
        target = np.full(len(means), rule.limit)
    else:
        based = [
            (look.baseline_count, look.baseline_mean, look.baseline_variance)
            for look in means
            if look.baseline_count and look.baseline_mean is not None and look.baseline_variance is not None
        ]
        _needs_baseline(name, [len(based) == len(means)])
        base_count, target, base_variance = _pooled([(int(n or 0), float(m or 0), float(v or 0)) for n, m, v in based])
        variance, count = variance + base_variance, np.minimum(count, base_count)
    scale = PRIOR_SHIFT * abs(float(target[0])) or math.sqrt(float(variance[0])) or 1.0
    log_evidence = sequential.evidence_over_mean(count, mean, variance, target, scale)
    last, events = float(mean[-1]), int(count[-1])
    needed = rule.min_events or sequential.MIN_OBSERVATIONS
    kind = "limit" if rule.limit is not None else "baseline"
    accepted = float(target[-1]) + (0.0 if rule.limit is not None else rule.tolerance * abs(float(target[-1])))
    words = f"{name}: mean {last:.4g} of {events}, {kind} {target[-1]:.4g}"
    missing = "" if events >= needed else f"too few observations to promote, {needed} are needed"
    return _decide(name, times, log_evidence, alpha, last, float(target[-1]), accepted, events, words, missing)


def _weigh_numbers(name: str, rule: Criterion, times: list[datetime], values: list[float]) -> Evidence:
    if rule.limit is None:
        raise CanaryError(f"{name}: bare numbers need a limit", hint="give Counts or Means to compare with a baseline")
    breaches = [value < rule.limit if rule.at_least else value > rule.limit for value in values]
    failures = sum(breaches)
    side = "at least" if rule.at_least else "at most"
    words = (
        f"{name}: {values[-1]:.4g} now, {side} {rule.limit:.4g} is wanted, {failures} of {len(values)} looks broke it"
    )
    figures = (values[-1], rule.limit, len(values), None)
    if failures > rule.failure_limit:
        at = [time for time, breach in zip(times, breaches, strict=True) if breach][rule.failure_limit]
        return Evidence(name, False, at, f"{words}, {rule.failure_limit} may", *figures)
    return Evidence(name, not breaches[-1], None, words, *figures)


def _decide(
    name: str,
    times: list[datetime],
    log_evidence: sequential.Floats,
    alpha: float,
    estimate: float,
    target: float,
    accepted: float,
    events: int,
    words: str,
    missing: str,
) -> Evidence:
    p_values = sequential.always_valid_p(log_evidence)
    p_value = float(p_values[-1])
    over = np.flatnonzero(p_values <= alpha)
    if over.size:
        reason = f"{words}; shown to be worse (always-valid p {p_value:.2g}, at most {alpha:.2g} rolls back)"
        return Evidence(name, False, times[int(over[0])], reason, estimate, target, events, p_value)
    if missing:
        reason = f"{words}; {missing}"
    elif estimate <= accepted:
        reason = f"{words}; kept (always-valid p {p_value:.2g})"
    else:
        reason = f"{words}; above {accepted:.4g} but not shown to be worse (always-valid p {p_value:.2g})"
    return Evidence(name, not missing and estimate <= accepted, None, reason, estimate, target, events, p_value)


def _pooled(looks: list[tuple[int, float, float]]) -> tuple[sequential.Floats, sequential.Floats, sequential.Floats]:
    """Cumulative count, mean and variance of the mean, pooling the variance within and between looks."""
    count, mean, variance = (np.array(column, dtype=np.float64) for column in zip(*looks, strict=True))
    centre = mean[0]
    events = np.cumsum(count)
    first = np.cumsum(count * (mean - centre)) / events
    second = np.cumsum((count - 1) * variance + count * (mean - centre) ** 2) - events * first**2
    return events, centre + first, np.maximum(second, 0.0) / np.maximum(events - 1, 1) / events


def has_data(value: Observed) -> bool:
    """Whether a value says anything: not None, not NaN, not zero events."""
    if isinstance(value, Counts):
        return value.total > 0
    if isinstance(value, Means):
        return value.count > 0
    return value is not None and not math.isnan(value)


def check_value(name: str, value: Observed) -> None:
    """Raise CanaryError for counts and means that cannot be."""
    if isinstance(value, Counts):
        sides = ((value.bad, value.total), (value.baseline_bad or 0, value.baseline_total or 0))
        if any(not 0 <= bad <= total for bad, total in sides):
            raise CanaryError(f"{name}: counts need 0 <= bad <= total, not {value}", hint="give counts of each look")
    elif isinstance(value, Means):
        figures = (value.mean, value.variance, value.baseline_mean or 0.0, value.baseline_variance or 0.0)
        if value.count < 0 or (value.count and (not all(map(math.isfinite, figures)) or value.variance < 0)):
            raise CanaryError(f"{name}: means need a count of at least 0 and finite figures, not {value}")
    elif value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or math.isinf(value)):
        raise CanaryError(f"{name}: a value is a finite number, Counts, Means or None, not {value!r}")


def _needs_baseline(name: str, present: list[bool]) -> None:
    if not all(present):
        raise CanaryError(f"{name}: no baseline in some look", hint="give the baseline's figures, or a limit instead")
