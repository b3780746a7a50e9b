"""Deployments as they are told of, and the risk of one from what was known before it.

Belongs here: writing `sre.deployments` and `sre.deployment_risk`, and the features that the lake holds. Does not: the
model (`risk.py`), whether a deployment is allowed (`service_status.py`).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cogniforge_pipeline import written
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.sre.model import DeploymentStrategy
from cogniforge_pipeline.sre.risk import RiskModel, fit_risk, off_hours
from cogniforge_pipeline.sre.service_status import budgets_of
from cogniforge_pipeline.sre.service_types import (
    CHANGE_TYPES,
    FINISHED,
    STATUSES,
    Deployment,
    DeploymentRisk,
    named,
)

DEPLOYMENTS, RISK, HEALTH = "sre.deployments", "sre.deployment_risk", "aiops.service_health"
RUN_ID = "api"

RECENT = 20
"""So many of a service's latest finished deployments say how often it fails."""

_LEARNT_FROM = ("lines_changed", "files_changed", "recent_failure_rate", "budget_remaining", "active_anomalies")
_FAILED = "status IN ('failed', 'rolled_back')"
_FINISHED = f"status IN ({', '.join(map(literal, FINISHED))})"


def record_deployment(home: Home, deployment_id: str | None, given: Mapping[str, Any]) -> Deployment:
    """Writes a deployment; of one that is known, what is not given (None) stays as it was recorded."""
    told = {name: value for name, value in given.items() if value is not None}
    for name, choices in (("status", STATUSES), ("change_type", CHANGE_TYPES), ("strategy", list(DeploymentStrategy))):
        _one_of(name, told.get(name), choices)
    if "strategy" in told:
        told["strategy"] = DeploymentStrategy(told["strategy"])
    deployment_id = deployment_id or f"deploy-{uuid.uuid4()}"
    made: list[Deployment] = []

    def rows(cursor: Connection) -> list[dict[str, Any]]:
        old = find_deployment(cursor, deployment_id)
        if old is None:
            defaults = {"strategy": DeploymentStrategy.ROLLING, "status": "in_progress"}
            new = Deployment(**{"deployment_id": deployment_id, **defaults, **told})
        else:
            _same_service(old, str(told["service"]))
            new = replace(old, **told)
        if new.status != "planned" and new.started_at is None:
            new = replace(new, started_at=datetime.now(UTC))
        made[:] = [new]
        return [new.to_row()]

    written.update(home, DEPLOYMENTS, rows, run_id=RUN_ID)
    return made[0]


def finish_deployment(home: Home, deployment_id: str, status: str, finished_at: datetime | None) -> Deployment:
    """Writes how a deployment ended. One that ended before keeps its time unless another is given."""
    _one_of("status", status, FINISHED)
    made: list[Deployment] = []

    def rows(cursor: Connection) -> list[dict[str, Any]]:
        old = find_deployment(cursor, deployment_id)
        if old is None:
            raise CogniforgeError(f"there is no deployment {deployment_id}", "record it first, or look at its id")
        ended = finished_at or old.finished_at or datetime.now(UTC)
        made[:] = [replace(old, status=status, started_at=old.started_at or ended, finished_at=ended)]
        return [made[0].to_row()]

    written.update(home, DEPLOYMENTS, rows, run_id=RUN_ID)
    return made[0]


def find_deployment(cursor: Connection, deployment_id: str) -> Deployment | None:
    """The deployment of this id, if it was recorded."""
    found = cursor.execute(f"SELECT * FROM {DEPLOYMENTS} WHERE deployment_id = {literal(deployment_id)}")
    rows = named(found.description, found.fetchall())
    return Deployment.from_row(rows[0]) if rows else None


def assess_deployment_risk(
    home: Home,
    deployment_id: str,
    service: str,
    strategy: DeploymentStrategy | None,
    lines_changed: int | None,
    files_changed: int | None,
    at: datetime | None,
) -> DeploymentRisk:
    """Assesses a deployment from what the lake knew at `at`, and writes the assessment."""
    now = datetime.now(UTC)
    cursor = home.lake.cursor()
    with home.lake.explained():
        recorded = find_deployment(cursor, deployment_id)
        if recorded:
            _same_service(recorded, service)
            strategy = strategy or recorded.strategy
            lines_changed = recorded.lines_changed if lines_changed is None else lines_changed
            files_changed = recorded.files_changed if files_changed is None else files_changed
            at = at or recorded.started_at
        known_at = min(at or now, now).astimezone(UTC)
        features = {
            "strategy": str(strategy) if strategy else None,
            "lines_changed": lines_changed,
            "files_changed": files_changed,
            **known_features(cursor, service, deployment_id, known_at),
            "off_hours": off_hours(known_at),
        }
        model = _model(cursor, known_at)
    found = model.assess({**features, "at": known_at})
    risk = DeploymentRisk(
        deployment_id,
        service,
        now,
        known_at,
        found.probability,
        found.recommendation,
        found.strategy,
        found.contributions,
        found.by_strategy,
        found.basis,
        features,
        found.unknown,
    )
    written.append(home, RISK, [risk.to_row()], run_id=RUN_ID)
    return risk


def known_features(cursor: Connection, service: str, deployment_id: str, at: datetime) -> dict[str, Any]:
    """What the lake knew of a service at `at`: nothing that was published for a later moment."""
    moment = literal(at)
    rate = cursor.execute(
        f"SELECT avg(CASE WHEN {_FAILED} THEN 1.0 ELSE 0.0 END) FROM (SELECT status FROM {DEPLOYMENTS} WHERE "
        f"service = {literal(service)} AND deployment_id <> {literal(deployment_id)} AND {_FINISHED} "
        f"AND finished_at <= {moment} ORDER BY finished_at DESC LIMIT {RECENT})"
    ).fetchone()
    anomalies = cursor.execute(
        f"SELECT active_anomalies FROM {HEALTH} WHERE service = {literal(service)} AND status <> 'unknown' "
        f"AND as_of <= {moment} ORDER BY as_of DESC LIMIT 1"
    ).fetchone()
    left = [row["remaining"] for row in budgets_of(cursor, service, at) if row["remaining"] is not None]
    return {
        "recent_failure_rate": rate[0] if rate else None,
        "budget_remaining": min(left, default=None),
        "active_anomalies": anomalies[0] if anomalies else None,
    }


def _model(cursor: Connection, at: datetime) -> RiskModel:
    """The model of all deployments that had ended by `at`, by their features as they were known before each."""
    columns = ", ".join(f"r.{name}" for name in _LEARNT_FROM)
    found = cursor.execute(
        f"SELECT d.started_at AS at, d.{_FAILED} AS failed, coalesce(r.strategy, d.strategy) AS strategy, "
        f"r.off_hours, {columns} FROM {RISK} AS r JOIN {DEPLOYMENTS} AS d USING (deployment_id) "
        f"WHERE d.{_FINISHED} AND d.finished_at <= {literal(at)} AND r.known_at <= d.started_at "
        "QUALIFY row_number() OVER (PARTITION BY deployment_id ORDER BY r.known_at DESC, r.assessed_at DESC) = 1 "
        "ORDER BY d.started_at, deployment_id"
    )
    rows = named(found.description, found.fetchall())
    return _fitted(tuple(tuple(row.items()) for row in rows))


@lru_cache(maxsize=4)
def _fitted(history: tuple[tuple[tuple[str, Any], ...], ...]) -> RiskModel:
    return fit_risk([dict(row) for row in history])


def _same_service(known: Deployment, service: str) -> None:
    if known.service != service:
        raise CogniforgeError(
            f"deployment {known.deployment_id} is of {known.service}, not of {service}", "give another deployment_id"
        )


def _one_of(name: str, value: Any, choices: Any) -> None:
    if value is not None and value not in [str(choice) for choice in choices]:
        raise CogniforgeError(f"{name}: expected one of {', '.join(map(str, choices))}, got {value!r}")
