"""Dagster assets of tables that nothing computes: rows come from outside a run, or with every publication.

Belongs here: showing and checking what such a table holds. Does not: writing it (`written.py`, `publish`).
"""

from collections.abc import Iterable, Mapping

import dagster as dg

from cogniforge_pipeline import contracts, metadata, outcomes, publish
from cogniforge_pipeline.automation import look_hourly
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.outcomes import Plot
from cogniforge_pipeline.publish import MATERIALIZATIONS, QUALITY, Publication
from cogniforge_pipeline.sqltext import ident, qualified

AUDITED_DAYS = 30


def written_assets(home: Home, tables: Iterable[str]) -> list[dg.AssetsDefinition]:
    """The assets of tables that `written.py` writes; of one with days its newest AUDITED_DAYS are audited."""
    return [shown_asset(home, table, since=home.contracts[table].partition_column) for table in tables]


def shown_asset(home: Home, table: str, *, since: str | None = None, plot: Plot | None = None) -> dg.AssetsDefinition:
    """Audits and shows a table: all of it, or the last AUDITED_DAYS by the column `since`."""
    contract = home.contracts[table]

    @dg.multi_asset(
        name=table.replace(".", "__"),
        specs=[metadata.spec(home, contract, automation=look_hourly())],
        can_subset=True,
        check_specs=metadata.checks(contract),
    )
    def shown(context: dg.AssetExecutionContext) -> outcomes.Step:
        cursor = home.lake.cursor()
        recent = f" WHERE {ident(since)} > now() - INTERVAL {AUDITED_DAYS} DAY" if since else ""
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE shown_rows AS SELECT * FROM {qualified(table)}{recent}")
        audit = contracts.audit(cursor, contract, "temp.shown_rows")
        version = shown_version(publish.versions(cursor), table)
        found = Publication(table, version, home.lake.snapshot_id(cursor), audit.rows, 0, (), audit)
        yield from outcomes.results(context, home, contract, found, None, plot=plot)

    return shown


def shown_version(versions: Mapping[str, int], table: str) -> int:
    """What changes with the table's rows. A log has no version of its own: every publication of any table adds to it."""
    return sum(versions.values()) if table in (MATERIALIZATIONS, QUALITY) else versions.get(table, 0)
