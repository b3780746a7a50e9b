"""The plain types of the Python API: an application, drift, what a repair came to.

Belongs here: these types, and their way to what is declared. Does not: storing them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cogniforge_pipeline.gitops.model import IN_CLUSTER


@dataclass(frozen=True)
class GitOpsApp:
    """An application: where git says what is wanted, where it runs, and what may be done about drift.

    `git_branch` is empty for the repository's own branch. `sync_policy` has the fields of `model.SyncPolicy`,
    `destination` server and namespace, `live` files or context, `ignore_differences` Argo CD's rules.
    """

    app_id: str
    name: str
    namespace: str
    git_repo: str
    git_path: str = ""
    git_branch: str = "main"
    sync_policy: Mapping[str, Any] = field(default_factory=dict)
    destination: Mapping[str, Any] = field(default_factory=dict)
    live: Mapping[str, Any] | None = None
    ignore_differences: Sequence[Mapping[str, Any]] = ()

    def to_declaration(self) -> dict[str, Any]:
        """What a file of platform/applications would say."""
        made: dict[str, Any] = {
            "app_id": self.app_id,
            "name": self.name,
            "repository": self.git_repo,
            "path": self.git_path,
            "destination": {"server": IN_CLUSTER, "namespace": self.namespace, **self.destination},
            "sync_policy": dict(self.sync_policy),
            "ignore_differences": [dict(rule) for rule in self.ignore_differences],
        }
        if self.git_branch:
            made["branch"] = self.git_branch
        if self.live is not None:
            made["live"] = dict(self.live)
        return made


@dataclass(frozen=True)
class DriftedField:
    """A field with its desired and its live value, None where a side has none, who set it, and since when it differs."""

    path: str
    desired: Any
    live: Any
    owner: str | None
    since: datetime | None


@dataclass(frozen=True)
class Drift:
    """A resource that drifted: `status` is missing (not in the cluster), extra (not in git) or modified."""

    app_id: str
    resource_key: str
    resource_type: str
    resource_name: str
    namespace: str
    status: str
    fields: tuple[DriftedField, ...] = ()

    def __str__(self) -> str:
        names = ", ".join(one.path for one in self.fields)
        return f"{self.resource_key} is {self.status}{f': {names}' if names else ''}"


@dataclass(frozen=True)
class Outcome:
    """What came of one step of a repair: `done` False where it was held back, and `message` says why."""

    resource_key: str
    action: str
    done: bool
    succeeded: bool
    message: str
