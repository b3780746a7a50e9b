"""The optimisation problem in numbers, and its answer.

Belongs here: the two types, and what an answer costs. Does not: building the model (`rows.py`), solving it (`solve.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

UNPLACED = 20.0
"""How many of the dearest placements it is worth to place one more copy."""


@dataclass(frozen=True)
class Traffic:
    """Data from the primary of one workload to that of another: `weight` times `egress` of their regions is its cost."""

    source: int
    target: int
    weight: float


@dataclass(frozen=True)
class Problem:
    """Workloads W, regions R and resources K, all by place.

    `primary` and `replica` are costs [W, R], not negative; only `eligible` [W, R] pairs may be used. Every workload has
    one primary and `replicas` [W] further copies, all in different regions. A primary takes `demand` [W, K] of a region's
    `capacity` [R, K] (infinite: not limited), a replica the share `standby` [W] of it. At most `max_per_cloud` [W] copies
    are in one of the regions' clouds `cloud` [R], and copies are in at least `min_clouds` and `min_countries` of them;
    where `soft_spread` [W] these three may be broken at `spread_price` for each copy. `same_cloud` is the price of each
    copy beyond the first in a cloud. `together`: primaries in one region; `apart`: no copies in one region.
    """

    workloads: tuple[str, ...]
    regions: tuple[str, ...]
    primary: Array
    replica: Array
    eligible: Bools
    replicas: Ints
    demand: Array
    capacity: Array
    standby: Array
    priority: Array
    cloud: Ints
    country: Ints
    max_per_cloud: Ints
    min_clouds: Ints
    min_countries: Ints
    soft_spread: Bools
    spread_price: float = 1.0
    same_cloud: float = 0.0
    together: tuple[tuple[int, int], ...] = ()
    apart: tuple[tuple[int, int], ...] = ()
    traffic: tuple[Traffic, ...] = ()
    egress: Array | None = None

    @cached_property
    def coupled(self) -> Bools:
        """The workloads whose place depends on that of another, other than by capacity."""
        import numpy as np

        found = np.zeros(len(self.workloads), dtype=bool)
        for a, b in (*self.together, *self.apart, *((t.source, t.target) for t in self.traffic)):
            found[[a, b]] = True
        return found

    @cached_property
    def missing_price(self) -> Array:
        """What a missing replica costs [W]."""
        import numpy as np

        usable = np.where(self.eligible, np.maximum(self.primary, self.replica), 0)
        dearest = float(usable.max(initial=0)) + self.spread_price + self.same_cloud
        dearest += sum(t.weight for t in self.traffic) * (
            0.0 if self.egress is None else float(self.egress.max(initial=0))
        )
        return np.asarray(UNPLACED * max(dearest, 1e-6) * self.priority)

    @cached_property
    def unplaced_price(self) -> Array:
        """What a missing primary costs [W]: more than all replicas of several workloads."""
        import numpy as np

        return np.asarray(UNPLACED * (1 + int(self.replicas.max(initial=0))) * self.missing_price)


@dataclass(frozen=True)
class Solution:
    """The answer: region of each primary [W] (-1: none) and replicas [W, R].

    `bound` is proved: no answer costs less. `relaxed` is the bound of the linear relaxation. `status` is optimal (within
    the gap that was asked for), time_limit, or greedy.
    """

    primary: Ints
    replicas: Bools
    cost: float
    bound: float
    relaxed: float
    penalties: float
    status: str
    seconds: float

    @property
    def gap(self) -> float:
        """How much of the cost, without the price of what is missing, may be too much."""
        return max(0.0, self.cost - self.bound) / max(abs(self.cost - self.penalties), 1e-9)

    @property
    def relaxed_gap(self) -> float:
        """The same, above the linear relaxation."""
        return max(0.0, self.cost - self.relaxed) / max(abs(self.cost - self.penalties), 1e-9)


def cost_of(problem: Problem, primary: Ints, replicas: Bools) -> tuple[float, float]:
    """What an answer costs, and how much of that is the price of what is missing or of spread that gave way."""
    import numpy as np

    placed = primary >= 0
    rows = np.arange(len(primary))[placed]
    copies = replicas.copy()
    copies[rows, primary[placed]] = True
    missing = problem.replicas - replicas.sum(axis=1)
    penalties = float(problem.unplaced_price[~placed].sum() + (problem.missing_price * missing).sum())
    cost = float(problem.primary[rows, primary[placed]].sum() + problem.replica[replicas].sum())
    clouds = np.zeros((len(primary), int(problem.cloud.max(initial=-1)) + 1), dtype=int)
    for place, cloud in enumerate(problem.cloud):
        clouds[:, cloud] += copies[:, place]
    cost += problem.same_cloud * float(np.maximum(clouds - 1, 0).sum())
    absent = missing + ~placed
    soft = problem.soft_spread
    too_many = np.maximum(clouds - problem.max_per_cloud[:, None], 0).sum(axis=1)
    too_few = np.maximum(problem.min_clouds - (clouds > 0).sum(axis=1) - absent, 0)
    countries = np.array([len(set(problem.country[row])) for row in copies], dtype=int)
    too_few = too_few + np.maximum(problem.min_countries - countries - absent, 0)
    cost += problem.spread_price * float((too_many + too_few)[soft].sum())
    for t in problem.traffic:
        a, b = primary[t.source], primary[t.target]
        if a >= 0 and b >= 0 and problem.egress is not None:
            cost += t.weight * float(problem.egress[a, b])
    return cost + penalties, penalties
