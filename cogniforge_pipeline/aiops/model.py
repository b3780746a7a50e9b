"""What a user declares for AIOps: the services and what they depend on.

Belongs here: the declared types. Does not: tables or mathematics.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from cogniforge_pipeline.declarations import DeclarationModel, Kind

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class Service(DeclarationModel):
    """One service: `tier` 1 is the most important; `depends_on` are the services that it calls."""

    name: Name
    tier: Annotated[int, Field(ge=1, le=5)] = 3
    owner: str | None = None
    description: str | None = None
    cloud: str | None = None
    region: str | None = None
    depends_on: tuple[Name, ...] = ()


class Topology(DeclarationModel):
    """All services of the platform."""

    services: tuple[Service, ...]

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        names = [service.name for service in self.services]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"service {repeated[0]!r} is declared twice")
        for service in self.services:
            for other in service.depends_on:
                if other not in names:
                    raise ValueError(f"service {service.name!r} depends on {other!r}, which is not declared here")
        return self


TOPOLOGY_KIND = Kind("topology", "topology.yaml", Topology, key=lambda _: "topology", plural=False)
