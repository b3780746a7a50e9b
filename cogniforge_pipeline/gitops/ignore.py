"""What is to be ignored: Argo CD's `ignoreDifferences`, by JSON pointer, jq path expression or manager.

Belongs here: the rules, and taking ignored fields out of manifests. Does not: comparing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cogniforge_pipeline.gitops.canonical import ResourceKey
from cogniforge_pipeline.gitops.jq_paths import JqFailed, JqPaths
from cogniforge_pipeline.gitops.managers import Owners, managed_paths
from cogniforge_pipeline.gitops.paths import Keyed, Member, Segment


@dataclass(frozen=True)
class Sides:
    """The canonical forms of one resource: what is wanted, what runs, what was applied last; and who owns its fields."""

    desired: dict[str, Any]
    live: dict[str, Any]
    applied: dict[str, Any] | None
    owners: Owners

    def each(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """All three; what was never applied is empty."""
        return self.desired, self.live, self.applied or {}


class IgnoreRule(BaseModel):
    """One entry of `ignoreDifferences`; group, kind, name and namespace may be patterns such as `*`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True)

    group: str = "*"
    kind: str = "*"
    name: str = ""
    namespace: str = ""
    json_pointers: tuple[str, ...] = Field((), alias="jsonPointers")
    jq_path_expressions: tuple[str, ...] = Field((), alias="jqPathExpressions")
    managed_fields_managers: tuple[str, ...] = Field((), alias="managedFieldsManagers")

    @field_validator("json_pointers")
    @classmethod
    def _pointers(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for pointer in given:
            if not pointer.startswith("/"):
                raise ValueError(f"a JSON pointer starts with /, such as /spec/replicas, got {pointer!r}")
        return given

    def matches(self, key: ResourceKey) -> bool:
        """Whether the rule is for a resource."""
        given = ((self.group, key.group), (self.kind, key.kind), (self.name, key.name), (self.namespace, key.namespace))
        return all(value == (pattern or value) or fnmatchcase(value, pattern) for pattern, value in given)


@dataclass
class Ignored:
    """The paths to take out of one resource: of what is wanted, of what runs, of what was applied last."""

    paths: tuple[list[Sequence[Segment]], ...] = field(default_factory=lambda: ([], [], []))
    problems: tuple[str, ...] = ()

    def strip(self, manifest: dict[str, Any], role: int) -> None:
        """Takes them out of the canonical form of one side, in place."""
        for path in sorted(self.paths[role], key=_last_first, reverse=True):
            remove_path(manifest, path)


@dataclass(frozen=True)
class Ignores:
    """Rules, in force for the resources that they name."""

    rules: tuple[IgnoreRule, ...] = ()

    def of(self, pairs: Mapping[ResourceKey, Sides]) -> dict[ResourceKey, Ignored]:
        """What is ignored of each resource. A rule that fails is a problem of the resource, and ignores nothing."""
        found = {key: Ignored() for key in pairs}
        with JqPaths() as jq:
            for rule in self.rules:
                for key, sides in pairs.items():
                    if rule.matches(key):
                        _apply(rule, sides, found[key], jq)
        return found


def _apply(rule: IgnoreRule, given: Sides, ignored: Ignored, jq: JqPaths) -> None:
    sides = given.each()
    for pointer in rule.json_pointers:
        for role, side in enumerate(sides):
            path = _resolve(pointer, side)
            if path:
                ignored.paths[role].append(path)
    for expression in rule.jq_path_expressions:
        failed = []
        for role, side in enumerate(sides):
            try:
                ignored.paths[role].extend(path for path in jq(expression, side) if path)
            except JqFailed as error:
                failed.append(error.message)
        if len(failed) == len(sides):  # a side may lack what the expression goes through
            ignored.problems = (*ignored.problems, failed[0])
    for manager, fields in given.owners.entries:
        if manager.name in rule.managed_fields_managers:
            owned = [path for path in managed_paths(fields) if path]
            for paths in ignored.paths:
                paths.extend(owned)


def _resolve(pointer: str, document: Any) -> list[Segment]:
    """The path of an RFC 6901 pointer; empty where the document has none such."""
    if isinstance(document, Mapping) and document.get("kind") == "Secret":
        pointer = pointer.replace("/stringData", "/data", 1)
    path: list[Segment] = []
    for part in pointer[1:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list):
            if not name.isdigit() or int(name) >= len(document):
                return []
            path.append(int(name))
            document = document[int(name)]
        elif isinstance(document, Mapping) and name in document:
            path.append(name)
            document = document[name]
        else:
            return []
    return path


def remove_path(document: Any, path: Sequence[Segment]) -> None:
    """Takes a field out of a manifest, in place, where it has it."""
    here = document
    for part in path[:-1]:
        here = _step(here, part)
        if here is None:
            return
    last = path[-1]
    if isinstance(here, dict) and isinstance(last, str):
        here.pop(last, None)
    elif isinstance(here, list):
        at = _index(here, last)
        if at is not None:
            del here[at]


def _step(here: Any, part: Segment) -> Any:
    if isinstance(here, dict) and isinstance(part, str):
        return here.get(part)
    at = _index(here, part) if isinstance(here, list) else None
    return None if at is None else here[at]


def _index(items: list[Any], part: Segment) -> int | None:
    if isinstance(part, int):
        return part if -len(items) <= part < len(items) else None
    for at, item in enumerate(items):
        if isinstance(part, Keyed) and isinstance(item, dict):
            # a key that has its default is often left out
            if all(item.get(name, value) == value for name, value in part.pairs) and part.pairs[0][0] in item:
                return at
        elif isinstance(part, Member) and item == part.value:
            return at
    return None


def _last_first(path: Sequence[Segment]) -> tuple[tuple[bool, int, str], ...]:
    """An order in which later elements of a list come later, so that taking them out backwards moves no other."""
    return tuple((isinstance(part, int), part if isinstance(part, int) else 0, str(part)) for part in path)
