"""Failovers: whether one may happen now, what it would do, and what each region's death would do.

Belongs here: pure decisions over plans and plain values. Does not: finding out that a region is down (`health.py`), or
writing (`service.py`).

A failover of a region is refused, with the reason, when too little would stay alive (the safety rule: a monitor that
calls everything dead is itself wrong), when the workload has failed over within the cool-down, or when too many
failovers happened lately. Eligibility is never loosened: a workload rather waits than breaks its residency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cogniforge_pipeline.edge.placement.plan import Plan
from cogniforge_pipeline.edge.placement.replan import Replan, replan, without

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class FailoverPolicy:
    """`cool_down` passes between two failovers of a workload; at most `most` workloads fail over within `window`; at least
    the share `alive` of the regions that hold copies must stay."""

    cool_down: timedelta = timedelta(minutes=10)
    most: int = 1000
    window: timedelta = timedelta(minutes=10)
    alive: float = 0.34


@dataclass(frozen=True)
class Move:
    """What happens to one workload. `to_region` is None where it cannot move; `reason` says why, or how it moves.

    `action` is take_over (a replica becomes the primary), move (started elsewhere), or refused."""

    workload: str
    from_region: str
    to_region: str | None
    replicas: tuple[str, ...]
    action: str
    reason: str


@dataclass(frozen=True)
class Readiness:
    """What would happen if a region died now: workloads whose replica takes over, that move, and that have no place."""

    region_id: str
    primaries: int
    replicas: int
    take_over: int
    move: int
    replicas_lost: int
    unplaced: tuple[str, ...] = ()
    why: Mapping[str, str] = field(default_factory=dict)


Past = Sequence[tuple[str, datetime]]
"""Earlier failovers that were executed: workload and moment."""


def decide(
    plan: Plan,
    down: Sequence[str],
    *,
    as_of: datetime,
    past: Past = (),
    policy: FailoverPolicy | None = None,
    only: str | None = None,
) -> tuple[list[Move], Replan]:
    """What to do about the regions that are down, for the workloads (or `only` one) whose primary is in one of them.

    Raises ValueError for a region that the plan does not have.
    """
    import numpy as np

    policy = policy or FailoverPolicy()
    problem, solution = plan.problem, plan.solution
    dead = np.isin(np.array(problem.regions), list(down))
    unknown = set(down) - set(problem.regions)
    if unknown:
        raise ValueError(f"no region {sorted(unknown)[0]}")
    after = replan(problem, solution.primary, solution.replicas, dead)
    holding = np.zeros(len(problem.regions), dtype=bool)
    holding[solution.primary[solution.primary >= 0]] = True
    holding |= solution.replicas.any(axis=0)
    candidates = plan_candidates(plan)
    alive = float((candidates & ~dead).sum()) / max(1, int(candidates.sum()))
    recent = sum(as_of - policy.window < at <= as_of for _, at in past)
    moves: list[Move] = []
    for w, name in enumerate(problem.workloads):
        first = int(solution.primary[w])
        if first < 0 or not dead[first] or (only is not None and name != only):
            continue
        home = problem.regions[first]
        to = problem.regions[after.primary[w]] if after.primary[w] >= 0 else None
        others = tuple(problem.regions[r] for r in np.flatnonzero(after.replicas[w]))
        last = max((at for who, at in past if who == name and at <= as_of), default=None)
        if alive < policy.alive:
            why = f"safety rule: only {alive:.0%} of the regions would be alive, at least {policy.alive:.0%} must be"
            moves.append(Move(name, home, None, (), "refused", why))
        elif last is not None and as_of - last < policy.cool_down:
            why = f"cool-down: it failed over at {last:%Y-%m-%d %H:%M:%S} UTC, wait until {last + policy.cool_down:%H:%M:%S}"
            moves.append(Move(name, home, None, (), "refused", why))
        elif recent >= policy.most:
            why = f"rate limit: {recent} failovers within {policy.window}, at most {policy.most}"
            moves.append(Move(name, home, None, (), "refused", why))
        elif to is None:
            moves.append(Move(name, home, None, (), "refused", nowhere(plan, dead, w)))
        else:
            action = "take_over" if after.promoted[w] else "move"
            how = (
                "its replica takes over"
                if after.promoted[w]
                else "no replica is left that could take over: it is started"
            )
            moves.append(Move(name, home, to, others, action, f"{how} in {to}; there is room"))
            recent += 1
    return moves, after


def plan_candidates(plan: Plan) -> NDArray[np.bool_]:
    """The regions [R] that any workload may be in."""
    import numpy as np

    return np.asarray(plan.problem.eligible.any(axis=0))


def nowhere(plan: Plan, dead: NDArray[np.bool_], w: int) -> str:
    """Why a workload has no place once these regions are dead."""
    alive = without(plan.problem, dead).eligible[w]
    if alive.any():
        return f"capacity: none of the {int(alive.sum())} live eligible regions has room"
    rules = sorted({text.split(":")[0] for cell in plan.scores.reasons[w] for text in cell})
    return "no live region is eligible" + (f"; the others are ruled out by {', '.join(rules)}" if rules else "")


def readiness(plan: Plan, *, time_limit: float = 5.0) -> list[Readiness]:
    """For every region with copies, or that could have some: what would happen if it died now."""
    import numpy as np

    problem, solution = plan.problem, plan.solution
    found = []
    for r, region in enumerate(problem.regions):
        mine = solution.primary == r
        copies = solution.replicas[:, r]
        if not (mine.any() or copies.any()):
            if problem.eligible[:, r].any():
                found.append(Readiness(region, 0, 0, 0, 0, 0))
            continue
        dead = np.zeros(len(problem.regions), dtype=bool)
        dead[r] = True
        after = replan(problem, solution.primary, solution.replicas, dead, time_limit=time_limit)
        lost = [int(w) for w in np.flatnonzero(mine & (after.primary < 0))]
        missing = int(solution.replicas.sum() - after.replicas.sum())
        found.append(
            Readiness(
                region,
                int(mine.sum()),
                int(copies.sum()),
                int((mine & after.promoted).sum()),
                int((mine & after.moved).sum()),
                max(0, missing),
                tuple(problem.workloads[w] for w in lost),
                {problem.workloads[w]: nowhere(plan, dead, w) for w in lost},
            )
        )
    return found
