"""Always-valid evidence that something got worse: mixture sequential probability ratio tests (mSPRT).

Belongs here: the running likelihood ratio over a history of counts or means. Does not: canaries, time, verdicts
(`canary_looks`).

A mixture ratio L_n = integral of prod f_theta(x_i) / f_0(x_i) dH(theta) has expectation at most 1 under the null at
every n, so P(sup_n L_n >= 1/alpha) <= alpha (Ville): it may be looked at after every observation.
p_n = min_{k<=n} 1/L_k is an always-valid p value (Robbins 1970; Johari, Pekelis and Walsh 2015, "Always valid
inference"; Johari, Koomen, Pekelis and Walsh 2017, "Peeking at A/B tests", KDD).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ODDS_RATIOS: Floats = np.geomspace(1.25, 12.0, 12)
"""The mixing distribution H of the count tests: odds of a bad event this many times higher, each equally likely."""

MIN_OBSERVATIONS = 30
"""A mean is not tested before so many observations, because its variance is estimated."""


def evidence_over_limit(bad: npt.ArrayLike, total: npt.ArrayLike, limit: float) -> Floats:
    """Log evidence after each look that the share of bad events is above `limit`.

    `bad` and `total` are the counts of each look, time on the last axis. With p_k the share whose odds are theta_k
    times those of the limit p_0 and cumulative counts B and N:
    log L = log mean_k exp(B log(p_k/p_0) + (N - B) log((1-p_k)/(1-p_0))).
    Exact for independent events: each ratio is a supermartingale for any share up to the limit, even one that changes
    from look to look. A limit of 0 is refuted by one bad event.
    """
    failures = np.cumsum(np.asarray(bad, dtype=np.float64), axis=-1)
    events = np.cumsum(np.asarray(total, dtype=np.float64), axis=-1)
    if limit == 0:
        return np.where(failures > 0, np.inf, 0.0)
    odds = ODDS_RATIOS * limit / (1 - limit)
    shares = odds / (1 + odds)
    per_bad, per_good = np.log(shares / limit), np.log((1 - shares) / (1 - limit))
    return _log_mean_exp(failures[..., None] * per_bad + (events - failures)[..., None] * per_good)


def evidence_over_baseline(
    bad: npt.ArrayLike, total: npt.ArrayLike, base_bad: npt.ArrayLike, base_total: npt.ArrayLike
) -> Floats:
    """Log evidence after each look that the canary's share of bad events is above its baseline's.

    Conditional test: given the m bad events of a look, those of the canary are Binomial(m, w) under equal shares,
    w = n_canary / (n_canary + n_baseline), and Binomial(m, w t / (1 - w + w t)) where its odds are t times higher.
    log L = log mean_k exp(sum_looks s log t_k - m log(1 - w + w t_k)). The baseline's share is never estimated, and
    both may drift together from look to look. The exact conditional law is hypergeometric, which the binomial
    dominates in convex order (Hoeffding 1963), so the bound holds at any share. Looks without traffic on one side say
    nothing.
    """
    counts = (np.asarray(part, dtype=np.float64) for part in (bad, total, base_bad, base_total))
    failures, events, base_failures, base_events = np.broadcast_arrays(*counts)
    told = (events > 0) & (base_events > 0)
    weight = np.divide(events, events + base_events, out=np.zeros(told.shape), where=told)[..., None]
    both = np.where(told, failures + base_failures, 0.0)[..., None]
    own = np.where(told, failures, 0.0)[..., None]
    terms = own * np.log(ODDS_RATIOS) - both * np.log1p(weight * (ODDS_RATIOS - 1))
    return _log_mean_exp(np.cumsum(terms, axis=-2))


def evidence_over_mean(
    count: npt.ArrayLike, mean: npt.ArrayLike, variance: npt.ArrayLike, target: npt.ArrayLike, scale: float
) -> Floats:
    """Log evidence after each look that a cumulative mean is above `target`.

    `count`, `mean` and `variance` (of the mean, that is s^2 / n) are cumulative after each look. Johari's normal
    mixture, one-sided: with z = mean - target, V = variance and H half-normal with deviation `scale`,
    L = 2 Phi(z t / sqrt(V (V + t^2))) sqrt(V / (V + t^2)) exp(t^2 z^2 / (2 V (V + t^2))), t = scale. Asymptotic,
    because the variance is estimated: no evidence before MIN_OBSERVATIONS.
    """
    from scipy.special import log_ndtr

    observations = np.asarray(count, dtype=np.float64)
    own = np.asarray(variance, dtype=np.float64)
    above = np.asarray(mean, dtype=np.float64) - np.asarray(target, dtype=np.float64)
    known = (observations >= MIN_OBSERVATIONS) & (own > 0)
    v = np.where(known, own, 1.0)
    wide = v + scale**2
    log_ratio = math.log(2) + log_ndtr(above * scale / np.sqrt(v * wide))
    log_ratio = log_ratio + 0.5 * np.log(v / wide) + scale**2 * above**2 / (2 * v * wide)
    result: Floats = np.where(known, log_ratio, 0.0)
    return result


def always_valid_p(log_evidence: Floats) -> Floats:
    """p value after each look: the smallest 1 / evidence so far, at most 1. It never rises again."""
    best = np.maximum.accumulate(np.maximum(log_evidence, 0.0), axis=-1)
    p_value: Floats = np.exp(-best)
    return p_value


def _log_mean_exp(values: Floats) -> Floats:
    top = values.max(axis=-1, keepdims=True)
    result: Floats = (top + np.log(np.exp(values - top).mean(axis=-1, keepdims=True)))[..., 0]
    return result
