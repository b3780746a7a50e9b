"""What the table of executions has to tell others: how executions ended.

Belongs here: rows to events. Does not: who hears of them (`events`).

An event has the same id whenever the table is computed again, so it is in the log once.
"""

from __future__ import annotations

from cogniforge_pipeline.events import NewEvent
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.workflow.tables import EXECUTIONS

SOURCE = "/cogniforge/workflow"
DAYS = 7
"""What is older when the table is made for the first time is history, not news."""


def execution_events(cursor: Connection) -> list[NewEvent]:
    """`workflow.execution.<status>` of what ended in the last DAYS days before the newest end."""
    rows = cursor.execute(
        "SELECT execution_id, workflow_id, status, finished_at, seconds, trigger, error_type, error_message "
        f"FROM {EXECUTIONS} WHERE finished_at > (SELECT max(finished_at) FROM {EXECUTIONS}) - INTERVAL {DAYS} DAY "
        "ORDER BY finished_at, execution_id"
    ).fetchall()
    return [
        NewEvent(
            f"workflow.execution.{status}",
            SOURCE,
            {
                "execution_id": execution_id,
                "workflow_id": workflow_id,
                "status": status,
                "seconds": seconds,
                "trigger": trigger,
                "error_type": error_type,
                "error_message": error_message,
            },
            workflow_id,
            finished,
            f"{execution_id}:{status}",
        )
        for execution_id, workflow_id, status, finished, seconds, trigger, error_type, error_message in rows
    ]


ANNOUNCERS = {EXECUTIONS: execution_events}
