"""Reading what applications want and what runs into the tables, with their history.

Belongs here: what is new since the last reading, and publishing it in one transaction. Does not: git (`history.py`),
clusters (`live.py`), or what follows (`tables.py`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path
from typing import Any

from cogniforge_pipeline import publish
from cogniforge_pipeline.gitops.canonical import ResourceKey, digest, last_applied, to_text
from cogniforge_pipeline.gitops.diff import live_of
from cogniforge_pipeline.gitops.git import GitFailed, first_parents, head_of, open_repository
from cogniforge_pipeline.gitops.health import health_of
from cogniforge_pipeline.gitops.history import MICROSECOND, Follower, State, Step, follow
from cogniforge_pipeline.gitops.live import LiveFailed, Snapshot, snapshots
from cogniforge_pipeline.gitops.model import APPLICATION_KIND, Application
from cogniforge_pipeline.gitops.news import SIDES, News, Row, publish_news
from cogniforge_pipeline.gitops.states import DESIRED, LIVE, SNAPSHOTS
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import ATTEMPTS, Publication, Superseded
from cogniforge_pipeline.registry import declared
from cogniforge_pipeline.sqltext import literal

READ = (SNAPSHOTS, DESIRED, LIVE)


@dataclass
class Reading:
    """What a reading found: how much, what could not be read, and what was published."""

    applications: int = 0
    commits: int = 0
    snapshots: int = 0
    problems: list[str] = field(default_factory=list)
    publications: list[Publication] = field(default_factory=list)


@dataclass(frozen=True)
class _Last:
    """The newest entry of the ledger, and the state of each resource by side."""

    revision: str
    taken_at: datetime
    definition: str


def read_applications(home: Home, run_id: str) -> Reading:
    """Reads what is new of all applications. One that cannot be read is a problem, and the others are read.

    Without applications nothing is read or written. Raises LakeError, and Superseded after ATTEMPTS attempts.
    """
    cursor = home.lake.cursor()
    with home.lake.explained():
        for attempt in range(1, ATTEMPTS + 1):
            applications = [declaration.model for declaration in declared(cursor, APPLICATION_KIND)]
            if not applications:
                return Reading()
            versions = publish.versions(cursor)
            found, new = Reading(len(applications)), News()
            for application in applications:
                _read_desired(home, cursor, application, found, new)
                _read_live(home, cursor, application, found, new)
            if not new.ledger:
                return found
            try:
                found.publications = publish_news(
                    home, cursor, new, {name: versions.get(name, 0) for name in READ}, run_id
                )
                return found
            except Superseded:
                if attempt == ATTEMPTS:
                    raise
    raise AssertionError("unreachable")


def salt_of(state: Path) -> bytes:
    """The home's salt for values of Secrets, made when it is first needed; nobody else can read it."""
    path = state / "gitops" / "salt"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(handle, "wb") as file:
        made = os.urandom(32)
        file.write(made)
    return made


def _last(cursor: Connection, application: str, side: str) -> _Last | None:
    row = cursor.execute(
        f"SELECT revision, taken_at, definition FROM {SNAPSHOTS} "
        f"WHERE app_id = {literal(application)} AND side = {literal(side)} ORDER BY taken_at DESC LIMIT 1"
    ).fetchone()
    return _Last(row[0], row[1].astimezone(UTC), row[2]) if row else None


def _open(cursor: Connection, application: str, side: str) -> dict[str, str]:
    """The states that hold now: what tells one from another, by the text of the key."""
    mark = "hash" if side == "desired" else "hash || ' ' || health || ' ' || coalesce(md5(applied), '')"
    rows = cursor.execute(
        f"SELECT key, {mark} FROM {SIDES[side]} WHERE app_id = {literal(application)} AND replaced_at IS NULL"
    ).fetchall()
    return dict(rows)


def _read_desired(home: Home, cursor: Connection, application: Application, found: Reading, new: News) -> None:
    namespace = application.destination.namespace or ""
    definition = digest(to_text([application.repository, application.path, application.revision, namespace]))  # type: ignore[arg-type]
    try:
        repository = open_repository(application.repository, home.settings.home, home.settings.state / "git")
        head = head_of(repository, application.branch, application.tag)
    except GitFailed as error:
        found.problems.append(f"{application.app_id}: {error.message}")
        return
    last = _last(cursor, application.app_id, "desired")
    if last and last.revision == str(head.id) and last.definition == definition:
        return
    states = _open(cursor, application.app_id, "desired")
    follower = Follower(repository, application.path, namespace, salt_of(home.settings.state), application.app_id)
    commits = first_parents(head, last.revision if last else None, application.history)
    goes_on = last is not None and last.definition == definition and commits
    known = bool(goes_on and commits[0].parent_ids and str(commits[0].parent_ids[0]) == last.revision)  # type: ignore[union-attr]
    if known:
        follower.move(commits[0].parents[0])
    elif last:
        commits = [head]  # another branch, folder or repository: from what was wanted to what is
    steps = follow(follower, commits, last.taken_at if last else None)
    first = True
    for step in steps:
        if last and not known and first:
            step = _rebased(step, follower, states, datetime.now(UTC), last.taken_at)
        first = False
        _enter_step(application, step, definition, states, new)
        found.commits += 1
    found.problems += [str(problem) for problem in follower.problems()]


def _rebased(step: Step, follower: Follower, states: Mapping[str, str], now: datetime, after: datetime) -> Step:
    """A step that changes what the lake holds into what the follower wants: a definition or a history was changed."""
    changed: dict[ResourceKey, State | None] = dict(step.changed)
    changed = {key: state for key, state in changed.items() if state and states.get(str(key)) != state.hash}
    changed |= {ResourceKey.of_text(key): None for key in states if follower.wanted(ResourceKey.of_text(key)) is None}
    return Step(step.commit, max(now, after + MICROSECOND), changed, step.resources, step.problems)


def _enter_step(application: Application, step: Step, definition: str, states: dict[str, str], new: News) -> None:
    for key, state in step.changed.items():
        if str(key) in states:
            new.end("desired", application.app_id, str(key), step.at)
        if state is None:
            states.pop(str(key), None)
            continue
        states[str(key)] = state.hash
        row = _identity(application, key, state.api_version, state.text, state.hash)
        told = {"commit": step.commit.id, "committed_at": step.at, "replaced_at": None}
        new.add("desired", row | told | {"path": state.path, "line": state.line})
    new.ledger.append(
        _entry(application, "desired", step.commit.id, step.at, definition)
        | {"author": step.commit.author, "message": step.commit.message}
        | {"resources": step.resources, "changed": len(step.changed), "problems": [str(one) for one in step.problems]}
    )


def _read_live(home: Home, cursor: Connection, application: Application, found: Reading, new: News) -> None:
    if application.live is None:
        return
    last = _last(cursor, application.app_id, "live")
    definition = digest(application.live.model_dump_json())
    try:
        namespace = application.destination.namespace or ""
        given = list(snapshots(application.live, home.settings.home, namespace, last.taken_at if last else None))
    except LiveFailed as error:
        found.problems.append(f"{application.app_id}: {error.message}")
        return
    if not given:
        return
    states = _open(cursor, application.app_id, "live")
    salt = salt_of(home.settings.state)
    for one in given:
        _enter_snapshot(application, one, definition, states, salt, new)
        found.snapshots += 1
        found.problems += [f"{application.app_id}: {problem}" for problem in one.problems]


def _enter_snapshot(
    application: Application, given: Snapshot, definition: str, states: dict[str, str], salt: bytes, new: News
) -> None:
    changed = 0
    bodies = {one.key(application.destination.namespace or ""): one.body for one in given.manifests}
    for key, body in bodies.items():
        live = live_of(key, body, salt)
        text, health = to_text(live.manifest), health_of(body)
        applied = to_text(live.applied) if last_applied(body) is not None and live.applied is not None else None
        mark = f"{digest(text)} {health.status} {_md5(applied)}"
        if states.get(str(key)) == mark:
            continue
        changed += 1
        if str(key) in states:
            new.end("live", application.app_id, str(key), given.taken_at)
        states[str(key)] = mark
        managers = [
            {**_named(manager), "fieldsV1": fields}
            for manager, fields in live.owners.entries
            if manager.subresource != "status"
        ]
        row = _identity(application, key, str(body["apiVersion"]), text, digest(text))
        told = {"taken_at": given.taken_at, "replaced_at": None, "applied": applied, "managers": json.dumps(managers)}
        judged = {"health": health.status, "health_message": health.message[:1000]}
        new.add("live", row | told | {"from_server": live.from_server, "owned": live.owned} | judged)
    for key_text in [text for text in states if ResourceKey.of_text(text) not in bodies]:
        changed += 1
        new.end("live", application.app_id, key_text, given.taken_at)
        del states[key_text]
    new.ledger.append(
        _entry(application, "live", given.revision, given.taken_at, definition)
        | {"author": None, "message": None, "resources": len(bodies), "changed": changed}
        | {"problems": [str(problem) for problem in given.problems]}
    )


def _md5(text: str | None) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest() if text is not None else ""


def _named(manager: Any) -> dict[str, str]:
    return {
        "manager": manager.name,
        "operation": manager.operation,
        "subresource": manager.subresource,
        "time": manager.time,
    }


def _identity(application: Application, key: ResourceKey, api_version: str, text: str, hashed: str) -> Row:
    return {
        "app_id": application.app_id,
        "cluster": application.destination.server,
        "namespace": key.namespace,
        "api_version": api_version,
        "kind": key.kind,
        "name": key.name,
        "key": str(key),
        "manifest": text,
        "hash": hashed,
    }


def _entry(application: Application, side: str, revision: str, taken_at: datetime, definition: str) -> Row:
    return {
        "app_id": application.app_id,
        "side": side,
        "revision": revision,
        "taken_at": taken_at,
        "read_at": datetime.now(UTC),
        "definition": definition,
    }
