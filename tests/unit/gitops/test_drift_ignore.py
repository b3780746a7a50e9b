"""What is ignored: JSON pointers, jq path expressions, managers; and expressions that were made to hurt."""

import pytest

from cogniforge_pipeline.gitops.diff import SYNCED, detect
from cogniforge_pipeline.gitops.ignore import IgnoreRule, Ignores
from cogniforge_pipeline.gitops.jq_paths import JqFailed, JqPaths
from cogniforge_pipeline.gitops.manifests import Manifest
from tests.support.gitops import deployment, on_server


def drift(desired, live, *rules):
    (found,) = detect(
        [Manifest(desired)], [Manifest(live)], b"salt", ignores=Ignores(tuple(map(IgnoreRule.model_validate, rules)))
    )
    return [one.to_dict()["path"] for one in found.fields], found.problems


def changed():
    live = deployment()
    live["spec"]["replicas"] = 9
    live["metadata"]["annotations"] = {"a/b": "1"}
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "shop:9"
    return live


REPLICAS, IMAGE = "spec.replicas", "spec.template.spec.containers[name=web].image"
NOTE = 'metadata.annotations["a/b"]'


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        ({}, [NOTE, REPLICAS, IMAGE]),
        ({"kind": "Deployment", "jsonPointers": ["/spec/replicas"]}, [NOTE, IMAGE]),
        ({"jsonPointers": ["/metadata/annotations/a~1b", "/spec/nothing/0"]}, [REPLICAS, IMAGE]),
        ({"jsonPointers": ["/spec/template/spec/containers/0/image"]}, [NOTE, REPLICAS]),
        ({"kind": "StatefulSet", "jsonPointers": ["/spec/replicas"]}, [NOTE, REPLICAS, IMAGE]),
        ({"group": "apps", "kind": "*", "name": "we*", "jsonPointers": ["/spec/replicas"]}, [NOTE, IMAGE]),
        ({"namespace": "other", "jsonPointers": ["/spec/replicas"]}, [NOTE, REPLICAS, IMAGE]),
        (
            {"jqPathExpressions": ['.spec.template.spec.containers[] | select(.name == "web") | .image']},
            [NOTE, REPLICAS],
        ),
        ({"jqPathExpressions": [".spec.replicas, .metadata.annotations"]}, [IMAGE]),
    ],
)
def test_a_rule_takes_out_what_it_names(rule, left):
    assert drift(deployment(), changed(), rule) == (left, ())


def test_fields_of_a_manager_are_ignored():
    live = on_server(changed())
    fields = {
        "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:image": {}}}}}}
    }
    live["metadata"]["managedFields"] = [{"manager": "robot", "operation": "Update", "fieldsV1": fields}]
    assert drift(deployment(), live, {"managedFieldsManagers": ["robot"]}) == ([], ())
    assert drift(deployment(), live, {"managedFieldsManagers": ["human"]}) == ([REPLICAS, IMAGE], ())


def test_elements_of_a_list_go_without_moving_others():
    def config(*values):
        return {"apiVersion": "example.org/v1", "kind": "T", "metadata": {"name": "t"}, "spec": {"x": list(values)}}

    found = drift(config(1, 2, 3, 4), config(1, 5, 3, 6), {"jsonPointers": ["/spec/x/1", "/spec/x/3"]})
    assert found == ([], ())


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (".a) | (.b", "fails"),
        ("env", "fails"),
        ("$ENV.PATH", "fails"),
        ('error("x")', "fails: x"),
        ("repeat(.)", "more than"),
        ("no_such_function", "fails"),
        ('import "x" as x; .', "fails"),
        ("input", "fails"),
    ],
)
def test_an_expression_that_fails_is_a_problem_and_ignores_nothing(expression, words, monkeypatch):
    monkeypatch.setenv("PATH_OF_A_SECRET", "hunter2")
    left, problems = drift(deployment(), changed(), {"jqPathExpressions": [expression]})
    assert left == [NOTE, REPLICAS, IMAGE]
    assert words in problems[0] and "hunter2" not in problems[0]


@pytest.mark.parametrize("expression", ["def f: f; f", "[range(1e12)] | .[0]", "def f: [f]; f"])
def test_an_expression_without_an_end_is_ended_and_others_go_on(expression):
    with JqPaths(0.3) as jq:
        with pytest.raises(JqFailed, match="took longer"):
            jq(expression, {})
        with pytest.raises(JqFailed):
            jq(expression, {})
        assert jq(".a", {"a": 1}) == [["a"]]


def test_values_of_secrets_are_not_shown_to_expressions():
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"p": "aHVudGVyMg=="}}
    _, problems = drift(secret, secret, {"jqPathExpressions": ["error(.data.p)"]})
    assert "aHVu" not in problems[0] and "hunter" not in problems[0]
    other = secret | {"data": {"p": "b3RoZXI="}}
    assert drift(secret, other, {"jsonPointers": ["/stringData/p"]}) == ([], ())


def test_a_pointer_starts_with_a_slash():
    with pytest.raises(ValueError, match="starts with /"):
        IgnoreRule.model_validate({"jsonPointers": ["spec"]})


def test_ignoring_everything_is_synced():
    (found,) = detect(
        [Manifest(deployment())],
        [Manifest(changed())],
        b"",
        ignores=Ignores((IgnoreRule(jqPathExpressions=(".spec, .metadata",)),)),
    )
    assert found.status == SYNCED
