"""Reading as an ingestion does it: plan, read, remember in a ledger. And a real Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cogniforge_pipeline.sources import (
    INGESTED,
    POINT_COLUMNS,
    REFUSED,
    SOURCE,
    Item,
    LedgerEntry,
    Reader,
    Refusal,
    RefusedItem,
    reader,
)
from tests.support.prometheus import BINARY, Prometheus, running_prometheus


class Station:
    """A home with an empty ledger. `later` moves the clock on."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.con = duckdb.connect()
        self.con.execute("SET TimeZone = 'UTC'")
        self.ledger: dict[str, LedgerEntry] = {}
        self.refusals: list[Refusal] = []
        self.items: list[Item] = []
        self.reader: Reader
        self._offset = timedelta()

    def later(self, seconds: float) -> None:
        self._offset += timedelta(seconds=seconds)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def files(self, path: str, **more: Any) -> dict[str, Any]:
        return {"name": "files", "type": "files", "path": path, **more}

    def read(self, declared: Any, now: datetime | None = None) -> list[dict[str, Any]]:
        """All points that are new, as dicts; `items` and `refusals` are those of this reading."""
        source = SOURCE.validate_python(declared) if isinstance(declared, dict) else declared
        self.reader = reader(source, home=self.home, base=self.home)
        self.items, self.refusals, rows = [], [], []
        for step in self.reader.plan(self.ledger, now or self.now()):
            status, reason, hint = INGESTED, None, None
            if isinstance(step, Refusal):
                status, reason, hint = REFUSED, step.reason, step.hint
            else:
                try:
                    relation = self.con.execute(self.reader.relation(self.con, step))
                    assert {d[0]: str(d[1]) for d in relation.description}.keys() == POINT_COLUMNS.keys()
                    rows += [dict(zip(POINT_COLUMNS, row, strict=True)) for row in relation.fetchall()]
                    self.items.append(step)
                except RefusedItem as error:
                    status, reason, hint = REFUSED, error.message, error.hint
            if status == REFUSED:
                assert reason and hint is not None
                self.refusals.append(Refusal(step.source, step.item, step.fingerprint, reason, hint, step.size))
            self.ledger[step.item] = LedgerEntry(
                step.source, step.item, status, reason, step.fingerprint, step.cursor, datetime.now(UTC)
            )
        return rows

    def refused(self, declared: Any) -> Refusal:
        """The one refusal that reading gives; nothing else may come."""
        assert self.read(declared) == []
        assert len(self.refusals) == 1
        return self.refusals[0]


@pytest.fixture
def station(tmp_path: Path) -> Station:
    return Station(tmp_path)


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    if BINARY is None:
        pytest.skip("prometheus is not installed")
    with running_prometheus(tmp_path_factory.mktemp("prometheus")) as server:
        yield server
