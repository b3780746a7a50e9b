"""`cogniforge incidents` and `cogniforge approve`, and the chart of blame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cogniforge_pipeline.aiops import incident_commands
from cogniforge_pipeline.aiops.cause_plots import MOST_NODES, blame
from cogniforge_pipeline.aiops.model import TOPOLOGY_KIND, Service, Topology
from cogniforge_pipeline.aiops.service import AIOpsService
from cogniforge_pipeline.declarations import declare
from cogniforge_pipeline.registry import record
from tests.support.aiops_rows import cause, judged_home, put
from tests.unit.cli.conftest import Cli, cli  # noqa: F401


@pytest.fixture(scope="module")
def aiops(tmp_path_factory: pytest.TempPathFactory) -> AIOpsService:
    return judged_home(tmp_path_factory.mktemp("commands") / "home")


@pytest.fixture
def home(aiops: AIOpsService, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(incident_commands, "out", Console(width=300))
    return aiops.home.settings.home


def test_incidents_are_told_with_their_first_cause_and_decisions_the_newest_last(cli: Cli, home: Path) -> None:  # noqa: F811
    answer = cli("incidents", "--home", home)
    assert answer.code == 0
    assert [line.strip() for line in answer.out.splitlines() if line.strip()] == [
        "● critical title of i1",
        "2026-03-04 12:00 to 2026-03-04 14:00 UTC, i1",
        "cause db 0.90: because",
        "then web 0.45",
        "04 Mar 12:00 restart: act restart db, cleared",
        "● critical title of i2",
        "2026-03-04 17:00 to open UTC, i2",
        "cause web 0.90: because",
        "04 Mar 12:00 restart: act restart db, not cleared",
        "04 Mar 13:00 restart: blocked restart db",
    ]


def test_only_open_ones_and_json(cli: Cli, home: Path) -> None:  # noqa: F811
    (only,) = json.loads(cli("incidents", "--open", "--json", "--home", home).out)
    assert only["incident_id"] == "i2" and only["ended_at"] is None
    assert only["causes"][0]["path"] == ["web", "web"] and only["decisions"][0]["state"] == "act"


def test_a_home_without_incidents_says_so(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(incident_commands, "out", Console(width=300))
    tmp_path.joinpath("home").mkdir()
    assert cli("incidents", "--home", tmp_path / "home").out == "no incident\n"
    assert cli("incidents", "--open", "--home", tmp_path / "home").out == "no incident goes on\n"


def test_an_approval_is_told(cli: Cli, aiops: AIOpsService, home: Path) -> None:  # noqa: F811
    answer = cli("approve", "i2", "restart", "--by", "ada", "--why", "it is worth it", "--home", home)
    assert (answer.code, answer.out) == (0, "✓ restart may act on incident i2\n")
    refused = cli("approve", "i7", "restart", "--by", "ada", "--why", "it is worth it", "--home", home)
    assert refused.code == 1 and "there is no incident 'i7'" in refused.err
    rows = aiops.home.lake.cursor().execute("SELECT incident_id, who FROM aiops.healing_approvals").fetchall()
    assert rows == [("i2", "ada")]


def drawn(chart: Any) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """Nodes by service and edges of the chart."""
    spec = chart.to_dict()
    lines, circles, _ = (spec["datasets"][layer["data"]["name"]] for layer in spec["layer"])
    return {node["service"]: node for node in circles}, lines


def test_blame_is_drawn_on_the_declared_topology_callers_left_of_what_they_call(aiops: AIOpsService) -> None:
    services = (
        Service(name="web", depends_on=("db", "cart")), Service(name="cart", depends_on=("db",)),
        Service(name="db", depends_on=("web",)),
    )  # fmt: skip
    topology = Topology(services=services)
    record(aiops.home, [declare(TOPOLOGY_KIND, topology.model_dump(mode="json"))], run_id="test")
    put(aiops, "aiops.root_causes", [cause("i2", 1, "db"), cause("i2", 2, "web")])
    nodes, edges = drawn(blame(aiops.home.lake.cursor(), None))  # type: ignore[arg-type]
    assert {name: node["score"] for name, node in nodes.items()} == {"web": 0.45, "db": 0.9, "cart": 0.0}
    assert nodes["web"]["target"] and not nodes["db"]["target"]
    assert len(edges) == 4 and sum(edge["on"] for edge in edges) == 2
    assert len({(node["x"], node["y"]) for node in nodes.values()}) == 3


def test_a_large_topology_is_cut_to_who_is_blamed_and_without_rows_there_is_no_chart(aiops: AIOpsService) -> None:
    many = tuple(
        Service(name=f"s{n}", depends_on=(f"s{n + 1}",) if n < MOST_NODES else ()) for n in range(MOST_NODES + 1)
    )
    services = (*many, Service(name="web", depends_on=("db", "s0")), Service(name="db"))
    topology = Topology(services=services).model_dump(mode="json")
    record(aiops.home, [declare(TOPOLOGY_KIND, topology)], run_id="test")
    put(aiops, "aiops.root_causes", [cause("i2", 1, "db")])
    nodes, edges = drawn(blame(aiops.home.lake.cursor(), None))  # type: ignore[arg-type]
    assert set(nodes) == {"web", "db"} and len(edges) == 1
    aiops.home.lake.cursor().execute("DELETE FROM aiops.root_causes")
    assert blame(aiops.home.lake.cursor(), None) is None  # type: ignore[arg-type]
