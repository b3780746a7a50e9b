"""From a repository and snapshots to tables, step by step in a small home."""

import json
import stat
from copy import deepcopy
from datetime import timedelta

import pytest
import yaml

from cogniforge_pipeline.declarations import declare
from cogniforge_pipeline.gitops.model import APPLICATION_KIND
from cogniforge_pipeline.gitops.reading import read_applications
from cogniforge_pipeline.gitops.tables import computed
from cogniforge_pipeline.registry import record
from tests.support.gitops import Repository, deployment, on_server
from tests.support.pipeline import Pipeline

ORDER = [table.name for table in computed()]


class Shop:
    """A home with one application, whose repository and snapshots a test writes."""

    def __init__(self, folder, **application):
        self.pipeline = Pipeline(folder / "home")
        self.home = self.pipeline.home
        self.repository = Repository(folder / "r.git")
        self.live = folder / "home" / "snapshots"
        self.live.mkdir()
        self.declare(**application)

    def declare(self, **application):
        given = {
            "app_id": "shop",
            "repository": str(self.repository.path),
            "path": "k8s",
            "branch": "main",
            "destination": {"namespace": "shop"},
            "live": {"files": "snapshots"},
        }
        record(self.home, [declare(APPLICATION_KIND, given | application)], run_id="test")

    def commit(self, *manifests, **options):
        self.repository.files = {}
        self.repository.write("k8s/all.yaml", list(manifests))
        return self.repository.commit(**options)

    def snapshot(self, minutes, *manifests):
        at = self.repository.start + timedelta(minutes=minutes)
        items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        (self.live / f"{at:%Y-%m-%dT%H:%M:%SZ}.json").write_text(json.dumps(items))

    def run(self):
        found = read_applications(self.home, "test")
        for table in ORDER:
            self.pipeline.compute(table)
        return found

    def rows(self, table, columns):
        return self.pipeline.rows(f"gitops.{table}", columns)

    def minute(self, moment):
        return round((moment - self.repository.start).total_seconds() / 60)


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def scaled(number, **more):
    made = deployment()
    made["spec"]["replicas"] = number
    made["metadata"] |= more
    return made


def there(number, applied=2):
    return on_server(scaled(number, namespace="shop"), scaled(applied))


def test_a_home_without_applications_reads_and_writes_nothing(tmp_path):
    pipeline = Pipeline(tmp_path)
    found = read_applications(pipeline.home, "test")
    assert (found.commits, found.snapshots, found.publications) == (0, 0, [])
    for table in ORDER:
        assert pipeline.compute(table).publication is None
    assert not (tmp_path / "state" / "gitops").exists()


def test_drift_its_episode_and_its_end(shop):
    first = shop.commit(scaled(2))
    shop.snapshot(5, there(2))
    found = shop.run()
    assert (found.commits, found.snapshots, found.problems) == (1, 1, [])
    assert shop.rows("sync_status", "sync_status, drift_count, resources, commit") == [("Synced", 0, 1, first)]
    assert shop.rows("drift", "*") == []
    shop.snapshot(10, there(7))
    shop.run()
    ((key, status, path, desired, live, since),) = shop.rows("drift", "key, status, path, desired, live, since")
    assert (key, status, path, desired, live) == ("apps/Deployment/shop/web", "modified", "spec.replicas", "2", "7")
    assert shop.minute(since) == 10
    assert shop.rows("sync_status", "sync_status, modified, fields") == [("OutOfSync", 1, 1)]
    shop.snapshot(15, there(2))
    shop.snapshot(20, there(9))
    shop.snapshot(25, there(2))
    shop.run()
    episodes = shop.rows("drift_episodes", "started_at, ended_at, seconds_to_repair, flaps, cause, repair")
    assert [(shop.minute(a), shop.minute(b), s, f, c, r) for a, b, s, f, c, r in episodes] == [
        (10, 15, 300.0, 0, "live", "live"),
        (20, 25, 300.0, 1, "live", "live"),
    ]
    assert shop.rows("sync_status", "sync_status, out_of_sync_since") == [("Synced", None)]


def test_a_commit_that_is_not_applied_yet_is_an_episode_of_the_commit(shop):
    shop.commit(scaled(2))
    shop.snapshot(1, there(2))
    shop.commit(scaled(4), at=shop.repository.start + timedelta(minutes=5))
    shop.snapshot(9, there(4, 4))
    shop.run()
    ((path, cause, repair, seconds),) = shop.rows("drift_episodes", "path, cause, repair, seconds_to_repair")
    assert (path, cause, repair, seconds) == ("spec.replicas", "commit", "live", 240.0)


def test_history_is_kept_and_nothing_is_read_twice(shop):
    commits = [shop.commit(scaled(number), message=f"scale to {number}") for number in (2, 3, 3, 4)]
    shop.snapshot(9, there(4))
    assert shop.run().commits == 4
    assert shop.run().commits == 0
    states = shop.rows(
        "desired_resources", "committed_at, replaced_at, commit, path, line, json_extract(manifest, '$.spec.replicas')"
    )
    told = [(shop.minute(a), b and shop.minute(b), c, p, n, str(r)) for a, b, c, p, n, r in states]
    assert told == [
        (0, 1, commits[0], "k8s/all.yaml", 1, "2"),
        (1, 3, commits[1], "k8s/all.yaml", 1, "3"),
        (3, None, commits[3], "k8s/all.yaml", 1, "4"),
    ]
    ledger = shop.rows("snapshots", "side, revision, author, message, resources, changed")
    assert [row for row in ledger if row[0] == "desired"] == sorted(
        ("desired", commit, "Ana", f"scale to {number}", 1, changed)
        for commit, number, changed in zip(commits, (2, 3, 3, 4), (1, 1, 0, 1), strict=True)
    )
    shop.commit(scaled(5))
    assert shop.run().commits == 1
    assert len(shop.rows("desired_resources", "key")) == 4


def test_a_branch_that_was_rewritten_and_a_changed_definition(shop):
    shop.commit(scaled(2), {**scaled(2), "metadata": {"name": "gone"}})
    shop.snapshot(3, there(2))
    shop.run()
    shop.repository.commits = []
    shop.repository.git.references.delete("refs/heads/main")
    shop.commit(scaled(8), at=shop.repository.start + timedelta(minutes=4))
    shop.run()
    now = "key, json_extract(manifest, '$.spec.replicas')"
    pipeline = shop.pipeline
    rows = (
        pipeline.home.lake.cursor()
        .execute(f"SELECT {now} FROM gitops.desired_resources WHERE replaced_at IS NULL")
        .fetchall()
    )
    assert rows == [("apps/Deployment/shop/web", "8")]
    shop.declare(destination={"namespace": "elsewhere"})
    shop.run()
    rows = (
        pipeline.home.lake.cursor()
        .execute("SELECT key FROM gitops.desired_resources WHERE replaced_at IS NULL")
        .fetchall()
    )
    assert rows == [("apps/Deployment/elsewhere/web",)]


def test_secrets_are_nowhere_in_clear(shop):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
    live = on_server({**secret, "metadata": {"name": "s", "namespace": "shop"}}, secret)
    del live["stringData"]
    live["data"] = {"password": "aHVudGVyMw=="}
    shop.commit(secret)
    shop.snapshot(3, live)
    shop.run()
    assert shop.rows("drift", "path") == [("data.password",)]
    for table in shop.home.contracts:
        if table.startswith("gitops."):
            text = str(shop.pipeline.rows(table))
            assert "hunter" not in text and "aHVudGVy" not in text
    salt = shop.home.settings.state / "gitops" / "salt"
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(shop):
    shop.repository.write("k8s/bad.yaml", "a: b: c\n---\n" + yaml.safe_dump(scaled(2)))
    commit = shop.repository.commit()
    record(
        shop.home,
        [declare(APPLICATION_KIND, {"app_id": "nothing", "repository": "/nowhere", "live": {"files": "../outside"}})],
        run_id="test",
    )
    found = shop.run()
    assert found.commits == 1
    assert any(one.startswith(f"shop {commit[:12]} k8s/bad.yaml:1:") for one in found.problems)
    assert any("nothing: /nowhere is no git repository" in one for one in found.problems)
    assert any("lies outside of the home" in one for one in found.problems)
    assert shop.rows("sync_status", "app_id, sync_status, len(problems)") == [
        ("nothing", "Unknown", 0),
        ("shop", "Unknown", 1),
    ]


def test_left_alone_and_ignored_fields_are_no_drift(tmp_path):
    shop = Shop(tmp_path, ignore_differences=[{"kind": "Deployment", "jsonPointers": ["/metadata/labels/ignored"]}])
    target = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}}
    hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": target,
    }
    wanted = scaled(2)
    wanted["metadata"]["labels"]["ignored"] = "a"
    live = there(9)
    shop.commit(wanted, hpa)
    shop.snapshot(3, live, {**hpa, "metadata": {"name": "web", "namespace": "shop"}})
    shop.run()
    assert shop.rows("drift", "status, path, reason") == [
        ("left_alone", "spec.replicas", "HorizontalPodAutoscaler web sets it")
    ]
    assert shop.rows("sync_status", "sync_status, drift_count, left_alone") == [("Synced", 0, 1)]
    assert shop.rows("drift_episodes", "*") == [] and shop.rows("remediation_plans", "*") == []


def test_plans_are_ordered_and_their_dry_run_says_what_remains(tmp_path):
    shop = Shop(tmp_path, sync_policy={"auto_sync": True, "auto_remediate": True})
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old", "namespace": "shop"}}
    shop.commit(scaled(2), space)
    shop.snapshot(3, there(5), deepcopy(config))
    shop.run()
    plans = shop.rows("remediation_plans", "step, key, action, patch_type, patch, dry_run, decision, reason")
    assert [(step, key, action, kind, dry, decision) for step, key, action, kind, _, dry, decision, _ in plans] == [
        (1, "core/Namespace/-/shop", "create", "none", "nothing remains", "auto"),
        (2, "apps/Deployment/shop/web", "patch", "strategic", "nothing remains", "auto"),
        (3, "core/ConfigMap/shop/old", "delete", "none", "nothing remains", "manual"),
    ]
    assert json.loads(plans[1][4]) == {"spec": {"replicas": 2}}
    assert "prune is off" in plans[2][7]
    assert shop.rows("sync_status", "health, missing, extra, modified") == [("Missing", 1, 1, 1)]
