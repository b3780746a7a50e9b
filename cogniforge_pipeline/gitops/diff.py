"""Drift of many resources: which manifests belong together, what is missing, extra or modified.

Belongs here: pairing, and the fields that are left alone. Does not: comparing two manifests (`drift.py`), reading them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cogniforge_pipeline.gitops.autoscaled import Autoscaled, autoscaled
from cogniforge_pipeline.gitops.canonical import ResourceKey, canonical, last_applied, was_on_server
from cogniforge_pipeline.gitops.drift import FieldDrift, compare
from cogniforge_pipeline.gitops.ignore import Ignored, Ignores
from cogniforge_pipeline.gitops.kinds import is_known, shape_of
from cogniforge_pipeline.gitops.managers import owners
from cogniforge_pipeline.gitops.manifests import Manifest

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
    pairs = pair(list(desired), list(live), namespace)
    scaled = autoscaled([each.body for one in pairs.values() for each in one if each is not None])
    both = {key: (wanted.body, there.body) for key, (wanted, there) in pairs.items() if wanted and there}
    ignored = (ignores or Ignores()).of(both)
    found = []
    for key, (wanted, there) in pairs.items():
        if wanted is None or there is None:
            status = EXTRA if wanted is None else MISSING
            if not (there is not None and status == EXTRA and not_ours(key, there.body)):
                found.append(ResourceDrift(key, status))
            continue
        found.append(_drift(key, wanted.body, there.body, salt, ignored[key], scaled))
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
    key: ResourceKey,
    desired: Mapping[str, Any],
    live: Mapping[str, Any],
    salt: bytes,
    ignored: Ignored,
    scaled: Autoscaled,
) -> ResourceDrift:
    api_version = str(desired.get("apiVersion", ""))
    applied = last_applied(live)
    sides = [canonical(side, salt) if side is not None else None for side in (desired, live, applied)]
    for role, side in enumerate(sides):
        if side is not None:
            ignored.strip(side, role)
    wanted, there, before = sides
    assert wanted is not None and there is not None
    for side in sides:
        if side is not None:
            side.pop("apiVersion", None)  # servers answer in the version that they are asked for
            (side.get("metadata") or {}).pop("namespace", None)  # the key has it
    shape = shape_of(api_version, key.kind)
    strict = not was_on_server(live)
    fields = compare(wanted, there, before, shape, strict=strict, zeros=is_known(api_version))
    known = owners(live)
    left, kept = [], []
    for one in fields:
        reason = scaled.reason(key, one.path, known) or _controlled(key, desired, one)
        if reason:
            left.append(LeftAlone(one, reason))
        else:
            kept.append(one)
    names = {one.to_dict()["path"]: managers[0].name for one in fields if (managers := known.of(one.path))}
    return ResourceDrift(key, MODIFIED if kept else SYNCED, tuple(kept), tuple(left), ignored.problems, names)


def _controlled(key: ResourceKey, desired: Mapping[str, Any], one: FieldDrift) -> str:
    if key.kind == "ClusterRole" and desired.get("aggregationRule") and one.path[0] == "rules":
        return "the rules of an aggregated role are put together by the cluster"
    return ""
