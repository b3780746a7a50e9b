"""The live state: snapshots in files, or a cluster asked through the user's kubeconfig.

Belongs here: reading it, with the time at which it was taken. Does not: comparing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.gitops.canonical import to_text
from cogniforge_pipeline.gitops.files import read_path
from cogniforge_pipeline.gitops.manifests import MAX_FILE, Manifest, Problem, read_manifests
from cogniforge_pipeline.gitops.model import LiveSource

SECONDS = 120
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d)[-:]?(\d\d)[-:]?(\d\d)Z")


class LiveFailed(CogniforgeError):
    """A live state that cannot be read."""


@dataclass(frozen=True)
class Snapshot:
    """The resources of a cluster at a time."""

    taken_at: datetime
    revision: str
    manifests: tuple[Manifest, ...]
    problems: tuple[Problem, ...] = ()


def snapshot(taken_at: datetime, manifests: Sequence[Manifest], problems: Sequence[Problem] = ()) -> Snapshot:
    """A snapshot, with the hash of all that it holds as its revision."""
    hashed = sha256()
    for text in sorted(to_text(one.body) for one in manifests):
        hashed.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return Snapshot(taken_at, hashed.hexdigest()[:40], tuple(manifests), tuple(problems))


def snapshots(source: LiveSource, home: Path, namespace: str, after: datetime | None) -> Iterator[Snapshot]:
    """The snapshots of a source that were taken after a time, oldest first. Raises LiveFailed.

    A folder whose entries are named by times, such as `2026-03-01T10:00:00Z.json`, holds one snapshot in each; another
    file or folder is one snapshot, taken when its newest file was written.
    """
    if source.context is not None:
        found = ask_cluster(source, namespace)
        if after is None or found.taken_at > after:
            yield found
        return
    top = home.resolve()
    path = (home / str(source.files)).resolve()
    if not path.is_relative_to(top):
        raise LiveFailed(f"{source.files} lies outside of the home", "put snapshots below the home's folder")
    if not path.exists():
        raise LiveFailed(f"there is no {source.files}", "write one with: kubectl get all,configmaps -o json > FILE")
    for taken_at, part in _parts(path):
        if after is None or taken_at > after:
            manifests, problems = read_path(part)
            yield snapshot(taken_at, manifests, problems)


def _parts(path: Path) -> list[tuple[datetime, Path]]:
    timed = [(time, entry) for entry in path.iterdir() if (time := _time(entry.name))] if path.is_dir() else []
    if timed:
        return sorted(timed)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    newest = max((file.stat().st_mtime for file in files), default=0.0)
    return [(datetime.fromtimestamp(newest, UTC), path)] if files else []


def _time(name: str) -> datetime | None:
    match = _TIME.match(name)
    try:
        return datetime.fromisoformat(f"{match[1]}:{match[2]}:{match[3]}+00:00") if match else None
    except ValueError:
        return None


def ask_cluster(source: LiveSource, namespace: str) -> Snapshot:
    """Asks the cluster of a context with `kubectl get`. Raises LiveFailed."""
    taken_at = datetime.now(UTC)
    spaces = source.namespaces or ((namespace,) if namespace else ())
    found: list[Manifest] = []
    problems: list[Problem] = []
    for space in spaces or ("",):
        where = ["--namespace", space] if space else ["--all-namespaces"]
        common = ["get", "--output=json", "--ignore-not-found", "--show-managed-fields", *where]
        try:
            texts = [kubectl(source, [*common, ",".join(source.resources)])]
        except LiveFailed:
            texts = []  # a cluster that lacks one of the kinds gives none of them
            for resource in source.resources:
                try:
                    texts.append(kubectl(source, [*common, resource]))
                except LiveFailed as error:
                    problems.append(Problem(f"{source.context}/{resource}", 1, error.message))
            if not texts:
                raise
        for text in texts:
            more, wrong = read_manifests(text, f"{source.context}.json")
            found += more
            problems += wrong
    return snapshot(taken_at, found, problems)


def kubectl(source: LiveSource, arguments: Sequence[str], given: str | None = None) -> str:
    """What kubectl says for a context of the user's kubeconfig; `given` is its input. Raises LiveFailed."""
    program = shutil.which("kubectl")
    if program is None:
        raise LiveFailed("there is no kubectl on PATH", "install it, or give snapshots in files")
    command = [program, f"--context={source.context}", "--request-timeout=30s", *arguments]
    with tempfile.TemporaryFile() as out:
        try:
            done = subprocess.run(
                command,
                input=given.encode() if given is not None else None,
                stdin=subprocess.DEVNULL if given is None else None,
                stdout=out,
                stderr=subprocess.PIPE,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise LiveFailed(f"kubectl took longer than {SECONDS} s", "is the cluster there?") from None
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()[-500:]
            raise LiveFailed(f"kubectl failed: {said}", f"try: kubectl --context={source.context} get pods")
        if out.tell() > MAX_FILE * 4:
            raise LiveFailed(
                f"kubectl gave {out.tell()} bytes, expected at most {MAX_FILE * 4}", "name fewer resources"
            )
        out.seek(0)
        return out.read().decode("utf-8", "replace")
