"""From what readers hand over to published telemetry, exactly once.

Belongs here: batches, and the one transaction that commits points, series and the ledger of what was read. Does not:
how a format is read (the readers) or how points become rows (`staging.py`), or Dagster.

The ledger's newest entry of an item says what was read of it. It commits together with the points, and every commit
expects the ledger at the version that the plan saw; when another process ingested meanwhile, the plan is made again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cogniforge_pipeline import publish
from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.lake import Connection, Lake
from cogniforge_pipeline.publish import ATTEMPTS, Circumstances, Mode, Publication, Superseded
from cogniforge_pipeline.sources import reader as reader_of
from cogniforge_pipeline.sources.model import Source
from cogniforge_pipeline.sources.points import (
    INGESTED,
    REFUSED,
    Item,
    Ledger,
    LedgerEntry,
    Reader,
    Refusal,
    RefusedItem,
)
from cogniforge_pipeline.sources.staging import LARGE_BYTES, Counts, Staging
from cogniforge_pipeline.sqltext import literal

LEDGER = "aiops.ingest_ledger"
SERIES = "aiops.series"
TELEMETRY = "aiops.telemetry"

BATCH_ITEMS = 200
BATCH_BYTES = 256 << 20

Progress = Callable[[str, int, int], None]
"""Told the source's name, how many items were read of it so far, and how many points."""


@dataclass
class Totals:
    """What one ingestion did: the publications of each table, refused items, and notices of the readers."""

    items: int = 0
    refused: list[Refusal] = field(default_factory=list)
    publications: dict[str, list[Publication]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    def rows(self, table: str) -> int:
        return sum(p.rows for p in self.publications.get(table, ()))

    @property
    def quarantined(self) -> int:
        return sum(p.quarantined for p in self.publications.get(TELEMETRY, ()))


@dataclass
class Read:
    """An item on its way into the ledger."""

    item: Item | Refusal
    status: str = INGESTED
    reason: str | None = None
    hint: str | None = None

    def refuse(self, error: RefusedItem) -> None:
        """Notes that it could not be read."""
        self.status, self.reason, self.hint = REFUSED, error.message, error.hint

    @property
    def refusal(self) -> Refusal:
        item = self.item
        return Refusal(item.source, item.item, item.fingerprint, self.reason or "", self.hint, item.size, item.cursor)


def ingest(
    lake: Lake,
    contracts: Mapping[str, Contract],
    sources: Iterable[Source],
    *,
    run_id: str,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Totals:
    """Reads what is new in all sources and publishes it in batches; each batch commits its ledger entries with it.

    Nothing that one source or item holds stops the others: what cannot be read is refused with a reason in the
    ledger, what is wrong with a row is in quarantine. `now` (UTC) is the reader's clock, for tests. Raises LakeError,
    AuditFailed, or Superseded after ATTEMPTS attempts.
    """
    totals = Totals()
    for source in sources:
        with lake.explained():
            _Ingestion(lake, contracts, source, run_id, now, totals, progress).run()
    return totals


def ledger_of(cursor: Connection, source: str) -> Ledger:
    """The newest entry of each item of one source."""
    rows = cursor.execute(
        f"SELECT item, status, reason, fingerprint, cursor, ingested_at FROM {LEDGER} WHERE source = {literal(source)} "
        "QUALIFY row_number() OVER (PARTITION BY item ORDER BY ingested_at DESC) = 1",
    ).fetchall()
    return {
        item: LedgerEntry(source, item, status, reason, fingerprint, json.loads(position or "{}"), at)
        for item, status, reason, fingerprint, position, at in rows
    }


class _Ingestion:
    """One source's turn."""

    def __init__(
        self,
        lake: Lake,
        contracts: Mapping[str, Contract],
        source: Source,
        run_id: str,
        now: datetime | None,
        totals: Totals,
        progress: Progress | None,
    ) -> None:
        self.lake, self.contracts, self.source, self.run_id = lake, contracts, source.name, run_id
        self.now, self.totals, self.progress = now, totals, progress
        self.reader: Reader = reader_of(source, home=lake.settings.home, base=lake.settings.home)
        self.cursor = lake.cursor()
        self.items = self.points = 0

    def run(self) -> None:
        lost = 0
        while True:
            version = publish.versions(self.cursor).get(LEDGER, 0)
            planned = self.reader.plan(ledger_of(self.cursor, self.source), self.now or datetime.now(UTC))
            try:
                for batch in batches(planned):
                    self._publish(batch, version)
                    version += 1
                    lost = 0
                return
            except Superseded:
                lost += 1
                if lost == ATTEMPTS:
                    raise

    def _publish(self, batch: list[Read], version: int) -> None:
        staging = Staging(self.cursor, self.contracts[TELEMETRY], self.run_id)
        notices: list[str] = []
        try:
            for number, read in enumerate(batch):
                if isinstance(read.item, Item):
                    try:
                        staging.read(self.reader, number, read.item)
                        notices += self.reader.notices
                    except RefusedItem as error:
                        read.refuse(error)
            staging.settle()
            duplicates = staging.find_duplicates() > 0
            published = self._commit(batch, staging, duplicates, version)
        finally:
            staging.clear()
        for publication in published:
            self.totals.publications.setdefault(publication.table, []).append(publication)
        self.totals.items += len(batch)
        self.totals.refused += [read.refusal for read in batch if read.status == REFUSED]
        self.totals.notices += notices
        self.items += len(batch)
        self.points += sum(p.rows for p in published if p.table == TELEMETRY)
        if self.progress:
            self.progress(self.source, self.items, self.points)

    def _commit(self, batch: Sequence[Read], staging: Staging, duplicates: bool, version: int) -> list[Publication]:
        circumstances = Circumstances(self.run_id, expected={LEDGER: version})
        counts = staging.counts(duplicates)
        with (
            self._stage(SERIES, staging.new_series()) as series,
            publish.stage(
                self.cursor,
                self.contracts[TELEMETRY],
                [staging.telemetry(duplicates)],
                mode=Mode.APPEND,
                run_id=self.run_id,
                refused=staging.bad(duplicates),
                source=self.source,
            ) as telemetry,
            self._stage(LEDGER, ledger_rows(batch, _settled(counts, telemetry.quarantined), self.run_id)) as ledger,
        ):
            fresh = [item for item in (series, telemetry) if item.audit.rows or item.quarantined]
            return publish.publish(self.lake, self.cursor, [*fresh, ledger], circumstances)

    def _stage(self, table: str, select: str) -> publish.Staging:
        return publish.stage(
            self.cursor, self.contracts[table], [select], mode=Mode.APPEND, run_id=self.run_id, source=self.source
        )


def batches(planned: Iterator[Item | Refusal]) -> Iterator[list[Read]]:
    """What was planned, in groups of at most BATCH_ITEMS and about BATCH_BYTES; a large file stands alone."""
    batch: list[Read] = []
    size = 0
    for item in planned:
        large = item.size >= LARGE_BYTES
        if batch and (large or len(batch) == BATCH_ITEMS or size + item.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(Read(item) if isinstance(item, Item) else Read(item, REFUSED, item.reason, item.hint))
        size += item.size
        if large:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _settled(counts: Mapping[int, Counts], set_aside: int) -> Mapping[int, Counts]:
    """The counts with what only the contract's rules found in a large file, which stands alone in its batch."""
    return {number: replace(count, bad=set_aside) for number, count in counts.items()} if len(counts) == 1 else counts


def ledger_rows(batch: Sequence[Read], counts: Mapping[int, Counts], run_id: str) -> str:
    """SELECT of the ledger's entries; `counts` by the number of the item in the batch."""
    rows = []
    at = literal(datetime.now(UTC))
    for number, read in enumerate(batch):
        item, count = read.item, counts.get(number, Counts())
        values = [
            *(item.source, item.item, read.status, read.reason, read.hint, item.fingerprint, json.dumps(item.cursor)),
            *(item.size, count.read, count.read - count.bad, count.bad, count.first, count.last),
        ]
        rows.append(f"({', '.join(literal(v) for v in values)}, {at}, {literal(run_id)})")
    names = (
        "source, item, status, reason, hint, fingerprint, cursor, bytes, rows_read, rows_ingested, rows_quarantined, "
        "first_ts, last_ts, ingested_at, run_id"
    )
    return f"SELECT * FROM (VALUES {', '.join(rows)}) AS entries ({names})"
