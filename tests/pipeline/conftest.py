"""A home whose runs are Dagster's own, and days of telemetry to drop into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cogniforge_pipeline import runner
from cogniforge_pipeline.contracts import Rule
from cogniforge_pipeline.definitions import build_definitions, open_home
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.settings import load_settings
from tests.support.pipeline import at, csv, lean


@dataclass
class Works:
    """A home, its definitions and its instance."""

    home: Home
    instance: dg.DagsterInstance

    @property
    def definitions(self) -> dg.Definitions:
        return build_definitions(self.home)

    def drop_day(self, day: str, *, value: float = 10.0, name: str | None = None, minutes: int = 30) -> None:
        """A file of one service's day, a point every so many minutes."""
        start = at(f"{day} 00:00")
        moments = [start + timedelta(minutes=n) for n in range(0, 1440, minutes)]
        path = self.home.settings.landing / (name or f"{day}.csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(csv((ts, "web", "latency_ms", value + ts.hour) for ts in moments))

    def run(self, **options: Any) -> runner.Report:
        """`cogniforge run`; must succeed."""
        report = runner.run(self.home, **options)
        assert report.success, report.failed_steps
        return report

    def execute(self, job: str, **tags: str) -> dg.ExecuteInProcessResult:
        """One job, as the UI would start it with these tags."""
        found = self.definitions.resolve_job_def(job)
        return found.execute_in_process(
            instance=self.instance, tags=tags, raise_on_error=False, run_config=runner.QUIET
        )

    @contextmanager
    def stricter(self, table: str, rule: Rule) -> Iterator[None]:
        """A table's contract with one more rule, as long as the block lasts."""
        contract = self.home.contracts[table]
        self.home.contracts[table] = replace(contract, rules=(*contract.rules, rule))
        try:
            yield
        finally:
            self.home.contracts[table] = contract

    def last(self, key: str) -> dg.AssetMaterialization:
        """The newest materialization of an asset such as `aiops/rollup_5m`."""
        event = self.instance.get_latest_materialization_event(dg.AssetKey(key.split("/")))
        assert event and event.asset_materialization, f"{key} was never materialized"
        return event.asset_materialization

    def check(self, key: str, name: str) -> dg.AssetCheckEvaluation:
        """The newest result of a check."""
        wanted = dg.AssetCheckKey(dg.AssetKey(key.split("/")), name)
        record = self.instance.event_log_storage.get_latest_asset_check_execution_by_key([wanted])[wanted]
        assert record.evaluation, f"{key} {name} was never judged"
        return record.evaluation

    def versions(self, table: str) -> list[tuple[Any, ...]]:
        """Version and days of each publication of a table."""
        found = self.home.lake.cursor().execute(
            f"SELECT version, days FROM data_mesh.materializations WHERE table_name = '{table}' ORDER BY version"
        )
        return [(version, [f"{day:%m-%d}" for day in days]) for version, days in found.fetchall()]


@contextmanager
def new_works(folder: Path, domains: str) -> Iterator[Works]:
    """A new home with nothing in it."""
    for name in ("landing", "platform"):
        (folder / name).mkdir(parents=True)
    with lean():
        home = open_home(load_settings(folder, environ={"COGNIFORGE_DOMAINS": domains}))
    with runner.instance_of(home.settings) as instance:
        yield Works(home, instance)


@pytest.fixture(scope="module")
def domains(request: pytest.FixtureRequest) -> str:
    """The domains that a module's homes have, fewer than all unless it names more: a run takes seconds for each."""
    return getattr(request.module, "DOMAINS", "aiops")


@pytest.fixture
def works(tmp_path: Path, domains: str) -> Iterator[Works]:
    with new_works(tmp_path / "home", domains) as made:
        yield made


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory, domains: str) -> Iterator[Works]:
    """One home for all tests of a module, after one run of the command line over 2026-03-01."""
    with new_works(tmp_path_factory.mktemp("worked") / "home", domains) as made:
        made.drop_day("2026-03-01")
        made.run()
        yield made
