"""Gatekeeper's forms: matching, templates, constraints, suites; and its own library where it is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cogniforge_pipeline.cli import app
from cogniforge_pipeline.gitops.policy.gatekeeper import read_gatekeeper, read_template
from cogniforge_pipeline.gitops.policy.judging import judge
from cogniforge_pipeline.gitops.policy.matching import Match, NotDecidable
from cogniforge_pipeline.gitops.policy.model import PolicyEnforcementMode, PolicyInvalid
from cogniforge_pipeline.gitops.policy.pool import Pool

LIBRARY = Path(__file__).parents[4] / "shared/data/gitops/gatekeeper_general"
LABELS = {"labels": {"app": "a", "tier": "web"}}


def resource(kind: str = "Pod", version: str = "v1", **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "n", **metadata}}


POD = resource(namespace="prod-eu", **LABELS)
NAMESPACE = resource("Namespace", name="prod-eu", labels={"env": "prod"})
ROLE = resource("ClusterRole", "rbac.authorization.k8s.io/v1")
DEPLOYMENT = resource("Deployment", "apps/v1", namespace="default")


@pytest.mark.parametrize(
    ("match", "matched"),
    [
        ({}, [POD, NAMESPACE, ROLE, DEPLOYMENT]),
        ({"kinds": [{"apiGroups": [""], "kinds": ["Pod", "Namespace"]}]}, [POD, NAMESPACE]),
        ({"kinds": [{"apiGroups": ["*"], "kinds": ["*"]}]}, [POD, NAMESPACE, ROLE, DEPLOYMENT]),
        ({"kinds": [{"apiGroups": ["extensions", "apps"], "kinds": ["Deployment", "Pod"]}]}, [DEPLOYMENT]),
        ({"kinds": [{"kinds": ["Pod"]}, {"apiGroups": ["apps"]}]}, [POD, DEPLOYMENT]),
        ({"namespaces": ["prod-*"]}, [POD, NAMESPACE, ROLE]),
        ({"namespaces": ["*-eu", "other"]}, [POD, NAMESPACE, ROLE]),
        ({"excludedNamespaces": ["prod-eu"]}, [ROLE, DEPLOYMENT]),
        ({"excludedNamespaces": ["pro*"], "scope": "Namespaced"}, [DEPLOYMENT]),
        ({"scope": "Cluster"}, [NAMESPACE, ROLE]),
        ({"scope": "Namespaced"}, [POD, DEPLOYMENT]),
        ({"name": "prod*"}, [NAMESPACE]),
        ({"labelSelector": {"matchLabels": {"app": "a"}}}, [POD]),
        ({"labelSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}, [POD]),
        ({"labelSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["a"]}]}}, "rest"),
        ({"labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["b"]}]}}, []),
        ({"labelSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}}, "rest"),
        ({"namespaceSelector": {"matchLabels": {"env": "prod"}}, "kinds": [{"kinds": ["Pod"]}]}, [POD]),
        ({"namespaceSelector": {"matchLabels": {"env": "test"}}, "kinds": [{"kinds": ["Pod", "Namespace"]}]}, []),
        ({"namespaceSelector": {"matchLabels": {"env": "test"}}, "kinds": [{"kinds": ["ClusterRole"]}]}, [ROLE]),
        ({"source": "Generated"}, []),
    ],
)
def test_which_resources_a_constraint_is_about(match: dict[str, Any], matched: Any) -> None:
    rule = Match.model_validate(match)
    expected = [NAMESPACE, ROLE, DEPLOYMENT] if matched == "rest" else matched
    known = {"prod-eu": NAMESPACE}
    assert [each for each in (POD, NAMESPACE, ROLE, DEPLOYMENT) if rule.holds(each, known)] == expected


def test_a_namespace_that_is_not_known_is_no_answer() -> None:
    rule = Match.model_validate({"namespaceSelector": {"matchLabels": {"env": "prod"}}})
    with pytest.raises(NotDecidable, match="default"):
        rule.holds(DEPLOYMENT, {})


TEMPLATE = """
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: k8slabels}
spec:
  crd: {spec: {names: {kind: K8sLabels}}}
  targets:
    - target: admission.k8s.gatekeeper.sh
      rego: |
        package k8slabels
        import data.lib.names.missing
        violation[{"msg": msg, "details": {"missing": absent}}] {
          absent := missing(input.review.object, input.parameters.labels)
          count(absent) > 0
          msg := sprintf("%v of %v lacks %v", [input.review.kind.kind, input.review.namespace, absent])
        }
        violation[{"msg": "host is taken"}] {
          other := data.inventory.namespace[_]["v1"]["Pod"][name]
          name != input.review.object.metadata.name
          other.spec.host == input.review.object.spec.host
        }
      libs:
        - |
          package lib.names
          missing(object, labels) = {label | label := labels[_]; not object.metadata.labels[label]}
"""
CONSTRAINT = """
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: K8sLabels
metadata: {name: app}
spec:
  enforcementAction: warn
  match: {kinds: [{apiGroups: [""], kinds: [Pod]}]}
  parameters: {labels: [app, owner]}
"""


def test_a_constraint_is_judged_with_its_parameters_libraries_and_inventory(pool: Pool) -> None:
    (policy,) = read_gatekeeper([yaml.safe_load(TEMPLATE), yaml.safe_load(CONSTRAINT)])
    assert (policy.policy_id, policy.enforcement) == ("K8sLabels/app", PolicyEnforcementMode.WARN)
    host = {**resource(name="other", namespace="prod-eu"), "spec": {"host": "h"}}
    mine = {**POD, "spec": {"host": "h"}}
    verdicts = [each[0] for each in judge([policy], [mine, DEPLOYMENT], [host], pool=pool)]
    assert [each.standing for each in verdicts] == ["fail", "skip"]
    assert {(each.message, json.dumps(each.details)) for each in verdicts[0].findings} == {
        ('Pod of prod-eu lacks {"owner"}', '{"missing": ["owner"]}'),
        ("host is taken", "{}"),
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t["metadata"].update(name="other"), "lower case"),
        (lambda t: t["spec"].pop("crd"), "names.kind"),
        (lambda t: t["spec"]["targets"][0].update(target="x"), "one target"),
        (lambda t: t["spec"]["targets"][0].pop("rego"), "no Rego"),
        (lambda t: t["spec"]["targets"][0].update(rego="violation[1] {true}"), "no package"),
    ],
)
def test_a_template_that_is_none_says_what_is_wrong(change: Any, words: str) -> None:
    template = yaml.safe_load(TEMPLATE)
    change(template)
    with pytest.raises(PolicyInvalid, match=words):
        read_template(template)


def test_v1_code_and_scoped_actions(pool: Pool) -> None:
    template, constraint = yaml.safe_load(TEMPLATE), yaml.safe_load(CONSTRAINT)
    text = 'package k8slabels\nimport rego.v1\nviolation contains {"msg": "v1"} if input.parameters.labels'
    template["spec"]["targets"][0] = {
        "target": "admission.k8s.gatekeeper.sh",
        "code": [{"engine": "K8sNativeValidation"}, {"engine": "Rego", "source": {"version": "v1", "rego": text}}],
    }
    constraint["spec"] |= {
        "enforcementAction": "scoped",
        "scopedEnforcementActions": [{"action": "dryrun"}, {"action": "deny"}],
    }
    (policy,) = read_gatekeeper([template, constraint])
    assert policy.enforcement is PolicyEnforcementMode.ENFORCE
    ((verdict,),) = judge([policy], [POD], pool=pool)
    assert [each.message for each in verdict.findings] == ["v1"]


SUITE = """
kind: Suite
apiVersion: test.gatekeeper.sh/v1alpha1
tests:
- name: labels
  template: template.yaml
  constraint: constraint.yaml
  cases:
  - {name: good, object: good.yaml, assertions: [{violations: no}]}
  - {name: bad, object: bad.yaml, assertions: [{violations: 1, message: 'lacks .*owner'}, {violations: yes}]}
  - {name: wrong, object: bad.yaml, assertions: [{violations: 2}]}
  - {name: absent, object: nowhere.yaml, assertions: [{violations: no}]}
  - {name: outside, object: /etc/passwd, assertions: [{violations: no}]}
  - {name: nothing, object: good.yaml}
  - {name: later, skip: true, object: good.yaml}
- name: broken
  template: broken.yaml
  constraint: constraint.yaml
  cases: [{name: never, object: good.yaml, assertions: [{violations: no}]}]
- {name: invalid, template: bad.yaml, constraint: constraint.yaml, invalid: true}
"""


def test_a_suite_prints_a_line_for_each_case(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE)
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "constraint.yaml").write_text(CONSTRAINT)
    (tmp_path / "broken.yaml").write_text(TEMPLATE.replace("count(absent) > 0", 'http["send"]({})'))
    (tmp_path / "bad.yaml").write_text(json.dumps(POD))
    (tmp_path / "good.yaml").write_text(json.dumps(resource(labels={"app": "a", "owner": "b"})))
    shown = CliRunner().invoke(app, ["policy", "verify", str(tmp_path)])
    lines = [line.partition("suite.yaml ")[2] for line in shown.output.splitlines() if "suite.yaml" in line]
    assert shown.exit_code == 1 and "3 of 8 cases passed, 1 skipped" in shown.output
    assert [line.split(":")[0] for line in lines] == [
        "labels/good passed",
        "labels/bad passed",
        "labels/wrong failed",
        "labels/absent failed",
        "labels/outside failed",
        "labels/nothing failed",
        "labels/later skipped",
        "broken/never failed",
        "invalid/ passed",
    ]
    assert "refused: k8slabels.rego:5: http.send is not allowed" in shown.output


@pytest.mark.skipif(not LIBRARY.is_dir(), reason="Gatekeeper's library lies in ../shared, which is absent")
def test_the_general_library_of_gatekeeper_passes_its_own_suites() -> None:
    shown = CliRunner().invoke(app, ["policy", "verify", str(LIBRARY), "--json"])
    found = json.loads(shown.output)
    assert [case for case in found["cases"] if case["standing"] != "passed"] == []
    assert (found["passed"], shown.exit_code) == (130, 0)
