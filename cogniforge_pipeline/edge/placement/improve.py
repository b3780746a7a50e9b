"""From the linear relaxation to a whole answer: round, place what is left by price, then solve again part by part.

Belongs here: the heuristic. Does not: the bound, which the relaxation proves, or the model of a part (`rows.py`).

Nearly all workloads are whole in the relaxation. The others are placed one by one, largest first, where their reduced
cost is least. Then, until the gap is reached or time is up, a few workloads are freed and placed again exactly, all
others staying: those that are missing or dearest at the relaxation's prices, and those that would like to be where dear
room is left over. A part may only get better, so every answer on the way is one.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from cogniforge_pipeline.edge.placement.integer import solve_integer
from cogniforge_pipeline.edge.placement.problem import Problem, Traffic, cost_of
from cogniforge_pipeline.edge.placement.rows import build
from cogniforge_pipeline.edge.placement.solve import Relaxation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

PART, LARGEST = 40, 160
"""Workloads of a part, at first and at most; parts grow while they help nothing."""
PATIENCE = 8
COLUMNS = 14
WASTEFUL = 8
PART_SECONDS = 4.0
WHOLE = 1e-6


def improve(problem: Problem, relaxation: Relaxation, gap: float, until: float) -> tuple[Ints, Bools, str]:
    """Primary [W], replicas [W, R], and whether the gap was reached (optimal) or time was up (time_limit)."""
    import numpy as np

    answer = Answer(problem, relaxation)
    rng = np.random.default_rng(11)
    components = _components(problem)
    size, idle, dry = float(PART), 0, 0
    reduced = np.minimum(relaxation.reduced_x, relaxation.reduced_y)
    order = np.argsort(reduced, axis=1, kind="stable")[:, :COLUMNS]
    columns = np.zeros_like(problem.eligible)
    np.put_along_axis(columns, order, True, axis=1)
    columns |= (relaxation.x > WHOLE) | (relaxation.y > WHOLE)
    columns[problem.coupled] = True
    columns &= problem.eligible
    while True:
        short = answer.cost - relaxation.bound
        if short <= gap * max(answer.cost - answer.penalties, 1e-9):
            return answer.primary, answer.replicas, "optimal"
        left = until - time.perf_counter()
        if left <= 0.05 or dry > 6 * PATIENCE:
            return answer.primary, answer.replicas, "time_limit"
        free = _part(answer, reduced, rng, int(size))
        free = np.flatnonzero(np.isin(components, components[free]))
        before = answer.cost
        better = answer.solve_part(free, columns, short * 0.02, min(left, PART_SECONDS))
        gain = before - answer.cost if better else 0.0
        idle = 0 if gain > 0.002 * short else idle + 1
        dry = 0 if gain > 0 else dry + 1
        if idle >= PATIENCE and size < LARGEST:
            size, idle = size * 1.4, 0


class Answer:
    """A whole answer that gets better: primary [W] (-1: none), replicas [W, R], and what room [R, K] is left."""

    def __init__(self, problem: Problem, relaxation: Relaxation) -> None:
        import numpy as np

        self.problem, self.relaxation = problem, relaxation
        x, y = relaxation.x, relaxation.y
        loose = ((abs(x - x.round()) > WHOLE) | (abs(y - y.round()) > WHOLE) | (x + y > 1 + WHOLE)).any(axis=1)
        loose |= (x.sum(axis=1) < 0.5) | (y.sum(axis=1) < problem.replicas - WHOLE)
        components = _components(problem)
        loose |= np.isin(components, components[loose & problem.coupled])
        self.primary = np.where(loose, -1, x.argmax(axis=1))
        self.replicas = (y > 0.5) & ~loose[:, None]
        self._count()
        size = (problem.demand / np.maximum(problem.demand.mean(axis=0), 1e-12)).max(axis=1, initial=0)
        for w in sorted(np.flatnonzero(loose & ~problem.coupled), key=lambda w: (-size[w], w)):
            self._place(int(w))
        self._count()

    def _count(self) -> None:
        import numpy as np

        p = self.problem
        self.room = p.capacity - load_of(p, self.primary, self.replicas)
        self.cost, self.penalties = cost_of(p, self.primary, self.replicas)
        self.missing = p.replicas - self.replicas.sum(axis=1) + (self.primary < 0)
        self.missing = np.asarray(self.missing)

    def _place(self, w: int) -> None:
        """Places a workload where its reduced cost is least and there is room; as much of it as fits."""
        import numpy as np

        p = self.problem
        able = p.eligible[w] & (self.room >= p.demand[w] - 1e-9).all(axis=1)
        places = np.flatnonzero(able)
        if not len(places):
            return
        first, others = self.relaxation.reduced_x[w], self.relaxation.reduced_y[w]
        sequence = places[np.argsort(others[places], kind="stable")]
        best: tuple[float, int, list[int]] | None = None
        for start in places[np.argsort(first[places], kind="stable")[:8]]:
            chosen: list[int] = []
            clouds = {int(p.cloud[start]): 1}
            for place in sequence:
                if len(chosen) == p.replicas[w]:
                    break
                cloud = int(p.cloud[place])
                if place != start and clouds.get(cloud, 0) < p.max_per_cloud[w]:
                    clouds[cloud] = clouds.get(cloud, 0) + 1
                    chosen.append(int(place))
            absent = int(p.replicas[w]) - len(chosen)
            countries = len({int(p.country[r]) for r in (start, *chosen)})
            if len(clouds) + absent < p.min_clouds[w] or countries + absent < p.min_countries[w]:
                continue
            price = float(first[start] + others[chosen].sum() + absent * p.missing_price[w])
            if best is None or price < best[0]:
                best = price, int(start), chosen
        if best is not None:
            _, self.primary[w], chosen = best
            self.replicas[w, chosen] = True
            self.room[self.primary[w]] -= p.demand[w]
            self.room[chosen] -= p.demand[w] * p.standby[w]

    def solve_part(self, rows: Ints, columns: Bools, close: float, time_limit: float) -> bool:
        """Places these workloads again, to within `close` of the best; True where the answer is better now."""
        import numpy as np

        p = self.problem
        load = load_of(p, self.primary, self.replicas, rows)
        part = subproblem(p, rows, np.maximum(self.room + load, 0))
        allowed = columns[rows] | self.replicas[rows]
        placed = np.flatnonzero(self.primary[rows] >= 0)
        allowed[placed, self.primary[rows][placed]] = True
        model = build(part, allowed)
        count, size = len(model.w), len(rows)
        # what is placed stays placed, which makes the rest much easier to find
        model.upper[2 * count : 2 * count + size] = self.primary[rows] < 0
        model.upper[2 * count + size : 2 * count + 2 * size] = part.replicas - self.replicas[rows].sum(axis=1)
        now = cost_of(part, self.primary[rows], self.replicas[rows])[0]
        found = solve_integer(model, close / max(now, 1e-9), time_limit)
        if found is None:
            return False
        primary, replicas = self.primary.copy(), self.replicas.copy()
        primary[rows], replicas[rows] = found.primary, found.replicas
        cost, _ = cost_of(p, primary, replicas)
        if cost >= self.cost - 1e-9:
            return False
        self.primary, self.replicas = primary, replicas
        self._count()
        return True


def subproblem(problem: Problem, rows: Ints, capacity: Array) -> Problem:
    """The problem of some workloads alone; ties to others are left out."""
    p = problem
    place = {int(w): number for number, w in enumerate(rows)}

    def inside(pairs: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        return tuple((place[a], place[b]) for a, b in pairs if a in place and b in place)

    part = replace(
        p,
        workloads=tuple(p.workloads[w] for w in rows),
        primary=p.primary[rows],
        replica=p.replica[rows],
        eligible=p.eligible[rows],
        replicas=p.replicas[rows],
        demand=p.demand[rows],
        capacity=capacity,
        standby=p.standby[rows],
        priority=p.priority[rows],
        max_per_cloud=p.max_per_cloud[rows],
        min_clouds=p.min_clouds[rows],
        min_countries=p.min_countries[rows],
        soft_spread=p.soft_spread[rows],
        together=inside(p.together),
        apart=inside(p.apart),
        traffic=tuple(
            Traffic(place[t.source], place[t.target], t.weight)
            for t in p.traffic
            if t.source in place and t.target in place
        ),
    )
    # prices of what is missing stay those of the whole
    part.__dict__["missing_price"] = p.missing_price[rows]
    part.__dict__["unplaced_price"] = p.unplaced_price[rows]
    return part


def _part(answer: Answer, reduced: Array, rng: np.random.Generator, size: int) -> Ints:
    """The next workloads to free."""
    import numpy as np

    p, relaxation = answer.problem, answer.relaxation
    everyone = np.arange(len(p.workloads))
    first = np.where(answer.primary >= 0, relaxation.reduced_x[everyone, answer.primary], 0.0)
    regret = first + np.where(answer.replicas, relaxation.reduced_y, 0).sum(axis=1)
    regret = np.where(answer.missing > 0, max(float(regret.max()), 1.0) * (1 + answer.missing), regret)
    dearest = np.argsort(-regret * rng.random(len(everyone)), kind="stable")[: max(1, size // 3)]
    finite = np.where(np.isfinite(p.capacity), np.maximum(answer.room, 0), 0)
    waste = (relaxation.prices * finite).sum(axis=1)
    regions = np.argsort(-waste * rng.random(len(waste)), kind="stable")[:WASTEFUL]
    liking = reduced[:, regions].min(axis=1) + rng.random(len(everyone)) * 0.01
    liking[dearest] = np.inf
    return np.concatenate([dearest, np.argsort(liking, kind="stable")[: size - len(dearest)]])


def _components(problem: Problem) -> Ints:
    """For each workload a number that those tied to it share."""
    import numpy as np
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pairs = [*problem.together, *problem.apart, *((t.source, t.target) for t in problem.traffic)]
    a, b = np.array(pairs, dtype=int).reshape(-1, 2).T
    size = len(problem.workloads)
    return np.asarray(
        connected_components(coo_matrix((np.ones(len(a)), (a, b)), shape=(size, size)), directed=False)[1]
    )


def load_of(problem: Problem, primary: Ints, replicas: Bools, rows: Ints | None = None) -> Array:
    """What copies take of each region [R, K]; those of `rows` only where given."""
    import numpy as np

    p = problem
    chosen = np.arange(len(p.workloads)) if rows is None else rows
    load = np.zeros(p.capacity.shape)
    placed = chosen[primary[chosen] >= 0]
    np.add.at(load, primary[placed], p.demand[placed])
    w, r = np.nonzero(replicas[chosen])
    np.add.at(load, r, p.demand[chosen[w]] * p.standby[chosen[w], None])
    return load
