"""The dependency graph: who calls whom.

Belongs here: the graph, reading it from files, what it can reach. Does not: metrics, learning edges.
"""

from __future__ import annotations

import csv
import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cogniforge_pipeline.errors import CogniforgeError

_FORMS = (
    "a CSV adjacency matrix (row calls column), a CSV with the columns caller,callee, or JSON: "
    '{"caller": ["callee"]}, [["caller", "callee"]] or {"edges": [...]}'
)
_CALLERS = ("caller", "source", "from", "service", "parent", "src")
_CALLEES = ("callee", "target", "to", "depends_on", "child", "dst")


@dataclass(frozen=True)
class Graph:
    """Edges (caller, callee): the caller depends on the callee, so trouble travels from callee to caller."""

    edges: frozenset[tuple[str, str]]
    nodes: frozenset[str] = frozenset()
    origin: Literal["declared", "learnt"] = "declared"

    @classmethod
    def of(
        cls,
        edges: Iterable[tuple[str, str]],
        nodes: Iterable[str] = (),
        origin: Literal["declared", "learnt"] = "declared",
    ) -> Graph:
        """A graph of these edges; nodes without edges may be named too."""
        edges = frozenset((caller, callee) for caller, callee in edges if caller != callee)
        return cls(edges, frozenset(nodes) | {node for edge in edges for node in edge}, origin)

    @cached_property
    def callees(self) -> Mapping[str, tuple[str, ...]]:
        """What each node calls itself, in order of name."""
        found: dict[str, list[str]] = {node: [] for node in self.nodes}
        for caller, callee in sorted(self.edges):
            found[caller].append(callee)
        return {node: tuple(callees) for node, callees in found.items()}

    def paths_from(self, start: str) -> dict[str, tuple[str, ...]]:
        """A shortest path of calls from `start` to every node that it depends on, itself included."""
        paths: dict[str, tuple[str, ...]] = {start: (start,)}
        queue = deque([start])
        while queue:
            node = queue.popleft()
            for callee in self.callees.get(node, ()):
                if callee not in paths:
                    paths[callee] = (*paths[node], callee)
                    queue.append(callee)
        return paths

    @cached_property
    def cycle_of(self) -> Mapping[str, int]:
        """A number for each node; nodes that call one another in a cycle share it."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        place = {node: number for number, node in enumerate(sorted(self.nodes))}
        if not self.edges:
            return place
        rows, columns = zip(*((place[caller], place[callee]) for caller, callee in self.edges), strict=True)
        matrix = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(place), len(place)))
        _, labels = connected_components(matrix.tocsr(), directed=True, connection="strong")
        return {node: int(labels[number]) for node, number in place.items()}

    def measured_callees(self, node: str, measured: frozenset[str]) -> tuple[str, ...]:
        """The nearest nodes in `measured` that `node` calls, through nodes without metrics, outside its own cycle."""
        found, seen, queue = set(), {node}, deque([node])
        while queue:
            for callee in self.callees.get(queue.popleft(), ()):
                if callee in seen:
                    continue
                seen.add(callee)
                if callee not in measured:
                    queue.append(callee)
                elif self.cycle_of[callee] != self.cycle_of[node]:
                    found.add(callee)
        return tuple(sorted(found))


def read_graph(path: Path) -> Graph:
    """The graph of a CSV or JSON file. Raises CogniforgeError for what is neither an edge list nor an adjacency.

    CSV: an adjacency matrix whose first row and column are nodes (not 0: the row calls the column), or two columns
    with a header (caller,callee or source,target or from,to ...) or, without a known header, caller and callee.
    JSON: {"node": ["callee", ...]}, {"node": {"callee": 1}}, a list of pairs or of objects, or {"edges" or "links":
    such a list, "nodes": [...]}.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CogniforgeError(f"cannot read {path}: {error}", f"give {_FORMS}") from None
    if not text.strip():
        raise CogniforgeError(f"{path} is empty", f"give {_FORMS}")
    if text.lstrip()[0] in "[{":
        try:
            return _from_json(json.loads(text))
        except ValueError as error:
            raise CogniforgeError(f"{path}: {error}", f"give {_FORMS}") from None
    rows = [[field.strip() for field in row] for row in csv.reader(text.splitlines()) if any(map(str.strip, row))]
    try:
        return _from_matrix(rows) if _is_matrix(rows) else _from_pairs(rows)
    except ValueError as error:
        raise CogniforgeError(f"{path}: {error}", f"give {_FORMS}") from None


def _is_matrix(rows: Sequence[Sequence[str]]) -> bool:
    """A matrix is square and names the same nodes in its first row and column."""
    return len(rows) > 1 and {row[0] for row in rows[1:]} == set(rows[0][1:])


def _from_matrix(rows: Sequence[Sequence[str]]) -> Graph:
    nodes = rows[0][1:]
    edges = []
    for row in rows[1:]:
        if len(row) != len(nodes) + 1:
            raise ValueError(f"row {row[0]!r} has {len(row) - 1} numbers for {len(nodes)} nodes")
        for callee, field in zip(nodes, row[1:], strict=True):
            try:
                linked = float(field or 0) != 0
            except ValueError:
                raise ValueError(f"{field!r} in row {row[0]!r} is no number") from None
            if linked:
                edges.append((row[0], callee))
    return Graph.of(edges, nodes)


def _from_pairs(rows: Sequence[Sequence[str]]) -> Graph:
    header = [field.lower() for field in rows[0]]
    caller = next((header.index(name) for name in _CALLERS if name in header), None)
    callee = next((header.index(name) for name in _CALLEES if name in header), None)
    named = caller is not None and callee is not None
    first, second = (caller, callee) if caller is not None and callee is not None else (0, 1)
    body = rows[1:] if named else rows
    for row in body:
        if len(row) <= max(first, second) or (not named and len(row) != 2):
            raise ValueError(f"{','.join(row)!r} is no pair of caller and callee")
    return Graph.of(((row[first], row[second]) for row in body if row[second]), {row[first] for row in body})


def _from_json(value: Any) -> Graph:
    if isinstance(value, Mapping):
        for key in ("edges", "links"):
            if isinstance(value.get(key), list):
                return Graph.of(map(_pair, value[key]), map(_node, value.get("nodes") or ()))
        for node, callees in value.items():
            if not isinstance(callees, list | Mapping) or not all(isinstance(callee, str) for callee in callees):
                raise ValueError(f"what {node!r} calls is no list of names")
        pairs = (
            (node, callee)
            for node, callees in value.items()
            for callee in callees
            if not isinstance(callees, Mapping) or callees[callee]
        )
        return Graph.of(pairs, value)
    return Graph.of(map(_pair, value))


def _pair(item: Any) -> tuple[str, str]:
    if isinstance(item, Mapping):
        caller = next((item[name] for name in _CALLERS if name in item), None)
        callee = next((item[name] for name in _CALLEES if name in item), None)
        item = (caller, callee)
    if not isinstance(item, list | tuple) or len(item) < 2 or not all(isinstance(name, str) for name in item[:2]):
        raise ValueError(f"{item!r} is no pair of caller and callee")
    return item[0], item[1]


def _node(item: Any) -> str:
    name = item.get("id", item.get("name")) if isinstance(item, Mapping) else item
    if not isinstance(name, str):
        raise ValueError(f"{item!r} is no node's name")
    return name
