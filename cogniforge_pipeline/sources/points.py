"""What every reader hands over: points with one set of columns, and the words for units of reading.

Belongs here: the columns, items, refusals, the ledger's entry, the reader's protocol and the checks all
readers share. Does not: how one format is read, and the commit of what was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import JsonValue

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.sqltext import literal

if TYPE_CHECKING:
    import duckdb

POINT_COLUMNS: dict[str, str] = {
    "ts": "TIMESTAMPTZ",
    "value": "DOUBLE",
    "service": "VARCHAR",
    "metric": "VARCHAR",
    "metric_type": "VARCHAR",
    "unit": "VARCHAR",
    "labels": "MAP(VARCHAR, VARCHAR)",
    "kind": "VARCHAR",
    "position": "BIGINT",
    "problem": "VARCHAR",
    "raw": "VARCHAR",
}
"""Columns of a reader's relation, in order, with their DuckDB types.

`metric_type` is NULL where the source does not say; `unit` is as the source writes it. Both are settled once
for each series with `semantics.metric_type_sql` and `semantics.unit_sql`, which is cheaper than once for each
point. `position` is the line or row number in the file (in a server's
answer a running number), from 1. `problem` is NULL for a good row; a bad one carries its text in `raw`, and
may have NULL in any other column but `position`.
"""

Kind = Literal["gauge", "counter", "delta"]
KINDS: tuple[Kind, ...] = ("gauge", "counter", "delta")

INGESTED = "ingested"
REFUSED = "refused"

FUTURE_TOLERANCE = timedelta(days=1)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


class RefusedItem(CogniforgeError):
    """An item that cannot be read as a whole; found while reading. `message` is the reason."""


@dataclass(frozen=True)
class Item:
    """One unit of reading and of exactly-once: a file or its appended part, a query's window, a host's
    sample.

    `cursor` is what the ledger stores, so that the next plan can resume. `size` is in bytes, 0 when unknown.
    """

    source: str
    item: str
    fingerprint: str
    cursor: dict[str, JsonValue]
    size: int


@dataclass(frozen=True)
class Refusal:
    """An item that the plan itself refuses; recorded in the ledger so that it is told once for each
    fingerprint.
    """

    source: str
    item: str
    fingerprint: str
    reason: str
    hint: str | None = None
    size: int = 0
    cursor: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True)
class LedgerEntry:
    """The newest entry of one item in `aiops.ingest_ledger`; `status` is `ingested` or `refused`."""

    source: str
    item: str
    status: str
    reason: str | None
    fingerprint: str
    cursor: dict[str, JsonValue]
    ingested_at: datetime


Ledger = Mapping[str, LedgerEntry]
"""Item id -> newest entry, of one source.

A refused item is stored with the cursor its Item or Refusal had.
"""


class Reader(Protocol):
    """How one source is read. One reader serves one thread."""

    notices: list[str]
    """After `relation`: what is neither a point nor a bad row, such as gaps skipped or a server's warnings.
    """

    def plan(self, ledger: Ledger, now: datetime) -> Iterator[Item | Refusal]:
        """What is new since the ledger: cheap, and in a stable order.

        Items already ingested are not yielded, nor items refused before whose fingerprint is unchanged
        (a Prometheus window is the exception: it is tried again each time).
        """

    def relation(self, con: duckdb.DuckDBPyConnection, item: Item) -> str:
        """SELECT text with exactly POINT_COLUMNS. Valid until this reader's next `relation` or until it is
        dropped.

        Temporary objects made on `con` begin with `src_`. The session's TimeZone must be UTC. Raises
        RefusedItem when the item cannot be read as a whole. Damage inside a Parquet file shows up only when
        the SELECT runs, as duckdb.Error.
        """


def time_problem(now: datetime, ts: str = "ts") -> str:
    """SQL branches (`WHEN … THEN …`) for a time that is missing, before 1970 or over a day after `now`."""
    return (
        f"WHEN {ts} IS NULL THEN 'the timestamp is missing or cannot be read' "
        f"WHEN {ts} > {literal(now + FUTURE_TOLERANCE)} THEN 'the timestamp is in the future' "
        f"WHEN {ts} < {literal(EARLIEST)} THEN 'the timestamp is before 1970' "
    )


def value_problem(value: str = "value") -> str:
    """SQL branches (`WHEN … THEN …`) for a value that is missing or not finite."""
    return (
        f"WHEN {value} IS NULL THEN 'the value is missing or not a number' "
        f"WHEN NOT isfinite({value}) THEN 'the value is not finite' "
    )


def name_problem(*, service: str = "service", metric: str = "metric") -> str:
    """SQL branches (`WHEN … THEN …`) for a point without a service or a metric name."""
    return (
        f"WHEN {service} IS NULL OR {service} = '' THEN 'the service is missing' "
        f"WHEN {metric} IS NULL OR {metric} = '' THEN 'the metric is missing' "
    )
