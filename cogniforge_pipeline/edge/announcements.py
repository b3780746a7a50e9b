"""What the tables of placements have to tell others.

Belongs here: rows to events. Does not: who hears of them (`events`), or failovers, which are told when they are decided.
"""

from __future__ import annotations

from cogniforge_pipeline.events import NewEvent
from cogniforge_pipeline.lake import Connection

SOURCE = "/cogniforge/edge"


def unplaced_events(cursor: Connection) -> list[NewEvent]:
    """`placement.unplaced` for each workload of `edge.placements` with copies that have no place, once for a plan."""
    rows = cursor.execute(
        "SELECT workload, missing, conflict, decided_at FROM edge.placements WHERE missing > 0 ORDER BY workload"
    ).fetchall()
    return [
        NewEvent(
            "placement.unplaced",
            SOURCE,
            {"workload": workload, "missing": missing, "conflict": conflict},
            workload,
            at,
            f"{workload}:unplaced:{at.isoformat()}",
        )
        for workload, missing, conflict, at in rows
    ]


ANNOUNCERS = {"edge.placements": unplaced_events}
