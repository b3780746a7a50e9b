"""Drift of one resource: the fields in which what runs is not what is wanted.

Belongs here: the three-way comparison of canonical manifests. Does not: which manifests belong together (`diff.py`),
what is ignored (`ignore.py`), or how manifests are read.

A field that is wanted must have its value. A field that only the live object has is drift when it was applied before
(and is wanted no more), when nothing but a file stands behind the live object, so that nobody else could have set it,
or within a map whose other fields have to go (retainKeys). Otherwise it is somebody else's, such as the server's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cogniforge_pipeline.gitops.paths import Member, Path, keyed, path_text
from cogniforge_pipeline.gitops.quantity import same_quantity
from cogniforge_pipeline.gitops.shape import Shape
from cogniforge_pipeline.gitops.strategic_apply import same


class Absent:
    """That there is no such field, which is not null."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Any = Absent()
TEXTS = frozenset({"labels", "annotations", "data", "binaryData", "matchLabels", "nodeSelector", "stringData"})
"""Maps of texts, in which an empty text is a value like any other."""


@dataclass(frozen=True)
class FieldDrift:
    """A field that differs. A side that has no such field is ABSENT."""

    path: Path
    desired: Any
    live: Any

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: an absent side is null."""
        desired, live = (None if side is ABSENT else side for side in (self.desired, self.live))
        return {"path": path_text(self.path), "desired": desired, "live": live}


def compare(
    desired: Mapping[str, Any],
    live: Mapping[str, Any],
    applied: Mapping[str, Any] | None,
    shape: Shape,
    *,
    strict: bool,
    zeros: bool = True,
) -> list[FieldDrift]:
    """The fields in which `live` differs from `desired`, both canonical, in order of their paths.

    `applied` is what was applied last, if that is known. `strict`: a field that only `live` has is drift. `zeros`: the
    server drops false, 0 and empty texts of fields without a default, as Kubernetes' own kinds do.
    """
    return sorted(_Comparison(zeros).maps(desired, live, applied or {}, shape, (), strict), key=_order)


def _order(field: FieldDrift) -> str:
    return path_text(field.path)


@dataclass(frozen=True)
class _Comparison:
    zeros: bool

    def maps(
        self,
        desired: Mapping[str, Any],
        live: Mapping[str, Any],
        applied: Any,
        shape: Shape,
        path: Path,
        strict: bool,
    ) -> list[FieldDrift]:
        before = applied if isinstance(applied, Mapping) else {}
        texts = bool(path) and path[-1] in TEXTS
        found: list[FieldDrift] = []
        for name, wanted in desired.items():
            inner = shape.child(name)
            if name in live:
                found += self.values(wanted, live[name], before.get(name), inner, (*path, name), strict)
            elif not self._unsaid(wanted, inner, desired, texts or name in TEXTS):
                found += [FieldDrift(at, leaf, ABSENT) for at, leaf in self._leaves((*path, name), wanted, inner)]
        for name, there in live.items():
            if name not in desired and (strict or shape.retain or name in before):
                inner = shape.child(name)
                if not self._unsaid(there, inner, live, texts or name in TEXTS):
                    found += [FieldDrift(at, ABSENT, leaf) for at, leaf in self._leaves((*path, name), there, inner)]
        return found

    def _leaves(self, path: Path, value: Any, shape: Shape) -> list[tuple[Path, Any]]:
        """The fields of a map that one side has and the other has not; a list is one field."""
        if not isinstance(value, Mapping) or not value:
            return [(path, value)]
        texts = any(part in TEXTS for part in path)
        return [
            leaf
            for name, item in value.items()
            if not self._unsaid(item, shape.child(name), value, texts or name in TEXTS)
            for leaf in self._leaves((*path, name), item, shape.child(name))
        ]

    def values(self, desired: Any, live: Any, applied: Any, shape: Shape, path: Path, strict: bool) -> list[FieldDrift]:
        if isinstance(desired, Mapping) and isinstance(live, Mapping):
            return self.maps(desired, live, applied, shape, path, strict)
        if isinstance(desired, list) and isinstance(live, list):
            return self._lists(desired, live, applied, shape, path, strict)
        if same(desired, live) or (shape.quantity and same_quantity(desired, live)):
            return []
        return [FieldDrift(path, desired, live)]

    def _unsaid(self, value: Any, shape: Shape, around: Mapping[str, Any], texts: bool) -> bool:
        """Whether a value says no more than its absence."""
        filled = shape.filled(around)
        if filled is not None:
            return not self.values(value, filled, None, shape, (), True)
        if value in ({}, []) and isinstance(value, dict | list):
            return True
        if isinstance(value, Mapping):
            return all(
                self._unsaid(item, shape.child(name), value, texts or name in TEXTS) for name, item in value.items()
            )
        return self.zeros and not texts and not isinstance(value, list) and not value

    def _lists(
        self, desired: list[Any], live: list[Any], applied: Any, shape: Shape, path: Path, strict: bool
    ) -> list[FieldDrift]:
        before = applied if isinstance(applied, list) else []
        if shape.merge and shape.keys:
            pairs = [_by_key(items, shape) for items in (desired, live, before)]
            if pairs[0] is not None and pairs[1] is not None:
                return self._keyed(pairs[0], pairs[1], pairs[2] or {}, shape, path, strict)
        elif shape.merge:
            return self._sets(desired, live, before, path, strict)
        maps = all(isinstance(item, Mapping) for item in (*desired, *live))
        if maps and len(desired) == len(live):
            found = []
            for at, (wanted, there) in enumerate(zip(desired, live, strict=True)):
                old = before[at] if at < len(before) else None
                found += self.maps(wanted, there, old, shape, (*path, at), strict)
            return found
        if len(desired) == len(live) and all(
            same(a, b) or (shape.quantity and same_quantity(a, b)) for a, b in zip(desired, live, strict=True)
        ):
            return []
        return [FieldDrift(path, desired, live)]

    def _keyed(
        self,
        desired: dict[tuple[str, ...], Any],
        live: dict[tuple[str, ...], Any],
        applied: dict[tuple[str, ...], Any],
        shape: Shape,
        path: Path,
        strict: bool,
    ) -> list[FieldDrift]:
        found: list[FieldDrift] = []
        for key, wanted in desired.items():
            at = (*path, keyed(wanted, shape.keys))
            if key in live:
                found += self.maps(wanted, live[key], applied.get(key), shape, at, strict)
            else:
                found.append(FieldDrift(at, wanted, ABSENT))
        for key, there in live.items():
            if key not in desired and (strict or key in applied):
                found.append(FieldDrift((*path, keyed(there, shape.keys)), ABSENT, there))
        return found

    def _sets(
        self, desired: Sequence[Any], live: Sequence[Any], applied: Sequence[Any], path: Path, strict: bool
    ) -> list[FieldDrift]:
        missing = [item for item in desired if not _among(item, live)]
        extra = [item for item in live if not _among(item, desired) and (strict or _among(item, applied))]
        return [FieldDrift((*path, Member(item)), item, ABSENT) for item in missing] + [
            FieldDrift((*path, Member(item)), ABSENT, item) for item in extra
        ]


def _among(item: Any, items: Sequence[Any]) -> bool:
    return any(same(item, other) for other in items)


def _by_key(items: Sequence[Any], shape: Shape) -> dict[tuple[str, ...], Any] | None:
    """The elements by the values of their keys, defaults filled in; None where a key is absent or not unique."""
    found: dict[tuple[str, ...], Any] = {}
    for item in items:
        if not isinstance(item, Mapping) or shape.keys[0] not in item:
            return None
        key = tuple(str(item.get(name, shape.child(name).filled(item))) for name in shape.keys)
        if key in found:
            return None
        found[key] = item
    return found
