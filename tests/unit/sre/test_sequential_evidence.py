"""The running likelihood ratios: exact expectation under the null, direction, and looks that say nothing."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from cogniforge_pipeline.sre.sequential import (
    always_valid_p,
    evidence_over_baseline,
    evidence_over_limit,
    evidence_over_mean,
)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.floats(0.001, 0.6), st.floats(0.0, 1.0))
def test_the_expected_ratio_is_one_at_the_limit_and_at_most_one_below_it(
    total: int, limit: float, below: float
) -> None:
    bad = np.arange(total + 1)
    ratio = np.exp(evidence_over_limit(bad[:, None], np.full((total + 1, 1), total), limit)[:, 0])
    assert np.isclose(binom.pmf(bad, total, limit) @ ratio, 1)
    assert binom.pmf(bad, total, limit * below) @ ratio <= 1 + 1e-9


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 25), st.integers(1, 25), st.floats(0.01, 0.9))
def test_the_expected_ratio_beside_a_baseline_is_at_most_one_at_any_common_share(n: int, m: int, share: float) -> None:
    own, base = (grid.ravel() for grid in np.meshgrid(np.arange(n + 1), np.arange(m + 1), indexing="ij"))
    columns = (own, np.full_like(own, n), base, np.full_like(base, m))
    ratio = np.exp(evidence_over_baseline(*(column[:, None] for column in columns))[:, 0])
    chance = binom.pmf(own, n, share) * binom.pmf(base, m, share)
    assert chance @ ratio <= 1 + 1e-9


def test_looks_without_traffic_on_one_side_add_nothing() -> None:
    with_gap = evidence_over_baseline([3, 5, 2], [50, 50, 50], [1, 0, 1], [50, 0, 50])
    without = evidence_over_baseline([3, 2], [50, 50], [1, 1], [50, 50])
    np.testing.assert_allclose(with_gap[[0, 2]], without)
    assert with_gap[1] == with_gap[0]


def test_evidence_of_several_histories_at_once_equals_that_of_each() -> None:
    rng = np.random.default_rng(1)
    total = rng.integers(1, 100, (4, 10))
    bad = rng.binomial(total, 0.05)
    together = evidence_over_limit(bad, total, 0.02)
    for row in range(4):
        np.testing.assert_allclose(together[row], evidence_over_limit(bad[row], total[row], 0.02))


def test_the_p_value_never_rises() -> None:
    p_values = always_valid_p(np.array([-3.0, 1.0, 0.5, 2.0, -9.0]))
    np.testing.assert_allclose(p_values, np.exp([0, -1, -1, -2, -2]))


def test_a_mean_says_nothing_before_its_variance_is_known_and_more_the_farther_it_lies_above() -> None:
    few = evidence_over_mean([10, 29], [9.0, 9.0], [0.01, 0.01], 1.0, 0.25)
    assert few.tolist() == [0.0, 0.0]
    assert evidence_over_mean([100], [2.0], [0.0], 1.0, 0.25).tolist() == [0.0]
    evidence = evidence_over_mean([100] * 4, [0.8, 1.0, 1.2, 1.5], [0.01] * 4, 1.0, 0.25)
    assert evidence[0] < evidence[1] < 0 < evidence[2] < evidence[3]
