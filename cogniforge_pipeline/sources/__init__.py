"""Telemetry in: files, OTLP, Prometheus and this host become points with one set of columns.

Belongs here: the choice of a reader for a declared source. Does not: how each reads, and the commit of what
it read.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cogniforge_pipeline.sources.model import (
    LANDING,
    LANDING_OTLP,
    SOURCE,
    AnySource,
    FilesSource,
    HostSource,
    OtlpSource,
    PathSource,
    PrometheusSource,
    Source,
)
from cogniforge_pipeline.sources.points import (
    INGESTED,
    POINT_COLUMNS,
    REFUSED,
    Item,
    Ledger,
    LedgerEntry,
    Reader,
    Refusal,
    RefusedItem,
)

__all__ = [
    "INGESTED",
    "LANDING",
    "LANDING_OTLP",
    "POINT_COLUMNS",
    "REFUSED",
    "SOURCE",
    "FilesSource",
    "HostSource",
    "Item",
    "Ledger",
    "LedgerEntry",
    "OtlpSource",
    "PrometheusSource",
    "Reader",
    "Refusal",
    "RefusedItem",
    "Source",
    "landing_sources",
    "reader",
]


def landing_sources(declared: Iterable[AnySource]) -> tuple[Source, ...]:
    """The two default sources of landing/, without the files that a declared source takes."""
    taken = tuple(pattern for source in declared if isinstance(source, PathSource) for pattern in source.path)
    return (
        LANDING.model_copy(update={"exclude": LANDING.exclude + taken}),
        LANDING_OTLP.model_copy(update={"exclude": LANDING_OTLP.exclude + taken}),
    )


def reader(source: Source, *, home: Path, base: Path) -> Reader:
    """The reader of a declared source.

    `landing/` is `<home>/landing`; other relative paths start at `base`.
    """
    match source:
        case FilesSource():
            from cogniforge_pipeline.sources.files import FilesReader

            return FilesReader(source, home=home, base=base)
        case OtlpSource():
            from cogniforge_pipeline.sources.otlp import OtlpReader

            return OtlpReader(source, home=home, base=base)
        case PrometheusSource():
            from cogniforge_pipeline.sources.prometheus import PrometheusReader

            return PrometheusReader(source)
        case HostSource():
            from cogniforge_pipeline.sources.host import HostReader

            return HostReader(source)
