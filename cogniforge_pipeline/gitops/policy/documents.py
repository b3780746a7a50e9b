"""Manifests from text: YAML and JSON as Kubernetes reads them, within limits.

Belongs here: documents of one text or file, and what is refused. Does not: what the documents mean.

As in Kubernetes, dates stay text, keys are text, and `yes` and `no` are booleans. Refused with a reason: texts of more
than MAX_BYTES, nesting deeper than MAX_DEPTH, aliases that would unfold to more than MAX_NODES values, repeated keys.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from cogniforge_pipeline.errors import CogniforgeError

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 200
MAX_NODES = 1_000_000
SUFFIXES = (".yaml", ".yml", ".json")
Manifest = dict[str, Any]
_BRACKETS = re.compile(r"[\[{]|[\]}]")
_LEADING = re.compile(r"^[ ]*(?:(?:[-?:])[ ]+)*", re.MULTILINE)


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class DocumentRefused(CogniforgeError):
    """A text that is no manifest, or one that is too large."""


class _Loader(yaml.CSafeLoader):
    """The core of YAML 1.1, without dates and without numbers to the base of 60 (`22:22` is text)."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [
            (tag, re.compile(rf"(?!.*:){pattern.pattern}", re.VERBOSE) if tag in _NUMBERS else pattern)
            for tag, pattern in each
            if tag != "tag:yaml.org,2002:timestamp"
        ]
        for first, each in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Manifest:  # type: ignore[override]
        """Keys become text here, where `1` and `true` are not yet one key."""
        self.flatten_mapping(node)
        return {
            _key(self.construct_object(key, deep=True)): self.construct_object(value, deep=deep)
            for key, value in node.value
        }


def read_manifests(path: Path, name: str | None = None) -> list[Manifest]:
    """The documents of a file, `List` kinds unfolded. Raises DocumentRefused, which names the file."""
    shown = name or str(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise DocumentRefused(f"{shown}: cannot be read: {error.strerror}") from None
    return list(manifests(content, shown))


def manifests(content: bytes | str, name: str) -> Iterator[Manifest]:
    """The objects of a text; empty documents are passed over. Raises DocumentRefused for what is no object."""
    for value in documents(content, name):
        if value is None:
            continue
        if not isinstance(value, dict):
            raise DocumentRefused(f"{name}: expected an object, got {type(value).__name__}")
        if str(value.get("kind", "")).endswith("List") and isinstance(value.get("items"), list):
            yield from (item for item in value["items"] if isinstance(item, dict))
        else:
            yield value


def documents(content: bytes | str, name: str) -> list[Any]:
    """The values of all documents of a text. Raises DocumentRefused with the line where it is known."""
    if len(content) > MAX_BYTES:
        raise DocumentRefused(f"{name}: larger than {MAX_BYTES // 1024 // 1024} MB", "split the file")
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
    except UnicodeDecodeError:
        raise DocumentRefused(f"{name}: not UTF-8 text", "save the file as UTF-8") from None
    if text.lstrip()[:1] in ("{", "["):
        try:
            return [json.loads(text, object_pairs_hook=_once)]
        except RecursionError:
            raise DocumentRefused(f"{name}: nested too deep") from None
        except ValueError:
            pass
    if _depth(text) > MAX_DEPTH:
        raise DocumentRefused(f"{name}: nested deeper than {MAX_DEPTH}")
    loader = _Loader(text)
    try:
        found = []
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                break
            _check(node, name)
            found.append(_plain(loader.construct_document(node)))
        return found
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise DocumentRefused(f"{name}{place}: {error.problem or error}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise DocumentRefused(f"{name}: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise DocumentRefused(f"{name}: nested too deep") from None
    finally:
        loader.dispose()


def _depth(text: str) -> int:
    """At most how deep a text nests; measured exactly, event by event, only where a rough look does not settle it."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(text):
        depth = depth + 1 if bracket in "[{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    rough = deepest + max((len(lead.group()) for lead in _LEADING.finditer(text)), default=0)
    if rough <= MAX_DEPTH:
        return rough
    depth = deepest = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                deepest = max(deepest, depth)
                if deepest > MAX_DEPTH:
                    break
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except yaml.YAMLError:
        pass  # told with its place when it is composed
    return deepest


def _check(node: yaml.Node, name: str) -> None:
    """Refuses aliases in circles or that unfold without measure, and keys written twice."""
    sizes: dict[int, int] = {}

    def size(each: yaml.Node) -> int:
        known = sizes.get(id(each))
        if known is not None:
            if known == 0:
                raise DocumentRefused(f"{name}:{each.start_mark.line + 1}: an alias of what it lies in")
            return known
        sizes[id(each)] = 0
        total = 1
        if isinstance(each, yaml.MappingNode):
            seen = set()
            for key, value in each.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                    if key.value in seen:
                        raise DocumentRefused(f"{name}:{key.start_mark.line + 1}: the key {key.value!r} twice")
                    seen.add(key.value)
                total += size(key) + size(value)
        elif isinstance(each, yaml.SequenceNode):
            total += sum(size(item) for item in each.value)
        if total > MAX_NODES:
            raise DocumentRefused(f"{name}: its aliases unfold to more than {MAX_NODES} values")
        sizes[id(each)] = total
        return total

    size(node)


def _once(pairs: list[tuple[str, Any]]) -> Manifest:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key twice")
    return found


def _plain(value: Any) -> Any:
    """What JSON can hold: numbers are finite."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        raise ValueError("binary values are not allowed here: write base64 as text")
    if isinstance(value, float) and (not math.isfinite(value)):
        raise ValueError("not a finite number")
    return value


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    if key is None:
        return "null"
    if isinstance(key, str | int | float):
        return str(key)
    raise ValueError(f"a key that is a {type(key).__name__}")
