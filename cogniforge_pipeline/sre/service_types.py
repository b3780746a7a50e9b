"""What the Python API gives back: a deployment, its risk, a canary.

Belongs here: these types, and their way to and from rows of the lake. Does not: what users give (`model.py`), and
reading or writing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from cogniforge_pipeline.sre.canary import CanaryError
from cogniforge_pipeline.sre.canary_evidence import Counts, Criterion, Evidence, Means, Observed
from cogniforge_pipeline.sre.model import DeploymentStrategy
from cogniforge_pipeline.sre.risk import Contribution

FINISHED = ("succeeded", "failed", "rolled_back")
STATUSES = ("planned", "in_progress", *FINISHED)
CHANGE_TYPES = ("normal", "p0", "security")


@dataclass(frozen=True)
class Deployment:
    """A row of `sre.deployments`. `status` is one of STATUSES, `change_type` one of CHANGE_TYPES; times are in UTC."""

    deployment_id: str
    service: str
    strategy: DeploymentStrategy
    status: str
    change_type: str = "normal"
    version: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    lines_changed: int | None = None
    files_changed: int | None = None
    author: str | None = None
    description: str | None = None
    override_by: str | None = None
    override_reason: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Deployment:
        """The deployment of a row of the table."""
        values = {item.name: _utc(row[item.name]) for item in fields(cls)}
        return cls(**{**values, "strategy": DeploymentStrategy(row["strategy"])})

    def to_row(self) -> dict[str, Any]:
        """Its row."""
        return {**asdict(self), "strategy": str(self.strategy)}


@dataclass(frozen=True)
class DeploymentRisk:
    """`risk_score` is the probability that the deployment fails; `recommendation` says what is advised, and why.

    `features` are those known at `known_at`, None where they were not, and then named in `unknown`. `contributions`
    has the largest first. `basis` says whether this was learnt from history or is the prior. `by_strategy` is the
    probability under each strategy, `advised_strategy` one of them or `hold`.
    """

    deployment_id: str
    service_name: str
    assessed_at: datetime
    known_at: datetime
    risk_score: float
    recommendation: str
    advised_strategy: str
    contributions: tuple[Contribution, ...]
    by_strategy: dict[str, float]
    basis: str
    features: dict[str, Any]
    unknown: tuple[str, ...]

    def to_row(self) -> dict[str, Any]:
        """Its row of `sre.deployment_risk`."""
        contributions = [
            {
                "feature": item.feature,
                "value": str(item.value),
                "usual": str(item.usual),
                "log_odds": item.log_odds,
                "words": item.words,
            }
            for item in self.contributions
        ]
        return {
            "deployment_id": self.deployment_id,
            "assessed_at": self.assessed_at,
            "known_at": self.known_at,
            "service": self.service_name,
            "probability": self.risk_score,
            "recommendation": self.recommendation,
            "advised_strategy": self.advised_strategy,
            "contributions": contributions,
            "basis": self.basis,
            **self.features,
            "unknown": list(self.unknown),
        }


@dataclass(frozen=True)
class Canary:
    """A canary and the verdict at `judged_at`: `action` is continue, promote, rollback or inconclusive.

    `reasons` say why; `evidence` is one entry for each criterion. `decided_at` is when a criterion was broken or the
    canary ended, `changed_at` since when the verdict has been this one.
    """

    deployment_id: str
    service_name: str
    percentage: float
    started_at: datetime
    duration_minutes: float
    criteria: dict[str, Criterion]
    action: str
    reasons: tuple[str, ...]
    looks: int
    decided_at: datetime | None
    changed_at: datetime
    judged_at: datetime
    evidence: tuple[Evidence, ...] = field(default=(), repr=False)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Canary:
        """The canary of a row of the table, without evidence."""
        same = {item.name: _utc(row[item.name]) for item in fields(cls) if item.name in row}
        criteria = {name: Criterion(**rule) for name, rule in json.loads(row["criteria"]).items()}
        return cls(**{**same, "service_name": row["service"], "criteria": criteria, "reasons": tuple(row["reasons"])})

    def to_row(self) -> dict[str, Any]:
        """Its row of `sre.canaries`."""
        row = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "evidence"}
        criteria = {name: asdict(rule) for name, rule in self.criteria.items()}
        row |= {"service": row.pop("service_name"), "reasons": list(self.reasons)}
        return {**row, "criteria": json.dumps(criteria)}

    @property
    def duration(self) -> timedelta:
        """How long it is watched."""
        return timedelta(minutes=self.duration_minutes)

    def __str__(self) -> str:
        return f"{self.action}: {'; '.join(self.reasons)}"


def criterion(name: str, given: float | Criterion | Mapping[str, Any]) -> Criterion:
    """A success criterion; a bare number is an upper limit. Raises CanaryError for anything else."""
    if isinstance(given, Mapping):
        known = {item.name for item in fields(Criterion)}
        if set(given) - known:
            raise CanaryError(
                f"{name}: a criterion has no {', '.join(sorted(set(given) - known))}",
                f"it has {', '.join(sorted(known))}",
            )
        given = Criterion(**given)
    rule = given if isinstance(given, Criterion) else Criterion(given)
    if rule.limit is not None and not _is_number(rule.limit):
        raise CanaryError(f"{name}: expected a finite number as limit, got {rule.limit!r}")
    return rule


def metrics_to_json(metrics: Mapping[str, Any]) -> str:
    """Measurements of a look as JSON text: numbers, {bad, total} or {count, mean, variance}; NaN becomes null."""
    return json.dumps({name: _plain(observed(name, value)) for name, value in metrics.items()}, allow_nan=False)


def metrics_from_json(text: str) -> dict[str, Observed]:
    """What `metrics_to_json` wrote."""
    return {name: observed(name, value) for name, value in json.loads(text).items()}


def observed(name: str, value: Any) -> Observed:
    """A measurement as its type; a mapping is Counts or Means. Raises CanaryError for anything else."""
    if isinstance(value, Mapping):
        kind = Counts if "total" in value else Means
        try:
            return kind(**value)
        except TypeError:
            raise CanaryError(
                f"{name}: expected a number, bad and total, or count, mean and variance, got {dict(value)!r}",
                "those of the baseline are baseline_bad, baseline_total and so on",
            ) from None
    if value is None or isinstance(value, Counts | Means):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isinf(value):
        raise CanaryError(f"{name}: a value is a finite number, Counts, Means or None, not {value!r}")
    return None if math.isnan(value) else float(value)


def named(description: Sequence[Any] | None, rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Rows of a cursor as mappings, times in UTC."""
    names = [column[0] for column in description or []]
    return [dict(zip(names, map(_utc, row), strict=True)) for row in rows]


def _plain(value: Observed) -> Any:
    if isinstance(value, Counts | Means):
        return {name: part for name, part in asdict(value).items() if part is not None}
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
