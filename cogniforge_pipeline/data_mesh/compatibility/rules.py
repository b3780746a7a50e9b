"""The names of the rules, and which of them let a reader go on.

Belongs here: the names, as Confluent's Schema Registry has them for JSON Schema, and ours for what it does not name.
Does not: finding differences (differ.py).

A rule is breaking unless it is listed as harmless. A finding may say otherwise: a rule that is breaking in general may be
proved harmless for a pair, and one that is harmless in general may be refused where a validator would refuse a document.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

ANNOTATIONS = frozenset({"ID_CHANGED", "TITLE_CHANGED", "DESCRIPTION_CHANGED", "DEFAULT_CHANGED", "FORMAT_CHANGED"})
_ADDED_REMOVED = ("ADDED", "REMOVED")
_SIZES = ("LENGTH", "PROPERTIES", "ITEMS")
_UPPER = {f"MAX_{word}" for word in _SIZES} | {"MAXIMUM", "EXCLUSIVE_MAXIMUM"}
_LOWER = {f"MIN_{word}" for word in _SIZES} | {"MINIMUM", "EXCLUSIVE_MINIMUM"}
_MEMBERS = ("PROPERTY", "ITEM")

HARMLESS = (
    ANNOTATIONS
    | {f"{word}_{change}" for word in _UPPER for change in ("INCREASED", "REMOVED")}
    | {f"{word}_{change}" for word in _LOWER for change in ("DECREASED", "REMOVED")}
    | {
        f"{word}_{change}"
        for word in _MEMBERS
        for change in (
            "WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL",
            "WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL",
            "REMOVED_FROM_OPEN_CONTENT_MODEL",
            "ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
            "REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
        )
    }
    | {f"ADDITIONAL_{word}_{change}" for word in ("PROPERTIES", "ITEMS") for change in ("ADDED", "EXTENDED")}
    | {
        "SCHEMA_REMOVED",
        "TYPE_EXTENDED",
        "PATTERN_REMOVED",
        "MULTIPLE_OF_REDUCED",
        "MULTIPLE_OF_REMOVED",
        "REQUIRED_ATTRIBUTE_REMOVED",
        "DEPENDENCY_ARRAY_NARROWED",
        "DEPENDENCY_ARRAY_REMOVED",
        "DEPENDENCY_SCHEMA_REMOVED",
        "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
        "ITEM_ADDED_TO_CLOSED_CONTENT_MODEL",
        "UNIQUE_ITEMS_REMOVED",
        "ENUM_ARRAY_EXTENDED",
        "COMBINED_TYPE_EXTENDED",
        "PRODUCT_TYPE_NARROWED",
        "SUM_TYPE_EXTENDED",
        "NOT_TYPE_NARROWED",
        "PROPERTY_NAMES_REMOVED",
        "PROPERTY_NAMES_EXTENDED",
        "CONTAINS_REMOVED",
        "CONTAINS_EXTENDED",
        "CONDITION_REMOVED",
        "CONDITION_EXTENDED",
    }
)

BREAKING = (
    {f"{word}_{change}" for word in _UPPER for change in ("ADDED", "DECREASED")}
    | {f"{word}_{change}" for word in _LOWER for change in ("ADDED", "INCREASED")}
    | {
        f"{word}_{change}"
        for word in _MEMBERS
        for change in (
            "ADDED_TO_OPEN_CONTENT_MODEL",
            "REMOVED_FROM_CLOSED_CONTENT_MODEL",
            "ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
            "REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
        )
    }
    | {f"ADDITIONAL_{word}_{change}" for word in ("PROPERTIES", "ITEMS") for change in ("REMOVED", "NARROWED")}
    | {
        "SCHEMA_ADDED",
        "TYPE_NARROWED",
        "TYPE_CHANGED",
        "PATTERN_ADDED",
        "PATTERN_CHANGED",
        "MULTIPLE_OF_ADDED",
        "MULTIPLE_OF_EXPANDED",
        "MULTIPLE_OF_CHANGED",
        "REQUIRED_ATTRIBUTE_ADDED",
        "REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED",
        "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
        "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL",
        "DEPENDENCY_ARRAY_ADDED",
        "DEPENDENCY_ARRAY_EXTENDED",
        "DEPENDENCY_ARRAY_CHANGED",
        "DEPENDENCY_SCHEMA_ADDED",
        "UNIQUE_ITEMS_ADDED",
        "ENUM_ARRAY_NARROWED",
        "ENUM_ARRAY_CHANGED",
        "COMBINED_TYPE_CHANGED",
        "COMBINED_TYPE_SUBSCHEMAS_CHANGED",
        "PRODUCT_TYPE_EXTENDED",
        "SUM_TYPE_NARROWED",
        "NOT_TYPE_EXTENDED",
        "PROPERTY_NAMES_ADDED",
        "PROPERTY_NAMES_NARROWED",
        "CONTAINS_ADDED",
        "CONTAINS_NARROWED",
        "CONDITION_ADDED",
        "CONDITION_NARROWED",
        "UNDECIDED",
    }
)
RULES = HARMLESS | BREAKING


@dataclass(frozen=True)
class Found:
    """A difference before it has a direction: its path is relative to the schemas that were compared.

    `policy` marks a refusal that stands although the documents themselves would fit.
    """

    rule: str
    path: tuple[str, ...]
    breaking: bool
    detail: str
    policy: bool = False


def found(rule: str, *path: str, detail: str = "", breaking: bool | None = None, policy: bool = False) -> Found:
    """A finding; its rule decides whether it is breaking unless that is told."""
    if breaking is None:
        breaking = rule in BREAKING
    return Found(rule, path, breaking, detail, policy)


def under(path: tuple[str, ...], findings: Iterable[Found]) -> list[Found]:
    """The findings with their paths put below another."""
    return [Found(item.rule, path + item.path, item.breaking, item.detail, item.policy) for item in findings]


def harmless(findings: Iterable[Found], reason: str) -> list[Found]:
    """The findings with none of them breaking, for a reason that is told."""
    return [replace(_because(item, reason), breaking=False) if item.breaking else item for item in findings]


def undecided(findings: Iterable[Found], reason: str) -> list[Found]:
    """The findings with the reason why the breaking ones could not be proved harmless."""
    return [_because(item, f"a proof that it does not matter was not found: {reason}") for item in findings]


def _because(item: Found, reason: str) -> Found:
    if not item.breaking:
        return item
    return replace(item, detail=f"{item.detail}; {reason}" if item.detail else reason)


def breaks(findings: Iterable[Found]) -> bool:
    """True when one of the findings is breaking."""
    return any(item.breaking for item in findings)


def message(item: Found) -> str:
    """The finding in words."""
    words = item.rule.replace("_", " ").capitalize()
    return f"{words}: {item.detail}" if item.detail else words
