"""`cogniforge drift`, as a user meets it."""

import json

import yaml
from typer.testing import CliRunner

from cogniforge_pipeline.cli import app
from tests.support.gitops import deployment


def run(*arguments):
    return CliRunner().invoke(app, ["drift", *map(str, arguments)])


def write(path, *manifests):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump_all(manifests))
    return path


def test_drift_as_json(tmp_path):
    live = deployment()
    live["spec"]["replicas"] = 5
    desired = write(tmp_path / "desired" / "a.yaml", deployment())
    (tmp_path / "live.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [live]}))
    result = run("--desired", desired.parent, "--live", tmp_path / "live.json", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["resources"] == [
        {
            "key": "apps/Deployment/-/web",
            "status": "modified",
            "fields": [{"path": "spec.replicas", "desired": 2, "live": 5}],
        }
    ]
    assert found["synced"] == 0 and found["problems"] == []


def test_no_drift_and_ignored_drift(tmp_path):
    live = deployment()
    live["spec"]["replicas"] = 5
    desired, there = write(tmp_path / "a.yaml", deployment()), write(tmp_path / "b.yaml", live)
    result = run("--desired", desired, "--live", desired)
    assert (result.exit_code, result.stdout) == (0, "no drift, 1 synced\n")
    rule = {"kind": "Deployment", "jsonPointers": ["/spec/replicas"]}
    for number, rules in enumerate(([rule], {"ignoreDifferences": [rule]}, {"spec": {"ignoreDifferences": [rule]}})):
        (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump(rules))
        assert run("--desired", desired, "--live", there, "--ignore", tmp_path / f"{number}.yaml").exit_code == 0
    shown = run("--desired", desired, "--live", there)
    assert "spec.replicas: desired 2, live 5" in shown.stdout
    assert "1 drifted, 0 synced" in shown.stdout


def test_wrong_usage(tmp_path):
    desired = write(tmp_path / "a.yaml", deployment())
    assert run("--desired", desired, "--live", tmp_path / "nothing").exit_code == 2
    for text, words in (("[{kinds: x}]", "rule 1: kinds"), ("x: 1", "a list of rules"), ("{", "expected YAML")):
        (tmp_path / "rules.yaml").write_text(text)
        result = run("--desired", desired, "--live", desired, "--ignore", tmp_path / "rules.yaml")
        assert result.exit_code == 2
        assert words in " ".join(result.output.replace("│", " ").split())


def test_a_bad_document_is_told_and_the_others_are_compared(tmp_path):
    desired = write(tmp_path / "a.yaml", deployment())
    bad = tmp_path / "b.yaml"
    bad.write_text("a: b: c\n---\n" + desired.read_text())
    result = run("--desired", desired, "--live", bad, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["problems"][0]["line"] == 1
