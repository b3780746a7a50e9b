"""Judging a canary while it runs: a verdict after every look, from the whole history of looks.

Belongs here: what a look and a criterion are, and the verdict continue, promote, rollback or inconclusive in words.
Does not: the formulas of the evidence (`sequential`), and comparing two finished samples (`canary`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from cogniforge_pipeline.sre.canary import CanaryError
from cogniforge_pipeline.sre.canary_evidence import (
    Counts,
    Criterion,
    Evidence,
    Means,
    Observed,
    check_value,
    has_data,
    weigh,
)

MAX_SILENCE = timedelta(minutes=5)
MIN_OBSERVED_SHARE = 0.5


@dataclass(frozen=True)
class Look:
    """What was measured from the look before up to the aware time `at`: bare numbers, Counts or Means by metric."""

    at: datetime
    values: Mapping[str, Observed]


@dataclass(frozen=True)
class Verdict:
    """`action` is continue, promote, rollback or inconclusive; `reasons` say why; `evidence` is one entry a criterion.

    `decided_at` is the time of the look that caused a rollback, the end of the canary for a promotion or an
    inconclusive end, and None while it goes on.
    """

    action: str
    reasons: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    decided_at: datetime | None


def judge_canary(
    looks: Sequence[Look],
    criteria: Mapping[str, float | Criterion],
    *,
    started: datetime,
    duration: timedelta,
    as_of: datetime | None = None,
    alpha: float = 0.05,
    max_silence: timedelta = MAX_SILENCE,
) -> Verdict:
    """The verdict on a canary at `as_of` (by default the newest look), from its looks from `started` to its end.

    A bare number as criterion is an upper limit. Counts and Means are tested sequentially, each at
    alpha / (number of criteria), so that a canary as good as its limits or its baseline is rolled back with
    probability at most `alpha` however often it is judged. A bare number carries no sample size: it is a measurement
    that keeps the limit or breaks it, and more than `failure_limit` breaches roll back (0 by default, as Argo
    Rollouts).

    In this order: rollback once any criterion is broken (it stays so); inconclusive while a criterion has had no data
    for longer than `max_silence` (pause, do not abort); continue until `duration` is over; then promote if every
    criterion was kept, with data for half of the duration and enough of them (`Criterion.min_events`), else
    inconclusive. No data never promotes. Raises CanaryError for naive or repeated times and impossible values.
    """
    _aware("started", started)
    end = started + duration
    if duration <= timedelta(0) or max_silence <= timedelta(0) or not 0 < alpha < 1:
        raise CanaryError("duration and max_silence must be positive and alpha between 0 and 1")
    if not criteria:
        raise CanaryError("a canary needs at least one success criterion", hint='for example {"error_rate": 0.01}')
    rules = {name: rule if isinstance(rule, Criterion) else Criterion(rule) for name, rule in criteria.items()}
    ordered = _in_order(looks, rules)
    now = as_of or (ordered[-1].at if ordered else started)
    _aware("as_of", now)
    seen = [look for look in ordered if started <= look.at <= min(now, end)]

    evidence = tuple(
        weigh(name, rule, [(look.at, look.values.get(name)) for look in seen], alpha / len(rules))
        for name, rule in rules.items()
    )
    broken = sorted((entry for entry in evidence if entry.broken_at), key=lambda entry: entry.broken_at or end)
    if broken:
        return Verdict("rollback", tuple(entry.reason for entry in broken), evidence, broken[0].broken_at)
    silent = [
        reason for entry in evidence if (reason := _silence(entry.name, seen, started, min(now, end), max_silence))
    ]
    if silent:
        return Verdict("inconclusive", tuple(silent), evidence, end if now >= end else None)
    if now < end:
        left = (end - now).total_seconds() / 60
        reasons = (f"{left:.0f} of {duration.total_seconds() / 60:.0f} minutes are left", *(e.reason for e in evidence))
        return Verdict("continue", reasons, evidence, None)
    doubts = [entry.reason for entry in evidence if not entry.kept]
    doubts += [
        f"{name}: data for only {share:.0%} of the duration"
        for name in rules
        if (share := _observed_share(name, seen, started, end, max_silence)) < MIN_OBSERVED_SHARE
    ]
    if doubts:
        return Verdict("inconclusive", tuple(doubts), evidence, end)
    return Verdict("promote", tuple(entry.reason for entry in evidence), evidence, end)


def _in_order(looks: Sequence[Look], rules: Mapping[str, Criterion]) -> list[Look]:
    for look in looks:
        _aware("a look", look.at)
        for name in rules:
            check_value(name, look.values.get(name))
    ordered = sorted(looks, key=lambda look: look.at)
    for before, after in pairwise(ordered):
        if before.at == after.at:
            raise CanaryError(f"two looks at {after.at.isoformat()}", hint="merge them, or a minute would count twice")
    return ordered


def _gaps(name: str, seen: Sequence[Look], started: datetime, until: datetime) -> list[timedelta]:
    times = [started, *(look.at for look in seen if has_data(look.values.get(name))), until]
    return [after - before for before, after in pairwise(times)]


def _silence(name: str, seen: Sequence[Look], started: datetime, until: datetime, max_silence: timedelta) -> str | None:
    last = _gaps(name, seen, started, until)[-1]
    if last <= max_silence:
        return None
    return f"{name}: no data for {last.total_seconds() / 60:.0f} minutes; pause, nothing can be said"


def _observed_share(name: str, seen: Sequence[Look], started: datetime, end: datetime, max_silence: timedelta) -> float:
    missed = sum((max(gap - max_silence, timedelta(0)) for gap in _gaps(name, seen, started, end)), timedelta(0))
    return 1 - missed / (end - started)


def _aware(name: str, at: datetime) -> None:
    if at.tzinfo is None:
        raise CanaryError(f"{name} has no time zone: {at.isoformat()}", hint="give times in UTC, with the zone")


__all__ = ["Counts", "Criterion", "Evidence", "Look", "Means", "Observed", "Verdict", "judge_canary"]
