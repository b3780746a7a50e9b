"""Plain values, and where they stand in a file.

Belongs here: the tree of places, the canonical text of a value. Does not: parsing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Node:
    """A value with its place, line and column counted from 1; 0 means unknown.

    `keys` has the places of a mapping's keys. `nodes`, `characters` and `height` measure the value with its
    aliases expanded; a scalar has height 0.
    """

    value: Any
    line: int = 0
    column: int = 0
    children: dict[str | int, Node] = field(default_factory=dict)
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    nodes: int = 1
    characters: int = 0
    height: int = 0


def plain_node(value: Any) -> Node:
    """A node without a place, for values that come from no file."""
    node = Node(value)
    if isinstance(value, Mapping):
        node.children = {key: plain_node(item) for key, item in value.items()}
    elif isinstance(value, list):
        node.children = {place: plain_node(item) for place, item in enumerate(value)}
    return node


def dotted(parts: tuple[str | int, ...]) -> str:
    """("spec", "objectives", 0) as "spec.objectives[0]"; of a very long one the end."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")
    return text if len(text) <= 120 else "..." + text[-117:]


def canonical_json(spec: Any) -> str:
    """JSON with sorted keys and no spaces, so that equal values are equal text.

    Raises TypeError or ValueError for what JSON cannot hold.
    """
    return json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
