"""The tables of regions and placements: which rows follow from what is declared.

Belongs here: recipes, each a few lines around a topic. Does not: the topics, Dagster, or `edge.failovers`, which the
Python API writes.

Without workloads all of them rest: nothing is read but the registry.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from cogniforge_pipeline.edge.catalog import Origin
from cogniforge_pipeline.edge.declared import Declared, read_declared
from cogniforge_pipeline.edge.health import judge
from cogniforge_pipeline.edge.latency import BASES, MEASURED
from cogniforge_pipeline.edge.model import PlacementStrategy
from cogniforge_pipeline.edge.placement.plan import Plan, make_plan
from cogniforge_pipeline.edge.scoring import World
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.recipes import Computed, Written
from cogniforge_pipeline.registry import REGISTRY
from cogniforge_pipeline.sqltext import ident, literal

REGIONS, LOCATIONS, LATENCY, COSTS = "edge.regions", "edge.edge_locations", "edge.latency", "edge.costs"
SCORES, PLACEMENTS, READINESS = "edge.placement_scores", "edge.placements", "edge.failover_readiness"
FAILOVERS, HEALTH, CHANGES = "edge.failovers", "edge.health", "edge.placement_changes"
HEALTH_INPUTS = (REGISTRY, "aiops.series", "aiops.telemetry")
LOOK_BACK = timedelta(days=1)
TOLD = (FAILOVERS,)
"""Tables that nothing computes."""

CHUNK = 2000
SECONDS = 60.0
Rows = list[dict[str, Any]]
Make = Callable[[Declared, World, datetime], Rows]


def computed(platform: Callable[[], Path]) -> list[Computed]:
    """All of them, for a home with this platform folder."""

    def table(name: str, make: Make, *, timeless: bool = True) -> Computed:
        def recipe(cursor: Connection) -> Written:
            found = read_declared(cursor, platform())

            def statements(_: Connection, __: datetime, as_of: datetime) -> list[str]:
                return [] if found.idle else selects(make(found, found.world(), as_of))

            return Written(name, (REGISTRY,), found.digest, statements, idle=found.idle, timeless=timeless)

        return Computed(name, (REGISTRY,), recipe)

    return [
        table(REGIONS, region_rows),
        table(LOCATIONS, location_rows),
        table(LATENCY, latency_rows),
        table(COSTS, cost_rows),
        table(SCORES, score_rows),
        table(PLACEMENTS, placement_rows),
        table(READINESS, readiness_rows),
        Computed(HEALTH, HEALTH_INPUTS, lambda cursor: _health(read_declared(cursor, platform()))),
        Computed(CHANGES, (PLACEMENTS,), lambda cursor: _changes(read_declared(cursor, platform()))),
    ]


def _health(found: Declared) -> Written:
    """Observations are the telemetry `region_up` of a service with the region's id: 1 up, 0 down, or the share of probes."""

    def statements(cursor: Connection, _: datetime, as_of: datetime) -> list[str]:
        if found.idle:
            return []
        seen: dict[str, list[tuple[datetime, float]]] = {}
        since = as_of - LOOK_BACK
        for name, at, value in cursor.execute(
            "SELECT s.service, t.ts, avg(t.value) FROM aiops.telemetry AS t JOIN aiops.series AS s USING (series_id) "
            f"WHERE s.metric = 'region_up' AND t.ts > {literal(since)} AND t.ts <= {literal(as_of)} GROUP BY ALL"
        ).fetchall():
            seen.setdefault(name, []).append((at.astimezone(UTC), value))
        return selects(health_rows(found.world(), seen, as_of))

    return Written(HEALTH, HEALTH_INPUTS, found.digest, statements, idle=found.idle)


def _changes(found: Declared) -> Written:
    """The rows that are there, and one for each workload that is elsewhere than its newest row says."""

    def statements(cursor: Connection, _: datetime, as_of: datetime) -> list[str]:
        known = cursor.execute(
            "SELECT 1 FROM duckdb_tables() WHERE database_name = current_catalog() AND schema_name = 'edge' "
            "AND table_name = 'placement_changes'"
        ).fetchone()
        return changes_selects(CHANGES if known else None, as_of)

    return Written(CHANGES, (PLACEMENTS,), "1", statements, idle=found.idle, timeless=True)


def changes_selects(before: str | None, as_of: datetime) -> list[str]:
    """SELECTs of `edge.placement_changes`, given the table of the changes until now."""
    none = (
        "SELECT NULL::VARCHAR AS workload, NULL::INTEGER AS number, NULL::VARCHAR AS to_region, "
        "NULL::VARCHAR[] AS to_replicas, NULL::DOUBLE AS usd_per_month WHERE false"
    )
    newest = (
        f"SELECT * FROM {before} QUALIFY row_number() OVER (PARTITION BY workload ORDER BY number DESC) = 1"
        if before
        else none
    )
    changed = f"""
SELECT coalesce(p.workload, b.workload) AS workload, (coalesce(b.number, 0) + 1)::INTEGER AS number,
    {literal(as_of)} AS changed_at, b.to_region AS from_region, p.primary_region AS to_region,
    coalesce(b.to_replicas, CAST([] AS VARCHAR[])) AS from_replicas, coalesce(p.replicas, CAST([] AS VARCHAR[])) AS to_replicas,
    coalesce(p.usd_per_month, 0) AS usd_per_month, coalesce(p.usd_per_month, 0) - coalesce(b.usd_per_month, 0) AS usd_change,
    CASE WHEN p.workload IS NULL THEN 'it is not declared any more' WHEN b.workload IS NULL THEN 'placed for the first time'
        ELSE p.reason END AS reason
FROM {PLACEMENTS} AS p FULL JOIN ({newest}) AS b ON p.workload = b.workload
WHERE p.primary_region IS DISTINCT FROM b.to_region
    OR list_sort(coalesce(p.replicas, CAST([] AS VARCHAR[]))) <> list_sort(coalesce(b.to_replicas, CAST([] AS VARCHAR[])))"""
    return [*([f"SELECT * FROM {before}"] if before else []), changed]


def health_rows(world: World, seen: Mapping[str, Sequence[tuple[datetime, float]]], as_of: datetime) -> Rows:
    """Rows of `edge.health`: regions that something was seen of, or that are declared down. `seen` is by service name."""
    found: dict[str, list[tuple[datetime, float]]] = {}
    for name, observations in seen.items():
        region = world.catalog.find_region(name)
        if region is not None:
            found.setdefault(region.region_id, []).extend(observations)
    rows = []
    for region in world.regions:
        mine = found.get(region.region_id, [])
        reported = [(as_of, None, "declared down")] if region.status == "down" else []
        if not mine and not reported:
            continue
        health = judge(mine, as_of, reported)
        rows.append(
            {
                "region_id": region.region_id,
                "as_of": as_of,
                "status": health.status,
                "available": health.available,
                "since": None if reported else health.since,
                "reason": health.reason,
                "observations": len(mine),
                "last_seen": max((at for at, _ in mine), default=None),
            }
        )
    return rows


def region_rows(_: Declared, world: World, __: datetime) -> Rows:
    """Rows of `edge.regions`."""
    return [
        {
            "region_id": r.region_id,
            "cloud": r.cloud,
            "name": r.name,
            "country": r.country or None,
            "continent": r.continent or None,
            "lat": r.lat,
            "lon": r.lon,
            "jurisdictions": list(r.jurisdictions),
            "capabilities": sorted(r.capabilities),
            "zones": list(r.zones),
            "status": r.status,
            "price_factor": r.price_factor,
            "carbon_gco2_kwh": r.carbon_gco2_kwh,
            "capacity": json.dumps(dict(sorted(r.capacity.items()))),
            **_origin("position", r.origins.get("position")),
            **_origin("price", r.origins.get("price")),
            **_origin("carbon", r.origins.get("carbon")),
        }
        for r in world.regions
    ]


def location_rows(_: Declared, world: World, __: datetime) -> Rows:
    """Rows of `edge.edge_locations`."""
    return [
        {
            "edge_id": e.edge_id,
            "network": e.network,
            "city": e.city,
            "country": e.country,
            "lat": e.lat,
            "lon": e.lon,
            **_origin("position", e.origin),
        }
        for e in world.catalog.edge_locations.values()
    ]


def latency_rows(_: Declared, world: World, __: datetime) -> Rows:
    """Rows of `edge.latency`: between regions that are active."""
    regions = [r for r in world.regions if r.status == "active"]
    times = world.latency.times(regions, regions)
    return [
        {
            "source": a.region_id,
            "target": b.region_id,
            "rtt_ms": float(times.middle[i, j]),
            "low_ms": float(times.low[i, j]),
            "high_ms": float(times.high[i, j]),
            "measured": bool(times.basis[i, j] == MEASURED),
            "basis": BASES[times.basis[i, j]],
        }
        for i, a in enumerate(regions)
        for j, b in enumerate(regions)
    ]


def cost_rows(_: Declared, world: World, __: datetime) -> Rows:
    """Rows of `edge.costs`: prices of data between regions that are active."""
    prices = world.egress_usd
    return [
        {
            "source": a.region_id,
            "target": b.region_id,
            "usd_per_gb": float(prices[i, j]),
            "given": (a.region_id, b.region_id) in world.egress,
        }
        for i, a in enumerate(world.regions)
        for j, b in enumerate(world.regions)
        if a.status == b.status == "active"
    ]


def score_rows(declared: Declared, _: World, __: datetime) -> Rows:
    """Rows of `edge.placement_scores`."""
    import numpy as np

    from cogniforge_pipeline.edge.placement.plan import room_left

    plan = _plan(declared)
    scores, problem, solution = plan.scores, plan.problem, plan.solution
    room = room_left(problem, solution.primary, solution.replicas)
    left = np.full(room.shape, np.nan)
    np.divide(room, problem.capacity, out=left, where=np.isfinite(problem.capacity) & (problem.capacity > 0))
    rows = []
    for w, workload in enumerate(scores.workloads):
        for r, region in enumerate(scores.regions):
            chosen = "primary" if solution.primary[w] == r else "replica" if solution.replicas[w, r] else None
            shares = [float(x) for x in left[r] if not math.isnan(x)]
            rows.append(
                {
                    "workload": workload.name,
                    "region_id": region.region_id,
                    "eligible": bool(scores.eligible[w, r]),
                    "why": list(scores.reasons[w][r]),
                    "score": float(scores.primary[w, r]) if scores.eligible[w, r] else None,
                    "latency_ms": _number(scores.latency[w, r]),
                    "latency_percentile_ms": _number(scores.tail[w, r]),
                    "usd_per_month": float(scores.cost[w, r]),
                    "carbon_gco2_kwh": _number(scores.carbon[w, r]),
                    "headroom": min(shares) if shares else None,
                    "chosen": chosen,
                }
            )
    return rows


def placement_rows(declared: Declared, world: World, as_of: datetime) -> Rows:
    """Rows of `edge.placements`."""
    from cogniforge_pipeline.edge.sites import choose_sites

    plan = _plan(declared)
    named = {workload.name: workload for workload in declared.workloads}
    rows = []
    for p in plan.placements:
        other = p.alternative
        sites = choose_sites(named[p.workload], world)
        rows.append(
            {
                "workload": p.workload,
                "decided_at": as_of,
                "strategy": str(named[p.workload].strategy or PlacementStrategy.BALANCED),
                "primary_region": p.primary,
                "replicas": list(p.replicas),
                "missing": p.missing,
                "edge_locations": list(sites.chosen),
                "edge_share": sites.share,
                "score": p.score,
                "latency_ms": p.latency_ms,
                "latency_low_ms": p.latency_low_ms,
                "latency_high_ms": p.latency_high_ms,
                "latency_percentile_ms": p.latency_percentile_ms,
                "latency_distribution": json.dumps(dict(p.latency_distribution)),
                "latency_measured": p.latency_measured,
                "usd_per_month": p.usd_per_month,
                "carbon_gco2_kwh": p.carbon_gco2_kwh,
                "gap": plan.gap,
                "reason": p.reason,
                "alternative_region": other.region if other else None,
                "alternative_score": other.score if other else None,
                "alternative_usd_per_month": other.usd_per_month if other else None,
                "gave_way": list(p.gave_way),
                "conflict": list(p.conflict.constraints) if p.conflict else [],
            }
        )
    return rows


def readiness_rows(declared: Declared, _: World, __: datetime) -> Rows:
    """Rows of `edge.failover_readiness`."""
    from cogniforge_pipeline.edge.failover import readiness

    return [
        {
            "region_id": r.region_id,
            "primaries": r.primaries,
            "replicas": r.replicas,
            "take_over": r.take_over,
            "move": r.move,
            "unplaced": list(r.unplaced),
            "why": [f"{name}: {reason}" for name, reason in r.why.items()],
            "replicas_lost": r.replicas_lost,
            "ready": not r.unplaced,
        }
        for r in readiness(_plan(declared))
    ]


def _plan(declared: Declared) -> Plan:
    """The plan, once for the tables that show parts of it."""
    return _planned(_Key(declared))


class _Key:
    """Compares what is declared by its digest."""

    def __init__(self, declared: Declared) -> None:
        self.declared = declared

    def __hash__(self) -> int:
        return hash(self.declared.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.declared.digest == self.declared.digest


@lru_cache(maxsize=2)
def _planned(key: _Key) -> Plan:
    return make_plan(key.declared.workloads, key.declared.world(), time_limit=SECONDS)


def selects(rows: Rows) -> list[str]:
    """SELECTs of these rows, which all have the same columns."""
    return [_select(rows[place : place + CHUNK]) for place in range(0, len(rows), CHUNK)]


def _select(rows: Sequence[dict[str, Any]]) -> str:
    columns = list(rows[0])
    values = ", ".join(f"({', '.join(_value(row[name]) for name in columns)})" for row in rows)
    return f"SELECT * FROM (VALUES {values}) AS made({', '.join(map(ident, columns))})"


def _value(value: Any) -> str:
    if isinstance(value, list) and not value:
        return "CAST([] AS VARCHAR[])"
    return literal(value)


def _origin(what: str, origin: Origin | None) -> dict[str, Any]:
    return {f"{what}_origin": origin.source if origin else None, f"{what}_as_of": origin.as_of if origin else None}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
