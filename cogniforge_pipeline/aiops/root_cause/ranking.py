"""Ranking the nodes that may have caused what is wrong at a target.

Belongs here: the evidence for each node, and the rank that follows from it. Does not: reading files, printing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from cogniforge_pipeline.aiops.root_cause.evidence import Evidence, Explanation, NodeEvidence, Scored, gather
from cogniforge_pipeline.aiops.root_cause.graph import Graph, read_graph
from cogniforge_pipeline.aiops.root_cause.learnt import learnt_graph
from cogniforge_pipeline.aiops.root_cause.metrics import Metrics, read_metrics
from cogniforge_pipeline.aiops.root_cause.unusual import FEWEST
from cogniforge_pipeline.errors import CogniforgeError

_FEWEST_ABNORMAL = 3
_LATE = 0.5
"""A node that changes more than one point after the target counts half: effects follow causes, but buckets smear."""
_UNREACHABLE = {"declared": 0.1, "learnt": 0.5}
"""A node that the target does not depend on stays in the list, behind any comparable one that it does.

Learnt edges are easily missed, so it costs less there, and as much for the target itself: whether its change is its own
is not known.
"""


@dataclass(frozen=True)
class Cause:
    """A node and the evidence that it caused the target's change.

    `score` is the product of the evidence, 0 to 1. `unusual` is in alert lines (1: as rare as one normal point in a
    thousand, averaged over half the window), at `metric`. `share_explained` is the part of the target's change that
    the node's change equals in the target's unit (None: it has no such metric), `own_share` the part of the node's
    change that the nodes it calls do not explain. `correlation` is with the target over the window, 0 for none or
    negative. `lead_points` and `lead_seconds` are positive when the node changed first. `path` leads from the target
    to the node, empty when there is none.
    """

    rank: int
    node: str
    score: float
    unusual: float
    metric: str
    reaches_target: bool
    path: tuple[str, ...]
    share_explained: float | None
    own_share: float
    correlation: float
    lead_points: int
    lead_seconds: float | None
    reason: str


@dataclass(frozen=True)
class RootCauses:
    """The ranked causes of a change at `target`; `graph` says where the edges came from."""

    target: str
    graph: Literal["declared", "learnt"]
    causes: tuple[Cause, ...]
    notes: tuple[str, ...]


def find_root_causes(normal: Path, abnormal: Path, graph: Path | None, target: str) -> RootCauses:
    """As `rank_causes`, from files: see `read_metrics` and `read_graph`."""
    return rank_causes(read_metrics(normal), read_metrics(abnormal), target, read_graph(graph) if graph else None)


def rank_causes(
    normal: Metrics, abnormal: Metrics, target: str, graph: Graph | None = None, scored: Scored | None = None
) -> RootCauses:
    """The nodes by how well they explain the change of `target` (NODE:METRIC or NODE:METRIC:STAT).

    score = strength x amount x own share x late x reach; strength = unusual/(1 + unusual) of the metric, amount = min(1, share
    explained x correlation), or half the squared correlation where units differ (a quarter where the node has the
    target's unit too); the better of the two counts. The share is the projection of the
    node's deviation on the target's over the moments when the target was off in its bad direction, so moments before
    and after the incident within the window do no harm, nor does a node whose level only drifted. The correlation is
    the cosine of the two, the node up to a fifth of the window (at most 10 points) ahead. Latencies and failure shares
    are compared after multiplying by requests where those are counted. Without a graph, edges are learnt. For several
    targets of one period, `scored` is evidence.score(normal, abnormal), made once.

    Raises CogniforgeError when the target is unknown or not in the graph, has fewer than 20 normal or 3 abnormal
    points, or did not change. Columns and nodes that cannot be judged are named in `notes`.
    """
    column = normal.find(target)
    if column not in abnormal.columns:
        raise CogniforgeError(f"{column} is missing in the abnormal metrics", "give the same columns in both files")
    for metrics, word, fewest in ((normal, "normal", FEWEST), (abnormal, "abnormal", _FEWEST_ABNORMAL)):
        points = int(np.isfinite(metrics.of(column)).sum())
        if points < fewest:
            raise CogniforgeError(f"{column} has {points} {word} values, {fewest} are needed", "give a longer period")
    graph = graph or learnt_graph(normal, column.metric)
    if column.node not in graph.nodes:
        raise CogniforgeError(f"the target's node {column.node!r} is not in the graph", "name it there")
    evidence = gather(normal, abnormal, column, scored)
    ranking = _Ranking(evidence, graph, column.node)
    causes = sorted((ranking.cause(node) for node in evidence.nodes), key=lambda cause: (-cause.score, cause.node))
    ranked = tuple(replace(cause, rank=rank) for rank, cause in enumerate(causes, 1))
    return RootCauses(str(column), graph.origin, ranked, (*evidence.notes, *_notes(graph, frozenset(evidence.nodes))))


def _notes(graph: Graph, nodes: frozenset[str]) -> Iterator[str]:
    if unmeasured := sorted(graph.nodes - nodes):
        yield f"in the graph without metrics that can be judged: {', '.join(unmeasured)}"
    if unknown := sorted(nodes - graph.nodes):
        yield f"not in the graph, taken as unreachable: {', '.join(unknown)}"
    if graph.origin == "learnt":
        yield "no graph was given: edges are learnt from correlation and lead, and may be wrong"


class _Ranking:
    """Evidence and graph together."""

    def __init__(self, evidence: Evidence, graph: Graph, target: str) -> None:
        self.evidence, self.graph = evidence, graph
        self.paths = graph.paths_from(target)
        self.measured = frozenset(evidence.nodes)

    def cause(self, node: str) -> Cause:
        """The node's evidence put together, not ranked yet."""
        found = self.evidence.nodes[node]
        path = self.paths.get(node, ())
        alone = len(path) == 1 and self.graph.origin == "learnt"
        options = [(self._score(found.associated, own := self._unexcused(node)), found.associated, own)]
        if found.measured:
            own = self._unexplained(node, found.measured)
            options.append((self._score(found.measured, own), found.measured, own))
        score, best, own = max(options, key=lambda option: option[0])
        if found.measured and score == 0:
            best, own = found.measured, options[1][2]
        lead = self.evidence.onset - best.onset
        return Cause(
            rank=0,
            node=node,
            score=score * (1 if path and not alone else _UNREACHABLE[self.graph.origin]),
            unusual=found.unusual,
            metric=str(found.at),
            reaches_target=bool(path),
            path=path,
            share_explained=found.share,
            own_share=own,
            correlation=best.correlation,
            lead_points=lead,
            lead_seconds=None if self.evidence.step is None else lead * self.evidence.step,
            reason=_reason(found, path, best, own, lead),
        )

    def _score(self, explanation: Explanation, own: float) -> float:
        late = _LATE if self.evidence.onset - explanation.onset < -1 else 1
        return explanation.strength * min(1.0, explanation.amount) * own * late

    def _callees(self, node: str) -> Iterator[NodeEvidence]:
        if node in self.graph.nodes:
            yield from (self.evidence.nodes[callee] for callee in self.graph.measured_callees(node, self.measured))

    def _unexplained(self, node: str, own: Explanation) -> float:
        """The part of a change in the target's unit that the same changes of its callees do not add up to."""
        if own.amount == 0:
            return 1.0
        inherited = sum(one.measured.strength * one.measured.amount for one in self._callees(node) if one.measured)
        return 1 - min(1.0, inherited / own.amount)

    def _unexcused(self, node: str) -> float:
        """As `_unexplained` for a change in another unit: amounts do not add up, the most likely callee counts."""
        own = self.evidence.nodes[node].associated
        if own.amount == 0:
            return 1.0
        excuses = (
            one.strength * one.amount
            for callee in self._callees(node)
            for one in (callee.measured, callee.associated)
            if one
        )
        return 1 - min(1.0, max(excuses, default=0.0) / own.amount)


def _reason(found: NodeEvidence, path: tuple[str, ...], best: Explanation, own: float, lead: int) -> str:
    words = [f"{' '.join(found.at[1:]).strip()} is at {found.unusual:.2f} of the alert line"]
    if found.share is not None:
        words.append(f"its change equals {found.share:.0%} of the target's")
    words.append(f"{own:.0%} of its change is its own, correlation {best.correlation:.2f}")
    if lead and best.correlation:
        words.append(f"{abs(lead)} point{'s' * (abs(lead) > 1)} {'before' if lead > 0 else 'after'} the target")
    words.append(f"path {' → '.join(path)}" if path else "the target does not depend on it")
    return "; ".join(words)
