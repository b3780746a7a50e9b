"""How far estimated round-trip times are from measured ones, and whether their 90 % intervals hold.

The measured times between regions of three clouds (`../shared/data/edge`, half of all pairs) are split at random into
known and asked pairs, ten times. Measured is the mean error of the estimate for asked pairs that nothing but other pairs
is known of; the baseline is the estimate from distance alone. Coverage has to lie between 85 and 95 %.

Beside: edge locations for the 300 largest cities, the share of users within 30 ms by ten chosen ones, by random ones and
by those nearest to the ten largest cities.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

from bench.harness import report
from cogniforge_pipeline.edge.catalog import builtin
from cogniforge_pipeline.edge.latency import Latency
from cogniforge_pipeline.edge.place_files import known_region
from cogniforge_pipeline.edge.scoring import UserPoint
from cogniforge_pipeline.edge.sites import cover
from cogniforge_pipeline.edge.tabular import read_latency

DATA = Path(__file__).parents[2] / "shared" / "data" / "edge"
ROUNDS, BAR = 10, 1.0
CITIES, SITES, TARGET_MS = 300, 10, 30.0


def main() -> None:
    """Both halves of it."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    catalog = builtin()
    measured = read_latency(folder / "rtt_cross_cloud_2022_half.csv", lambda name: known_region(catalog, name))
    pairs = [pair for pair in measured if pair[0] != pair[1]]
    names = sorted({name for pair in pairs for name in pair})
    points = [catalog.regions[name] for name in names]
    place = {name: number for number, name in enumerate(names)}
    errors: dict[str, list[float]] = {"distance": [], "fitted": []}
    covered: dict[str, list[float]] = {"distance": [], "fitted": []}
    for seed in range(ROUNDS):
        rng = np.random.default_rng(seed)
        known = {pair: measured[pair] for pair in pairs if rng.random() < 0.5}
        asked = [pair for pair in pairs if pair not in known and pair[::-1] not in known]
        i, j = np.array([place[a] for a, _ in asked]), np.array([place[b] for _, b in asked])
        actual = np.array([measured[pair] for pair in asked])
        for name, given in (("distance", {}), ("fitted", known)):
            times = Latency(given, catalog.points()).times(points, points)
            errors[name].append(float(np.abs(times.middle[i, j] - actual).mean()))
            covered[name].append(float(((times.low[i, j] <= actual) & (actual <= times.high[i, j])).mean()))
    coverage = {name: round(float(np.mean(values)), 3) for name, values in covered.items()}
    coverage_range = {name: [round(min(values), 3), round(max(values), 3)] for name, values in covered.items()}
    shares = edge_shares(folder)
    report(
        "latency",
        float(np.mean(errors["fitted"])),
        float(np.mean(errors["distance"])),
        BAR,
        coverage_of_90=coverage,
        coverage_range=coverage_range,
        coverage_ok=all(0.85 <= value <= 0.95 for value in coverage.values()),
        users_within_30_ms=shares,
    )


def edge_shares(folder: Path) -> dict[str, float]:
    """Share of the people of the largest cities within TARGET_MS, by the way of choosing edge locations."""
    catalog = builtin()
    with (folder / "cities_100k.csv").open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: -int(row["population"]))[:CITIES]
    cities = [UserPoint(row["geonameid"], float(row["lat"]), float(row["lon"])) for row in rows]
    people = np.array([float(row["population"]) for row in rows])
    share = people / people.sum()
    sites = list(catalog.edge_locations.values())
    times = Latency({}, {}).times(cities, sites).middle

    def reached(chosen: list[int]) -> float:
        return float(share[(times[:, chosen] <= TARGET_MS).any(axis=1)].sum())

    rng = np.random.default_rng(3)
    random = [reached(rng.choice(len(sites), SITES, replace=False).tolist()) for _ in range(100)]
    return {
        "chosen": round(reached(cover(times <= TARGET_MS, share, SITES, times)), 3),
        "nearest_to_the_largest_cities": round(reached([int(times[row].argmin()) for row in range(SITES)]), 3),
        "random": round(float(np.mean(random)), 3),
    }


if __name__ == "__main__":
    main()
