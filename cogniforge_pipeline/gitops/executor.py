"""Doing what a plan says, with kubectl.

Belongs here: one step of a plan as a command of kubectl. Does not: deciding (`remediation.py`), or writing down what came
of it (`service.py`).

Values of Secrets are in no table: whatever concerns a Secret, and every creation, is applied as git has it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cogniforge_pipeline.gitops.canonical import ResourceKey
from cogniforge_pipeline.gitops.live import LiveFailed, kubectl
from cogniforge_pipeline.gitops.model import LiveSource
from cogniforge_pipeline.gitops.remediation import CREATE, DELETE


def execute(
    source: LiveSource, step: Mapping[str, Any], manifest: Mapping[str, Any] | None, *, dry_run: bool
) -> tuple[bool, str]:
    """Whether the cluster took a step, a row of `gitops.remediation_plans`, and what it said. `manifest` is the resource
    as git has it. With `dry_run` the server only says what it would do."""
    key = ResourceKey.of_text(step["key"])
    if any(not part.isprintable() or part.startswith("-") for part in (key.kind, key.name, key.namespace, key.group)):
        return False, "its name could be read as an option of kubectl"
    where = ["--namespace", key.namespace] if key.namespace else []
    trial = ["--dry-run=server"] if dry_run else []
    named = f"{key.kind}.{key.group}" if key.group else key.kind
    try:
        if step["action"] == DELETE:
            return True, kubectl(source, ["delete", named, key.name, "--wait=false", *where, *trial]).strip()
        if step["action"] == CREATE or (key.kind == "Secret" and not key.group):
            if manifest is None:
                return False, "git has it no more"
            return True, kubectl(source, ["apply", "--filename=-", *where, *trial], json.dumps(manifest)).strip()
        if not step["patch"] or step["patch_type"] == "none":
            return False, step["dry_run"]
        patch = [f"--type={step['patch_type']}", "--patch-file=/dev/stdin"]
        return True, kubectl(source, ["patch", named, key.name, *where, *patch, *trial], step["patch"]).strip()
    except LiveFailed as error:
        return False, error.message
