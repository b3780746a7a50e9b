"""The evidence on each node: how unusual, how much of the target's change, how alike, how early.

Belongs here: evidence from the metrics alone. Does not: the graph, the rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cogniforge_pipeline.aiops.root_cause.deviations import deviations
from cogniforge_pipeline.aiops.root_cause.metrics import Column, Floats, Metrics
from cogniforge_pipeline.aiops.root_cause.unusual import ALERT, FEWEST, tail_scores, upper_half_mean
from cogniforge_pipeline.errors import CogniforgeError

_ASSOCIATION = 0.5
"""A change in another unit than the target's counts half: it shows that both moved, not how much it explains."""
_CONTRADICTED = 0.25
"""And a quarter on a node that is measured in the target's unit too, and does not show the change there."""


@dataclass(frozen=True)
class Explanation:
    """How a node may explain the target: `amount` of its change, 1 for all of it, and how alike the two run.

    `strength` says how far the change can be trusted not to be chance, 0 to 1. `onset` is the moment at which the
    node's change reached half of its peak; the number of moments when it never changed.
    """

    amount: float
    correlation: float
    strength: float
    onset: int


@dataclass(frozen=True)
class NodeEvidence:
    """One node: `unusual` in alert lines at column `at`, and what it may explain.

    `share` is the part of the target's change that the node's equals, `measured` what follows from it; both are None
    when the node has no metric in the target's unit. `associated` is the best of its metrics in other units.
    """

    unusual: float
    at: Column
    share: float | None
    measured: Explanation | None
    associated: Explanation


@dataclass(frozen=True)
class Evidence:
    """Evidence by node; `onset` is the target's, `step` the seconds between moments (None: no times)."""

    nodes: Mapping[str, NodeEvidence]
    onset: int
    step: float | None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Scored:
    """Tail scores [moment, column], and for each node the places of its columns that can be judged."""

    columns: Mapping[str, Mapping[int, Column]]
    scores: Floats
    notes: tuple[str, ...]


def gather(normal: Metrics, abnormal: Metrics, target: Column, scored: Scored | None = None) -> Evidence:
    """The evidence on every node with a column in both that has at least `FEWEST` normal values.

    `scored` is what `score` says of the two, which is the same for all targets. Raises CogniforgeError when the target
    did not change.
    """
    scored = scored or score(normal, abnormal)
    notes = list(scored.notes)
    columns, scores = scored.columns, scored.scores
    moved, bad = deviations(target, normal, abnormal)
    profile, direction = _profile(moved[target.node], bad, target, notes)
    size = float(profile @ (moved[target.node] * direction))
    found: dict[str, NodeEvidence] = {}
    for node, places in columns.items():
        unusual = upper_half_mean(scores[:, list(places)]) / ALERT
        rarest = np.maximum(unusual - np.log10(len(places)) / ALERT, 0)
        most = int(rarest.argmax())
        share = measured = None
        if node in moved:
            shape = moved[node] * direction
            projection, correlation = _aligned(shape, profile)
            share = min(1.0, projection / size)
            same = [rarest[n] for n, column in enumerate(places.values()) if column.metric == target.metric]
            rare = max(same, default=rarest[most])
            measured = Explanation(
                projection / size * correlation, correlation, float(rare / (1 + rare)), _onset(shape)
            )
        weight = _ASSOCIATION if measured is None else _CONTRADICTED
        associated = [
            Explanation(weight * alike**2, alike, float(rare / (1 + rare)), _onset(scores[:, place]))
            for place, rare in zip(places, rarest, strict=True)
            for _, alike in [_aligned(scores[:, place], profile)]
        ]
        best = max(associated, key=lambda one: one.amount * one.strength)
        found[node] = NodeEvidence(float(rarest[most]), list(places.values())[most], share, measured, best)
    if found[target.node].unusual < 1 / ALERT:
        notes.append(f"{target.node} itself is hardly unusual: causes may be chance")
    step = float(np.median(np.diff(abnormal.times))) if abnormal.times is not None else None
    return Evidence(found, _onset(profile), step, notes)


def score(normal: Metrics, abnormal: Metrics) -> Scored:
    """How unusual each column is at each moment, by its values or by its silence."""
    notes: list[str] = []
    shared = [column for column in normal.columns if column in abnormal.places]
    before = normal.values[:, [normal.places[column] for column in shared]]
    after = abnormal.values[:, [abnormal.places[column] for column in shared]]
    judged = np.isfinite(before).sum(axis=0) >= FEWEST
    silence = tail_scores(*(np.where(np.isfinite(values), 0.0, 1.0) for values in (before, after)))
    scores = np.maximum(tail_scores(before, after), silence)
    columns: dict[str, dict[int, Column]] = {}
    for place, column in enumerate(shared):
        if judged[place]:
            columns.setdefault(column.node, {})[place] = column
    if only_once := sorted(map(str, normal.places.keys() ^ abnormal.places.keys())):
        notes.append(f"in one file only, not judged: {', '.join(only_once)}")
    if unjudged := sorted({column.node for column in shared} - set(columns)):
        notes.append(f"fewer than {FEWEST} normal values, not judged: {', '.join(unjudged)}")
    return Scored(columns, scores, tuple(notes))


def _profile(moved: Floats, direction: int, target: Column, notes: list[str]) -> tuple[Floats, int]:
    """How far the target is off in its bad direction at each moment, as a unit vector, and that direction."""
    if direction == 0:
        direction = 1 if moved.sum() >= 0 else -1
    if not (moved * direction > 0).any():
        direction = -direction
        notes.append(f"{target} changed for the better; what goes with that is ranked")
    profile = np.maximum(moved * direction, 0)
    if not profile.any():
        raise CogniforgeError(
            f"{target} did not change: there is nothing to explain", "choose another target or period"
        )
    return profile / np.linalg.norm(profile), direction


def _aligned(shape: Floats, profile: Floats) -> tuple[float, float]:
    """Projection on the target's profile and cosine with it, at the lead that fits best; never below 0.

    The node may be ahead by up to a fifth of the window, at most 10 moments.
    """
    norm = float(np.linalg.norm(shape))
    if norm == 0:
        return 0.0, 0.0
    leads = range(min(10, len(shape) // 5) + 1)
    projection = max(0.0, *(float(profile[lead:] @ shape[: len(shape) - lead]) for lead in leads))
    return projection, min(1.0, projection / norm)


def _onset(shape: Floats) -> int:
    """The first moment at which a shape reaches half of its peak."""
    return int(np.argmax(shape >= shape.max() / 2)) if shape.max() > 0 else len(shape)
