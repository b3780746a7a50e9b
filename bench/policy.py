"""Policy evaluations a second over 1,000 manifests and 6 policies, hand-over to the processes and back included.

The policies are those that come with the program, but for the one that reads other resources; the manifests are Deployments of
2 to 4 containers, of which every fifth violates something. Measured is `judge`: matching, making the reviews, evaluating in
warm processes, and verdicts. The bar is 10,000 a second; the figure is the median of several rounds. `per_core`
is the same over the processor time of all processes, which other work on the machine does not change.
"""

from __future__ import annotations

import json
import statistics
import time
from typing import Any

import psutil

from bench.harness import report
from cogniforge_pipeline.gitops.policy.judging import judge
from cogniforge_pipeline.gitops.policy.pool import Pool
from cogniforge_pipeline.gitops.policy.starters import STARTERS, starter_policy

MANIFESTS, ROUNDS, BAR = 1000, 7, 10_000


def manifest(number: int) -> dict[str, Any]:
    """A Deployment as people write them, about 2 kB."""
    bad = number % 5 == 0
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10, "failureThreshold": 3}
    containers = [
        {
            "name": f"app-{part}",
            "image": f"registry.example.com:5000/shop/app-{part}:{'latest' if bad and part else f'1.{number}'}",
            "ports": [{"containerPort": 8080, "name": "http"}],
            "env": [{"name": f"SETTING_{each}", "value": f"value of {each}"} for each in range(8)],
            "livenessProbe": probe,
            **({} if bad and number % 2 else {"readinessProbe": probe}),
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "securityContext": {"privileged": bad and number % 3 == 0, "runAsNonRoot": True},
        }
        for part in range(2 + number % 3)
    ]
    labels = {"app.kubernetes.io/name": f"app-{number}", "app.kubernetes.io/part-of": "shop"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"app-{number}", "namespace": f"team-{number % 20}", "labels": labels},
        "spec": {
            "replicas": 1 if bad else 3,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }


def _processor_seconds() -> float:
    """What this process and those that it started have used."""
    mine = psutil.Process()
    times = [each.cpu_times() for each in (mine, *mine.children())]
    return sum(each.user + each.system for each in times)


def main() -> bool:
    policies = [starter_policy(name) for name in STARTERS if name != "disruption-budgets"]
    manifests = [manifest(number) for number in range(MANIFESTS)]
    pool = Pool()
    judge(policies, manifests, pool=pool)
    rates, standings = [], {}
    used = _processor_seconds()
    for _ in range(ROUNDS):
        start = time.perf_counter()
        found = judge(policies, manifests, pool=pool)
        seconds = time.perf_counter() - start
        verdicts = [verdict for each in found for verdict in each]
        rates.append(len(verdicts) / seconds)
        standings = {name: sum(v.standing == name for v in verdicts) for name in ("pass", "fail", "skip")}
        if sum(standings.values()) != len(verdicts):
            raise SystemExit("a policy could not be evaluated")
    used = _processor_seconds() - used
    pool.close()
    size = sum(len(json.dumps(each)) for each in manifests) / MANIFESTS
    rate = statistics.median(rates)
    per_core = ROUNDS * MANIFESTS * len(policies) / used
    return report(
        "policy",
        rate,
        BAR,
        1.0,
        at_least=True,
        policies=len(policies),
        bytes=round(size),
        per_core=round(per_core),
        **standings,
    )


if __name__ == "__main__":
    main()
