"""One home, opened: its lake, its events, its contracts and queries, and what its platform folder declares.

Belongs here: what commands, services and Dagster steps share. Does not: any work on tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from cogniforge_pipeline import publish
from cogniforge_pipeline.contracts import Contract, load_contracts
from cogniforge_pipeline.declarations import Kind, Platform, load_platform
from cogniforge_pipeline.events import EventLog, NewEvent
from cogniforge_pipeline.lake import Connection, Lake
from cogniforge_pipeline.openlineage import ColumnOrigins, Emitter
from cogniforge_pipeline.products import Products, load_products
from cogniforge_pipeline.publish import MATERIALIZATIONS, QUALITY
from cogniforge_pipeline.queries import Query, load_queries
from cogniforge_pipeline.recipes import Computed, Recipe
from cogniforge_pipeline.settings import DOMAINS, Settings, packaged

LEDGER = "aiops.ingest_ledger"
ALWAYS = (LEDGER, "aiops.series", "aiops.telemetry", "aiops.rollup_5m", MATERIALIZATIONS, QUALITY, "data_mesh.events")
"""What every home has, whatever its domains."""
Announcer = Callable[[Connection], Iterable[NewEvent]]
Gate = Callable[["Home", Contract, str], None]


@cache
def _contracts(folder: Path) -> Mapping[str, Contract]:
    """The package's own files do not change while a process runs, and take a second to read."""
    return load_contracts(folder)


@cache
def _queries(folder: Path) -> Mapping[str, Query]:
    return load_queries(folder)


class Home:
    """Opens lazily: a command that needs no lake attaches none.

    `kinds` are all kinds of declarations there are, `computed` the tables whose statements the domains write,
    `announcers` give the events that a table has to tell once it is published, and the `gate` lets a contract of the
    user's in (or raises) before its table is made. With `origins`, OpenLineage events also say which columns a query's
    columns are computed from.
    """

    def __init__(
        self,
        settings: Settings,
        kinds: Iterable[Kind[Any]],
        computed: Iterable[Computed] = (),
        announcers: Mapping[str, Announcer] | None = None,
        gate: Gate | None = None,
        origins: ColumnOrigins | None = None,
    ) -> None:
        self.settings = settings
        self.kinds = tuple(kinds)
        self.computed = {table.name: table for table in computed}
        self.announcers = dict(announcers or {})
        self.gate = gate
        self.origins = origins
        self.progress: Callable[[str, int, int], None] | None = None

    @cached_property
    def contracts(self) -> dict[str, Contract]:
        return {**_contracts(packaged("contracts")), **self.products.contracts}

    def fills(self, table: str) -> bool:
        """Whether anything makes the rows of a table here: those of a domain that this home is without stay empty."""
        schema = table.partition(".")[0]
        return table in ALWAYS or schema not in DOMAINS or schema in (self.settings.domains or DOMAINS)

    @cached_property
    def queries(self) -> dict[str, Query]:
        """Those of the user's products and of the home's domains, and the rollup, which every domain reads."""
        own = {name: query for name, query in _queries(packaged("sql")).items() if self.fills(name)}
        return {**own, **self.products.queries}

    @cached_property
    def products(self) -> Products:
        """The user's own data products, as they were when first asked for: a new one needs the definitions reloaded."""
        return load_products(self.settings.platform, _contracts(packaged("contracts")))

    @cached_property
    def views(self) -> dict[str, Query]:
        return dict(_queries(packaged("sql") / "views"))

    @cached_property
    def events(self) -> EventLog:
        self.settings.events.parent.mkdir(parents=True, exist_ok=True)
        return EventLog(self.settings.events)

    @cached_property
    def lake(self) -> Lake:
        """The lake with all tables of the contracts and all views in it; what is published is told as OpenLineage events.

        Raises LakeError.
        """
        lake = Lake.of(self.settings)
        publish.prepare(lake, list(self.contracts.values()), self.views)
        if self.settings.openlineage and (lake.listener is None or self.origins):
            lake.listener = Emitter(self.settings, lambda: self.queries, self.origins)
        return lake

    def platform(self) -> Platform:
        """What the platform folder declares now, with the problems found."""
        found = load_platform(self.settings.platform, self.kinds)
        return replace(found, problems=(*found.problems, *self.products.problems))

    def announce(self, table: str) -> None:
        """Tells what a table that was just published has to tell; what was told before is not told again."""
        if table in self.announcers:
            self.events.publish_many(self.announcers[table](self.lake.cursor()))

    def admit(self, table: str, run_id: str) -> None:
        """Lets the contract of a table in before it is made. Raises what the gate raises."""
        if self.gate and table in self.products.contracts:
            self.gate(self, self.contracts[table], run_id)

    def recipe(self, table: str, cursor: Connection) -> Recipe:
        """How a table's rows are computed, by its SQL file or by what is declared now."""
        return self.queries[table] if table in self.queries else self.computed[table].recipe(cursor)

    def facts(self, recipe: Recipe) -> dict[str, bool]:
        """Each table that a recipe reads, and whether it has days."""
        return {name: self.contracts[name].partition_column is not None for name in recipe.inputs}

    def as_of(self) -> datetime:
        """The newest telemetry's time; the wall clock where there is no telemetry yet."""
        row = self.lake.cursor().execute(f"SELECT max(last_ts) FROM {LEDGER} WHERE status = 'ingested'").fetchone()
        newest = row[0] if row else None
        return newest.astimezone(UTC) if newest else datetime.now(UTC).replace(microsecond=0)
