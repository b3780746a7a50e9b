"""What the tables of GitOps have to tell others: drift that was found and cleared.

Belongs here: rows to events. Does not: who hears of them (`events`).

An event has the same id whenever the table is computed again, so it is in the log once.
"""

from __future__ import annotations

from cogniforge_pipeline.events import NewEvent
from cogniforge_pipeline.gitops.tables import EPISODES
from cogniforge_pipeline.lake import Connection

SOURCE = "/cogniforge/gitops"
DAYS = 7
"""What is older when a table is made for the first time is history, not news."""


def drift_events(cursor: Connection) -> list[NewEvent]:
    """`gitops.drift.found` and `gitops.drift.cleared` of the last DAYS days, one for each resource and time.

    Several fields of a resource that begin or end to differ at once are one event, which names them.
    """
    found = []
    for name, moment, extra in (
        ("found", "started_at", "any_value(cause)"),
        ("cleared", "ended_at", "any_value(repair)"),
    ):
        rows = cursor.execute(
            f"SELECT app_id, key, {moment}, {extra}, list(path ORDER BY path), max(flaps), max(seconds_to_repair) "
            f"FROM {EPISODES} WHERE {moment} > (SELECT max(greatest(started_at, ended_at)) FROM {EPISODES}) - INTERVAL {DAYS} DAY "
            f"GROUP BY app_id, key, {moment} ORDER BY ALL"
        ).fetchall()
        for app_id, key, at, by, paths, flaps, seconds in rows:
            about = {"app_id": app_id, "key": key, "fields": [path for path in paths if path], "by": by, "flaps": flaps}
            if name == "cleared":
                about["seconds_to_repair"] = seconds
            event_id = f"{app_id}:{key}:{at.isoformat()}:{name}"
            found.append(NewEvent(f"gitops.drift.{name}", SOURCE, about, app_id, at, event_id))
    return found


ANNOUNCERS = {EPISODES: drift_events}
