"""What a branch wanted at each of its commits, resource by resource.

Belongs here: following a tree from commit to commit, at the cost of what changed. Does not: git objects (`git.py`), or
tables (`reading.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cogniforge_pipeline.gitops.canonical import ResourceKey, canonical, digest, to_text
from cogniforge_pipeline.gitops.git import Blobs, Commit, changed_files, describe, folder_of
from cogniforge_pipeline.gitops.manifests import Manifest, Problem

MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class State:
    """A resource as it is wanted: its canonical text, the hash of that, and where it stands."""

    key: ResourceKey
    api_version: str
    text: str
    hash: str
    path: str
    line: int


@dataclass(frozen=True)
class Step:
    """A commit, and what it changed: None is a resource that is wanted no more. `at` is after that of the step before."""

    commit: Commit
    at: datetime
    changed: dict[ResourceKey, State | None]
    resources: int
    problems: tuple[Problem, ...]


def state_of(manifest: Manifest, namespace: str, salt: bytes) -> State:
    """The state that a manifest gives its resource; `namespace` is where it goes when it names none."""
    text = to_text(canonical(manifest.body, salt))
    key = manifest.key(namespace)
    return State(key, str(manifest.body["apiVersion"]), text, digest(text), manifest.path, manifest.line)


@dataclass
class Follower:
    """The tree of a folder, moved from commit to commit."""

    repository: Any
    folder: str
    namespace: str
    salt: bytes
    where: str = ""
    _tree: Any = None
    _files: dict[str, list[State]] = field(default_factory=dict)
    _wrong: dict[str, list[Problem]] = field(default_factory=dict)
    _holders: dict[ResourceKey, dict[str, State]] = field(default_factory=lambda: defaultdict(dict))
    _states: dict[tuple[str, str], list[State]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._blobs = Blobs(self.repository)

    def move(self, commit: Any) -> dict[ResourceKey, State | None]:
        """Goes to a commit and gives what changed since the one before."""
        tree = folder_of(commit, self.folder)
        before: dict[ResourceKey, State | None] = {}
        where = f"{self.where} {str(commit.id)[:12]}".strip()
        for name, entry in changed_files(self.repository, self._tree, tree):
            path = f"{self.folder}/{name}" if self.folder else name
            for old in self._files.pop(path, ()):
                before.setdefault(old.key, self.wanted(old.key))
                self._holders[old.key].pop(path, None)
            self._wrong.pop(path, None)
            if entry is None:
                continue
            if entry.problem:
                self._wrong[path] = [Problem(path, 1, entry.problem, where)]
                continue
            states, problems = self._read(entry.oid, path)
            if problems:
                self._wrong[path] = [Problem(one.path, one.line, one.message, where) for one in problems]
            if states:
                self._files[path] = states
            for new in states:
                before.setdefault(new.key, self.wanted(new.key))
                self._holders[new.key][path] = new
        self._tree = tree
        changed = {}
        for key, old_state in before.items():
            now = self.wanted(key)
            if (now.hash if now else None) != (old_state.hash if old_state else None):
                changed[key] = now
            if now is None:
                self._holders.pop(key, None)
        return changed

    def wanted(self, key: ResourceKey) -> State | None:
        """The state of a resource now: of several files that have it, the last by path says."""
        holders = self._holders.get(key)
        return holders[max(holders)] if holders else None

    @property
    def resources(self) -> int:
        """How many resources are wanted now."""
        return len(self._holders)

    def problems(self) -> list[Problem]:
        """What could not be read now, and what is given twice."""
        found = [problem for path in sorted(self._wrong) for problem in self._wrong[path]]
        for key, holders in self._holders.items():
            if len(holders) > 1:
                last = holders[max(holders)]
                others = ", ".join(sorted(set(holders) - {last.path}))
                found.append(
                    Problem(last.path, last.line, f"{key} is also given by {others}; this one counts", self.where)
                )
        return found

    def _read(self, oid: Any, path: str) -> tuple[list[State], list[Problem]]:
        manifests, problems = self._blobs.read(oid, path)
        known = (str(oid), path)
        if known not in self._states:
            self._states[known] = [state_of(one, self.namespace, self.salt) for one in manifests]
        return self._states[known], problems


def follow(follower: Follower, commits: Sequence[Any], not_before: datetime | None = None) -> Iterator[Step]:
    """What each commit changed, oldest first. A commit's time is after that of the one before, by a microsecond at
    least: clocks of authors differ."""
    at = not_before
    for commit in commits:
        told = describe(commit)
        at = told.at if at is None or told.at > at else at + MICROSECOND
        changed = follower.move(commit)
        yield Step(told, at, changed, follower.resources, tuple(follower.problems()))
