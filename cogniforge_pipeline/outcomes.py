"""What the Dagster UI shows of a publication: check results, row counts, preview and plot.

Belongs here: translation of publications into Dagster's values. Does not: computing anything, the assets (`metadata.py`).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from cogniforge_pipeline import publish
from cogniforge_pipeline.contracts import Audit, Contract, Rule
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.increments import Outcome, Plan
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.metadata import blocks
from cogniforge_pipeline.publish import Attempt, AuditFailed, Publication, midnight, quarantine_of
from cogniforge_pipeline.sources.points import Refusal
from cogniforge_pipeline.sqltext import ident, literal, qualified

PREVIEW_ROWS = 10
LARGE = ("preview", "plot")
_EVALUATED = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}

Plot = Callable[[Connection, Publication], Any]
"""Makes an Altair chart of a published table, or None when there is nothing to show."""

Step = Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]


def report(
    context: dg.AssetExecutionContext,
    home: Home,
    contracts: Sequence[Contract],
    work: Callable[[], Outcome],
    *,
    plots: Mapping[str, Plot] | None = None,
) -> Step:
    """Runs the work of one step and reports it for each of its tables, of which the first is the one that it is named after:
    a check result for each rule, then the materialization.

    A broken table rule becomes failed checks, an event and a failed step; nothing was published then.
    """
    started = datetime.now(UTC)
    try:
        outcome = work()
    except AuditFailed as error:
        yield from failed(home, error)
        raise dg.Failure(str(error), allow_retries=False) from error
    except Exception as error:
        publish.tell(home.lake, Attempt(contracts[0], context.run.run_id, started, datetime.now(UTC), error=error))
        raise
    made = [outcome.publication, *outcome.beside]
    published = {publication.table: publication for publication in made if publication}
    for contract in contracts:
        plot = (plots or {}).get(contract.name)
        yield from results(context, home, contract, published.get(contract.name), outcome.plan, plot=plot)


def announce_refused(home: Home, refused: Iterable[Refusal]) -> None:
    """Publishes an event for each file or window that could not be read, once however often it is told."""
    for refusal in refused:
        home.events.publish(
            "file.refused",
            {"source": refusal.source, "item": refusal.item, "reason": refusal.reason, "hint": refusal.hint},
            source=f"/cogniforge/sources/{refusal.source}",
            subject=refusal.item,
            id=f"{refusal.item}:{refusal.fingerprint}",
        )


def in_all(published: Sequence[Publication]) -> Publication | None:
    """The last publication of several batches, with the rows and days of all of them; None of none."""
    if not published:
        return None
    return replace(
        published[-1],
        rows=sum(p.rows for p in published),
        quarantined=sum(p.quarantined for p in published),
        days=tuple(sorted({day for p in published for day in p.days})),
    )


def failed(home: Home, error: AuditFailed) -> Iterator[dg.AssetCheckResult]:
    """The check results of an audit that stopped a publication, and the event that says so."""
    for result in error.audit.blocking:
        home.events.publish(
            "asset.check.failed",
            {"table": error.contract.name, "rule": result.rule.name, "message": result.message},
            source="/cogniforge/contracts",
            subject=error.contract.name,
        )
    yield from check_results(error.contract, error.audit)


def results(
    context: dg.AssetExecutionContext,
    home: Home,
    contract: Contract,
    publication: Publication | None,
    plan: Plan | None,
    *,
    plot: Plot | None = None,
) -> Step:
    """The check results and the materialization of one publication; of none, that nothing had to be done."""
    reason = {"reason": plan.reason} if plan else {}
    key = dg.AssetKey(contract.key)
    if publication is None:
        for rule in contract.rules:
            yield last_check_result(context.instance, contract, rule.name, _severity(rule))
        shown = _last_metadata(context.instance, key)
        context.add_asset_metadata({k: shown.pop(k) for k in LARGE if k in shown}, key, _newest_partition(context))
        yield dg.MaterializeResult(asset_key=key, metadata={**shown, **reason, "unchanged": True})
        return
    yield from check_results(contract, publication.audit)
    cursor = home.lake.cursor()
    context.add_asset_metadata(_large(cursor, contract, publication, plot), key, _newest_partition(context))
    yield dg.MaterializeResult(
        asset_key=key,
        metadata={
            "dagster/row_count": _rows(cursor, contract),
            "rows_published": publication.rows,
            "rows_quarantined": publication.quarantined,
            "snapshot": publication.snapshot,
            "version": publication.version,
            "days": len(publication.days),
            **reason,
        },
        data_version=dg.DataVersion(str(publication.version)),
    )


def _large(
    cursor: Connection, contract: Contract, publication: Publication, plot: Plot | None
) -> dict[str, dg.MetadataValue[Any]]:
    """What is too large to be repeated for each day of a run."""
    found = {"preview": preview(cursor, contract, publication.days)}
    try:
        chart = plot(cursor, publication) if plot else None
        if chart is not None:
            found["plot"] = dg.MetadataValue.md(_markdown(chart))
    except Exception as error:  # the table is published: a picture must not say otherwise
        found["plot"] = dg.MetadataValue.text(f"no plot: {error}")
    return found


def _last_metadata(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, dg.MetadataValue[Any]]:
    event = instance.get_latest_materialization_event(key)
    return dict(event.asset_materialization.metadata) if event and event.asset_materialization else {}


def check_results(contract: Contract, audit: Audit) -> Iterator[dg.AssetCheckResult]:
    """One Dagster check result for each rule of an audit; where rows were set aside, with the query that shows them."""
    for result in audit.results:
        aside = {} if result.passed or result.rule.kind == "table" else {"see": _aside(contract, result.rule)}
        yield dg.AssetCheckResult(
            asset_key=contract.key,
            check_name=result.rule.name,
            passed=result.passed,
            severity=_severity(result.rule),
            metadata={
                "failing": result.failing,
                "observed": str(result.observed),
                "message": result.message,
                **aside,
            },
        )


def last_check_result(
    instance: dg.DagsterInstance, contract: Contract, name: str, severity: dg.AssetCheckSeverity
) -> dg.AssetCheckResult:
    """A check's result of the last time that it was judged, where nothing came since; passed where it never was.

    A check that is not reported counts as skipped, and what waits for a blocking one would wait forever. A published
    table keeps its blocking rules, whoever published it.
    """
    key = dg.AssetCheckKey(dg.AssetKey(contract.key), name)
    found = instance.event_log_storage.get_asset_check_execution_history(key, limit=1, status=_EVALUATED)
    last = found[0].evaluation if found else None
    return dg.AssetCheckResult(
        asset_key=contract.key,
        check_name=name,
        passed=last is None or last.passed or severity is dg.AssetCheckSeverity.ERROR,
        severity=severity,
        metadata=last.metadata if last else {"message": "nothing was judged yet"},
    )


def preview(cursor: Connection, contract: Contract, days: Iterable[date] = ()) -> dg.MetadataValue[Any]:
    """The first rows of a table, of its newest published day where it has days, as a Markdown table."""
    where = ""
    newest = max(days, default=None)
    if newest and contract.partition_column:
        column = ident(contract.partition_column)
        where = f" WHERE {column} >= {literal(midnight(newest))}"
    found = cursor.execute(f"SELECT * FROM {qualified(contract.name)}{where} LIMIT {PREVIEW_ROWS}")
    names = [column[0] for column in found.description or []]
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in found.fetchall()]
    return dg.MetadataValue.md("\n".join(lines))


def _newest_partition(context: dg.AssetExecutionContext) -> str | None:
    """The day whose event the UI shows first."""
    if context.has_partition_key or context.has_partition_key_range:
        return str(context.partition_key_range.end)
    return None


def _severity(rule: Rule) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if blocks(rule) else dg.AssetCheckSeverity.WARN


def _aside(contract: Contract, rule: Rule) -> dg.MetadataValue[Any]:
    query = f"SELECT row, reason FROM {quarantine_of(contract)} WHERE list_contains(rules, {literal(rule.name)})"
    return dg.MetadataValue.md(f"```sql\n{query}\n```")


def _rows(cursor: Connection, contract: Contract) -> int:
    row = cursor.execute(f"SELECT count(*) FROM {qualified(contract.name)}").fetchone()
    return int(row[0]) if row else 0


def _cell(value: object) -> str:
    if isinstance(value, float):
        value = f"{value:.6g}"
    elif isinstance(value, Mapping):
        value = ", ".join(f"{k}={v}" for k, v in value.items())
    return str(value).replace("|", "\\|").replace("\n", " ")[:120]


def _markdown(chart: Any) -> str:
    import vl_convert

    picture = base64.b64encode(vl_convert.vegalite_to_png(chart.to_json(), scale=1.5)).decode()
    return f"![plot](data:image/png;base64,{picture})"
