"""What the Python API gives back: anomalies, incidents, their causes, and healing decisions.

Belongs here: these types, and their way from rows of the lake. Does not: what users give (`telemetry.py`), reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self


class FromRow:
    """A type whose fields are columns of a table; arrays become tuples."""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The value of a row; columns that are no fields are left out."""
        names = [item.name for item in fields(cls)]  # type: ignore[arg-type]
        return cls(**{name: tuple(row[name]) if isinstance(row[name], list) else row[name] for name in names})


@dataclass(frozen=True)
class Anomaly(FromRow):
    """A row of `aiops.anomalies`: one episode of one series.

    `direction` is up, down or none; `status` open, closed, expected or maintenance. `peak_score` is in alert lines,
    `value` and `expected` are those at the peak in the series' unit. Times are in UTC; `ended_at` is None while it goes on.
    """

    anomaly_id: str
    service: str
    metric: str
    kind: str
    direction: str
    severity: str
    status: str
    started_at: datetime
    ended_at: datetime | None
    peak_at: datetime
    peak_score: float
    value: float | None
    expected: float | None
    incident_id: str | None
    reason: str

    def __str__(self) -> str:
        return f"{self.service} {self.metric}: {self.kind}, {self.severity}, {self.status} ({self.reason})"


@dataclass(frozen=True)
class RootCause(FromRow):
    """A row of `aiops.root_causes`: a service that may have caused an incident, and the evidence.

    `score` is 0 to 1 and comparable within an incident; it `explains` so many of the `symptoms` that were looked at best.
    `unusual` is in alert lines at `metric`; `path` are the calls from the service with the symptom to this one.
    `lead_minutes` is positive when it changed first. `graph` says whether edges are declared or learnt. What is None
    could not be judged.
    """

    incident_id: str
    rank: int
    service: str
    metric: str | None
    score: float
    explains: int
    symptoms: int
    unusual: float | None
    reaches_target: bool
    path: tuple[str, ...]
    share_explained: float | None
    own_share: float | None
    correlation: float | None
    lead_minutes: float | None
    changes: tuple[str, ...]
    target_service: str
    target_metric: str
    graph: str
    notes: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"{self.rank}. {self.service} ({self.score:.2f}): {self.reason}"


@dataclass(frozen=True)
class HealingDecision(FromRow):
    """A row of `aiops.healing_decisions`: what a playbook said to an incident, and what came of it.

    `state` is act, await_approval, blocked or superseded. `outcome` is None unless it is act; cleared means that the
    symptom ended by `verify_by` and did not come back by then. `precision` is the share of the playbook's `judged`
    earlier actions that helped.
    """

    incident_id: str
    playbook: str
    decided_at: datetime
    state: str
    action: str
    target: str
    service: str
    metric: str
    reasons: tuple[str, ...]
    against: tuple[str, ...]
    verify_by: datetime
    precision: float | None
    judged: int
    outcome: str | None
    outcome_reason: str | None

    def __str__(self) -> str:
        because = "; ".join(self.against or self.reasons)
        came = f", {self.outcome}" if self.outcome else ""
        return f"{self.playbook}: {self.state} {self.action} on {self.target}{came} ({because})"


@dataclass(frozen=True)
class Incident:
    """A row of `aiops.incidents` with its causes, best first, and what playbooks decided, in order of time."""

    incident_id: str
    title: str
    severity: str
    status: str
    started_at: datetime
    ended_at: datetime | None
    services: tuple[str, ...]
    kinds: tuple[str, ...]
    causes: tuple[RootCause, ...] = ()
    decisions: tuple[HealingDecision, ...] = ()
