"""The problem as a mixed-integer linear model over a chosen set of columns.

Belongs here: variables, rows and prices of columns that are left out. Does not: choosing columns or solving (`solve.py`).

Each column is a (workload, region) pair and gives two variables: x, the primary is there, and y, a replica is there.
Further variables say what is missing (u: the primary, m: so many replicas) and what spread gives way. A workload's
x and y of one region exclude each other; these rows are many and seldom bind, so only asked ones are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cogniforge_pipeline.edge.placement.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]


@dataclass
class Model:
    """`cost`, `upper` and `whole` (must it be an integer) of each variable, and rows lower <= matrix @ v <= upper.

    The first variables are the x of all columns (pairs `w`, `r`), then their y. `row_of` gives for kinds of rows the
    first row's number, by what it is about.
    """

    problem: Problem
    w: Ints
    r: Ints
    cost: Array
    upper: Array
    whole: Bools
    matrix: Any
    row_lower: Array
    row_upper: Array
    row_of: dict[tuple[Any, ...], int]

    def spread_out(self, values: Array) -> tuple[Array, Array]:
        """The x and y of a solution, [W, R]."""
        import numpy as np

        count = len(self.w)
        x, y = np.zeros(self.problem.eligible.shape), np.zeros(self.problem.eligible.shape)
        x[self.w, self.r] = values[:count]
        y[self.w, self.r] = values[count : 2 * count]
        return x, y

    def reduced(self, duals: Array) -> tuple[Array, Array]:
        """Reduced costs [W, R] of x and y of every eligible pair, infinite elsewhere; exact for columns that are not in
        the model, because those have no row of their own."""
        import numpy as np

        p = self.problem
        first = np.zeros(len(p.workloads))
        second = np.zeros(len(p.workloads))
        both = np.zeros(p.eligible.shape)
        clouds = [np.flatnonzero(p.cloud == c) for c in range(int(p.cloud.max(initial=-1)) + 1)]
        countries = [np.flatnonzero(p.country == c) for c in range(int(p.country.max(initial=-1)) + 1)]
        load = np.zeros(p.capacity.shape)
        for (kind, *about), row in self.row_of.items():
            dual = duals[row]
            match kind:
                case "primary":
                    first[about[0]] = dual
                case "replicas":
                    second[about[0]] = dual
                case "cloud" | "extra":
                    both[about[0], clouds[about[1]]] += dual
                case "in_cloud":
                    both[about[0], clouds[about[1]]] -= dual
                case "in_country":
                    both[about[0], countries[about[1]]] -= dual
                case "capacity":
                    load[about[0], about[1]] = dual
        used = p.demand @ load.T
        x = np.where(p.eligible, p.primary - first[:, None] - both - used, np.inf)
        y = np.where(p.eligible, p.replica - second[:, None] - both - used * p.standby[:, None], np.inf)
        y[p.replicas == 0] = np.inf
        return x, y


def build(problem: Problem, columns: Bools, exclusive: Bools | None = None) -> Model:
    """The model over the pairs of `columns` [W, R]; `exclusive`: those whose x and y exclude each other by a row, by
    default none."""
    import numpy as np
    from scipy.sparse import coo_matrix

    p = problem
    made = _Rows()
    w, r = np.nonzero(columns & p.eligible)
    count, workloads = len(w), len(p.workloads)
    places = np.arange(count)
    x, y = places, count + places
    replicated = p.replicas[w] > 0
    cost = [p.primary[w, r], p.replica[w, r], p.unplaced_price, p.missing_price]
    upper = [np.ones(count), replicated.astype(float), np.ones(workloads), p.replicas.astype(float)]
    whole = [np.ones(count), replicated.astype(float), np.ones(workloads), np.ones(workloads)]
    u = 2 * count + np.arange(workloads)
    m = u + workloads
    size = 2 * count + 2 * workloads

    def variables(prices: Array, top: Array, integral: bool) -> Ints:
        nonlocal size
        found = size + np.arange(len(prices))
        cost.append(prices)
        upper.append(top)
        whole.append(np.full(len(prices), float(integral)))
        size += len(prices)
        return found

    base = made.rows([("primary", i) for i in range(workloads)], 1, 1)
    made.put(base + w, x, 1)
    made.put(base + np.arange(workloads), u, 1)
    base = made.rows([("replicas", i) for i in range(workloads)], p.replicas, p.replicas)
    made.put(base + w[replicated], y[replicated], 1)
    made.put(base + np.arange(workloads), m, 1)
    # without a primary there is no replica
    base = made.rows([("follow", i) for i in range(workloads)], 0, np.inf)
    made.put(base + np.arange(workloads), m, 1)
    made.put(base + np.arange(workloads), u, -p.replicas)
    excluded = np.zeros(count, dtype=bool) if exclusive is None else replicated & exclusive[w, r]
    base = made.rows([("one", int(w[k]), int(r[k])) for k in places[excluded]], -np.inf, 1)
    made.put(base + np.arange(excluded.sum()), x[excluded], 1)
    made.put(base + np.arange(excluded.sum()), y[excluded], 1)
    _spread(p, made, w, r, x, y, u, m, variables)
    for resource in range(p.capacity.shape[1]):
        limited = np.flatnonzero(np.isfinite(p.capacity[:, resource]) & (p.demand[:, resource].sum() > 0))
        base = made.rows([("capacity", int(i), resource) for i in limited], -np.inf, p.capacity[limited, resource])
        place = np.full(len(p.regions), -1)
        place[limited] = np.arange(len(limited))
        inside = place[r] >= 0
        need = p.demand[w[inside], resource]
        made.put(base + place[r[inside]], x[inside], need)
        made.put(base + place[r[inside]], y[inside], need * p.standby[w[inside]])
    _pairs(p, made, w, r, x, y, u, variables)
    matrix = coo_matrix(
        (np.concatenate(made.values), (np.concatenate(made.row), np.concatenate(made.column))), (made.count, size)
    ).tocsr()
    return Model(
        p,
        w,
        r,
        np.concatenate(cost),
        np.concatenate(upper),
        np.concatenate(whole) > 0,
        matrix,
        np.concatenate(made.lower),
        np.concatenate(made.upper),
        made.names,
    )


def _spread(p: Problem, made: _Rows, w: Ints, r: Ints, x: Ints, y: Ints, u: Ints, m: Ints, variables: Any) -> None:
    """Rows on how copies of one workload lie in clouds and countries."""
    import numpy as np

    clouds = int(p.cloud.max(initial=-1)) + 1
    copies = 1 + p.replicas
    capped = np.flatnonzero(p.max_per_cloud < copies)
    place = np.full(len(p.workloads), -1)
    place[capped] = np.arange(len(capped))
    base = made.rows(
        [("cloud", int(i), c) for i in capped for c in range(clouds)],
        -np.inf,
        np.repeat(p.max_per_cloud[capped], clouds),
    )
    inside = place[w] >= 0
    row = base + place[w[inside]] * clouds + p.cloud[r[inside]]
    made.put(row, x[inside], 1)
    made.put(row, y[inside], 1)
    soft = np.flatnonzero(p.soft_spread[capped])
    slack = variables(np.full(len(soft) * clouds, p.spread_price), np.full(len(soft) * clouds, np.inf), False)
    made.put(base + (soft[:, None] * clouds + np.arange(clouds)).ravel(), slack, -1)
    if p.same_cloud > 0:
        several = np.flatnonzero(copies > 1)
        place[:] = -1
        place[several] = np.arange(len(several))
        base = made.rows([("extra", int(i), c) for i in several for c in range(clouds)], -np.inf, 1)
        extra = variables(np.full(len(several) * clouds, p.same_cloud), np.full(len(several) * clouds, np.inf), False)
        inside = place[w] >= 0
        row = base + place[w[inside]] * clouds + p.cloud[r[inside]]
        made.put(row, x[inside], 1)
        made.put(row, y[inside], 1)
        made.put(base + np.arange(len(extra)), extra, -1)
    for kind, group, least in (("cloud", p.cloud, p.min_clouds), ("country", p.country, p.min_countries)):
        spread = np.flatnonzero(least > 1)
        if not len(spread):
            continue
        groups = int(group.max(initial=-1)) + 1
        place[:] = -1
        place[spread] = np.arange(len(spread))
        used = variables(np.zeros(len(spread) * groups), np.ones(len(spread) * groups), True)
        base = made.rows([(f"in_{kind}", int(i), g) for i in spread for g in range(groups)], -np.inf, 0)
        made.put(base + np.arange(len(used)), used, 1)
        inside = place[w] >= 0
        row = base + place[w[inside]] * groups + group[r[inside]]
        made.put(row, x[inside], -1)
        made.put(row, y[inside], -1)
        base = made.rows([(f"{kind}_count", int(i)) for i in spread], least[spread], np.inf)
        made.put(base + np.repeat(np.arange(len(spread)), groups), used, 1)
        # a copy that is missing might have been anywhere
        made.put(base + np.arange(len(spread)), u[spread], 1)
        made.put(base + np.arange(len(spread)), m[spread], 1)
        soft = np.flatnonzero(p.soft_spread[spread])
        slack = variables(np.full(len(soft), p.spread_price), np.full(len(soft), np.inf), False)
        made.put(base + soft, slack, 1)


def _pairs(p: Problem, made: _Rows, w: Ints, r: Ints, x: Ints, y: Ints, u: Ints, variables: Any) -> None:
    """Rows between two workloads."""
    import numpy as np

    at: dict[int, dict[int, int]] = {int(i): {} for i in np.flatnonzero(p.coupled)}
    for k in np.flatnonzero(p.coupled[w]):
        at[int(w[k])][int(r[k])] = int(k)
    for a, b in p.together:
        for region in sorted(at[a].keys() | at[b].keys()):
            base = made.rows([("together", a, b, region)], 0, 0)
            for i, sign in ((a, 1), (b, -1)):
                if region in at[i]:
                    made.put([base], [x[at[i][region]]], sign)
    for a, b in p.apart:
        for region in sorted(at[a].keys() & at[b].keys()):
            base = made.rows([("apart", a, b, region)], -np.inf, 1)
            both = [at[a][region], at[b][region]]
            made.put([base] * 2, x[both], 1)
            made.put([base] * 2, y[both], 1)
    for t in p.traffic:
        if p.egress is None:
            continue
        ours, theirs = sorted(at[t.source]), sorted(at[t.target])
        prices = t.weight * p.egress[np.ix_(ours, theirs)]
        flow = variables(prices.ravel(), np.ones(prices.size), False).reshape(prices.shape)
        # the flow out of a region is there when its primary is, unless the other has none
        base = made.rows([("sent", t.source, t.target, i) for i in ours], -np.inf, 0)
        made.put(np.repeat(base + np.arange(len(ours)), len(theirs)), flow.ravel(), 1)
        made.put(base + np.arange(len(ours)), x[[at[t.source][i] for i in ours]], -1)
        base = made.rows([("received", t.source, t.target, j) for j in theirs], -np.inf, 0)
        made.put(np.tile(base + np.arange(len(theirs)), len(ours)), flow.ravel(), 1)
        made.put(base + np.arange(len(theirs)), x[[at[t.target][j] for j in theirs]], -1)
        base = made.rows([("flow", t.source, t.target)], 1, np.inf)
        made.put(np.full(flow.size, base), flow.ravel(), 1)
        made.put([base] * 2, u[[t.source, t.target]], 1)


class _Rows:
    """Rows as they are added."""

    def __init__(self) -> None:
        self.count = 0
        self.names: dict[tuple[Any, ...], int] = {}
        self.row: list[Any] = []
        self.column: list[Any] = []
        self.values: list[Any] = []
        self.lower: list[Any] = []
        self.upper: list[Any] = []

    def rows(self, names: list[tuple[Any, ...]], lower: Any, upper: Any) -> int:
        """Adds rows with these bounds; the first one's number comes back."""
        import numpy as np

        first = self.count
        self.names.update((name, first + place) for place, name in enumerate(names))
        self.count += len(names)
        self.lower.append(np.broadcast_to(np.asarray(lower, dtype=float), (len(names),)))
        self.upper.append(np.broadcast_to(np.asarray(upper, dtype=float), (len(names),)))
        return first

    def put(self, row: Any, column: Any, value: Any) -> None:
        """Adds entries."""
        import numpy as np

        row = np.asarray(row, dtype=np.int64)
        self.row.append(row)
        self.column.append(np.asarray(column, dtype=np.int64))
        self.values.append(np.broadcast_to(np.asarray(value, dtype=float), row.shape))
