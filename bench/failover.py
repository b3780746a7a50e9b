"""Regions that die at random: 1, 5, 10 and 20 of 100, 50 seeds each, and the new plan for 1,000 workloads.

The plan before is that of `bench.placement` at 60 % of all CPUs. Measured is the longest re-plan in seconds; the bar is
5. Every re-plan is checked: nothing in a dead region, no rule broken by the independent checker, and a primary is missing
only where no live region is eligible, or none has room even without all replicas.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from bench.harness import report
from bench.placement import instance
from cogniforge_pipeline.edge.placement.check import broken
from cogniforge_pipeline.edge.placement.replan import replan, without
from cogniforge_pipeline.edge.placement.solve import solve

KILLED, SEEDS, BAR = (1, 5, 10, 20), 50, 5.0


def main() -> None:
    """Each number of regions."""
    problem = instance(0.6)
    before = solve(problem, time_limit=30, gap=0.002)
    took, cpu, found = [], [], {}
    faults = 0
    for count in KILLED:
        unplaced, missing, nowhere, wrong, dead_used = 0, 0, 0, 0, 0
        for seed in range(SEEDS):
            dead = np.zeros(len(problem.regions), dtype=bool)
            dead[np.random.default_rng(seed).permutation(len(dead))[:count]] = True
            clock = time.process_time()
            after = replan(problem, before.primary, before.replicas, dead)
            cpu.append(time.process_time() - clock)
            took.append(after.seconds)
            alive = without(problem, dead)
            wrong += len(broken(alive, after.primary, after.replicas))
            dead_used += int(dead[after.primary[after.primary >= 0]].sum() + after.replicas[:, dead].sum())
            lost = after.primary < 0
            nowhere += int((lost & ~alive.eligible.any(axis=1)).sum())
            unplaced += int((lost & alive.eligible.any(axis=1)).sum())
            missing += int((problem.replicas - after.replicas.sum(axis=1)).sum())
        faults += unplaced + wrong + dead_used
        found[count] = {
            "primaries_unplaced_though_eligible_somewhere": unplaced,
            "without_an_eligible_region": nowhere,
            "missing_replicas_each": missing / SEEDS,
            "violations": wrong,
            "copies_in_dead_regions": dead_used,
        }
        print(count, found[count])
    worst = max(took) if not faults else float("inf")
    more = {"median_seconds": round(statistics.median(took), 2), "longest_cpu_seconds": round(max(cpu), 2)}
    report("failover", min(worst, 1e9), 1.0, BAR, **more, killed=found)


if __name__ == "__main__":
    main()
