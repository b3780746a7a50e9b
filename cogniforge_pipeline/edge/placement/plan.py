"""A plan: where every workload runs, what that means, and why.

Belongs here: from scores to the problem, and from its answer to words. Does not: reading, scores (`scoring.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cogniforge_pipeline.edge.catalog import EdgeError
from cogniforge_pipeline.edge.model import WEIGHTS, PlacementStrategy, Weights, Workload
from cogniforge_pipeline.edge.placement.check import broken
from cogniforge_pipeline.edge.placement.conflicts import Conflict, alone, together
from cogniforge_pipeline.edge.placement.problem import Problem, Solution, Traffic
from cogniforge_pipeline.edge.placement.solve import solve
from cogniforge_pipeline.edge.scoring import Scores, World, people, percentile, score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXPLAINED = 25
"""So many unplaced workloads at most get their conflict searched for in one plan; the others name what binds."""
DISTRIBUTION = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Alternative:
    """The next best region for the primary, and what it would add: to the score, the users' mean latency in ms, and the
    cost in USD a month."""

    region: str
    score: float
    latency_ms: float | None
    usd_per_month: float


@dataclass(frozen=True)
class Placement:
    """Where one workload runs. `latency_ms` is the users' mean, `latency_percentile_ms` what the target is about,
    `latency_distribution` by share of users. `gave_way` names limits that were broken because they may be. `conflict`
    says why something is missing."""

    workload: str
    primary: str | None
    replicas: tuple[str, ...]
    missing: int
    score: float | None
    latency_ms: float | None
    latency_low_ms: float | None
    latency_high_ms: float | None
    latency_percentile_ms: float | None
    latency_distribution: Mapping[str, float]
    latency_measured: float | None
    usd_per_month: float
    carbon_gco2_kwh: float | None
    reason: str
    alternative: Alternative | None
    gave_way: tuple[str, ...]
    conflict: Conflict | None


@dataclass(frozen=True)
class Plan:
    """All placements with the proof: `cost` is the sum of scores of what is placed, no plan that places as much costs less
    than `bound`; `gap` is the share that may be too much. `violations` is what the independent checker found, and empty."""

    placements: tuple[Placement, ...]
    status: str
    cost: float
    bound: float
    gap: float
    seconds: float
    violations: tuple[str, ...]
    scores: Scores
    problem: Problem
    solution: Solution

    @property
    def unplaced(self) -> tuple[Placement, ...]:
        """Those with something missing."""
        return tuple(p for p in self.placements if p.missing)

    def placement(self, workload: str) -> Placement:
        """The placement of one workload. Raises KeyError."""
        return next(p for p in self.placements if p.workload == workload)


Current = Mapping[str, tuple[str | None, Sequence[str]]]


def make_plan(
    workloads: Sequence[Workload],
    world: World,
    strategy: PlacementStrategy | Weights = PlacementStrategy.BALANCED,
    *,
    current: Current | None = None,
    dead: frozenset[str] = frozenset(),
    gap: float = 1e-3,
    time_limit: float = 60.0,
    explain: bool = True,
) -> Plan:
    """The best plan for these workloads. A workload's own strategy counts before `strategy`.

    Raises EdgeError for names that are there twice, workloads and places that do not exist, and a catalog without regions.
    """
    check_workloads(workloads)
    if not world.regions:
        raise EdgeError("there are no regions to place workloads in", "give at least one region")
    common = strategy if isinstance(strategy, Weights) else WEIGHTS[strategy]
    weights = {w.name: WEIGHTS[w.strategy] if w.strategy else common for w in workloads}
    scores = score(workloads, world, weights, current, dead=dead)
    problem = problem_of(scores, world, weights)
    solution = solve(problem, gap=gap, time_limit=time_limit)
    return told(scores, problem, solution, world, explain=explain)


def check_workloads(workloads: Sequence[Workload]) -> None:
    """Raises EdgeError for what is wrong between workloads."""
    names = [workload.name for workload in workloads]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None) if names else None
    if twice is not None:
        raise EdgeError(f"there are two workloads named {twice!r}", "give each a name of its own")
    known = set(names)
    for workload in workloads:
        for key, others in (
            ("affinity", workload.affinity),
            ("anti_affinity", workload.anti_affinity),
            ("egress", tuple(e.to for e in workload.egress)),
        ):
            unknown = [name for name in others if name not in known]
            if unknown:
                raise EdgeError(
                    f"workload {workload.name}: {key} names {unknown[0]!r}, which is no workload",
                    f"workloads: {', '.join(sorted(known)[:15])}",
                )
    tied = {(a.name, b) for a in workloads for b in a.affinity}
    for workload in workloads:
        for other in workload.anti_affinity:
            if (workload.name, other) in tied or (other, workload.name) in tied:
                raise EdgeError(
                    f"workloads {workload.name} and {other} contradict each other: affinity and anti_affinity",
                    "remove one of the two",
                )


def problem_of(scores: Scores, world: World, weights: Mapping[str, Weights]) -> Problem:
    """The numbers that are optimised."""
    import numpy as np

    workloads, regions = scores.workloads, scores.regions
    place = {workload.name: number for number, workload in enumerate(workloads)}
    resources = resources_of(workloads)
    clouds = sorted({region.cloud for region in regions})
    countries = sorted({region.country or region.region_id for region in regions})
    copies = np.array([w.copies for w in workloads], dtype=int)
    traffic = [
        Traffic(place[w.name], place[e.to], weights[w.name].cost * e.gb_per_month / scores.mean_usd)
        for w in workloads
        for e in w.egress
        if weights[w.name].cost > 0
    ]
    return Problem(
        workloads=tuple(w.name for w in workloads),
        regions=tuple(r.region_id for r in regions),
        primary=scores.primary,
        replica=scores.replica,
        eligible=scores.eligible,
        replicas=copies - 1,
        demand=_matrix([[w.resources.get(k, 0.0) for k in resources] for w in workloads], len(resources)),
        capacity=_matrix([[r.capacity.get(k, np.inf) for k in resources] for r in regions], len(resources)),
        standby=np.array([w.standby for w in workloads]),
        priority=np.array([w.priority for w in workloads]),
        cloud=np.array([clouds.index(r.cloud) for r in regions], dtype=int),
        country=np.array([countries.index(r.country or r.region_id) for r in regions], dtype=int),
        max_per_cloud=np.array([w.spread.max_per_cloud or w.copies for w in workloads], dtype=int),
        min_clouds=np.array([w.spread.clouds for w in workloads], dtype=int),
        min_countries=np.array([w.spread.countries for w in workloads], dtype=int),
        soft_spread=np.array(["spread" in w.slack for w in workloads], dtype=bool),
        spread_price=1.0,
        same_cloud=float(np.mean([weights[w.name].resilience for w in workloads])) if workloads else 0.0,
        together=_pairs(place, workloads, "affinity"),
        apart=_pairs(place, workloads, "anti_affinity"),
        traffic=tuple(traffic),
        egress=world.egress_usd,
    )


def resources_of(workloads: Sequence[Workload]) -> list[str]:
    """All resources that any workload takes."""
    return sorted({name for workload in workloads for name in workload.resources})


def told(scores: Scores, problem: Problem, solution: Solution, world: World, *, explain: bool = True) -> Plan:
    """The plan of an answer, in words."""
    import numpy as np

    resources = resources_of(scores.workloads)
    room = room_left(problem, solution.primary, solution.replicas)
    placements, explained = [], 0
    for w, workload in enumerate(scores.workloads):
        first = int(solution.primary[w])
        others = np.flatnonzero(solution.replicas[w])
        others = others[np.argsort(problem.replica[w, others], kind="stable")]
        missing = workload.replicas - len(others) + (first < 0)
        conflict = None
        if missing and explain:
            conflict = _conflict(scores, problem, w, resources, search=explained < EXPLAINED)
            explained += 1
        copies = [*([first] if first >= 0 else []), *others.tolist()]
        placements.append(
            Placement(
                workload.name,
                scores.regions[first].region_id if first >= 0 else None,
                tuple(scores.regions[r].region_id for r in others),
                int(missing),
                float(problem.primary[w, first]) if first >= 0 else None,
                _at(scores.latency, w, first),
                _at(scores.latency_low, w, first),
                _at(scores.latency_high, w, first),
                _at(scores.tail, w, first),
                _distribution(workload, world, first) if first >= 0 else {},
                _at(scores.measured, w, first),
                float(scores.cost[w, copies].sum()),
                _at(scores.carbon, w, first),
                _reason(scores, problem, room, w, first, resources),
                _alternative(scores, problem, room, w, first, others),
                _gave_way(scores, problem, w, copies),
                conflict,
            )
        )
    wrong = tuple(broken(problem, solution.primary, solution.replicas))
    return Plan(
        tuple(placements),
        solution.status,
        solution.cost - solution.penalties,
        solution.bound - solution.penalties,
        solution.gap,
        solution.seconds,
        wrong,
        scores,
        problem,
        solution,
    )


def room_left(problem: Problem, primary: NDArray[np.int64], replicas: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What is left of each region's capacity [R, K]."""
    import numpy as np

    room = problem.capacity.astype(float).copy()
    placed = np.flatnonzero(primary >= 0)
    np.subtract.at(room, primary[placed], problem.demand[placed])
    w, r = np.nonzero(replicas)
    np.subtract.at(room, r, problem.demand[w] * problem.standby[w, None])
    return room


def _conflict(scores: Scores, problem: Problem, w: int, resources: Sequence[str], *, search: bool) -> Conflict:
    """By itself, else beside the others."""
    import numpy as np

    allowed: dict[str, Any] = {}
    words: dict[str, str] = {}
    for r, why in enumerate(scores.reasons[w]):
        for text in why:
            kind = text.split(":")[0]
            allowed.setdefault(kind, np.ones(len(scores.regions), dtype=bool))[r] = False
    workload = scores.workloads[w]
    for kind, able in allowed.items():
        words[kind] = _limit(workload, kind, int((~able).sum()), len(scores.regions))
    own = alone(problem, w, allowed, words)
    if own is not None:
        return own
    return together(problem, w, resources, None if search else 1e-9)


def _limit(workload: Workload, kind: str, out: int, of: int) -> str:
    value = {
        "capabilities": f"capabilities {', '.join(workload.capabilities)}",
        "residency": f"residency {', '.join(workload.residency)}",
        "denied": f"denied {', '.join(workload.denied)}",
        "zones": f"spread.zones {workload.spread.zones}",
        "latency": f"target_latency_ms {workload.target_latency_ms or 0:g} for {workload.percentile:.0%} of users",
        "cost": f"max_cost_factor {workload.max_cost_factor or 0:g}",
        "carbon": f"max_carbon_gco2_kwh {workload.max_carbon_gco2_kwh or 0:g}",
        "status": "regions that are active",
        "capacity": f"regions as large as its resources {dict(workload.resources)}",
    }[kind]
    return f"{value} (rules out {out} of {of} regions)"


def _reason(
    scores: Scores, problem: Problem, room: NDArray[np.float64], w: int, first: int, resources: Sequence[str]
) -> str:
    import numpy as np

    able = int(problem.eligible[w].sum())
    if first < 0:
        return f"not placed: eligible in {able} of {len(scores.regions)} regions"
    price = np.where(problem.eligible[w], problem.primary[w], np.inf)
    rank = int((price < price[first] - 1e-9).sum())
    if not rank:
        return f"the lowest score of {able} eligible regions"
    best = int(price.argmin())
    short = [
        name for name, left, need in zip(resources, room[best], problem.demand[w], strict=True) if left < need - 1e-9
    ]
    why = f"has no {' and '.join(short)} left" if short else "serves the whole plan worse"
    return f"number {rank + 1} of {able} eligible regions by itself; {scores.regions[best].region_id} {why}"


def _alternative(
    scores: Scores,
    problem: Problem,
    room: NDArray[np.float64],
    w: int,
    first: int,
    others: NDArray[np.int64],
) -> Alternative | None:
    """The cheapest other region for the primary that has room now and keeps spread; replicas stay. Workloads with affinity
    to this one go with it."""
    import numpy as np

    if first < 0:
        return None
    group = _bound_to(problem, w)
    able = problem.eligible[group].all(axis=0) & (room >= problem.demand[group].sum(axis=0) - 1e-9).all(axis=1)
    scores_of = problem.primary[group].sum(axis=0)
    able[[first, *others]] = False
    clouds = np.bincount(problem.cloud[others], minlength=int(problem.cloud.max()) + 1)
    able &= clouds[problem.cloud] < problem.max_per_cloud[w]
    for r in np.flatnonzero(able):
        copies = [r, *others]
        absent = int(problem.replicas[w]) - len(others)
        few = len(set(problem.cloud[copies])) + absent < problem.min_clouds[w]
        able[r] = not few and len(set(problem.country[copies])) + absent >= problem.min_countries[w]
    if not able.any():
        return None
    price = np.where(able, scores_of, np.inf)
    other = int(price.argmin())
    latency = scores.latency[w, other] - scores.latency[w, first]
    return Alternative(
        scores.regions[other].region_id,
        float(price[other] - scores_of[first]),
        None if np.isnan(latency) else float(latency),
        float(scores.cost[w, other] - scores.cost[w, first]),
    )


def _bound_to(problem: Problem, w: int) -> list[int]:
    """The workload and those that have to be where it is."""
    found, grown = {w}, True
    while grown:
        more = {x for pair in problem.together if found & set(pair) for x in pair} - found
        found |= more
        grown = bool(more)
    return sorted(found)


def _gave_way(scores: Scores, problem: Problem, w: int, copies: Sequence[int]) -> tuple[str, ...]:
    workload, found = scores.workloads[w], []
    for r in copies:
        region = scores.regions[r]
        for kind, value, most in (
            ("latency", scores.tail[w, r], workload.target_latency_ms),
            ("cost", region.price_factor, workload.max_cost_factor),
            ("carbon", scores.carbon[w, r], workload.max_carbon_gco2_kwh),
        ):
            if kind in workload.slack and most is not None and value > most * (1 + 1e-9):
                found.append(f"{kind} in {region.region_id}: {value:.4g} instead of at most {most:.4g}")
    if "spread" in workload.slack:
        hard = replace(problem, soft_spread=problem.soft_spread & False)
        found += [f"spread: {text}" for text in _spread_broken(hard, w, copies)]
    return tuple(found)


def _spread_broken(problem: Problem, w: int, copies: Sequence[int]) -> list[str]:
    clouds = [int(problem.cloud[r]) for r in copies]
    most = max((clouds.count(c) for c in clouds), default=0)
    found = []
    if most > problem.max_per_cloud[w]:
        found.append(f"{most} copies in one cloud instead of at most {problem.max_per_cloud[w]}")
    if len(set(clouds)) < problem.min_clouds[w]:
        found.append(f"{len(set(clouds))} clouds instead of {problem.min_clouds[w]}")
    return found


def _distribution(workload: Workload, world: World, first: int) -> dict[str, float]:
    if not workload.demand:
        return {}
    points, users = people(workload, world.catalog)
    times = world.latency.times(points, [world.regions[first]]).middle
    share = users / users.sum()
    return {f"p{int(at * 100)}": float(percentile(times, share, at)[0]) for at in DISTRIBUTION}


def _at(matrix: NDArray[np.float64], w: int, first: int) -> float | None:
    import numpy as np

    return None if first < 0 or np.isnan(matrix[w, first]) else float(matrix[w, first])


def _pairs(place: Mapping[str, int], workloads: Sequence[Workload], key: str) -> tuple[tuple[int, int], ...]:
    found = {tuple(sorted((place[w.name], place[other]))) for w in workloads for other in getattr(w, key)}
    return tuple((a, b) for a, b in sorted(found))


def _matrix(rows: Sequence[Sequence[float]], width: int) -> NDArray[np.float64]:
    import numpy as np

    return np.array(rows, dtype=float).reshape(len(rows), width)
