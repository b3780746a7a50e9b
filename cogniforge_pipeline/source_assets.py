"""Every table of the user's own that files fill, as a Dagster asset, with no wiring.

Belongs here: the asset of such a table. Does not: reading its files (`sources/landed.py`), or which tables there are
(`products.py`).

Each table reads its own files, in the phase of ingestion: what one source has wrong fails that one step and holds back only
what reads its table, and the days that its files touched are in the log before the facts are planned.
"""

from collections.abc import Iterator

import dagster as dg

from cogniforge_pipeline import metadata, outcomes
from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.home import LEDGER, Home
from cogniforge_pipeline.increments import Outcome, Plan
from cogniforge_pipeline.publish import quarantine_of
from cogniforge_pipeline.sources.landed import fill
from cogniforge_pipeline.sources.model import TableSource
from cogniforge_pipeline.sources.table_reader import definition_of
from cogniforge_pipeline.sqltext import literal

READABLE = {
    "files_readable": "every file could be read",
    "rows_readable": "every row of the files has values of the columns' types; the others are in quarantine with the reason",
}


def source_assets(home: Home) -> list[dg.AssetsDefinition]:
    """One asset for each table that a source fills."""
    return [_asset(home, source, home.contracts[table]) for table, source in home.products.sources.items()]


def _asset(home: Home, source: TableSource, contract: Contract) -> dg.AssetsDefinition:
    rules = {rule.name for rule in contract.rules}
    own = {name: text for name, text in READABLE.items() if name not in rules}

    @dg.multi_asset(
        name=contract.name.replace(".", "__"),
        specs=[
            metadata.spec(
                home,
                contract,
                inputs=("platform.declarations",),
                kinds=("files", "ducklake"),
                code_version=definition_of(source, contract),
            )
        ],
        can_subset=True,
        check_specs=[
            *metadata.checks(contract),
            *(dg.AssetCheckSpec(name, asset=contract.key, description=text) for name, text in own.items()),
        ],
    )
    def asset(context: dg.AssetExecutionContext) -> outcomes.Step:
        def work() -> Outcome:
            home.admit(contract.name, context.run.run_id)
            totals = fill(home.lake, home.contracts, source, run_id=context.run.run_id)
            for notice in totals.notices:
                context.log.warning(notice)
            outcomes.announce_refused(home, totals.refused)
            published = outcomes.in_all(totals.publications.get(contract.name, []))
            if published:
                home.announce(contract.name)
            reason = f"{totals.items} new or changed files" if totals.items else "no new or changed file"
            return Outcome(Plan({}, 0, (), published is not None, reason), published)

        for result in outcomes.report(context, home, (contract,), work):
            if isinstance(result, dg.MaterializeResult):
                yield from (check for check in _readable(home, source, contract) if check.check_name in own)
            yield result

    return asset


def _readable(home: Home, source: TableSource, contract: Contract) -> Iterator[dg.AssetCheckResult]:
    """What of the files is not in the table now, whichever run found it."""
    cursor = home.lake.cursor()
    refused = cursor.execute(
        f"SELECT item, reason, hint FROM {LEDGER} WHERE source = {literal(source.name)} "
        "QUALIFY row_number() OVER (PARTITION BY item ORDER BY ingested_at DESC) = 1 AND status = 'refused' ORDER BY item"
    ).fetchall()
    lines = [f"- `{item}`: {reason}. {hint or ''}" for item, reason, hint in refused]
    yield dg.AssetCheckResult(
        asset_key=contract.key,
        check_name="files_readable",
        passed=not lines,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"refused": len(lines), "reasons": dg.MetadataValue.md("\n".join(lines[:100]) or "none")},
    )
    query = f"SELECT row, reason, source FROM {quarantine_of(contract)} WHERE list_contains(rules, 'readable')"
    row = cursor.execute(f"SELECT count(*) FROM ({query})").fetchone()
    aside = int(row[0]) if row else 0
    yield dg.AssetCheckResult(
        asset_key=contract.key,
        check_name="rows_readable",
        passed=not aside,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "quarantined": aside,
            "message": f"{aside} rows are set aside" if aside else "none is set aside",
            **({"see": dg.MetadataValue.md(f"```sql\n{query}\n```")} if aside else {}),
        },
    )
