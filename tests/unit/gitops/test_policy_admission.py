"""Admission, what-if and reports, from verdicts to a home's tables."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cogniforge_pipeline import written
from cogniforge_pipeline.cli import app
from cogniforge_pipeline.declarations import DeclarationsInvalid, load_platform
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.gitops.admission import Decision, admit
from cogniforge_pipeline.gitops.policy.declared import POLICY_KIND
from cogniforge_pipeline.gitops.policy.model import PolicyEnforcementMode, ResourceType
from cogniforge_pipeline.gitops.policy.pool import Pool
from cogniforge_pipeline.gitops.policy.reading import module_policy, read_policies
from cogniforge_pipeline.gitops.policy.rules import PolicyRule
from cogniforge_pipeline.gitops.policy.starters import FOLDER, STARTERS, starter_policies, starter_policy
from cogniforge_pipeline.gitops.policy.suites import verify
from cogniforge_pipeline.gitops.policy_service import PolicyService
from cogniforge_pipeline.gitops.policy_tables import DECISIONS
from cogniforge_pipeline.settings import load_settings

HEALTH = PolicyRule(
    rule_id="require-health-checks",
    name="Require Health Checks",
    description="All deployments must have liveness and readiness probes",
    resource_types=(ResourceType.DEPLOYMENT,),
    enforcement_mode=PolicyEnforcementMode.ENFORCE,
    rego_query="not input.spec.template.spec.containers[_].livenessProbe",
    violation_message="Deployments must have health checks configured",
    severity="high",
)


def deployment(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {**spec, "template": {"spec": {"containers": list(containers)}}},
    }


PROBED, BARE = {"name": "a", "livenessProbe": {"httpGet": {"path": "/"}}}, {"name": "b"}


@pytest.mark.parametrize(
    ("mode", "decision"), [("ENFORCE", Decision.DENY), ("WARN", Decision.WARN), ("AUDIT", Decision.ALLOW)]
)
def test_what_a_violation_does_is_said_by_the_mode(pool: Pool, mode: str, decision: Decision) -> None:
    rule = HEALTH.model_copy(update={"enforcement_mode": PolicyEnforcementMode(mode)})
    found = admit(deployment(PROBED, BARE), [rule.to_policy()], pool=pool)
    assert found.decision is decision
    message = "require-health-checks: Deployments must have health checks configured"
    assert {"ENFORCE": found.denied, "WARN": found.warned, "AUDIT": found.audited}[mode] == (message,)
    assert admit(deployment(PROBED), [rule.to_policy()], pool=pool).decision is Decision.ALLOW
    assert admit({**deployment(BARE), "kind": "Other"}, [rule.to_policy()], pool=pool).verdicts == ()


@pytest.mark.parametrize(
    ("rego", "words"),
    [
        ("package a\nviolation contains x\nx := 1 if true\nx := 2 if true", "error"),
        ("package a\nviolation contains 1", "error: data.a.violation gave what has no text"),
        ("package a\nviolation contains 1 if {", "refused"),
        (
            "package a\nviolation if { some i in numbers.range(1, 9999); some j in numbers.range(1, 9999); i + j == 0 }",
            "timeout",
        ),
        ("package a\nviolation if count(numbers.range(1, 100000000000)) > 0", "crash"),
    ],
)
def test_a_policy_that_can_say_nothing_denies_where_it_is_enforced(pool: Pool, rego: str, words: str) -> None:
    policy = PolicyRule(rule_id="broken", rego=rego).to_policy()
    found = admit(deployment(), [policy], pool=pool)
    assert found.decision is Decision.DENY and found.denied[0].startswith(f"broken: {words}")


def test_plain_modules_deny_and_warn(pool: Pool) -> None:
    text = 'package main\nimport rego.v1\ndeny contains "d" if input.spec.a\nwarn contains {"msg": "w"} if input.spec.b'
    policy = module_policy("main", (("main.rego", text),))
    assert admit(deployment(a=True, b=True), [policy], pool=pool).denied == ("main: d",)
    found = admit(deployment(b=True), [policy], pool=pool)
    assert (found.decision, found.warned) == (Decision.WARN, ("main: w",))


def test_a_review_says_what_is_about_to_be_done(pool: Pool) -> None:
    text = 'package a\nviolation[{"msg": msg}] { msg := sprintf("%v %v", [input.review.operation, input.review.kind.group]) }'
    policy = module_policy("a", (("a.rego", text),))
    assert admit(deployment(), [policy], operation="UPDATE", pool=pool).denied == ("a: UPDATE apps",)
    given = {
        "kind": "AdmissionReview",
        "request": {"operation": "DELETE", "kind": {"group": "g"}, "object": deployment()},
    }
    assert admit(given, [policy], pool=pool).denied == ("a: DELETE g",)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"rego_query": "a", "rego": "package a"}, "exactly one"),
        ({}, "exactly one"),
        ({"rego_query": "true }\nother contains 1 if { true"}, "closes nothing"),
        ({"rego_query": "f(a"}, "not closed"),
        ({"rego_query": 'a == "'}, "without end"),
        ({"rego_query": "  # nothing"}, "got nothing"),
        ({"rego": "violation { true }"}, "begins with `package`"),
        ({"rego_query": "a", "severity": "huge"}, "low"),
        ({"rego_query": "a", "enforcement_mode": "BLOCK"}, "ENFORCE"),
        ({"rego_query": "a", "unknown": 1}, "unknown"),
    ],
)
def test_a_rule_that_is_none_says_what_is_wrong(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PolicyRule.model_validate({"rule_id": "a", **spec})


def test_every_starter_policy_has_samples_that_pass_and_samples_that_do_not(pool: Pool) -> None:
    assert sorted(path.name for path in FOLDER.iterdir() if path.is_dir()) == list(STARTERS)
    for name in STARTERS:
        suite = yaml.safe_load((FOLDER / name / "suite.yaml").read_text())
        expected = {str(a["violations"]) for t in suite["tests"] for c in t["cases"] for a in c["assertions"]}
        assert expected == {"True", "False"}
        assert [case for case in verify(FOLDER / name / "suite.yaml", pool) if case.standing != "passed"] == []
    assert {policy.enforcement for policy in starter_policies()} == {PolicyEnforcementMode.WARN}


def test_samples_beside_policies_are_no_policies(tmp_path: Path) -> None:
    assert [policy.policy_id for policy in read_policies([FOLDER / "limits"])] == ["CogniforgeLimits/limits"]
    manifest = tmp_path / "m.yaml"
    manifest.write_text(yaml.safe_dump(deployment()))
    with pytest.raises(CogniforgeError, match="a Deployment is no policy"):
        read_policies([manifest])


def test_a_starter_policy_takes_parameters(pool: Pool) -> None:
    policy = starter_policy("replicas", PolicyEnforcementMode.ENFORCE, {"minimum": 3}, ("shop",))
    assert admit(deployment(replicas=2), [policy], pool=pool).verdicts == ()
    elsewhere = {**deployment(replicas=2), "metadata": {"name": "a", "namespace": "other"}}
    assert "at least 3" in admit(elsewhere, [policy], pool=pool).denied[0]


def test_what_a_platform_folder_declares(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "health.yaml").write_text(yaml.safe_dump(HEALTH.model_dump(mode="json")))
    (folder / "starter.yaml").write_text("- {starter: probes}\n- {starter: limit, enforcement_mode: ENFORCE}\n")
    (folder / "rule.yaml").write_text("rule_id: a\nrego_query: x\nviolation_mesage: b\n")
    (folder / "constraint.yaml").write_text(
        "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: K8sNothing\nmetadata: {name: a}\n"
    )
    (folder / "images.rego").write_text("package images\n")
    found = load_platform(tmp_path, [POLICY_KIND])
    assert [each.name for each in found.of(POLICY_KIND)] == ["K8sNothing/a", "require-health-checks", "starter/probes"]
    assert [path.name for path in found.companions(POLICY_KIND)] == ["images.rego"]
    problems = [str(problem) for problem in found.problems]
    assert any("constraint.yaml:1: there is no valid ConstraintTemplate" in each for each in problems)
    assert any("rule.yaml:3" in each and "did you mean 'violation_message'?" in each for each in problems)
    assert any("starter.yaml:2" in each and "did you mean 'limits'?" in each for each in problems)


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> PolicyService:
    home = tmp_path_factory.mktemp("home")
    folder = home / "platform" / "policies"
    folder.mkdir(parents=True)
    (folder / "budget.yaml").write_text("starter: disruption-budgets\n")
    (folder / "names.rego").write_text(
        'package names\ndeny[msg] { startswith(input.metadata.name, "x"); msg := "x" }\n'
    )
    return PolicyService(load_settings(home))


def test_a_home_admits_by_its_files_and_by_what_was_told_and_writes_it_down(policies: PolicyService) -> None:
    policies.add_policy(HEALTH)
    policies.add_policy({"starter": "labels", "enforcement_mode": "AUDIT"})
    ids = ["names", "require-health-checks", "starter/disruption-budgets", "starter/labels"]
    assert [policy.policy_id for policy in policies.list_policies()] == ids
    found = policies.admit_resource(deployment(BARE, replicas=2))
    assert (found.decision, len(found.denied), len(found.warned), len(found.audited)) == (Decision.DENY, 1, 1, 2)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"p": "aHVudGVyMg=="}}
    other = {**secret, "data": {"p": "b3RoZXI="}}
    assert [each.decision for each in policies.admit_resources([secret, other], operation="UPDATE")] == ["allow"] * 2
    rows = policies.home.lake.cursor().execute(
        f"SELECT kind, name, operation, decision, policies, denied, hash FROM {DECISIONS} ORDER BY kind, decided_at"
    )
    first, *secrets = rows.fetchall()
    assert first[:6] == (
        "Deployment",
        "web",
        "CREATE",
        "deny",
        4,
        ["require-health-checks: Deployments must have health checks configured"],
    )
    assert len(secrets) == 2 and secrets[0][6] == secrets[1][6]  # values of a secret leave no trace
    with pytest.raises(CogniforgeError, match="CREATE, UPDATE, DELETE"):
        policies.admit_resource(secret, "REPLACE")


def test_a_policy_of_the_api_that_is_wrong_is_refused(policies: PolicyService) -> None:
    with pytest.raises(DeclarationsInvalid, match="exactly one of rego_query and rego"):
        policies.add_policy({"rule_id": "a"})
    with pytest.raises(DeclarationsInvalid, match=r"a: refused: a\.rego:6: http\.send is not allowed"):
        policies.add_policy({"rule_id": "a", "rego_query": 'http["send"]({})'})
    with pytest.raises(DeclarationsInvalid, match="no valid ConstraintTemplate"):
        policies.add_policy(
            {"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "K8sNothing", "metadata": {"name": "a"}}
        )


def test_a_file_that_is_wrong_stops_admission_instead_of_being_left_out(policies: PolicyService) -> None:
    wrong = policies.home.settings.platform / "policies" / "wrong.yaml"
    wrong.write_text("rule_id: wrong\n")
    try:
        with pytest.raises(DeclarationsInvalid, match=r"wrong\.yaml"):
            policies.admit_resource(deployment(PROBED))
    finally:
        wrong.unlink()


def test_what_if_says_who_would_have_been_hit_and_who_still_is(policies: PolicyService) -> None:
    def state(name: str, replicas: int, commit: str, begun: int, ended: int | None, source: str = "desired") -> Any:
        manifest = {**deployment(PROBED, replicas=replicas), "metadata": {"name": name, "namespace": "shop"}}
        row = {
            "app_id": "shop",
            "cluster": "c",
            "namespace": "shop",
            "api_version": "apps/v1",
            "kind": "Deployment",
            "name": name,
            "key": f"apps/Deployment/shop/{name}",
            "manifest": json.dumps(manifest),
            "hash": f"{commit}{name}",
            "replaced_at": datetime(2026, 1, ended, tzinfo=UTC) if ended else None,
        }
        at = datetime(2026, 1, begun, tzinfo=UTC)
        return (
            source,
            {**row, "commit": commit, "committed_at": at}
            if source == "desired"
            else {**row, "taken_at": at, "health": "Healthy", "applied": "{}", "managers": "[]"},
        )

    given = [
        state("web", 1, "c1", 1, 5),
        state("web", 3, "c2", 5, None),
        state("api", 3, "c1", 1, 4),
        state("api", 1, "c3", 4, None),
        state("web", 1, "", 6, None, "live"),
    ]
    columns = {
        name: {c.name: c for c in policies.home.contracts[f"gitops.{name}_resources"].columns}
        for name in ("desired", "live")
    }
    for source, row in given:
        blank = {"VARCHAR": "x", "BIGINT": 1, "BOOLEAN": False, "INTEGER": 1}
        needed = {n: blank[c.type.upper()] for n, c in columns[source].items() if c.required and n not in row}
        written.append(policies.home, f"gitops.{source}_resources", [{**needed, **row}], run_id="test")
    found = policies.what_if([starter_policy("replicas")])
    assert found.states == 5
    shown = [
        (hit.source, hit.key[-3:], hit.states, hit.first.day, hit.last and hit.last.day, hit.now) for hit in found.hits
    ]
    assert shown == [
        ("desired", "api", 1, 4, None, True),
        ("live", "web", 1, 6, None, True),
        ("desired", "web", 1, 1, 5, False),
    ]
    assert found.hits[0].messages == ("it runs with 1 replica(s), at least 2 are expected",)
    policy = policies.home.settings.home / "replicas.yaml"
    policy.write_text("rule_id: two\nrego_query: input.spec.replicas < 2\n")
    home = str(policies.home.settings.home)
    done = CliRunner().invoke(app, ["policy", "what-if", "--policy", str(policy), "--home", home])
    assert done.exit_code == 0 and "2 of 3 resources would be hit today; 5 states were looked at" in done.output


@pytest.mark.parametrize(
    ("api", "kind"), [("wgpolicyk8s.io/v1alpha2", "PolicyReport"), ("openreports.io/v1alpha1", "Report")]
)
def test_reports_hold_what_policies_say_of_what_runs(policies: PolicyService, api: Any, kind: str) -> None:
    (report,) = policies.policy_reports(api)
    assert (report["apiVersion"], report["kind"], report["metadata"]["namespace"]) == (api, kind, "shop")
    assert report["summary"] == {"pass": 3, "fail": 0, "warn": 2, "error": 0, "skip": 0}
    labels = next(each for each in report["results"] if each["policy"] == "starter/labels")
    assert labels["resources"] == [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "namespace": "shop"}]
    assert (labels["result"], labels["scored"], labels["severity"]) == ("warn", False, "medium")


def test_the_command_says_deny_by_its_exit_code(tmp_path: Path) -> None:
    rule, good, bad = tmp_path / "rule.yaml", tmp_path / "good.yaml", tmp_path / "bad.json"
    rule.write_text(yaml.safe_dump(HEALTH.model_dump(mode="json")))
    good.write_text(yaml.safe_dump(deployment(PROBED)))
    bad.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [deployment(PROBED), deployment(BARE)]}))
    run = CliRunner().invoke
    assert run(app, ["admit", str(good), "--policy", str(rule)]).exit_code == 0
    denied = run(app, ["admit", str(bad), str(good), "--policy", str(rule), "--json"])
    assert denied.exit_code == 1
    assert [each["decision"] for each in json.loads(denied.output)["admissions"]] == ["allow", "deny", "allow"]
    nowhere = run(app, ["admit", str(good), "--home", str(tmp_path / "none")])
    assert isinstance(nowhere.exception, CogniforgeError) and "there are no policies" in nowhere.exception.message


def test_eval_takes_templates_with_parameters_modules_and_reviews(tmp_path: Path) -> None:
    template, parameters = FOLDER / "labels" / "template.yaml", tmp_path / "p.yaml"
    parameters.write_text("labels: [owner]\n")
    manifest = tmp_path / "m.yaml"
    manifest.write_text(yaml.safe_dump(deployment(PROBED)))
    review = tmp_path / "r.json"
    review.write_text(json.dumps({"parameters": {"labels": ["team"]}, "review": {"object": deployment()}}))
    module, data = tmp_path / "m.rego", tmp_path / "d.json"
    module.write_text(
        'package m\nviolation[{"msg": m}] { m := sprintf("%v %v", [data.limits.x, input.parameters.labels]) }'
    )
    data.write_text('{"limits": {"x": 3}}')

    def messages(policy: Path, given: Path, *more: str) -> list[str]:
        done = CliRunner().invoke(
            app, ["policy", "eval", "--policy", str(policy), "--input", str(given), "--json", *more]
        )
        return [each["msg"] for row in json.loads(done.output)["results"] for each in row["violations"]]

    assert messages(template, manifest, "--parameters", str(parameters)) == ["the label owner is missing"]
    assert messages(template, review) == ["the label team is missing"]
    told = messages(module, manifest, "--data", str(data), "--parameters", str(parameters))
    assert told == ['3 ["owner"]']
    assert [policy.policy_id for policy in read_policies([tmp_path / "m.rego", template])] == ["m", "CogniforgeLabels"]
