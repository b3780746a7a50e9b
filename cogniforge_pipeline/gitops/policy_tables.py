"""The tables of policies: those that are declared, and what they find in what git and the cluster say.

Belongs here: recipes. Does not: evaluating (`policy_judged.py`), or tables that calls write (`policy_service.py`).

As the other tables of GitOps, they speak of the newest commit and the newest live snapshot that were read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from cogniforge_pipeline.gitops.policy.declared import POLICY_KIND, Policies, resolve
from cogniforge_pipeline.gitops.policy.model import Policy, Verdict
from cogniforge_pipeline.gitops.policy_judged import DESIRED, LIVE, State, judged, states
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.recipes import Computed, Written
from cogniforge_pipeline.registry import REGISTRY, declared
from cogniforge_pipeline.sqltext import literal

POLICIES, VIOLATIONS, DECISIONS = "gitops.policies", "gitops.policy_violations", "gitops.admission_decisions"

TOLD = (DECISIONS,)
"""Tables that nothing computes."""

_POLICY_COLUMNS = {
    "policy_id": "VARCHAR",
    "name": "VARCHAR",
    "form": "VARCHAR",
    "enforcement_mode": "VARCHAR",
    "severity": "VARCHAR",
    "description": "VARCHAR",
    "about": "VARCHAR",
    "referential": "BOOLEAN",
    "path": "VARCHAR",
    "problem": "VARCHAR",
}
_VIOLATION_COLUMNS = {
    "source": "VARCHAR",
    "app_id": "VARCHAR",
    "cluster": "VARCHAR",
    "namespace": "VARCHAR",
    "api_version": "VARCHAR",
    "kind": "VARCHAR",
    "name": "VARCHAR",
    "key": "VARCHAR",
    "policy_id": "VARCHAR",
    "position": "INTEGER",
    "enforcement_mode": "VARCHAR",
    "severity": "VARCHAR",
    "standing": "VARCHAR",
    "message": "VARCHAR",
    "details": "VARCHAR",
    "commit": "VARCHAR",
    "since": "TIMESTAMPTZ",
    "as_of": "TIMESTAMPTZ",
}


def computed(modules: Callable[[], Sequence[Path]] = tuple) -> list[Computed]:
    """All of them; `modules` gives the Rego files of the platform folder."""
    return [
        Computed(POLICIES, (REGISTRY,), lambda cursor: _policies(cursor, modules())),
        Computed(VIOLATIONS, (REGISTRY, DESIRED, LIVE), lambda cursor: _violations(cursor, modules())),
    ]


def in_force(cursor: Connection, modules: Sequence[Path] = ()) -> Policies:
    """The policies of the registry and of Rego files."""
    return resolve(declared(cursor, POLICY_KIND), modules)


def _policies(cursor: Connection, modules: Sequence[Path]) -> Written:
    found = in_force(cursor, modules)
    places = {each.name: each.path for each in declared(cursor, POLICY_KIND)}
    places |= {path.stem: path.name for path in modules}
    rows = [
        {
            "policy_id": policy.policy_id,
            "name": policy.name,
            "form": policy.form,
            "enforcement_mode": policy.enforcement.value,
            "severity": policy.severity,
            "description": policy.description,
            "about": policy.match.model_dump_json(by_alias=True, exclude_defaults=True),
            "referential": policy.inventory,
            "path": places.get(policy.policy_id),
            "problem": None,
        }
        for policy in found.policies
    ]
    rows += [
        {
            **dict.fromkeys(_POLICY_COLUMNS),
            "policy_id": f"{problem.path}:{problem.line or 0}",
            "name": problem.path,
            "form": "unreadable",
            "path": problem.path,
            "problem": str(problem),
        }
        for problem in found.problems
    ]
    select = rows_sql(rows, _POLICY_COLUMNS)
    return Written(POLICIES, (REGISTRY,), _digest(select), lambda *_: [select] if rows else [], 0, 0, not rows, True)


def _violations(cursor: Connection, modules: Sequence[Path]) -> Written:
    policies = in_force(cursor, modules).policies

    def statements(cursor: Connection, *_: datetime) -> list[str]:
        rows = violation_rows(policies, states(cursor))
        return [rows_sql(rows, _VIOLATION_COLUMNS)] if rows else []

    digest = _digest(*map(repr, policies))
    return Written(VIOLATIONS, (REGISTRY, DESIRED, LIVE), digest, statements, idle=not policies, timeless=True)


def violation_rows(policies: Sequence[Policy], found: Sequence[State]) -> list[dict[str, Any]]:
    """A row for each violation, and one where a policy could say nothing of a resource.

    The moment of all of them, which policies take for now, is that of the newest state.
    """
    if not found:
        return []
    as_of = max(state.since for state in found)
    return [
        row
        for state, verdict in judged(policies, found, as_of=as_of)
        if verdict.standing != "pass"
        for row in _rows(state, verdict, as_of)
    ]


def _rows(state: State, verdict: Verdict, as_of: datetime) -> list[dict[str, Any]]:
    policy = verdict.policy
    told: list[tuple[str, Mapping[str, Any]]] = [(each.message, each.details) for each in verdict.findings]
    return [
        {
            "source": state.source,
            "app_id": state.app_id,
            "cluster": state.cluster,
            "namespace": state.namespace,
            "api_version": state.api_version,
            "kind": state.kind,
            "name": state.name,
            "key": state.key,
            "policy_id": policy.policy_id,
            "position": position,
            "enforcement_mode": policy.enforcement.value,
            "severity": policy.severity,
            "standing": verdict.standing,
            "message": message,
            "details": json.dumps(details),
            "commit": state.commit,
            "since": state.since.isoformat(),
            "as_of": as_of.isoformat(),
        }
        for position, (message, details) in enumerate(told or [(verdict.reason, {})])
    ]


def rows_sql(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """A SELECT of rows that Python made, as one JSON text: any number of them is one literal."""
    shape = json.dumps([dict(columns)])
    text = literal(json.dumps(list(rows)))
    return f"SELECT row.* FROM (SELECT unnest(from_json({text}, {literal(shape)})) AS row)"


def _digest(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()
