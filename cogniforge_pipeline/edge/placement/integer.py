"""A mixed-integer model given to HiGHS.

Belongs here: the form that it solves fastest, and reading its answer. Does not: the model (`rows.py`).

Instead of y, a replica is there, it gets z = x + y, a copy is there. Where a replica takes as much room as a primary and
nothing else depends on x, x need not be declared whole: of whole z the cheapest is the primary, by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cogniforge_pipeline.edge.placement.rows import Model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Found:
    """Primary [W] and replicas [W, R], the proved bound, and whether that is optimal or time_limit."""

    primary: NDArray[np.int64]
    replicas: NDArray[np.bool_]
    bound: float
    status: str


def solve_integer(model: Model, gap: float, time_limit: float) -> Found | None:
    """The answer at a relative `gap`; None where none was found in time. The model needs no rows of kind "one"."""
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_matrix, hstack, vstack

    p, count = model.problem, len(model.w)
    matrix = model.matrix.tocsc()
    x, y, rest = matrix[:, :count], matrix[:, count : 2 * count], matrix[:, 2 * count :]
    places = np.arange(count)
    within = coo_matrix(
        (np.repeat([1.0, -1.0], count), (np.tile(places, 2), np.concatenate([places, count + places]))),
        shape=(count, matrix.shape[1]),
    )
    cost = model.cost.copy()
    cost[:count] -= model.cost[count : 2 * count]
    upper = model.upper.copy()
    upper[count : 2 * count] = 1
    whole = model.whole.astype(int)
    whole[:count] = (p.coupled | (p.standby < 1))[model.w]
    whole[count : 2 * count] = 1
    # a workload without replicas has no copy but its primary
    single = p.replicas[model.w] == 0
    found = milp(
        cost,
        integrality=whole,
        bounds=Bounds(0, upper),
        constraints=LinearConstraint(
            vstack([hstack([x - y, y, rest]), within]).tocsr(),
            np.concatenate([model.row_lower, np.where(single, 0.0, -np.inf)]),
            np.concatenate([model.row_upper, np.zeros(count)]),
        ),
        options={"mip_rel_gap": gap, "time_limit": max(time_limit, 0.1)},
    )
    if found.x is None:
        return None
    shares = np.zeros(p.eligible.shape)
    shares[model.w, model.r] = found.x[:count]
    copies = np.zeros(p.eligible.shape, dtype=bool)
    copies[model.w, model.r] = found.x[count : 2 * count] > 0.5
    primary = np.where(shares.sum(axis=1) > 0.5, np.where(copies, shares, -1.0).argmax(axis=1), -1)
    placed = np.flatnonzero(primary >= 0)
    copies[placed, primary[placed]] = False
    copies[primary < 0] = False
    bound = found.fun if found.mip_dual_bound is None else found.mip_dual_bound
    return Found(primary, copies, float(bound), "optimal" if found.status == 0 else "time_limit")
