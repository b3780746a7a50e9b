"""What the tests of GitOps share: reference cases, and manifests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from cogniforge_pipeline.gitops.canonical import LAST_APPLIED
from cogniforge_pipeline.gitops.manifest_yaml import parse_document
from cogniforge_pipeline.gitops.shape import Shape
from cogniforge_pipeline.gitops.strategic import sorted_lists, three_way_patch, two_way_patch
from cogniforge_pipeline.gitops.strategic_apply import PatchInvalid, apply_patch

SHARED = Path(__file__).parents[3] / "shared" / "data" / "gitops"


def merge_item_shape() -> Shape:
    """The shape of the API machinery's `MergeItem` test type, which contains itself."""
    fields: dict[str, Shape] = {}
    fields |= {
        "mergingList": Shape(merge=True, keys=("name",), fields=fields),
        "mergeItemPtr": Shape(merge=True, keys=("name",), fields=fields),
        "mergingIntList": Shape(merge=True),
        "retainKeysMap": Shape(retain=True, fields=fields),
        "retainKeysMergingList": Shape(merge=True, retain=True, keys=("name",), fields=fields),
        "replacingItem": Shape(replace=True),
    }
    return Shape(fields=fields)


def run_strategic_case(group: str, case: dict[str, Any]) -> list[str]:
    """What differs between a case of `strategic_merge_half.yaml` and what we do; empty where all is as it says."""
    shape = merge_item_shape()
    case = {name[0].lower() + name[1:]: value for name, value in case.items()}
    original = case.get("original")
    if "sorted" in case:
        return _compare("sorted", sorted_lists(original, shape), case["sorted"])
    if "expectedError" in case:
        try:
            made = apply_patch(original, case["twoWay"], shape)
        except PatchInvalid as error:
            return [] if case["expectedError"] in str(error) else [f"another error: {error}"]
        return [f"no error, but {made}"]
    modified = case["modified"]
    after = apply_patch(original, case["twoWay"], shape)
    wrong = _compare("applied", after, case.get("twoWayResult", modified))
    if "current" in case:
        current = case["current"]
        wrong += _compare("two way", two_way_patch(original, modified, shape), case["twoWay"])
        wrong += _compare("three way", three_way_patch(original, modified, current, shape), case["threeWay"])
        wrong += _compare("result", apply_patch(current, case["threeWay"], shape), case["result"])
    return wrong


def _compare(what: str, found: Any, expected: Any) -> list[str]:
    return [] if found == expected else [f"{what}: {found} and not {expected}"]


def deployment() -> dict[str, Any]:
    """A Deployment as people write it."""
    container = {
        "name": "web",
        "image": "shop:1",
        "ports": [{"containerPort": 8080}],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "resources": {"limits": {"cpu": "1000m", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}},
        },
    }


def on_server(manifest: dict[str, Any], applied: dict[str, Any] | None = None) -> dict[str, Any]:
    """A manifest as a server gives it back."""
    metadata = manifest["metadata"] | {"uid": "4d2c", "resourceVersion": "7", "generation": 1}
    metadata["creationTimestamp"] = "2026-01-01T00:00:00Z"
    if applied is not None:
        text = json.dumps(applied)
        metadata["annotations"] = {**metadata.get("annotations", {}), LAST_APPLIED: text}
    return {**deepcopy(manifest), "metadata": metadata, "status": {"observedGeneration": 1}}


def argo_pairs() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Argo CD's pairs of a configuration and what ran, by name."""
    configs = sorted((SHARED / "argo_pairs").glob("*-config.json"))
    lives = [path.with_name(path.name.replace("-config", "-live")) for path in configs]
    return {
        config.name.removesuffix("-config.json"): (json.loads(config.read_text()), json.loads(live.read_text()))
        for config, live in zip(configs, lives, strict=True)
    }


def argo_health_cases() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each of Argo CD's health cases: its file, the health that is expected, the live resource."""
    for suite in sorted((SHARED / "argo_health").glob("*/*/health_test.yaml")):
        for case in yaml.safe_load(suite.read_text())["tests"]:
            path = suite.parent / case["inputPath"]
            body = parse_document(path.read_text())
            yield path.relative_to(SHARED / "argo_health").as_posix(), case["healthStatus"]["status"], body


class Repository:
    """A bare git repository made of objects, as fast as they can be written. Times go by a minute a commit."""

    def __init__(self, folder: Path) -> None:
        import pygit2

        self.git = pygit2.init_repository(str(folder), bare=True, initial_head="main")
        self.path = folder
        self.files: dict[str, tuple[int, bytes]] = {}
        self.commits: list[str] = []
        self.start = datetime(2026, 3, 1, tzinfo=UTC)

    def write(self, path: str, content: str | bytes | dict[str, Any] | list[Any], mode: int = 0o100644) -> None:
        """A file of the next commit; manifests are written as YAML."""
        if isinstance(content, dict | list):
            content = yaml.safe_dump_all(content if isinstance(content, list) else [content])
        self.files[path] = (mode, content.encode() if isinstance(content, str) else content)

    def commit(self, message: str = "change", branch: str = "main", at: datetime | None = None) -> str:
        """Commits the files."""
        import pygit2

        moment = at or self.start + timedelta(minutes=len(self.commits))
        who = pygit2.Signature("Ana", "ana@example.org", int(moment.timestamp()), 0)
        parents = [self.commits[-1]] if self.commits else []
        tree = self._tree({tuple(path.split("/")): entry for path, entry in self.files.items()})
        made = self.git.create_commit(f"refs/heads/{branch}", who, who, message, tree, parents)
        self.commits.append(str(made))
        return str(made)

    def _tree(self, entries: dict[tuple[str, ...], tuple[int, bytes]]) -> Any:
        builder = self.git.TreeBuilder()
        folders: dict[str, dict[tuple[str, ...], tuple[int, bytes]]] = {}
        for path, (mode, data) in entries.items():
            if len(path) > 1:
                folders.setdefault(path[0], {})[path[1:]] = (mode, data)
            else:
                builder.insert(path[0], self.git.create_blob(data), mode)
        for name, inner in folders.items():
            builder.insert(name, self._tree(inner), 0o040000)
        return builder.write()
