"""Fields that an autoscaler owns, and nobody should put back.

Belongs here: which they are, by the autoscalers among the manifests and by managedFields. Does not: drift itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cogniforge_pipeline.gitops.canonical import ResourceKey, key_of
from cogniforge_pipeline.gitops.managers import Owners
from cogniforge_pipeline.gitops.paths import Path

SCALERS = frozenset({"HorizontalPodAutoscaler", "ScaledObject", "VerticalPodAutoscaler"})
VERTICAL_MANAGERS = ("vpa-", "vertical-pod-autoscaler")


@dataclass(frozen=True)
class Autoscaled:
    """What scales which resource (kind, namespace, name): `replicas` by a horizontal, `resources` by a vertical one."""

    replicas: Mapping[tuple[str, str, str], str]
    resources: Mapping[tuple[str, str, str], str]

    def reason(self, key: ResourceKey, path: Path, known: Owners) -> str:
        """Why a field is left alone; empty where nothing scales it."""
        if path == ("spec", "replicas"):
            scaler = _of(self.replicas, key)
            if scaler:
                return f"{scaler} sets it"
            for manager in known.of(path):
                if manager.subresource == "scale":
                    return f"{manager.name} set it by scaling"
        elif "resources" in path and "containers" in path:
            scaler = _of(self.resources, key)
            if scaler:
                return f"{scaler} sets it"
            for manager in known.of(path):
                if manager.name.startswith(VERTICAL_MANAGERS):
                    return f"{manager.name} set it"
        return ""


def _of(scalers: Mapping[tuple[str, str, str], str], key: ResourceKey) -> str:
    exact = scalers.get((key.kind, key.namespace, key.name))
    return exact or scalers.get((key.kind, "", key.name), "")


def autoscaled(manifests: Iterable[Mapping[str, Any]]) -> Autoscaled:
    """The targets of HorizontalPodAutoscalers, KEDA's ScaledObjects and VerticalPodAutoscalers that are switched on."""
    replicas: dict[tuple[str, str, str], str] = {}
    resources: dict[tuple[str, str, str], str] = {}
    for manifest in manifests:
        kind, spec = manifest.get("kind"), manifest.get("spec")
        if kind not in SCALERS or not isinstance(spec, Mapping):
            continue
        target = spec.get("targetRef" if kind == "VerticalPodAutoscaler" else "scaleTargetRef")
        if not isinstance(target, Mapping):
            continue
        policy = spec.get("updatePolicy")
        if isinstance(policy, Mapping) and policy.get("updateMode") == "Off":
            continue
        key = key_of(manifest)
        scaled = (str(target.get("kind") or "Deployment"), key.namespace, str(target.get("name")))
        (resources if kind == "VerticalPodAutoscaler" else replicas)[scaled] = f"{kind} {key.name}"
    return Autoscaled(replicas, resources)
