"""The Python API on one home, with the real journal."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.workflow import (
    Context,
    NonRetryableError,
    WorkflowActivity,
    WorkflowDefinition,
    WorkflowOrchestrationService,
)
from cogniforge_pipeline.workflow.projection import project_journal

QUICK = {"initial_interval_seconds": 0.05, "backoff_coefficient": 1}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkflowOrchestrationService]:
    home = tmp_path_factory.mktemp("home")
    service = WorkflowOrchestrationService(load_settings(home, {"COGNIFORGE_COMMANDS": "/bin/cat,/bin/sh,/bin/sleep"}))
    service.register_handler("echo", lambda given: given)
    yield service
    service.close()


def run(service: WorkflowOrchestrationService, name: str, activities: list[Any], given: Any = None, **more: Any) -> Any:
    service.register_workflow({"workflow_id": name, "activities": activities, **more})
    return service.execute_workflow(name, given, timeout_seconds=20)


def test_the_example_of_the_api(service: WorkflowOrchestrationService) -> None:
    sent: list[Any] = []

    def create_user(given: Any) -> Any:
        return {"id": 7, **given}

    service.register_handler("create_user_handler", create_user)
    service.register_handler("delete_user_handler", sent.append)
    service.register_handler("send_email_handler", sent.append)
    workflow = WorkflowDefinition(
        workflow_id="user-onboarding-workflow",
        name="User Onboarding",
        activities=[
            WorkflowActivity(
                activity_id="create-user",
                name="Create User Account",
                handler="create_user_handler",
                input_data={"email": "user@example.com"},
                retry_policy={"max_attempts": 3, "initial_interval_seconds": 1},
                compensation_handler="delete_user_handler",
            ),
            WorkflowActivity(
                activity_id="send-welcome-email",
                name="Send Welcome Email",
                handler="send_email_handler",
                input_data={"template": "welcome"},
                retry_policy={"max_attempts": 5, "initial_interval_seconds": 2},
            ),
        ],
        event_triggers=["user.registered"],
        parallel_execution=False,
    )
    service.register_workflow(workflow)
    result = service.execute_workflow("user-onboarding-workflow")
    assert result.status == "completed", result.error
    assert result.output["create-user"] == {"id": 7, "email": "user@example.com"}
    assert sent == [{"template": "welcome"}]

    event_id = service.publish_event("user.registered", {"user_id": "123", "email": "user@example.com"})
    started = [each for each in service.list_executions() if each.trigger == f"/cogniforge/api {event_id}"]
    assert len(started) == 1
    assert started[0].input == {"user_id": "123", "email": "user@example.com"}
    assert service.wait(started[0].execution_id, 20).status == "completed"
    metrics = service.get_metrics()
    assert metrics["running_workflows"] == 0
    assert metrics["by_status"]["completed"] >= 2


def test_an_event_starts_a_workflow_once_however_often_it_is_delivered(service: WorkflowOrchestrationService) -> None:
    trigger = {"type": "order.*", "filter": "data.total > `10`", "input_data": {"total": "{{ data.total }}"}}
    service.register_workflow(
        {
            "workflow_id": "big-order",
            "event_triggers": [trigger],
            "activities": [{"activity_id": "a", "handler": "echo", "input_data": "{{ input.total }}"}],
        }
    )
    for total in (5, 50):
        service.publish_event("order.placed", {"total": total}, source="/shop", event_id=f"o{total}")
    service.home.events.consumer("workflow.triggers").seek(0)
    service.start_triggered()
    mine = [each for each in service.list_executions() if each.workflow_id == "big-order"]
    assert [each.trigger for each in mine] == ["/shop o50"]
    assert service.wait(mine[0].execution_id, 20).output == {"a": 50}


def test_an_idempotency_key_starts_one_execution(service: WorkflowOrchestrationService) -> None:
    calls: list[Any] = []
    service.register_handler("count", lambda given: calls.append(given) or len(calls))
    service.register_workflow({"workflow_id": "once", "activities": [{"activity_id": "a", "handler": "count"}]})
    first = service.execute_workflow("once", idempotency_key="k")
    second = service.execute_workflow("once", idempotency_key="k")
    assert first == second
    assert len(calls) == 1


def test_handlers_get_the_same_key_at_every_attempt(service: WorkflowOrchestrationService) -> None:
    seen: list[tuple[str, int]] = []

    def flaky(given: Any, context: Context) -> int:
        seen.append((context.key, context.attempt))
        if len(seen) < 3:
            raise ConnectionError("not yet")
        return len(seen)

    service.register_handler("flaky", flaky)
    result = run(service, "retries", [{"activity_id": "a", "handler": "flaky", "retry_policy": QUICK}])
    assert result.output == {"a": 3}
    assert seen == [(f"{result.execution_id}:a", n) for n in (1, 2, 3)]
    told = [(o["kind"], o["ok"]) for o in service.history(result.execution_id)]
    assert told == [("attempt", False), ("rest", True), ("attempt", False), ("rest", True), ("attempt", True)]


def test_a_base_class_of_an_error_may_be_named_and_a_final_one_is_final(service: WorkflowOrchestrationService) -> None:
    def broken(given: Any) -> None:
        raise NonRetryableError("never") if given else ConnectionRefusedError("no")

    service.register_handler("broken", broken)
    policy = {**QUICK, "non_retryable_errors": ["ConnectionError"]}
    for given in (True, False):
        result = run(
            service,
            f"final-{given}",
            [{"activity_id": "a", "handler": "broken", "input_data": given, "retry_policy": policy}],
        )
        assert result.status == "failed"
        assert len(service.history(result.execution_id)) == 1


def test_what_takes_too_long_or_falls_silent_is_given_up_and_its_details_reach_the_next_attempt(
    service: WorkflowOrchestrationService,
) -> None:
    details: list[Any] = []

    def slow(given: Any, context: Context) -> str:
        details.append(context.details)
        context.heartbeat({"at": context.attempt})
        if context.attempt < 3:
            context.stopping.wait(10)
        return "done"

    service.register_handler("slow", slow)
    limits = [{"start_to_close_seconds": 0.2}, {"heartbeat_seconds": 0.2}]
    for limit, kind in zip(limits, ("TimedOut", "HeartbeatTimeout"), strict=True):
        details.clear()
        result = run(service, f"slow-{kind}", [{"activity_id": "a", "handler": "slow", "retry_policy": QUICK, **limit}])
        assert result.output == {"a": "done"}
        assert details == [None, {"at": 1}, {"at": 2}]
        errors = [o["error"]["type"] for o in service.history(result.execution_id) if not o["ok"]]
        assert errors == [kind, kind]


def test_a_command_runs_without_a_shell_and_only_when_it_is_allowed(service: WorkflowOrchestrationService) -> None:
    activities = [
        {"activity_id": "echo", "command": ["/bin/cat"], "input_data": {"a": "{{ input.text }}"}},
        {"activity_id": "key", "command": ["/bin/sh", "-c", "echo $COGNIFORGE_IDEMPOTENCY_KEY $0", "{{ input.text }}"]},
    ]
    result = run(service, "commands", activities, {"text": "$(id); x"})
    assert result.output == {"echo": {"a": "$(id); x"}, "key": f"{result.execution_id}:key $(id); x"}

    refused = run(service, "refused", [{"activity_id": "a", "command": ["/usr/bin/id"]}])
    assert "is not allowed" in refused.error["message"]
    assert len(service.history(refused.execution_id)) == 1

    late = [
        {
            "activity_id": "a",
            "command": ["/bin/sleep", "30"],
            "start_to_close_seconds": 0.2,
            "retry_policy": {"max_attempts": 1},
        }
    ]
    begun = time.monotonic()
    assert run(service, "killed", late).error["type"] == "TimedOut"
    assert time.monotonic() - begun < 10


def test_an_http_call_sends_the_key_and_knows_which_answers_are_final(service: WorkflowOrchestrationService) -> None:
    got: list[tuple[str, str | None]] = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            got.append((body, self.headers["Idempotency-Key"]))
            status = {"/ok": 200, "/busy": 503 if len(got) < 2 else 200, "/no": 404}[self.path]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b'{"n": 1}')

        def log_message(self, *args: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        http = [
            {
                "activity_id": "a",
                "http": {"url": f"{url}/{{{{ input.path }}}}", "json": {"x": 1}},
                "retry_policy": QUICK,
            }
        ]
        busy = run(service, "http", http, {"path": "busy"})
        assert busy.output == {"a": {"n": 1}}
        assert got == [('{"x": 1}', f"{busy.execution_id}:a")] * 2
        got.clear()
        assert run(service, "http", http, {"path": "no"}).error["type"] == "HttpRefused"
        assert len(got) == 1
    finally:
        server.shutdown()
        server.server_close()


def test_signals_and_approvals_reach_an_execution_that_waits(service: WorkflowOrchestrationService) -> None:
    activities = [
        {"activity_id": "go", "signal": {"name": "go", "timeout_seconds": 20}},
        {"activity_id": "ok", "approval": {"timeout_seconds": 20}},
        {"activity_id": "late", "signal": {"name": "never", "timeout_seconds": 0.2}, "fallback": "{{ error.type }}"},
    ]
    service.register_workflow({"workflow_id": "signals", "activities": activities})
    one, other = (service.start_workflow("signals") for _ in range(2))
    for execution in (one, other):
        service.signal(execution, "ok", {"approved": execution == one, "by": "ada"})
        for _ in range(2):
            service.signal(execution, "go", {"v": 1}, signal_id="same")
    assert service.wait(one, 20).output == {"go": {"v": 1}, "ok": {"approved": True, "by": "ada"}, "late": "TimedOut"}
    rejected = service.wait(other, 20)
    assert rejected.status == "failed"
    assert rejected.error == {"type": "ApprovalRejected", "message": "ok: rejected by ada"}
    with pytest.raises(CogniforgeError, match="has ended"):
        service.signal(one, "go")


def test_a_cancellation_ends_a_wait_and_undoes_what_was_done_also_in_a_child(
    service: WorkflowOrchestrationService,
) -> None:
    undone: list[str] = []
    service.register_handler("undo", lambda given, context: undone.append(f"{given} {context.result}"))
    service.register_workflow(
        {
            "workflow_id": "inner",
            "activities": [
                {"activity_id": "x", "handler": "echo", "input_data": "x", "compensation_handler": "undo"},
                {"activity_id": "long", "wait_seconds": 100},
            ],
        }
    )
    service.register_workflow(
        {
            "workflow_id": "outer",
            "activities": [
                {"activity_id": "o", "handler": "echo", "input_data": "o", "compensation_handler": "undo"},
                {"activity_id": "child", "workflow": "inner"},
            ],
        }
    )
    execution = service.start_workflow("outer")
    while not any(each.workflow_id == "inner" for each in service.list_executions()):
        time.sleep(0.02)
    service.cancel(execution)
    assert service.wait(execution, 20).status == "cancelled"
    assert undone == ["x x", "o o"]
    assert service.wait(service.retry(execution), 0.2).status == "running"


def test_activities_at_once_really_are(service: WorkflowOrchestrationService) -> None:
    together = threading.Barrier(3, timeout=10)
    service.register_handler("meet", lambda given: together.wait() >= 0)
    activities = [{"activity_id": f"a{n}", "handler": "meet"} for n in range(3)]
    result = run(service, "parallel", activities, parallel_execution=True)
    assert result.status == "completed"


def test_a_running_execution_finishes_on_its_own_definition(service: WorkflowOrchestrationService) -> None:
    def declare(word: str) -> None:
        activities = [
            {"activity_id": "s", "signal": {"name": "go"}},
            {"activity_id": "a", "handler": "echo", "input_data": word},
        ]
        service.register_workflow({"workflow_id": "versions", "activities": activities})

    declare("old")
    old = service.start_workflow("versions")
    declare("new")
    new = service.start_workflow("versions")
    for execution in (old, new):
        service.signal(execution, "go")
    assert [service.wait(each, 20).output["a"] for each in (old, new)] == ["old", "new"]


def test_what_is_not_known_is_refused_before_anything_starts(service: WorkflowOrchestrationService) -> None:
    with pytest.raises(CogniforgeError, match="there is no workflow 'onec'") as refused:
        service.execute_workflow("onec")
    assert refused.value.hint == "did you mean 'once'?"
    service.register_workflow({"workflow_id": "lost", "activities": [{"activity_id": "a", "handler": "nowhere"}]})
    with pytest.raises(CogniforgeError, match="'nowhere' of a is not registered"):
        service.execute_workflow("lost")


def test_the_lake_gets_what_the_journal_has_once(service: WorkflowOrchestrationService) -> None:
    service.register_handler("bad", lambda given: 1 / 0)
    activities = [
        {"activity_id": "a", "handler": "echo", "compensation_handler": "echo", "for_each": "input"},
        {"activity_id": "b", "handler": "bad", "retry_policy": {**QUICK, "max_attempts": 2}},
    ]
    ended = run(service, "projected", activities, [1, 2])
    assert project_journal(service.home, run_id="test") is not None
    assert project_journal(service.home, run_id="test") is None
    cursor = service.home.lake.cursor()
    rows = cursor.execute(
        "SELECT kind, unit, activity_id, attempt, coalesce(status, '') FROM workflow.journal "
        f"WHERE execution_id = '{ended.execution_id}' ORDER BY seq"
    ).fetchall()
    assert rows[0][0] == "start"
    assert rows[-1] == ("end", None, None, None, "compensated")
    assert sorted(rows[1:3], key=str) == [("attempt", f"a[{n}]", "a", 1, "succeeded") for n in (0, 1)]
    assert [row[:1] + row[3:] for row in rows[3:6]] == [
        ("attempt", 1, "failed"),
        ("rest", 1, "succeeded"),
        ("attempt", 2, "failed"),
    ]
    assert [row[0] for row in rows[6:8]] == ["compensate"] * 2
