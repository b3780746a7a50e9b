"""Data Docs: the site of Great Expectations that shows each table's contract, and how a sample of its rows keeps it.

Belongs here: building the site in `reports/data_docs`. Does not: what a rule becomes (`expectations.py`), how pages look
(`data_docs_pages.py`).

Of a table with days the newest one is judged, of any other table all rows; of more than ROWS rows a sample. Nothing is
sent anywhere, neither while the site is built nor while it is read.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import LOCK_TIMEOUT_SECONDS, Connection, LakeError
from cogniforge_pipeline.reports.data_docs_pages import Line, escaped, finish
from cogniforge_pipeline.reports.expectations import ROWS, expectations, sample
from cogniforge_pipeline.sqltext import ident, literal, qualified

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext

__all__ = ["Verdict", "build", "expectations"]

FOLDER = "data_docs"


@dataclass(frozen=True)
class Verdict:
    """How a table's rows keep its contract: `rows` of `of` rows of `what` were judged by `rules` expectations.

    `errors` and `warnings` name the rules that do not hold, `failed` those that could not be judged.
    """

    table: str
    what: str
    rows: int
    of: int
    rules: int
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    failed: tuple[str, ...]

    @property
    def broken(self) -> tuple[str, ...]:
        """All rules that do not hold or could not be judged."""
        return (*self.errors, *self.failed, *self.warnings)


def build(home: Home, tables: Iterable[str] | None = None) -> tuple[Path, list[Verdict]]:
    """Builds the site anew for some tables (by default all), and gives its first page and a verdict for each table.

    Readers see the old site until the new one is whole. Raises CogniforgeError for a table that is not there, LakeError
    when the lake cannot be read or the folder cannot be written.
    """
    names = sorted(home.contracts) if tables is None else list(dict.fromkeys(tables))
    for name in names:
        if name not in home.contracts:
            raise CogniforgeError(f"there is no table {name}", f"tables: {', '.join(sorted(home.contracts))}")
    target = home.settings.reports / FOLDER
    draft = target.with_name(f".{FOLDER}.draft")
    lock = home.settings.state / "data_docs.lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, timeout=LOCK_TIMEOUT_SECONDS):
            shutil.rmtree(draft, ignore_errors=True)
            with home.lake.explained():
                verdicts = _site(home, [home.contracts[name] for name in names], draft)
            finish(draft, home.settings.home, [_line(home.contracts[v.table], v) for v in verdicts])
            _swap(draft, target)
    except OSError as error:
        raise LakeError(
            f"{target} cannot be written: {error.strerror or error}", "free the disk, or the folder"
        ) from error
    return target / "index.html", verdicts


def _site(home: Home, chosen: Sequence[Contract], folder: Path) -> list[Verdict]:
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": store,
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        data_docs_sites={"tables": site},
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )
    context = gx.get_context(project_config=config, mode="ephemeral")
    source = context.data_sources.add_pandas("lake")
    verdicts = [_judge(context, source, home.lake.cursor(), contract) for contract in chosen]
    context.build_data_docs()
    return verdicts


def _judge(context: EphemeralDataContext, source: Any, cursor: Connection, contract: Contract) -> Verdict:
    """Judges a table's rows and leaves suite and result in the context, for its site."""
    import great_expectations as gx
    from great_expectations.core.run_identifier import RunIdentifier

    what, relation = _population(cursor, contract)
    row = cursor.execute(f"SELECT count(*) FROM {relation}").fetchone()
    count = int(row[0]) if row else 0
    frame = sample(cursor, contract, relation, count)
    suite = gx.ExpectationSuite(
        contract.name,
        expectations=expectations(contract, whole=count <= ROWS),
        notes=f"{len(frame):,} of {count:,} rows ({what}), contract version {contract.version}",
    )
    context.suites.add(suite)
    batch = source.add_dataframe_asset(contract.name).add_batch_definition_whole_dataframe(what)
    definition = gx.ValidationDefinition(name=contract.name, data=batch, suite=suite)
    context.validation_definitions.add(definition)
    run = RunIdentifier(run_name=what, run_time=datetime.now(UTC))
    result = definition.run(batch_parameters={"dataframe": frame}, result_format="SUMMARY", run_id=run)
    result.meta["batch_spec"]["data_asset_name"] = contract.name
    _store_escaped(context, result)
    broken = [each for each in result.results if not each.success]
    failed = [each for each in broken if "unexpected_count" not in each.result and "observed_value" not in each.result]
    wrong = [each for each in broken if each not in failed]
    return Verdict(
        contract.name,
        what,
        len(frame),
        count,
        len(result.results),
        tuple(name for name, critical in map(_rule, wrong) if critical),
        tuple(name for name, critical in map(_rule, wrong) if not critical),
        tuple(name for name, _ in map(_rule, failed)),
    )


def _rule(result: Any) -> tuple[str, bool]:
    """The name of the rule of one result, and whether it is one that rows must keep."""
    expectation = result.expectation_config
    return str(expectation.meta["rule"]), expectation.severity == "critical"


def _store_escaped(context: EphemeralDataContext, result: ExpectationSuiteValidationResult) -> None:
    """Great Expectations puts values of a table into its pages as they are; here they become harmless first."""
    for each in result.results:
        each.result = escaped(each.result)
        each.exception_info = escaped(each.exception_info)
    store: Any = context.validation_results_store
    (key,) = (key for key in store.list_keys() if key.expectation_suite_identifier.name == result.suite_name)
    store.update(key, result)


def _population(cursor: Connection, contract: Contract) -> tuple[str, str]:
    """The rows to judge, in words and as SQL for FROM: those of the newest day, or all."""
    table = qualified(contract.name)
    if not contract.partition_column:
        return "all rows", table
    column = ident(contract.partition_column)
    row = cursor.execute(f"SELECT max({column}) FROM {table} WHERE isfinite({column})").fetchone()
    if row is None or row[0] is None:
        return "all rows", table
    first = row[0].astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    after = first + timedelta(days=1)
    where = f"{column} >= {literal(first)} AND {column} < {literal(after)}"
    return f"day {first:%Y-%m-%d}", f"(SELECT * FROM {table} WHERE {where})"


def _line(contract: Contract, verdict: Verdict) -> Line:
    return Line(
        contract.schema,
        contract.table,
        contract.description,
        contract.owner,
        f"{verdict.rows:,} of {verdict.of:,} rows, {verdict.what}",
        verdict.rules,
        verdict.errors,
        verdict.warnings,
        verdict.failed,
    )


def _swap(draft: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.{os.getpid()}")
    if target.exists():
        target.rename(old)
    draft.rename(target)
    shutil.rmtree(old, ignore_errors=True)
