"""Whether an answer keeps every rule, found out without the model that made it.

Belongs here: counting, in plain loops over the problem's own numbers. Does not: anything shared with `rows.py`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cogniforge_pipeline.edge.placement.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOLERANCE = 1e-6


def broken(problem: Problem, primary: NDArray[np.int64], replicas: NDArray[np.bool_]) -> list[str]:
    """What an answer breaks, one sentence each; nothing for a good one. What is missing breaks nothing."""
    p, found = problem, []
    used = [[0.0] * p.capacity.shape[1] for _ in p.regions]
    spots: list[set[int]] = []
    for w, name in enumerate(p.workloads):
        first = int(primary[w])
        others = [r for r in range(len(p.regions)) if replicas[w][r]]
        copies = [*([first] if first >= 0 else []), *others]
        spots.append(set(copies))
        if first < 0 and others:
            found.append(f"{name} has replicas without a primary")
        if len(set(copies)) < len(copies):
            found.append(f"{name} has two copies in {p.regions[first]}")
        if len(others) > p.replicas[w]:
            found.append(f"{name} has {len(others)} replicas instead of {p.replicas[w]}")
        found += [f"{name} may not be in {p.regions[r]}" for r in copies if not p.eligible[w][r]]
        for r in copies:
            share = 1.0 if r == first else float(p.standby[w])
            for k in range(p.capacity.shape[1]):
                used[r][k] += share * float(p.demand[w][k])
        if not p.soft_spread[w]:
            absent = 1 + int(p.replicas[w]) - len(copies)
            clouds = Counter(int(p.cloud[r]) for r in copies)
            if clouds and max(clouds.values()) > p.max_per_cloud[w]:
                found.append(f"{name} has {max(clouds.values())} copies in one cloud")
            if len(clouds) + absent < p.min_clouds[w]:
                found.append(f"{name} is in {len(clouds)} clouds instead of {p.min_clouds[w]}")
            countries = {int(p.country[r]) for r in copies}
            if len(countries) + absent < p.min_countries[w]:
                found.append(f"{name} is in {len(countries)} countries instead of {p.min_countries[w]}")
    for r, region in enumerate(p.regions):
        for k, amount in enumerate(used[r]):
            room = float(p.capacity[r][k])
            if amount > room + TOLERANCE * max(1.0, room):
                found.append(f"{region} holds {amount:g} of {room:g} of resource {k}")
    for a, b in p.together:
        if primary[a] != primary[b]:
            found.append(f"{p.workloads[a]} and {p.workloads[b]} are not together")
    for a, b in p.apart:
        shared = spots[a] & spots[b]
        found += [f"{p.workloads[a]} and {p.workloads[b]} are both in {p.regions[r]}" for r in sorted(shared)]
    return found
