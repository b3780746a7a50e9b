"""`cogniforge policy eval`: what policies in files say of manifests in files.

Belongs here: files to verdicts. Does not: printing (`policy_commands.py`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cogniforge_pipeline.gitops.policy.documents import DocumentRefused, documents, read_manifests
from cogniforge_pipeline.gitops.policy.judging import Evaluates, judge
from cogniforge_pipeline.gitops.policy.matching import metadata_of
from cogniforge_pipeline.gitops.policy.model import Policy, Verdict
from cogniforge_pipeline.gitops.policy.opa import OpaPool
from cogniforge_pipeline.gitops.policy.reading import read_policies


def evaluate_files(
    policies: Sequence[Path],
    inputs: Sequence[Path],
    parameters: Path | None = None,
    data: Path | None = None,
    *,
    opa: bool = False,
) -> list[tuple[str, Verdict]]:
    """The verdicts of all policies over all manifests, each with the manifest's name.

    `data` is an object for rules to read under `data`. An input `{"review": …}` is taken as it is by policies that read
    reviews. Raises CogniforgeError for files that cannot be used.
    """
    found = read_policies(policies, read_object(parameters) if parameters else None)
    if data:
        text = json.dumps(read_object(data))
        found = [replace(each, inventory=False, program=replace(each.program, data=text)) for each in found]
    resources = [(file, manifest) for file in inputs for manifest in read_manifests(file)]
    shown = [manifest for _, manifest in resources if "review" not in manifest]
    pool = OpaPool() if opa else None
    judged = judge(found, shown, shown, pool=pool)
    by_place = dict(zip(map(id, shown), judged, strict=True))
    rows = []
    for file, manifest in resources:
        verdicts = by_place.get(id(manifest)) or _as_it_is(found, manifest, pool)
        rows += [(f"{file}:{named(manifest)}" if named(manifest) else str(file), verdict) for verdict in verdicts]
    return rows


def read_object(path: Path) -> dict[str, Any]:
    """The one object of a YAML or JSON file. Raises DocumentRefused."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DocumentRefused(f"{path}: cannot be read: {error.strerror}") from None
    found = documents(content, str(path))
    if len(found) != 1 or not isinstance(found[0], dict):
        raise DocumentRefused(f"{path}: expected one object")
    return found[0]


def named(manifest: dict[str, Any]) -> str:
    """A manifest in words: namespace/Kind/name."""
    metadata = metadata_of(manifest)
    parts = (metadata.get("namespace"), manifest.get("kind"), metadata.get("name"))
    return "/".join(str(part) for part in parts if part)


def _as_it_is(policies: Sequence[Policy], given: dict[str, Any], pool: Evaluates | None) -> list[Verdict]:
    """What policies say of an input in Gatekeeper's own form, `{"review": …, "parameters": …}`."""
    request = {"kind": "AdmissionReview", "request": given["review"]}
    if "parameters" in given:
        before = f'{{"parameters":{json.dumps(given["parameters"])},"review":'
        policies = [
            replace(each, program=replace(each.program, before=before)) if each.reviewed else each for each in policies
        ]
    ((*verdicts,),) = judge(policies, [request], pool=pool)
    return verdicts
