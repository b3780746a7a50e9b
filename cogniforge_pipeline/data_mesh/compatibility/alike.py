"""Whether two schemas say the same, word for word behind their references, titles and other notes aside.

Belongs here: equality of schemas of two documents. Does not: equality of meaning (subset.py proves that).
"""

from __future__ import annotations

from typing import Any

from cogniforge_pipeline.data_mesh.compatibility.document import Document, Node
from cogniforge_pipeline.data_mesh.compatibility.model import Budget
from cogniforge_pipeline.data_mesh.compatibility.wellformed import LISTS, MAPS, SINGLE

_NOTES = frozenset(
    {
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
        "format",
        "$comment",
        "$id",
        "id",
        "$schema",
        "$anchor",
        "$dynamicAnchor",
        "$defs",
        "definitions",
    }
)
_PARTS = frozenset({*SINGLE, *LISTS, *MAPS, "items", "dependencies"}) - {"$defs", "definitions"}


class Alike:
    """Answers remembered for pairs of schema objects."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._known: dict[tuple[int, int], bool] = {}

    def nodes(self, left: Node, right: Node) -> bool:
        """True when both say the same. A pair met again on the way counts as alike, as everything else must be too."""
        if left is right:
            return True
        if left.document is None or right.document is None or left.document.newer != right.document.newer:
            return False
        key = (id(left.raw), id(right.raw))
        if key not in self._known:
            seen: set[tuple[int, int]] = set()
            same = self._equal(left.document, left.raw, right.document, right.raw, seen)
            self._known.update(dict.fromkeys(seen, True) if same else {})
            self._known[key] = same
        return self._known[key]

    def _equal(self, left: Document, old: Any, right: Document, new: Any, seen: set[tuple[int, int]]) -> bool:
        waiting = [(old, new, True)]
        while waiting:
            old, new, schema = waiting.pop()
            self._budget.spend(2)
            if type(old) is not type(new):
                return False
            if isinstance(old, dict):
                key = (id(old), id(new))
                if schema and (key in seen or self._known.get(key)):
                    continue
                if schema and self._known.get(key) is False:
                    return False
                if schema:
                    seen.add(key)
                more = self._words(left, old, right, new) if schema else _names(old, new)
                if more is None:
                    return False
                waiting.extend(more)
            elif isinstance(old, list):
                if len(old) != len(new):
                    return False
                waiting.extend((before, after, schema) for before, after in zip(old, new, strict=True))
            elif old != new:
                return False
        return True

    def _words(self, left: Document, old: Any, right: Document, new: Any) -> list[tuple[Any, Any, bool]] | None:
        words = old.keys() - _NOTES
        if words != new.keys() - _NOTES:
            return None
        found: list[tuple[Any, Any, bool]] = []
        for word in words:
            if word in ("$ref", "$dynamicRef", "$recursiveRef"):
                before, after = left.target(old), right.target(new)
                if before is None or after is None:
                    return None
                found.append((before, after, True))
            elif word in MAPS or word == "dependencies":
                if old[word].keys() != new[word].keys():
                    return None
                found.extend((item, new[word][name], not isinstance(item, list)) for name, item in old[word].items())
            else:
                found.append((old[word], new[word], word in _PARTS))
        return found


def _names(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[Any, Any, bool]] | None:
    return [(item, new[name], False) for name, item in old.items()] if old.keys() == new.keys() else None
