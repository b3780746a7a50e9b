"""What a home knows of regions and workloads: the package's catalog, platform/regions, and the registry.

Belongs here: reading them. Does not: what follows from them (`tables.py`).

Files in `platform/regions`: `latency*.csv` are measured times, `costs*.csv` prices of data, all others regions (Parquet
likewise). They override the package's catalog, or add to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cogniforge_pipeline.edge.catalog import builtin
from cogniforge_pipeline.edge.latency import Latency
from cogniforge_pipeline.edge.model import REGION_KIND, WORKLOAD_KIND, DeclaredRegion, Workload
from cogniforge_pipeline.edge.place_files import known_point, known_region
from cogniforge_pipeline.edge.scoring import World
from cogniforge_pipeline.edge.tabular import read_egress, read_latency, read_regions, regions_of
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.registry import declared

_SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class Declared:
    """All of it; `digest` changes when any of it does."""

    workloads: tuple[Workload, ...]
    regions: tuple[DeclaredRegion, ...]
    files: tuple[Path, ...]
    digest: str

    @property
    def idle(self) -> bool:
        """Whether nothing is to be placed."""
        return not self.workloads

    def world(self) -> World:
        """Regions, times and prices. Raises EdgeError for files that are not as they must be."""
        catalog = builtin()
        regions = dict(catalog.regions)
        for path in self._of("regions"):
            regions |= {region.region_id: region for region in read_regions(path, catalog.of(regions.values()))}
        if self.regions:
            rows = [region.to_row() for region in self.regions]
            columns = dict.fromkeys(name for row in rows for name in row)
            full = [{name: row.get(name) or None for name in columns} for row in rows]
            for region in regions_of(full, catalog.of(regions.values()), "platform/regions"):
                regions[region.region_id] = region
        catalog = catalog.of(regions.values())
        measured: dict[tuple[str, str], float] = {}
        for path in self._of("latency"):
            measured |= read_latency(path, lambda name: known_point(catalog, name))
        prices: dict[tuple[str, str], float] = {}
        for path in self._of("costs"):
            prices |= read_egress(path, lambda name: known_region(catalog, name))
        return World(catalog, Latency(measured, catalog.points()), prices)

    def _of(self, kind: str) -> list[Path]:
        return [path for path in self.files if _kind(path) == kind]


def read_declared(cursor: Connection, platform: Path) -> Declared:
    """What is declared now; without workloads nothing else is read."""
    workloads = tuple(declaration.model for declaration in declared(cursor, WORKLOAD_KIND))
    if not workloads:
        return Declared((), (), (), "")
    regions = tuple(declaration.model for declaration in declared(cursor, REGION_KIND))
    files = tuple(region_files(platform))
    digest = sha256()
    for model in (*workloads, *regions):
        digest.update(model.model_dump_json().encode())
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return Declared(workloads, regions, files, digest.hexdigest()[:16])


def region_files(platform: Path) -> Sequence[Path]:
    """The CSV and Parquet files of platform/regions, by name."""
    folder = platform / "regions"
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in _SUFFIXES) if folder.is_dir() else []


def _kind(path: Path) -> str:
    return next((kind for kind in ("latency", "costs") if path.stem.lower().startswith(kind)), "regions")
