"""What a whole run tells of an application: drift found, its events and figures, and that it rests without news."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from cogniforge_pipeline.cli import app
from cogniforge_pipeline.gitops.reading import read_applications
from cogniforge_pipeline.increments import Request, stale_decisions
from tests.pipeline.conftest import Works
from tests.support.gitops import Repository, deployment, on_server


def test_a_run_reads_applications_and_rests_when_nothing_is_new(works: Works, tmp_path) -> None:
    home = works.home
    repository = Repository(tmp_path / "r.git")
    repository.write("k8s/web.yaml", deployment())
    repository.write("k8s/bad.yaml", "a: b: c")
    repository.commit()
    folder = home.settings.platform / "applications"
    folder.mkdir(parents=True)
    declared = f"app_id: shop\nrepository: {repository.path}\npath: k8s\ndestination: {{namespace: shop}}\n"
    (folder / "shop.yaml").write_text(declared + "live: {files: live.json}\n")
    live = deployment()
    live["spec"]["replicas"] = 5
    live["metadata"]["namespace"] = "shop"
    (home.settings.home / "live.json").write_text(json.dumps(on_server(live, deployment())))

    report = works.run()
    cursor = home.lake.cursor()
    assert cursor.execute("SELECT path, desired, live FROM gitops.drift").fetchall() == [("spec.replicas", "2", "5")]
    assert cursor.execute("SELECT action, decision FROM gitops.remediation_plans").fetchall() == [("patch", "manual")]
    (told,) = home.events.read(types=["gitops.drift.found"])
    assert told.data["fields"] == ["spec.replicas"] and told.subject == "shop"
    assert ("gitops/snapshots", "applications_readable") in {(table, check) for table, check, _ in report.failed_checks}
    stale = stale_decisions(home, Request("again", as_of=home.as_of()))
    assert not [name for name in stale if name.startswith("gitops.")]
    assert read_applications(home, "again").publications == []

    shown = CliRunner().invoke(app, ["app", "status", "shop", "--home", str(home.settings.home)])
    assert shown.exit_code == 1 and "OutOfSync" in shown.output and "bad.yaml:1" in shown.output
    differs = CliRunner().invoke(app, ["app", "diff", "shop", "--json", "--home", str(home.settings.home)])
    assert json.loads(differs.stdout)[0]["fields"][0]["path"] == "spec.replicas"
