"""The tables that follow from the journal and from what is declared.

Belongs here: their statements. Does not: copying the journal (`projection.py`), Dagster.

Where nothing was ever started the journal is empty, and these tables rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.recipes import Computed, Written
from cogniforge_pipeline.registry import REGISTRY
from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.workflow.model import WORKFLOW_KIND, WorkflowDefinition
from cogniforge_pipeline.workflow.projection import JOURNAL, digest

DEFINITIONS, EXECUTIONS = "workflow.definitions", "workflow.executions"
ATTEMPTS, COMPENSATIONS, STATISTICS = "workflow.activity_attempts", "workflow.compensations", "workflow.statistics"

_EXECUTIONS = f"""
SELECT
    execution_id,
    any_value(workflow_id) AS workflow_id,
    any_value(definition) FILTER (kind = 'start') AS definition,
    coalesce(any_value(status) FILTER (kind = 'end'), 'running') AS status,
    any_value(trigger) AS trigger,
    any_value(parent_id) AS parent_id,
    min(started_at) AS started_at,
    max(finished_at) FILTER (kind = 'end') AS finished_at,
    epoch(max(finished_at) FILTER (kind = 'end') - min(started_at)) AS seconds,
    count(*) FILTER (kind = 'attempt' AND status <> 'interrupted') AS attempts,
    count(*) FILTER (kind = 'attempt' AND status <> 'interrupted' AND attempt > 1) AS retries,
    count(DISTINCT unit) FILTER (kind = 'compensate' AND ok) AS compensations,
    any_value(error_type) FILTER (kind = 'end') AS error_type,
    any_value(error_message) FILTER (kind = 'end') AS error_message
FROM {JOURNAL}
GROUP BY execution_id
"""
_OPERATIONS = f"""
SELECT
    execution_id, seq, workflow_id, activity_id, unit, kind, attempt, status, started_at, finished_at,
    epoch(finished_at - started_at) AS seconds, error_type, error_message
FROM {JOURNAL}
"""
_ATTEMPTS = f"{_OPERATIONS} WHERE kind IN ('attempt', 'wait', 'signal')"
_COMPENSATIONS = f"{_OPERATIONS} WHERE kind = 'compensate'"
_STATISTICS = f"""
SELECT
    workflow_id,
    activity_id,
    count(*) AS attempts,
    count(*) FILTER (NOT ok) AS failures,
    count(*) FILTER (attempt > 1) AS retries,
    count(*) FILTER (NOT ok) / count(*) AS failure_rate,
    count(*) FILTER (attempt > 1) / count(*) AS retry_rate,
    quantile_cont(epoch(finished_at - started_at), 0.5) AS p50_seconds,
    quantile_cont(epoch(finished_at - started_at), 0.95) AS p95_seconds,
    quantile_cont(epoch(finished_at - started_at), 0.99) AS p99_seconds,
    max(finished_at) AS last_at
FROM {JOURNAL}
WHERE kind = 'attempt' AND status <> 'interrupted'
GROUP BY workflow_id, activity_id
"""


def computed() -> list[Computed]:
    """All of them."""
    statements = {
        EXECUTIONS: _EXECUTIONS,
        ATTEMPTS: _ATTEMPTS,
        COMPENSATIONS: _COMPENSATIONS,
        STATISTICS: _STATISTICS,
    }
    made = [Computed(name, (JOURNAL,), _from_journal(name, statement)) for name, statement in statements.items()]
    return [Computed(DEFINITIONS, (REGISTRY,), _definitions), *made]


def _from_journal(name: str, statement: str) -> Callable[[Connection], Written]:
    def recipe(cursor: Connection) -> Written:
        idle = cursor.execute(f"SELECT 1 FROM {JOURNAL} LIMIT 1").fetchone() is None
        return Written(name, (JOURNAL,), digest({"sql": statement}), lambda *_: [statement], idle=idle, timeless=True)

    return recipe


def _definitions(cursor: Connection) -> Written:
    rows = cursor.execute(
        f"SELECT name, version, origin, spec, declared_at, withdrawn_at FROM {REGISTRY} "
        f"WHERE kind = {literal(WORKFLOW_KIND.name)} ORDER BY name, version"
    ).fetchall()
    columns = (
        "workflow_id, version, definition, origin, name, activities, compensated, triggers, declared_at, withdrawn_at"
    )
    values = []
    for name, version, origin, text, declared, withdrawn in rows:
        try:
            model = WorkflowDefinition.model_validate(json.loads(text))
        except ValueError:
            continue  # of another version of this program; what is in force is reported by `declared`
        triggers = ", ".join(literal(trigger.type) for trigger in model.triggers)
        undone = sum(activity.undo is not None for activity in model.activities)
        cells = [name, version, digest(model.spec()), origin, model.name, len(model.activities), undone]
        cells_sql = [*map(literal, cells), f"CAST([{triggers}] AS VARCHAR[])", literal(declared), literal(withdrawn)]
        values.append(f"({', '.join(cells_sql)})")
    select = f"SELECT * FROM (VALUES {', '.join(values)}) AS rows ({columns})"
    statements = [select] if values else []
    shown = digest({"sql": select if values else ""})
    return Written(DEFINITIONS, (REGISTRY,), shown, lambda *_: statements, idle=not values, timeless=True)
