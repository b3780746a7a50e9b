"""The events of the YAML parser to nodes, by the YAML 1.2 core schema and within limits.

Belongs here: building values, aliases, duplicate keys. Does not: syntax errors, files.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import yaml

from cogniforge_pipeline.declarations.model import Problem
from cogniforge_pipeline.declarations.nodes import Node, dotted

MAX_DEPTH = 64
MAX_NODES = 100_000
MAX_CHARACTERS = 8_000_000

CORE_SCHEMA = {
    "null": re.compile(r"~|null|Null|NULL|"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    "float": re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
}
"""The plain scalars that are no text, https://yaml.org/spec/1.2.2/#103-core-schema"""

_TAG = "tag:yaml.org,2002:"


class Unreadable(Exception):
    """The rest of the file cannot be read; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end was not read yet. `key` is the mapping's key that waits for its value."""

    node: Node
    anchor: str | None
    key: str | None = None


class Reader:
    """Builds nodes from the parser's events, one at a time, so that limits hold before anything grows."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.documents: list[Node] = []
        self.problems: list[Problem] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._nodes = 0
        self._characters = 0

    def take(self, event: yaml.Event) -> None:
        """Add one event. Raises Unreadable."""
        match event:
            case yaml.DocumentStartEvent():
                self._anchors = {}
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                closed = self._stack.pop()
                if closed.anchor:
                    self._anchors[closed.anchor] = closed.node
                self._place(closed.node)
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.AliasEvent():
                self._alias(event)

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        mapping = isinstance(event, yaml.MappingStartEvent)
        if self._awaits_key():
            self._stop(event, "a list or mapping cannot be a key", "use text as the key")
        if event.tag not in (None, "!", _TAG + ("map" if mapping else "seq")):
            self._stop(
                event,
                f"the tag {event.tag!r} is not allowed",
                "remove it: declarations are plain data",
            )
        if len(self._stack) >= MAX_DEPTH:
            self._stop(event, f"nested deeper than {MAX_DEPTH} levels")
        if event.anchor:
            self._anchors.pop(event.anchor, None)
        self._spend(event, 1, 0)
        self._stack.append(_Open(Node({} if mapping else [], *_place(event), height=1), event.anchor))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._spend(event, 1, len(event.value))
        if self._awaits_key():
            self._key(event, event.value)
            if event.anchor:
                self._anchors[event.anchor] = Node(event.value, *_place(event), characters=len(event.value))
            return
        node = Node(self._value(event), *_place(event), characters=len(event.value))
        if event.anchor:
            self._anchors[event.anchor] = node
        self._place(node)

    def _alias(self, event: yaml.AliasEvent) -> None:
        target = self._anchors.get(event.anchor or "")
        if target is None:
            within = any(frame.anchor == event.anchor for frame in self._stack)
            reason = "stands inside what it names" if within else "has no anchor before it"
            self._stop(
                event,
                f"the alias *{event.anchor} {reason}",
                f"quote it if '*{event.anchor}' is text",
            )
        self._spend(event, target.nodes, target.characters)
        if len(self._stack) + target.height > MAX_DEPTH:
            self._stop(event, f"nested deeper than {MAX_DEPTH} levels")
        if self._awaits_key():
            if not isinstance(target.value, str):
                self._stop(event, "an alias as a key must name a text", "write the key out")
            self._key(event, target.value)
        else:
            line, column = _place(event)
            self._place(replace(target, line=line, column=column))

    def _key(self, event: yaml.Event, key: str) -> None:
        frame = self._stack[-1]
        if key in frame.node.keys:
            line = frame.node.keys[key][0]
            self._note(
                event,
                f"the key {key!r} is here twice, first in line {line}",
                "keep one of them",
                key,
            )
        else:
            frame.node.keys[key] = _place(event)
        frame.key = key

    def _place(self, node: Node) -> None:
        if not self._stack:
            self.documents.append(node)
            return
        frame = self._stack[-1]
        parent = frame.node
        if isinstance(parent.value, list):
            parent.children[len(parent.value)] = node
            parent.value.append(node.value)
        elif frame.key is not None:
            parent.children[frame.key] = node
            parent.value[frame.key] = node.value
            frame.key = None
        parent.nodes += node.nodes
        parent.characters += node.characters
        parent.height = max(parent.height, node.height + 1)

    def _value(self, event: yaml.ScalarEvent) -> Any:
        text, tag = event.value, event.tag
        if tag in ("!", _TAG + "str") or (tag is None and not event.implicit[0]):
            return text
        kind = next((name for name, form in CORE_SCHEMA.items() if form.fullmatch(text)), "str")
        if tag is not None and tag != _TAG + kind and (tag, kind) != (_TAG + "float", "int"):
            self._stop(
                event,
                f"the tag {tag!r} is not allowed here",
                "remove it: declarations are plain data",
            )
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "str":
            return text
        try:
            if kind == "int" and tag != _TAG + "float":
                return int(text, 8) if text[:2] == "0o" else int(text, 16) if text[:2] == "0x" else int(text)
            number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self._note(
                event,
                f"expected a finite number, got {text[:40]}",
                "quote it if it is text",
            )
        return number

    def _awaits_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].node.value, dict) and self._stack[-1].key is None

    def _spend(self, event: yaml.Event, nodes: int, characters: int) -> None:
        self._nodes += nodes
        self._characters += characters
        if self._nodes > MAX_NODES or self._characters > MAX_CHARACTERS:
            limit = f"{MAX_NODES} values or {MAX_CHARACTERS} characters"
            self._stop(
                event,
                f"more than {limit} in one file, aliases expanded",
                "split the file",
            )

    def _problem(self, event: yaml.Event, message: str, hint: str | None, *extra: str) -> Problem:
        line, column = _place(event)
        parts: list[str | int] = []
        for frame in self._stack:
            if isinstance(frame.node.value, list):
                parts.append(len(frame.node.value))
            elif frame.key is not None:
                parts.append(frame.key)
        return Problem(self.path, message, hint, line, column, dotted((*parts, *extra)))

    def _note(self, event: yaml.Event, message: str, hint: str, *extra: str) -> None:
        self.problems.append(self._problem(event, message, hint, *extra))

    def _stop(self, event: yaml.Event, message: str, hint: str | None = None) -> NoReturn:
        raise Unreadable(self._problem(event, message, hint))


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)
