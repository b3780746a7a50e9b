"""Placing 1,000 workloads with a primary and two replicas on 100 regions of three clouds, at most two copies in a cloud.

Regions are those of the catalog, workloads are seeded: users in a few cities, 1 to 32 CPUs with memory beside, half of
them bound to a continent. Capacities are uneven, so that 60, 80 and 95 % of all CPUs are used. Measured is the worst gap
above the LP bound; the bar is 0.2 % in 20 s, with no violation found by the independent verifier. Beside: greedy.

`python -m bench.placement 120 0.95` gives it 120 s instead, and only one load: on a machine with other work, compare CPU
seconds.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from bench.harness import report
from cogniforge_pipeline.edge.catalog import builtin
from cogniforge_pipeline.edge.geo import distances, estimated_rtt
from cogniforge_pipeline.edge.placement.check import broken
from cogniforge_pipeline.edge.placement.greedy import greedy
from cogniforge_pipeline.edge.placement.problem import Problem, cost_of
from cogniforge_pipeline.edge.placement.solve import solve

WORKLOADS, REGIONS, BAR, SECONDS = 1000, 100, 0.002, 20.0


def instance(used: float, seed: int = 1, workloads: int = WORKLOADS, regions: int = REGIONS) -> Problem:
    """A seeded problem whose copies need the share `used` of all CPUs."""
    rng = np.random.default_rng(seed)
    catalog = builtin()
    chosen = list(catalog.regions.values())
    chosen = [chosen[i] for i in sorted(rng.permutation(len(chosen))[:regions])]
    cities = list(catalog.cities.values())
    km = distances(
        *(np.array([getattr(c, a) for c in cities]) for a in ("lat", "lon")),
        *(np.array([getattr(r, a) for r in chosen]) for a in ("lat", "lon")),
    )
    rtt = estimated_rtt(km)[1] + 10
    people = np.array([c.population for c in cities], dtype=float)
    latency = np.empty((workloads, regions))
    for w in range(workloads):
        users = rng.choice(len(cities), size=3, replace=False, p=people / people.sum())
        latency[w] = np.average(rtt[users], axis=0, weights=people[users])
    price = np.array([r.price_factor for r in chosen])
    cpu = rng.choice([1, 2, 4, 8, 16, 32], size=workloads, p=[0.2, 0.25, 0.25, 0.15, 0.1, 0.05]).astype(float)
    demand = np.stack([cpu, cpu * rng.choice([2, 4, 8], size=workloads)], axis=1)
    size = cpu / cpu.mean()
    continent = np.array([r.continent for r in chosen])
    eligible = np.ones((workloads, regions), dtype=bool)
    home = continent[latency.argmin(axis=1)]
    bound = (rng.random(workloads) < 0.5) & np.isin(home, ["Europe", "North America", "Asia"])
    eligible[bound] = continent[None, :] == home[bound][:, None]
    share = rng.uniform(0.4, 1.6, size=regions)
    capacity = demand.sum(axis=0)[None, :] * 3 / used * (share / share.sum())[:, None]
    clouds = sorted({r.cloud for r in chosen})
    countries = sorted({r.country for r in chosen})
    ones = np.ones(workloads, dtype=int)
    return Problem(
        workloads=tuple(f"w{i:04}" for i in range(workloads)),
        regions=tuple(r.region_id for r in chosen),
        primary=latency / 100 + size[:, None] * price,
        replica=0.2 * latency / 100 + size[:, None] * price,
        eligible=eligible,
        replicas=2 * ones,
        demand=demand,
        capacity=capacity,
        standby=ones.astype(float),
        priority=ones.astype(float),
        cloud=np.array([clouds.index(r.cloud) for r in chosen]),
        country=np.array([countries.index(r.country) for r in chosen]),
        max_per_cloud=2 * ones,
        min_clouds=ones,
        min_countries=ones,
        soft_spread=np.zeros(workloads, dtype=bool),
    )


def main() -> None:
    """Each load, beside greedy."""
    worst, slowest, cpu_seconds, found = 0.0, 0.0, 0.0, {}
    limit = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    for used in [float(text) for text in sys.argv[2:]] or [0.6, 0.8, 0.95]:
        problem = instance(used)
        cpu = time.process_time()
        solution = solve(problem, time_limit=limit)
        cpu = time.process_time() - cpu
        wrong = broken(problem, solution.primary, solution.replicas)
        missing = int((solution.primary < 0).sum() + (problem.replicas - solution.replicas.sum(axis=1)).sum())
        first, others = greedy(problem)
        bad = (first < 0) | (others.sum(axis=1) < problem.replicas)
        whole, penalties = cost_of(problem, first, others)
        worst = max(worst, solution.relaxed_gap if not wrong else 1.0)
        slowest, cpu_seconds = max(slowest, solution.seconds), max(cpu_seconds, cpu)
        found[f"{used:.0%}"] = {
            "above_lp": round(solution.relaxed_gap, 6),
            "proved_gap": round(solution.gap, 6),
            "seconds": round(solution.seconds, 1),
            "cpu_seconds": round(cpu, 1),
            "missing_copies": missing,
            "violations": len(wrong),
            "greedy_unplaced": int(bad.sum()),
            "greedy_above_lp_of_what_it_places": round((whole - penalties) / solution.relaxed - 1, 4),
        }
        print(used, found[f"{used:.0%}"], solution.status)
    report("placement", worst, 1.0, BAR, seconds=round(slowest, 1), cpu_seconds=round(cpu_seconds, 1), loads=found)


if __name__ == "__main__":
    main()
