"""Health: Argo CD's own cases, and Kubernetes' kinds by the states that their controllers leave."""

from collections import defaultdict

import pytest

from cogniforge_pipeline.gitops.health import HEALTHY, RULES, Health, health_of, worst
from cogniforge_pipeline.gitops.health_conditions import claims
from tests.support.gitops import SHARED, argo_health_cases


@pytest.mark.skipif(not SHARED.is_dir(), reason="Argo CD's cases are not here")
def test_argo_cds_cases_of_the_kinds_that_are_claimed():
    counts = defaultdict(int)
    for _, expected, body in argo_health_cases():
        group = str(body.get("apiVersion", "")).rpartition("/")[0]
        if claims(group) or (group, body.get("kind")) in RULES:
            counts[health_of(body).status == expected] += 1
    assert counts[True] / (counts[True] + counts[False]) >= 0.85
    assert counts[True] + counts[False] > 350


def of(kind, api_version="v1", spec=None, status=None, **metadata):
    body = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", **metadata}}
    return health_of(body | ({"spec": spec} if spec else {}) | ({"status": status} if status else {})).status


def condition(kind, status="True", reason="", **more):
    return {"conditions": [{"type": kind, "status": status, "reason": reason, "message": "", **more}]}


DONE = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2}
TWO = {"replicas": 2}
SCHEDULED = ("desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (of("Deployment", "apps/v1", TWO, DONE, generation=2), "Healthy"),
        (of("Deployment", "apps/v1", TWO, DONE, generation=3), "Progressing"),
        (of("Deployment", "apps/v1", TWO, DONE | {"updatedReplicas": 1}), "Progressing"),
        (of("Deployment", "apps/v1", TWO, DONE | {"replicas": 3}), "Progressing"),
        (of("Deployment", "apps/v1", TWO, DONE | {"availableReplicas": 1}), "Progressing"),
        (of("Deployment", "apps/v1", TWO | {"paused": True}, DONE), "Suspended"),
        (
            of("Deployment", "apps/v1", TWO, DONE | condition("Progressing", "False", "ProgressDeadlineExceeded")),
            "Degraded",
        ),
        (of("StatefulSet", "apps/v1", TWO, DONE, generation=2), "Healthy"),
        (of("StatefulSet", "apps/v1", TWO, DONE | {"readyReplicas": 1}), "Progressing"),
        (of("StatefulSet", "apps/v1", TWO, DONE | {"updateRevision": "b", "currentRevision": "a"}), "Progressing"),
        (of("StatefulSet", "apps/v1", TWO | {"updateStrategy": {"rollingUpdate": {"partition": 1}}}, DONE), "Healthy"),
        (of("StatefulSet", "apps/v1", TWO, None), "Progressing"),
        (of("DaemonSet", "apps/v1", {}, {"desiredNumberScheduled": 2, "updatedNumberScheduled": 1}), "Progressing"),
        (
            of("DaemonSet", "apps/v1", {}, dict.fromkeys(SCHEDULED, 2)),
            "Healthy",
        ),
        (of("ReplicaSet", "apps/v1", TWO, condition("ReplicaFailure")), "Degraded"),
        (of("ReplicaSet", "apps/v1", TWO, {"availableReplicas": 1}), "Progressing"),
        (of("Pod", spec={"x": 1}, status={"phase": "Running"} | condition("Ready")), "Healthy"),
        (of("Pod", status={"phase": "Running"} | condition("Ready", "False")), "Progressing"),
        (of("Pod", status={"phase": "Running", "containerStatuses": [{"lastState": {"terminated": {}}}]}), "Progressing"),
        (
            of("Pod", status={"phase": "Running", "containerStatuses": [{"lastState": {"terminated": {"exitCode": 1}}}]}),
            "Degraded",
        ),
        (
            of("Pod", status={"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]}),
            "Degraded",
        ),
        (of("Pod", status={"phase": "Pending"}), "Progressing"),
        (of("Pod", status={"phase": "Failed", "message": "m"}), "Degraded"),
        (of("Pod", spec={"restartPolicy": "Never"}, status={"phase": "Running"}), "Healthy"),
        (of("Pod", status={"phase": "Odd"}), "Unknown"),
        (of("Pod", status={"phase": "Running"}, deletionTimestamp="2026-01-01T00:00:00Z"), "Progressing"),
        (of("Service"), "Healthy"),
        (of("Service", spec={"type": "LoadBalancer"}), "Progressing"),
        (of("Service", spec={"type": "LoadBalancer"}, status={"loadBalancer": {"ingress": [{"ip": "1"}]}}), "Healthy"),
        (of("Ingress", "networking.k8s.io/v1"), "Progressing"),
        (of("PersistentVolumeClaim", status={"phase": "Lost"}), "Degraded"),
        (of("PersistentVolumeClaim", status={"phase": "Bound"}), "Healthy"),
        (of("Job", "batch/v1", status=condition("Failed")), "Degraded"),
        (of("Job", "batch/v1", status=condition("Suspended")), "Suspended"),
        (of("Job", "batch/v1", status=condition("Complete")), "Healthy"),
        (of("Job", "batch/v1"), "Progressing"),
        (of("CronJob", "batch/v1", spec={"suspend": True}), "Suspended"),
        (of("HorizontalPodAutoscaler", "autoscaling/v2", status=condition("AbleToScale")), "Healthy"),
        (
            of("HorizontalPodAutoscaler", "autoscaling/v2", status=condition("ScalingActive", "False", "FailedGetResourceMetric")),
            "Degraded",
        ),
        (of("APIService", "apiregistration.k8s.io/v1", status=condition("Available", "False")), "Progressing"),
        (of("ConfigMap"), "Healthy"),
        (of("Thing", "example.org/v1"), "Healthy"),
        (of("Thing", "example.org/v1", status=condition("Ready", "False", "Failed")), "Degraded"),
        (of("Thing", "example.org/v1", status=condition("Ready", "False", "Creating")), "Progressing"),
        (of("Thing", "example.org/v1", status=condition("Ready", observedGeneration=1), generation=2), "Progressing"),
        (of("Certificate", "cert-manager.io/v1"), "Progressing"),
        (of("Thing", "example.org/v1", spec={"suspend": True}), "Suspended"),
    ],
)  # fmt: skip
def test_a_kind_fares_as_its_status_says(found, expected):
    assert found == expected


def test_the_worst_counts():
    assert worst([]) == HEALTHY
    assert worst(["Healthy", "Degraded", "Progressing"]) == "Degraded"
    assert worst(["Suspended", "Healthy"]) == "Suspended"


@pytest.mark.parametrize("status", [[], "x", {"conditions": "x"}, {"conditions": [1, {"type": 3}]}, {"phase": 3}])
def test_a_status_of_another_shape_is_no_crash(status):
    for api_version, kind in [("apps/v1", "Deployment"), ("v1", "Pod"), ("example.org/v1", "T"), ("batch/v1", "Job")]:
        body = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "status": status, "spec": {}}
        assert isinstance(health_of(body), Health)
