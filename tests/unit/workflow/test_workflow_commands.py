"""The commands on one home, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cogniforge_pipeline.cli import app
from cogniforge_pipeline.errors import CogniforgeError

WORKFLOW = """\
workflow_id: greet
event_triggers: [user.registered]
activities:
  - activity_id: hello
    handler: own_handlers:hello
    input_data: {name: "{{ input.name }}"}
    retry_policy: {max_attempts: 1}
    compensation_handler: own_handlers:undo
  - activity_id: ok
    approval: {timeout_seconds: 60}
    when: input.ask
"""
HANDLERS = """\
def hello(given):
    return f"Hello, {given['name']}!"

def undo(given):
    print("undone")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    folder = home / "platform" / "workflows"
    folder.mkdir(parents=True)
    (folder / "greet.yaml").write_text(WORKFLOW, encoding="utf-8")
    (folder / "own_handlers.py").write_text(HANDLERS, encoding="utf-8")
    return home


def cogniforge(home: Path, *words: str, input: str | None = None) -> Result:
    result = CliRunner().invoke(app, [*words, "--home", str(home)], input=input)
    if result.exception and not isinstance(result.exception, SystemExit | CogniforgeError):
        raise result.exception
    return result


def told(home: Path, *words: str) -> Any:
    return json.loads(cogniforge(home, *words, "--json").stdout)


def test_a_workflow_of_a_file_runs_with_handlers_beside_it(home: Path) -> None:
    shown = cogniforge(home, "workflow", "run", "greet", "--input", '{"name": "Ada"}', "--key", "k")
    assert shown.exit_code == 0
    assert "✓ attempt hello" in shown.stdout
    assert '"hello": "Hello, Ada!"' in shown.stdout
    again = told(home, "workflow", "run", "greet", "--input", '{"name": "Bob"}', "--key", "k")
    assert again["output"] == {"hello": "Hello, Ada!", "ok": None}
    listed = told(home, "workflow", "list")
    assert listed["workflows"] == ["greet"]
    assert [each["execution_id"] for each in listed["executions"]] == [again["execution_id"]]


def test_an_event_starts_what_a_worker_runs_and_a_cancellation_ends(home: Path) -> None:
    assert cogniforge(home, "workflow", "worker", "--drain").exit_code == 0
    data = {"name": "Eve", "ask": False}
    assert (
        cogniforge(home, "events", "publish", "user.registered", "--data", json.dumps(data), "--id", "e1").exit_code
        == 0
    )
    assert "events started 1" in cogniforge(home, "workflow", "worker", "--drain").stdout
    (started,) = [each for each in told(home, "workflow", "list")["executions"] if each["trigger"]]
    assert started["status"] == "completed"

    waiting = told(home, "workflow", "run", "greet", "--input", '{"name": "Joe", "ask": true}', "--detach")[
        "execution_id"
    ]
    assert told(home, "workflow", "show", waiting)["status"] == "queued"
    assert cogniforge(home, "workflow", "cancel", waiting).exit_code == 0
    cogniforge(home, "workflow", "worker", "--drain")
    assert told(home, "workflow", "show", waiting)["status"] == "cancelled"
    asked = told(home, "workflow", "run", "greet", "--input", '{"name": "Zoe", "ask": true}', "--detach")[
        "execution_id"
    ]
    no = '{"approved": false, "by": "ada"}'
    assert cogniforge(home, "workflow", "signal", asked, "ok", "--payload", no).exit_code == 0
    cogniforge(home, "workflow", "worker", "--drain")
    ended = told(home, "workflow", "show", asked)
    assert ended["status"] == "compensated"
    assert ended["error"]["message"] == "ok: rejected by ada"
    assert [each["kind"] for each in ended["history"]] == ["attempt", "signal", "compensate"]


def test_events_come_and_go_as_cloudevents(home: Path) -> None:
    lines = [
        json.dumps({"specversion": "1.0", "id": f"c{n}", "source": "/in", "type": "x.y", "data": n}) for n in range(3)
    ]
    assert "3 new events" in cogniforge(home, "events", "publish", input="\n".join(lines) + "\n").stdout
    assert "0 new events" in cogniforge(home, "events", "publish", input=lines[0]).stdout
    out = [
        json.loads(line)
        for line in cogniforge(home, "events", "tail", "--type", "x.*", "-n", "2", "--json").stdout.splitlines()
    ]
    assert [(each["id"], each["data"]) for each in out] == [("c1", 1), ("c2", 2)]
    replayed = told(home, "events", "replay", "workflow.triggers", "--after", "0")
    assert replayed["lag"] == 4
    assert "events started 0" not in cogniforge(home, "workflow", "worker", "--drain").stdout
    assert len([each for each in told(home, "workflow", "list")["executions"] if each["trigger"]]) == 1


@pytest.mark.parametrize("words, message", [
    (["workflow", "run", "greet", "--input", "{"], "--input: expected JSON"),
    (["workflow", "run", "great"], "there is no workflow 'great'"),
    (["workflow", "show", "none"], "there is no execution 'none'"),
    (["events", "replay", "nobody", "--after", "0"], "there is no consumer 'nobody'"),
    (["events", "publish", "Not A Name"], "expected a type of dotted lower-case words"),
])  # fmt: skip
def test_what_is_wrong_is_said(home: Path, words: list[str], message: str) -> None:
    result = cogniforge(home, *words)
    assert result.exit_code == 1
    assert message in str(result.exception)
