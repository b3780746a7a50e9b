"""A small home worked on step by step, without Dagster: files in, ingestion, facts and decisions.

Belongs here: what tests of the kernel share. Does not: whole runs, which go through `runner.run`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from cogniforge_pipeline.aiops import tables as aiops_tables
from cogniforge_pipeline.contracts import load_contracts
from cogniforge_pipeline.definitions import open_home
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.increments import Outcome, Request, materialize_recipe
from cogniforge_pipeline.settings import DOMAINS, load_settings, packaged
from cogniforge_pipeline.sources.declared import sources_of
from cogniforge_pipeline.sources.ingest import Totals, ingest
from cogniforge_pipeline.sqltext import qualified

CONTRACTS = load_contracts(packaged("contracts"))
FACTS = ("aiops.rollup_5m", "aiops.anomaly_scores")
HEALTH = "aiops.service_health"
Point = tuple[datetime, str, str, float]


@contextmanager
def lean() -> Iterator[None]:
    """Homes that are opened meanwhile have of AIOps only scores, anomalies, incidents and health, whose runs take half the
    time: for tests of what is the same for every table."""
    kept = [table for table in aiops_tables.computed() if table.name in (*FACTS, "aiops.anomalies")]
    with mock.patch.object(aiops_tables, "computed", return_value=kept):
        yield


def at(text: str) -> datetime:
    """A UTC time such as `2026-03-01 10:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def csv(points: Iterable[Point], *, kind: str = "gauge") -> str:
    """A file of points: time, service, metric, value."""
    lines = (f"{ts.isoformat()},{service},{metric},{value!r},{kind}\n" for ts, service, metric, value in points)
    return "timestamp,service,metric,value,kind\n" + "".join(lines)


class Pipeline:
    """One home of all domains in `folder` with a landing folder and nothing declared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "landing").mkdir(parents=True, exist_ok=True)
        (folder / "platform").mkdir(exist_ok=True)
        self.home: Home = open_home(load_settings(folder, environ={"COGNIFORGE_DOMAINS": ",".join(DOMAINS)}))
        self.home.contracts = dict(CONTRACTS)
        self.runs = 0

    def drop(self, name: str, content: str | bytes) -> Path:
        """Puts a file into landing/."""
        path = self.folder / "landing" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def ingest(self) -> Totals:
        """Reads what is new in landing/ and in declared sources."""
        self.runs += 1
        sources = sources_of(self.home.platform())
        return ingest(self.home.lake, self.home.contracts, sources, run_id=f"ingest-{self.runs}")

    def compute(self, table: str, **asked: Any) -> Outcome:
        """Computes one table; `asked` as in Request."""
        self.runs += 1
        recipe = self.home.recipe(table, self.home.lake.cursor())
        request = Request(f"compute-{self.runs}", **asked)
        contracts = self.home.contracts
        return materialize_recipe(self.home.lake, contracts[table], recipe, self.home.facts(recipe), request, contracts)

    def facts(self, **asked: Any) -> dict[str, Outcome]:
        """Computes the two facts, one after the other."""
        return {table: self.compute(table, **asked) for table in FACTS}

    def rows(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """All rows of a table of the lake, ordered."""
        found = self.home.lake.cursor().execute(f"SELECT {columns} FROM {qualified(table)} ORDER BY ALL")
        return found.fetchall()

    def quarantine(self, table: str, columns: str = "reason") -> list[tuple[Any, ...]]:
        """What was set aside of a table."""
        return self.rows(f"quarantine.{table.replace('.', '__')}", columns)
