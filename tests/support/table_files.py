"""A small home with one table that files fill, worked on without Dagster.

Belongs here: the home, files with a time of modification, and looks at what was published. Does not: whole runs.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cogniforge_pipeline import publish
from cogniforge_pipeline.definitions import open_home
from cogniforge_pipeline.home import LEDGER
from cogniforge_pipeline.publish import MATERIALIZATIONS
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.sources.ingest import Totals
from cogniforge_pipeline.sources.landed import fill
from cogniforge_pipeline.sources.model import TableSource

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ORDERS = """\
  - {name: order_id, logicalType: integer, physicalType: BIGINT, required: true, primaryKey: true, description: Id.}
  - {name: ordered_at, logicalType: timestamp, physicalType: TIMESTAMPTZ, required: true, partitioned: true,
     partitionKeyPosition: 1, description: When.}
  - {name: amount, logicalType: number, physicalType: "DECIMAL(10, 2)", logicalTypeOptions: {minimum: 0},
     description: Price.}
"""
COUNTRIES = """\
  - {name: code, logicalType: string, physicalType: VARCHAR, required: true, primaryKey: true, description: Code.}
  - {name: people, logicalType: integer, physicalType: INTEGER, description: Inhabitants.}
"""


def contract(name: str, properties: str, *, rules: str = "", version: str = "1.0.0") -> str:
    """An ODCS file of `schema.table` with these properties (YAML, two spaces in front) and table rules."""
    table = name.partition(".")[2]
    quality = f"    quality:\n{rules}" if rules else ""
    body = "".join(f"    {line}\n" for line in properties.splitlines())
    return (
        "apiVersion: v3.1.0\nkind: DataContract\n"
        f"id: {name.replace('.', '-')}\nname: {name}\nversion: {version}\nstatus: active\nteam: {{name: shop}}\n"
        f"schema:\n  - name: {table}\n    physicalType: table\n    description: Of a test.\n"
        f"{quality}    properties:\n{body}"
    )


class Shop:
    """The table `shop.orders` (or another) in `folder`, filled from `landing/in/**`."""

    def __init__(self, folder: Path, properties: str = ORDERS, *, rules: str = "", **declared: Any) -> None:
        self.folder, self.name = folder, "shop.orders"
        self.declared: dict[str, Any] = {"path": "landing/in/**", **declared}
        self.clock, self.runs = NOW - timedelta(days=1), 0
        self.define(properties, rules=rules)

    def define(self, properties: str, *, rules: str = "", version: str = "1.0.0") -> None:
        """Writes the contract and opens the home anew."""
        place = self.folder / "platform" / "contracts" / "shop" / "orders.yaml"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(contract(self.name, properties, rules=rules, version=version))
        source = self.folder / "platform" / "sources" / "orders.yaml"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(f"name: orders\ntype: table\ntable: {self.name}\npath: landing/in/**\n")
        home = open_home(load_settings(self.folder, environ={}))
        assert not home.platform().problems, home.platform().problems
        needed = {self.name, LEDGER, MATERIALIZATIONS, publish.QUALITY}
        home.contracts = {name: each for name, each in home.contracts.items() if name in needed}
        home.views = {}
        self.home, self.contract = home, home.contracts[self.name]

    @property
    def source(self) -> TableSource:
        return TableSource.model_validate({"name": "orders", "type": "table", "table": self.name, **self.declared})

    def write(self, name: str, content: str | bytes, *, at: datetime | None = None) -> Path:
        """A file below landing/in, each a minute younger than the one before."""
        path = self.folder / "landing" / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.clock += timedelta(minutes=1)
        moment = (at or self.clock).timestamp()
        os.utime(path, (moment, moment))
        return path

    def parquet(self, name: str, select: str) -> Path:
        """A file with the rows of a SELECT."""
        path = self.write(name, "")
        self.home.lake.cursor().execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
        return self.write(name, path.read_bytes())

    def fill(self) -> Totals:
        """Reads what is new."""
        self.runs += 1
        return fill(self.home.lake, self.home.contracts, self.source, run_id=f"run-{self.runs}", now=NOW)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query on the lake."""
        return self.home.lake.cursor().execute(query).fetchall()

    def rows(self, columns: str = "*") -> list[tuple[Any, ...]]:
        """The table, in order."""
        return self.ask(f"SELECT {columns} FROM {self.name} ORDER BY ALL")

    def aside(self) -> dict[str, str]:
        """Why rows were set aside, by file and line."""
        place = "replace(source, 'landing/in/', '')"
        return dict(self.ask(f"SELECT {place}, reason FROM quarantine.shop__orders ORDER BY ALL"))

    def publications(self) -> list[tuple[int, list[str]]]:
        """Version and days of each publication of the table."""
        found = self.ask(
            f"SELECT version, days FROM {MATERIALIZATIONS} WHERE table_name = '{self.name}' ORDER BY version"
        )
        return [(version, [f"{day:%m-%d}" for day in days]) for version, days in found]

    def ledger(self) -> list[tuple[Any, ...]]:
        """Item, status, and rows read, ingested and set aside, in the order of reading."""
        return self.ask(
            "SELECT replace(item, 'landing/in/', ''), status, rows_read, rows_ingested, rows_quarantined "
            f"FROM {LEDGER} ORDER BY ingested_at, item"
        )
