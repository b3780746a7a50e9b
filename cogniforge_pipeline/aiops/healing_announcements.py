"""What healing decisions have to tell others: actions to take, and those that wait for a person.

Belongs here: rows to events. Does not: who hears of them (`events`), such as the workflows that carry actions out.

An event has the same id whenever the table is computed again, so it is in the log once.
"""

from __future__ import annotations

import json

from cogniforge_pipeline.aiops.cause_inputs import named_rows
from cogniforge_pipeline.aiops.decision_tables import DECISIONS
from cogniforge_pipeline.events import NewEvent
from cogniforge_pipeline.lake import Connection

SOURCE = "/cogniforge/aiops"
TYPES = {"act": "healing.action.decided", "await_approval": "healing.approval.requested"}


def healing_events(cursor: Connection) -> list[NewEvent]:
    """`healing.action.decided` and `healing.approval.requested` of decisions that are not older than their `verify_by`.

    What is older when a run records it is history: nobody shall act on it any more.
    """
    rows = named_rows(
        cursor,
        f"SELECT * FROM {DECISIONS} WHERE state IN ('act', 'await_approval') AND as_of < verify_by ORDER BY decided_at",
    )
    return [
        NewEvent(
            TYPES[row["state"]],
            SOURCE,
            {
                **{
                    name: row[name]
                    for name in ("incident_id", "playbook", "action", "workflow", "target", "service", "metric")
                },
                "parameters": json.loads(row["parameters"]),
                "reasons": row["reasons"],
                "verify_by": row["verify_by"].isoformat(),
            },
            row["target"],
            row["decided_at"],
            f"{row['incident_id']}:{row['playbook']}:{row['decided_at'].isoformat()}",
        )
        for row in rows
    ]


ANNOUNCERS = {DECISIONS: healing_events}
