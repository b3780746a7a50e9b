"""What each region means for each workload: eligible or why not, latency for its users, cost, carbon, score.

Belongs here: from declared things to numbers. Does not: choosing (`placement`), or reading.

Limits hold for every copy, because a replica must be able to become the primary. Latency is that of the workload's users
by number: the mean counts for the score, the percentile for the target. A replica serves nobody yet, so its latency
counts REPLICA_LATENCY of the primary's; cost, carbon and resilience count in full for every copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from cogniforge_pipeline.edge.catalog import Catalog, EdgeError, Region
from cogniforge_pipeline.edge.latency import MEASURED, Latency, Point, Times
from cogniforge_pipeline.edge.model import Demand, Weights, Workload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Bools = NDArray[np.bool_]

REPLICA_LATENCY = 0.2
LATENCY_MS, CARBON_G = 100.0, 400.0
GIVING_WAY, EXCESS = 1.0, 10.0
"""What it costs to break a limit that may give way: so much, and so much for each whole time that it is exceeded by."""
SAME_REGION, SAME_CONTINENT, SAME_CLOUD, CROSS_CLOUD = 0.0, 0.02, 0.05, 0.09
"""USD per GB where none is given: typical list prices within a cloud, and to elsewhere."""


@dataclass(frozen=True)
class UserPoint:
    """Users at coordinates."""

    point_id: str
    lat: float
    lon: float
    is_user: bool = True


@dataclass(frozen=True)
class World:
    """What placement knows: the catalog's candidate regions in order, times, and prices of data in USD per GB."""

    catalog: Catalog
    latency: Latency
    egress: Mapping[tuple[str, str], float] = field(default_factory=dict)

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """All regions, by id."""
        return tuple(sorted(self.catalog.regions.values(), key=lambda region: region.region_id))

    @cached_property
    def egress_usd(self) -> Array:
        """USD per GB from region to region: the given prices, else typical ones."""
        import numpy as np

        found = np.array(
            [
                [self.egress.get((a.region_id, b.region_id), estimated_egress(a, b)) for b in self.regions]
                for a in self.regions
            ]
        )
        return found.reshape(len(self.regions), len(self.regions))


@dataclass(frozen=True)
class Scores:
    """For each workload (rows) and region (columns): `reasons` why not (empty: eligible), mean and percentile latency in
    ms (NaN without users) with the 90 % interval of the mean, cost in USD a month, carbon in g per kWh (NaN: not known),
    `primary` and `replica` scores, of which `penalty` is for limits that give way. `measured`: the share of users whose
    latency was measured."""

    workloads: tuple[Workload, ...]
    regions: tuple[Region, ...]
    reasons: tuple[tuple[tuple[str, ...], ...], ...]
    eligible: Bools
    latency: Array
    latency_low: Array
    latency_high: Array
    tail: Array
    measured: Array
    cost: Array
    carbon: Array
    penalty: Array
    primary: Array
    replica: Array
    mean_usd: float


def score(
    workloads: Sequence[Workload],
    world: World,
    weights: Mapping[str, Weights],
    current: Mapping[str, tuple[str | None, Sequence[str]]] | None = None,
    *,
    dead: frozenset[str] = frozenset(),
) -> Scores:
    """The numbers for every workload and region. `weights` by workload name; `current` are primaries and replicas now,
    which stickiness favours; `dead` are regions that count as down.

    Raises EdgeError for places and regions that do not exist.
    """
    import numpy as np

    regions = world.regions
    shape = (len(workloads), len(regions))
    latency, low, high, tail, measured = (np.full(shape, np.nan) for _ in range(5))
    for row, workload in enumerate(workloads):
        if workload.demand:
            points, users = people(workload, world.catalog)
            times = world.latency.times(points, regions)
            share = users / users.sum()
            latency[row], low[row], high[row] = share @ times.middle, share @ times.low, share @ times.high
            tail[row] = percentile(times.middle, share, workload.percentile)
            measured[row] = share @ (times.basis == MEASURED)
    factor = np.array([region.price_factor for region in regions])
    grid = np.array([np.nan if r.carbon_gco2_kwh is None else r.carbon_gco2_kwh for r in regions], dtype=float)
    usd = np.array([workload.monthly_usd for workload in workloads])
    mean_usd = float(usd.mean()) if len(usd) else 1.0
    reasons, penalty = _judge(workloads, regions, tail, factor, grid, world, dead)
    eligible = np.array([[not cell for cell in row] for row in reasons], dtype=bool).reshape(shape)
    known = np.nan_to_num(grid, nan=float(np.nanmax(grid)) if np.isfinite(grid).any() else 0.0)
    size = (usd / mean_usd)[:, None]
    risk = np.array([1 / max(1, len(region.zones)) for region in regions])
    w = {n: np.array([getattr(weights[x.name], n) for x in workloads])[:, None] for n in Weights.model_fields}
    shared = w["cost"] * size * factor + w["carbon"] * size * known / CARBON_G + w["resilience"] * risk + penalty
    served = w["latency"] * np.nan_to_num(latency) / LATENCY_MS
    primary, replica = served + shared, REPLICA_LATENCY * served + shared
    for row, workload in enumerate(workloads):
        held = (current or {}).get(workload.name)
        if held and workload.stickiness:
            for column, region in enumerate(regions):
                primary[row, column] += workload.stickiness * (region.region_id != held[0])
                replica[row, column] += workload.stickiness * (region.region_id not in (held[0], *held[1]))
    return Scores(
        tuple(workloads), regions, reasons, eligible, latency, low, high, tail, measured,
        usd[:, None] * factor, np.broadcast_to(grid, shape), penalty, primary, replica, mean_usd,
    )  # fmt: skip


def people(workload: Workload, catalog: Catalog) -> tuple[list[Point], Array]:
    """Where a workload's users are, and how many. Raises EdgeError for a place that does not exist."""
    import numpy as np

    points: list[Point] = []
    users: list[float] = []
    for demand in workload.demand:
        found = _places(workload, demand, catalog)
        total = sum(share for _, share in found)
        points += [point for point, _ in found]
        users += [demand.users * share / total for _, share in found]
    return points, np.array(users)


def percentile(times: Array, share: Array, at: float) -> Array:
    """The least time in each column within which at least the share `at` of the users (rows) are."""
    import numpy as np

    order = np.argsort(times, axis=0, kind="stable")
    reached = np.cumsum(share[order], axis=0)
    place = (reached >= at - 1e-9).argmax(axis=0)
    return np.asarray(np.take_along_axis(times, np.take_along_axis(order, place[None, :], axis=0), axis=0)[0])


def estimated_egress(a: Region, b: Region) -> float:
    """USD per GB where no price is given."""
    if a.region_id == b.region_id:
        return SAME_REGION
    if a.cloud != b.cloud:
        return CROSS_CLOUD
    return SAME_CONTINENT if a.continent == b.continent else SAME_CLOUD


def _places(workload: Workload, demand: Demand, catalog: Catalog) -> list[tuple[Point, float]]:
    if demand.lat is not None and demand.lon is not None:
        return [(UserPoint(f"{demand.lat:g},{demand.lon:g}", demand.lat, demand.lon), 1.0)]
    if demand.city is not None:
        known = catalog.cities.get(demand.city.strip().lower().replace(" ", "-"))
        found = known or catalog.edge_locations.get(demand.city) or catalog.find_region(demand.city)
        if found is None:
            raise EdgeError(
                f"workload {workload.name}: demand names {demand.city!r}, which is no city, region or edge location",
                "give lat and lon instead, or see platform/regions",
            )
        return [(found, 1.0)]
    wanted = (demand.country or "").upper()
    continent = (demand.continent or "").lower()
    from cogniforge_pipeline.edge.catalog import countries

    inside = [
        (city, float(city.population))
        for city in catalog.cities.values()
        if (city.country == wanted if wanted else countries()[city.country][0].lower() == continent)
    ]
    if not inside:
        raise EdgeError(
            f"workload {workload.name}: no city of the catalog is in {demand.country or demand.continent!r}",
            "write a country as in ISO 3166, such as DE, a continent as Europe, or give lat and lon",
        )
    return [(city, population) for city, population in inside]


def _judge(
    workloads: Sequence[Workload],
    regions: Sequence[Region],
    tail: Array,
    factor: Array,
    grid: Array,
    world: World,
    dead: frozenset[str],
) -> tuple[tuple[tuple[tuple[str, ...], ...], ...], Array]:
    """Why not, for every workload and region, and what giving way costs."""
    import numpy as np

    penalty = np.zeros((len(workloads), len(regions)))
    names = [region.places for region in regions]
    rows = []
    for row, workload in enumerate(workloads):
        allowed = _named(workload, "residency", world.catalog, names)
        denied = _named(workload, "denied", world.catalog, names)
        needed = frozenset(workload.capabilities)
        cells = []
        for column, region in enumerate(regions):
            why = []
            if region.status != "active" or region.region_id in dead:
                why.append(f"status: it is {'down' if region.region_id in dead else region.status}")
            if needed - region.capabilities:
                why.append(f"capabilities: it has no {', '.join(sorted(needed - region.capabilities))}")
            if allowed and not allowed & names[column]:
                why.append(f"residency: it is not in {', '.join(workload.residency)}")
            if denied & names[column]:
                why.append(f"denied: {', '.join(sorted(denied & names[column]))}")
            if len(region.zones) < workload.spread.zones:
                why.append(f"zones: it has {len(region.zones)} of {workload.spread.zones}")
            limits = (
                ("latency", tail[row, column], workload.target_latency_ms, "ms"),
                ("cost", factor[column], workload.max_cost_factor, "times the price"),
                ("carbon", grid[column], workload.max_carbon_gco2_kwh, "g/kWh"),
            )
            for kind, value, most, unit in limits:
                if most is None or (kind == "latency" and not workload.demand):
                    continue
                if np.isnan(value):
                    why.append(f"{kind}: it is not known")
                elif value > most * (1 + 1e-9):
                    if kind in workload.slack:
                        penalty[row, column] += GIVING_WAY + EXCESS * (value / most - 1)
                    else:
                        why.append(f"{kind}: {value:.4g} {unit} instead of at most {most:.4g}")
            for resource, amount in workload.resources.items():
                if amount > region.capacity.get(resource, np.inf):
                    why.append(f"capacity: {region.capacity[resource]:g} {resource} for {amount:g}")
            cells.append(tuple(why))
        rows.append(tuple(cells))
    return tuple(rows), penalty


def _named(workload: Workload, key: str, catalog: Catalog, names: Sequence[frozenset[str]]) -> frozenset[str]:
    """Places of residency or denied, as regions name them. Raises EdgeError for one that means nothing."""
    known = frozenset().union(*names)
    everywhere = _everywhere()
    found = set()
    for name in getattr(workload, key):
        word = name.lower()
        if word not in known and word not in everywhere:
            region = catalog.find_region(name)
            if region is None:
                raise EdgeError(
                    f"workload {workload.name}: {key} names {name!r}, which is no region, cloud, country, continent or "
                    "jurisdiction",
                    "write DE, EU, Europe, aws or aws-eu-central-1",
                )
            word = region.region_id.lower()
        found.add(word)
    return frozenset(found)


def _everywhere() -> frozenset[str]:
    """Countries, continents and jurisdictions that exist, whether a candidate region is there or not."""
    from cogniforge_pipeline.edge.catalog import CLOUDS, builtin, countries

    about = countries()
    named = {n.lower() for country, (c, js, *_) in about.items() for n in (country, c, *js)}
    return frozenset(named | set(CLOUDS) | {name.lower() for name in builtin().regions})


__all__ = ["Scores", "Times", "World", "estimated_egress", "people", "percentile", "score"]
