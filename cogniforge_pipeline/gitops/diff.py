"""Drift of many resources: which manifests belong together, what is missing, extra or modified.

Belongs here: pairing, and the fields that are left alone. Does not: comparing two manifests (`drift.py`), reading them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from cogniforge_pipeline.gitops.autoscaled import Autoscaled, autoscaled
from cogniforge_pipeline.gitops.canonical import ResourceKey, canonical, last_applied, was_on_server
from cogniforge_pipeline.gitops.drift import FieldDrift, compare
from cogniforge_pipeline.gitops.ignore import Ignored, Ignores, Sides
from cogniforge_pipeline.gitops.kinds import is_known, shape_of
from cogniforge_pipeline.gitops.managers import Owners, owners
from cogniforge_pipeline.gitops.manifests import Manifest
from cogniforge_pipeline.gitops.paths import path_text

MISSING, EXTRA, MODIFIED, SYNCED = "missing", "extra", "modified", "synced"
INJECTED = frozenset(
    {("", "ConfigMap", "kube-root-ca.crt"), ("", "ServiceAccount", "default"), ("", "Service", "kubernetes")}
)
"""What a cluster makes by itself in each namespace."""
MADE_BY_OTHERS = frozenset({"Endpoints", "EndpointSlice", "Event", "Lease", "ControllerRevision", "PodMetrics"})


@dataclass(frozen=True)
class LeftAlone:
    """A field that differs and is left alone, and why."""

    field: FieldDrift
    reason: str


@dataclass(frozen=True)
class ResourceDrift:
    """A resource: missing in the cluster, extra there, modified, or synced. `owners` names who set each field."""

    key: ResourceKey
    status: str
    fields: tuple[FieldDrift, ...] = ()
    left_alone: tuple[LeftAlone, ...] = ()
    problems: tuple[str, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        made: dict[str, Any] = {"key": str(self.key), "status": self.status}
        made["fields"] = [one.to_dict() for one in self.fields]
        if self.left_alone:
            made["left_alone"] = [{**one.field.to_dict(), "reason": one.reason} for one in self.left_alone]
        if self.problems:
            made["problems"] = list(self.problems)
        return made


def detect(
    desired: Iterable[Manifest],
    live: Iterable[Manifest],
    salt: bytes,
    *,
    ignores: Ignores | None = None,
    namespace: str = "",
) -> list[ResourceDrift]:
    """Each resource of either side, in order of key. `namespace` is where desired manifests go that name none."""
    wanted: dict[ResourceKey, Wanted] = {}
    there: dict[ResourceKey, Live] = {}
    for key, (left, right) in pair(list(desired), list(live), namespace).items():
        if left is not None:
            wanted[key] = Wanted(str(left.body.get("apiVersion", "")), canonical(left.body, salt))
        if right is not None:
            there[key] = live_of(key, right.body, salt)
    return compare_states(wanted, there, ignores or Ignores())


@dataclass(frozen=True)
class Wanted:
    """A resource as it is wanted, canonical."""

    api_version: str
    manifest: dict[str, Any]


@dataclass(frozen=True)
class Live:
    """A resource as it runs, canonical, and what is known of how it came about."""

    manifest: dict[str, Any]
    applied: dict[str, Any] | None
    owners: Owners
    from_server: bool
    owned: bool


def live_of(key: ResourceKey, body: Mapping[str, Any], salt: bytes) -> Live:
    """A live manifest, canonical."""
    applied = last_applied(body)
    return Live(
        canonical(body, salt),
        canonical(applied, salt) if applied is not None else None,
        owners(body),
        was_on_server(body),
        not_ours(key, body),
    )


def compare_states(
    wanted: Mapping[ResourceKey, Wanted],
    live: Mapping[ResourceKey, Live],
    ignores: Ignores,
    scaled: Autoscaled | None = None,
) -> list[ResourceDrift]:
    """The drift of each resource of either side, in order of key; what something in the cluster made is not extra.

    `scaled` is what autoscalers own, by default those among these resources.
    """
    if scaled is None:
        scaled = autoscaled([one.manifest for side in (wanted, live) for one in side.values()])
    both = {
        key: Sides(dict(one.manifest), dict(live[key].manifest), live[key].applied, live[key].owners)
        for key, one in wanted.items()
        if key in live
    }
    ignored = ignores.of(both)
    found = [ResourceDrift(key, MISSING) for key in wanted if key not in live]
    found += [ResourceDrift(key, EXTRA) for key, one in live.items() if key not in wanted and not one.owned]
    found += [
        _drift(key, wanted[key].api_version, sides, live[key].from_server, ignored[key], scaled)
        for key, sides in both.items()
    ]
    return sorted(found, key=lambda one: one.key)


def not_ours(key: ResourceKey, live: Mapping[str, Any]) -> bool:
    """Whether something in the cluster made a resource by itself: another resource owns it, or the cluster does."""
    owned = any(isinstance(one, Mapping) and one.get("controller") for one in _owner_references(live))
    return owned or (key.group, key.kind, key.name) in INJECTED or key.kind in MADE_BY_OTHERS


def _owner_references(live: Mapping[str, Any]) -> Sequence[Any]:
    found = (live.get("metadata") or {}).get("ownerReferences")
    return found if isinstance(found, list) else []


def pair(
    desired: Sequence[Manifest], live: Sequence[Manifest], namespace: str = ""
) -> dict[ResourceKey, tuple[Manifest | None, Manifest | None]]:
    """Both sides of each resource. Where one side names no namespace, the other side's only resource of that kind and
    name is its partner. A resource that is given twice is taken as it is given last."""
    wanted = {one.key(namespace): one for one in desired}
    there = {one.key(): one for one in live}
    loose: dict[tuple[str, str, str], list[ResourceKey]] = defaultdict(list)
    for key in there:
        if key not in wanted:
            loose[key.group, key.kind, key.name].append(key)
    pairs: dict[ResourceKey, tuple[Manifest | None, Manifest | None]] = {}
    taken: set[ResourceKey] = set()
    for key, manifest in wanted.items():
        partner = key if key in there else None
        if partner is None:
            others = loose[key.group, key.kind, key.name]
            if len(others) == 1 and others[0] not in taken and not (key.namespace and others[0].namespace):
                partner = others[0]
        if partner is not None:
            taken.add(partner)
        pairs[partner if partner and partner.namespace else key] = (manifest, there[partner] if partner else None)
    return pairs | {key: (None, manifest) for key, manifest in there.items() if key not in taken}


def _drift(
    key: ResourceKey, api_version: str, given: Sides, from_server: bool, ignored: Ignored, scaled: Autoscaled
) -> ResourceDrift:
    sides = [_prepared(side, ignored, role) for role, side in enumerate(given.each())]
    wanted, there, before = sides
    fields = compare(
        wanted, there, before, shape_of(api_version, key.kind), strict=not from_server, zeros=is_known(api_version)
    )
    left, kept = [], []
    for one in fields:
        reason = scaled.reason(key, one.path, given.owners) or _controlled(key, given.desired, one)
        if reason:
            left.append(LeftAlone(one, reason))
        else:
            kept.append(one)
    names = {path_text(one.path): found[0].name for one in fields if (found := given.owners.of(one.path))}
    return ResourceDrift(key, MODIFIED if kept else SYNCED, tuple(kept), tuple(left), ignored.problems, names)


def _prepared(side: dict[str, Any], ignored: Ignored, role: int) -> dict[str, Any]:
    """A side without what is ignored, and without what the key or the request says."""
    made = deepcopy(side) if ignored.paths[role] else dict(side)
    ignored.strip(made, role)
    made.pop("apiVersion", None)  # servers answer in the version that they are asked for
    metadata = made.get("metadata")
    if isinstance(metadata, dict) and "namespace" in metadata:
        made["metadata"] = {name: value for name, value in metadata.items() if name != "namespace"}
    return made


def _controlled(key: ResourceKey, desired: Mapping[str, Any], one: FieldDrift) -> str:
    if key.kind == "ClusterRole" and desired.get("aggregationRule") and one.path[0] == "rules":
        return "the rules of an aggregated role are put together by the cluster"
    return ""
