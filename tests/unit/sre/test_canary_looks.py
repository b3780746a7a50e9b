"""Judging a canary while it runs: false alarms, power, missing data, and when it may be promoted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.canary_aa import CRITERIA, HEALTHY, simulate, verdicts
from cogniforge_pipeline.sre.canary import CanaryError
from cogniforge_pipeline.sre.canary_evidence import Counts, Criterion, Means, Observed
from cogniforge_pipeline.sre.canary_looks import Look, Verdict, judge_canary

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
ARGO = Path(__file__).parents[4] / "shared" / "data" / "sre" / "argo_assess_metric.json"


def minutes(values: list[Observed], first: int = 1, name: str = "m") -> list[Look]:
    return [Look(START + timedelta(minutes=first + at), {name: value}) for at, value in enumerate(values)]


def judge(looks: list[Look], criterion: float | Criterion, at: int | None = None, **more: Any) -> Verdict:
    as_of = START + timedelta(minutes=at) if at is not None else None
    return judge_canary(looks, {"m": criterion}, **({"started": START, "duration": HALF_HOUR, "as_of": as_of} | more))


@pytest.mark.parametrize("mode", list(CRITERIA))
def test_at_most_one_in_twenty_good_canaries_is_rolled_back_although_looked_at_every_minute(mode: str) -> None:
    for per_minute in (20, 200):
        actions = [a for a, _ in verdicts(simulate(HEALTHY, per_minute, 200, seed=per_minute), CRITERIA[mode])]
        assert actions.count("rollback") <= 10


@pytest.mark.parametrize("mode", list(CRITERIA))
def test_three_percent_errors_instead_of_one_are_found_in_minutes(mode: str) -> None:
    found = list(verdicts(simulate(0.03, 200, 50, seed=7), CRITERIA[mode]))
    assert {action for action, _ in found} == {"rollback"}
    assert np.median([minute for _, minute in found if minute]) <= 6


def test_means_above_their_limit_are_found_and_means_at_it_are_not() -> None:
    rng = np.random.default_rng(5)

    def rolled_back(true_mean: float) -> int:
        total = 0
        for _ in range(120):
            samples = rng.exponential(true_mean, (30, 20))
            looks = minutes([Means(20, float(s.mean()), float(s.var(ddof=1))) for s in samples])
            total += judge(looks, 100.0, at=30).action == "rollback"
        return total

    assert rolled_back(100) <= 6
    assert rolled_back(150) >= 110


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), min_size=30, max_size=30), st.integers(1, 29))
def test_a_rollback_is_final_and_names_the_same_minute_at_every_later_look(
    counts: list[tuple[int, int]], at: int
) -> None:
    looks = minutes([Counts(min(bad, total), total) for bad, total in counts])
    early, late = judge(looks, 0.01, at=at), judge(looks, 0.01, at=30)
    if early.action == "rollback":
        assert (late.action, late.decided_at) == ("rollback", early.decided_at)
    elif late.action == "rollback":
        assert late.decided_at is not None and late.decided_at > START + timedelta(minutes=at)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(st.none(), st.just(float("nan")), st.just(Counts(0, 0)), st.just(Means(0, 0.0, 0.0))), max_size=30
    ),
    st.integers(0, 90),
)
def test_looks_without_data_never_promote(values: list[Observed], at: int) -> None:
    verdict = judge(minutes(values), 0.01, at=at)
    assert verdict.action == ("continue" if at <= 5 else "inconclusive")
    assert all(verdict.reasons)


def test_a_healthy_canary_continues_and_is_promoted_at_its_end_only() -> None:
    looks = minutes([Counts(0, 200)] * 30)
    assert judge(looks, 0.01, at=29).action == "continue"
    done = judge(looks, 0.01, at=30)
    assert (done.action, done.decided_at) == ("promote", START + HALF_HOUR)
    assert "0 bad of 6000 (0.000%), limit 1.000%" in done.reasons[0]
    assert judge(looks, 0.01, at=500) == done


def test_looks_after_the_end_do_not_change_the_verdict() -> None:
    looks = minutes([Counts(0, 200)] * 30)
    assert judge([*looks, *minutes([Counts(200, 200)] * 5, first=31)], 0.01, at=60).action == "promote"


def test_too_little_traffic_is_inconclusive_rather_than_promoted() -> None:
    few = judge(minutes([Counts(0, 9)] * 30), 0.01, at=30)
    assert few.action == "inconclusive"
    assert "300 are needed" in few.reasons[0]
    assert judge(minutes([Counts(0, 10)] * 30), 0.01, at=30).action == "promote"
    assert judge(minutes([Counts(0, 9)] * 30), Criterion(0.01, min_events=100), at=30).action == "promote"


def test_a_canary_seen_for_its_last_minutes_only_is_inconclusive() -> None:
    verdict = judge(minutes([Counts(0, 500)] * 5, first=26), 0.01, at=30)
    assert verdict.action == "inconclusive"
    assert "of the duration" in verdict.reasons[0]


def test_silence_pauses_the_canary_and_data_resume_it() -> None:
    looks = minutes([Counts(0, 200)] * 5)
    assert judge(looks, 0.01, at=10).action == "continue"
    silent = judge(looks, 0.01, at=11)
    assert (silent.action, silent.decided_at) == ("inconclusive", None)
    assert "no data for 6 minutes" in silent.reasons[0]
    assert judge([*looks, *minutes([Counts(0, 200)], first=12)], 0.01, at=12).action == "continue"


def test_a_share_above_its_limit_but_within_chance_is_not_decided_for_the_user() -> None:
    verdict = judge(minutes([Counts(2, 150)] + [Counts(1, 100)] * 29), 0.01, at=30)
    assert verdict.action == "inconclusive"
    assert "not shown to be worse" in verdict.reasons[0]


def test_one_error_rolls_back_where_none_is_allowed() -> None:
    verdict = judge(minutes([Counts(0, 50), Counts(1, 50)]), 0.0)
    assert (verdict.action, verdict.decided_at) == ("rollback", START + timedelta(minutes=2))


def test_bare_numbers_are_measurements_that_may_break_the_limit_as_often_as_allowed() -> None:
    success = {"error_rate": 0.01, "p99_latency_ms": 200}
    good = [Look(START + timedelta(minutes=m), {"error_rate": 0.005, "p99_latency_ms": 150}) for m in range(1, 31)]
    bad = [*good[:10], Look(good[10].at, {"error_rate": 0.005, "p99_latency_ms": 420}), *good[11:]]
    running = judge_canary(good[:1], success, started=START, duration=HALF_HOUR)
    assert running.action == "continue"
    assert judge_canary(good, success, started=START, duration=HALF_HOUR).action == "promote"
    worse = judge_canary(bad, success, started=START, duration=HALF_HOUR)
    assert (worse.action, worse.decided_at) == ("rollback", bad[10].at)
    assert worse.reasons == ("p99_latency_ms: 150 now, at most 200 is wanted, 1 of 30 looks broke it, 0 may",)
    forgiving = {"error_rate": 0.01, "p99_latency_ms": Criterion(200, failure_limit=1)}
    assert judge_canary(bad, forgiving, started=START, duration=HALF_HOUR).action == "promote"
    assert judge(minutes([0.98] * 3), Criterion(0.99, at_least=True)).action == "rollback"


def test_the_baseline_stops_a_rollback_for_what_hurts_both() -> None:
    both = [Counts(40, 200, 41, 200)] * 30
    assert judge(minutes(both), Criterion(), at=30).action == "promote"
    assert judge(minutes(both), 0.01, at=30).action == "rollback"
    alone = judge(minutes([Counts(40, 200, 2, 200)] * 30), Criterion(), at=30)
    assert (alone.action, alone.decided_at) == ("rollback", START + timedelta(minutes=1))


@pytest.mark.parametrize(
    "looks, criterion, message",
    [
        ([Look(datetime(2024, 5, 1, 12, 1), {"m": 1.0})], 1.0, "no time zone"),
        (minutes([1.0]) * 2, 1.0, "two looks at"),
        (minutes([Counts(3, 2)]), 0.1, "0 <= bad <= total"),
        (minutes([Counts(1, 2), 0.5]), 0.1, "mix bare numbers"),
        (minutes([Counts(1, 2)]), 1.5, "a share from 0 up to 1"),
        (minutes([Counts(1, 2)]), Criterion(), "no baseline"),
        (minutes([0.5]), Criterion(), "need a limit"),
        (minutes([float("inf")]), 1.0, "finite number"),
        (minutes([Counts(1, 2)]), Criterion(0.9, at_least=True), "bare numbers only"),
    ],
)
def test_impossible_input_is_named(looks: list[Look], criterion: float | Criterion, message: str) -> None:
    with pytest.raises(CanaryError, match=message):
        judge(looks, criterion)


def test_a_canary_without_criteria_is_refused() -> None:
    with pytest.raises(CanaryError, match="at least one success criterion"):
        judge_canary([], {}, started=START, duration=HALF_HOUR)


@pytest.mark.skipif(not ARGO.exists(), reason="argo_assess_metric.json is not beside the repository")
def test_argo_assessments_agree_where_the_semantics_are_the_same() -> None:
    """Compared: runs that are not being terminated and have no consecutive-success limit.

    Pending and Running are our continue, Failed our rollback. Not compared: a terminated run (Argo calls it successful,
    even without a measurement; here an unfinished canary is never promoted) and consecutiveSuccessLimit (Argo promotes
    early; here the declared duration is waited for).
    """
    ours = {"Pending": "continue", "Running": "continue", "Failed": "rollback", "Successful": "promote"}
    compared = 0
    for case in json.loads(ARGO.read_text()):
        if case["terminating"] or "ConsecutiveSuccessLimit" in case["config"]:
            continue
        failed = case["result"].get("Failed", 0)
        looks = minutes([1.0] * failed + [0.0] * (case["result"].get("Count", 0) - failed))
        criterion = Criterion(0.5, failure_limit=case["config"].get("FailureLimit", 0))
        assert judge(looks, criterion, at=3).action == ours[case["expected"]], case
        compared += 1
    assert compared == 4
