"""After regions died: nothing in a dead one, no rule broken, and no primary missing that could have a place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cogniforge_pipeline.edge.placement.check import broken
from cogniforge_pipeline.edge.placement.problem import Problem
from cogniforge_pipeline.edge.placement.replan import replan, without
from cogniforge_pipeline.edge.placement.solve import solve
from cogniforge_pipeline.edge.sites import cover


def fleet(seed: int, workloads: int = 40, regions: int = 12, used: float = 0.5, **changes: Any) -> Problem:
    rng = np.random.default_rng(seed)
    ones = np.ones(workloads, dtype=int)
    demand = rng.choice([1.0, 2, 4], size=(workloads, 1))
    price = rng.uniform(0.5, 1.5, size=(workloads, regions))
    values: dict[str, Any] = {
        "workloads": tuple(f"w{i}" for i in range(workloads)),
        "regions": tuple(f"r{i}" for i in range(regions)),
        "primary": price + rng.uniform(0, 1, size=price.shape),
        "replica": price,
        "eligible": rng.random(price.shape) < 0.7,
        "replicas": ones,
        "demand": demand,
        "capacity": np.full((regions, 1), demand.sum() * 2 / used / regions),
        "standby": ones.astype(float),
        "priority": ones.astype(float),
        "cloud": np.arange(regions) % 3,
        "country": np.arange(regions) % 5,
        "max_per_cloud": ones,
        "min_clouds": ones,
        "min_countries": ones,
        "soft_spread": ones == 0,
    }
    return Problem(**(values | changes))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("killed", [1, 3, 6])
def test_every_primary_that_may_be_somewhere_is_somewhere(seed: int, killed: int) -> None:
    p = fleet(seed)
    before = solve(p)
    dead = np.zeros(12, dtype=bool)
    dead[np.random.default_rng(seed).permutation(12)[:killed]] = True
    after = replan(p, before.primary, before.replicas, dead, time_limit=10)
    alive = without(p, dead)
    assert broken(alive, after.primary, after.replicas) == []
    assert not ((after.primary < 0) & alive.eligible.any(axis=1)).any()
    stays = (before.primary >= 0) & ~dead[np.maximum(before.primary, 0)]
    assert (after.primary[stays] == before.primary[stays]).all()
    assert not (after.promoted & after.moved).any()
    took = np.flatnonzero(after.promoted)
    assert before.replicas[took, after.primary[took]].all()


def test_a_replica_gives_way_to_a_primary_without_room() -> None:
    ones = np.ones(2, dtype=int)
    p = fleet(
        1,
        workloads=2,
        regions=3,
        primary=np.array([[0.0, 9, 1], [0, 0, 9]]),
        replica=np.array([[9.0, 9, 9], [9, 9, 0]]),
        eligible=np.array([[True, False, True], [False, True, True]]),
        replicas=np.array([0, 1]),
        demand=np.ones((2, 1)),
        capacity=np.ones((3, 1)),
        max_per_cloud=2 * ones,
    )
    primary, replicas = np.array([0, 1]), np.array([[False, False, False], [False, False, True]])
    assert broken(p, primary, replicas) == []
    after = replan(p, primary, replicas, np.array([True, False, False]))
    assert after.primary.tolist() == [2, 1]
    assert not after.replicas.any()


def test_workloads_that_belong_together_stay_together() -> None:
    p = fleet(3, workloads=6, used=0.1, together=((0, 1),), eligible=np.ones((6, 12), dtype=bool))
    before = solve(p)
    dead = np.arange(12) == before.primary[0]
    after = replan(p, before.primary, before.replicas, dead)
    assert broken(without(p, dead), after.primary, after.replicas) == []
    assert after.primary[0] == after.primary[1] >= 0


def test_the_chosen_edge_locations_reach_as_many_users_as_any() -> None:
    from itertools import combinations

    for seed in range(5):
        rng = np.random.default_rng(seed)
        within, share = rng.random((12, 7)) < 0.3, rng.random(12)
        times = np.where(within, 10.0, 90.0)
        best = max(share[within[:, list(c)].any(axis=1)].sum() for c in combinations(range(7), 2))
        chosen = cover(within, share, 2, times)
        assert len(chosen) <= 2
        assert share[within[:, chosen].any(axis=1)].sum() == pytest.approx(best)
