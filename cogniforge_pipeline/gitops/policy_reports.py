"""Verdicts as PolicyReports, which dashboards of Kubernetes read.

Belongs here: `PolicyReport` and `ClusterPolicyReport` of wgpolicyk8s.io/v1alpha2, and `Report` and `ClusterReport` of
openreports.io/v1alpha1, which have the same fields. Does not: writing them to a cluster.

A violation is `fail`, or `warn` where the policy only warns or is audited (it is not scored then); a policy that could say
nothing is `error`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from cogniforge_pipeline.gitops.policy.model import PolicyEnforcementMode, Verdict
from cogniforge_pipeline.gitops.policy_judged import State

Api = Literal["wgpolicyk8s.io/v1alpha2", "openreports.io/v1alpha1"]
SOURCE = "cogniforge"
_KINDS: dict[Api, tuple[str, str]] = {
    "wgpolicyk8s.io/v1alpha2": ("PolicyReport", "ClusterPolicyReport"),
    "openreports.io/v1alpha1": ("Report", "ClusterReport"),
}
_RESULTS = ("pass", "fail", "warn", "error", "skip")


def policy_reports(found: Iterable[tuple[State, Verdict]], at: datetime, api: Api) -> list[dict[str, Any]]:
    """A report for each namespace, and one of the cluster for what lies in none; by namespace. `at` is UTC."""
    by_namespace: dict[str, list[dict[str, Any]]] = {}
    for state, verdict in found:
        by_namespace.setdefault(state.namespace, []).extend(_results(state, verdict, at))
    return [_report(namespace, results, api) for namespace, results in sorted(by_namespace.items())]


def _report(namespace: str, results: list[dict[str, Any]], api: Api) -> dict[str, Any]:
    counts = {name: sum(result["result"] == name for result in results) for name in _RESULTS}
    metadata: dict[str, Any] = {"name": SOURCE, "labels": {"app.kubernetes.io/managed-by": SOURCE}}
    report: dict[str, Any] = {
        "apiVersion": api,
        "kind": _KINDS[api][0 if namespace else 1],
        "metadata": {**metadata, "namespace": namespace} if namespace else metadata,
        "summary": counts,
        "results": results,
    }
    return {**report, "source": SOURCE} if api == "openreports.io/v1alpha1" else report


def _results(state: State, verdict: Verdict, at: datetime) -> list[dict[str, Any]]:
    enforced = verdict.policy.enforcement is PolicyEnforcementMode.ENFORCE
    result: str = "pass" if verdict.standing == "pass" else "fail" if enforced else "warn"
    if verdict.broken:
        result = "error"
    base = {
        "source": SOURCE,
        "policy": verdict.policy.policy_id,
        "severity": verdict.policy.severity,
        "timestamp": {"seconds": int(at.timestamp()), "nanos": at.microsecond * 1000},
        "result": result,
        "scored": enforced,
        "resources": [
            {
                "apiVersion": state.api_version,
                "kind": state.kind,
                "name": state.name,
                **({"namespace": state.namespace} if state.namespace else {}),
            }
        ],
        "properties": {"application": state.app_id, "mode": verdict.policy.enforcement.value},
    }
    if verdict.findings:
        return [{**base, "rule": each.rule, "message": each.message} for each in verdict.findings]
    return [{**base, "message": verdict.reason} if verdict.reason else base]
