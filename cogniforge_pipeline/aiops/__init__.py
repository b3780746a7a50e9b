"""AIOps: telemetry, what is anomalous in it and why, what is to be done, and how healthy each service is.

Belongs here: the public names, each loaded when it is first asked for, so that the import stays light. Does not: code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cogniforge_pipeline.lazy import exports

if TYPE_CHECKING:
    from cogniforge_pipeline.aiops.expectations import Expectation
    from cogniforge_pipeline.aiops.forecast_service import LoadForecast, LoadPoint, ServiceCapacityPlan
    from cogniforge_pipeline.aiops.service import AIOpsService, get_aiops_service
    from cogniforge_pipeline.aiops.service_types import Anomaly, HealingDecision, Incident, RootCause
    from cogniforge_pipeline.aiops.telemetry import MetricType, TelemetryData, TelemetryRefused

__all__ = [
    "AIOpsService",
    "Anomaly",
    "Expectation",
    "HealingDecision",
    "Incident",
    "LoadForecast",
    "LoadPoint",
    "MetricType",
    "RootCause",
    "ServiceCapacityPlan",
    "TelemetryData",
    "TelemetryRefused",
    "get_aiops_service",
]

__getattr__, __dir__ = exports(
    __name__,
    {
        "expectations": ("Expectation",),
        "forecast_service": ("LoadForecast", "LoadPoint", "ServiceCapacityPlan"),
        "service": ("AIOpsService", "get_aiops_service"),
        "service_types": ("Anomaly", "HealingDecision", "Incident", "RootCause"),
        "telemetry": ("MetricType", "TelemetryData", "TelemetryRefused"),
    },
)
