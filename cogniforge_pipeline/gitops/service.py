"""The Python API of the domain: applications, their sync status and drift, repairs, and policies.

Belongs here: one method for each thing that a user does, in the words of the API. Does not: how it is done, or what a
run computes from it. Policies and admission are `policy_service.py`'s.
"""

from __future__ import annotations

from typing import Any

from cogniforge_pipeline.declarations import DeclarationsInvalid, declare
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.gitops import tables
from cogniforge_pipeline.gitops.diff import SYNCED
from cogniforge_pipeline.gitops.model import APPLICATION_KIND, Application
from cogniforge_pipeline.gitops.policy_service import PolicyService
from cogniforge_pipeline.gitops.reading import read_applications
from cogniforge_pipeline.gitops.remedy import plan_of, remediate
from cogniforge_pipeline.gitops.service_types import Drift, DriftedField, GitOpsApp, Outcome
from cogniforge_pipeline.registry import record
from cogniforge_pipeline.services import shared
from cogniforge_pipeline.settings import Settings

RUN_ID = "api"


class GitOpsService(PolicyService):
    """Works on one home. Whatever a method writes is on disk when it returns; threads and processes may share a home.

    Every method raises LakeError where the lake cannot be read or written, and CogniforgeError for what it is given.
    """

    kinds = (APPLICATION_KIND, *PolicyService.kinds)
    domain = "gitops"

    def register_application(self, app: GitOpsApp) -> GitOpsApp:
        """Declares an application, or the next version of it; nothing is read from its repository yet.

        Raises DeclarationsInvalid for an address that could run a command, and where a file declares the same.
        """
        changes, _ = record(self.home, [declare(APPLICATION_KIND, app.to_declaration())], run_id=RUN_ID)
        if changes.problems:
            raise DeclarationsInvalid(changes.problems)
        return app

    def get_sync_status(self, app_id: str) -> dict[str, Any]:
        """Reads what is new, and says how the application stands: `sync_status` is Synced, OutOfSync or Unknown,
        `drift_count` the resources that drifted; the rest is as in `gitops.sync_status`.

        What cannot be read is among `problems`. Raises CogniforgeError for an application that is not declared.
        """
        application = self._application(app_id)
        problems = [text for text in read_applications(self.home, RUN_ID).problems if text.startswith(f"{app_id}")]
        cursor = self.home.lake.cursor()
        with self.home.lake.explained():
            since = [one.started_at for one in tables.replayed(cursor, application) if one.ended_at is None]
            status = tables.status_row(cursor, application, since)
        status["problems"] = list(dict.fromkeys([*status["problems"], *problems]))
        return status

    def detect_drift(self, app_id: str) -> list[Drift]:
        """Reads what is new, and gives the resources that drifted, in order of key, each with its fields.

        Raises CogniforgeError for an application that is not declared.
        """
        application = self._application(app_id)
        read_applications(self.home, RUN_ID)
        cursor = self.home.lake.cursor()
        with self.home.lake.explained():
            lasting = [one for one in tables.replayed(cursor, application) if one.ended_at is None]
            since = {(one.key, one.path): one.started_at for one in lasting}
            found = tables.current_drift(cursor, application)
        drifted = []
        for one in found:
            if one.status == SYNCED:
                continue
            fields = [field.to_dict() for field in one.fields]
            told = tuple(
                DriftedField(**field, owner=one.owners.get(field["path"]), since=since.get((one.key, field["path"])))
                for field in fields
            )
            drifted.append(Drift(app_id, str(one.key), one.key.kind, one.key.name, one.key.namespace, one.status, told))
        return drifted

    def plan_remediation(self, app_id: str) -> list[dict[str, Any]]:
        """Reads what is new, and gives the steps that bring the application back, as `gitops.remediation_plans` has them."""
        application = self._application(app_id)
        read_applications(self.home, RUN_ID)
        return plan_of(self.home, application)

    def remediate(self, app_id: str, *, dry_run: bool = True, every: bool = False) -> list[Outcome]:
        """Does the steps of the plan that may be done without asking, or with `every` all of them, in their order.

        With `dry_run` the server only says what it would do, and nothing is written down. A step that fails does not stop
        the others. Raises CogniforgeError for an application that is not declared, or has no cluster to speak to.
        """
        application = self._application(app_id)
        if application.live is None or application.live.context is None:
            raise CogniforgeError(
                f"{app_id} has no cluster that could be changed: its live state is read from files",
                "give live: {context: …} in its declaration; the plan is in gitops.remediation_plans",
            )
        return remediate(self.home, application, self.plan_remediation(app_id), dry_run=dry_run, every=every)

    def get_gitops_metrics(self) -> dict[str, Any]:
        """Figures of the whole home, of what was read and judged last."""
        cursor = self.home.lake.cursor()
        with self.home.lake.explained():
            applications = tables.applications_of(cursor)
            statuses = [tables.status_row(cursor, one, ()) for one in applications]
            counts = {
                name: cursor.execute(query).fetchone()
                for name, query in {
                    "violations": "SELECT count(*) FROM gitops.policy_violations",
                    "decisions": "SELECT count(*), count(*) FILTER (decision = 'deny') FROM gitops.admission_decisions",
                    "repairs": f"SELECT avg(seconds_to_repair), count(*) FROM {tables.EPISODES}",
                }.items()
            }
        by_status = {
            name: sum(one["sync_status"] == name for one in statuses) for name in ("Synced", "OutOfSync", "Unknown")
        }
        violations, decisions, repairs = (
            counts[name] or (None, None) for name in ("violations", "decisions", "repairs")
        )
        return {
            "total_applications": len(applications),
            "synced_applications": by_status["Synced"],
            "out_of_sync_applications": by_status["OutOfSync"],
            "unknown_applications": by_status["Unknown"],
            "total_drift": sum(one["drift_count"] for one in statuses),
            "total_policies": len(self.list_policies()),
            "total_violations": violations[0] or 0,
            "admission_decisions": decisions[0] or 0,
            "admission_denied": decisions[1] or 0,
            "drift_episodes": repairs[1] or 0,
            "mean_seconds_to_repair": repairs[0],
        }

    def _application(self, app_id: str) -> Application:
        with self.home.lake.explained():
            known = {one.app_id: one for one in tables.applications_of(self.home.lake.cursor())}
        if app_id not in known:
            raise CogniforgeError(
                f"there is no application {app_id!r}", f"applications: {', '.join(sorted(known)) or 'none'}"
            )
        return known[app_id]


def get_gitops_service(settings: Settings | None = None) -> GitOpsService:
    """The service of a home, by default of the one that COGNIFORGE_HOME names."""
    return shared(GitOpsService, settings)
