"""What the running web server knows: the definitions without an error, and what a finished run left for the pages."""

from __future__ import annotations

import base64
import re

import pytest

WORKSPACE = """{ workspaceOrError { ... on PythonError { message } ... on Workspace { locationEntries {
  name loadStatus locationOrLoadError { ... on PythonError { message } ... on RepositoryLocation { repositories {
    assetGroups { groupName } jobs { name } sensors { name sensorState { status } }
    schedules { name scheduleState { status } } } } } } } } }"""
ASSET = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  description groupName kinds owners { ... on TeamAssetOwner { team } } jobNames
  metadataEntries { label ... on TableSchemaMetadataEntry { schema { columns { name type description } } } }
  assetChecksOrError { ... on AssetChecks { checks { name description blocking
    executionForLatestMaterialization { status evaluation { success severity
      metadataEntries { label ... on MarkdownMetadataEntry { mdStr } ... on IntMetadataEntry { intValue } } } } } } }
  assetMaterializations(limit: 1) { partition metadataEntries { label
    ... on MarkdownMetadataEntry { mdStr } ... on IntMetadataEntry { intValue } } } } } }"""


def asset(ui, *key: str) -> dict:
    return ui.graphql(ASSET, key={"path": list(key)})["assetNodeOrError"]


def test_the_definitions_load_without_an_error_and_all_triggers_run(ui):
    (entry,) = ui.graphql(WORKSPACE)["workspaceOrError"]["locationEntries"]
    assert entry["loadStatus"] == "LOADED" and "message" not in entry["locationOrLoadError"]
    (repository,) = entry["locationOrLoadError"]["repositories"]
    assert {"aiops", "data_mesh", "platform", "reports"} <= {g["groupName"] for g in repository["assetGroups"]}
    assert {"ingest", "facts", "decisions", "maintenance"} <= {job["name"] for job in repository["jobs"]}
    states = {sensor["name"]: sensor["sensorState"]["status"] for sensor in repository["sensors"]}
    states |= {schedule["name"]: schedule["scheduleState"]["status"] for schedule in repository["schedules"]}
    assert set(states.values()) == {"RUNNING"}, states


@pytest.mark.parametrize("table", ["service_health", "anomaly_scores"])
def test_a_page_s_plot_is_a_png_inside_the_event(ui, table):
    (event,) = asset(ui, "aiops", table)["assetMaterializations"]
    shown = {entry["label"]: entry for entry in event["metadataEntries"]}
    picture = re.fullmatch(r"!\[plot\]\(data:image/png;base64,(.+)\)", shown["plot"]["mdStr"])
    assert base64.b64decode(picture[1]).startswith(b"\x89PNG\r\n")
    assert shown["preview"]["mdStr"].startswith("| ") and shown["dagster/row_count"]["intValue"] > 0


def test_a_table_s_page_has_its_columns_owner_group_kinds_and_job(ui):
    node = asset(ui, "aiops", "service_health")
    assert node["description"] and node["groupName"] == "aiops" and node["owners"] == [{"team": "aiops"}]
    assert set(node["kinds"]) == {"duckdb", "sql"} and "decisions" in node["jobNames"]
    (schema,) = [entry["schema"] for entry in node["metadataEntries"] if entry["label"] == "dagster/column_schema"]
    assert "status" in {column["name"] for column in schema["columns"]}
    assert all(column["description"] for column in schema["columns"])


def test_a_bad_row_shows_as_a_failed_warning_with_its_count_and_the_query_that_shows_it(ui):
    checks = {check["name"]: check for check in asset(ui, "aiops", "telemetry")["assetChecksOrError"]["checks"]}
    check = checks["rows_readable"]
    found = check["executionForLatestMaterialization"]["evaluation"]
    told = {entry["label"]: entry for entry in found["metadataEntries"]}
    assert (found["success"], found["severity"], check["blocking"]) == (False, "WARN", False)
    assert told["quarantined"]["intValue"] == 1 and "quarantine.aiops__telemetry" in told["see"]["mdStr"]
