"""Error budget policies as they are declared, and which one a service has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline.declarations import DeclarationsInvalid, declare, load_platform
from cogniforge_pipeline.sre.budget_policy import BUDGET_POLICY_KIND, DEFAULT, BudgetPolicy, policy_for

FREEZE = {"when": {"consumed": 1}, "action": "freeze"}
WARN = {"when": {"consumed": 0.8}, "action": "warn"}


def policy(name: str = "payments", services: Any = ("shop",), *steps: dict[str, Any]) -> BudgetPolicy:
    return declare(BUDGET_POLICY_KIND, {"name": name, "services": services, "steps": list(steps or (FREEZE,))}).model


def test_a_file_declares_policies(tmp_path: Path) -> None:
    folder = tmp_path / "error_budget_policies"
    folder.mkdir()
    (folder / "all.yaml").write_text(
        """\
name: payments
services: [checkout, billing]
steps:
  - {when: {consumed: 1.0}, action: freeze, allow: [security]}
  - {when: {incident_share: 0.2}, action: postmortem}
---
name: others
services: "*"
steps:
  - {when: {alert: page}, action: freeze}
"""
    )
    payments, others = (d.model for d in load_platform(tmp_path, [BUDGET_POLICY_KIND]).check().of(BUDGET_POLICY_KIND))
    assert payments.services == ("checkout", "billing")
    assert [step.allowed for step in payments.steps] == [("security",), ("p0", "security")]
    assert others.services == "*" and others.steps[0].when.alert == "page"


def test_the_built_in_policy_freezes_at_the_whole_budget_and_asks_for_a_postmortem_above_a_fifth() -> None:
    freeze, postmortem = DEFAULT.steps
    assert (freeze.when.consumed, freeze.action, freeze.allowed) == (1, "freeze", ("p0", "security"))
    assert (postmortem.when.incident_share, postmortem.action) == (0.2, "postmortem")


def test_a_policy_that_names_a_service_comes_before_the_one_for_all_and_both_before_the_built_in() -> None:
    named, all_of_them = policy(), policy("all", "*", WARN)
    assert policy_for("shop", [all_of_them, named]).name == "payments"
    assert policy_for("web", [all_of_them, named]).name == "all"
    assert policy_for("web", [named]).name == "built-in"


def test_of_several_policies_for_a_service_all_steps_count_once() -> None:
    found = policy_for("shop", [policy("b", ["shop"], FREEZE, WARN), policy("a", ["shop", "web"], FREEZE)])
    assert found.name == "a and b"
    assert [step.action for step in found.steps] == ["freeze", "warn"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"services": []}, "services"),
        ({"services": "shop"}, "services"),
        ({"steps": []}, "steps"),
        ({"steps": [{**FREEZE, "when": {}}]}, "exactly one of consumed, incident_share and alert"),
        ({"steps": [{**FREEZE, "when": {"consumed": 1, "alert": "page"}}]}, "exactly one of consumed"),
        ({"steps": [{**FREEZE, "when": {"consumed": None}}]}, "exactly one of consumed"),
        ({"steps": [{**FREEZE, "when": {"consumed": -1}}]}, "steps[0].when.consumed"),
        ({"steps": [{**FREEZE, "when": {"consumed": 0}}]}, "steps[0].when.consumed"),
        ({"steps": [{**WARN, "allow": ["p0"]}]}, "allow goes with action freeze, not with warn"),
        ({"steps": [{**FREEZE, "allow": ["p1"]}]}, "expected 'p0' or 'security'"),
        ({"steps": [{**FREEZE, "action": "frieze"}]}, "did you mean 'freeze'?"),
        ({"steps": [{**FREEZE, "action": "postmortem"}]}, "its condition is incident_share"),
        ({"steps": [FREEZE, FREEZE]}, "is there twice"),
        ({"step": []}, "unknown key 'step'"),
    ],
)
def test_a_wrong_policy_is_refused_and_said_what_is_wrong(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DeclarationsInvalid) as raised:
        declare(BUDGET_POLICY_KIND, {"name": "payments", "services": ["shop"], "steps": [FREEZE]} | changed)
    assert message in str(raised.value)
