"""`cogniforge deploy`: the gate and the risk before a deployment, its outcome after."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.sre import SLI, SLO, get_sre_service

Cli = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which the budget of `spent` is spent, and that of `fine` is not."""
    service = get_sre_service(load_settings(tmp_path))
    for name, value in (("spent", 90.0), ("fine", 99.99)):
        service.create_slo(SLO(name, name, name, target_percentage=99.0))
        service.record_sli(SLI(name, name, value, 99.0, value > 99, datetime.now(UTC)))
    return tmp_path


def deployments(home: Path, columns: str) -> list[tuple[Any, ...]]:
    lake = get_sre_service(load_settings(home)).home.lake
    return lake.cursor().execute(f"SELECT {columns} FROM sre.deployments ORDER BY ALL").fetchall()


def test_an_open_gate_lets_the_deployment_begin_and_end(cli: Cli, home: Path) -> None:
    about = ["--version", "2", "--strategy", "canary", "--lines", 120, "--files", 4, "--author", "ann", "--id", "d1"]
    begun = cli("deploy", "start", "--service", "fine", *about, "--home", home)
    assert begun.code == 0
    assert "release gate: open" in begun.out and "99.0% of its error budget is left" in begun.out
    assert "risk of failure: " in begun.out and "prior (" in begun.out and "d1 is in_progress" in begun.out
    columns = "deployment_id, service, version, strategy, status, lines_changed, files_changed, author, change_type"
    same = ("d1", "fine", "2", "canary")
    assert deployments(home, columns) == [(*same, "in_progress", 120, 4, "ann", "normal")]
    ended = cli("deploy", "finish", "d1", "--status", "failed", "--home", home)
    assert ended.code == 0 and "d1 of fine has failed" in ended.out
    assert deployments(home, columns) == [(*same, "failed", 120, 4, "ann", "normal")]


def test_a_closed_gate_stops_it_and_says_why(cli: Cli, home: Path) -> None:
    answer = cli("deploy", "start", "--service", "spent", "--id", "d1", "--home", home)
    assert answer.code == 1
    assert "release gate: closed" in answer.out and "of its error budget is consumed" in answer.out
    assert "--change-type p0 or security" in answer.out
    assert deployments(home, "deployment_id, status, started_at") == [("d1", "planned", None)]
    # an urgent change alone is no override: somebody has to answer for it
    assert cli("deploy", "start", "--service", "spent", "--id", "d1", "--change-type", "p0", "--home", home).code == 1


def test_an_override_says_who_and_why(cli: Cli, home: Path) -> None:
    cli("deploy", "start", "--service", "spent", "--id", "d1", "--lines", 7, "--home", home)
    override = ["--change-type", "security", "--by", "ann", "--why", "CVE-1"]
    answer = cli("deploy", "start", "--service", "spent", "--id", "d1", *override, "--home", home, "--json")
    assert answer.code == 0
    told = json.loads(answer.out)
    assert told["deployment_allowed"] is False and told["overridden"] is True
    assert told["risk"]["features"]["lines_changed"] == 7 and told["risk"]["advised_strategy"] == "hold"
    columns = "status, change_type, override_by, override_reason, lines_changed"
    assert deployments(home, columns) == [("in_progress", "security", "ann", "CVE-1", 7)]


@pytest.mark.parametrize(
    "wrong",
    [
        ["--by", "ann"],
        ["--why", "hurry", "--change-type", "p0"],
        ["--by", "ann", "--why", "hurry"],
        ["--change-type", "big"],
        ["--strategy", "slowly"],
    ],
)
def test_wrong_usage_has_exit_code_2_and_writes_nothing(cli: Cli, tmp_path: Path, wrong: list[str]) -> None:
    assert cli("deploy", "start", "--service", "api", *wrong, "--home", tmp_path).code == 2
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_deployment_cannot_end(cli: Cli, home: Path) -> None:
    answer = cli("deploy", "finish", "nothing", "--home", home)
    assert answer.code == 1 and "there is no deployment nothing" in answer.err


def test_without_a_home_it_says_how_to_make_one(cli: Cli, tmp_path: Path) -> None:
    answer = cli("deploy", "start", "--service", "api", "--home", tmp_path / "none")
    assert answer.code == 1 and "cogniforge init" in answer.err and not (tmp_path / "none").exists()
