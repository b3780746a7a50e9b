"""The health of a live resource, with Argo CD's meaning: Healthy, Progressing, Degraded, Suspended, Missing, Unknown.

Belongs here: Kubernetes' own kinds, each by its controller's status. Does not: other kinds, which are judged by the
conventions of the API (`health_conditions.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cogniforge_pipeline.gitops.health_conditions import conditions_of, judge

HEALTHY, PROGRESSING, DEGRADED = "Healthy", "Progressing", "Degraded"
SUSPENDED, MISSING, UNKNOWN = "Suspended", "Missing", "Unknown"
ORDER = (HEALTHY, SUSPENDED, PROGRESSING, MISSING, DEGRADED, UNKNOWN)
"""From best to worst."""

Verdict = tuple[str, str]
Body = Mapping[str, Any]


@dataclass(frozen=True)
class Health:
    """A verdict, and why in words; empty where there is nothing to say."""

    status: str
    message: str = ""


def worst(statuses: Iterable[str]) -> str:
    """The worst of some; Healthy of none."""
    return max(statuses, key=ORDER.index, default=HEALTHY)


def health_of(live: Body) -> Health:
    """The health of a live resource as the server gives it. What tells nothing of its health is Healthy."""
    metadata = live.get("metadata") if isinstance(live.get("metadata"), Mapping) else {}
    assert isinstance(metadata, Mapping)
    if metadata.get("deletionTimestamp"):
        return Health(PROGRESSING, "Pending deletion")
    api_version, kind = str(live.get("apiVersion", "")), str(live.get("kind", ""))
    group = api_version.partition("/")[0] if "/" in api_version else ""
    rule = RULES.get((group, kind))
    status = live.get("status")
    spec = live.get("spec")
    if rule is None:
        return Health(*judge(live, group))
    return Health(*rule(live, spec if isinstance(spec, Mapping) else {}, status if isinstance(status, Mapping) else {}))


def _number(value: Any, otherwise: int = 0) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _observed(live: Body, status: Body) -> bool:
    return _number((live.get("metadata") or {}).get("generation")) <= _number(status.get("observedGeneration"))


def _deployment(live: Body, spec: Body, status: Body) -> Verdict:
    if spec.get("paused"):
        return SUSPENDED, "Deployment is paused"
    if not _observed(live, status):
        return PROGRESSING, "Waiting for rollout to finish: the newest spec has not been observed yet"
    found = conditions_of(status)
    if "Progressing" in found and found["Progressing"].reason == "ProgressDeadlineExceeded":
        return DEGRADED, "Deployment exceeded its progress deadline"
    updated, wanted = _number(status.get("updatedReplicas")), spec.get("replicas")
    if wanted is not None and updated < _number(wanted):
        return PROGRESSING, f"Waiting for rollout to finish: {updated} of {wanted} replicas are updated"
    if _number(status.get("replicas")) > updated:
        return (
            PROGRESSING,
            f"Waiting for rollout to finish: {_number(status.get('replicas')) - updated} old replicas end",
        )
    if _number(status.get("availableReplicas")) < updated:
        return (
            PROGRESSING,
            f"Waiting for rollout to finish: {_number(status.get('availableReplicas'))} of {updated} available",
        )
    return HEALTHY, ""


def _stateful_set(live: Body, spec: Body, status: Body) -> Verdict:
    if not status.get("observedGeneration") or not _observed(live, status):
        return PROGRESSING, "Waiting for rollout: the newest spec has not been observed yet"
    wanted = _number(spec.get("replicas"), 1)
    ready, updated = _number(status.get("readyReplicas")), _number(status.get("updatedReplicas"))
    if ready < wanted:
        return PROGRESSING, f"Waiting for {wanted - ready} pods to be ready"
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return HEALTHY, ""
    partition = _number((strategy.get("rollingUpdate") or {}).get("partition"))
    if partition:
        done = updated >= wanted - partition
        return (HEALTHY, "") if done else (PROGRESSING, f"{updated} of {wanted - partition} pods are updated")
    if status.get("updateRevision") != status.get("currentRevision"):
        return PROGRESSING, f"Waiting for the rolling update: {updated} pods at the new revision"
    return HEALTHY, ""


def _daemon_set(live: Body, spec: Body, status: Body) -> Verdict:
    if not _observed(live, status):
        return PROGRESSING, "Waiting for rollout: the newest spec has not been observed yet"
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        return HEALTHY, ""
    wanted = _number(status.get("desiredNumberScheduled"))
    for name, word in (("updatedNumberScheduled", "updated"), ("numberAvailable", "available")):
        if _number(status.get(name)) < wanted:
            return PROGRESSING, f"Waiting for rollout: {_number(status.get(name))} of {wanted} pods are {word}"
    return HEALTHY, ""


def _replica_set(live: Body, spec: Body, status: Body) -> Verdict:
    if not _observed(live, status):
        return PROGRESSING, "Waiting for rollout: the newest spec has not been observed yet"
    failure = conditions_of(status).get("ReplicaFailure")
    if failure and failure.holds:
        return DEGRADED, failure.message
    available, wanted = _number(status.get("availableReplicas")), _number(spec.get("replicas"), 1)
    return (PROGRESSING, f"{available} of {wanted} replicas are available") if available < wanted else (HEALTHY, "")


def _pod(live: Body, spec: Body, status: Body) -> Verdict:
    containers = [
        entry
        for name in ("initContainerStatuses", "containerStatuses")
        for entry in status.get(name) or []
        if isinstance(entry, Mapping)
    ]
    restarts = spec.get("restartPolicy", "Always")
    if restarts == "Always":
        for entry in containers:
            waiting = (entry.get("state") or {}).get("waiting") or {}
            reason = str(waiting.get("reason") or "")
            if reason.startswith("Err") or reason.endswith(("Error", "BackOff")):
                return DEGRADED, str(waiting.get("message") or reason)
    match status.get("phase"):
        case "Pending":
            return PROGRESSING, str(status.get("message") or "")
        case "Succeeded":
            return HEALTHY, str(status.get("message") or "")
        case "Failed":
            return DEGRADED, _pod_failure(status, containers)
        case "Running":
            ready = conditions_of(status).get("Ready")
            if restarts != "Always":
                hook = "argocd.argoproj.io/hook" in ((live.get("metadata") or {}).get("annotations") or {})
                return (PROGRESSING if hook else HEALTHY), str(status.get("message") or "")
            if ready and ready.holds:
                return HEALTHY, str(status.get("message") or "")
            if any((entry.get("lastState") or {}).get("terminated") for entry in containers):
                return DEGRADED, str(status.get("message") or "a container ended and was started again")
            return PROGRESSING, str(status.get("message") or "")
    return UNKNOWN, str(status.get("message") or "")


def _pod_failure(status: Body, containers: Iterable[Body]) -> str:
    if status.get("message"):
        return str(status["message"])
    for entry in containers:
        ended = (entry.get("state") or {}).get("terminated") or {}
        if ended.get("message") or ended.get("reason") == "OOMKilled":
            return str(ended.get("message") or ended["reason"])
        if ended.get("exitCode"):
            return f"container {entry.get('name')} failed with exit code {ended['exitCode']}"
    return ""


def _service(_: Body, spec: Body, status: Body) -> Verdict:
    if spec.get("type") == "LoadBalancer" and not (status.get("loadBalancer") or {}).get("ingress"):
        return PROGRESSING, "Waiting for a load balancer"
    return HEALTHY, ""


def _ingress(_: Body, __: Body, status: Body) -> Verdict:
    given = (status.get("loadBalancer") or {}).get("ingress")
    return (HEALTHY, "") if given else (PROGRESSING, "Waiting for an address")


def _claim(_: Body, __: Body, status: Body) -> Verdict:
    phases = {"Lost": DEGRADED, "Pending": PROGRESSING, "Bound": HEALTHY}
    return phases.get(str(status.get("phase")), UNKNOWN), ""


def _job(_: Body, __: Body, status: Body) -> Verdict:
    found = conditions_of(status)
    for name, verdict in (("Failed", DEGRADED), ("Suspended", SUSPENDED), ("Complete", HEALTHY)):
        if name in found and found[name].holds:
            return verdict, found[name].message
    return PROGRESSING, "Waiting for the job to complete"


def _cron_job(_: Body, spec: Body, __: Body) -> Verdict:
    return (SUSPENDED, "CronJob is suspended") if spec.get("suspend") else (HEALTHY, "")


def _autoscaler(live: Body, _: Body, status: Body) -> Verdict:
    failing = {
        ("AbleToScale", "FailedGetScale"),
        ("AbleToScale", "FailedUpdateScale"),
        ("ScalingActive", "FailedGetResourceMetric"),
        ("ScalingActive", "InvalidSelector"),
        ("ScalingLimited", "FailedGetResourceMetric"),
        ("ScalingLimited", "InvalidSelector"),
    }
    found = conditions_of(status) or conditions_of(live, "autoscaling.alpha.kubernetes.io/conditions")
    for name, condition in found.items():
        if (name, condition.reason) in failing:
            return DEGRADED, condition.message
        if name in ("AbleToScale", "ScalingLimited") and condition.holds:
            return HEALTHY, condition.message
    return PROGRESSING, "Waiting to autoscale"


def _api_service(_: Body, __: Body, status: Body) -> Verdict:
    available = conditions_of(status).get("Available")
    if available is None:
        return PROGRESSING, "Waiting to be processed"
    return (HEALTHY if available.holds else PROGRESSING), available.message


def _budget(live: Body, _: Body, status: Body) -> Verdict:
    if not status or not _observed(live, status):
        return PROGRESSING, "Waiting for status"
    for condition in conditions_of(status).values():
        if condition.name == "DisruptionAllowed" and condition.reason == "SyncFailed":
            return DEGRADED, condition.message
    return HEALTHY, "PodDisruptionBudget has been set up"


def _namespace(_: Body, __: Body, status: Body) -> Verdict:
    return (PROGRESSING, "Namespace is terminating") if status.get("phase") == "Terminating" else (HEALTHY, "")


def _definition(_: Body, __: Body, status: Body) -> Verdict:
    found = conditions_of(status)
    for name in ("Terminating", "NonStructuralSchema"):
        if name in found and found[name].holds:
            return (PROGRESSING if name == "Terminating" else DEGRADED), found[name].message
    for name in ("NamesAccepted", "Established"):
        if name in found and not found[name].holds:
            return DEGRADED, found[name].message
    return (HEALTHY, "") if "Established" in found else (PROGRESSING, "Waiting to be established")


def _workflow(_: Body, __: Body, status: Body) -> Verdict:
    phases = {"Succeeded": HEALTHY, "Failed": DEGRADED, "Error": DEGRADED}
    phases |= dict.fromkeys(("", "Pending", "Running", "None"), PROGRESSING)
    return phases.get(str(status.get("phase") or ""), UNKNOWN), str(status.get("message") or "")


def _rollout(live: Body, spec: Body, status: Body) -> Verdict:
    if not status:
        return PROGRESSING, "Waiting for the newest spec to be observed"
    found = conditions_of(status)
    if "InvalidSpec" in found and found["InvalidSpec"].holds:
        return DEGRADED, found["InvalidSpec"].message
    seen = str(status.get("observedGeneration") or "")
    generation = _number((live.get("metadata") or {}).get("generation"))
    if seen.isdigit() and int(seen) < generation:
        return PROGRESSING, "Waiting for the newest spec to be observed"
    phases = {"Healthy": HEALTHY, "Degraded": DEGRADED, "Paused": SUSPENDED, "Progressing": PROGRESSING}
    message = str(status.get("message") or "")
    if str(status.get("phase")) in phases:
        return phases[str(status["phase"])], message
    progressing = found.get("Progressing")
    if progressing and progressing.reason in ("RolloutAborted", "ProgressDeadlineExceeded"):
        return DEGRADED, progressing.message
    if spec.get("paused") or status.get("pauseConditions") or (progressing and progressing.reason == "RolloutPaused"):
        return SUSPENDED, "Rollout is paused"
    wanted, updated = _number(spec.get("replicas"), 1), _number(status.get("updatedReplicas"))
    if (
        updated < wanted
        or _number(status.get("availableReplicas")) < updated
        or _number(status.get("replicas")) > updated
    ):
        return PROGRESSING, f"Waiting for rollout to finish: {updated} of {wanted} replicas are updated"
    return HEALTHY, ""


Rule = Callable[[Body, Body, Body], Verdict]
RULES: dict[tuple[str, str], Rule] = {
    ("apps", "Deployment"): _deployment,
    ("extensions", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("extensions", "DaemonSet"): _daemon_set,
    ("apps", "ReplicaSet"): _replica_set,
    ("extensions", "ReplicaSet"): _replica_set,
    ("", "Pod"): _pod,
    ("", "Service"): _service,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Namespace"): _namespace,
    ("extensions", "Ingress"): _ingress,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _cron_job,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("apiregistration.k8s.io", "APIService"): _api_service,
    ("policy", "PodDisruptionBudget"): _budget,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("argoproj.io", "Workflow"): _workflow,
    ("argoproj.io", "Rollout"): _rollout,
}
