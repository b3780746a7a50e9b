"""YAML that remembers its lines, so that an error can say where to look.

Belongs here: reading a YAML file and finding the line of a value. Does not: what the values mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from cogniforge_pipeline.errors import CogniforgeError

Place = tuple[str | int, ...]


class ContractError(CogniforgeError):
    """A contract that cannot be used; the message starts with `file:line:`."""


@dataclass(frozen=True)
class Document:
    """A parsed YAML mapping, its file and the 1-based line of every value."""

    path: Path
    data: dict[str, Any]
    lines: Mapping[Place, int]

    def fail(self, place: Place, message: str, hint: str | None = None) -> NoReturn:
        """Raise ContractError with the line of `place`, or of the nearest value around it."""
        while place and place not in self.lines:
            place = place[:-1]
        raise ContractError(f"{self.path}:{self.lines.get(place, 1)}: {message}", hint)


def read_document(path: Path) -> Document:
    """Read a YAML file whose top level is a mapping.

    Raises ContractError for a missing file, broken YAML, a key written twice, or another top level.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ContractError(f"{path}: cannot be read: {error.strerror}", "check the path") from error
    except UnicodeDecodeError as error:
        raise ContractError(f"{path}: is not UTF-8 text", "save the file as UTF-8") from error
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
        lines: dict[Place, int] = dict(_lines(node, (), path)) if node else {}
        data = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ContractError(f"{path}:{line}: not YAML: {error.problem}", "correct the syntax there") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ContractError(f"{path}: not YAML: {error}", "correct the syntax") from error
    if not isinstance(data, dict):
        raise ContractError(
            f"{path}:1: expected a mapping of ODCS fields, found {type(data).__name__}",
            "start the file with apiVersion, kind, id, name, version and status",
        )
    return Document(path, data, lines)


def _lines(node: yaml.Node, place: Place, path: Path) -> Iterator[tuple[Place, int]]:
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _lines(item, (*place, index), path)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise ContractError(f"{path}:{line}: {key.value!r} is written twice", "keep one of the two")
            seen.add(key.value)
            yield from _lines(value, (*place, key.value), path)
            yield (*place, key.value), line


def unknown_keys(data: Any, known: Any, place: Place = ()) -> Iterator[Place]:
    """Places of the keys in `data` that `known`, the same document after parsing, has dropped."""
    if isinstance(data, Mapping) and isinstance(known, Mapping):
        for key, value in data.items():
            if key in known:
                yield from unknown_keys(value, known[key], (*place, key))
            else:
                yield (*place, key)
    elif isinstance(data, Sequence) and not isinstance(data, str) and isinstance(known, Sequence):
        for index, (value, kept) in enumerate(zip(data, known, strict=False)):
            yield from unknown_keys(value, kept, (*place, index))


@dataclass(frozen=True)
class Spot:
    """A place in a document, to hand to code that reads one part of it."""

    document: Document
    place: Place = ()

    def at(self, *parts: str | int) -> Spot:
        """The place below this one."""
        return Spot(self.document, (*self.place, *parts))

    def fail(self, message: str, hint: str | None = None) -> NoReturn:
        """Raise ContractError with this file and line."""
        self.document.fail(self.place, message, hint)
