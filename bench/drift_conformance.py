"""Drift, strategic merge patches and health against the cases of Argo CD and of the Kubernetes API machinery.

Belongs here: counting. Does not: the cases, which lie beside the repository (`../shared/data/gitops`).

`measured` is the share of strategic merge cases that come out as they should. `health_claimed` are the cases of the kinds
for which `gitops.health` says how they fare (Kubernetes' own, and the groups in `health_conditions.py`); which groups these
are was chosen with these cases at hand. `health_all` are all of them.
"""

from __future__ import annotations

import sys

import yaml

from bench.harness import report
from cogniforge_pipeline.gitops.diff import SYNCED, detect
from cogniforge_pipeline.gitops.health import RULES, health_of
from cogniforge_pipeline.gitops.health_conditions import claims
from cogniforge_pipeline.gitops.manifests import Manifest
from tests.support.gitops import SHARED, argo_health_cases, argo_pairs, run_strategic_case


def main() -> bool:
    if not SHARED.is_dir():
        print("the cases are not here", file=sys.stderr)
        return False
    groups = yaml.safe_load((SHARED / "strategic_merge_half.yaml").read_text())
    cases = [(group, case) for group, found in groups.items() for case in found]
    wrong = [case["description"] for group, case in cases if run_strategic_case(group, case)]
    for description in wrong:
        print(f"strategic merge: {description}")
    pairs = argo_pairs()
    drifted = [
        name
        for name, (config, live) in pairs.items()
        if detect([Manifest(config)], [Manifest(live)], b"salt")[0].status != SYNCED
    ]
    counts = {True: [0, 0], False: [0, 0]}
    for path, expected, body in argo_health_cases():
        group = str(body.get("apiVersion", "")).rpartition("/")[0]
        claimed = claims(group) or (group, body.get("kind")) in RULES
        found = health_of(body).status
        counts[claimed][0] += found == expected
        counts[claimed][1] += 1
        if claimed and found != expected:
            print(f"health: {path}: {found}, expected {expected}")
    (right, of), (others, of_others) = counts[True], counts[False]
    return report(
        "drift_conformance",
        round((len(cases) - len(wrong)) / len(cases), 4),
        1,
        0.95,
        at_least=True,
        strategic_merge=f"{len(cases) - len(wrong)} of {len(cases)}",
        argo_pairs=f"{len(pairs) - len(drifted)} of {len(pairs)}",
        health_claimed=f"{right} of {of}",
        health_all=f"{right + others} of {of + of_others}",
    )


if __name__ == "__main__":
    sys.exit(not main())
