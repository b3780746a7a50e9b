"""YAML documents as Kubernetes reads them, fast, and safe against documents that were made to hurt.

Belongs here: the parser. Does not: what a manifest is (`manifests.py`).

The rules are those of YAML 1.1's core types without dates, which JSON has not; keys become texts. Aliases count as
what they stand for, so that a bomb of aliases is refused before it is built.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from cogniforge_pipeline.errors import CogniforgeError

MAX_NODES = 500_000
MAX_DEPTH = 100
_TAG = "tag:yaml.org,2002:"
_RESOLVER: Any = Resolver()
_CONSTRUCTOR: Any = SafeConstructor()
_TYPED = {f"{_TAG}{name}" for name in ("null", "bool", "int", "float")}
_START = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


class DocumentInvalid(CogniforgeError):
    """A document that is no YAML, or more than anybody means by one; `line` counts from 1 within the text."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class _Parser(CParser):
    """libyaml's parser with its nodes, and only plain scalars marked."""

    def resolve(self, kind: type, _value: str, implicit: Any) -> str:
        return "plain" if kind is yaml.ScalarNode and implicit[0] else "text"

    depth = 0

    def descend_resolver(self, parent: Any, *_: Any) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:  # before the parser's own recursion runs out of stack
            raise DocumentInvalid(f"it is nested deeper than {MAX_DEPTH} levels", _line(parent))

    def ascend_resolver(self) -> None:
        self.depth -= 1


def split_documents(text: str) -> Iterator[tuple[str, int]]:
    """Each document of a stream and the number of its first line. `---` at the start of a line always parts two."""
    starts = [match.start() for match in _START.finditer(text)]
    line = 1
    for start, end in zip([0, *starts], [*starts, len(text)], strict=True):
        chunk = text[start:end]
        if chunk.strip():
            yield chunk, line
        line += chunk.count("\n")


def parse_document(text: str) -> Any:
    """The value of a text with one document. Raises DocumentInvalid."""
    try:
        node = _Parser(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = ", ".join(part for part in (error.context, error.problem) if part)
        raise DocumentInvalid(f"it is not valid YAML: {words}", mark.line + 1 if mark else 1) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DocumentInvalid(f"it is not valid YAML: {str(error).splitlines()[0]}", 1) from None
    return None if node is None else _Builder().build(node, 0)


class _Builder:
    def __init__(self) -> None:
        self.nodes = 0

    def build(self, node: Any, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise DocumentInvalid(
                f"it has more than {MAX_NODES} values, aliases counted as what they stand for", _line(node)
            )
        if depth > MAX_DEPTH:
            raise DocumentInvalid(f"it is nested deeper than {MAX_DEPTH} levels", _line(node))
        kind = type(node)
        if kind is yaml.ScalarNode:
            return self._scalar(node)
        if node.tag not in ("text", f"{_TAG}map", f"{_TAG}seq"):
            raise DocumentInvalid(f"it has a tag {node.tag}, which no manifest has", _line(node))
        if kind is yaml.SequenceNode:
            return [self.build(item, depth + 1) for item in node.value]
        return self._mapping(node, depth)

    def _scalar(self, node: Any) -> Any:
        if node.tag == "plain":
            return plain(node.value)
        if node.tag in ("text", f"{_TAG}str", f"{_TAG}binary"):
            return node.value
        if node.tag in _TYPED:
            return plain(node.value)
        raise DocumentInvalid(f"it has a tag {node.tag}, which no manifest has", _line(node))

    def _mapping(self, node: Any, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, value in node.value:
            if type(name) is not yaml.ScalarNode:
                raise DocumentInvalid("a key is a mapping or a list", _line(name))
            if name.tag == "plain" and name.value == "<<":
                merged = self.build(value, depth + 1)
                for part in reversed(merged if isinstance(merged, list) else [merged]):
                    if not isinstance(part, dict):
                        raise DocumentInvalid("a merge key << needs a mapping", _line(name))
                    made = {**part, **made}
                continue
            key = _key(name.value) if name.tag == "plain" else str(self._scalar(name))
            if type(value) is yaml.ScalarNode and value.tag == "plain":
                self.nodes += 1
                made[key] = plain(value.value)
            else:
                made[key] = self.build(value, depth + 1)
        return made


@lru_cache(65536)
def _key(text: str) -> str:
    """A key without quotes: what is no text is one in JSON's words."""
    value = plain(text)
    return value if isinstance(value, str) else json.dumps(value)


@lru_cache(65536)
def plain(text: str) -> Any:
    """The value of a scalar without quotes."""
    if _EXPONENT.fullmatch(text):  # the core types of YAML 1.1 want a point and a sign, JSON does not
        value = float(text)
        return value if math.isfinite(value) else text
    tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))
    if tag not in _TYPED:
        return text
    try:
        value = SafeConstructor.yaml_constructors[tag](_CONSTRUCTOR, yaml.ScalarNode(tag, text))
    except ValueError:
        return text
    return text if isinstance(value, float) and not math.isfinite(value) else value


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1
