"""The Python API of the domain: telling of measurements, and what was made of them.

Belongs here: one method for each thing that a user does, in the words of the API. Does not: how it is done (the
`service_*` modules), or what a run computes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from cogniforge_pipeline.aiops import feedback, service_incidents, service_status
from cogniforge_pipeline.aiops.collect import Collector
from cogniforge_pipeline.aiops.expectations import EXPECTATION_KIND, Expectation
from cogniforge_pipeline.aiops.forecast_service import Futures, LoadForecast, ServiceCapacityPlan
from cogniforge_pipeline.aiops.healing.model import PLAYBOOK_KIND
from cogniforge_pipeline.aiops.model import TOPOLOGY_KIND
from cogniforge_pipeline.aiops.planning_model import CAPACITY_KIND, FORECASTING_KIND
from cogniforge_pipeline.aiops.service_types import Anomaly, HealingDecision, Incident, RootCause
from cogniforge_pipeline.aiops.telemetry import MetricType, TelemetryData
from cogniforge_pipeline.services import Service, shared
from cogniforge_pipeline.settings import Settings


class AIOpsService(Service):
    """Works on one home. Whatever a method writes is on disk when it returns; threads and processes may share a home.

    What it gives back are decisions of the newest run, as the tables of the lake hold them; a run reads what was told
    since. Every method raises LakeError where the lake cannot be read or written, and CogniforgeError for what it is
    given.
    """

    kinds = (TOPOLOGY_KIND, EXPECTATION_KIND, PLAYBOOK_KIND, FORECASTING_KIND, CAPACITY_KIND)

    @cached_property
    def _collector(self) -> Collector:
        return Collector(self.home.settings.landing)

    @cached_property
    def _futures(self) -> Futures:
        return Futures(self.home)

    def collect_telemetry(self, telemetry: TelemetryData | Iterable[TelemetryData]) -> None:
        """Keeps one measurement or many; the next run ingests each exactly once.

        They are durable when this returns, as lines of a file in `landing/collected`. Many at once are much faster than one
        by one (20,000 take half a second, one takes some milliseconds). All are looked at before any is kept. Raises
        TelemetryRefused for one that is not valid, and CogniforgeError when the disk does not take them; telling the
        same again does no harm, for a point that a series has already is set aside.
        """
        self._collector.append([telemetry] if isinstance(telemetry, TelemetryData) else list(telemetry))

    def forecast_load(
        self, service_name: str, metric_type: MetricType | str, hours_ahead: int = 24, *, as_of: datetime | None = None
    ) -> LoadForecast:
        """The load expected `hours_ahead` (1 to 72) of the newest telemetry, with 95 % bounds, and all hours until then.

        Counters and deltas are given for each second, in their unit. Raises CogniforgeError where the service has no
        such series, or none that goes back far enough.
        """
        return self._futures.forecast_load(service_name, metric_type, hours_ahead, as_of=as_of)

    def generate_capacity_plan(
        self, service_name: str, forecast_horizon_hours: int = 72, *, as_of: datetime | None = None
    ) -> ServiceCapacityPlan:
        """The units that a service has and needs over so many hours, by its bottleneck, and why.

        Raises CogniforgeError where nothing of the service has a limit.
        """
        return self._futures.generate_capacity_plan(service_name, forecast_horizon_hours, as_of=as_of)

    def get_service_health(self, service_name: str) -> dict[str, Any]:
        """How a service was at the newest run: health_status (healthy, degraded, critical or unknown), active_anomalies (how
        many there are), anomaly_ids of these, the worst first, reason, as_of, and the other columns of `aiops.service_health`.
        """
        with self.home.lake.explained():
            return service_status.service_health(self.home.lake.cursor(), service_name)

    def get_active_anomalies(self, service_name: str | None = None) -> tuple[Anomaly, ...]:
        """The anomalies that go on, or ended within 45 minutes before the newest run, the worst first; of one service or of
        all. Those without weight (severity info, in no incident) are left out.
        """
        with self.home.lake.explained():
            return service_incidents.active_anomalies(self.home.lake.cursor(), service_name)

    def analyze_root_cause(self, anomaly_id: str) -> tuple[RootCause, ...]:
        """The services that may have caused the anomaly's incident, best first, each with its evidence.

        Empty for an anomaly that belongs to no incident, such as one that was expected.
        """
        with self.home.lake.explained():
            return service_incidents.causes_of_anomaly(self.home.lake.cursor(), anomaly_id)

    def get_incidents(self, *, since: datetime | None = None, open_only: bool = False) -> tuple[Incident, ...]:
        """Incidents with their causes and healing decisions, the newest first; those that began or went on since `since`."""
        with self.home.lake.explained():
            return service_incidents.get_incidents(self.home.lake.cursor(), since=since, open_only=open_only)

    def get_healing_decisions(self, incident_id: str | None = None) -> tuple[HealingDecision, ...]:
        """What playbooks decided, in order of time; for one incident or all."""
        with self.home.lake.explained():
            wanted = None if incident_id is None else [incident_id]
            return service_incidents.healing_decisions(self.home.lake.cursor(), wanted)

    def mark_expected(self, anomaly_id: str, reason: str) -> Expectation:
        """Says that one anomaly was as it should be: from the next run on it is in no incident. Kept as a declaration.

        Raises CogniforgeError for an unknown anomaly.
        """
        return feedback.mark_expected(self.home, anomaly_id, reason)

    def add_maintenance(
        self,
        start: datetime,
        end: datetime,
        reason: str,
        *,
        services: Sequence[str] = (),
        metrics: Sequence[str] = (),
        name: str | None = None,
    ) -> Expectation:
        """Plans work from `start` to `end`: what begins then is maintenance and no incident. Kept as a declaration.

        Without `services` or `metrics` it is about all; the same `name` again changes it. Raises CogniforgeError for
        times without a zone and for an end that is not after the start.
        """
        return feedback.plan_maintenance(self.home, start, end, reason, services=services, metrics=metrics, name=name)

    def approve_healing(
        self, incident_id: str, playbook: str, *, who: str, why: str, at: datetime | None = None
    ) -> None:
        """Agrees to the action that a playbook asks for in an incident; the next run decides with it.

        `at` is when (now), in telemetry's time where a home holds data of the past.
        """
        service_incidents.approve(self.home, incident_id, playbook, who, why, at)

    def get_aiops_metrics(self) -> dict[str, Any]:
        """Figures of all services as of the newest run; anomalies are the rows of `aiops.anomalies`.

        total_anomalies, active_anomalies (open), resolved_anomalies, expected_anomalies (with maintenance), resolution_rate
        (resolved of those that are not expected, 1 where there is none), mean_minutes_to_resolution (None without any),
        total_incidents, open_incidents, healing_actions, healing_precision (share of judged actions that helped, None
        without any), playbooks (the same for each), services_by_status, services, series, telemetry_points.
        """
        with self.home.lake.explained():
            return service_status.aiops_metrics(self.home.lake.cursor())


def get_aiops_service(settings: Settings | None = None) -> AIOpsService:
    """This process's service for these settings, by default for the home that COGNIFORGE_HOME names; made if absent."""
    return shared(AIOpsService, settings)
