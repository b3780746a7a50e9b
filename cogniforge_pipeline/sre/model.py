"""The plain types of the Python API: an objective, a measurement, how a release is rolled out.

Belongs here: these types and their way to OpenSLO and to an Objective. Does not: storing them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.sre.objectives import Objective, exact
from cogniforge_pipeline.sre.resolve import resolve_documents

PERCENT_TYPES = frozenset({"availability", "success_rate", "quality", "correctness", "coverage", "durability"})
"""SLI types whose measured value is a percentage of good; of all others the measurements that comply count as good."""


class DeploymentStrategy(StrEnum):
    """How a new version replaces the old one."""

    CANARY = "canary"
    BLUE_GREEN = "blue_green"
    ROLLING = "rolling"
    RECREATE = "recreate"


@dataclass(frozen=True)
class SLO:
    """A service level objective over a rolling window of days; `target_percentage` such as 99.9 is below 100.

    Its measurements come by `record_sli`. Raises CogniforgeError for values that make no objective.
    """

    slo_id: str
    service_name: str
    name: str
    description: str = ""
    target_percentage: float = 99.9
    measurement_window_days: int = 30
    sli_type: str = "availability"

    def __post_init__(self) -> None:
        if not 0 <= self.target_percentage < 100:
            raise CogniforgeError(
                f"SLO {self.slo_id!r}: expected a target percentage from 0 to below 100, got {self.target_percentage}",
                "a target of 100 leaves no error budget; 99.9 is common",
            )
        if self.measurement_window_days < 1:
            raise CogniforgeError(
                f"SLO {self.slo_id!r}: expected a window of at least a day, got {self.measurement_window_days}",
                "30 days is common",
            )

    def to_openslo(self) -> dict[str, Any]:
        """The OpenSLO v1 document that says the same."""
        measure = "percent" if self.sli_type in PERCENT_TYPES else "compliance"
        source = {"type": "recorded", "spec": {"measure": measure}}
        spec: dict[str, Any] = {
            "service": self.service_name,
            "indicator": {
                "metadata": {"name": self.slo_id, "labels": {"sli_type": self.sli_type}},
                "spec": {"ratioMetric": {"raw": {"metricSource": source}, "rawType": "success"}},
            },
            "timeWindow": [{"duration": f"{self.measurement_window_days}d", "isRolling": True}],
            "budgetingMethod": "Occurrences",
            "objectives": [{"targetPercent": self.target_percentage}],
        }
        if self.description:
            spec["description"] = self.description
        metadata = {"name": self.slo_id, "displayName": self.name or self.slo_id}
        return {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": metadata, "spec": spec}

    def to_objective(self) -> Objective:
        """Its normal form. Raises DeclarationsInvalid when a name is not valid in OpenSLO."""
        (objective,) = resolve_documents([self.to_openslo()])
        return objective


@dataclass(frozen=True)
class SLI:
    """One measurement for an SLO: `measured_value` beside the `target_value` it had, and whether it complied."""

    sli_id: str
    slo_id: str
    measured_value: float
    target_value: float
    compliant: bool
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        if self.timestamp.tzinfo is None:
            raise CogniforgeError(
                f"SLI {self.sli_id!r}: expected a time with a time zone, got {self.timestamp}",
                "use datetime.now(UTC)",
            )

    def good(self, percent: bool) -> float:
        """The share of one event that was good: the percentage it measured, or 1 or 0 by its compliance.

        Raises CogniforgeError for a percentage outside 0 to 100.
        """
        if not percent:
            return float(self.compliant)
        if not 0 <= self.measured_value <= 100:
            raise CogniforgeError(
                f"SLI {self.sli_id!r}: expected a percentage from 0 to 100, got {self.measured_value}",
                f"percentages are measured for SLI types {', '.join(sorted(PERCENT_TYPES))}",
            )
        return float(exact(self.measured_value) / 100)
