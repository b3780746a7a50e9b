"""What may be declared, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline.declarations import load_platform
from cogniforge_pipeline.workflow import expressions
from cogniforge_pipeline.workflow.expressions import ExpressionError
from cogniforge_pipeline.workflow.model import WORKFLOW_KIND, WorkflowActivity, WorkflowDefinition


def test_the_python_api_takes_plain_mappings_and_names_the_order() -> None:
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
            WorkflowActivity(activity_id="send-welcome-email", name="Send", handler="send_email_handler"),
        ],
        event_triggers=["user.registered"],
        parallel_execution=False,
    )
    assert workflow.needs == {"create-user": (), "send-welcome-email": ("create-user",)}
    assert workflow.activities[0].undo.handler == "delete_user_handler"
    assert WorkflowDefinition.model_validate(workflow.spec()) == workflow


@pytest.mark.parametrize(
    "text, line, message",
    [
        ("- {activity_id: a}", 3, "expected exactly one of handler, command"),
        ("- {activity_id: a, handler: h, command: [x]}", 3, "got handler, command"),
        ("- {activity_id: a, handler: h, input_data: {x: '{{ a..b }}'}}", 3, "cannot be read"),
        ("- {activity_id: a, handler: h, input_data: {x: '{{ a'}}", 3, "is not closed"),
        ("- {activity_id: a, handler: h, when: 'a =='}", 3, "cannot be read"),
        ("- {activity_id: a, handler: h, tolerated_failures: 1}", 3, "go with for_each or branches"),
        ("- {activity_id: a, handler: h, retry: {}}", 3, "unknown key 'retry'"),
        (
            "- {activity_id: a, handler: h, needs: [b]}\n- {activity_id: b, handler: h, needs: [a]}",
            1,
            "wait for one another",
        ),
        ("- {activity_id: a, handler: h, needs: [z]}", 1, "needs 'z', which is not there"),
        ("- {activity_id: a, handler: h}\n- {activity_id: a, handler: h}", 1, "'a' is there twice"),
    ],
)
def test_a_file_that_is_wrong_says_where_and_why(tmp_path: Path, text: str, line: int, message: str) -> None:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "w.yaml").write_text(f"workflow_id: w\nactivities:\n{text}\n", encoding="utf-8")
    found = load_platform(tmp_path, [WORKFLOW_KIND])
    assert not found.declarations
    assert any(problem.line == line and message in str(problem) for problem in found.problems), found.problems


@pytest.mark.parametrize(
    "template, value",
    [
        ("{{ a.b }}", [1, 2]),
        ("n={{ a.b[0] }}, {{ a.none }}{{ t }}", "n=1, true"),
        ({"k": ["{{ a.b | length(@) }}", 3]}, {"k": [2, 3]}),
        ("{{ '{' }}", "{"),
        ("plain", "plain"),
    ],
)
def test_a_template_keeps_types_and_joins_texts(template: Any, value: Any) -> None:
    assert expressions.render(template, {"a": {"b": [1, 2]}, "t": True}) == value


@pytest.mark.parametrize("bad", ["a" * 1001, "__import__('os')", "a.b.", "("])
def test_what_is_no_jmespath_is_refused(bad: str) -> None:
    with pytest.raises(ExpressionError):
        expressions.check_expression(bad)
        expressions.evaluate(bad, {})
