"""A plan after regions died: what stays, what takes over, what is placed again.

Belongs here: pure functions on problems. Does not: deciding that a region is down (`health.py`), or whether a failover
may happen (`failover.py`).

Replicas of a workload that lost its primary take over: the cheapest that is alive becomes the primary, at once and
without moving data. Only what was lost is then placed again, and what is alive stays. Where a primary finds no room,
replicas in regions where it could be give way to it, and are placed again elsewhere.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cogniforge_pipeline.edge.placement.greedy import greedy
from cogniforge_pipeline.edge.placement.improve import load_of, subproblem
from cogniforge_pipeline.edge.placement.integer import solve_integer
from cogniforge_pipeline.edge.placement.problem import Problem
from cogniforge_pipeline.edge.placement.rows import build

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

PART = 60
NEAREST = 14
"""Regions of each workload, the cheapest with room, among which lost copies are placed again exactly."""


@dataclass(frozen=True)
class Replan:
    """Primary [W] and replicas [W, R] after the failure; `promoted` workloads have a replica as their primary now, `moved`
    a primary that was started elsewhere."""

    primary: Ints
    replicas: Bools
    promoted: Bools
    moved: Bools
    seconds: float


def without(problem: Problem, dead: Bools) -> Problem:
    """The same problem with these regions [R] dead."""
    return replace(problem, eligible=problem.eligible & ~dead[None, :])


def replan(problem: Problem, primary: Ints, replicas: Bools, dead: Bools, *, time_limit: float = 5.0) -> Replan:
    """The plan after the regions `dead` [R] died, from the plan before. Keeps every rule that the plan before kept."""
    import numpy as np

    start = time.perf_counter()
    p = without(problem, dead)
    everyone = np.arange(len(p.workloads))
    lost = (primary < 0) | dead[np.maximum(primary, 0)]
    alive = replicas & ~dead[None, :]
    now = np.where(lost, -1, primary)
    room = p.capacity - load_of(p, now, alive)
    promoted = np.zeros(len(everyone), dtype=bool)
    for w in np.flatnonzero(lost & alive.any(axis=1)):
        extra = p.demand[w] * (1 - p.standby[w])
        able = alive[w] & (room >= extra - 1e-9).all(axis=1) & _together_allows(p, now, lost, int(w))
        if able.any():
            now[w] = int(np.where(able, p.primary[w], np.inf).argmin())
            alive[w, now[w]] = False
            room[now[w]] -= extra
            promoted[w] = True
    # without a primary a workload's replicas are placed anew, with it
    homeless = now < 0
    alive[homeless] = False
    now, alive = _refill(p, now, alive, start + 0.6 * time_limit)
    if (now < 0).any():
        now, alive = _give_way(p, now, alive)
        now, alive = _refill(p, now, alive, start + time_limit)
    moved = (now >= 0) & lost & ~promoted
    return Replan(now, alive, promoted, moved, time.perf_counter() - start)


def _together_allows(p: Problem, now: Ints, lost: Bools, w: int) -> Bools:
    """Regions [R] where the workloads that must be in the same region are, or anywhere."""
    import numpy as np

    able = np.ones(len(p.regions), dtype=bool)
    for a, b in p.together:
        other = b if a == w else a if b == w else None
        if other is not None:
            # one that is lost, too, is placed together with this one
            able &= np.arange(len(p.regions)) == now[other] if now[other] >= 0 and not lost[other] else False
    return able


def _refill(p: Problem, primary: Ints, replicas: Bools, until: float) -> tuple[Ints, Bools]:
    """Places what is missing, part by part exactly, primaries first; what is placed stays."""
    import numpy as np

    primary, replicas = primary.copy(), replicas.copy()
    short = p.replicas - replicas.sum(axis=1) + (primary < 0)
    waiting = np.flatnonzero(short > 0)
    bound = _tied(p, waiting)
    size = p.demand.sum(axis=1)
    rest = np.array([w for w in waiting if w not in bound], dtype=int)
    rest = rest[np.lexsort((-size[rest], primary[rest] >= 0))]
    parts = [np.array(sorted(bound), dtype=int)] if bound else []
    parts += [rest[place : place + PART] for place in range(0, len(rest), PART)]
    for part in parts:
        left = until - time.perf_counter()
        room = np.maximum(p.capacity - load_of(p, primary, replicas) + load_of(p, primary, replicas, part), 0)
        small = subproblem(p, part, room)
        fits = (room[None, :, :] >= small.demand[:, None, :] - 1e-9).all(axis=2)
        price = np.where(small.eligible & fits, small.primary, np.inf)
        near = np.argsort(price, axis=1, kind="stable")[:, :NEAREST]
        allowed = np.zeros_like(small.eligible)
        np.put_along_axis(allowed, near, True, axis=1)
        kept = replicas[part].copy()
        placed = np.flatnonzero(primary[part] >= 0)
        kept[placed, primary[part][placed]] = True
        allowed = (allowed & small.eligible & fits) | kept
        model = build(_keeping(small, primary[part], replicas[part]), allowed)
        found = solve_integer(model, 0.01, max(0.2, min(left, 1.0)))
        answer = (found.primary, found.replicas) if found is not None else None
        if answer is None or _worse(answer, primary[part], replicas[part]):
            answer = _one_by_one(small, primary[part], replicas[part])
        primary[part], replicas[part] = answer
    return primary, replicas


def _keeping(small: Problem, primary: Ints, replicas: Bools) -> Problem:
    """The problem in which copies that are placed cost nothing and all else a little more, so that they stay."""
    import numpy as np

    stay = float(small.missing_price.max(initial=1.0)) / 4
    first, other = small.primary + stay, small.replica + stay
    placed = np.flatnonzero(primary >= 0)
    first[placed, primary[placed]] = 0
    other[replicas] = 0
    made = replace(small, primary=first, replica=other)
    made.__dict__["missing_price"] = small.missing_price
    made.__dict__["unplaced_price"] = small.unplaced_price
    return made


def _worse(answer: tuple[Ints, Bools], primary: Ints, replicas: Bools) -> bool:
    """Whether an answer moves a primary that was placed, or places less than there was."""
    first, others = answer
    stays = primary >= 0
    return bool(
        (first[stays] != primary[stays]).any() or others.sum() + (first >= 0).sum() < replicas.sum() + stays.sum()
    )


def _one_by_one(small: Problem, primary: Ints, replicas: Bools) -> tuple[Ints, Bools]:
    """Greedily what fits of workloads without a primary; the others stay as they are."""
    import numpy as np

    homeless = np.flatnonzero(primary < 0)
    room = np.maximum(small.capacity - load_of(small, primary, replicas), 0)
    part = subproblem(small, homeless, room)
    first, others = greedy(part)
    primary, replicas = primary.copy(), replicas.copy()
    free = [k for k, w in enumerate(homeless) if not small.coupled[w]]
    primary[homeless[free]], replicas[homeless[free]] = first[free], others[free]
    return primary, replicas


def _give_way(p: Problem, primary: Ints, replicas: Bools) -> tuple[Ints, Bools]:
    """Primaries without room get that of replicas of others, the region where the fewest have to go."""
    import numpy as np

    primary, replicas = primary.copy(), replicas.copy()
    room = p.capacity - load_of(p, primary, replicas)
    for w in sorted(np.flatnonzero(primary < 0), key=lambda w: -float(p.priority[w])):
        if p.coupled[w]:
            continue
        best: tuple[int, float, int, list[int]] | None = None
        for r in np.flatnonzero(p.eligible[w]):
            left, gone = room[r].copy(), []
            there = np.flatnonzero(replicas[:, r])
            for other in there[np.argsort(-p.demand[there].sum(axis=1), kind="stable")]:
                if (left >= p.demand[w] - 1e-9).all():
                    break
                left = left + p.demand[other] * p.standby[other]
                gone.append(int(other))
            if (left >= p.demand[w] - 1e-9).all():
                option = (len(gone), float(p.primary[w, r]), int(r), gone)
                best = option if best is None or option[:2] < best[:2] else best
        if best is not None:
            _, _, target, gone = best
            for other in gone:
                replicas[other, target] = False
                room[target] += p.demand[other] * p.standby[other]
            primary[w] = target
            room[target] -= p.demand[w]
    return primary, replicas


def _tied(p: Problem, waiting: Ints) -> set[int]:
    """The waiting workloads that depend on others, with all that they depend on."""
    found = {int(w) for w in waiting if p.coupled[w]}
    pairs = [*p.together, *p.apart, *((t.source, t.target) for t in p.traffic)]
    grown = bool(found)
    while grown:
        more = {x for pair in pairs if found & set(pair) for x in pair} - found
        found |= more
        grown = bool(more)
    return found
