"""`cogniforge ui` as a process: what it says, where it listens, and that nothing of it stays."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import psutil

from tests.support.webserver import HOST, Ui, command, environment, wait_for


def test_it_says_where_it_listens_listens_there_only_and_leaves_nothing_behind_at_sigterm(tmp_path):
    (tmp_path / "home").mkdir()
    with Ui(tmp_path / "home") as ui:
        wait_for(lambda: ui.url in ui.log(), seconds=60, what="naming the address", say=ui.log)
        listening = {
            connection.laddr.ip
            for process in ui.processes()
            for connection in process.net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {HOST}
        family = ui.processes()
        assert len(family) >= 3
        assert ui.stop(signal.SIGTERM) == []
        assert ui.process.returncode == 0
    assert "Traceback" not in ui.log(), ui.log()


def test_a_port_that_is_taken_is_an_error_before_anything_starts(tmp_path):
    (tmp_path / "home").mkdir()
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            command("ui", "--home", tmp_path / "home", "--port", str(port)),
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert f"port {port}" in done.stderr and "--port" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "home" / "state").exists()


def test_dagster_dev_in_the_checkout_shows_the_home_that_the_environment_names(finished_home):
    environ = {"COGNIFORGE_HOME": str(finished_home), "PYTHONWARNINGS": "ignore"}
    question = """{ instance { info } workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } }
      assetNodeOrError(assetKey: {path: ["aiops", "telemetry"]}) { ... on AssetNode {
        assetMaterializations(limit: 1) { runId } metadataEntries { ... on TextMetadataEntry { label text } } } } }"""
    with Ui(finished_home, start=_dagster_dev, environ=environ) as ui:
        found = ui.graphql(question)
    (location,) = found["workspaceOrError"]["locationEntries"]
    assert location == {"name": "cogniforge_pipeline.definitions", "loadStatus": "LOADED"}
    node = found["assetNodeOrError"]
    assert len(node["assetMaterializations"]) == 1, "the home's own history is shown"
    assert str(finished_home) in str(node["metadataEntries"])
    assert "telemetry:\n  enabled: false" in found["instance"]["info"]


def _dagster_dev(port: str) -> list[str]:
    return [sys.executable, "-m", "dagster", "dev", "-h", HOST, "-p", port]
