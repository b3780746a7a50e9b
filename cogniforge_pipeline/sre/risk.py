"""The risk of a deployment: a probability of failure from what is known before, its reasons, and the advised strategy.

Belongs here: the features, the prior, the assessment in words and the persisted model. Does not: how the log odds are
learnt (`risk_learn`), and whether a deployment is allowed (the release gate).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from cogniforge_pipeline.sre import risk_learn
from cogniforge_pipeline.sre.risk_learn import RiskError

VERSION = 1
EVENTS_PER_COLUMN = 10
"""Failures, and successes, needed for each column before anything is learnt (Peduzzi et al. 1996)."""

MIN_EVENTS = 50

BASE_RATE = 0.15
"""Share of failing deployments where nothing is known: between the medium performers of the DORA reports."""

BASE_WEIGHT = 20
"""How many deployments the base rate weighs beside the user's own history."""

PRIOR: dict[str, dict[str, float]] = {
    "lines_changed": {"per_log": 0.15, "usual": 50},
    "files_changed": {"per_log": 0.10, "usual": 5},
    "recent_failure_rate": {"per_unit": 2.0, "usual": 0.15, "low": 0, "high": 1},
    "budget_remaining": {"per_unit": -0.8, "usual": 1.0, "low": -1, "high": 1},
    "active_anomalies": {"per_unit": 0.5, "usual": 0, "low": 0, "high": 4},
    "off_hours": {"per_unit": 0.2, "usual": 0, "low": 0, "high": 1},
}
"""Log odds for each unit, or for each log(1 + x), beside the usual value. A judgement, used until history says more."""

STRATEGY_PRIOR = {"rolling": 0.0, "blue_green": -0.2, "canary": -0.4, "recreate": 0.3}

ACCEPTABLE = {"recreate": 0.03, "rolling": 0.08, "blue_green": 0.20, "canary": 0.50}
"""The largest probability at which a strategy is advised, by how many users a bad version meets before it is undone."""

FEATURES = (*PRIOR, "strategy")


@dataclass(frozen=True)
class Contribution:
    """What one feature does: log odds against the feature at its usual value, all others as they are."""

    feature: str
    value: Any
    usual: Any
    log_odds: float
    words: str


@dataclass(frozen=True)
class Assessment:
    """`probability` of failure and why; `strategy` is what is advised (or hold), `recommendation` says it in words.

    `contributions` has the largest first; with learnt interactions they need not add up. `by_strategy` is the
    probability under each strategy. `unknown` names the features that were not given and taken as usual.
    """

    probability: float
    contributions: tuple[Contribution, ...]
    strategy: str
    recommendation: str
    by_strategy: dict[str, float]
    basis: str
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class RiskModel:
    """A fitted model or the prior; `document` is plain JSON data."""

    document: dict[str, Any]

    @property
    def basis(self) -> str:
        """What the probabilities rest on, in words."""
        return str(self.document["basis"])

    def probabilities(self, rows: Sequence[Mapping[str, Any]]) -> risk_learn.Floats:
        """Probability of failure of each row of features."""
        result: risk_learn.Floats = 1 / (1 + np.exp(-self._log_odds([_derived(row) for row in rows])))
        return result

    def assess(self, features: Mapping[str, Any]) -> Assessment:
        """Assess one deployment from the features known before it; see FEATURES, or what the model was fitted on.

        lines_changed, files_changed: counts. recent_failure_rate: share of the service's latest deployments that
        failed. budget_remaining: share of the error budget left, negative when overspent. active_anomalies: count.
        strategy: canary, blue_green, rolling or recreate. off_hours: 1 outside 08-18 UTC, at week-ends and on Fridays
        from 15 UTC; taken from an aware `at` where it is not given. Raises RiskError for values of the wrong kind.
        """
        row = _derived(features)
        usual = self._usual()
        strategies = [{**row, "strategy": name} for name in ACCEPTABLE]
        replaced = [{**row, name: value} for name, value in usual.items()]
        odds = self._log_odds([row, *replaced, *strategies])
        here, without, under = odds[0], odds[1 : 1 + len(usual)], odds[1 + len(usual) :]
        contributions = [
            _contribution(name, row[name], value, float(here - other))
            for (name, value), other in zip(usual.items(), without, strict=True)
            if row.get(name) is not None and abs(here - other) > 1e-9
        ]
        by_strategy = {name: _share(value) for name, value in zip(ACCEPTABLE, under, strict=True)}
        strategy, words = _advise(_share(here), by_strategy, row)
        return Assessment(
            _share(here),
            tuple(sorted(contributions, key=lambda entry: -abs(entry.log_odds))),
            strategy,
            words,
            by_strategy,
            self.basis,
            tuple(name for name in usual if row.get(name) is None),
        )

    def to_json(self) -> str:
        """The model as text; `from_json` reads it back to the same probabilities."""
        return json.dumps({"version": VERSION, **self.document})

    @classmethod
    def from_json(cls, text: str) -> RiskModel:
        """Read what `to_json` wrote. Raises RiskError for anything else."""
        try:
            document = json.loads(text)
            version = document.pop("version")
        except (ValueError, KeyError, AttributeError, TypeError):
            raise RiskError("this is not a risk model", hint="fit the model again") from None
        if version != VERSION:
            raise RiskError(f"a risk model of version {version}, expected {VERSION}", hint="fit the model again")
        return cls(document)

    def _usual(self) -> dict[str, Any]:
        if self.document["learnt"]:
            return {column["feature"]: column["usual"] for column in self.document["columns"]}
        return {**{name: entry["usual"] for name, entry in PRIOR.items()}, "strategy": "rolling"}

    def _log_odds(self, rows: Sequence[Mapping[str, Any]]) -> risk_learn.Floats:
        if self.document["learnt"]:
            return risk_learn.log_odds(self.document["learnt"], risk_learn.encode(rows, self.document["columns"]))
        base = self.document["base_rate"]
        return np.array([math.log(base / (1 - base)) + _prior_log_odds(row) for row in rows])


def fit_risk(
    history: Sequence[Mapping[str, Any]],
    *,
    features: Sequence[str] = FEATURES,
) -> RiskModel:
    """Learn from past deployments, or return the prior, with the reason in `basis`, where there are too few.

    Each row has an aware time `at`, `failed` (true or false) and the features as they were before that deployment;
    rows whose `failed` is missing or None are left out. Learning needs 10 failures and 10 successes, at least 50 each,
    for each column (one for a number, one for each strategy). The prior's base rate is the share of failures in history
    beside 15 % of 20 deployments. Raises RiskError for rows without a time or values of the wrong kind.
    """
    known = [_derived(row) for row in history if row.get("failed") is not None]
    for row in known:
        if not isinstance(row.get("at"), datetime):
            raise RiskError(f"every deployment needs an aware time in 'at', not {row.get('at')!r}")
    known.sort(key=lambda row: row["at"])
    failed = np.array([bool(row["failed"]) for row in known], dtype=bool)
    failures = int(failed.sum())
    columns = risk_learn.describe_columns(known, features)
    needed = max(EVENTS_PER_COLUMN * len(columns), MIN_EVENTS)
    seen = f"{len(known)} deployments with {failures} failures"
    each = f", {EVENTS_PER_COLUMN} for each of {len(columns)} columns" if needed > MIN_EVENTS else ""
    reason = f"{seen}; learning needs {needed} failures and {needed} successes{each}"
    if columns and min(failures, len(known) - failures) >= needed:
        learnt = risk_learn.learn(risk_learn.encode(known, columns), failed)
        if learnt:
            return RiskModel(
                {
                    "learnt": learnt,
                    "columns": columns,
                    "basis": f"learnt from {len(known)} deployments, {failures} failed",
                }
            )
        reason = f"{seen}; what the earlier ones teach did not hold for the newest fifth"
    base = (failures + BASE_RATE * BASE_WEIGHT) / (len(known) + BASE_WEIGHT)
    return RiskModel({"learnt": None, "base_rate": base, "basis": f"prior ({reason})"})


def off_hours(moment: datetime) -> int:
    """1 outside 08-18 UTC, at week-ends and on Fridays from 15 UTC, else 0; `moment` is aware."""
    utc = moment.utctimetuple()
    working = utc.tm_wday < 5 and 8 <= utc.tm_hour < 18 and not (utc.tm_wday == 4 and utc.tm_hour >= 15)
    return 0 if working else 1


def _derived(row: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(row)
    moment = row.get("at")
    if isinstance(moment, datetime) and moment.tzinfo is None:
        raise RiskError(f"'at' must be an aware time, not {moment.isoformat()}", hint="give it in UTC, with the zone")
    if row.get("off_hours") is None and isinstance(moment, datetime):
        result["off_hours"] = off_hours(moment)
    for name in PRIOR:
        value = result.get(name)
        if isinstance(value, str) or (value is not None and not math.isfinite(float(value))):
            raise RiskError(f"{name} must be a finite number, not {value!r}", hint="leave it out where it is not known")
    strategy = result.get("strategy")
    if strategy is not None and strategy not in STRATEGY_PRIOR:
        raise RiskError(f"strategy must be one of {', '.join(STRATEGY_PRIOR)}, not {strategy!r}")
    return result


def _prior_log_odds(row: Mapping[str, Any]) -> float:
    total = STRATEGY_PRIOR[row.get("strategy") or "rolling"]
    for name, entry in PRIOR.items():
        if row.get(name) is None:
            continue
        value = float(row[name])
        if "per_log" in entry:
            total += entry["per_log"] * (math.log1p(max(value, 0.0)) - math.log1p(entry["usual"]))
        else:
            total += entry["per_unit"] * (min(max(value, entry["low"]), entry["high"]) - entry["usual"])
    return total


def _contribution(name: str, value: Any, usual: Any, log_odds: float) -> Contribution:
    side, factor = ("raises", math.exp(log_odds)) if log_odds > 0 else ("lowers", math.exp(-log_odds))
    shown, normal = (f"{item:.4g}" if isinstance(item, (int, float)) else str(item) for item in (value, usual))
    words = f"{name} {shown} (usually {normal}) {side} the odds of failure {factor:.2g} times"
    return Contribution(name, value, usual, log_odds, words)


def _advise(probability: float, by_strategy: Mapping[str, float], row: Mapping[str, Any]) -> tuple[str, str]:
    """The planned strategy where it is acceptable, else the least careful one that is, else hold."""
    planned = row.get("strategy")
    budget = row.get("budget_remaining")
    if budget is not None and budget <= 0:
        return "hold", f"hold: the error budget is spent; failure probability {probability:.0%}"
    if planned and by_strategy[planned] <= ACCEPTABLE[planned]:
        return (
            planned,
            f"deploy by {planned}: {probability:.0%} is at most the {ACCEPTABLE[planned]:.0%} accepted for it",
        )
    for name in ("rolling", "blue_green", "canary"):
        if by_strategy[name] <= ACCEPTABLE[name]:
            instead = f" instead of {planned}" if planned else ""
            share = by_strategy[name]
            return name, f"deploy by {name}{instead}: {share:.0%} is at most the {ACCEPTABLE[name]:.0%} accepted for it"
    return "hold", f"hold: {probability:.0%} is more than any strategy accepts; make the change smaller or wait"


def _share(log_odds: float) -> float:
    return float(1 / (1 + math.exp(-log_odds)))


__all__ = ["FEATURES", "Assessment", "Contribution", "RiskError", "RiskModel", "fit_risk", "off_hours"]
