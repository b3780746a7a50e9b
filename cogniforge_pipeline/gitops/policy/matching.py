"""Which resources a policy is about: the `match` of a Gatekeeper constraint.

Belongs here: kinds, scope, namespaces, names, label selectors. Does not: evaluation.

Semantics are those of Gatekeeper: all conditions that are given must hold; lists that are empty or absent hold for
everything. Namespaces and names may begin or end with `*`. `namespaces` and `excludedNamespaces` say nothing of
cluster-wide resources other than a Namespace, which counts as lying in itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Labels = Mapping[str, Any]


class NotDecidable(Exception):
    """Whether a resource is meant depends on a namespace that is not known."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KindMatch(_Part):
    """Groups and kinds; `*` is every one, and so is an empty list."""

    api_groups: tuple[str, ...] = Field((), alias="apiGroups")
    kinds: tuple[str, ...] = ()

    def holds(self, group: str, kind: str) -> bool:
        return _listed(self.api_groups, group) and _listed(self.kinds, kind)


class Requirement(_Part):
    """One expression of a label selector."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()

    def holds(self, labels: Labels) -> bool:
        if self.operator == "Exists":
            return self.key in labels
        if self.operator == "DoesNotExist":
            return self.key not in labels
        within = self.key in labels and labels[self.key] in self.values
        return within if self.operator == "In" else not within


class LabelSelector(_Part):
    """A Kubernetes label selector; empty, it selects everything."""

    match_labels: Mapping[str, str] = Field(default_factory=dict, alias="matchLabels")
    match_expressions: tuple[Requirement, ...] = Field((), alias="matchExpressions")

    @field_validator("match_labels", mode="before")
    @classmethod
    def _no_null(cls, value: Any) -> Any:
        return {} if value is None else value

    def holds(self, labels: Any) -> bool:
        known: Labels = labels if isinstance(labels, Mapping) else {}
        return all(known.get(key) == value for key, value in self.match_labels.items()) and all(
            each.holds(known) for each in self.match_expressions
        )


class Match(_Part):
    """What a constraint is about."""

    kinds: tuple[KindMatch, ...] = ()
    scope: Literal["*", "Cluster", "Namespaced"] = "*"
    namespaces: tuple[str, ...] = ()
    excluded_namespaces: tuple[str, ...] = Field((), alias="excludedNamespaces")
    label_selector: LabelSelector | None = Field(None, alias="labelSelector")
    namespace_selector: LabelSelector | None = Field(None, alias="namespaceSelector")
    name: str | None = None
    source: Literal["All", "Generated", "Original"] = "All"

    @field_validator("kinds", "namespaces", "excluded_namespaces", mode="before")
    @classmethod
    def _empty(cls, value: Any) -> Any:
        return () if value is None else value

    def holds(self, resource: Mapping[str, Any], namespaces: Mapping[str, Mapping[str, Any]], *others: Any) -> bool:
        """Whether it is about a resource. `namespaces` are the known Namespace manifests by name.

        `others` are further forms of the resource, such as the one that an update replaces: its labels count as well.
        Raises NotDecidable.
        """
        group, kind = group_kind(resource)
        metadata = metadata_of(resource)
        own, name = metadata.get("namespace") or "", str(metadata.get("name") or metadata.get("generateName") or "")
        is_namespace = (group, kind) == ("", "Namespace")
        within = name if is_namespace else own
        if self.kinds and not any(each.holds(group, kind) for each in self.kinds):
            return False
        if self.source == "Generated":
            return False
        if self.scope == "Cluster" and own and not is_namespace:
            return False
        if self.scope == "Namespaced" and (is_namespace or not own):
            return False
        if within and self.namespaces and not any(_globbed(each, within) for each in self.namespaces):
            return False
        if within and any(_globbed(each, within) for each in self.excluded_namespaces):
            return False
        if self.name and not _globbed(self.name, name):
            return False
        forms = [metadata, *(metadata_of(each) for each in others if isinstance(each, Mapping))]
        if self.label_selector and not any(self.label_selector.holds(each.get("labels")) for each in forms):
            return False
        if self.namespace_selector and within:
            holder = resource if is_namespace else namespaces.get(within)
            if holder is None:
                raise NotDecidable(f"it selects by the labels of namespace {within}, whose manifest is not known")
            return self.namespace_selector.holds(metadata_of(holder).get("labels"))
        return True


def group_kind(resource: Mapping[str, Any]) -> tuple[str, str]:
    """The API group ("" for the core) and the kind of a manifest."""
    version, kind = str(resource.get("apiVersion") or ""), str(resource.get("kind") or "")
    return version.rpartition("/")[0], kind


def metadata_of(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metadata of a manifest, empty where there is none."""
    found = resource.get("metadata")
    return found if isinstance(found, Mapping) else {}


def _listed(words: Sequence[str], word: str) -> bool:
    return not words or "*" in words or word in words


def _globbed(pattern: str, text: str) -> bool:
    if pattern.startswith("*") and pattern.endswith("*") and len(pattern) > 1:
        return pattern[1:-1] in text
    if pattern.startswith("*"):
        return text.endswith(pattern[1:])
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
