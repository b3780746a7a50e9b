"""The health of kinds that are not Kubernetes' own, by the conventions that their controllers keep.

Belongs here: conditions (API conventions, "typical status properties"), observed generations, phases and states.
Does not: kinds whose controllers are Kubernetes' own (`health.py`).

The conventions: a condition that says what is wanted (Ready, Available, Synced …) is True when it is well; False means
that it waits, or that it failed, and the reason says which; one that says what went wrong (Failed, Invalid, Stalled …)
is True when it did. A spec that was not observed yet, and a status that is not there yet, are waited for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HEALTHY, PROGRESSING, DEGRADED, SUSPENDED, MISSING, UNKNOWN = (
    "Healthy",
    "Progressing",
    "Degraded",
    "Suspended",
    "Missing",
    "Unknown",
)
_GOOD = re.compile(
    r"(?<!not)(ready|available|healthy|synced|synchronized|synchronised|applied|succeeded|deployed|configured|reconciled|"
    r"accepted|established|compliant|valid|admitted|success|completed|bound|online|running)$",
    re.IGNORECASE,
)
_BAD = re.compile(
    r"(failed|failure|failures|invalid|error|errors|terminal|notready|stalled|degraded|orphan|unhealthy)$",
    re.IGNORECASE,
)
_WAITS = re.compile(
    r"progress|creat(ing|ion)|pending|waiting|initiali[sz]ing|reconciling|provisioning|installing|updating|starting|"
    r"deploying|scheduled|unavailable|notready|not_ready|notcomplete|notrunning|notall|missing|restoring|running|"
    r"scaling|upgrading|notexist|noendpoints|couldnotretrieve|containercreating|transfer",
    re.IGNORECASE,
)
_FAILS = re.compile(
    r"fail|error|invalid|exceeded|abort|withretry|notfound|denied|unauthori|terminal|stalled", re.IGNORECASE
)
_WORDS = {
    HEALTHY: "ready running active completed complete succeeded success successful bound exists green available compliant "
    "deployed healthy ok valid synced created online clusterrunning finished",
    PROGRESSING: "pending progressing inprogress creating initializing initialising init starting deploying updating upgrading "
    "restarting reconciling stopping provisioning yellow applyingchanges migratingdata processing waiting scheduled "
    "importinprogress importscheduled clusterreconciling clusterrollingupgrading deployednotready",
    DEGRADED: "failed failure error configerror invalid red noncompliant degraded failedtodeploy errored crashloopbackoff "
    "failing",
    SUSPENDED: "paused suspended stopped",
    MISSING: "notfound",
    UNKNOWN: "unknown",
}
STATES = {word: verdict for verdict, words in _WORDS.items() for word in words.split()}
TEXTS = ("health", "phase", "state", "status", "currentPhase", "printableStatus", "compliant", "clusterState")
_ORDER = (HEALTHY, MISSING, UNKNOWN, PROGRESSING, SUSPENDED, DEGRADED)

Verdict = tuple[str, str]

GROUPS = [
    "acme.cert-manager.io",
    "addons.cluster.x-k8s.io",
    "bitnami.com",
    "capabilities.3scale.net",
    "cert-manager.io",
    "certmanager.k8s.io",
    "clickhouse.altinity.com",
    "clickhouse-keeper.altinity.com",
    "cluster.x-k8s.io",
    "controlplane.cluster.x-k8s.io",
    "coralogix.com",
    "core.humio.com",
    "db.atlasgo.io",
    "elasticsearch.k8s.elastic.co",
    "external-secrets.io",
    "gateway.networking.k8s.io",
    "gateway.solo.io",
    "gloo.solo.io",
    "helm.toolkit.fluxcd.io",
    "image.toolkit.fluxcd.io",
    "infrastructure.cluster.x-k8s.io",
    "k8s.mariadb.com",
    "kafka.strimzi.io",
    "karpenter.sh",
    "keda.sh",
    "kubernetes-client.io",
    "kustomize.toolkit.fluxcd.io",
    "monitoring.coreos.com",
    "notification.toolkit.fluxcd.io",
    "objectbucket.io",
    "platform.confluent.io",
    "postgresql.cnpg.io",
    "promoter.argoproj.io",
    "psmdb.percona.com",
    "pulumi.com",
    "pxc.percona.com",
    "services.cloud.sap.com",
    "serving.knative.dev",
    "snapshot.storage.k8s.io",
    "source.toolkit.fluxcd.io",
]
FAMILIES = (".crossplane.io", ".services.k8s.aws", ".toolkit.fluxcd.io")
"""The API groups of controllers that keep these conventions: of their kinds this program says how they fare."""


@dataclass(frozen=True)
class Condition:
    """One entry of `status.conditions`."""

    name: str
    status: str
    reason: str
    message: str
    observed: int | None = None

    @property
    def holds(self) -> bool:
        return self.status == "True"


def conditions_of(status: Any, annotation: str = "") -> dict[str, Condition]:
    """The conditions of a status by type, or those that an annotation of an object holds as JSON."""
    if annotation:
        text = ((status.get("metadata") or {}).get("annotations") or {}).get(annotation)
        try:
            entries = json.loads(text) if isinstance(text, str) else []
        except ValueError:
            entries = []
    else:
        entries = status.get("conditions") if isinstance(status, Mapping) else []
    found = {}
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, Mapping) and entry.get("type"):
            state = entry.get("status")
            shown = str(state) if not isinstance(state, bool) else str(state).capitalize()
            reason, message = (str(entry.get(part) or "") for part in ("reason", "message"))
            seen = entry.get("observedGeneration")
            name = str(entry["type"])
            found[name] = Condition(name, shown, reason, message, seen if isinstance(seen, int) else None)
    return found


def claims(group: str) -> bool:
    """Whether the controllers of a group keep the conventions."""
    return group in GROUPS or group.endswith(FAMILIES)


def judge(live: Mapping[str, Any], group: str) -> Verdict:
    """The verdict on a resource, and why. What tells nothing is Healthy, unless its controller should have told."""
    status, metadata = live.get("status"), live.get("metadata") or {}
    if _paused(live, metadata):
        return SUSPENDED, f"{live.get('kind')} is paused"
    if not isinstance(status, Mapping) or not status:
        return (PROGRESSING, "Waiting for status") if claims(group) else (HEALTHY, "")
    found = conditions_of(status)
    by_conditions = _by_conditions(found)
    if by_conditions and by_conditions[0] == DEGRADED and _current(metadata, status):
        return by_conditions
    old = [
        c
        for c in found.values()
        if c.observed is not None and not _current(metadata, {"observedGeneration": c.observed})
    ]
    if old or not _current(metadata, status):
        return PROGRESSING, "Waiting for the newest spec to be observed"
    ways = (
        by_conditions,
        _by_parents(metadata, status),
        _by_texts(status),
        _by_gloo(status),
        _by_replicas(live, status),
    )
    verdicts = [verdict for verdict in ways if verdict]
    if verdicts:
        return max(verdicts, key=lambda verdict: _ORDER.index(verdict[0]))
    return (PROGRESSING, "Waiting for a condition that tells") if claims(group) else (HEALTHY, "")


def _paused(live: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
    spec = live.get("spec")
    asked = isinstance(spec, Mapping) and (spec.get("paused") is True or spec.get("suspend") is True)
    notes = metadata.get("annotations") or {}
    return asked or any(str(value).lower() == "true" for name, value in notes.items() if name.endswith("/paused"))


def _current(metadata: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    wanted, seen = metadata.get("generation"), status.get("observedGeneration")
    try:
        return wanted is None or seen is None or int(seen) >= int(wanted)
    except (TypeError, ValueError):
        return True


def _by_conditions(found: Mapping[str, Condition]) -> Verdict | None:
    verdicts: list[Verdict] = []
    for name, condition in found.items():
        if "paused" in condition.reason.lower() or (name == "Paused" and condition.holds):
            return SUSPENDED, condition.message or condition.reason
        if _BAD.search(name):
            if condition.holds:
                verdicts.append((DEGRADED, condition.message or f"{name}: {condition.reason}"))
        elif _GOOD.search(name):
            verdicts.append(_of_good(condition))
        elif name in ("Progressing", "Reconciling") and not condition.holds and _FAILS.search(condition.reason):
            verdicts.append((DEGRADED, condition.message or condition.reason))
    decisive = [verdict for verdict in verdicts if verdict[0] == DEGRADED]
    ready = found.get("Ready")
    if ready is not None and not decisive:
        return _of_good(ready)
    return max(verdicts, key=lambda verdict: _ORDER.index(verdict[0])) if verdicts else None


def _of_good(condition: Condition) -> Verdict:
    told = condition.message or f"{condition.name}: {condition.reason}"
    if condition.holds:
        return HEALTHY, condition.message
    if condition.status != "False":
        return (DEGRADED if _FAILS.search(condition.reason) else PROGRESSING), told
    if _FAILS.search(condition.reason):
        return DEGRADED, told
    return (PROGRESSING if _WAITS.search(condition.reason) else DEGRADED), told


def _by_parents(metadata: Mapping[str, Any], status: Mapping[str, Any]) -> Verdict | None:
    """The conditions that each parent of a route, or ancestor of a policy, has of it (Gateway API)."""
    entries = [
        entry for name in ("parents", "ancestors") for entry in status.get(name) or [] if isinstance(entry, Mapping)
    ]
    verdicts: list[Verdict] = []
    for found in map(conditions_of, entries):
        for condition in found.values():
            current = condition.observed is None or _current(metadata, {"observedGeneration": condition.observed})
            if not current:
                verdicts.append((PROGRESSING, "Waiting for the newest spec to be observed"))
            elif condition.name in ("Accepted", "ResolvedRefs", "Programmed") and not condition.holds:
                waits = condition.reason == "Pending" or condition.status == "Unknown"
                verdicts.append((PROGRESSING if waits else DEGRADED, condition.message))
            elif condition.name == "Conflicted" and condition.holds:
                verdicts.append((DEGRADED, condition.message))
            else:
                verdicts.append((HEALTHY, ""))
    return max(verdicts, key=lambda verdict: _ORDER.index(verdict[0])) if verdicts else None


GLOO = {"0": SUSPENDED, "Pending": SUSPENDED, "1": HEALTHY, "Accepted": HEALTHY, "2": DEGRADED, "Rejected": DEGRADED}
GLOO |= {"3": DEGRADED, "Warning": DEGRADED}


def _by_gloo(status: Mapping[str, Any]) -> Verdict | None:
    """Gloo's `core.solo.io` status: a state by number or name, one of each reporter or alone."""
    reporters = status.get("statuses")
    entries = list(reporters.values()) if isinstance(reporters, Mapping) else [status] if "reportedBy" in status else []
    verdicts: list[Verdict] = []
    for entry in entries:
        state = GLOO.get(str(entry.get("state", 0))) if isinstance(entry, Mapping) else None
        if state:
            verdicts.append((state, str(entry.get("reason") or "")))
    return max(verdicts, key=lambda verdict: _ORDER.index(verdict[0])) if verdicts else None


def _by_texts(status: Mapping[str, Any]) -> Verdict | None:
    found = []
    for name in TEXTS:
        value = status.get(name)
        if isinstance(value, str):
            word = re.sub(r"[^a-z]", "", value.lower())
            if word in STATES:
                found.append((STATES[word], str(status.get("message") or value)))
            elif name in ("state", "status") and "error" in word:
                found.append((DEGRADED, value))
    if isinstance(status.get("error"), Mapping):
        found.append((DEGRADED, str(status["error"].get("message") or "")))
    if isinstance(status.get("readyToUse"), bool):
        found.append((HEALTHY, "") if status["readyToUse"] else (PROGRESSING, "it is not ready to use"))
    return max(found, key=lambda verdict: _ORDER.index(verdict[0])) if found else None


def _by_replicas(live: Mapping[str, Any], status: Mapping[str, Any]) -> Verdict | None:
    ready = status.get("readyReplicas")
    wanted = status.get("replicas", (live.get("spec") or {}).get("replicas"))
    if not isinstance(ready, int) or not isinstance(wanted, int):
        return None
    return (PROGRESSING, f"{ready} of {wanted} replicas are ready") if ready < wanted else (HEALTHY, "")
