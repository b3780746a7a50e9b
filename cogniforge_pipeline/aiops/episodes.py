"""Episodes: anomalous points of one series that belong together.

Belongs here: the SQL from points to episodes, with kind, direction, severity, status and reason. Does not: which episodes
make an incident (`incidents.py`), reading declarations.

A point belongs to an episode while its value keeps a quarter of the greatest difference to what is usual that there was so
far; where values are missing or do not move, always. Points no more than 45 minutes (or two steps of the series) apart are
one episode, if an alert was raised among them. An episode's weight is the sum of its scores times their hours; of a series
that was watched for less than a week, the share of the week counts, for it has alerts of no meaning, unless the score is
critical.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cogniforge_pipeline.aiops.expectations import Planned
from cogniforge_pipeline.sqltext import literal

APART_MINUTES = 45
KEPT = timedelta(days=90)
"""Episodes of so many days before `as_of` are told: what a decision costs must not grow with history."""
STRAYS = 0.25
"""The share of its greatest difference so far that a value must keep to be part of an episode: a score falls slowly."""
LINE = 35 / 60
"""The weight from which an episode is more than information: 35 minutes at the alert line."""
CRITICAL = 3.0
"""The score from which an episode with that weight is critical."""
WEEK = 7
GRACE = timedelta(hours=2)
"""What began in a planned time may last so long after it."""

Mark = tuple[str, str, str]

COLUMNS = (
    "anomaly_id, series_id, service, metric, kind, direction, severity, status, started_at, ended_at, peak_at, peak_score, "
    "value, expected, impact, weight, points, alerts, reason"
)


def episodes_sql(
    points: str, series: str, planned: Sequence[Planned], marked: Sequence[tuple[str, str, str]], as_of: datetime
) -> str:
    """A SELECT of COLUMNS and `last_at`, the end of the last point.

    `points` and `series` are relations in the columns of `aiops.anomaly_points` and `aiops.series`; `planned` are stretches of
    time, and `marked` are (anomaly_id, status, reason) of episodes that a user has judged. Only points whose step has
    ended by `as_of` count.
    """
    now, since = literal(as_of), literal(as_of - KEPT)
    return f"""
WITH known AS (
    SELECT p.*, s.service, s.metric, s.labels, s.kind <> 'gauge' AS additive, coalesce(p.usual, p.expected) AS base,
        p.ts + to_seconds(p.seconds) AS done,
        greatest(to_minutes({APART_MINUTES}), to_seconds(2 * p.seconds)) AS apart
    FROM {points} AS p
    JOIN {series} AS s USING (series_id)
    WHERE p.ts >= {since} AND p.ts + to_seconds(p.seconds) <= {now}
),
strayed AS (
    SELECT *, max(abs(value - base)) OVER (PARTITION BY series_id, number ORDER BY ts) AS furthest
    FROM ({_numbered("known")})
),
cut AS (
    {_numbered(f"(SELECT * EXCLUDE (number, before) FROM strayed WHERE {_STRAYS})")}
),
held AS (
    SELECT series_id, any_value(service) AS service, any_value(metric) AS metric, any_value(labels) AS labels,
        min(ts) AS started_at, max(done) AS last_at, any_value(apart) AS apart, arg_max(ts, score) AS peak_at,
        max(score) AS peak_score, arg_max(kind, score) AS kind, arg_max(struct_pack(v := value, b := base), score) AS peak,
        sum(coalesce(abs(value - base), 0) * CASE WHEN additive THEN 1 ELSE seconds / 3600 END ORDER BY ts) AS impact,
        sum(coalesce(value - base, 0) ORDER BY ts) AS net,
        sum(abs(coalesce(value - base, 0)) ORDER BY ts) AS gross,
        sum(score * seconds ORDER BY ts) / 3600
            * CASE WHEN max(score) >= {CRITICAL} THEN 1 ELSE least(1, min(known_days) / {WEEK}) END AS weight,
        count(*) AS points, count_if(is_anomaly) AS alerts
    FROM cut
    GROUP BY series_id, number
    HAVING alerts > 0 AND (min(ts) - {since} > any_value(apart))
),
named AS (
    SELECT *, substr(md5(series_id || '@' || epoch_us(started_at)), 1, 16) AS anomaly_id,
        CASE WHEN kind IN ('missing', 'flat_line') OR abs(net) <= gross / 2 THEN 'none' WHEN net > 0 THEN 'up' ELSE 'down'
            END AS direction,
        metric || CASE WHEN cardinality(labels) = 0 THEN '' ELSE ' {{' || array_to_string(list_sort(
            [entry.key || '=' || entry.value FOR entry IN map_entries(labels)]), ', ') || '}}' END AS what,
        CASE WHEN weight < {LINE} THEN 'info' WHEN peak_score >= {CRITICAL} THEN 'critical' ELSE 'warning' END AS severity,
        last_at + apart > {now} AS lasts
    FROM held
),
{_judged(planned, marked)}
SELECT anomaly_id, series_id, service, metric, kind, direction, severity,
    coalesce(told.status, CASE WHEN lasts THEN 'open' ELSE 'closed' END) AS status,
    started_at, CASE WHEN NOT lasts THEN last_at END AS ended_at, peak_at, peak_score, peak.v AS value, peak.b AS expected,
    impact, weight, points, alerts, last_at,
    coalesce(told.status || ': ' || told.reason || '; ', '') || what || CASE kind
        WHEN 'missing' THEN ' has no values' WHEN 'flat_line' THEN ' does not move'
        ELSE CASE WHEN direction = 'up' THEN ' is higher than usual' WHEN direction = 'down' THEN ' is lower than usual'
            WHEN kind = 'variance' THEN ' varies otherwise than usual' ELSE ' has another pattern than usual' END END
        || CASE WHEN peak.v IS NULL OR peak.b IS NULL THEN '' ELSE
            ': ' || printf('%.4g', peak.v) || ' instead of ' || printf('%.4g', peak.b) END
        || ', at ' || printf('%.1f', peak_score) || ' times the alert line'
        AS reason
FROM named
LEFT JOIN told USING (anomaly_id)"""


_STRAYS = f"kind IN ('missing', 'flat_line') OR coalesce(abs(value - base) >= {STRAYS} * furthest, TRUE)"


def _numbered(points: str) -> str:
    """The points with the number of the stretch of their series that they are in."""
    return (
        "SELECT *, sum((before IS NULL OR ts - before > apart)::INTEGER) OVER (PARTITION BY series_id ORDER BY ts) AS number "
        f"FROM (SELECT *, lag(ts) OVER (PARTITION BY series_id ORDER BY ts) AS before FROM {points})"
    )


def _judged(planned: Sequence[Planned], marked: Sequence[Mark]) -> str:
    """What users said of episodes, one row for each: a mark of its own comes before a planned time."""
    told = "told AS (SELECT NULL::VARCHAR AS anomaly_id, NULL::VARCHAR AS status, NULL::VARCHAR AS reason WHERE false)"
    parts = []
    if marked:
        rows = ", ".join(f"({', '.join(map(literal, row))}, 0)" for row in marked)
        parts.append(f"SELECT * FROM (VALUES {rows}) AS marked (anomaly_id, status, reason, rank)")
    if planned:
        rows = ", ".join(
            f"({literal(p.start)}, {literal(p.end)}, {_words(p.expectation.services)}, {_words(p.expectation.metrics)}, "
            f"{literal(p.expectation.status)}, {literal(p.expectation.reason)}, {number})"
            for number, p in enumerate(planned, 1)
        )
        parts.append(
            "SELECT n.anomaly_id, p.status, p.reason, p.rank FROM named AS n JOIN "
            f"(VALUES {rows}) AS p (first, over, services, metrics, status, reason, rank) "
            "ON n.started_at >= p.first - to_minutes(5) AND n.started_at < p.over "
            f"AND n.last_at <= p.over + to_seconds({GRACE.total_seconds():.0f}) "
            "AND (len(p.services) = 0 OR list_contains(p.services, n.service)) "
            "AND (len(p.metrics) = 0 OR list_contains(p.metrics, n.metric))"
        )
    if parts:
        both = " UNION ALL ".join(parts)
        told = (
            "told AS (SELECT anomaly_id, arg_min(status, rank) AS status, arg_min(reason, rank) AS reason "
            f"FROM ({both}) GROUP BY anomaly_id)"
        )
    return told


def _words(words: Sequence[str]) -> str:
    return f"CAST({literal(list(words))} AS VARCHAR[])"
