"""Edges learnt from metrics, for when nobody declared a topology.

Belongs here: finding which nodes move together and which comes first. Does not: ranking causes. Learnt edges are
guesses from correlation: they stay marked, and a declared graph always replaces them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cogniforge_pipeline.aiops.root_cause.graph import Graph
from cogniforge_pipeline.aiops.root_cause.metrics import Column, Floats, Metrics, preferred
from cogniforge_pipeline.aiops.root_cause.unusual import FEWEST

_ALPHA = 0.01
_WEAKEST = 0.3


@dataclass(frozen=True)
class LearntEdge:
    """`caller` follows `callee` by `lag` points, or moves with it (lag 0: the direction is not known)."""

    caller: str
    callee: str
    correlation: float
    lag: int


def learn_edges(metrics: Metrics, metric: str, *, max_lag: int = 3) -> tuple[LearntEdge, ...]:
    """Edges between nodes whose `metric` moves together, strongest first; a lag of 0 gives both directions.

    Compared are rank correlations of first differences, so that shared levels, trends and days do not count, at lags
    of 0 to `max_lag` points. An edge needs a correlation of .3 that chance gives to 1 % of such sets of nodes
    (Bonferroni over pairs and lags). Of each triangle the weakest edge goes when it is below .9 of the others: what
    passes through a middle node says less (data processing inequality, as in ARACNE). A lag counts as a direction when
    its correlation exceeds that of lag 0 and of the other direction by one standard error. Nodes with fewer than
    `FEWEST` points, and constant ones, get no edges.
    """
    columns = _one_for_each_node(metrics, metric)
    if len(columns) < 2:
        return ()
    from scipy.special import ndtri

    nodes = [column.node for column in columns]
    ranks = _standardised_ranks(np.column_stack([metrics.of(column) for column in columns]))
    points = len(ranks)
    if points < FEWEST:
        return ()
    lags = range(min(max_lag, points // 4) + 1)
    by_lag = np.stack([ranks[: points - lag].T @ ranks[lag:] / points for lag in lags])
    best_lag = by_lag.argmax(axis=0)
    leads = by_lag.max(axis=0)
    together = np.maximum(leads, leads.T)
    tests = len(nodes) * (len(nodes) - 1) * len(lags)
    together[together < max(_WEAKEST, float(-ndtri(_ALPHA / tests)) / np.sqrt(points))] = 0
    np.fill_diagonal(together, 0)
    linked = _without_chains(together)
    error = 1 / np.sqrt(points)
    first = (best_lag > 0) & (leads > leads.T + error) & (leads > by_lag[0] + error)
    edges = []
    for cause, effect in zip(*np.nonzero(linked), strict=True):
        if first[effect, cause]:
            continue
        lag = int(best_lag[cause, effect]) if first[cause, effect] else 0
        edges.append(LearntEdge(nodes[effect], nodes[cause], float(together[cause, effect]), lag))
    return tuple(sorted(edges, key=lambda edge: (-edge.correlation, edge.caller, edge.callee)))


def learnt_graph(metrics: Metrics, metric: str) -> Graph:
    """A graph of the edges learnt for `metric`, marked as learnt; it names all nodes of the metrics."""
    edges = ((edge.caller, edge.callee) for edge in learn_edges(metrics, metric))
    return Graph.of(edges, {column.node for column in metrics.columns}, "learnt")


def _one_for_each_node(metrics: Metrics, metric: str) -> list[Column]:
    found: dict[str, list[Column]] = {}
    for column in metrics.columns:
        values = metrics.of(column)
        seen = values[np.isfinite(values)]
        if column.metric == metric and len(seen) > FEWEST and np.ptp(seen) > 0:
            found.setdefault(column.node, []).append(column)
    return [preferred(columns) for _, columns in sorted(found.items())]


def _standardised_ranks(values: Floats) -> Floats:
    """Ranks of first differences with mean 0 and variance 1; missing ones are 0, which says nothing."""
    from scipy.stats import rankdata

    steps = np.diff(values, axis=0)
    there = np.isfinite(steps)
    ranks = np.where(there, rankdata(steps, axis=0, nan_policy="omit"), 0)
    ranks = np.where(there, ranks - ranks.sum(axis=0) / np.maximum(there.sum(axis=0), 1), 0)
    spread = np.sqrt((ranks**2).sum(axis=0) / len(ranks))
    return np.asarray(ranks / np.where(spread > 0, spread, 1), dtype=np.float64)


def _without_chains(together: Floats) -> Floats:
    kept = together.copy()
    for middle in range(len(together)):
        through = np.minimum(together[:, middle][:, None], together[middle])
        kept[together < 0.9 * through] = 0
    return kept
