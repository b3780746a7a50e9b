"""From files to a table of the user's own, exactly once.

Belongs here: what a source's files give now, which days of the table that changes, and the one transaction that commits
landed rows, table, quarantine and ledger. Does not: reading files (`table_reader.py`), types (`casting.py`), Dagster.

`landed.<schema>__<table>` keeps the rows of all files as texts. The table follows from it: the days whose landed rows are
others than before are computed from all of their files and replaced, so a key that comes twice is found across files, and
what a file gave before is known when it changes. A table without days is replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime

from cogniforge_pipeline import publish
from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.contracts.split import row_json
from cogniforge_pipeline.lake import Lake
from cogniforge_pipeline.publish import ATTEMPTS, Circumstances, Mode, Staged, Superseded, quarantine_of
from cogniforge_pipeline.sources.casting import PLACE, bad_sql, day_sql, good_sql, judged_sql
from cogniforge_pipeline.sources.ingest import LEDGER, Read, Totals, batches, ledger_of, ledger_rows
from cogniforge_pipeline.sources.model import TableSource
from cogniforge_pipeline.sources.points import REFUSED, Item, RefusedItem
from cogniforge_pipeline.sources.records import json_pointer
from cogniforge_pipeline.sources.staging import Counts, damage_refused
from cogniforge_pipeline.sources.table_reader import TableReader, definition_of
from cogniforge_pipeline.sqltext import ident, literal, qualified

_READ, _NEW = "temp.landed_read", "temp.landed_new"
_COLUMNS = "item, position, day, row, problem"


def landed_of(contract: Contract) -> str:
    """The table that keeps the rows of a contract's files as the files gave them."""
    return f"landed.{contract.schema}__{contract.table}"


def fill(
    lake: Lake, contracts: Mapping[str, Contract], source: TableSource, *, run_id: str, now: datetime | None = None
) -> Totals:
    """Reads the new and changed files of a source into its table; each batch commits its ledger entries with it.

    When the source's definition or the contract's version is another one, all files that are there are read again, and
    the table is made anew of them and of what earlier files gave. `now` (UTC) is the reader's clock, for tests. Raises
    AuditFailed, LakeError, or Superseded after ATTEMPTS attempts.
    """
    totals = Totals()
    with lake.explained():
        _Filling(lake, contracts, source, run_id, now, totals).run()
    return totals


class _Filling:
    """One source's turn."""

    def __init__(
        self,
        lake: Lake,
        contracts: Mapping[str, Contract],
        source: TableSource,
        run_id: str,
        now: datetime | None,
        totals: Totals,
    ) -> None:
        self.lake, self.source, self.run_id, self.now, self.totals = lake, source, run_id, now, totals
        self.contract, self.ledger = contracts[source.table], contracts[LEDGER]
        self.landed, self.quarantine = qualified(landed_of(self.contract)), qualified(quarantine_of(self.contract))
        self.definition = definition_of(source, self.contract)
        home = lake.settings.home
        self.reader = TableReader(source, self.contract, home=home, base=home)
        self.cursor = lake.cursor()

    def run(self) -> None:
        self._prepare()
        lost = 0
        while True:
            last = publish.last(self.cursor, self.contract.name)
            version = int(str(last["version"])) if last else 0
            anew = last is None or last["code_version"] != self.definition
            planned = self.reader.plan(ledger_of(self.cursor, self.source.name), self.now or datetime.now(UTC))
            try:
                for batch in batches(planned):
                    published = self._publish(batch, version, anew)
                    version, anew, lost = version + published, anew and not published, 0
                if anew and version:
                    self._publish([], version, anew)
                return
            except Superseded:
                lost += 1
                if lost == ATTEMPTS:
                    raise
            finally:
                for table in (_READ, _NEW):
                    self.cursor.execute(f"DROP TABLE IF EXISTS {table}")

    def _prepare(self) -> None:
        schema, _, table = landed_of(self.contract).partition(".")
        there = self.cursor.execute(
            "SELECT 1 FROM duckdb_tables() WHERE database_name = current_catalog() "
            f"AND schema_name = {literal(schema)} AND table_name = {literal(table)}"
        ).fetchone()
        if not there:
            with self.lake.transaction(self.cursor):
                self.cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
                self.cursor.execute(
                    f"CREATE TABLE IF NOT EXISTS {self.landed} "
                    "(item VARCHAR, position BIGINT, day DATE, row VARCHAR, problem VARCHAR)"
                )

    def _publish(self, batch: list[Read], version: int, anew: bool) -> bool:
        """Commits one batch. Returns whether the table was published: not when its rows stay the same."""
        read = self._read(batch)
        replaced = f"item IN ({', '.join(map(literal, read))})" if read else "FALSE"
        if read and self.source.mode == "replace":
            replaced = "TRUE"
        if anew:
            told_before = "CASE WHEN json_type(row) <> 'OBJECT' THEN problem END"
            kept = f"SELECT item, position, row, {told_before} FROM {self.landed} WHERE NOT ({replaced})"
            self.cursor.execute(f"INSERT INTO {_READ} {kept}")
            replaced = "TRUE"
        judged = judged_sql(self.contract, self.source, f"SELECT * FROM {_READ}", self.now or datetime.now(UTC))
        self.cursor.execute(f"CREATE OR REPLACE TEMP TABLE landed_new AS {judged} ORDER BY day, item, position")
        touched = self._touched(replaced, anew)
        days = [day for day in touched if day]
        if not anew:
            days = self._with_same_keys(days)
        whole = not self.contract.partition_column
        undated = f"SELECT {_COLUMNS} FROM {_NEW} WHERE day IS NULL AND NOT {whole}"
        with ExitStack() as stack:
            made = bool(days or (whole and touched) or (anew and (version or read)))
            staged: list[Staged] = []
            if made:
                state = self._state(replaced, days, whole)
                staged.append(stack.enter_context(self._stage(state, undated, days, whole)))
                self._name_places(staged[0], state)
            if batch:
                ledger = self._entries(batch, self._counts(batch, staged, days))
                staged.append(stack.enter_context(ledger))
            with self.lake.transaction(self.cursor) as commit:
                if not whole:
                    gone = f"SELECT {PLACE} FROM {self.landed} WHERE ({replaced}) AND day IS NULL"
                    self.cursor.execute(f"DELETE FROM {self.quarantine} WHERE source IN ({gone})")
                    if not made:
                        bad = bad_sql(self.contract, self.source, undated, self.run_id)
                        self.cursor.execute(f"INSERT INTO {self.quarantine} BY NAME {bad}")
                self.cursor.execute(f"DELETE FROM {self.landed} WHERE {replaced}")
                self.cursor.execute(f"INSERT INTO {self.landed} SELECT {_COLUMNS} FROM {_NEW}")
                circumstances = Circumstances(
                    self.run_id, code_version=self.definition, expected={self.contract.name: version}
                )
                written = publish.commit(self.cursor, staged, circumstances)
        for publication in written:
            known = self.totals.publications.setdefault(publication.table, [])
            known.append(replace(publication, snapshot=commit.snapshot))
        self.totals.items += len(batch)
        self.totals.refused += [entry.refusal for entry in batch if entry.status == REFUSED]
        return made

    def _read(self, batch: list[Read]) -> list[str]:
        """Reads the files of a batch; the items that could be read."""
        self.cursor.execute(
            "CREATE OR REPLACE TEMP TABLE landed_read (item VARCHAR, position BIGINT, row VARCHAR, problem VARCHAR)"
        )
        read = []
        for entry in batch:
            if isinstance(entry.item, Item):
                name = entry.item.item
                try:
                    with damage_refused():
                        select = self.reader.relation(self.cursor, entry.item)
                        self.cursor.execute(
                            f"INSERT INTO {_READ} SELECT {literal(name)}, position, row, problem FROM ({select})"
                        )
                except RefusedItem as error:
                    entry.refuse(error)
                else:
                    read.append(name)
                    self.totals.notices += self.reader.notices
        return read

    def _touched(self, replaced: str, anew: bool) -> list[date | None]:
        """The days whose landed rows are others than before; None for the rows that have no day."""
        if anew:
            select = f"SELECT day FROM {self.landed} UNION SELECT day FROM {_NEW}"
        else:
            sums = "SELECT day, count(*), sum(hash(row, problem))"
            old = f"{sums} FROM {self.landed} WHERE {replaced} GROUP BY day"
            new = f"{sums} FROM {_NEW} GROUP BY day"
            select = f"SELECT DISTINCT day FROM (({old} EXCEPT {new}) UNION ALL ({new} EXCEPT {old})) AS others (day, n, sum)"
        return [row[0] for row in self.cursor.execute(f"{select} ORDER BY day NULLS LAST").fetchall()]

    def _with_same_keys(self, days: Sequence[date]) -> list[date]:
        """These days and all others that hold a key of theirs, for which of the rows is the good one is decided together.

        A key that names the day is never on two.
        """
        column = self.contract.partition_column
        rules = [rule for rule in self.contract.rules if rule.test == "unique" and column not in rule.columns]
        found = set(days)
        while column and rules and days:
            within = _within("day", days)
            rows = f"SELECT {_COLUMNS} FROM {self.landed} WHERE {within} UNION ALL SELECT {_COLUMNS} FROM {_NEW} WHERE {within}"
            good = good_sql(self.contract, self.source, rows)
            others = []
            for rule in rules:
                keys = ", ".join(map(ident, rule.columns))
                others.append(
                    f"SELECT {day_sql(ident(column))} AS day FROM {qualified(self.contract.name)} "
                    f"SEMI JOIN ({good}) AS known USING ({keys})"
                )
                pointers = literal([json_pointer(name) for name in rule.columns])
                row = row_json([ident(name) for name in rule.columns])
                known = f"SELECT json_extract_string({row}, {pointers}) FROM ({good})"
                others.append(
                    f"SELECT {day_sql(_told(column))} AS day FROM {self.quarantine} "
                    f"WHERE list_contains(rules, {literal(rule.name)}) AND json_extract_string(row, {pointers}) IN ({known})"
                )
            select = f"SELECT DISTINCT day FROM ({' UNION ALL '.join(others)}) WHERE day IS NOT NULL"
            days = [row[0] for row in self.cursor.execute(select).fetchall() if row[0] not in found]
            found |= set(days)
        return sorted(found)

    def _state(self, replaced: str, days: Sequence[date], whole: bool) -> str:
        """SELECT of the landed rows of these days, or of the whole table, as they are after the commit."""
        on = "TRUE" if whole else _within("day", days)
        return (
            f"SELECT {_COLUMNS} FROM {self.landed} WHERE NOT ({replaced}) AND {on} "
            f"UNION ALL SELECT {_COLUMNS} FROM {_NEW} WHERE {on}"
        )

    def _stage(self, state: str, undated: str, days: Sequence[date], whole: bool) -> publish.Staging:
        return publish.stage(
            self.cursor,
            self.contract,
            [good_sql(self.contract, self.source, state)],
            mode=Mode.REPLACE if whole else Mode.REPLACE_DAYS,
            run_id=self.run_id,
            days=days,
            source=self.source.name,
            refused=[bad_sql(self.contract, self.source, rows, self.run_id) for rows in (state, undated)],
        )

    def _entries(self, batch: Sequence[Read], counts: Mapping[int, Counts]) -> publish.Staging:
        select = ledger_rows(batch, counts, self.run_id)
        return publish.stage(
            self.cursor, self.ledger, [select], mode=Mode.APPEND, run_id=self.run_id, source=self.source.name
        )

    def _name_places(self, staged: Staged, state: str) -> None:
        """Gives the rows that the audit set aside their file and line; of equal rows each its own."""
        if not staged.audit.row_failures:
            return
        row = row_json([ident(column.name) for column in self.contract.columns])
        good = good_sql(self.contract, self.source, state)
        self.cursor.execute(
            f"UPDATE {staged.bad} AS bad SET source = found.place FROM (SELECT aside.id, rows.place FROM ("
            f"SELECT rowid AS id, row, row_number() OVER (PARTITION BY row) AS n FROM {staged.bad} "
            f"WHERE source = {literal(self.source.name)}) AS aside JOIN ("
            "SELECT row, place, row_number() OVER (PARTITION BY row ORDER BY place DESC) AS n FROM ("
            f'SELECT {row} AS row, "src:place" AS place FROM ({good})) '
            f"WHERE row IN (SELECT row FROM {staged.bad})) AS rows USING (row, n)) AS found WHERE bad.rowid = found.id"
        )

    def _counts(self, batch: Sequence[Read], staged: Sequence[Staged], days: Sequence[date]) -> dict[int, Counts]:
        """Rows read and set aside of each item of the batch; times stay empty, for they are not telemetry's."""
        rows = dict(self.cursor.execute(f"SELECT item, count(*) FROM {_NEW} GROUP BY item").fetchall())
        aside = [f"SELECT source FROM {item.bad}" for item in staged if item.quarantined]
        if not staged:
            aside.append(f"SELECT {PLACE} AS source FROM {_NEW} WHERE day IS NULL AND problem IS NOT NULL")
        if column := self.contract.partition_column:
            day = day_sql(_told(column))
            aside.append(f"SELECT source FROM {self.quarantine} WHERE {day} IS NOT NULL AND NOT ({_within(day, days)})")
        bad: dict[str, int] = {}
        if aside:
            item = "regexp_replace(source, ':\\d+$', '')"
            select = f"SELECT {item} AS item, count(*) FROM ({' UNION ALL '.join(aside)}) GROUP BY item"
            bad = dict(self.cursor.execute(select).fetchall())
        return {
            number: Counts(rows.get(entry.item.item, 0), min(rows.get(entry.item.item, 0), bad.get(entry.item.item, 0)))
            for number, entry in enumerate(batch)
            if entry.status != REFUSED
        }


def _told(column: str) -> str:
    """The time that says the day of a quarantined row."""
    return f"try_cast(json_extract_string(row, {literal(json_pointer(column))}) AS TIMESTAMPTZ)"


def _within(day: str, days: Sequence[date]) -> str:
    """Whether a day is one of these; the range lets files of other days be passed over."""
    if not days:
        return "FALSE"
    listed = ", ".join(map(literal, days))
    return f"{day} BETWEEN {literal(min(days))} AND {literal(max(days))} AND {day} IN ({listed})"
