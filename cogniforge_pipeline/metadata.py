"""What the Dagster UI shows of a table: its spec from the contract, checks, row counts, preview and plot.

Belongs here: translation of contracts and publications into Dagster's values. Does not: computing anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.utils import is_valid_email

from cogniforge_pipeline.contracts import Contract, Rule
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.increments import Request

AS_OF_TAG = "cogniforge/as_of"
CHANGED_TAG = "cogniforge/only_changed"
PHASE_TAG = "cogniforge/phase"


class Days(dg.DailyPartitionsDefinition):
    """UTC days, listed without asking a cron schedule for each: Dagster lists all of them for every step that reads a
    fact, and thousands take it a fifth of a second."""

    def get_partition_keys(
        self, current_time: datetime | None = None, dynamic_partitions_store: Any = None
    ) -> Sequence[str]:
        with dg.partition_loading_context(current_time, dynamic_partitions_store):
            first, last = self.get_first_partition_key(), self.get_last_partition_key()
        if first is None or last is None:
            return []
        start = date.fromisoformat(first)
        return [(start + timedelta(n)).isoformat() for n in range((date.fromisoformat(last) - start).days + 1)]


def days_of(home: Home) -> dg.DailyPartitionsDefinition:
    """The partitions of facts: UTC days from the home's first day to the day after tomorrow.

    Clocks may run ahead, and the last minute of a day is told in the next.
    """
    return Days(start_date=home.settings.first_day.isoformat(), end_offset=3)


def spec(
    home: Home,
    contract: Contract,
    *,
    inputs: Iterable[str] = (),
    kinds: Iterable[str] = ("duckdb",),
    code_version: str | None = None,
    automation: dg.AutomationCondition[dg.AssetKey] | None = None,
    by_day: bool = False,
) -> dg.AssetSpec:
    """The asset of a contract's table: description, owner, schema, place, freshness and partitions."""
    seconds = contract.freshness_seconds
    return dg.AssetSpec(
        key=contract.key,
        deps=[dg.AssetDep(name.split(".")) for name in inputs],
        description=contract.description,
        metadata={
            "dagster/table_name": contract.name,
            "dagster/column_schema": _schema(contract),
            "dagster/uri": f"{home.settings.data.rstrip('/')}/{contract.schema}/{contract.table}",
            "contract_version": contract.version,
        },
        owners=_owners(contract.owner),
        kinds=set(kinds),
        tags={f"cogniforge/{slug}": "" for tag in contract.tags if (slug := _slug(tag))},
        group_name=contract.schema,
        code_version=code_version,
        automation_condition=automation,
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(seconds=seconds)) if seconds else None,
        partitions_def=days_of(home) if by_day else None,
    )


def _owners(owner: str) -> list[str]:
    """A contract's owner in Dagster's form: an e-mail address, else a team, else nobody."""
    named = owner.strip().removeprefix("team:").strip()
    if is_valid_email(named):
        return [named]
    return [f"team:{named}"] if named else []


def _slug(tag: str) -> str:
    """A tag in the letters that Dagster allows: 63 at most."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", tag).strip("-")[:63]


def checks(contract: Contract) -> list[dg.AssetCheckSpec]:
    """One check for each rule. A table rule of severity ERROR blocks what depends on the table; row rules do not, for
    the rows that break them are not in it."""
    return [
        dg.AssetCheckSpec(
            name=rule.name,
            asset=contract.key,
            description=rule.description,
            blocking=blocks(rule),
        )
        for rule in contract.rules
    ]


def request(context: dg.AssetExecutionContext, home: Home) -> Request:
    """What this run asks for, from its tags and its partition range.

    A run that somebody starts by hand has no tag, and computes again what it was asked for even when nothing changed.
    """
    tags = context.run.tags
    as_of = tags.get(AS_OF_TAG)
    first = after = None
    if context.has_partition_key or context.has_partition_key_range:
        window = context.partition_time_window
        first, after = window.start.date(), window.end.date()
    return Request(
        run_id=context.run.run_id,
        as_of=datetime.fromisoformat(as_of) if as_of else None,
        first=first,
        after=after,
        only_changed=tags.get(CHANGED_TAG) == "true",
        newest=None if as_of else home.as_of,
    )


def blocks(rule: Rule) -> bool:
    """Whether a broken rule keeps its table from being published."""
    return rule.kind == "table" and rule.severity == "ERROR"


def _schema(contract: Contract) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type,
                description=column.description,
                constraints=dg.TableColumnConstraints(
                    nullable=not column.required,
                    unique=contract.primary_key == (column.name,),
                    other=[f"refers to {column.references}"] if column.references else [],
                ),
            )
            for column in contract.columns
        ]
    )


def range_tags(span: tuple[date, date], *, only_changed: bool) -> dict[str, str]:
    """The tags of one run over the days [first, after), which may leave unchanged days alone."""
    first, after = span
    return {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": (after - timedelta(days=1)).isoformat(),
        CHANGED_TAG: str(only_changed).lower(),
    }


def announce_failure(home: Home, run: dg.DagsterRun, message: str | None) -> None:
    """Publishes the event of a failed run, once however often it is told."""
    home.events.publish(
        "run.failed",
        {"run_id": run.run_id, "job": run.job_name, "message": message},
        source="/cogniforge/runs",
        subject=run.job_name,
        id=run.run_id,
    )
