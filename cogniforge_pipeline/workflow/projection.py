"""The journal of executions as the lake's table `workflow.journal`.

Belongs here: copying what is new, once. Does not: what the tables made from it say (`tables.py`).

What an execution was given and gave stays in the journal: it may be large, or nobody's business.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from cogniforge_pipeline import publish
from cogniforge_pipeline.declarations import canonical_json
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.publish import Circumstances, Mode, Publication
from cogniforge_pipeline.sqltext import ident, literal
from cogniforge_pipeline.workflow.journal import Journal, Recorded, WorkflowExecution
from cogniforge_pipeline.workflow.store import Store

JOURNAL = "workflow.journal"
BATCH = 5_000
OVERLAP_SECONDS = 600.0
"""Outcomes of several machines may reach the journal in another order than that of their times."""
END = 2**31 - 1
_UNIT = re.compile(r"(?:[^.]*\.)?([^.\[]+)(?:\[\d+\])?")


def digest(spec: Mapping[str, Any]) -> str:
    """What tells one version of a definition from another."""
    return hashlib.sha256(canonical_json(spec).encode()).hexdigest()[:16]


def project_journal(home: Home, *, run_id: str) -> Publication | None:
    """Appends what the lake does not have yet, in batches; gives the last publication, or None."""
    if not Journal.exists(home.settings):
        return None
    contract = home.contracts[JOURNAL]
    cursor = home.lake.cursor()
    columns = [column.name for column in contract.columns]
    last: Publication | None = None
    store = Store(home.settings)
    try:
        with home.lake.explained():
            newest = cursor.execute(f"SELECT epoch(max(finished_at)) FROM {JOURNAL}").fetchone()
            since = newest[0] - OVERLAP_SECONDS if newest and newest[0] is not None else 0.0
            left = _rows(Journal(store), since)
            while rows := list(islice(left, BATCH)):
                values = ", ".join(f"({', '.join(literal(row.get(name)) for name in columns)})" for row in rows)
                select = (
                    f"SELECT * FROM (VALUES {values}) AS rows ({', '.join(map(ident, columns))}) "
                    f"ANTI JOIN (SELECT execution_id, seq FROM {JOURNAL}) USING (execution_id, seq)"
                )
                last = _append(home, contract, cursor, select, run_id) or last
    finally:
        store.close()
    return last


def _append(home: Home, contract: Any, cursor: Any, select: str, run_id: str) -> Publication | None:
    while True:
        version = publish.versions(cursor).get(JOURNAL, 0)
        if not cursor.execute(f"SELECT 1 FROM ({select}) LIMIT 1").fetchone():
            return None
        circumstances = Circumstances(run_id, expected={JOURNAL: version})
        with publish.stage(cursor, contract, [select], mode=Mode.APPEND, run_id=run_id) as staged:
            try:
                return publish.publish(home.lake, cursor, [staged], circumstances)[0]
            except publish.Superseded:
                continue


def _rows(journal: Journal, since: float) -> Iterator[dict[str, Any]]:
    executions = {each.execution_id: each for each in journal.executions(limit=10**9, since=since)}
    for execution in executions.values():
        yield from _ends(execution)
    known = {name: each.workflow_id for name, each in executions.items()}
    for recorded in journal.operations(since=since):
        if recorded.execution_id not in known:
            found = journal.executions(ids=[recorded.execution_id], limit=1)
            known[recorded.execution_id] = found[0].workflow_id if found else ""
        yield _operation(recorded, known[recorded.execution_id])


def _ends(execution: WorkflowExecution) -> Iterator[dict[str, Any]]:
    both = {"execution_id": execution.execution_id, "workflow_id": execution.workflow_id}
    if execution.started_at:
        yield {
            **both,
            "seq": 0,
            "kind": "start",
            "ok": True,
            "started_at": execution.started_at,
            "finished_at": execution.started_at,
            "definition": digest(execution.definition),
            "trigger": execution.trigger,
            "parent_id": execution.parent,
        }
    if execution.done and execution.finished_at:
        error = execution.error or {}
        yield {
            **both,
            "seq": END,
            "kind": "end",
            "ok": execution.status == "completed",
            "started_at": execution.started_at,
            "finished_at": execution.finished_at,
            "status": execution.status,
            "error_type": error.get("type"),
            "error_message": error.get("message"),
        }


def _operation(recorded: Recorded, workflow_id: str) -> dict[str, Any]:
    outcome = recorded.outcome
    error = outcome.get("error") or {}
    name = _UNIT.fullmatch(outcome["unit"])
    return {
        "execution_id": recorded.execution_id,
        "seq": recorded.seq + 1,
        "workflow_id": workflow_id,
        "kind": outcome["kind"],
        "unit": outcome["unit"],
        "activity_id": name[1] if name else outcome["unit"],
        "attempt": outcome["attempt"],
        "ok": outcome["ok"],
        "status": "interrupted" if outcome.get("interrupted") else "succeeded" if outcome["ok"] else "failed",
        "started_at": datetime.fromtimestamp(outcome["started"], UTC),
        "finished_at": datetime.fromtimestamp(outcome["finished"], UTC),
        "error_type": error.get("type"),
        "error_message": error.get("message"),
    }
