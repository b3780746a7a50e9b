"""The score of a canary over all of its metrics, in weighted groups, as Kayenta's weighted sum scorer.

Belongs here: from classes to one score between 0 and 100. Does not: how a metric gets its class (`canary`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cogniforge_pipeline.sre.canary import CanaryError

CLASSES = ("pass", "high", "low", "nodata")


class Judged(Protocol):
    """What the score needs of a metric's judgement; `MetricJudgement` has it."""

    @property
    def classification(self) -> str: ...

    @property
    def critical(self) -> bool: ...

    @property
    def reason(self) -> str: ...


@dataclass(frozen=True)
class CanaryScore:
    """`score` is 0 to 100, `classification` pass, marginal or fail; `groups` has None where a group had no data."""

    score: float
    classification: str
    reason: str
    groups: dict[str, float | None] = field(default_factory=dict)


def score_canary(
    judged: Sequence[tuple[Judged, Sequence[str]]],
    group_weights: Mapping[str, float] | None = None,
    *,
    pass_at: float = 95.0,
    marginal_at: float = 75.0,
) -> CanaryScore:
    """Score metrics, each given with the names of its groups.

    A group's score is the share of its metrics with data that pass, in percent. Groups without a weight share what the
    weights leave of 100; a group without data counts as 100, because the metrics it lacks were not required. The score
    is 0 if any critical metric failed or lacks data, or if half or more of the metrics have no data (no data never
    promotes). Raises CanaryError for weights that cannot add up to 100 or name an unknown group.
    """
    labels: dict[str, list[str]] = {}
    for metric, groups in judged:
        if metric.classification not in CLASSES:
            raise CanaryError(f"a metric's class must be one of {', '.join(CLASSES)}, not {metric.classification!r}")
        if not groups:
            raise CanaryError("every metric must belong to at least one group")
        for group in groups:
            labels.setdefault(group, []).append(metric.classification)
    weights = _weights(labels, group_weights or {})
    scores = {group: _group_score(classes) for group, classes in labels.items()}
    failed = [metric for metric, _ in judged if metric.critical and metric.classification != "pass"]
    absent = sum(metric.classification == "nodata" for metric, _ in judged)
    if failed:
        return CanaryScore(0.0, "fail", f"a critical metric failed: {failed[0].reason}", scores)
    if 2 * absent >= len(judged):
        return CanaryScore(0.0, "fail", f"{absent} of {len(judged)} metrics have no data, half or more", scores)
    parts = [weights[group] * (100.0 if share is None else share) for group, share in scores.items()]
    score = round(sum(parts) / 100, 2)
    for bound, classification in ((pass_at, "pass"), (marginal_at, "marginal")):
        if score >= bound:
            return CanaryScore(score, classification, f"score {score:g} is at least {bound:g}", scores)
    return CanaryScore(score, "fail", f"score {score:g} is below {marginal_at:g}", scores)


def _group_score(classes: list[str]) -> float | None:
    with_data = [name for name in classes if name != "nodata"]
    return 100 * with_data.count("pass") / len(with_data) if with_data else None


def _weights(labels: Mapping[str, object], given: Mapping[str, float]) -> dict[str, float]:
    unknown = sorted(set(given) - set(labels))
    if unknown:
        raise CanaryError(f"weights name the groups {', '.join(unknown)}, which no metric belongs to")
    total = sum(given.values())
    open_groups = [group for group in labels if group not in given]
    if (
        any(weight < 0 for weight in given.values())
        or total > 100
        or (given and not open_groups and abs(total - 100) > 1e-9)
    ):
        raise CanaryError(
            f"group weights are percentages of at most 100 in sum, and of exactly 100 where every group has one; "
            f"these add up to {total:g}"
        )
    return {group: given.get(group, (100 - total) / len(open_groups) if open_groups else 0.0) for group in labels}
