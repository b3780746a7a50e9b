"""Sources as declarations of the platform folder.

Belongs here: the kind of declaration, and which sources a home has. Does not: their fields (`model.py`).
"""

from __future__ import annotations

from pydantic import RootModel

from cogniforge_pipeline.declarations import Kind, Platform
from cogniforge_pipeline.sources import landing_sources
from cogniforge_pipeline.sources.model import Source


class DeclaredSource(RootModel[Source]):
    """One source, of whichever type."""


SOURCE_KIND = Kind("source", "sources", DeclaredSource, key=lambda declared: declared.root.name)


def sources_of(platform: Platform) -> list[Source]:
    """The declared sources that are valid, then the landing folder for the files that none of them takes."""
    declared = [declaration.model.root for declaration in platform.of(SOURCE_KIND)]
    return [*declared, *landing_sources(declared)]
