"""Drift between two places with manifests, without a home.

Belongs here: reading both sides and the rules, and what is told. Does not: printing (`drift_commands.py`), comparing
(`diff.py`).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.gitops.diff import SYNCED, ResourceDrift, detect
from cogniforge_pipeline.gitops.files import read_path
from cogniforge_pipeline.gitops.ignore import IgnoreRule, Ignores
from cogniforge_pipeline.gitops.manifest_yaml import DocumentInvalid, parse_document
from cogniforge_pipeline.gitops.manifests import Problem


@dataclass(frozen=True)
class FilesDrift:
    """All resources of both sides, and what could not be read."""

    resources: tuple[ResourceDrift, ...]
    problems: tuple[Problem, ...]

    @property
    def drifted(self) -> list[ResourceDrift]:
        """Those that are missing, extra or modified."""
        return [one for one in self.resources if one.status != SYNCED]

    def to_dict(self) -> dict[str, Any]:
        """What `cogniforge drift --json` prints: the resources that drift, and how many are synced."""
        return {
            "resources": [one.to_dict() for one in self.drifted],
            "synced": len(self.resources) - len(self.drifted),
            "left_alone": [one.to_dict() for one in self.resources if one.status == SYNCED and one.left_alone],
            "problems": [{"path": one.path, "line": one.line, "message": one.message} for one in self.problems],
        }


def drift_of_paths(desired: Path, live: Path, ignore: Path | None = None, namespace: str = "") -> FilesDrift:
    """The drift of `live` from `desired`, each a file or a folder of manifests.

    Values of Secrets are hashed with a salt that is forgotten afterwards. Raises CogniforgeError where a path is not
    there, or the rules are wrong.
    """
    rules = read_ignores(ignore) if ignore else Ignores()
    wanted, wrong = read_path(desired)
    there, also_wrong = read_path(live)
    found = detect(wanted, there, secrets.token_bytes(32), ignores=rules, namespace=namespace)
    about = [Problem(str(one.key), 1, text) for one in found for text in one.problems]
    return FilesDrift(tuple(found), (*wrong, *also_wrong, *about))


def read_ignores(path: Path) -> Ignores:
    """The rules of a file: a list as in Argo CD's `ignoreDifferences`, alone, under that name, or in an Application.

    Raises CogniforgeError, naming the file, and the entry that is wrong.
    """
    try:
        found = parse_document(path.read_text("utf-8"))
    except DocumentInvalid as error:
        raise CogniforgeError(f"{path}:{error.line}: {error.message}", "expected YAML") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CogniforgeError(f"{path} cannot be read: {error}", "check the path") from None
    if isinstance(found, dict) and isinstance(found.get("spec"), dict):
        found = found["spec"]
    if isinstance(found, dict):
        found = found.get("ignoreDifferences")
    if not isinstance(found, list):
        raise CogniforgeError(
            f"{path}: expected a list of rules, got {type(found).__name__}",
            "each has kind, and jsonPointers, jqPathExpressions or managedFieldsManagers",
        )
    rules = []
    for number, entry in enumerate(found):
        try:
            rules.append(IgnoreRule.model_validate(entry))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise CogniforgeError(
                f"{path}: rule {number + 1}: {place}: {first['msg']}", "see ignoreDifferences"
            ) from None
    return Ignores(tuple(rules))
