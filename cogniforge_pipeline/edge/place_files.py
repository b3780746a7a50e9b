"""Placement on plain files, without a home.

Belongs here: files of workloads, putting a world together, and what-if changes. Does not: printing (`commands.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cogniforge_pipeline.edge.catalog import Catalog, EdgeError, Region, builtin
from cogniforge_pipeline.edge.latency import Latency
from cogniforge_pipeline.edge.model import PlacementStrategy, Weights, Workload
from cogniforge_pipeline.edge.placement.plan import Plan, make_plan
from cogniforge_pipeline.edge.scoring import World
from cogniforge_pipeline.edge.tabular import read_egress, read_latency, read_regions, read_rows

_LISTS = ("capabilities", "residency", "denied", "affinity", "anti_affinity", "slack")


def place_files(
    workloads: Path,
    regions: Path | None = None,
    latency: Path | None = None,
    costs: Path | None = None,
    strategy: PlacementStrategy | Weights = PlacementStrategy.BALANCED,
    *,
    time_limit: float = 60.0,
    gap: float = 1e-3,
    what_if: Sequence[str] = (),
) -> tuple[Plan, Plan | None]:
    """The plan for a file of workloads, and with `what_if` the one after those changes.

    Candidates are the regions of the file, by default those of the package. Raises EdgeError for what cannot be read.
    """
    needed = read_workloads(workloads)
    world = world_of_files(regions, latency, costs)
    plan = make_plan(needed, world, strategy, time_limit=time_limit, gap=gap)
    if not what_if:
        return plan, None
    changed, other = apply_changes(needed, world, what_if)
    held = {p.workload: (p.primary, p.replicas) for p in plan.placements}
    return plan, make_plan(changed, other, strategy, current=held, time_limit=time_limit, gap=gap)


def world_of_files(regions: Path | None, latency: Path | None, costs: Path | None) -> World:
    """The candidate regions with measured times and prices. Raises EdgeError."""
    base = builtin()
    catalog = base.of(read_regions(regions, base)) if regions else base
    prices: dict[tuple[str, str], float] = {}
    if costs:
        header = read_rows(costs)[:1]
        if header and any(name in header[0] for name in ("src", "source", "from")):
            prices = read_egress(costs, lambda name: known_region(catalog, name))
        else:
            catalog = catalog.of({**catalog.regions, **_priced(costs, catalog)}.values())
    measured = read_latency(latency, lambda name: known_point(catalog, name)) if latency else {}
    return World(catalog, Latency(measured, {**base.regions, **catalog.points()}), prices)


def known_region(catalog: Catalog, name: str) -> str | None:
    """The id of a region by any of its names; one that is no candidate counts as known."""
    found = catalog.find_region(name) or builtin().find_region(name)
    return found.region_id if found else None


def known_point(catalog: Catalog, name: str) -> str | None:
    """As `known_region`, and cities and edge locations."""
    if name in catalog.cities or name in catalog.edge_locations:
        return name
    return known_region(catalog, name)


def _priced(path: Path, catalog: Catalog) -> dict[str, Region]:
    known = read_regions(path, catalog)
    unknown = [region.region_id for region in known if region.region_id not in catalog.regions]
    if unknown:
        raise EdgeError(
            f"{path} has a price for {unknown[0]!r}, which is no candidate region",
            "declare it in the regions, or remove the row",
        )
    return {region.region_id: region for region in known}


def read_workloads(path: Path) -> list[Workload]:
    """Workloads of a YAML, JSON, CSV or Parquet file. Raises EdgeError with the place of what is wrong.

    In CSV and Parquet, lists are parted by `;`, resources are columns `resources_cpu`, spread is `spread_clouds`, and
    `demand` is `city:users;city:users`.
    """
    if not path.is_file():
        raise EdgeError(f"there is no file {path}", "give a YAML, JSON, CSV or Parquet file of workloads")
    if path.suffix.lower() in (".yaml", ".yml", ".json"):
        documents = _documents(path)
    else:
        documents = [_of_row(row) for row in read_rows(path)]
    found = []
    for number, document in enumerate(documents, 1):
        name = document.get("name") if isinstance(document, dict) else None
        try:
            found.append(Workload.model_validate(document))
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or 'workload'}: {item['msg'].removeprefix('Value error, ')}"
                for item in error.errors()
            )
            raise EdgeError(f"{path}, workload {number} ({name or 'without a name'}): {problems}") from error
    if not found:
        raise EdgeError(f"{path} has no workloads", "write at least one with a name")
    return found


def _documents(path: Path) -> list[Any]:
    try:
        loaded = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise EdgeError(f"{path} is not YAML or JSON: {' '.join(str(error).split())}") from error
    found: list[Any] = []
    for document in loaded:
        if isinstance(document, dict) and set(document) == {"workloads"}:
            document = document["workloads"]
        found += document if isinstance(document, list) else [] if document is None else [document]
    return found


def _of_row(row: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in row.items():
        if value is None:
            continue
        if key in _LISTS:
            document[key] = [part.strip() for part in str(value).split(";") if part.strip()]
        elif key == "demand":
            document[key] = [_users(part) for part in str(value).split(";") if part.strip()]
        elif key.startswith(("resources_", "spread_")):
            group, _, name = key.partition("_")
            document.setdefault(group, {})[name] = value
        else:
            document[key] = value
    return document


def _users(text: str) -> dict[str, Any]:
    city, _, users = text.strip().partition(":")
    return {"city": city, **({"users": users} if users else {})}


@dataclass(frozen=True)
class _Change:
    what: str
    who: str
    value: str


_CHANGE = re.compile(r"(region|price|demand)=([^=]+):([^:=]+)")


def apply_changes(workloads: Sequence[Workload], world: World, changes: Sequence[str]) -> tuple[list[Workload], World]:
    """What is placed, and where, after `region=ID:down`, `price=ID:1.5` (times the price) and `demand=NAME:2` (times its
    resources; `*` for all). Raises EdgeError for other changes."""
    changed, catalog = list(workloads), world.catalog
    for text in changes:
        match = _CHANGE.fullmatch(text.strip())
        if not match:
            raise EdgeError(
                f"not a change: {text!r}",
                "write region=aws-us-east-1:down, price=aws-us-east-1:1.5 or demand=user-api:2",
            )
        change = _Change(*match.groups())
        if change.what == "region":
            if change.value not in ("down", "active"):
                raise EdgeError(f"{text!r}: expected down or active, got {change.value!r}")
            region = replace(catalog.region(change.who), status=change.value)
            catalog = catalog.of({**catalog.regions, region.region_id: region}.values())
            continue
        try:
            times = float(change.value)
        except ValueError:
            times = -1.0
        if not 0 < times < float("inf"):
            raise EdgeError(f"{text!r}: expected a factor above 0, got {change.value!r}")
        if change.what == "price":
            region = catalog.region(change.who)
            region = replace(region, price_factor=region.price_factor * times)
            catalog = catalog.of({**catalog.regions, region.region_id: region}.values())
        else:
            if change.who != "*" and change.who not in {w.name for w in changed}:
                raise EdgeError(f"{text!r}: there is no workload {change.who!r}")
            changed = [_more(w, times) if change.who in ("*", w.name) else w for w in changed]
    return changed, replace(world, catalog=catalog)


def _more(workload: Workload, times: float) -> Workload:
    resources = {name: amount * times for name, amount in workload.resources.items()}
    demand = tuple(d.model_copy(update={"users": d.users * times}) for d in workload.demand)
    return workload.model_copy(update={"resources": resources, "demand": demand})
