"""Drift of 1,000 resources, a commit of 500 manifests, a history of 2,000 commits; the bars are 1 s, 0.1 s and 10 s.

Belongs here: timing, on a repository and manifests that are made here. Does not: what is measured (`gitops`).

CPU seconds of one core, the best of several rounds: other processes of a machine should not count. `measured` is the drift of
1,000 resources whose live side an API server filled in, of which every tenth differs; `ratio` is by its bar of 1 s.
The commit's objects are packed, as in a clone; a file is parsed once, and each manifest is another one.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pygit2

from bench.harness import report
from cogniforge_pipeline.gitops.diff import detect
from cogniforge_pipeline.gitops.git import first_parents, head_of, read_commit
from cogniforge_pipeline.gitops.history import Follower, follow
from cogniforge_pipeline.gitops.manifest_yaml import plain
from cogniforge_pipeline.gitops.manifests import Manifest
from tests.support.gitops import Repository, deployment, on_server

RESOURCES, FILES, COMMITS = 1000, 500, 2000
DRIFT_BAR, COMMIT_BAR, HISTORY_BAR = 1.0, 0.1, 10.0


def named(number: int, replicas: int = 2) -> dict[str, Any]:
    """One of many Deployments."""
    made = deployment()
    made["metadata"]["name"] = f"web-{number}"
    made["spec"]["replicas"] = replicas
    return made


def best(rounds: int, work: Callable[[], object]) -> float:
    """The least CPU seconds of some rounds."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def drift_seconds() -> float:
    """Of RESOURCES resources."""
    desired = [Manifest(named(number)) for number in range(RESOURCES)]
    live = []
    for number in range(RESOURCES):
        made = on_server(named(number, 3 if number % 10 == 0 else 2), applied=named(number))
        made["spec"]["template"]["spec"] |= {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst"}
        live.append(Manifest(made))
    found = detect(desired, live, b"salt")
    assert sum(bool(one.fields) for one in found) == RESOURCES // 10
    return best(5, lambda: detect(deepcopy(desired), live, b"salt")) - best(5, lambda: deepcopy(desired))


def git_seconds(folder: Path) -> tuple[float, float]:
    """Of a commit with FILES manifests, and of COMMITS commits that change two of them each."""
    repository = Repository(folder)
    for number in range(FILES):
        repository.write(f"k8s/{number % 20}/web-{number}.yaml", named(number))
    repository.commit()
    blobs = {path: repository.git.create_blob(data) for path, (_, data) in repository.files.items()}
    tree = dict(blobs)
    for number in range(1, COMMITS):
        for n in (number % FILES, (number * 7) % FILES):
            path = f"k8s/{n % 20}/web-{n}.yaml"
            data = repository.files[path][1].replace(b"replicas: 2", f"replicas: {number}".encode())
            tree[path] = repository.git.create_blob(data)
        commit_tree(repository, tree, number)
    pack = pygit2.PackBuilder(repository.git)
    for oid in repository.git:
        pack.add(oid)
    pack.write(str(folder / "objects" / "pack"))
    for loose in (folder / "objects").glob("??/*"):
        loose.unlink()
    git = pygit2.Repository(str(folder))
    head = head_of(git, "main", None)

    def commit() -> None:
        plain.cache_clear()
        manifests, problems = read_commit(git, head, "k8s")
        assert (len(manifests), problems) == (FILES, [])

    def history() -> None:
        steps = list(follow(Follower(git, "k8s", "shop", b"salt"), first_parents(head, None, COMMITS)))
        assert len(steps) == COMMITS

    return best(5, commit), best(1, history)


def commit_tree(repository: Repository, tree: dict[str, Any], number: int) -> None:
    """A commit of blobs that are there."""
    folders: dict[str, list[tuple[str, Any]]] = {}
    for path, blob in tree.items():
        _, folder, name = path.split("/")
        folders.setdefault(folder, []).append((name, blob))
    top = repository.git.TreeBuilder()
    for folder, entries in folders.items():
        builder = repository.git.TreeBuilder()
        for name, blob in entries:
            builder.insert(name, blob, 0o100644)
        top.insert(folder, builder.write(), 0o040000)
    root = repository.git.TreeBuilder()
    root.insert("k8s", top.write(), 0o040000)
    who = pygit2.Signature("Ana", "ana@example.org", 1_772_323_200 + number * 60, 0)
    parents = [repository.commits[-1]]
    made = repository.git.create_commit("refs/heads/main", who, who, f"change {number}", root.write(), parents)
    repository.commits.append(str(made))


def main() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        commit, history = git_seconds(Path(folder) / "r.git")
    drift = drift_seconds()
    met = commit <= COMMIT_BAR and history <= HISTORY_BAR
    told = {"commit_seconds": round(commit, 4), "commit_bar": COMMIT_BAR}
    told |= {"history_seconds": round(history, 2), "history_bar": HISTORY_BAR, "others_ok": met}
    return report("drift", drift, DRIFT_BAR, 1.0, **told) and met


if __name__ == "__main__":
    sys.exit(not main())
