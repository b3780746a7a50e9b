"""Kubernetes manifests of a text: YAML or JSON, many documents, lists of resources.

Belongs here: from a text to manifests and problems. Does not: where the text comes from (`files.py`, `git.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cogniforge_pipeline.gitops.canonical import ResourceKey, key_of
from cogniforge_pipeline.gitops.manifest_yaml import MAX_DEPTH, DocumentInvalid, parse_document, split_documents

SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILE = 32 << 20
MAX_DOCUMENT = 8 << 20
"""etcd keeps objects of 1.5 MB at most; a list of many is one document too."""
NOT_PLAIN = {
    "kustomization.yaml": "Kustomize",
    "kustomization.yml": "Kustomize",
    "Kustomization": "Kustomize",
    "Chart.yaml": "Helm",
    "values.yaml": "Helm",
}


@dataclass(frozen=True)
class Manifest:
    """A manifest, and the file and line that it was read from."""

    body: Mapping[str, Any]
    path: str = ""
    line: int = 1

    def key(self, namespace: str = "") -> ResourceKey:
        return key_of(self.body, namespace)


@dataclass(frozen=True)
class Problem:
    """What could not be read, and where. `where` names the repository and commit, or nothing."""

    path: str
    line: int
    message: str
    where: str = ""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}"
        return f"{self.where} {place}: {self.message}" if self.where else f"{place}: {self.message}"


def read_manifests(data: bytes | str, path: str) -> tuple[list[Manifest], list[Problem]]:
    """The manifests of a file's text, and what is wrong in it: a bad document does not stop the others."""
    tool = NOT_PLAIN.get(path.rpartition("/")[2])
    if tool:
        return [], [Problem(path, 1, f"it is an input of {tool}: commit what {tool} renders, or render it before")]
    if len(data) > MAX_FILE:
        return [], [Problem(path, 1, f"expected at most {MAX_FILE} bytes, got {len(data)}")]
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        return [], [Problem(path, 1, f"it is not UTF-8: {error.reason} at byte {error.start}")]
    found: list[Manifest] = []
    problems: list[Problem] = []
    for chunk, line in split_documents(text):
        try:
            for body in _resources(_parse(chunk, path)):
                found.append(Manifest(body, path, line + _first(chunk)))
        except DocumentInvalid as error:
            problems.append(Problem(path, line + error.line - 1, error.message))
    return found, problems


def _first(chunk: str) -> int:
    """How many lines come before the first that says something."""
    for number, line in enumerate(chunk.split("\n", 50)):
        if line.strip() and not line.startswith(("---", "#")):
            return number
    return 0


def _parse(chunk: str, path: str) -> Any:
    return _json(chunk) if path.endswith(".json") or chunk.lstrip().startswith("{") else _yaml(chunk)


def _yaml(chunk: str) -> Any:
    if len(chunk) > MAX_DOCUMENT:
        raise DocumentInvalid(f"a YAML document has at most {MAX_DOCUMENT} characters, got {len(chunk)}", 1)
    return parse_document(chunk)


def _json(chunk: str) -> Any:
    try:
        value = json.loads(chunk, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return _yaml(chunk)  # a flow mapping is not JSON, and errors name a line
    _check_depth(value, 0)
    if "\\u" in chunk:  # YAML's parser refuses such itself
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise DocumentInvalid("it has half of a surrogate pair, which is no text", 1) from None
    return value


def _check_depth(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise DocumentInvalid(f"it is nested deeper than {MAX_DEPTH} levels", 1)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(item, dict | list):
            _check_depth(item, depth + 1)


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _resources(value: Any) -> Iterator[dict[str, Any]]:
    """The resources that a document holds. Raises DocumentInvalid for what is no resource."""
    if value is None:
        return
    if not isinstance(value, dict):
        raise DocumentInvalid(f"expected a manifest, which is a mapping, got {type(value).__name__}", 1)
    kind, items = value.get("kind"), value.get("items")
    if isinstance(kind, str) and kind.endswith("List") and isinstance(items, list):
        for item in items:
            if isinstance(item, dict):
                # kubectl leaves out what the list says of all
                item = {"kind": kind.removesuffix("List"), "apiVersion": value.get("apiVersion"), **item}
            yield from _resources(item)
        return
    for name in ("apiVersion", "kind"):
        if not isinstance(value.get(name), str) or not value[name]:
            raise DocumentInvalid(f"expected a manifest with {name}, got {_shown(value.get(name))}", 1)
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name") or metadata.get("generateName"), str):
        raise DocumentInvalid(f"expected a {kind} with metadata.name, got {_shown(metadata)}", 1)
    for name in ("labels", "annotations"):
        if not isinstance(metadata.get(name) or {}, dict):
            raise DocumentInvalid(f"expected metadata.{name} to be a mapping, got {_shown(metadata[name])}", 1)
    yield value


def _shown(value: Any) -> str:
    """What came, without what it holds: that may be a secret."""
    if value is None:
        return "nothing"
    return repr(value)[:80] if isinstance(value, bool | int | float) else f"a {type(value).__name__}"
