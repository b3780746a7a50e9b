"""What a user declares: workloads (`platform/workloads/*.yaml`), and strategies of placing them.

Belongs here: the declared form. Does not: what it means for a region (`scoring.py`), or solving.

    name: user-api
    demand:                               # users; none: where it runs does not matter for latency
      - {city: berlin, users: 1200}       # a city, region or edge location of the catalog
      - {country: FR, users: 800}         # or its cities, by population; also continent: Europe
      - {lat: 48.2, lon: 16.4, users: 300}
    resources: {cpu: 8, memory_gb: 32}    # of each copy; limited where a region has a capacity for it
    capabilities: [compute, storage]
    target_latency_ms: 50                 # for the percentile of users
    percentile: 0.95
    max_cost_factor: 1.2
    max_carbon_gco2_kwh: 400
    replicas: 2                           # further copies, each in a region of its own
    spread: {clouds: 2, max_per_cloud: 2, countries: 2, zones: 3}
    residency: [EU]                       # jurisdictions, countries, continents, clouds or regions that are allowed
    denied: [aws-eu-west-2]               # and those that are not
    affinity: [session-store]             # primaries in one region
    anti_affinity: [user-api-canary]      # no copies in one region
    egress: [{to: billing, gb_per_month: 500}]
    stickiness: 0.2                       # a move has to improve the score by this much
    slack: [latency]                      # what may give way when nothing else helps: latency, cost, carbon, spread
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cogniforge_pipeline.declarations import DeclarationModel, Kind

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Soft = Literal["latency", "cost", "carbon", "spread"]
USD_PER_CPU = 30.0
"""What a CPU costs in a month at price factor 1 where nothing is declared: about a general purpose virtual CPU."""


class PlacementStrategy(StrEnum):
    """What the best placement is."""

    LATENCY_OPTIMIZED = "latency"
    COST_OPTIMIZED = "cost"
    CARBON_OPTIMIZED = "carbon"
    BALANCED = "balanced"
    RESILIENCE = "resilience"


class Weights(DeclarationModel):
    """How much each criterion counts. Units of the criteria: 100 ms, the mean monthly cost of a copy at price factor 1,
    400 g CO2e per kWh, and one zone instead of many with each further copy in a cloud."""

    latency: NotNegative = 0.0
    cost: NotNegative = 0.0
    carbon: NotNegative = 0.0
    resilience: NotNegative = 0.0

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not (self.latency or self.cost or self.carbon or self.resilience):
            raise ValueError("expected at least one weight above 0 among latency, cost, carbon and resilience")
        return self


WEIGHTS = {
    PlacementStrategy.LATENCY_OPTIMIZED: Weights(latency=1.0),
    PlacementStrategy.COST_OPTIMIZED: Weights(cost=1.0),
    PlacementStrategy.CARBON_OPTIMIZED: Weights(carbon=1.0),
    PlacementStrategy.BALANCED: Weights(latency=0.5, cost=0.3, carbon=0.1, resilience=0.1),
    PlacementStrategy.RESILIENCE: Weights(resilience=1.0, latency=0.1, cost=0.1),
}


class Demand(DeclarationModel):
    """Users at one place, or in the cities of a country or continent by their population."""

    city: Name | None = None
    country: Name | None = None
    continent: Name | None = None
    lat: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)] | None = None
    lon: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)] | None = None
    users: Positive = 1.0

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [self.city, self.country, self.continent, self.lat if self.lon is not None else None]
        if sum(value is not None for value in given) != 1 or (self.lat is None) != (self.lon is None):
            raise ValueError("expected exactly one of city, country, continent, and lat with lon")
        return self


class Spread(DeclarationModel):
    """How copies lie: in at least so many clouds and countries, at most so many of them in one cloud, and only in regions
    with at least so many zones. Regions are always different ones."""

    clouds: Annotated[int, Field(ge=1)] = 1
    countries: Annotated[int, Field(ge=1)] = 1
    max_per_cloud: Annotated[int, Field(ge=1)] | None = None
    zones: Annotated[int, Field(ge=0)] = 0


class Egress(DeclarationModel):
    """Data that goes from this workload's primary to that of another."""

    to: Name
    gb_per_month: Positive


class Workload(DeclarationModel):
    """Something that must run somewhere; see the module's text."""

    name: Name
    description: str | None = None
    demand: tuple[Demand, ...] = ()
    resources: dict[Name, NotNegative] = Field(default_factory=dict)
    capabilities: tuple[Name, ...] = ()
    target_latency_ms: Positive | None = None
    percentile: Annotated[float, Field(gt=0, le=1)] = 0.95
    max_cost_factor: Positive | None = None
    max_carbon_gco2_kwh: Positive | None = None
    replicas: Annotated[int, Field(ge=0, le=20)] = 0
    standby: Annotated[float, Field(ge=0, le=1)] = 1.0
    spread: Spread = Spread()
    residency: tuple[Name, ...] = ()
    denied: tuple[Name, ...] = ()
    affinity: tuple[Name, ...] = ()
    anti_affinity: tuple[Name, ...] = ()
    egress: tuple[Egress, ...] = ()
    stickiness: NotNegative = 0.0
    slack: tuple[Soft, ...] = ()
    priority: Annotated[float, Field(gt=0, le=1000)] = 1.0
    usd_per_month: Positive | None = None
    rto_s: Positive | None = None
    rpo_s: Positive | None = None
    edge_locations: Annotated[int, Field(ge=0, le=100)] = 0
    strategy: PlacementStrategy | None = None

    @property
    def copies(self) -> int:
        """The primary and all replicas."""
        return 1 + self.replicas

    @property
    def monthly_usd(self) -> float:
        """What a copy costs in a month at price factor 1."""
        cpu = self.resources.get("cpu") or self.resources.get("units") or 1.0
        return self.usd_per_month or USD_PER_CPU * cpu

    @model_validator(mode="after")
    def _fits_itself(self) -> Self:
        spread = self.spread
        for kind, least in (("clouds", spread.clouds), ("countries", spread.countries)):
            if least > self.copies:
                raise ValueError(
                    f"spread.{kind} is {least}, but there are only {self.copies} copies: raise replicas to {least - 1}"
                )
        both = {name.lower() for name in self.residency} & {name.lower() for name in self.denied}
        if both:
            raise ValueError(f"residency and denied contradict each other: both name {', '.join(sorted(both))}")
        if set(self.affinity) & set(self.anti_affinity):
            raise ValueError("affinity and anti_affinity contradict each other: both name the same workload")
        if self.name in (*self.affinity, *self.anti_affinity, *(e.to for e in self.egress)):
            raise ValueError("a workload has no affinity, anti_affinity or egress to itself")
        return self


WORKLOAD_KIND = Kind("workload", "workloads", Workload)
"""`platform/workloads/*.yaml`."""


class DeclaredRegion(DeclarationModel):
    """A region in YAML: one that the catalog does not have, or what is different of one that it has."""

    region_id: Name
    cloud: Name | None = None
    name: Name | None = None
    country: Name | None = None
    lat: float | None = None
    lon: float | None = None
    continent: Name | None = None
    jurisdictions: tuple[Name, ...] = ()
    capabilities: tuple[Name, ...] = ()
    zones: tuple[Name, ...] = ()
    status: Literal["active", "planned", "retired", "down"] | None = None
    price_factor: Positive | None = None
    carbon_gco2_kwh: NotNegative | None = None
    capacity: dict[Name, NotNegative] = Field(default_factory=dict)

    def to_row(self) -> dict[str, object]:
        """As a row of a file of regions."""
        row = self.model_dump(exclude={"capacity"})
        return row | {f"capacity_{name}": amount for name, amount in self.capacity.items()}


REGION_KIND = Kind(
    "region", "regions", DeclaredRegion, lambda region: region.region_id, companions=(".csv", ".parquet")
)
"""`platform/regions/*.yaml`, and files of regions, times (`latency*`) and data prices (`costs*`) as CSV or Parquet."""
