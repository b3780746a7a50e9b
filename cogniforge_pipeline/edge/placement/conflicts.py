"""Why something cannot be placed: the smallest set of constraints that contradict each other.

Belongs here: finding that set, for one workload by itself and for several together. Does not: solving for cost.

By itself: every subset of the workload's own constraints is tried, small ones first, so what is found is smallest.
Together: constraints are dropped one after the other while the rest stays impossible, which leaves a set of which none
can be dropped; then smaller sets are tried while there are few enough. `kind` says which of both it is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, Literal

from cogniforge_pipeline.edge.placement.improve import subproblem
from cogniforge_pipeline.edge.placement.integer import solve_integer
from cogniforge_pipeline.edge.placement.problem import Problem
from cogniforge_pipeline.edge.placement.rows import build

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]

TRIES = 400
SECONDS = 6.0
PAIRS = 4000
"""Larger problems are not searched for a conflict between workloads."""


@dataclass(frozen=True)
class Conflict:
    """Constraints, in words, that cannot hold together. `kind`: smallest (no smaller set contradicts itself), irreducible
    (none of these can be left out), or unproved (the search was too large; these are what is known to bind)."""

    constraints: tuple[str, ...]
    kind: Literal["smallest", "irreducible", "unproved"]

    def __str__(self) -> str:
        return "; ".join(self.constraints)


def alone(problem: Problem, w: int, allowed: Mapping[str, Bools], words: Mapping[str, str]) -> Conflict | None:
    """The smallest conflict among a workload's own constraints; None where it could be placed if it were the only one.

    `allowed` gives for each of its constraints on regions those that it lets through [R], `words` says it; spread and
    copies are added from the problem.
    """
    import numpy as np

    copies = 1 + int(problem.replicas[w])
    everywhere = np.ones(len(problem.regions), dtype=bool)
    hard = not problem.soft_spread[w]
    rules = dict.fromkeys(allowed, "")
    if hard and problem.max_per_cloud[w] < copies:
        rules["max_per_cloud"] = f"at most {problem.max_per_cloud[w]} copies in a cloud"
    if hard and problem.min_clouds[w] > 1:
        rules["clouds"] = f"copies in at least {problem.min_clouds[w]} clouds"
    if hard and problem.min_countries[w] > 1:
        rules["countries"] = f"copies in at least {problem.min_countries[w]} countries"
    needed = f"{copies} copies in different regions" if copies > 1 else "a region"
    for size in range(len(rules) + 1):
        for chosen in combinations(rules, size):
            able = everywhere.copy()
            for name in chosen:
                if name in allowed:
                    able &= allowed[name]
            if not _enough(problem, w, able, copies, chosen):
                name = problem.workloads[w]
                told = [f"{name}: {words.get(rule) or rules[rule]}" for rule in chosen]
                return Conflict((*told, f"{name}: it needs {needed}"), "smallest")
    return None


def _enough(problem: Problem, w: int, able: Bools, copies: int, chosen: Sequence[str]) -> bool:
    import numpy as np

    clouds = np.bincount(problem.cloud[able])
    room = np.minimum(clouds, problem.max_per_cloud[w]) if "max_per_cloud" in chosen else clouds
    if room.sum() < copies:
        return False
    if "clouds" in chosen and (clouds > 0).sum() < problem.min_clouds[w]:
        return False
    return not ("countries" in chosen and len(set(problem.country[able])) < problem.min_countries[w])


Element = tuple[str, int, int]


def together(problem: Problem, w: int, resources: Sequence[str], until: float | None = None) -> Conflict:
    """Why a workload cannot be placed beside the others, each of which must be placed whole."""
    import numpy as np

    until = until or time.perf_counter() + SECONDS
    if int(problem.eligible.sum()) > PAIRS:
        return _binding(problem, w, resources)
    taken = problem.demand.sum(axis=0) > 0
    elements: list[Element] = [("copies", i, 0) for i in range(len(problem.workloads)) if i != w]
    elements += [("together", a, b) for a, b in problem.together] + [("apart", a, b) for a, b in problem.apart]
    elements += [
        ("capacity", int(r), int(k))
        for r, k in np.argwhere(np.isfinite(problem.capacity))
        if taken[k] and problem.eligible[:, r].any()
    ]
    fixed: Element = ("copies", w, 0)
    if _possible(problem, [fixed, *elements]):
        return Conflict(("the time limit: it can be placed beside the others, but was not yet",), "unproved")
    kept = list(elements)
    # large pieces first, then one by one
    step = max(1, len(kept) // 4)
    while step:
        place = 0
        while place < len(kept):
            if time.perf_counter() > until:
                return _binding(problem, w, resources)
            without = kept[:place] + kept[place + step :]
            if _possible(problem, [fixed, *without]):
                place += step
            else:
                kept = without
        step //= 2
    kind: Literal["smallest", "irreducible"] = "irreducible"
    tries = 0
    for size in range(len(kept)):
        if tries + comb(len(elements), size) > TRIES or time.perf_counter() > until:
            break
        tries += comb(len(elements), size)
        smaller = next((c for c in combinations(elements, size) if not _possible(problem, [fixed, *c])), None)
        if smaller is not None:
            kept, kind = list(smaller), "smallest"
            break
    else:
        kind = "smallest"
    return Conflict(tuple(_words(problem, e, resources) for e in (fixed, *kept)), kind)


def _possible(problem: Problem, elements: Sequence[Element]) -> bool:
    """Whether the workloads named can all be placed whole under the other elements alone."""
    import numpy as np

    rows = np.array(sorted({a for kind, a, _ in elements if kind == "copies"}))
    capacity = np.full(problem.capacity.shape, np.inf)
    for kind, a, b in elements:
        if kind == "capacity":
            capacity[a, b] = problem.capacity[a, b]
    ties = {kind: tuple((a, b) for k, a, b in elements if k == kind) for kind in ("together", "apart")}
    part = subproblem(replace(problem, together=ties["together"], apart=ties["apart"], traffic=()), rows, capacity)
    part = replace(part, primary=np.zeros_like(part.primary), replica=np.zeros_like(part.replica), same_cloud=0.0)
    model = build(part, part.eligible)
    model.upper[2 * len(model.w) : 2 * len(model.w) + 2 * len(rows)] = 0
    return solve_integer(model, 1.0, SECONDS) is not None


def _binding(problem: Problem, w: int, resources: Sequence[str]) -> Conflict:
    places = int(problem.eligible[w].sum())
    needs = ", ".join(
        f"{amount:g} {name}" for name, amount in zip(resources, problem.demand[w], strict=True) if amount > 0
    )
    return Conflict(
        (
            f"{problem.workloads[w]}: it needs {1 + int(problem.replicas[w])} times {needs or 'a region'}",
            f"the capacity of the {places} regions where it is eligible, beside all other workloads",
        ),
        "unproved",
    )


def _words(problem: Problem, element: Element, resources: Sequence[str]) -> str:
    kind, a, b = element
    match kind:
        case "copies":
            needs = ", ".join(f"{n:g} {r}" for r, n in zip(resources, problem.demand[a], strict=True) if n > 0)
            return f"{problem.workloads[a]}: {1 + int(problem.replicas[a])} x ({needs or 'nothing'})"
        case "capacity":
            return f"{problem.regions[a]}: capacity of {problem.capacity[a, b]:g} {resources[b]}"
        case _:
            words = "in one region" if kind == "together" else "in no region together"
            return f"{problem.workloads[a]} and {problem.workloads[b]}: {words}"
