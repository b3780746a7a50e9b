"""The tables of GitOps that follow from what is declared and was read: which rows they have.

Belongs here: recipes, each a few lines around a topic. Does not: the topics (`diff.py`, `episodes.py`,
`remediation.py`), reading (`reading.py`), Dagster.

All of them speak of the newest commit and the newest live snapshot that were read, whatever `as_of` is; what was at
another time is in `gitops.drift_episodes`. Without applications they are empty and nothing is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from cogniforge_pipeline.gitops.canonical import ResourceKey
from cogniforge_pipeline.gitops.diff import SYNCED, ResourceDrift, compare_states
from cogniforge_pipeline.gitops.episodes import Episode, episodes, fields_of, json_or_none
from cogniforge_pipeline.gitops.health import HEALTHY, UNKNOWN, worst
from cogniforge_pipeline.gitops.ignore import Ignores
from cogniforge_pipeline.gitops.model import APPLICATION_KIND, Application
from cogniforge_pipeline.gitops.remediation import Attempt, decide, repairs
from cogniforge_pipeline.gitops.states import (
    DESIRED,
    LIVE,
    SNAPSHOTS,
    live_states,
    moments,
    newest,
    now_of,
    wanted_states,
)
from cogniforge_pipeline.gitops.urls import address
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.recipes import Computed, Written
from cogniforge_pipeline.registry import REGISTRY, declared
from cogniforge_pipeline.sqltext import ident, literal

APPLICATIONS, DRIFT, EPISODES = "gitops.applications", "gitops.drift", "gitops.drift_episodes"
STATUS, PLANS, ATTEMPTS = "gitops.sync_status", "gitops.remediation_plans", "gitops.remediation_attempts"
TOLD = (ATTEMPTS,)
"""Tables that nothing computes: whoever repairs something writes them."""
READ = (REGISTRY, SNAPSHOTS, DESIRED, LIVE)

Row = dict[str, Any]
Rows = Callable[[Connection, Sequence[Application]], Sequence[Row]]


def computed() -> list[Computed]:
    """All of them."""
    return [
        Computed(APPLICATIONS, (REGISTRY,), _applications),
        _computed(EPISODES, READ, _episodes),
        _computed(DRIFT, (*READ, EPISODES), _drift),
        _computed(STATUS, (*READ, EPISODES), _status),
        _computed(PLANS, (*READ, EPISODES, ATTEMPTS), _plans),
    ]


def applications_of(cursor: Connection) -> list[Application]:
    """The applications in force. Raises DeclarationsInvalid for rows of another version of this program."""
    return [declaration.model for declaration in declared(cursor, APPLICATION_KIND)]


def _computed(name: str, inputs: tuple[str, ...], rows: Rows) -> Computed:
    """A table whose rows are made when they are needed, of what the lake holds then."""

    def recipe(cursor: Connection) -> Written:
        applications = applications_of(cursor)
        digest = _digest(*(application.model_dump_json() for application in applications))

        def statements(cursor: Connection, *_: Any) -> list[str]:
            return _select(rows(cursor, applications))

        return Written(name, inputs, digest, statements, idle=not applications, timeless=True)

    return Computed(name, inputs, recipe)


def _applications(cursor: Connection) -> Written:
    select = _select([_application_row(application) for application in applications_of(cursor)])
    digest = _digest(*select)
    return Written(APPLICATIONS, (REGISTRY,), digest, lambda *_: select, idle=not select, timeless=True)


def _application_row(application: Application) -> Row:
    from pathlib import Path

    policy = application.sync_policy
    rules = ",".join(
        rule.model_dump_json(by_alias=True, exclude_defaults=True) for rule in application.ignore_differences
    )
    return {
        "app_id": application.app_id,
        "name": application.name or application.app_id,
        "repository": str(address(application.repository, Path())),
        "path": application.path,
        "revision": application.revision,
        "server": application.destination.server,
        "namespace": application.destination.namespace or "",
        "auto_sync": policy.auto_sync,
        "auto_remediate": policy.auto_remediate,
        "prune": policy.prune,
        "sync_policy": policy.model_dump_json(),
        "ignore_differences": f"[{rules}]",
        "live": application.live.model_dump_json(exclude_defaults=True) if application.live else "null",
    }


def _episodes(cursor: Connection, applications: Sequence[Application]) -> list[Row]:
    return [
        _episode_row(application.app_id, one) for application in applications for one in replayed(cursor, application)
    ]


def replayed(cursor: Connection, application: Application) -> list[Episode]:
    """All episodes of an application, of the states that were read."""
    app_id = application.app_id
    return episodes(
        wanted_states(cursor, app_id), live_states(cursor, app_id), moments(cursor, app_id), _ignores(application)
    )


def _ignores(application: Application) -> Ignores:
    return Ignores(application.ignore_differences)


def _episode_row(app_id: str, one: Episode) -> Row:
    return {
        "app_id": app_id,
        "key": str(one.key),
        "path": one.path,
        "status": one.status,
        "started_at": one.started_at,
        "ended_at": one.ended_at,
        "seconds_to_repair": one.seconds,
        "flaps": one.flaps,
        "cause": one.cause,
        "repair": one.repair,
        "owner": one.owner,
        "desired": one.desired,
        "live": one.live,
    }


def _open_episodes(cursor: Connection, app_id: str) -> Mapping[tuple[str, str], tuple[Any, str]]:
    """Since when each field differs, and what began it."""
    rows = cursor.execute(
        f"SELECT key, path, started_at, cause FROM {EPISODES} WHERE app_id = {literal(app_id)} AND ended_at IS NULL"
    ).fetchall()
    return {(key, path): (since, cause) for key, path, since, cause in rows}


def current_drift(cursor: Connection, application: Application) -> list[ResourceDrift]:
    """The drift of each resource between the newest states; nothing where a side was never read."""
    if len(newest(cursor, application.app_id)) < 2:
        return []
    wanted = now_of(wanted_states(cursor, application.app_id, only_open=True))
    live = now_of(live_states(cursor, application.app_id, only_open=True))
    return compare_states(wanted, live, _ignores(application))


def _drift(cursor: Connection, applications: Sequence[Application]) -> list[Row]:
    rows = []
    for application in applications:
        sides = newest(cursor, application.app_id)
        since = _open_episodes(cursor, application.app_id)
        for one in current_drift(cursor, application):
            key = str(one.key)
            told: Row = {"app_id": application.app_id, "key": key, "kind": one.key.kind, "namespace": one.key.namespace}
            told |= {"name": one.key.name, "commit": sides["desired"].revision, "taken_at": sides["live"].taken_at}
            for path, (desired, live, owner) in fields_of(one).items():
                start = since.get((key, path), (sides["live"].taken_at, ""))[0]
                field: Row = {"status": one.status, "path": path, "desired": desired, "live": live, "owner": owner}
                rows.append(told | field | {"reason": None, "since": start})
            for left in one.left_alone:
                shown = left.field.to_dict()
                field = {"status": "left_alone", "path": shown["path"], "owner": one.owners.get(shown["path"])}
                field |= {"desired": json_or_none(left.field.desired), "live": json_or_none(left.field.live)}
                rows.append(told | field | {"reason": left.reason, "since": sides["live"].taken_at})
    return rows


def _status(cursor: Connection, applications: Sequence[Application]) -> list[Row]:
    return [
        status_row(cursor, application, [since for since, _ in _open_episodes(cursor, application.app_id).values()])
        for application in applications
    ]


def status_row(cursor: Connection, application: Application, open_since: Sequence[datetime]) -> Row:
    """The verdict on one application; `open_since` are the starts of the episodes that last."""
    app_id = application.app_id
    sides = newest(cursor, app_id)
    found = current_drift(cursor, application)
    counts = {status: sum(one.status == status for one in found) for status in ("missing", "extra", "modified")}
    drifted = sum(counts.values())
    known = len(sides) == 2
    (resources,) = cursor.execute(
        f"SELECT count(*) FROM {DESIRED} WHERE app_id = {literal(app_id)} AND replaced_at IS NULL"
    ).fetchone() or (0,)
    wanted, live = sides.get("desired"), sides.get("live")
    problems = [text for side in sides.values() for text in side.problems]
    problems += [f"{one.key}: {text}" for one in found for text in one.problems]
    return {
        "app_id": app_id,
        "name": application.name or app_id,
        "sync_status": ("OutOfSync" if drifted else "Synced") if known else "Unknown",
        "health": _health(cursor, app_id, counts["missing"]) if known else UNKNOWN,
        "drift_count": drifted,
        **counts,
        "fields": sum(len(one.fields) for one in found),
        "left_alone": sum(len(one.left_alone) for one in found),
        "resources": resources,
        "commit": wanted.revision if wanted else None,
        "committed_at": wanted.taken_at if wanted else None,
        "taken_at": live.taken_at if live else None,
        "out_of_sync_since": min(open_since) if drifted and open_since else None,
        "problems": problems,
    }


def _health(cursor: Connection, app_id: str, missing: int) -> str:
    """The worst health of the resources that are wanted and run, and Missing where one does not."""
    rows = cursor.execute(
        f"SELECT DISTINCT l.health FROM {LIVE} AS l JOIN {DESIRED} AS d ON l.app_id = d.app_id AND l.key = d.key "
        f"WHERE l.app_id = {literal(app_id)} AND l.replaced_at IS NULL AND d.replaced_at IS NULL"
    ).fetchall()
    return worst([health for (health,) in rows] + (["Missing"] if missing else [])) if rows or missing else HEALTHY


def _plans(cursor: Connection, applications: Sequence[Application]) -> list[Row]:
    rows = []
    for application in applications:
        causes = {(key, path): cause for (key, path), (_, cause) in _open_episodes(cursor, application.app_id).items()}
        rows += plan_rows(cursor, application, causes)
    return rows


def plan_rows(cursor: Connection, application: Application, causes: Mapping[tuple[str, str], str]) -> list[Row]:
    """The repairs of one application; `causes` say what began each episode that lasts, by resource and field."""
    app_id = application.app_id
    found = [one for one in current_drift(cursor, application) if one.status != SYNCED]
    if not found:
        return []
    sides = newest(cursor, app_id)
    wanted = now_of(wanted_states(cursor, app_id, only_open=True))
    live = now_of(live_states(cursor, app_id, only_open=True))
    tried = attempts_of(cursor, app_id)
    commit, now = sides["desired"].revision, sides["live"].taken_at
    rows = []
    for step, repair in enumerate(repairs(found, wanted, live), 1):
        begun = {cause for (key, _), cause in causes.items() if key == str(repair.key)}
        decision = decide(repair, "live" if "live" in begun else "commit", application.sync_policy, tried, commit, now)
        rows.append(
            {
                "app_id": app_id,
                "step": step,
                "key": str(repair.key),
                "action": repair.action,
                "patch_type": repair.patch_type,
                "patch": repair.patch,
                "fields": repair.fields,
                "dry_run": repair.dry_run,
                "decision": decision.decision,
                "reason": decision.reason,
                "not_before": decision.not_before,
                "attempts": decision.attempts,
                "commit": commit,
            }
        )
    return rows


def attempts_of(cursor: Connection, app_id: str) -> list[Attempt]:
    """What was tried for an application."""
    rows = cursor.execute(
        f"SELECT key, commit, attempted_at, succeeded FROM {ATTEMPTS} WHERE app_id = {literal(app_id)}"
    ).fetchall()
    return [Attempt(ResourceKey.of_text(key), commit, at, succeeded) for key, commit, at, succeeded in rows]


def _select(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    columns = list(rows[0])
    values = ", ".join(f"({', '.join(_value(row[name]) for name in columns)})" for row in rows)
    return [f"SELECT * FROM (VALUES {values}) AS made({', '.join(map(ident, columns))})"]


def _value(value: Any) -> str:
    return "CAST([] AS VARCHAR[])" if value == [] else literal(value)


def _digest(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:16]
