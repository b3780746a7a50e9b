"""Incidents: episodes that belong together in time and in the topology.

Belongs here: which episodes are linked, and the SQL from linked episodes to incidents. Does not: episodes (`episodes.py`),
causes.

Two episodes are linked where their services are the same or one depends on the other, and they start within 30 minutes of
each other; where one goes on, an episode of the same service until an hour after its end, and one of a neighbour for its
first three hours. Linked episodes are an incident when their metrics weigh at least `episodes.LINE` together. What is expected or
maintenance is in none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cogniforge_pipeline.aiops.episodes import LINE
from cogniforge_pipeline.sqltext import literal

TOGETHER_MINUTES = 30
SPREAD_HOURS = 3
AFTER_HOURS = 1

COLUMNS = (
    "incident_id, started_at, ended_at, status, severity, services, anomaly_ids, first_service, first_metric, "
    "worst_service, worst_metric, kinds, title, reason"
)


def links_sql(episodes: str, depends_on: Mapping[str, Sequence[str]]) -> str:
    """A SELECT (one, other) of linked episodes' ids; `depends_on` names the services that each service calls."""
    edges = [(a, b) for a, others in depends_on.items() for b in others]
    rows = ", ".join(f"({literal(a)}, {literal(b)})" for a, b in edges) or "(NULL::VARCHAR, NULL::VARCHAR)"
    usable = f"(SELECT * FROM {episodes} WHERE status IN ('open', 'closed'))"
    return f"""
WITH calls AS (SELECT * FROM (VALUES {rows}) AS calls (caller, callee)),
near AS (
    SELECT caller AS service, callee AS other FROM calls WHERE caller <> callee
    UNION SELECT callee, caller FROM calls WHERE caller <> callee
),
pairs AS (
    SELECT a.anomaly_id AS one, b.anomaly_id AS other, a.started_at AS begun, a.last_at AS over, b.started_at AS later, TRUE AS same
    FROM {usable} AS a JOIN {usable} AS b ON a.service = b.service AND a.anomaly_id <> b.anomaly_id
        AND b.started_at >= a.started_at AND b.started_at <= greatest(a.last_at, a.started_at) + to_hours({AFTER_HOURS})
    UNION ALL
    SELECT a.anomaly_id, b.anomaly_id, a.started_at, a.last_at, b.started_at, FALSE
    FROM {usable} AS a JOIN near AS n ON n.service = a.service JOIN {usable} AS b ON b.service = n.other
        AND b.started_at >= a.started_at AND b.started_at <= a.started_at + to_hours({SPREAD_HOURS})
)
SELECT DISTINCT one, other FROM pairs
WHERE later - begun <= to_minutes({TOGETHER_MINUTES})
    OR CASE WHEN same THEN later <= over + to_hours({AFTER_HOURS}) ELSE later <= over END
ORDER BY one, other"""


def together(ids: Iterable[str], links: Iterable[tuple[str, str]]) -> list[list[str]]:
    """The ids in groups that links connect, each in the order of `ids`."""
    parent = {one: one for one in ids}

    def root(one: str) -> str:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for one, other in links:
        parent[root(one)] = root(other)
    groups: dict[str, list[str]] = {}
    for one in parent:
        groups.setdefault(root(one), []).append(one)
    return list(groups.values())


def members(
    episodes: Sequence[tuple[str, str, str, float]], links: Iterable[tuple[str, str]], line: float = LINE
) -> dict[str, str]:
    """The incident of each episode that is in one. `episodes` are (id, service, metric, weight) in order of their starts.

    An incident is named after its first episode, so that it keeps its name while it grows. Of several series of one
    metric the heaviest counts, for they tell the same.
    """
    known = {one: (service, metric, weight) for one, service, metric, weight in episodes}
    found = {}
    for group in together(known, links):
        weights: dict[tuple[str, str], float] = {}
        for service, metric, weight in (known[one] for one in group):
            weights[service, metric] = max(weight, weights.get((service, metric), 0.0))
        if sum(weights.values()) >= line:
            found.update(dict.fromkeys(group, f"inc-{group[0]}"))
    return found


def incidents_sql(anomalies: str) -> str:
    """A SELECT of COLUMNS from a relation in the columns of `aiops.anomalies`, rows without an incident aside."""
    by_start, by_score = "ORDER BY started_at, peak_score DESC, anomaly_id", "ORDER BY peak_score DESC, anomaly_id"
    return f"""
WITH held AS (
    SELECT incident_id, min(started_at) AS started_at,
        CASE WHEN bool_or(ended_at IS NULL) THEN NULL ELSE max(ended_at) END AS ended_at,
        CASE WHEN bool_or(severity = 'critical') THEN 'critical' ELSE 'warning' END AS severity,
        list_distinct(list(service {by_start})) AS unordered, list(service {by_start}) AS all_services,
        list(anomaly_id {by_start}) AS anomaly_ids,
        first(service {by_start}) AS first_service, first(metric {by_start}) AS first_metric,
        first(service {by_score}) AS worst_service, first(metric {by_score}) AS worst_metric,
        first(reason {by_score}) AS worst, list_sort(list_distinct(list(kind))) AS kinds, count(*) AS number
    FROM {anomalies}
    WHERE incident_id IS NOT NULL
    GROUP BY incident_id
)
SELECT incident_id, started_at, ended_at, CASE WHEN ended_at IS NULL THEN 'open' ELSE 'closed' END AS status, severity,
    list_filter(all_services, lambda one, place: list_position(all_services, one) = place) AS services, anomaly_ids,
    first_service, first_metric, worst_service, worst_metric, kinds,
    worst_service || ' ' || worst_metric
        || CASE WHEN len(unordered) > 1 THEN ' and ' || (len(unordered) - 1) || ' more services' ELSE '' END AS title,
    number || CASE WHEN number = 1 THEN ' anomaly' ELSE ' anomalies' END || ' of ' || len(unordered)
        || CASE WHEN len(unordered) = 1 THEN ' service' ELSE ' services' END || ', first ' || first_service || ' '
        || first_metric || '; the worst: ' || worst AS reason
FROM held"""
