"""What the tables of states hold, as values that can be compared.

Belongs here: rows of `gitops.desired_resources` and `gitops.live_resources` to values. Does not: writing them
(`reading.py`), comparing (`diff.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cogniforge_pipeline.gitops.canonical import ResourceKey
from cogniforge_pipeline.gitops.diff import Live, Wanted
from cogniforge_pipeline.gitops.managers import Manager, Owners
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.sqltext import literal

DESIRED, LIVE, SNAPSHOTS = "gitops.desired_resources", "gitops.live_resources", "gitops.snapshots"


@dataclass(frozen=True)
class Held:
    """A state of a resource, and from when to when it held; `until` is None while it does."""

    key: ResourceKey
    since: datetime
    until: datetime | None
    value: Any


@dataclass(frozen=True)
class Newest:
    """The newest state that was read of one side: its revision, its time, and what could not be read of it."""

    revision: str
    taken_at: datetime
    problems: tuple[str, ...]


def wanted_states(cursor: Connection, app_id: str, *, only_open: bool = False) -> list[Held]:
    """The desired states of an application, by time."""
    rows = cursor.execute(
        f"SELECT key, committed_at, replaced_at, api_version, manifest FROM {DESIRED} "
        f"WHERE app_id = {literal(app_id)}{' AND replaced_at IS NULL' if only_open else ''} ORDER BY committed_at, key"
    ).fetchall()
    return [
        Held(ResourceKey.of_text(key), _utc(since), _maybe(until), Wanted(api_version, json.loads(manifest)))
        for key, since, until, api_version, manifest in rows
    ]


def live_states(cursor: Connection, app_id: str, *, only_open: bool = False) -> list[Held]:
    """The live states of an application, by time."""
    rows = cursor.execute(
        f"SELECT key, taken_at, replaced_at, manifest, applied, managers, from_server, owned FROM {LIVE} "
        f"WHERE app_id = {literal(app_id)}{' AND replaced_at IS NULL' if only_open else ''} ORDER BY taken_at, key"
    ).fetchall()
    return [
        Held(
            ResourceKey.of_text(key),
            _utc(since),
            _maybe(until),
            Live(
                json.loads(manifest),
                json.loads(applied) if applied is not None else None,
                _owners(json.loads(managers)),
                from_server,
                owned,
            ),
        )
        for key, since, until, manifest, applied, managers, from_server, owned in rows
    ]


def now_of(held: list[Held]) -> dict[ResourceKey, Any]:
    """The states that hold now."""
    return {one.key: one.value for one in held if one.until is None}


def newest(cursor: Connection, app_id: str) -> Mapping[str, Newest]:
    """The newest entry of the ledger, by side."""
    rows = cursor.execute(
        f"SELECT side, arg_max(revision, taken_at), max(taken_at), arg_max(problems, taken_at) FROM {SNAPSHOTS} "
        f"WHERE app_id = {literal(app_id)} GROUP BY side"
    ).fetchall()
    return {side: Newest(revision, _utc(at), tuple(problems)) for side, revision, at, problems in rows}


def known_problems(cursor: Connection) -> list[str]:
    """What could not be read of the newest states of all applications."""
    rows = cursor.execute(
        f"SELECT unnest(problems) FROM (SELECT app_id, side, arg_max(problems, taken_at) AS problems FROM {SNAPSHOTS} "
        "GROUP BY ALL) ORDER BY ALL"
    ).fetchall()
    return [text for (text,) in rows]


def moments(cursor: Connection, app_id: str) -> list[tuple[datetime, str]]:
    """When each state that was read began, and its side, by time."""
    rows = cursor.execute(
        f"SELECT taken_at, side FROM {SNAPSHOTS} WHERE app_id = {literal(app_id)} ORDER BY taken_at, side"
    ).fetchall()
    return [(_utc(at), side) for at, side in rows]


def _owners(entries: list[Mapping[str, Any]]) -> Owners:
    named = ("manager", "operation", "subresource", "time")
    return Owners(
        tuple((Manager(*(str(one.get(name, "")) for name in named)), one.get("fieldsV1") or {}) for one in entries)
    )


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


def _maybe(value: datetime | None) -> datetime | None:
    return value.astimezone(UTC) if value else None
