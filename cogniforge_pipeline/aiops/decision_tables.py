"""The table `aiops.healing_decisions`: what decisions read, and the rows of the log.

Belongs here: reading playbooks, incidents and the log so far, and rows. Does not: deciding (`healing`), taking actions,
Dagster.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from cogniforge_pipeline.aiops.anomalies import ANOMALIES, INCIDENTS
from cogniforge_pipeline.aiops.cause_inputs import (
    HELD,
    ROLLUP,
    SERIES,
    IncidentRow,
    graph_of,
    incidents,
    named_rows,
    topology,
    typed_rows,
)
from cogniforge_pipeline.aiops.cause_tables import CAUSES
from cogniforge_pipeline.aiops.healing.decide import Decision, Suspect, Symptom
from cogniforge_pipeline.aiops.healing.log import Approval, Entry, History, Spell, World, advance
from cogniforge_pipeline.aiops.healing.model import PLAYBOOK_KIND, Playbook
from cogniforge_pipeline.aiops.healing.verify import Episode, Outcome
from cogniforge_pipeline.aiops.root_cause.graph import Graph
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import MATERIALIZATIONS
from cogniforge_pipeline.recipes import Computed, Written
from cogniforge_pipeline.registry import REGISTRY, declared
from cogniforge_pipeline.sqltext import literal

DECISIONS, APPROVALS = "aiops.healing_decisions", "aiops.healing_approvals"
INPUTS = (INCIDENTS, ANOMALIES, CAUSES, APPROVALS, SERIES, ROLLUP, REGISTRY)
TOLD = (APPROVALS,)
"""Tables that nothing computes: the Python API writes them."""

_TYPES = {
    "incident_id": "VARCHAR",
    "playbook": "VARCHAR",
    "decided_at": "TIMESTAMPTZ",
    "as_of": "TIMESTAMPTZ",
    "state": "VARCHAR",
    "action": "VARCHAR",
    "workflow": "VARCHAR",
    "parameters": "VARCHAR",
    "target": "VARCHAR",
    "service": "VARCHAR",
    "metric": "VARCHAR",
    "reasons": "VARCHAR[]",
    "against": "VARCHAR[]",
    "verify_by": "TIMESTAMPTZ",
    "precision": "DOUBLE",
    "judged": "INTEGER",
    "outcome": "VARCHAR",
    "cleared_after_minutes": "DOUBLE",
    "judged_at": "TIMESTAMPTZ",
    "outcome_reason": "VARCHAR",
}
_KEY = ("incident_id", "playbook", "decided_at")


def computed() -> list[Computed]:
    """The one table."""
    return [Computed(DECISIONS, INPUTS, _healing_decisions)]


def _healing_decisions(cursor: Connection) -> Written:
    playbooks = [declaration.model for declaration in declared(cursor, PLAYBOOK_KIND)]
    digest = sha256("\n".join(playbook.model_dump_json() for playbook in playbooks).encode()).hexdigest()[:16]
    return Written(
        DECISIONS,
        INPUTS,
        digest,
        lambda cursor, _, as_of: decisions_selects(cursor, playbooks, as_of),
        idle=not playbooks,
    )


def decisions_selects(cursor: Connection, playbooks: Sequence[Playbook], as_of: datetime) -> list[str]:
    """The rows of `aiops.healing_decisions` at `as_of`: those that it has, their outcomes as known now, and new ones."""
    recorded = named_rows(cursor, f"SELECT * FROM {DECISIONS}")
    by_key = {tuple(row[name] for name in _KEY): row for row in recorded}
    (since,) = cursor.execute(
        f"SELECT max(as_of) FROM {MATERIALIZATIONS} WHERE table_name = {literal(DECISIONS)} AND as_of <= {literal(as_of)}"
    ).fetchone() or (None,)
    found = incidents(cursor, as_of)
    entries = advance(
        [_entry(row) for row in recorded],
        _histories(cursor, found),
        playbooks,
        _world(cursor, since, as_of),
        since=since,
        as_of=as_of,
    )
    named = {playbook.name: playbook for playbook in playbooks}
    rows = [_row(entry, by_key.get(entry.key), named) for entry in entries]
    kept = f"SELECT * FROM {DECISIONS}"
    if not rows:
        return [kept]
    made = typed_rows(rows, _TYPES)
    return [made, f"{kept} ANTI JOIN ({made}) AS changed USING ({', '.join(_KEY)})"]


def _histories(cursor: Connection, found: Sequence[IncidentRow]) -> list[History]:
    suspects: dict[str, list[Suspect]] = {}
    rows = cursor.execute(
        f"SELECT incident_id, service, coalesce(metric, target_metric), rank, score, changed_at IS NOT NULL FROM {CAUSES} "
        "ORDER BY incident_id, rank"
    ).fetchall()
    for name, *values in rows:
        suspects.setdefault(name, []).append(Suspect(*values))
    return [
        History(
            incident.incident_id,
            tuple(
                Spell(
                    Symptom(one.service, one.metric, one.kind, one.direction, one.severity, one.started_at),
                    one.ended_at,
                )
                for one in incident.anomalies
            ),
            tuple(suspects.get(incident.incident_id, ())),
        )
        for incident in found
    ]


def _world(cursor: Connection, since: datetime | None, as_of: datetime) -> World:
    declared_topology = topology(cursor)
    services = declared_topology.services if declared_topology else ()
    graph = graph_of(declared_topology)
    backwards = Graph.of(((callee, caller) for caller, callee in graph.edges), graph.nodes) if graph else None
    earliest = literal(as_of - HELD)
    episodes = cursor.execute(
        f"SELECT service, metric, started_at, ended_at FROM {ANOMALIES} WHERE status IN ('open', 'closed') "
        f"AND started_at <= {literal(as_of)} AND coalesce(ended_at, {literal(as_of)}) > {earliest} ORDER BY ALL"
    ).fetchall()
    heard = max(as_of - HELD, min(since or as_of - HELD, as_of - timedelta(days=2)))
    measured = cursor.execute(
        f"SELECT s.service, max(r.ts) + INTERVAL 5 MINUTE FROM {ROLLUP} AS r JOIN {SERIES} AS s USING (series_id) "
        f"WHERE r.ts <= {literal(as_of)} AND r.ts > {literal(heard)} GROUP BY ALL"
    ).fetchall()
    approvals = cursor.execute(
        f"SELECT incident_id, playbook, approved_at FROM {APPROVALS} ORDER BY approved_at"
    ).fetchall()
    return World(
        dependents={one.name: set(backwards.paths_from(one.name)) - {one.name} for one in services}
        if backwards
        else {},
        tiers={one.name: one.tier for one in services},
        approvals=[Approval(*row) for row in approvals],
        episodes=[Episode(*row) for row in episodes],
        measured_until=dict(measured),
    )


def _entry(row: Mapping[str, Any]) -> Entry:
    """The entry of a row of the table."""
    decision = Decision(
        **{name: row[name] for name in ("incident_id", "playbook", "state", "action", "target", "service", "metric")},
        decided_at=row["decided_at"],
        verify_by=row["verify_by"],
        reasons=tuple(row["reasons"]),
        against=tuple(row["against"]),
    )
    outcome = None
    if row["outcome"] is not None:
        outcome = Outcome(
            row["incident_id"],
            row["playbook"],
            row["target"],
            row["decided_at"],
            row["outcome"],
            row["cleared_after_minutes"],
            row["judged_at"] or row["as_of"],
            row["outcome_reason"],
        )
    return Entry(decision, row["as_of"], row["precision"], row["judged"], outcome)


def _row(entry: Entry, known: Mapping[str, Any] | None, playbooks: Mapping[str, Playbook]) -> dict[str, Any]:
    """The row of an entry; of one that is in the table only the outcome is another."""
    outcome = entry.outcome
    told = {
        "outcome": outcome.state if outcome else None,
        "cleared_after_minutes": outcome.cleared_after_minutes if outcome else None,
        "judged_at": outcome.judged_at if outcome and outcome.state != "pending" else None,
        "outcome_reason": outcome.reason if outcome else None,
    }
    if known is not None:
        return {**known, **told}
    decision = entry.decision
    action = playbooks[decision.playbook].action
    return {
        "incident_id": decision.incident_id,
        "playbook": decision.playbook,
        "decided_at": decision.decided_at,
        "as_of": entry.as_of,
        "state": decision.state,
        "action": decision.action,
        "workflow": action.workflow,
        "parameters": json.dumps(action.parameters, sort_keys=True),
        "target": decision.target,
        "service": decision.service,
        "metric": decision.metric,
        "reasons": list(decision.reasons),
        "against": list(decision.against),
        "verify_by": decision.verify_by,
        "precision": entry.precision,
        "judged": entry.judged,
        **told,
    }
