"""Sources as declarations of the platform folder.

Belongs here: the kind of declaration, and which sources a home has. Does not: their fields (`model.py`).
"""

from __future__ import annotations

from pydantic import RootModel

from cogniforge_pipeline.declarations import Kind, Platform
from cogniforge_pipeline.sources import landing_sources
from cogniforge_pipeline.sources.model import AnySource, Source, TableSource


class DeclaredSource(RootModel[AnySource]):
    """One source, of whichever type."""


SOURCE_KIND = Kind("source", "sources", DeclaredSource, key=lambda declared: declared.root.name)


def sources_of(platform: Platform) -> list[Source]:
    """The declared sources of telemetry that are valid, then the landing folder for the files that no source takes."""
    declared = [declaration.model.root for declaration in platform.of(SOURCE_KIND)]
    telemetry = [source for source in declared if not isinstance(source, TableSource)]
    return [*telemetry, *landing_sources(declared)]
