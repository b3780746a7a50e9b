"""The policies that come with the program: ConstraintTemplates and Constraints, each with a suite of its own.

Belongs here: finding and reading them. Does not: the policies themselves (`starter/<name>/`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from cogniforge_pipeline.gitops.policy.model import Policy, PolicyEnforcementMode
from cogniforge_pipeline.gitops.policy.reading import read_policies

FOLDER = Path(__file__).parent / "starter"
STARTERS = ("disruption-budgets", "image-tags", "labels", "limits", "privileged", "probes", "replicas")


def starter_policies() -> list[Policy]:
    """All of them, as WARN."""
    return [starter_policy(name) for name in STARTERS]


def starter_policy(
    name: str,
    mode: PolicyEnforcementMode = PolicyEnforcementMode.WARN,
    parameters: Mapping[str, Any] | None = None,
    excluded_namespaces: Sequence[str] = (),
) -> Policy:
    """One of STARTERS, with other parameters or further namespaces left out where they are given."""
    policy = replace(_read(name), policy_id=f"starter/{name}", enforcement=mode)
    if parameters is not None:
        before = json.loads(f"{policy.program.before}null}}")["parameters"]
        merged = f'{{"parameters":{json.dumps({**before, **parameters})},"review":'
        policy = replace(policy, program=replace(policy.program, before=merged))
    if excluded_namespaces:
        left_out = (*policy.match.excluded_namespaces, *excluded_namespaces)
        policy = replace(policy, match=policy.match.model_copy(update={"excluded_namespaces": left_out}))
    return policy


@cache
def _read(name: str) -> Policy:
    (policy,) = read_policies([FOLDER / name / "template.yaml", FOLDER / name / "constraint.yaml"])
    return policy
