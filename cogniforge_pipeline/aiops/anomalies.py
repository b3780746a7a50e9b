"""`aiops.anomalies` and `aiops.incidents`, made together at one moment.

Belongs here: what is declared and what is in the lake, put together. Does not: what an episode or an incident is
(`episodes.py`, `incidents.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

from cogniforge_pipeline.aiops.anomaly_scores import POINTS
from cogniforge_pipeline.aiops.episodes import KEPT, LINE, episodes_sql
from cogniforge_pipeline.aiops.expectations import EXPECTATION_KIND, Expectation, Planned, planned_between
from cogniforge_pipeline.aiops.incidents import incidents_sql, links_sql, members
from cogniforge_pipeline.aiops.model import TOPOLOGY_KIND
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.recipes import Beside, Written
from cogniforge_pipeline.registry import REGISTRY, declared
from cogniforge_pipeline.sqltext import literal

ANOMALIES, INCIDENTS = "aiops.anomalies", "aiops.incidents"
INPUTS = (POINTS, "aiops.series", REGISTRY)
_EPISODES, _MEMBERS = "temp.anomaly_episodes", "temp.incident_members"
_ROWS = f"SELECT * EXCLUDE (last_at), incident_id FROM {_EPISODES} LEFT JOIN {_MEMBERS} USING (anomaly_id)"
_SAMPLE = datetime(2024, 5, 1, tzinfo=UTC)


def anomalies_recipe(_: Connection) -> Written:
    """The recipe of both tables."""
    anything = Expectation(name="any", type="expected", when="daily 00:00-01:00", reason="any")
    sample = episodes_sql(POINTS, "aiops.series", [Planned(anything, _SAMPLE, _SAMPLE)], [("", "", "")], _SAMPLE)
    texts = (sample, links_sql(_EPISODES, {}), incidents_sql(_EPISODES), str(LINE))
    digest = sha256("\n".join(texts).encode()).hexdigest()[:16]
    return Written(ANOMALIES, INPUTS, digest, _anomalies, others=_incidents)


def _anomalies(cursor: Connection, _: datetime, as_of: datetime) -> list[str]:
    expectations = [one.model for one in declared(cursor, EXPECTATION_KIND)]
    planned: list[Planned] = planned_between(expectations, as_of - KEPT - timedelta(1), as_of)
    marked = [(one.anomaly, one.status, one.reason) for one in expectations if one.anomaly]
    query = episodes_sql(POINTS, "aiops.series", planned, marked, as_of)
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE {_EPISODES.removeprefix('temp.')} AS {query}")
    topology = [service for one in declared(cursor, TOPOLOGY_KIND) for service in one.model.services]
    links = cursor.execute(links_sql(_EPISODES, {one.name: one.depends_on for one in topology})).fetchall()
    episodes = cursor.execute(
        f"SELECT anomaly_id, service, metric, weight FROM {_EPISODES} WHERE status IN ('open', 'closed') "
        "ORDER BY started_at, anomaly_id"
    ).fetchall()
    found = members(episodes, links)
    rows = ", ".join(f"({literal(one)}, {literal(incident)})" for one, incident in found.items())
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE {_MEMBERS.removeprefix('temp.')} AS SELECT * FROM "
        f"(VALUES {rows or '(NULL::VARCHAR, NULL::VARCHAR)'}) AS members (anomaly_id, incident_id)"
    )
    return [_ROWS]


def _incidents(_: Connection, __: Sequence[date]) -> list[Beside]:
    return [Beside(INCIDENTS, incidents_sql(f"({_ROWS})"))]
