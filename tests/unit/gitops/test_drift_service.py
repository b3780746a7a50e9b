"""The Python API: applications, status, drift, repairs with a kubectl that a test wrote."""

import json
import os
from datetime import UTC, datetime

import pytest

from cogniforge_pipeline.declarations import DeclarationsInvalid
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.gitops import GitOpsApp, GitOpsService
from cogniforge_pipeline.gitops.announcements import drift_events
from cogniforge_pipeline.gitops.plots import PLOTS
from cogniforge_pipeline.gitops.reading import read_applications
from cogniforge_pipeline.gitops.remedy import remediate_allowed
from cogniforge_pipeline.settings import load_settings
from tests.support.gitops import Repository, deployment, on_server

KUBECTL = """#!/usr/bin/env python3
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
with (folder / "calls.jsonl").open("a") as log:
    given = "" if "get" in sys.argv else sys.stdin.read()
    log.write(json.dumps([sys.argv[1:], given]) + "\\n")
if "get" in sys.argv:
    print((folder / "live.json").read_text())
elif (folder / "refuse").exists():
    sys.exit("the server says no")
else:
    print("done")
"""


def app(repository, **more):
    given = {"app_id": "shop", "name": "Shop", "namespace": "shop", "git_repo": str(repository.path), "git_path": "k8s"}
    return GitOpsApp(**given | more)


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "r.git")
    made.write("k8s/web.yaml", deployment())
    made.write(
        "k8s/s.yaml", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"p": "hunter2"}}
    )
    made.commit()
    return made


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A folder with a kubectl that answers with live.json, and notes what it was asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "kubectl").write_text(KUBECTL)
    (folder / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def has(*manifests):
        items = [{**one, "metadata": {**one["metadata"], "namespace": "shop"}} for one in manifests]
        (folder / "live.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    has()
    return folder, has


@pytest.fixture
def service(tmp_path):
    return GitOpsService(load_settings(tmp_path / "home", environ={}))


def live(replicas):
    made = deployment()
    made["spec"]["replicas"] = replicas
    return on_server(made, deployment())


def calls(folder):
    lines = (folder / "calls.jsonl").read_text().splitlines()
    return [(arguments, given) for arguments, given in map(json.loads, lines) if "get" not in arguments]


def test_from_registration_to_drift_and_repair(service, repository, cluster):
    folder, has = cluster
    service.register_application(app(repository, live={"context": "prod"}, sync_policy={"auto_remediate": True}))
    has(live(2))
    status = service.get_sync_status("shop")
    assert (status["sync_status"], status["drift_count"], status["missing"]) == ("OutOfSync", 1, 1)
    has(live(5))
    (secret, web) = service.detect_drift("shop")
    assert (web.resource_name, web.resource_type, web.status) == ("web", "Deployment", "modified")
    assert str(web) == "apps/Deployment/shop/web is modified: spec.replicas"
    assert [(one.path, one.desired, one.live) for one in web.fields] == [("spec.replicas", 2, 5)]
    assert isinstance(web.fields[0].since, datetime)
    assert secret.status == "missing"

    tried = service.remediate("shop")
    assert [(one.action, one.done, one.succeeded) for one in tried] == [("create", False, False), ("patch", True, True)]
    (((arguments, given),)) = calls(folder)
    assert arguments == [
        "--context=prod", "--request-timeout=30s", "patch", "Deployment.apps", "web", "--namespace", "shop",
        "--type=strategic", "--patch-file=/dev/stdin", "--dry-run=server",
    ]  # fmt: skip
    assert json.loads(given) == {"spec": {"replicas": 2}}
    assert service.home.lake.cursor().execute("SELECT count(*) FROM gitops.remediation_attempts").fetchone() == (0,)

    done = service.remediate("shop", dry_run=False, every=True)
    assert [one.succeeded for one in done] == [True, True]
    arguments, given = calls(folder)[-2]
    assert arguments[2:4] == ["apply", "--filename=-"] and json.loads(given)["stringData"] == {"p": "hunter2"}
    rows = (
        service.home.lake.cursor()
        .execute("SELECT key, action, succeeded FROM gitops.remediation_attempts ORDER BY key")
        .fetchall()
    )
    assert rows == [("apps/Deployment/shop/web", "patch", True), ("core/Secret/shop/s", "create", True)]
    (create, patch) = service.plan_remediation("shop")
    assert (create["decision"], patch["decision"]) == ("manual", "wait")
    assert "hunter" not in json.dumps(create, default=str)


def test_what_an_application_allows_is_done_and_a_failure_waits(service, repository, cluster):
    folder, has = cluster
    policy = {"auto_sync": True, "auto_remediate": True}
    service.register_application(app(repository, live={"context": "prod"}, sync_policy=policy))
    has(live(5))
    (folder / "refuse").touch()
    read_applications(service.home, "run")
    outcomes = remediate_allowed(service.home)
    assert [(one.done, one.succeeded) for one in outcomes] == [(True, False), (True, False)]
    assert all("the server says no" in one.message for one in outcomes)
    assert remediate_allowed(service.home) == []
    assert {step["decision"] for step in service.plan_remediation("shop")} == {"wait"}
    (folder / "refuse").unlink()
    repository.write("k8s/other.yaml", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}})
    repository.commit()
    read_applications(service.home, "run")
    assert all(one.succeeded for one in remediate_allowed(service.home))


def test_a_cluster_that_cannot_be_asked_is_a_problem(service, repository, tmp_path, monkeypatch):
    service.register_application(app(repository, live={"context": "prod"}))
    monkeypatch.setenv("PATH", str(tmp_path))
    status = service.get_sync_status("shop")
    assert status["sync_status"] == "Unknown"
    assert "there is no kubectl" in status["problems"][0]


def test_figures_errors_events_and_charts(service, repository, tmp_path):
    (tmp_path / "home").mkdir(exist_ok=True)
    service.register_application(app(repository, live={"files": "live.json"}, git_branch=""))
    (tmp_path / "home" / "live.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [live(2)]}))
    service.detect_drift("shop")
    figures = service.get_gitops_metrics()
    assert figures["total_applications"] == figures["out_of_sync_applications"] == 1
    assert figures["total_drift"] == 1 and figures["total_violations"] == 0
    with pytest.raises(CogniforgeError, match="no application 'nothing'"):
        service.get_sync_status("nothing")
    with pytest.raises(CogniforgeError, match="read from files"):
        service.remediate("shop")
    with pytest.raises(DeclarationsInvalid, match="remote helpers"):
        service.register_application(app(repository, git_repo="ext::sh -c id"))
    with pytest.raises(DeclarationsInvalid, match="within the repository"):
        service.register_application(app(repository, git_path="../.."))
    cursor = service.home.lake.cursor()
    assert drift_events(cursor) == []
    assert [chart(cursor, None) for chart in PLOTS.values()] == [None, None]
    start, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    cursor.execute(
        "INSERT INTO gitops.drift_episodes BY NAME SELECT 'shop' AS app_id, 'k' AS key, unnest(['a', 'b']) AS path, "
        "'modified' AS status, $1 AS started_at, $2 AS ended_at, 86400.0 AS seconds_to_repair, 1 AS flaps, 'live' AS cause, "
        "'commit' AS repair",
        [start, end],
    )
    told = drift_events(cursor)
    assert [(one.type, one.data["fields"], one.data["by"]) for one in told] == [
        ("gitops.drift.found", ["a", "b"], "live"),
        ("gitops.drift.cleared", ["a", "b"], "commit"),
    ]
    assert told[1].data["seconds_to_repair"] == 86400.0
    assert PLOTS["gitops.drift_episodes"](cursor, None).to_dict()["title"] == "Drift over time"
