"""Edge locations for a population: which few of them bring most users within the target latency.

Belongs here: the choice, exact. Does not: where the workload itself runs.

Maximal covering: of k locations, those within whose target most users are; mixed-integer, so no other choice of k does
better. Without a target, it is the median time of users to the nearest location of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cogniforge_pipeline.edge.model import Workload
from cogniforge_pipeline.edge.scoring import World, people, percentile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sites:
    """Ids of edge locations, and the share of users within the target by them (None without users)."""

    chosen: tuple[str, ...]
    share: float | None
    target_ms: float | None


def choose_sites(workload: Workload, world: World) -> Sites:
    """The edge locations that a workload asks for; none where it asks for none or has no users."""
    if not workload.edge_locations or not workload.demand:
        return Sites((), None, None)
    points, users = people(workload, world.catalog)
    locations = list(world.catalog.edge_locations.values())
    times = world.latency.times(points, locations).middle
    share = users / users.sum()
    target = workload.target_latency_ms or float(percentile(times.min(axis=1)[:, None], share, 0.5)[0])
    chosen = cover(times <= target, share, workload.edge_locations, times)
    inside = (times[:, chosen] <= target).any(axis=1)
    return Sites(tuple(locations[j].edge_id for j in chosen), float(share[inside].sum()), target)


def cover(within: NDArray[np.bool_], share: Array, count: int, times: Array) -> list[int]:
    """At most `count` columns such that the rows with a True in one of them have the largest share together; of equally
    good ones, rather those that are fast."""
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_matrix, eye, hstack, vstack

    # a column whose rows another one has, too, and that is not faster on the whole, is never needed
    speed = share @ times
    _, first = np.unique(within[:, order := np.argsort(speed, kind="stable")], axis=1, return_index=True)
    columns = order[first]
    rows = np.flatnonzero(within.any(axis=1) & (share > 0))
    if not len(rows):
        return [int(speed.argmin())]
    reach = csr_matrix(within[np.ix_(rows, columns)].astype(float))
    sites, users = len(columns), len(rows)
    cost = np.concatenate([1e-6 * speed[columns] / max(float(speed.max()), 1e-9), -share[rows]])
    found = milp(
        cost,
        integrality=np.concatenate([np.ones(sites), np.zeros(users)]),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(
            vstack([hstack([-reach, eye(users)]), csr_matrix(np.concatenate([np.ones(sites), np.zeros(users)]))]),
            -np.inf,
            np.concatenate([np.zeros(users), [count]]),
        ),
        options={"mip_rel_gap": 0.0, "time_limit": 20.0},
    )
    return sorted(int(columns[j]) for j in np.flatnonzero(found.x[:sites] > 0.5))
