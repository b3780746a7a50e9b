"""What the journal says of executions: how they stand, and everything that came of their operations.

Belongs here: reading DBOS's tables. Does not: writing them (`engine.py`), or copying them into the lake (`projection.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import JsonValue

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.settings import Settings
from cogniforge_pipeline.workflow.store import Store

LIVE = ("queued", "running", "compensating")
_STATES = {"PENDING": "running", "ENQUEUED": "queued", "DELAYED": "queued"}
_COLUMNS = (
    "s.workflow_uuid, s.status, coalesce(i.inputs, s.inputs), coalesce(o.output, s.output), coalesce(o.error, s.error), "
    "s.created_at, s.completed_at, s.executor_id"
)


@dataclass(frozen=True)
class WorkflowExecution:
    """One execution. Times are in UTC.

    `status` is queued, running, completed, failed (nothing was to be undone), compensated, compensation_failed or
    cancelled; `error` says why it is not completed. `trigger` is the event that started it, as source and id.
    """

    execution_id: str
    workflow_id: str
    status: str
    input: JsonValue = None
    output: JsonValue = None
    error: dict[str, Any] | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    parent: str | None = None
    trigger: str | None = None
    worker: str | None = None
    definition: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def done(self) -> bool:
        return self.status not in LIVE


@dataclass(frozen=True)
class Recorded:
    """What came of one operation, as the journal has it; `seq` is its place in the execution."""

    execution_id: str
    seq: int
    outcome: dict[str, Any]


class Journal:
    """Reads one installation's journal."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._schema = "dbos." if store.postgres else ""

    @staticmethod
    def exists(settings: Settings) -> bool:
        """Whether there is anything to read, without making it."""
        return settings.workflows is not None or settings.workflow_journal.exists()

    def executions(
        self, *, ids: Sequence[str] | None = None, limit: int = 100, since: float | None = None
    ) -> list[WorkflowExecution]:
        """The newest executions first; `since` leaves out those that did not change after it (seconds since 1970)."""
        where, values = "s.name = 'execution'", {"limit": limit}
        if ids is not None:
            where += " AND s.workflow_uuid IN :ids"
        if since is not None:
            where += " AND coalesce(s.completed_at, s.updated_at) >= :since"
        statement = (
            f"SELECT {_COLUMNS} FROM {self._schema}workflow_status AS s "
            f"LEFT JOIN {self._schema}workflow_input AS i ON i.workflow_uuid = s.workflow_uuid "
            f"LEFT JOIN {self._schema}workflow_output AS o ON o.workflow_uuid = s.workflow_uuid "
            f"WHERE {where} ORDER BY s.created_at DESC LIMIT :limit"
        )
        if since is not None:
            values["since"] = int(since * 1000)
        return [_execution(*row) for row in self._rows(statement, values, ids)]

    def get(self, execution_id: str) -> WorkflowExecution:
        """One execution. Raises CogniforgeError where there is none."""
        found = self.executions(ids=[execution_id], limit=1)
        if not found:
            raise CogniforgeError(f"there is no execution {execution_id!r}", "list them with: cogniforge workflow list")
        return found[0]

    def operations(self, ids: Sequence[str] | None = None, since: float | None = None) -> Iterator[Recorded]:
        """What came of the operations of these executions (None: of all), in order."""
        where, values = "function_name <> 'first'", {}
        if ids is not None:
            where += " AND workflow_uuid IN :ids"
        if since is not None:
            where += " AND completed_at_epoch_ms >= :since"
            values["since"] = int(since * 1000)
        statement = (
            f"SELECT workflow_uuid, function_id, output FROM {self._schema}operation_outputs "
            f"WHERE {where} AND output IS NOT NULL ORDER BY workflow_uuid, function_id"
        )
        for execution_id, place, output in self._rows(statement, values, ids):
            outcome = json.loads(output)
            if isinstance(outcome, dict) and "kind" in outcome:
                yield Recorded(execution_id, place, outcome)

    def left_alone(self) -> int:
        """How many executions wait for a worker: queued ones, and those whose worker died."""
        statement = (
            f"SELECT status, executor_id, count(*) FROM {self._schema}workflow_status "
            "WHERE name = 'execution' AND status IN ('PENDING', 'ENQUEUED') GROUP BY 1, 2"
        )
        rows = self._rows(statement, {})
        dead = set(self.store.dead({row[1] for row in rows if row[0] == "PENDING" and row[1]}))
        return sum(row[2] for row in rows if row[0] == "ENQUEUED" or row[1] in dead)

    def counts(self) -> dict[str, int]:
        """How many executions there are of each state of the journal: queued, running, ended."""
        rows = self._rows(
            f"SELECT status, count(*) FROM {self._schema}workflow_status WHERE name = 'execution' GROUP BY 1", {}
        )
        found = {"queued": 0, "running": 0, "ended": 0}
        for status, count in rows:
            found[_STATES.get(status, "ended")] += count
        return found

    def _rows(self, statement: str, values: dict[str, Any], ids: Sequence[str] | None = None) -> list[Any]:
        import sqlalchemy as sa

        query = sa.text(statement)
        if ids is not None:
            query, values = query.bindparams(sa.bindparam("ids", expanding=True)), {**values, "ids": list(ids)}
        try:
            with self.store.engine.connect() as connection:
                return list(connection.execute(query, values).fetchall())
        except (sa.exc.OperationalError, sa.exc.ProgrammingError) as error:
            if "no such table" in str(error) or "does not exist" in str(error):
                return []  # nothing was ever started here
            raise


def _execution(
    execution_id: str,
    state: str,
    inputs: str | None,
    output: str | None,
    error: str | None,
    created: int,
    completed: int | None,
    worker: str | None,
) -> WorkflowExecution:
    spec, given, about = json.loads(inputs)["positionalArgs"] if inputs else ({}, None, {})
    came = json.loads(output) if output and state == "SUCCESS" else {}
    if state in _STATES:
        status, why = _STATES[state], None
    elif came:
        status, why = came["status"], came["error"]
    else:
        status, why = "failed", {"type": state, "message": str(error or "")}
    finished = came.get("finished") or (completed / 1000 if completed and status not in LIVE else None)
    return WorkflowExecution(
        execution_id=execution_id,
        workflow_id=spec.get("workflow_id", ""),
        status=status,
        input=given,
        output=came.get("output"),
        error=why,
        started_at=datetime.fromtimestamp(about.get("started", created / 1000), UTC),
        finished_at=None if finished is None else datetime.fromtimestamp(finished, UTC),
        parent=about.get("parent"),
        trigger=about.get("trigger"),
        worker=worker,
        definition=spec,
    )
