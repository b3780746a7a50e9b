"""The Python API of the domain: objectives, measurements, deployments, canaries and whether a service may deploy.

Belongs here: one method for each thing that a user does, in the words of the API. Does not: how it is done (the
`service_*` modules), or what a run computes from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cogniforge_pipeline import written
from cogniforge_pipeline.declarations import DeclarationsInvalid, declare
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.registry import declared, record
from cogniforge_pipeline.services import Service, shared
from cogniforge_pipeline.settings import Settings
from cogniforge_pipeline.sre import service_canaries, service_deployments, service_status
from cogniforge_pipeline.sre.canary_evidence import Criterion
from cogniforge_pipeline.sre.model import SLI, SLO, DeploymentStrategy
from cogniforge_pipeline.sre.objectives import Objective, RecordedRows
from cogniforge_pipeline.sre.openslo import OPENSLO_KIND
from cogniforge_pipeline.sre.resolve import resolve
from cogniforge_pipeline.sre.service_types import Canary, Deployment, DeploymentRisk

RUN_ID = "api"


class SREService(Service):
    """Works on one home. Whatever a method writes is on disk when it returns; threads and processes may share a home.

    Every method raises LakeError where the lake cannot be read or written, and CogniforgeError for what it is given.
    """

    kinds = (OPENSLO_KIND,)

    def create_slo(self, slo: SLO) -> SLO:
        """Declares an objective, or the next version of it; unchanged, it stays as it is.

        Raises DeclarationsInvalid for names that OpenSLO does not allow, and where a file declares the same SLO.
        """
        slo.to_objective()
        changes, _ = record(self.home, [declare(OPENSLO_KIND, slo.to_openslo())], run_id=RUN_ID)
        if changes.problems:
            raise DeclarationsInvalid(changes.problems)
        return slo

    def record_sli(self, *measurements: SLI) -> None:
        """Writes measurements for SLOs that count recorded ones, all or none; several at once are much faster.

        Raises CogniforgeError for an unknown SLO, one that is measured by telemetry, a percentage outside 0 to 100,
        and a measurement that was recorded before.
        """
        with self.home.lake.explained():
            cursor = self.home.lake.cursor()
            objectives = {o.slo_name: o for o in resolve(declared(cursor, OPENSLO_KIND)).objectives}
        for sli in measurements:
            sli.good(_recorded(objectives, sli).measure == "percent")
        rows = [
            {
                "sli_id": sli.sli_id,
                "ts": sli.timestamp,
                "slo_id": sli.slo_id,
                "measured_value": sli.measured_value,
                "target_value": sli.target_value,
                "compliant": sli.compliant,
            }
            for sli in measurements
        ]
        written.append(self.home, service_status.RECORDS, rows, run_id=RUN_ID)

    def record_deployment(
        self,
        service_name: str,
        strategy: DeploymentStrategy | str | None = None,
        *,
        deployment_id: str | None = None,
        version: str | None = None,
        status: str | None = None,
        started_at: datetime | None = None,
        finished_at: datetime | None = None,
        lines_changed: int | None = None,
        files_changed: int | None = None,
        change_type: str | None = None,
        author: str | None = None,
        description: str | None = None,
        override_by: str | None = None,
        override_reason: str | None = None,
    ) -> Deployment:
        """Tells of a deployment, or more of a known one: what is not given then stays as it was.

        A new one is rolling, normal and in progress since now, unless told otherwise; a planned one has not started.
        """
        given = {
            "service": service_name,
            "strategy": strategy,
            "version": version,
            "status": status,
            "started_at": started_at,
            "finished_at": finished_at,
            "lines_changed": lines_changed,
            "files_changed": files_changed,
            "change_type": change_type,
            "author": author,
            "description": description,
            "override_by": override_by,
            "override_reason": override_reason,
        }
        return service_deployments.record_deployment(self.home, deployment_id, given)

    def finish_deployment(
        self, deployment_id: str, status: str = "succeeded", *, finished_at: datetime | None = None
    ) -> Deployment:
        """Tells how a deployment ended: succeeded, failed or rolled_back. Failure rates and risk learn from it."""
        return service_deployments.finish_deployment(self.home, deployment_id, status, finished_at)

    def assess_deployment_risk(
        self,
        deployment_id: str,
        service_name: str,
        strategy: DeploymentStrategy | str | None = None,
        *,
        lines_changed: int | None = None,
        files_changed: int | None = None,
        at: datetime | None = None,
    ) -> DeploymentRisk:
        """The probability that a deployment fails, why, and what is advised; written to `sre.deployment_risk`.

        Features are those known at `at`: by default the start of a recorded deployment, else now. Size and strategy
        come from the recorded deployment where they are not given. The model is learnt from assessments and outcomes
        that the lake held then, or is the prior; `basis` says which.
        """
        planned = None if strategy is None else _strategy(strategy)
        return service_deployments.assess_deployment_risk(
            self.home, deployment_id, service_name, planned, lines_changed, files_changed, at
        )

    def start_canary_deployment(
        self,
        service_name: str,
        canary_percentage: float,
        duration_minutes: float,
        success_criteria: Mapping[str, float | Criterion | Mapping[str, Any]],
        *,
        deployment_id: str | None = None,
        started_at: datetime | None = None,
    ) -> Canary:
        """Begins to watch a canary. A bare number as criterion is an upper limit; `Criterion` says everything else."""
        return service_canaries.start_canary(
            self.home,
            service_name,
            canary_percentage,
            duration_minutes,
            success_criteria,
            deployment_id,
            started_at,
        )

    def update_canary_metrics(
        self, deployment_id: str, metrics: Mapping[str, Any], *, at: datetime | None = None
    ) -> Canary:
        """Adds what was measured since the look before, up to `at` (now), and gives the verdict on all looks.

        Values are bare numbers, `Counts` or `Means`, or mappings of their fields; None and NaN are no data.
        """
        return service_canaries.update_canary(self.home, deployment_id, metrics, at)

    def get_canary_status(self, deployment_id: str, *, at: datetime | None = None) -> Canary:
        """The verdict at `at` (now) without a new look: silence and the end of the canary count, too."""
        return service_canaries.judge(self.home, deployment_id, at)

    def get_service_sre_status(self, service_name: str) -> dict[str, Any]:
        """Whether a service may deploy now, and why: deployment_allowed, reasons, slos, budgets, alerts, gate, as_of.

        The newest run's release gate decides, with the overrides that are in force now. Where measurements were recorded
        since then, or there was no run, the same policy decides on them at once. Where nothing is known of a budget,
        the deployment is allowed and the reason says so.
        """
        return service_status.service_status(self.home, service_name)


def get_sre_service(settings: Settings | None = None) -> SREService:
    """This process's service for these settings, by default for the home that COGNIFORGE_HOME names; made if absent."""
    return shared(SREService, settings)


def _recorded(objectives: Mapping[str, Objective], sli: SLI) -> RecordedRows:
    objective = objectives.get(sli.slo_id)
    if objective is None:
        raise CogniforgeError(f"there is no SLO {sli.slo_id!r}", "create it first with create_slo")
    if not isinstance(objective.source, RecordedRows):
        raise CogniforgeError(
            f"SLO {sli.slo_id!r} is not measured by recorded measurements",
            "record for an SLO that create_slo made, or whose metricSource has type recorded",
        )
    return objective.source


def _strategy(text: str) -> DeploymentStrategy:
    try:
        return DeploymentStrategy(text)
    except ValueError:
        names = ", ".join(DeploymentStrategy)
        raise CogniforgeError(f"strategy: expected one of {names}, got {text!r}") from None
