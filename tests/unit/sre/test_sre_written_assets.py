"""What the Dagster UI is told of tables that the Python API writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cogniforge_pipeline.sre.service import SREService
from cogniforge_pipeline.sre.service_types import Deployment
from cogniforge_pipeline.written_assets import written_assets
from tests.support.sre_service import open_service

TABLES = ("sre.deployments", "sre.sli_records")


@pytest.fixture
def sre(tmp_path: Path) -> SREService:
    return open_service(tmp_path / "home")


def materialize(sre: SREService) -> dg.ExecuteInProcessResult:
    return dg.materialize(written_assets(sre.home, TABLES))


def shown(result: dg.ExecuteInProcessResult, table: str) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node(table.replace(".", "__"))
    return {name: value.value for name, value in event.metadata.items()}


def test_an_empty_table_is_shown_with_all_its_checks(sre: SREService) -> None:
    result = materialize(sre)
    assert result.success and shown(result, "sre.sli_records")["dagster/row_count"] == 0
    told = {(check.asset_key.to_user_string(), check.check_name) for check in result.get_asset_check_evaluations()}
    for table in TABLES:
        assert {name for key, name in told if key == table.replace(".", "/")} == {
            rule.name for rule in sre.home.contracts[table].rules
        }


def test_what_was_written_is_shown_and_counted(sre: SREService) -> None:
    made: Deployment = sre.record_deployment("shop", "canary", deployment_id="d1", lines_changed=5)
    sre.record_deployment("shop", deployment_id="d2", status="planned")
    found = shown(materialize(sre), "sre.deployments")
    assert (found["dagster/row_count"], found["rows_published"], found["version"]) == (2, 2, 2)
    assert made.deployment_id in found["preview"] and "d2" in found["preview"]
