"""Dagster assets of AIOps that are not SQL: the ingestion of telemetry.

Belongs here: thin wiring. Does not: reading (`sources`), mathematics.
"""

import dagster as dg

from cogniforge_pipeline import metadata, outcomes
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.publish import AuditFailed, quarantine_of
from cogniforge_pipeline.sources.declared import sources_of
from cogniforge_pipeline.sources.ingest import LEDGER, SERIES, TELEMETRY, Totals, ingest
from cogniforge_pipeline.sqltext import literal

INGESTED = (SERIES, TELEMETRY, LEDGER)


def assets(home: Home) -> list[dg.AssetsDefinition]:
    """The ingestion: one step that publishes the ledger, the series and the telemetry together."""
    contracts = [home.contracts[name] for name in INGESTED]
    inputs = {SERIES: (), TELEMETRY: (SERIES,), LEDGER: ("platform.declarations",)}

    @dg.multi_asset(
        name="aiops__ingest",
        specs=[
            metadata.spec(home, contract, inputs=inputs[contract.name], kinds=("python", "ducklake"))
            for contract in contracts
        ],
        can_subset=True,
        check_specs=[
            *(check for contract in contracts for check in metadata.checks(contract)),
            dg.AssetCheckSpec(
                "items_readable",
                asset=home.contracts[LEDGER].key,
                description="every file and window that was new could be read",
            ),
            dg.AssetCheckSpec(
                "rows_readable",
                asset=home.contracts[TELEMETRY].key,
                description="every row that was read became a point; the others are in quarantine with the reason",
            ),
        ],
    )
    def aiops__ingest(context: dg.AssetExecutionContext) -> outcomes.Step:
        platform = home.platform()
        try:
            totals = ingest(
                home.lake,
                home.contracts,
                sources_of(platform),
                run_id=context.run.run_id,
                progress=home.progress,
            )
        except AuditFailed as error:
            yield from outcomes.failed(home, error)
            raise dg.Failure(str(error), allow_retries=False) from error
        for notice in totals.notices:
            context.log.warning(notice)
        outcomes.announce_refused(home, totals.refused)
        if totals.items:
            yield _items_readable(totals, home)
            yield _rows_readable(totals, home, context.run.run_id)
        else:
            for table, check in ((LEDGER, "items_readable"), (TELEMETRY, "rows_readable")):
                yield outcomes.last_check_result(
                    context.instance, home.contracts[table], check, dg.AssetCheckSeverity.WARN
                )
        for contract in contracts:
            if dg.AssetKey(contract.key) not in context.selected_asset_keys:
                continue
            published = outcomes.in_all(totals.publications.get(contract.name, []))
            yield from outcomes.results(context, home, contract, published, None)

    return [aiops__ingest]


def _items_readable(totals: Totals, home: Home) -> dg.AssetCheckResult:
    lines = [f"- `{r.item}` ({r.source}): {r.reason}. {r.hint or ''}" for r in totals.refused]
    return dg.AssetCheckResult(
        asset_key=home.contracts[LEDGER].key,
        check_name="items_readable",
        passed=not lines,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "items": totals.items,
            "refused": len(lines),
            "reasons": dg.MetadataValue.md("\n".join(lines[:100]) or "none"),
        },
    )


def _rows_readable(totals: Totals, home: Home, run_id: str) -> dg.AssetCheckResult:
    contract = home.contracts[TELEMETRY]
    aside = totals.quarantined
    query = f"SELECT row, reason, source FROM {quarantine_of(contract)} WHERE run_id = {literal(run_id)}"
    return dg.AssetCheckResult(
        asset_key=contract.key,
        check_name="rows_readable",
        passed=not aside,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "points": totals.rows(TELEMETRY),
            "quarantined": aside,
            "message": f"{aside} rows were set aside" if aside else "none was set aside",
            **({"see": dg.MetadataValue.md(f"```sql\n{query}\n```")} if aside else {}),
        },
    )
