"""What is known of Kubernetes' own kinds: merge keys, set lists, quantities, and what the server fills in.

Belongs here: the table, written by hand from the API reference (patch-merge-key, list-map-keys, defaults). Does not:
what is done with it. Of a kind that is not here nothing is known but that it may hold resource quantities.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from cogniforge_pipeline.gitops.shape import Shape

CLUSTER_KINDS = frozenset(
    [
        "APIService",
        "CertificateSigningRequest",
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterIssuer",
        "ComponentStatus",
        "CSIDriver",
        "CSINode",
        "CustomResourceDefinition",
        "FlowSchema",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "RuntimeClass",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
        "ConstraintTemplate",
    ]
)
"""Kinds without a namespace."""

KNOWN_GROUPS = frozenset(
    [
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "autoscaling",
        "batch",
        "discovery.k8s.io",
        "extensions",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    ]
) | {""}
"""Groups whose servers drop zero values (false, 0, "") of fields that are optional."""


def is_known(api_version: str) -> bool:
    """Whether a kind is one of Kubernetes' own."""
    return (api_version.partition("/")[0] if "/" in api_version else "") in KNOWN_GROUPS


def _map(default: Any = None, *, retain: bool = False, **fields: Shape) -> Shape:
    return Shape(fields=fields, default=default, retain=retain)


def _maps(keys: str, *, retain: bool = False, default: Any = None, **fields: Shape) -> Shape:
    """A list of maps that merges by its keys."""
    return Shape(merge=True, keys=tuple(keys.split()), fields=fields, retain=retain, default=default)


def _is(default: Any) -> Shape:
    """A value that the server fills in."""
    return Shape(default=default)


QUANTITY = Shape(quantity=True)
QUANTITIES = Shape(others=QUANTITY)
RESOURCES = _map(limits=QUANTITIES, requests=QUANTITIES, claims=_maps("name"))
PROTOCOL = _is("TCP")
MODE = _is(0o644)

UNKNOWN = Shape(fields={"resources": RESOURCES}, recursive=True)

HTTP_GET = _map(scheme=_is("HTTP"))
GRPC = _map(service=_is(""))
HOOK = _map(httpGet=HTTP_GET)
LIFECYCLE = _map(postStart=HOOK, preStop=HOOK)
PROBE = _map(
    httpGet=HTTP_GET,
    grpc=GRPC,
    failureThreshold=_is(3),
    periodSeconds=_is(10),
    successThreshold=_is(1),
    timeoutSeconds=_is(1),
    initialDelaySeconds=_is(0),
)


def _pull_policy(container: dict[str, Any]) -> str:
    """`Always` for the tag `latest` and for none, as the server fills it in."""
    image = str(container.get("image") or "")
    if "@" in image:
        return "IfNotPresent"
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    return "Always" if tag in ("", "latest") else "IfNotPresent"


CONTAINERS = _maps(
    "name",
    env=_maps(
        "name",
        valueFrom=_map(
            fieldRef=_map(apiVersion=_is("v1")), resourceFieldRef=_map(divisor=Shape(quantity=True, default="0"))
        ),
        value=_is(""),
    ),
    ports=_maps("containerPort protocol", protocol=PROTOCOL),
    resources=RESOURCES,
    volumeMounts=_maps("mountPath", readOnly=_is(False), recursiveReadOnly=_is("Disabled")),
    volumeDevices=_maps("devicePath"),
    livenessProbe=PROBE,
    readinessProbe=PROBE,
    startupProbe=PROBE,
    lifecycle=LIFECYCLE,
    imagePullPolicy=_is(_pull_policy),
    terminationMessagePath=_is("/dev/termination-log"),
    terminationMessagePolicy=_is("File"),
)
VOLUMES = _maps(
    "name",
    retain=True,
    configMap=_map(defaultMode=MODE),
    secret=_map(defaultMode=MODE),
    downwardAPI=_map(defaultMode=MODE),
    projected=_map(
        defaultMode=MODE,
        sources=_map(serviceAccountToken=_map(expirationSeconds=_is(3600))),
    ),
    hostPath=_map(type=_is("")),
    emptyDir=_map(sizeLimit=QUANTITY),
    persistentVolumeClaim=_map(readOnly=_is(False)),
)
POD = _map(
    containers=CONTAINERS,
    initContainers=CONTAINERS,
    ephemeralContainers=CONTAINERS,
    volumes=VOLUMES,
    imagePullSecrets=_maps("name"),
    hostAliases=_maps("ip"),
    topologySpreadConstraints=_maps(
        "topologyKey whenUnsatisfiable", nodeAffinityPolicy=_is("Honor"), nodeTaintsPolicy=_is("Ignore")
    ),
    schedulingGates=_maps("name"),
    resourceClaims=_maps("name"),
    overhead=QUANTITIES,
    restartPolicy=_is("Always"),
    dnsPolicy=_is("ClusterFirst"),
    schedulerName=_is("default-scheduler"),
    terminationGracePeriodSeconds=_is(30),
    enableServiceLinks=_is(True),
    serviceAccountName=_is("default"),
    preemptionPolicy=_is("PreemptLowerPriority"),
)
METADATA = _map(finalizers=Shape(merge=True), ownerReferences=_maps("uid"))
TEMPLATE = _map(metadata=METADATA, spec=POD)
CLAIM = _map(volumeMode=_is("Filesystem"), resources=RESOURCES, accessModes=Shape(merge=True))
CLAIMS = Shape(
    fields={
        "spec": CLAIM,
        "apiVersion": _is("v1"),
        "kind": _is("PersistentVolumeClaim"),
        "status": _is({"phase": "Pending"}),
    }
)
ROLLING = {"maxSurge": "25%", "maxUnavailable": "25%"}
JOB = _map(
    template=_map(metadata=METADATA, spec=POD),
    backoffLimit=_is(6),
    completions=_is(1),
    parallelism=_is(1),
    completionMode=_is("NonIndexed"),
    suspend=_is(False),
    podReplacementPolicy=_is("TerminatingOrFailed"),
    manualSelector=_is(False),
)
SUBJECTS = Shape(
    fields={"apiGroup": _is(lambda it: "" if it.get("kind") == "ServiceAccount" else "rbac.authorization.k8s.io")}
)
ROLE_REF = _map(apiGroup=_is("rbac.authorization.k8s.io"))
ADDRESS_PORTS = Shape(fields={"protocol": PROTOCOL})
METRIC_TARGET = _map(averageValue=QUANTITY, value=QUANTITY)
METRICS = Shape(others=_map(target=METRIC_TARGET))
INGRESS_PATHS = Shape(fields={"pathType": _is("ImplementationSpecific")})
POLICY_PORTS = Shape(fields={"protocol": PROTOCOL})


def _webhooks(beta: bool) -> Shape:
    return _maps(
        "name",
        failurePolicy=_is("Ignore" if beta else "Fail"),
        matchPolicy=_is("Exact" if beta else "Equivalent"),
        sideEffects=_is("Unknown" if beta else None),
        timeoutSeconds=_is(30 if beta else 10),
        reinvocationPolicy=_is("Never"),
        admissionReviewVersions=_is(["v1beta1"] if beta else None),
        rules=Shape(fields={"scope": _is("*")}),
        clientConfig=_map(service=_map(port=_is(443))),
    )


SPECS: dict[str, Shape] = {
    "Pod": POD,
    "Deployment": _map(
        template=TEMPLATE,
        replicas=_is(1),
        revisionHistoryLimit=_is(10),
        progressDeadlineSeconds=_is(600),
        minReadySeconds=_is(0),
        strategy=_map(
            {"type": "RollingUpdate", "rollingUpdate": ROLLING},
            retain=True,
            type=_is("RollingUpdate"),
            rollingUpdate=_map(
                lambda it: None if it.get("type") == "Recreate" else ROLLING,
                maxSurge=_is("25%"),
                maxUnavailable=_is("25%"),
            ),
        ),
    ),
    "ReplicaSet": _map(template=TEMPLATE, replicas=_is(1)),
    "ReplicationController": _map(template=TEMPLATE, replicas=_is(1)),
    "StatefulSet": _map(
        template=TEMPLATE,
        replicas=_is(1),
        revisionHistoryLimit=_is(10),
        podManagementPolicy=_is("OrderedReady"),
        updateStrategy=_map(
            {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            type=_is("RollingUpdate"),
            rollingUpdate=_map({"partition": 0}, partition=_is(0)),
        ),
        persistentVolumeClaimRetentionPolicy=_map(
            {"whenDeleted": "Retain", "whenScaled": "Retain"}, whenDeleted=_is("Retain"), whenScaled=_is("Retain")
        ),
        volumeClaimTemplates=CLAIMS,
    ),
    "DaemonSet": _map(
        template=TEMPLATE,
        revisionHistoryLimit=_is(10),
        updateStrategy=_map(
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            type=_is("RollingUpdate"),
            rollingUpdate=_map({"maxSurge": 0, "maxUnavailable": 1}, maxSurge=_is(0), maxUnavailable=_is(1)),
        ),
    ),
    "Job": JOB,
    "CronJob": _map(
        jobTemplate=_map(spec=JOB),
        concurrencyPolicy=_is("Allow"),
        failedJobsHistoryLimit=_is(1),
        successfulJobsHistoryLimit=_is(3),
        suspend=_is(False),
    ),
    "Rollout": _map(template=TEMPLATE, replicas=_is(1)),
    "Service": _map(
        ports=_maps(
            "port protocol",
            protocol=PROTOCOL,
            targetPort=_is(lambda it: it.get("port")),
        ),
        type=_is("ClusterIP"),
        sessionAffinity=_is("None"),
        internalTrafficPolicy=_is("Cluster"),
        externalTrafficPolicy=_is("Cluster"),
        ipFamilyPolicy=_is("SingleStack"),
        allocateLoadBalancerNodePorts=_is(True),
        ipFamilies=_is(["IPv4"]),
    ),
    "Ingress": _map(rules=_map(http=_map(paths=INGRESS_PATHS))),
    "NetworkPolicy": _map(
        policyTypes=Shape(merge=True, default=lambda it: ["Ingress", "Egress"] if it.get("egress") else ["Ingress"]),
        ingress=_map(ports=POLICY_PORTS),
        egress=_map(ports=POLICY_PORTS),
    ),
    "HorizontalPodAutoscaler": _map(minReplicas=_is(1), metrics=METRICS),
    "PersistentVolumeClaim": CLAIM,
    "PersistentVolume": _map(
        capacity=QUANTITIES,
        volumeMode=_is("Filesystem"),
        persistentVolumeReclaimPolicy=_is("Retain"),
        accessModes=Shape(merge=True),
    ),
    "ResourceQuota": _map(hard=QUANTITIES),
    "LimitRange": _map(limits=Shape(others=QUANTITIES)),
    "Namespace": _map({"finalizers": ["kubernetes"]}, finalizers=Shape(merge=True, default=["kubernetes"])),
    "CustomResourceDefinition": _map(
        conversion=_map({"strategy": "None"}, strategy=_is("None")),
        preserveUnknownFields=_is(False),
        versions=_maps("name", deprecated=_is(False)),
        names=_map(
            listKind=_is(lambda it: f"{it.get('kind')}List"), singular=_is(lambda it: str(it.get("kind")).lower())
        ),
    ),
}
TOPS: dict[str, dict[str, Shape]] = {
    "Secret": {"type": _is("Opaque")},
    "ServiceAccount": {"secrets": _maps("name"), "imagePullSecrets": _maps("name")},
    "RoleBinding": {"subjects": SUBJECTS, "roleRef": ROLE_REF},
    "ClusterRoleBinding": {"subjects": SUBJECTS, "roleRef": ROLE_REF},
    "Endpoints": {"subsets": Shape(fields={"ports": ADDRESS_PORTS})},
    "EndpointSlice": {"ports": ADDRESS_PORTS},
    "PriorityClass": {"preemptionPolicy": _is("PreemptLowerPriority"), "globalDefault": _is(False)},
    "StorageClass": {
        "reclaimPolicy": _is("Delete"),
        "volumeBindingMode": _is("Immediate"),
        "allowVolumeExpansion": _is(False),
    },
}
WEBHOOK_KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
OWN_KINDS = frozenset(SPECS) | frozenset(TOPS) | frozenset(WEBHOOK_KINDS)


@cache
def shape_of(api_version: str, kind: str) -> Shape:
    """What is known of a kind; UNKNOWN for one that is not Kubernetes' own."""
    if kind == "Rollout" and api_version.startswith("argoproj.io/"):
        return Shape(fields={"metadata": METADATA, "spec": SPECS[kind]})
    if not is_known(api_version) or kind == "Rollout":
        return Shape(fields={"metadata": METADATA, "resources": RESOURCES}, others=UNKNOWN)
    fields = {"metadata": METADATA, **TOPS.get(kind, {})}
    if kind in WEBHOOK_KINDS:
        fields["webhooks"] = _webhooks(api_version.endswith("v1beta1"))
    if kind in SPECS:
        fields["spec"] = SPECS[kind]
    return Shape(fields=fields)
