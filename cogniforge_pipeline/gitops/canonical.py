"""The canonical form of a manifest: what is left when all that says nothing of what is wanted is gone.

Belongs here: dropping what the server writes, masking secrets, the key and the hash of a resource. Does not: comparing
(`drift.py`), which also knows of defaults and quantities.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cogniforge_pipeline.gitops.kinds import CLUSTER_KINDS
from cogniforge_pipeline.gitops.secrets import mask_secret

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
SYSTEM_METADATA = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
    "clusterName",
]
SYSTEM_ANNOTATIONS = (
    LAST_APPLIED,
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
    "control-plane.alpha.kubernetes.io/leader",
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/selected-node",
)
SERVER_MARKS = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink")
KEYED = 4
"""A key has so many parts: group, kind, namespace, name."""


@dataclass(frozen=True, order=True)
class ResourceKey:
    """Which resource a manifest is of; the version of its API is not part of that. `namespace` is empty where there
    is none."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Such as `apps/Deployment/shop/web`; the core group is `core`, no namespace `-`."""
        return "/".join((self.group or "core", self.kind, self.namespace or "-", self.name))

    @classmethod
    def of_text(cls, text: str) -> ResourceKey:
        """The key that a text of `str` names."""
        group, kind, namespace, name = text.split("/", KEYED - 1)
        return cls("" if group == "core" else group, kind, "" if namespace == "-" else namespace, name)


def key_of(manifest: Mapping[str, Any], namespace: str = "") -> ResourceKey:
    """The key of a manifest; `namespace` is where it goes when it names none."""
    api_version, kind = str(manifest.get("apiVersion", "")), str(manifest.get("kind", ""))
    metadata = manifest.get("metadata") or {}
    group = api_version.partition("/")[0] if "/" in api_version else ""
    place = "" if kind in CLUSTER_KINDS else str(metadata.get("namespace") or namespace)
    return ResourceKey(group, kind, place, str(metadata.get("name") or metadata.get("generateName") or ""))


def canonical(manifest: Mapping[str, Any], salt: bytes) -> dict[str, Any]:
    """A manifest without what the server writes (status, uid, managedFields and so on), nulls and empty maps and lists
    of metadata, and with the values of a Secret masked by `salt`."""
    made = {name: value for name, value in manifest.items() if name != "status" and value is not None}
    if made.get("kind") == "Secret" and "/" not in str(made.get("apiVersion", "")):
        made = mask_secret(made, salt)
    made = {name: without_nulls(value) for name, value in made.items()}
    metadata = dict(made.get("metadata") or {})
    for name in SYSTEM_METADATA:
        metadata.pop(name, None)
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in SYSTEM_ANNOTATIONS}
    metadata["annotations"] = annotations
    made["metadata"] = {name: value for name, value in metadata.items() if value not in ({}, [], None)}
    template = _template(made)
    if template is not None:
        template.pop("creationTimestamp", None)
    return made


def _template(manifest: dict[str, Any]) -> dict[str, Any] | None:
    """The metadata of a pod template, which carries a creationTimestamp of null or an old date."""
    found: Any = manifest
    for name in ("spec", "template", "metadata"):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def without_nulls(value: Any) -> Any:
    """A copy in which no map has a null."""
    if isinstance(value, dict):
        return {str(name): without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def last_applied(live: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was applied last, by the annotation of `kubectl apply` and Argo CD; None where there is none to read."""
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    if not isinstance(text, str):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def was_on_server(live: Mapping[str, Any]) -> bool:
    """Whether an API server wrote a manifest, and so filled in what nobody asked for."""
    metadata = live.get("metadata") or {}
    return (
        bool(live.get("status"))
        or any(metadata.get(mark) is not None for mark in SERVER_MARKS)
        or bool(last_applied(live))
    )


def to_text(manifest: Mapping[str, Any]) -> str:
    """A manifest as JSON text, the same for equal manifests."""
    return json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def digest(text: str) -> str:
    """The hash of a manifest's text: 128 bits in hexadecimal."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
