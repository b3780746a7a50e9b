"""Who owns a field, by the managedFields of a live object.

Belongs here: reading FieldsV1. Does not: what follows from it (`drift.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cogniforge_pipeline.gitops.paths import Keyed, Member, Path, Segment


@dataclass(frozen=True)
class Manager:
    """Who set fields: the name of a program, `Apply` or `Update`, through which subresource, and when."""

    name: str
    operation: str
    subresource: str
    time: str


@dataclass(frozen=True)
class Owners:
    """The fields of an object and who owns each."""

    entries: tuple[tuple[Manager, Mapping[str, Any]], ...] = ()

    def of(self, path: Path) -> list[Manager]:
        """Who owns a field, or part of it where it is a map; the newest first."""
        found = [manager for manager, fields in self.entries if _has(fields, path)]
        return sorted(found, key=lambda manager: manager.time, reverse=True)

    def __bool__(self) -> bool:
        return bool(self.entries)


def owners(live: Mapping[str, Any]) -> Owners:
    """Who owns what in a live object; nobody where it has no managedFields that can be read."""
    entries = []
    for entry in (live.get("metadata") or {}).get("managedFields") or []:
        if isinstance(entry, Mapping) and isinstance(entry.get("fieldsV1"), Mapping):
            manager = Manager(*(str(entry.get(name) or "") for name in ("manager", "operation", "subresource", "time")))
            entries.append((manager, entry["fieldsV1"]))
    return Owners(tuple(entries))


def _has(fields: Mapping[str, Any], path: Path) -> bool:
    """Whether a set of fields has one. A leaf that is owned, as an atomic list is, owns what is below it."""
    here: Any = fields
    for part in path:
        if not here:
            return here is not fields
        here = next((inner for name, inner in here.items() if _is(name, part)), None)
        if here is None:
            return False
    return True


def _is(name: str, part: Segment) -> bool:
    kind, _, text = name.partition(":")
    match kind:
        case "f":
            return text == part
        case "i":
            return text == str(part)
        case "k" if isinstance(part, Keyed):
            keys = _read(text)
            return isinstance(keys, dict) and all(keys.get(key) == value for key, value in part.pairs)
        case "v" if isinstance(part, Member):
            return bool(_read(text) == part.value)
    return False


def managed_paths(fields: Mapping[str, Any], at: Path = ()) -> Iterator[Path]:
    """The leaves of a set of fields; an element that is owned as such has its own path too."""
    for name, inner in fields.items():
        if name == ".":
            yield at
            continue
        part = _segment(name)
        if part is not None:
            if inner:
                yield from managed_paths(inner, (*at, part))
            else:
                yield (*at, part)


def _segment(name: str) -> Segment | None:
    kind, _, text = name.partition(":")
    match kind:
        case "f":
            return text
        case "i":
            return int(text) if text.isdigit() else None
        case "k":
            keys = _read(text)
            return Keyed(tuple(keys.items())) if isinstance(keys, dict) else None
        case "v":
            return Member(_read(text))
    return None


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
