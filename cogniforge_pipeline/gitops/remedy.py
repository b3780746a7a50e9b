"""Repairs of a home's applications: making the plan of now, doing it, and writing down what came of it.

Belongs here: what the Python API and a run share. Does not: deciding (`remediation.py`), kubectl (`executor.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cogniforge_pipeline import written
from cogniforge_pipeline.gitops import tables
from cogniforge_pipeline.gitops.canonical import ResourceKey
from cogniforge_pipeline.gitops.executor import execute
from cogniforge_pipeline.gitops.git import GitFailed, head_of, open_repository, read_commit
from cogniforge_pipeline.gitops.model import Application
from cogniforge_pipeline.gitops.remediation import AUTO
from cogniforge_pipeline.gitops.service_types import Outcome
from cogniforge_pipeline.home import Home

RUN_ID = "remedy"


def plan_of(home: Home, application: Application) -> list[dict[str, Any]]:
    """The steps of now, of the states that were read last, as rows of `gitops.remediation_plans`."""
    cursor = home.lake.cursor()
    with home.lake.explained():
        lasting = [one for one in tables.replayed(cursor, application) if one.ended_at is None]
        return tables.plan_rows(cursor, application, {(str(one.key), one.path): one.cause for one in lasting})


def remediate_allowed(home: Home) -> list[Outcome]:
    """Does what the applications allow to be done without asking, on the states that were read last.

    An application whose repository cannot be read is left for the next time.
    """
    with home.lake.explained():
        applications = tables.applications_of(home.lake.cursor())
    found = []
    for application in applications:
        policy = application.sync_policy
        if (
            application.live is None
            or application.live.context is None
            or not (policy.auto_sync or policy.auto_remediate)
        ):
            continue
        plan = [step for step in plan_of(home, application) if step["decision"] == AUTO]
        try:
            found += remediate(home, application, plan, dry_run=False)
        except GitFailed:
            continue
    return found


def remediate(
    home: Home, application: Application, plan: list[dict[str, Any]], *, dry_run: bool, every: bool = False
) -> list[Outcome]:
    """Does the steps of a plan, and writes down what came of each."""
    assert application.live is not None
    wanted = _manifests(home, application, plan[0]["commit"]) if plan else {}
    found = []
    for step in plan:
        if step["decision"] != AUTO and not every:
            found.append(Outcome(step["key"], step["action"], False, False, f"{step['decision']}: {step['reason']}"))
            continue
        succeeded, message = execute(
            application.live, step, wanted.get(ResourceKey.of_text(step["key"])), dry_run=dry_run
        )
        found.append(Outcome(step["key"], step["action"], True, succeeded, message))
        if not dry_run:
            row = {
                "app_id": application.app_id,
                "key": step["key"],
                "attempted_at": datetime.now(UTC),
                "commit": step["commit"],
                "action": step["action"],
                "succeeded": succeeded,
                "message": message[:2000],
            }
            written.append(home, tables.ATTEMPTS, [row], run_id=RUN_ID)
    return found


def _manifests(home: Home, application: Application, commit: str) -> Mapping[ResourceKey, Mapping[str, Any]]:
    """The resources of a commit as git has them, values of Secrets included."""
    try:
        repository = open_repository(
            application.repository, home.settings.home, home.settings.state / "git", fetch=False
        )
        manifests, _ = read_commit(repository, head_of(repository, commit, None), application.path)
    except GitFailed as error:
        raise GitFailed(f"commit {commit} of {application.app_id} cannot be read: {error.message}") from None
    return {one.key(application.destination.namespace or ""): one.body for one in manifests}
