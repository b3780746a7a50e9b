"""The obvious way to place: one workload after the other, each where it is cheapest now.

Belongs here: the baseline, which also is the answer when no time is left. Does not: anything exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cogniforge_pipeline.edge.placement.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]


def greedy(problem: Problem) -> tuple[Ints, Bools]:
    """Primary and replicas; largest demand first. A workload that does not fit as a whole keeps what fits of it.

    It holds every constraint but soft ones and the least numbers of clouds and countries, for which it only prefers new
    ones while they are short.
    """
    import numpy as np

    p = problem
    room = p.capacity.astype(float).copy()
    primary = np.full(len(p.workloads), -1)
    replicas = np.zeros(p.eligible.shape, dtype=bool)
    bound_to: dict[int, list[int]] = {}
    away: dict[int, list[int]] = {}
    for ties, pairs in ((bound_to, p.together), (away, p.apart)):
        for a, b in pairs:
            ties.setdefault(a, []).append(b)
            ties.setdefault(b, []).append(a)
    scale = np.where(np.isfinite(p.capacity).any(axis=0), p.demand.max(axis=0, initial=0), 0)
    order = np.argsort(-(p.demand / np.where(scale > 0, scale, np.inf)).sum(axis=1), kind="stable")
    for w in order:
        clouds = np.zeros(int(p.cloud.max(initial=-1)) + 1, dtype=int)
        countries: set[int] = set()
        for copy in range(1 + int(p.replicas[w])):
            if copy and primary[w] < 0:
                break
            need = p.demand[w] * (p.standby[w] if copy else 1.0)
            able = p.eligible[w] & (room >= need - 1e-9).all(axis=1) & ~replicas[w]
            if copy:
                able[primary[w]] = False
            able &= clouds[p.cloud] < p.max_per_cloud[w]
            for other in away.get(int(w), ()):
                able &= ~replicas[other]
                if primary[other] >= 0:
                    able[primary[other]] = False
            if not copy:
                for other in bound_to.get(int(w), ()):
                    if primary[other] >= 0:
                        able &= np.arange(len(p.regions)) == primary[other]
            left = 1 + int(p.replicas[w]) - copy
            if p.min_clouds[w] - (clouds > 0).sum() >= left:
                able &= clouds[p.cloud] == 0
            if p.min_countries[w] - len(countries) >= left:
                able &= ~np.isin(p.country, list(countries))
            if not able.any():
                break
            price = np.where(able, p.replica[w] if copy else p.primary[w], np.inf)
            chosen = int(price.argmin())
            room[chosen] -= need
            clouds[p.cloud[chosen]] += 1
            countries.add(int(p.country[chosen]))
            if copy:
                replicas[w, chosen] = True
            else:
                primary[w] = chosen
    return primary, replicas
