"""Solving the problem exactly, in the time that is given.

Belongs here: small problems at once; large ones by columns: the linear relaxation over few columns, to which those with
negative reduced costs are added until there are none, which proves the bound. Does not: the model itself (`rows.py`),
the way from the relaxation to an answer (`improve.py`), or explaining what cannot be placed (`conflicts.py`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cogniforge_pipeline.edge.placement.greedy import greedy
from cogniforge_pipeline.edge.placement.integer import solve_integer
from cogniforge_pipeline.edge.placement.problem import Problem, Solution, cost_of
from cogniforge_pipeline.edge.placement.rows import Model, build

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

SMALL = 2500
"""Up to so many pairs of workload and region are solved at once."""
FEW, EACH_CLOUD, MORE = 12, 3, 8
"""Columns of each workload at first, of these in each cloud at least, and added in a round."""
ROUNDS = 6
"""After so many rounds only columns are added: rows that are still left out change the bound by next to nothing."""
EPSILON = 1e-5


def solve(problem: Problem, *, gap: float = 1e-3, time_limit: float = 60.0) -> Solution:
    """The best answer found within about `time_limit` seconds, with its proved bound; stops at a relative `gap`.

    Small problems are solved to a gap of 0. What cannot be placed stays out at the prices of the problem, so that there
    is always an answer.
    """
    start = time.perf_counter()
    if not problem.workloads or not problem.regions:
        return _solution(problem, *greedy(problem), None, None, "optimal", start)
    if int(problem.eligible.sum()) <= SMALL:
        found = solve_integer(build(problem, problem.eligible), 0.0, time_limit)
        if found is None:
            return _solution(problem, *greedy(problem), None, None, "greedy", start)
        return _solution(problem, found.primary, found.replicas, found.bound, None, found.status, start)
    from cogniforge_pipeline.edge.placement.improve import improve

    relaxation = relax(problem, start + 0.5 * time_limit)
    primary, replicas, status = improve(problem, relaxation, gap, start + time_limit)
    return _solution(problem, primary, replicas, relaxation.bound, relaxation.bound, status, start)


@dataclass(frozen=True)
class Relaxation:
    """The linear relaxation: a proved bound, its x and y [W, R], their reduced costs [W, R], capacity's prices [R, K]."""

    bound: float
    x: Array
    y: Array
    reduced_x: Array
    reduced_y: Array
    prices: Array


def relax(problem: Problem, until: float) -> Relaxation:
    """The relaxation by columns; where time is up, the bound is lower by what the columns left out may be worth.

    Duals give the reduced cost of any column; the relaxation without some rows is a bound for the one with them.
    """
    import numpy as np

    columns = _first_columns(problem)
    exclusive = np.zeros_like(columns)
    rounds = 0
    while True:
        rounds += 1
        model = build(problem, columns, exclusive)
        values, duals, cost = _linear(model)
        reduced_x, reduced_y = model.reduced(duals)
        pair = np.minimum(reduced_x, reduced_y)
        count = len(model.w)
        clash = values[:count] + values[count : 2 * count] > 1 + EPSILON
        absent = problem.eligible & ~columns & (pair < -EPSILON)
        late = time.perf_counter() > until
        if late or (not absent.any() and (rounds >= ROUNDS or not clash.any())):
            break
        exclusive[model.w[clash], model.r[clash]] = True
        order = np.argsort(np.where(absent, pair, np.inf), axis=1)[:, :MORE]
        chosen = np.zeros_like(columns)
        np.put_along_axis(chosen, order, True, axis=1)
        columns |= chosen & absent
    outside = problem.eligible & ~columns
    short = np.minimum(np.where(outside, reduced_x, 0), 0).min(axis=1, initial=0)
    short = short + np.minimum(np.where(outside, reduced_y, 0), 0).min(axis=1, initial=0) * problem.replicas
    x, y = model.spread_out(values)
    prices = np.zeros(problem.capacity.shape)
    for (kind, *about), row in model.row_of.items():
        if kind == "capacity":
            prices[about[0], about[1]] = max(0.0, -duals[row])
    return Relaxation(cost + float(short.sum()), x, y, reduced_x, reduced_y, prices)


def _first_columns(problem: Problem) -> Bools:
    import numpy as np

    p = problem
    price = np.where(p.eligible, p.primary + p.replica, np.inf)
    columns = np.zeros_like(p.eligible)
    need = int(p.replicas.max(initial=0)) + 1
    order = np.argsort(price, axis=1, kind="stable")
    np.put_along_axis(columns, order[:, : max(FEW, 2 * need)], True, axis=1)
    for cloud in set(p.cloud.tolist()):
        inside = np.flatnonzero(p.cloud == cloud)
        best = inside[np.argsort(price[:, inside], axis=1, kind="stable")[:, :EACH_CLOUD]]
        np.put_along_axis(columns, best, True, axis=1)
    columns[p.coupled] = True
    return columns & p.eligible


def _linear(model: Model) -> tuple[Array, Array, float]:
    """Values, duals by row, and cost of the linear relaxation."""
    import numpy as np
    from scipy.optimize import linprog
    from scipy.sparse import vstack

    equal = model.row_lower == model.row_upper
    below = np.isfinite(model.row_upper) & ~equal
    above = np.isfinite(model.row_lower) & ~equal
    found = linprog(
        model.cost,
        A_ub=vstack([model.matrix[below], -model.matrix[above]]),
        b_ub=np.concatenate([model.row_upper[below], -model.row_lower[above]]),
        A_eq=model.matrix[equal],
        b_eq=model.row_lower[equal],
        bounds=np.stack([np.zeros_like(model.upper), model.upper], axis=1),
        method="highs",
    )
    duals = np.zeros(len(model.row_lower))
    duals[equal] = found.eqlin.marginals
    duals[below] = found.ineqlin.marginals[: below.sum()]
    duals[above] = -found.ineqlin.marginals[below.sum() :]
    return found.x, duals, float(found.fun)


def _solution(
    problem: Problem,
    primary: Ints,
    replicas: Bools,
    bound: float | None,
    relaxed: float | None,
    status: str,
    start: float,
) -> Solution:
    cost, penalties = cost_of(problem, primary, replicas)
    bound = 0.0 if bound is None else min(bound, cost)
    relaxed = bound if relaxed is None else relaxed
    return Solution(primary, replicas, cost, bound, relaxed, penalties, status, time.perf_counter() - start)
