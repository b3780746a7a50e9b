"""Decisions are made again when what they read was published and passed its checks, and not otherwise."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from cogniforge_pipeline.aiops import decision_tables
from cogniforge_pipeline.contracts import Bounds, Rule
from cogniforge_pipeline.data_mesh import evolution
from cogniforge_pipeline.metadata import CHANGED_TAG
from cogniforge_pipeline.sensors import FACTS, INGEST
from cogniforge_pipeline.sre.tables import TOLD

DOMAINS = "data_mesh,aiops,sre"
HEALTH = dg.AssetKey(["aiops", "service_health"])
ROLLUP = dg.AssetKey(["aiops", "rollup_5m"])
SERIES = dg.AssetKey(["aiops", "series"])
ANOMALIES = {dg.AssetKey(["aiops", name]) for name in ("anomalies", "incidents")}
REPORT = dg.AssetKey(["reports", "duckdb"])
BUDGETS = {dg.AssetKey(["sre", name]) for name in ("alerts", "error_budgets", "slo_reports", "release_gates")}
GATES = dg.AssetKey(["sre", "release_gates"])
DECLARED = {
    dg.AssetKey(["sre", "slos"]),
    *(dg.AssetKey(["data_mesh", name]) for name in ("contexts", "governance_findings", "products")),
}
OF_CONTRACTS = {dg.AssetKey(["data_mesh", name]) for name in ("governance_findings", "products")}
OF_ALL = {dg.AssetKey(["data_mesh", name]) for name in ("lineage", "quality_trends", "sla_status")}
LOGS = {
    *(dg.AssetKey(["data_mesh", name]) for name in ("events", "materializations", "quality_metrics")),
    *(dg.AssetKey(table.split(".")) for table in (*TOLD, *evolution.TOLD, *decision_tables.TOLD)),
}
DAY = {
    "dagster/asset_partition_range_start": "2026-03-01",
    "dagster/asset_partition_range_end": "2026-03-01",
}
IMPOSSIBLE = Rule(
    name="values_are_possible",
    kind="table",
    test="sql",
    columns=("max",),
    severity="ERROR",
    dimension="accuracy",
    description="no value is above 1000",
    measure="coalesce(max(max), 0)",
    bounds=Bounds("mustBeLessThan", 1000),
)


class Looks:
    """The looks of the automation sensor, one after the other; each gives the assets that it asks for."""

    def __init__(self, works) -> None:
        self.works, self.cursor = works, None

    def __call__(self, at: datetime | None = None) -> set[dg.AssetKey]:
        result = dg.evaluate_automation_conditions(
            self.works.definitions, self.works.instance, cursor=self.cursor, evaluation_time=at
        )
        self.cursor = result.cursor
        return {
            key
            for key in self.works.definitions.resolve_asset_graph().get_all_asset_keys()
            if result.get_num_requested(key)
        }


@pytest.fixture
def settled(worked):
    """A home whose looks have nothing left to ask for."""
    look = Looks(worked)
    while look():
        pass
    return worked, look


def materialized(works, key: dg.AssetKey, partition: str | None = None) -> None:
    works.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))


def test_a_new_home_is_asked_for_everything_that_decides_once(works):
    look = Looks(works)
    assert look() == {HEALTH, REPORT, *ANOMALIES, *DECLARED, *OF_ALL, *BUDGETS, *LOGS}
    assert look() == set(), "what failed or waits is not asked for again and again"


def test_a_run_of_the_command_line_leaves_nothing_to_do(settled):
    works, look = settled
    works.drop_day("2026-03-02")
    works.run()
    assert look() == set()
    assert look() == set()


def test_new_facts_are_decided_upon_once_together_with_what_follows(settled):
    works, look = settled
    works.drop_day("2026-03-01", name="more.csv", minutes=45)
    works.execute(INGEST)
    works.execute(FACTS, **DAY)
    assert look() == {HEALTH, REPORT, *ANOMALIES, *DECLARED, *BUDGETS}
    assert look() == set()


def test_no_decision_is_made_while_a_blocking_check_of_an_input_fails(settled):
    works, look = settled
    works.drop_day("2026-03-01", name="wild.csv", minutes=50, value=5000)
    works.execute(INGEST)
    with works.stricter("aiops.rollup_5m", IMPOSSIBLE):
        assert not works.execute(FACTS, **DAY).success
        assert not works.check("aiops/rollup_5m", IMPOSSIBLE.name).passed
        assert HEALTH not in look()
        assert HEALTH not in look()
    assert works.execute(FACTS, **DAY).success
    assert HEALTH in look()


def test_a_decision_follows_an_input_that_was_left_unchanged_after_its_checks_passed(settled):
    works, look = settled
    with works.stricter("aiops.rollup_5m", replace(IMPOSSIBLE, bounds=Bounds("mustBeLessThan", 10_000))):
        works.execute(FACTS, **DAY)
        look()
        works.execute(FACTS, **DAY, **{CHANGED_TAG: "true"})
        assert works.last("aiops/rollup_5m").metadata["unchanged"].value is True
        assert works.check("aiops/rollup_5m", IMPOSSIBLE.name).passed
        materialized(works, SERIES)
        assert HEALTH in look()


def test_an_input_that_came_after_the_decision_is_not_forgotten_between_two_looks(settled):
    works, look = settled
    materialized(works, HEALTH)
    materialized(works, ROLLUP, "2026-03-01")
    assert HEALTH in look()


def test_a_decision_that_came_after_its_input_is_not_made_again(settled):
    works, look = settled
    materialized(works, ROLLUP, "2026-03-01")
    materialized(works, HEALTH)
    assert HEALTH not in look()


def test_the_logs_are_looked_at_and_exported_once_an_hour(settled):
    _, look = settled
    hour = datetime.now(UTC).replace(minute=8, second=0) + timedelta(hours=1)
    assert look(hour) == {*LOGS, *OF_ALL, *OF_CONTRACTS, GATES, REPORT}
    assert look(hour + timedelta(minutes=30)) == set()
    assert look(hour + timedelta(hours=1)) == {*LOGS, *OF_ALL, *OF_CONTRACTS, GATES, REPORT}
