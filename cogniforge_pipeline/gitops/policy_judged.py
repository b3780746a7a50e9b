"""Policies over what the lake knows: the states that git and the cluster gave resources.

Belongs here: reading those states, and what policies say of them. Does not: tables (`policy_tables.py`), what-if
(`policy_what_if.py`) or reports (`policy_reports.py`), which all start from here.

Referential policies see the other resources of the same cluster: those that are wanted beside what is wanted, those that
run beside what runs. Namespaces that run count for what is wanted, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Literal

from cogniforge_pipeline.gitops.policy.judging import Evaluates, judge
from cogniforge_pipeline.gitops.policy.model import Policy, Verdict
from cogniforge_pipeline.lake import Connection

DESIRED, LIVE = "gitops.desired_resources", "gitops.live_resources"
Source = Literal["desired", "live"]
_SHARED = "app_id, cluster, namespace, api_version, kind, name, key, manifest"


@dataclass(frozen=True)
class State:
    """One state of a resource: from `since` to before `until` (None: still), both UTC. `commit` is None for a live one."""

    source: Source
    app_id: str
    cluster: str
    namespace: str
    api_version: str
    kind: str
    name: str
    key: str
    manifest: dict[str, Any]
    commit: str | None
    since: datetime
    until: datetime | None


def states(cursor: Connection, *, history: bool = False) -> list[State]:
    """The states that last; with `history` also every earlier one that git gave. By cluster, application, key and time."""
    lasting = "WHERE replaced_at IS NULL"
    rows = cursor.execute(
        f"SELECT 'desired', {_SHARED}, commit, committed_at AS since, replaced_at FROM {DESIRED} {'' if history else lasting} "
        f"UNION ALL SELECT 'live', {_SHARED}, NULL, taken_at, replaced_at FROM {LIVE} {lasting} "
        "ORDER BY 1, cluster, app_id, key, since"
    ).fetchall()
    return [_state(row) for row in rows]


def _state(row: tuple[Any, ...]) -> State:
    source, app_id, cluster, namespace, api_version, kind, name, key, manifest, commit, since, until = row
    ended = until.astimezone(UTC) if until else None
    return State(
        source,
        app_id,
        cluster,
        namespace,
        api_version,
        kind,
        name,
        key,
        json.loads(manifest),
        commit,
        since.astimezone(UTC),
        ended,
    )


def judged(
    policies: Sequence[Policy], found: Sequence[State], *, as_of: datetime | None = None, pool: Evaluates | None = None
) -> Iterator[tuple[State, Verdict]]:
    """What policies say of states, those left out that a policy is not about.

    A state of the past is judged beside what lasts now: what surrounded it then is not put together again.
    """
    if not policies:
        return
    now_ns = int(as_of.timestamp() * 1_000_000_000) if as_of else None
    for (source, cluster), group in groupby(found, key=lambda state: (state.source, state.cluster)):
        mine = list(group)
        inventory = [state.manifest for state in mine if state.until is None]
        if source == "desired":
            inventory = [
                *(s.manifest for s in found if s.source == "live" and s.cluster == cluster and s.kind == "Namespace"),
                *inventory,
            ]
        verdicts = judge(policies, [state.manifest for state in mine], inventory, pool=pool, now_ns=now_ns)
        for state, each in zip(mine, verdicts, strict=True):
            yield from ((state, verdict) for verdict in each if verdict.standing != "skip")
