"""Whether a region is well, from what was seen of it: with hysteresis, so that one lost probe moves nothing.

Belongs here: the decision over observations. Does not: reading them (`tables.py`), or what follows (`failover.py`).

A region goes down once `failures` observations in a row were bad and the first of them is at least `down_after` old, and
comes back once `successes` in a row were good for `up_after`. A moment is bad when less than QUORUM of its probes say
that the region is up (Route 53's rule: healthy above 18 % of the checkers). A reported outage counts at once, until it
ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

QUORUM = 0.18


@dataclass(frozen=True)
class HealthPolicy:
    """How long and how often until a verdict turns; `stale_after` without any observation nothing is known."""

    failures: int = 3
    down_after: timedelta = timedelta(seconds=30)
    successes: int = 3
    up_after: timedelta = timedelta(seconds=30)
    stale_after: timedelta = timedelta(minutes=10)


@dataclass(frozen=True)
class Health:
    """`status` is up, suspect (bad, but not yet down), down, recovering (good, but not yet up) or unknown, since `since`.

    `available` says whether workloads may be there: a suspect region still is, a recovering one not yet."""

    status: str
    since: datetime | None
    reason: str

    @property
    def available(self) -> bool:
        return self.status in ("up", "suspect", "unknown")


def judge(
    observations: Sequence[tuple[datetime, float]],
    as_of: datetime,
    outages: Sequence[tuple[datetime, datetime | None, str]] = (),
    policy: HealthPolicy | None = None,
) -> Health:
    """The verdict at `as_of`. Observations are times and the share of probes that found the region up; outages are start,
    end (None: not over) and reason. What is later than `as_of` is not used."""
    policy = policy or HealthPolicy()
    current = [(start, why) for start, end, why in outages if start <= as_of and (end is None or end > as_of)]
    if current:
        start, why = min(current)
        return Health("down", start, f"reported: {why}")
    seen = sorted((at, share > QUORUM) for at, share in observations if at <= as_of)
    if not seen or as_of - seen[-1][0] > policy.stale_after:
        return Health("unknown", seen[-1][0] if seen else None, "nothing was seen of it lately")
    down, turned, since = False, seen[0][0], seen[0][0]
    run = 0
    for at, good in seen:
        if good != down:  # as the verdict has it
            run = 0
            continue
        run += 1
        if run == 1:
            turned = at
        enough, long = (policy.successes, policy.up_after) if down else (policy.failures, policy.down_after)
        if run >= enough and at - turned >= long:
            down, since, run = not down, turned, 0
    waiting = f"{run} observations in a row since {turned:%H:%M:%S} UTC"
    if run:
        return Health("recovering" if down else "suspect", turned, f"{'good' if down else 'bad'}: {waiting}")
    return Health("down" if down else "up", since, "it is seen down" if down else "it is seen up")
