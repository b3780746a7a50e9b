"""Deviations of nodes in a unit that adds up along calls: seconds waited, or requests failed, in each interval.

Belongs here: what a metric's name says about its unit, and the deviation from normal. Does not: scores, ranks.

A caller's latency contains its callees' latency once for each call, and its failures contain theirs. Latency times
requests and failure share times requests therefore compare along an edge, which bare latencies and shares do not:
a slow node that is called twice in an hour cannot delay a busy one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cogniforge_pipeline.aiops.root_cause.metrics import Column, Floats, Metrics, preferred_sum
from cogniforge_pipeline.aiops.root_cause.unusual import FEWEST

_TIMES = ("latency", "duration", "response_time")
_GOOD_SHARES = ("availability", "success")
_BAD_SHARES = ("error_rate", "error_ratio", "error_percent", "failure_rate", "failure_ratio")
_AMOUNTS = ("requests", "request_count", "request_rate", "requests_per_second", "throughput", "rps", "qps", "calls")
_LARGEST_SHARE = 1.5
"""Shares above are percentages."""


def deviations(target: Column, normal: Metrics, abnormal: Metrics) -> tuple[dict[str, Floats], int]:
    """Abnormal values less the normal median for each node that has the target's metric, and which direction is bad.

    Missing values are 0. Where the target's node counts requests, latencies and shares are multiplied by them, and
    nodes that count none are left out; no requests means no seconds and no failures. The direction is 1 for latencies
    and shares, which are of failures here, and 0 where the metric's name does not tell.
    """
    name = target.metric.lower()
    good = any(word in name for word in _GOOD_SHARES)
    known = good or any(word in name for word in (*_TIMES, *_BAD_SHARES))
    if known:
        weighted = _deviations(target, normal, abnormal, good, _amounts(normal, abnormal))
        if target.node in weighted:
            return weighted, 1
    return _deviations(target, normal, abnormal, good, None), int(known)


def _deviations(
    target: Column, normal: Metrics, abnormal: Metrics, good: bool, amounts: Mapping[str, Column] | None
) -> dict[str, Floats]:
    found: dict[str, Floats] = {}
    for column in normal.columns:
        if (column.metric, column.stat) != (target.metric, target.stat) or column not in abnormal.places:
            continue
        before, after = normal.of(column), abnormal.of(column)
        if good:
            top = 100.0 if np.nanmax(np.append(before, after), initial=0) > _LARGEST_SHARE else 1.0
            before, after = (top - before) / top, (top - after) / top
        if amounts is not None:
            if column.node not in amounts:
                continue
            amount = amounts[column.node]
            before, after = _weighted(before, normal.of(amount)), _weighted(after, abnormal.of(amount))
        if np.isfinite(before).sum() >= FEWEST:
            found[column.node] = np.nan_to_num(after - np.nanmedian(before))
    return found


def _weighted(values: Floats, amounts: Floats) -> Floats:
    return np.where(np.isfinite(values), values * amounts, np.where(amounts == 0, 0.0, np.nan))


def _amounts(normal: Metrics, abnormal: Metrics) -> dict[str, Column]:
    """For each node the column that counts its requests."""
    found: dict[str, list[Column]] = {}
    for column in normal.columns:
        if column.metric.lower() in _AMOUNTS and column in abnormal.places:
            found.setdefault(column.node, []).append(column)
    return {node: preferred_sum(columns) for node, columns in found.items()}
