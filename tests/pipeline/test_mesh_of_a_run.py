"""What a whole run tells of the mesh: contexts, policies, promises, lineage and trends, and that it rests without news."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cogniforge_pipeline.data_mesh import BoundedContext, DataContract, DataProduct, DataQualityMetrics
from cogniforge_pipeline.data_mesh.service import DataMeshService
from cogniforge_pipeline.definitions import open_home
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.runner import run
from cogniforge_pipeline.settings import Settings, load_settings
from tests.support.pipeline import csv

CONTEXT = """\
context_id: operations
domain: operations
products: [{name: aiops.service_health, tier: 1}, {name: mail.sent, tier: 2}]
governance_policies: {require_contract: true}
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("mesh") / "home"
    (folder / "landing").mkdir(parents=True)
    (folder / "platform" / "contexts").mkdir(parents=True)
    (folder / "platform" / "contexts" / "operations.yaml").write_text(CONTEXT)
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=3)
    (folder / "landing" / "a.csv").write_text(
        csv((start + timedelta(minutes=5 * n), "web", "latency_ms", 1.0) for n in range(6))
    )
    found = load_settings(folder, environ={"COGNIFORGE_DOMAINS": "data_mesh,aiops"})
    assert run(open_home(found)).success
    return found


@pytest.fixture
def home(settings: Settings) -> Home:
    return open_home(settings)


def rows(home: Home, query: str) -> list[tuple[Any, ...]]:
    return home.lake.cursor().execute(query).fetchall()


def test_a_promise_that_is_broken_is_a_row_with_its_start_and_an_event(home: Home) -> None:
    found = dict(rows(home, "SELECT product_id, status FROM data_mesh.sla_status WHERE sla = 'freshness'"))
    assert found["aiops.rollup_5m"] == "breached", "its newest bucket is hours old"
    told = {event.subject for event in home.events.read(types=["data_product.sla.breached"])}
    assert told == {product for product, status in found.items() if status == "breached"}


def test_a_product_that_breaks_a_policy_is_a_finding_and_an_event(home: Home) -> None:
    failed = rows(home, "SELECT product_id, rule FROM data_mesh.governance_findings WHERE status = 'failed'")
    assert failed == [("mail.sent", "require_contract")]
    assert [event.subject for event in home.events.read(types=["governance.finding.failed"])] == ["mail.sent"]


def test_lineage_follows_tables_and_columns(home: Home) -> None:
    edges = rows(home, "SELECT input_table, input_column, output_table, output_column FROM data_mesh.lineage")
    assert ("aiops.rollup_5m", None, "aiops.anomaly_scores", None) in edges
    assert ("aiops.rollup_5m", "mean", "aiops.anomaly_scores", "value") in edges


def test_every_product_of_the_lake_has_a_trend(home: Home) -> None:
    trended = {row[0] for row in rows(home, "SELECT DISTINCT product_id FROM data_mesh.quality_trends")}
    assert {"aiops.telemetry", "aiops.service_health"} <= trended


def test_without_news_the_mesh_rests_and_quality_told_by_others_wakes_it(settings: Settings) -> None:
    run(open_home(settings))  # events that the first run told become rows
    home = open_home(settings)
    made = (
        "SELECT table_name, max(version) FROM data_mesh.materializations WHERE table_name LIKE 'data_mesh.%' GROUP BY 1"
    )
    before = dict(rows(home, made))
    assert run(home).success
    assert dict(rows(home, made)) == before
    DataMeshService(settings).record_quality_metrics(
        DataQualityMetrics(
            product_id="mail.sent",
            timestamp=datetime.now(UTC),
            completeness=0.98,
            accuracy=0.99,
            consistency=0.97,
            timeliness=None,
            freshness_seconds=None,
            volume=10,
            error_rate=0.01,
        )
    )
    assert run(home).success
    assert dict(rows(home, made))["data_mesh.quality_trends"] == before["data_mesh.quality_trends"] + 1
    assert rows(home, "SELECT volume FROM data_mesh.quality_trends WHERE product_id = 'mail.sent'") == [(10,)]


def test_a_product_of_the_api_is_judged_by_the_contract_that_it_names(settings: Settings) -> None:
    service = DataMeshService(settings)
    service.register_bounded_context(BoundedContext(context_id="users", domain="crm", upstream_contexts=["operations"]))
    service.register_data_product(DataProduct("user-profile", "users", contract="user-profile-v1"))
    text = {"type": "string", "description": "its id"}
    service.create_data_contract(
        DataContract(
            "user-profile-v1",
            "crm",
            "User profile",
            "Who they are",
            "1.0.0",
            {"type": "object", "properties": {"id": text}},
            owners=["user-team"],
            sla_guarantees={"freshness_seconds": 60, "availability": 0.999},
        )
    )
    now = datetime.now(UTC)
    for age, measured in ((4500.0, now - timedelta(minutes=30)), (10.0, now)):
        service.record_quality_metrics(DataQualityMetrics("user-profile", measured, 1.0, 1.0, 1.0, None, age, 100, 0.0))
    home = open_home(settings)
    assert run(home).success
    found = (
        "SELECT owner, contract_version, freshness_seconds FROM data_mesh.products WHERE product_id = 'user-profile'"
    )
    assert rows(home, found) == [("user-team", "1.0.0", 60.0)]
    judged = (
        "SELECT sla, status, len(breaches) FROM data_mesh.sla_status WHERE product_id = 'user-profile' ORDER BY sla"
    )
    assert rows(home, judged) == [
        ("availability", "breached", 1),
        ("error_rate", "not_promised", 0),
        ("freshness", "ok", 1),
    ]
    assert rows(
        home,
        "SELECT breaches[1].ended_at FROM data_mesh.sla_status WHERE product_id = 'user-profile' AND sla = 'freshness'",
    ) == [(now,)]
    assert not rows(home, "SELECT 1 FROM data_mesh.products WHERE product_id = 'user-profile-v1'")
    with pytest.raises(CogniforgeError, match="freshness_seconds expects"):
        service.create_data_contract(
            DataContract("wrong", "crm", "w", "", "1.0.0", {}, sla_guarantees={"freshness_seconds": "soon"})
        )
