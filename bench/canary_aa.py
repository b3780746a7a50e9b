"""False rollbacks of 1,000 A/A canaries looked at every minute, beside a fixed-sample test; the bar is 5 %.

Each canary has 60 looks. Against a limit: its true error rate is the limit, 1 %. Beside a baseline: both have 1 %.
Power: 3 % instead of 1 %. The fixed-sample test is the one-sided z test at 5 %, repeated at every look.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from bench.harness import report
from cogniforge_pipeline.sre.canary_evidence import Counts, Criterion
from cogniforge_pipeline.sre.canary_looks import Look, judge_canary

CANARIES, LOOKS, TRAFFIC = 1000, 60, (5, 20, 200, 2000)
HEALTHY, BROKEN, LIMIT = 0.01, 0.03, 0.05
START = datetime(2024, 1, 1, tzinfo=UTC)
CRITERIA = {"limit": Criterion(HEALTHY), "baseline": Criterion()}


def simulate(share: float, per_minute: int, canaries: int, seed: int, clustering: float = 0.0) -> np.ndarray:
    """Counts [canary, look, (bad, total, baseline bad, baseline total)] with Poisson traffic.

    `clustering` is the coefficient of variation of a minute's own error rate around `share`, on each side for itself.
    """
    rng = np.random.default_rng(seed)
    total, base_total = rng.poisson(per_minute, (2, canaries, LOOKS))
    if clustering:
        shape = 1 / clustering**2
        own = np.minimum(rng.gamma(shape, share / shape, (canaries, LOOKS)), 1)
        base = np.minimum(rng.gamma(shape, HEALTHY / shape, (canaries, LOOKS)), 1)
    else:
        own, base = np.full((canaries, LOOKS), share), np.full((canaries, LOOKS), HEALTHY)
    return np.stack([rng.binomial(total, own), total, rng.binomial(base_total, base), base_total], axis=-1)


def verdicts(counts: np.ndarray, criterion: Criterion) -> Iterator[tuple[str, float | None]]:
    """Action and minute of decision; a rollback stays, so judging the whole history is judging after every look."""
    times = [START + timedelta(minutes=minute + 1) for minute in range(LOOKS)]
    for canary in counts.tolist():
        looks = [Look(at, {"errors": Counts(*row)}) for at, row in zip(times, canary, strict=True)]
        verdict = judge_canary(
            looks, {"errors": criterion}, started=START, duration=timedelta(minutes=LOOKS), as_of=times[-1]
        )
        decided = verdict.decided_at
        yield verdict.action, (decided - START) / timedelta(minutes=1) if decided else None


def peeking(counts: np.ndarray, mode: str) -> float:
    """Share of canaries that the z test rolls back at some look."""
    bad, total, base_bad, base_total = np.moveaxis(np.cumsum(counts, axis=1), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        if mode == "limit":
            z = (bad / total - HEALTHY) / np.sqrt(HEALTHY * (1 - HEALTHY) / total)
        else:
            pooled = (bad + base_bad) / (total + base_total)
            z = (bad / total - base_bad / base_total) / np.sqrt(pooled * (1 - pooled) * (1 / total + 1 / base_total))
    return float((np.nan_to_num(z) > 1.645).any(axis=1).mean())


def main() -> None:
    """A/A at each traffic level, then power, then A/A with clustered failures, which the test does not assume."""
    worst, naive, power = 0.0, 0.0, {}
    for mode, criterion in CRITERIA.items():
        for level, per_minute in enumerate(TRAFFIC):
            same = simulate(HEALTHY, per_minute, CANARIES, seed=100 + level)
            actions = [action for action, _ in verdicts(same, criterion)]
            share = {action: actions.count(action) / CANARIES for action in ("rollback", "promote", "inconclusive")}
            fixed = peeking(same, mode)
            worst, naive = max(worst, share["rollback"]), max(naive, fixed)
            found = list(verdicts(simulate(BROKEN, per_minute, 300, seed=200 + level), criterion))
            minutes = [minute for action, minute in found if action == "rollback" and minute]
            median = statistics.median(minutes) if minutes else None
            power[f"{mode}_{per_minute}"] = [round(len(minutes) / len(found), 3), median]
            promoted = sum(action == "promote" for action, _ in found)
            print(
                f"{mode:8} {per_minute:5}/min  A/A rollback {share['rollback']:.1%}, promote {share['promote']:.1%}, "
                f"inconclusive {share['inconclusive']:.1%} (z test {fixed:.1%});  3 % against 1 %: found "
                f"{len(minutes) / len(found):.1%}, median {median} min, promoted {promoted / len(found):.1%}"
            )
    clustered = simulate(HEALTHY, 200, CANARIES, seed=300, clustering=1.0)
    for mode, criterion in CRITERIA.items():
        rolled = sum(action == "rollback" for action, _ in verdicts(clustered, criterion)) / CANARIES
        print(f"{mode:8}   200/min  A/A with each minute's error rate varying by 100 %: rollback {rolled:.1%}")
    report("canary_aa", worst, naive, LIMIT / naive, limit_share=LIMIT, canaries=CANARIES, power_median_minutes=power)


if __name__ == "__main__":
    main()
