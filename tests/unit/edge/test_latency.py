"""Round-trip times: measured ones as they are, the others estimated with intervals that hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cogniforge_pipeline.edge.catalog import builtin
from cogniforge_pipeline.edge.geo import distances, estimated_rtt
from cogniforge_pipeline.edge.latency import BASES, Latency
from cogniforge_pipeline.edge.place_files import known_region
from cogniforge_pipeline.edge.tabular import read_latency

MEASURED = Path(__file__).parents[4] / "shared" / "data" / "edge" / "rtt_cross_cloud_2022_half.csv"


def test_distance_of_two_cities() -> None:
    (km,) = distances(np.array([52.52]), np.array([13.405]), np.array([48.8566]), np.array([2.3522]))[0]
    assert km == pytest.approx(878, abs=2)


def test_estimates_grow_with_distance_and_light_is_never_faster() -> None:
    km = np.linspace(0, 20000, 500)
    low, middle, high = estimated_rtt(km)
    assert (np.diff(middle) >= 0).all()
    assert ((0.01 * km <= low) & (low < middle) & (middle < high)).all()


def test_measured_times_differ_by_direction_and_missing_ones_are_marked() -> None:
    catalog = builtin()
    a, b, c = (catalog.region(name) for name in ("aws-eu-west-1", "aws-us-east-1", "aws-sa-east-1"))
    measured = {(a.region_id, b.region_id): 70.0, (b.region_id, a.region_id): 80.0, (a.region_id, c.region_id): 180.0}
    times = Latency(measured, catalog.points()).times([a, b, c], [a, b, c])
    assert [[BASES[cell] for cell in row] for row in times.basis] == [
        ["same place", "pair", "pair"],
        ["pair", "same place", "distance"],
        ["reverse", "distance", "same place"],
    ]
    assert times.middle[0, 1] == 70 and times.middle[1, 0] == 80 and times.middle[2, 0] == 180
    assert times.low[1, 2] < times.middle[1, 2] < times.high[1, 2]


@pytest.mark.skipif(not MEASURED.exists(), reason="the measured times are not here")
def test_the_interval_holds_for_regions_whose_times_were_never_seen() -> None:
    catalog = builtin()
    measured = read_latency(MEASURED, lambda name: known_region(catalog, name))
    pairs = [pair for pair in measured if pair[0] != pair[1]]
    rng = np.random.default_rng(5)
    seen = {pair: measured[pair] for pair in pairs if rng.random() < 0.5}
    asked = [pair for pair in pairs if pair not in seen and pair[::-1] not in seen]
    regions = sorted({name for pair in pairs for name in pair})
    points = [catalog.regions[name] for name in regions]
    at = {name: place for place, name in enumerate(regions)}
    i, j = np.array([at[a] for a, _ in asked]), np.array([at[b] for _, b in asked])
    actual = np.array([measured[pair] for pair in asked])
    for known in (seen, {}):
        times = Latency(known, catalog.points()).times(points, points)
        inside = (times.low[i, j] <= actual) & (actual <= times.high[i, j])
        assert 0.85 <= inside.mean() <= 0.95
