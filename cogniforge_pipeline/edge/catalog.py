"""Regions, edge locations and cities: the package's own small tables, and what a user adds or overrides.

Belongs here: the types, putting tables together, and finding a thing by any of its usual names. Does not: reading files
(`tabular.py`), latency, or placement.

The package's tables (`data/*.csv`) were written by hand from public facts: coordinates are those of the city, rounded;
prices and carbon are coarse, and meant for comparing regions where the user has nothing better. Every row has the date
that it holds for and where it comes from.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path

from cogniforge_pipeline.errors import CogniforgeError

DATA = Path(__file__).parent / "data"
CLOUDS = ("aws", "azure", "gcp")
COMMON = ("compute", "database", "kubernetes", "serverless", "storage")
"""What every region of the package's clouds offers."""
STATUSES = ("active", "planned", "retired", "down")


class EdgeError(CogniforgeError):
    """Something about regions, workloads or times is not as it must be; the message names it."""


@dataclass(frozen=True)
class Origin:
    """Where a fact comes from, and the day that it holds for."""

    source: str
    as_of: date | None = None


@dataclass(frozen=True)
class City:
    """A place where users are. `population` counts people of the urban area; `edge` names networks with a location there."""

    city_id: str
    country: str
    lat: float
    lon: float
    population: int
    edge: tuple[str, ...]
    origin: Origin
    is_user: bool = True

    @property
    def point_id(self) -> str:
        return self.city_id


@dataclass(frozen=True)
class Region:
    """A region of a cloud, or a place of one's own.

    `price_factor` is relative to the cloud's cheapest region, or whatever the user's file is relative to; carbon is that
    of the grid, in g CO2e per kWh. `capacity` is by resource; what it does not name is not limited. `origins` say where
    position, price and carbon come from.
    """

    region_id: str
    cloud: str
    name: str
    country: str
    lat: float
    lon: float
    continent: str = ""
    jurisdictions: tuple[str, ...] = ()
    capabilities: frozenset[str] = frozenset()
    zones: tuple[str, ...] = ()
    status: str = "active"
    price_factor: float = 1.0
    carbon_gco2_kwh: float | None = None
    capacity: Mapping[str, float] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    is_user: bool = False

    @property
    def point_id(self) -> str:
        return self.region_id

    @property
    def places(self) -> frozenset[str]:
        """Everything that names it, its cloud, country, continent or jurisdiction, in lower case."""
        own = (self.region_id, self.cloud, self.country, self.continent, *self.jurisdictions)
        return frozenset(name.lower() for name in own if name)


@dataclass(frozen=True)
class EdgeLocation:
    """A place of a network close to users."""

    edge_id: str
    network: str
    city: str
    country: str
    lat: float
    lon: float
    origin: Origin
    is_user: bool = False

    @property
    def point_id(self) -> str:
        return self.edge_id


@dataclass(frozen=True)
class Catalog:
    """All regions, edge locations and cities, each by id."""

    regions: Mapping[str, Region]
    edge_locations: Mapping[str, EdgeLocation]
    cities: Mapping[str, City]

    def region(self, name: str) -> Region:
        """The region that a name means: its id, `cloud:id`, the cloud's own id where only one cloud has it, or one of
        its zones. Raises EdgeError with the nearest names."""
        found = self.find_region(name)
        if found is None:
            near = difflib.get_close_matches(name, self.regions, n=3, cutoff=0.5)
            raise EdgeError(
                f"there is no region {name!r}",
                f"did you mean {', '.join(near)}?" if near else "see `cogniforge sql 'FROM edge.regions'`",
            )
        return found

    def find_region(self, name: str) -> Region | None:
        """As `region`, None where there is none."""
        key = name.strip().lower().replace(":", "-").replace("google-", "gcp-")
        for candidate in (name, key):
            if candidate in self.regions:
                return self.regions[candidate]
        return self.aliases.get(name.strip().lower()) or self.aliases.get(key)

    @property
    def aliases(self) -> dict[str, Region]:
        """Regions by other names that mean only one of them."""
        return _aliases(tuple(self.regions.values()))

    def of(self, regions: Iterable[Region]) -> Catalog:
        """The same with other regions."""
        return replace(self, regions={region.region_id: region for region in regions})

    def points(self) -> dict[str, Region | EdgeLocation | City]:
        """Everything with coordinates, by id."""
        return {**self.cities, **self.edge_locations, **self.regions}


def _aliases(regions: tuple[Region, ...]) -> dict[str, Region]:
    named: dict[str, list[Region]] = {}
    for region in regions:
        prefix = f"{region.cloud}-"
        own = region.region_id.removeprefix(prefix)
        names = {region.region_id.lower(), own.lower(), f"{prefix}{own}".lower()}
        for zone in region.zones:
            names |= {zone.lower(), f"{prefix}{zone}".lower()}
        if region.cloud == "gcp":  # measurements name a zone, also one that is not in the catalog
            names |= {f"{prefix}{own}-{letter}" for letter in "abcdf"}
        for name in names:
            named.setdefault(name, []).append(region)
    return {name: found[0] for name, found in named.items() if len(found) == 1}


@cache
def builtin() -> Catalog:
    """The package's own catalog."""
    countries = {row["country"]: row for row in _rows("countries.csv")}
    places = {row["place"]: row for row in _rows("places.csv")}
    cities = {name: _city(row) for name, row in places.items()}
    regions = {}
    for row in _rows("regions.csv"):
        place = places[row["place"]]
        country = countries[place["country"]]
        region_id = f"{row['cloud']}-{row['region']}"
        position, price = _origin(place), _origin(row)
        regions[region_id] = Region(
            region_id=region_id,
            cloud=row["cloud"],
            name=row["place"].replace("-", " ").title(),
            country=place["country"],
            lat=float(place["lat"]),
            lon=float(place["lon"]),
            continent=country["continent"],
            jurisdictions=_words(country["jurisdictions"]),
            capabilities=frozenset((*COMMON, *_words(row["capabilities"]))),
            zones=tuple(_zone(row["cloud"], row["region"], zone) for zone in _words(row["zones"])),
            status=row["status"],
            price_factor=float(row["price_factor"]),
            carbon_gco2_kwh=float(country["grid_gco2_kwh"]),
            origins={"position": position, "price": price, "carbon": _origin(country)},
        )
    edges = {
        f"{network}-edge-{city.city_id}": EdgeLocation(
            f"{network}-edge-{city.city_id}", network, city.city_id, city.country, city.lat, city.lon, city.origin
        )
        for city in cities.values()
        for network in city.edge
    }
    return Catalog(regions, edges, cities)


@cache
def countries() -> Mapping[str, tuple[str, tuple[str, ...], float, Origin]]:
    """Continent, jurisdictions, grid carbon in g CO2e per kWh and origin of each country (ISO 3166 alpha-2)."""
    return {
        row["country"]: (
            row["continent"],
            _words(row["jurisdictions"]),
            float(row["grid_gco2_kwh"]),
            _origin(row),
        )
        for row in _rows("countries.csv")
    }


def _city(row: Mapping[str, str]) -> City:
    return City(
        row["place"],
        row["country"],
        float(row["lat"]),
        float(row["lon"]),
        int(row["population"]),
        _words(row["edge"]),
        _origin(row),
    )


def _zone(cloud: str, region: str, zone: str) -> str:
    """A zone by its cloud's own way of naming."""
    return f"{region}{zone}" if cloud == "aws" else f"{region}-{zone}"


def _origin(row: Mapping[str, str]) -> Origin:
    return Origin(row["origin"], date.fromisoformat(row["as_of"]))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(";") if word)


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
