"""One schema document: its dialect, its identifiers, and what a reference means.

Belongs here: `$schema`, `$id`, anchors, pointers, `$ref`. Does not: keywords that judge documents (shape.py).
References are resolved inside the document; nothing is ever downloaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from cogniforge_pipeline.data_mesh.compatibility.model import Budget, SchemaError
from cogniforge_pipeline.data_mesh.compatibility.wellformed import IN_PLACE, check_keywords, subschemas

_NEWER = {"$defs", "prefixItems", "dependentRequired", "dependentSchemas", "unevaluatedProperties"}
_NEWER |= {"unevaluatedItems", "minContains", "maxContains", "$anchor", "$dynamicRef", "$dynamicAnchor"}
_OLDER = ("draft-03", "draft-04", "draft-06", "draft-07")


class Node:
    """One schema object of a document. Nodes are compared by identity, each object has one."""

    __slots__ = ("document", "number", "raw")

    def __init__(self, document: Document | None, raw: Any, number: int) -> None:
        self.document = document
        self.raw = raw
        self.number = number


class Document:
    """A schema that was checked. Raises SchemaError for one that is not well formed or refers to nothing."""

    def __init__(self, raw: Any, budget: Budget, first_number: int = 1) -> None:
        self.raw = raw
        self._budget = budget
        self._next = first_number
        self._nodes: dict[int, Node] = {}
        self._bases: dict[int, str] = {}
        self._resources: dict[str, Any] = {}
        self._anchors: dict[str, Any] = {}
        self.dynamic: dict[str, int] = {}
        self._targets: dict[int, Any] = {}
        check_keywords(raw, "#")
        self.newer = self._newer_dialect()
        """True where keywords beside `$ref` count (from 2019-09 on)."""
        self._resources[""] = raw
        self._index(raw, "#", "")
        self._check_references()

    def node(self, raw: Any) -> Node:
        """The node of a schema object of this document."""
        found = self._nodes.get(id(raw))
        if found is None:
            found = self._nodes[id(raw)] = Node(self, raw, self._next)
            self._next += 1
        return found

    def target(self, raw: dict[str, Any]) -> Any:
        """The schema that the reference in `raw` means, or None when it has none.

        A dynamic reference counts where the document has one anchor of its name, so that nothing can be dynamic.
        """
        return self._targets.get(id(raw))

    def _newer_dialect(self) -> bool:
        """True where keywords beside `$ref` count (from 2019-09 on)."""
        declared = self.raw.get("$schema") if isinstance(self.raw, dict) else None
        if isinstance(declared, str):
            return not any(name in declared for name in _OLDER)
        stack = [("#", self.raw)]
        while stack:
            self._budget.spend()
            path, raw = stack.pop()
            if isinstance(raw, dict):
                if not _NEWER.isdisjoint(raw):
                    return True
                check_keywords(raw, path)
                stack.extend(subschemas(raw, path))
        return False

    def _index(self, raw: Any, path: str, base: str) -> None:
        """Check every subschema and note its base address and its names; no recursion, schemas may be deep."""
        stack = [(raw, path, base)]
        while stack:
            raw, path, base = stack.pop()
            self._budget.spend(4)
            check_keywords(raw, path)
            if isinstance(raw, bool) or id(raw) in self._bases:
                continue
            if self.newer or "$ref" not in raw:
                base = self._names(raw, base)
            self._bases[id(raw)] = base
            stack.extend((item, where, base) for where, item in subschemas(raw, path))

    def _names(self, raw: dict[str, Any], base: str) -> str:
        identity = raw.get("$id", raw.get("id") if isinstance(raw.get("id"), str) else None)
        if isinstance(identity, str):
            address, fragment = urldefrag(urljoin(base, identity))
            if address and address != base:
                base = address
                self._resources.setdefault(base, raw)
            if fragment:
                self._anchors.setdefault(f"{base}#{fragment}", raw)
        for word in ("$anchor", "$dynamicAnchor"):
            if word in raw:
                self._anchors.setdefault(f"{base}#{raw[word]}", raw)
        if "$dynamicAnchor" in raw:
            self.dynamic[raw["$dynamicAnchor"]] = self.dynamic.get(raw["$dynamicAnchor"], 0) + 1
        return base

    def _check_references(self) -> None:
        """Resolve every reference, then refuse one that leads back to itself without going into the document."""
        waiting = [self.raw]
        seen: set[int] = set()
        while waiting:
            raw = waiting.pop()
            self._budget.spend(2)
            if isinstance(raw, bool) or id(raw) in seen:
                continue
            seen.add(id(raw))
            found = self._reference(raw)
            if found is not None:
                self._targets[id(raw)] = found
                waiting.append(found)
            waiting.extend(item for _, item in subschemas(raw))
        self._refuse_circles()

    def _reference(self, raw: dict[str, Any]) -> Any:
        if "$ref" in raw:
            return self._resolve(raw["$ref"], raw)
        dynamic = raw.get("$dynamicRef")
        if dynamic and self.dynamic.get(dynamic.rpartition("#")[2], 1) == 1:
            return self._resolve(dynamic, raw)
        if raw.get("$recursiveRef") == "#" and len(self._resources) <= 2:
            return self.raw
        return None

    def _resolve(self, reference: str, raw: dict[str, Any]) -> Any:
        address, fragment = urldefrag(urljoin(self._bases.get(id(raw), ""), reference))
        if not reference.partition("#")[0]:
            address = self._bases.get(id(raw), "")
        found = self._resources.get(address)
        if found is not None and fragment and not fragment.startswith("/"):
            found = self._anchors.get(f"{address}#{fragment}")
        elif found is not None and fragment:
            found = _pointer(found, fragment)
        if found is None:
            raise SchemaError(
                f"#: the reference {reference!r} leads nowhere",
                "put the schema it means under $defs (or definitions); references to other files are not followed",
            )
        if isinstance(found, dict) and id(found) not in self._bases:
            self._index(found, f"#{fragment}", address)
        check_keywords(found, f"#{fragment}")
        return found

    def _refuse_circles(self) -> None:
        done: set[int] = set()
        for start in list(self._targets):
            path: dict[int, Iterator[Any]] = {start: iter([self._targets[start]])}
            while path:
                self._budget.spend(2)
                last = next(reversed(path))
                step = next(path[last], None)
                if step is None:
                    done.add(last)
                    del path[last]
                elif id(step) in path:
                    raise SchemaError(
                        "#: a reference leads back to itself without going into a property or an item",
                        "no validator could end on it; remove the reference",
                    )
                elif isinstance(step, dict) and id(step) not in done:
                    path[id(step)] = iter(self._same_place(step))

    def _same_place(self, raw: dict[str, Any]) -> list[Any]:
        found = [self._targets[id(raw)]] if id(raw) in self._targets else []
        if found and not self.newer:
            return found
        for word in ("allOf", "anyOf", "oneOf"):
            found.extend(raw.get(word, ()))
        found.extend(raw[word] for word in IN_PLACE if word in raw)
        found.extend(raw.get("dependentSchemas", {}).values())
        found.extend(item for item in raw.get("dependencies", {}).values() if not isinstance(item, list))
        return [item for item in found if isinstance(item, dict)]


def _pointer(root: Any, fragment: str) -> Any:
    value = root
    for part in unquote(fragment).split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
