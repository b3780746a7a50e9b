"""Bringing an application back to what git says: what has to be done, in which order, and whether it may be.

Belongs here: plans and decisions, as values. Does not: doing it (`executor.py`), or tables (`tables.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta

from cogniforge_pipeline.gitops.canonical import ResourceKey, to_text
from cogniforge_pipeline.gitops.diff import EXTRA, MISSING, SYNCED, Live, ResourceDrift, Wanted
from cogniforge_pipeline.gitops.drift import compare
from cogniforge_pipeline.gitops.ignore import remove_path
from cogniforge_pipeline.gitops.kinds import OWN_KINDS, is_known, shape_of
from cogniforge_pipeline.gitops.merge_patch import apply_merge_patch, three_way_merge_patch
from cogniforge_pipeline.gitops.model import SyncPolicy
from cogniforge_pipeline.gitops.paths import path_text
from cogniforge_pipeline.gitops.strategic import three_way_patch
from cogniforge_pipeline.gitops.strategic_apply import PatchInvalid, apply_patch

CREATE, PATCH, DELETE = "create", "patch", "delete"
AUTO, MANUAL, WAIT, GAVE_UP, LOOP = "auto", "manual", "wait", "gave_up", "loop"
ORDER = [
    "Namespace",
    "CustomResourceDefinition",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
]
"""What others need comes first; kinds that are not named come after."""


@dataclass(frozen=True)
class Attempt:
    """That somebody tried to repair a resource for a commit, and whether the cluster took it."""

    key: ResourceKey
    commit: str
    at: datetime
    succeeded: bool


@dataclass(frozen=True)
class Repair:
    """What brings one resource back: a `strategic` or `merge` patch as JSON text, the manifest of a creation, or nothing.

    `dry_run` says what remains when it is applied to the live state.
    """

    key: ResourceKey
    action: str
    patch_type: str
    patch: str | None
    fields: int
    dry_run: str


@dataclass(frozen=True)
class Decision:
    """Whether a repair is done without asking, and why; `not_before` is when it may be tried again."""

    decision: str
    reason: str
    not_before: datetime | None = None
    attempts: int = 0


def repairs(
    drifts: Sequence[ResourceDrift], wanted: Mapping[ResourceKey, Wanted], live: Mapping[ResourceKey, Live]
) -> list[Repair]:
    """The repairs of all that drifted, in the order in which they have to be done."""
    found = [_repair(one, wanted.get(one.key), live.get(one.key)) for one in drifts if one.status != SYNCED]
    return sorted(found, key=_order)


def _order(repair: Repair) -> tuple[bool, int, ResourceKey]:
    place = ORDER.index(repair.key.kind) if repair.key.kind in ORDER else len(ORDER)
    deleting = repair.action == DELETE
    return deleting, -place if deleting else place, repair.key


def _repair(one: ResourceDrift, wanted: Wanted | None, live: Live | None) -> Repair:
    if one.status == EXTRA or wanted is None:
        return Repair(one.key, DELETE, "none", None, 1, "nothing remains")
    if one.status == MISSING or live is None:
        return Repair(one.key, CREATE, "none", to_text(wanted.manifest), 1, "nothing remains")
    group = one.key.group
    strategic = is_known(wanted.api_version) and one.key.kind in OWN_KINDS
    shape = shape_of(wanted.api_version, one.key.kind)
    desired, current = deepcopy(wanted.manifest), live.manifest
    before = deepcopy(live.applied if live.from_server and live.applied else {} if live.from_server else current)
    for left in one.left_alone:
        for side in (desired, before):
            remove_path(side, left.field.path)
    for side in (desired, before):
        side.pop("apiVersion", None)
        side.pop("kind", None)
        metadata = side.get("metadata")
        if isinstance(metadata, dict):
            side["metadata"] = {name: value for name, value in metadata.items() if name not in ("name", "namespace")}
    try:
        if strategic:
            patch = three_way_patch(before, desired, current, shape)
            after = apply_patch(current, patch, shape)
        else:
            patch = three_way_merge_patch(before, desired, current)
            after = apply_merge_patch(current, patch)
    except PatchInvalid as error:
        return Repair(one.key, PATCH, "none", None, len(one.fields), f"no patch can be made: {error.message}")
    remaining = compare(
        wanted.manifest, after, live.applied, shape, strict=not live.from_server, zeros=is_known(group or "v1")
    )
    left_paths = {left.field.path for left in one.left_alone}
    names = [
        path_text(field.path) for field in remaining if field.path not in left_paths and field.path[0] != "apiVersion"
    ]
    told = f"remains: {', '.join(names[:10])}" if names else "nothing remains"
    kind = "strategic" if strategic else "merge"
    return Repair(one.key, PATCH, kind, json.dumps(patch, sort_keys=True, default=str), len(one.fields), told)


def decide(
    repair: Repair, cause: str, policy: SyncPolicy, attempts: Sequence[Attempt], commit: str, now: datetime
) -> Decision:
    """Whether a repair may be done at `now` without asking. `cause` is `commit` or `live`; a new commit counts anew."""
    mine = sorted((one for one in attempts if one.key == repair.key and one.commit == commit), key=lambda one: one.at)
    tried = len(mine)
    if cause == "commit" and not policy.auto_sync:
        return Decision(MANUAL, "auto_sync is off: a commit is not applied without asking", None, tried)
    if cause != "commit" and not policy.auto_remediate:
        return Decision(MANUAL, "auto_remediate is off: drift is shown, not repaired", None, tried)
    if repair.action == DELETE and not policy.prune:
        return Decision(MANUAL, "prune is off: nothing is deleted without asking", None, tried)
    if not mine:
        return Decision(AUTO, "it was not tried for this commit yet", None, 0)
    repaired = sum(one.succeeded for one in mine)
    if repaired >= policy.loop_after:
        words = f"it was repaired {repaired} times for this commit and came back: find who sets it, or ignore the field"
        return Decision(LOOP, words, None, tried)
    failures = next((n for n, one in enumerate(reversed(mine)) if one.succeeded), len(mine))
    if failures >= policy.max_attempts:
        return Decision(
            GAVE_UP, f"it failed {failures} times in a row for this commit; a new commit tries anew", None, tried
        )
    if failures:
        wait = min(policy.backoff_seconds * 2.0 ** (failures - 1), policy.max_backoff_seconds)
        reason = f"the last of {failures} attempts failed"
    else:
        wait, reason = policy.cooldown_seconds, "it was repaired, and came back"
    until = mine[-1].at + timedelta(seconds=wait)
    if now < until:
        return Decision(WAIT, f"{reason}: {wait:g} s have to pass", until, tried)
    return Decision(AUTO, f"{reason}; {wait:g} s have passed", until, tried)
