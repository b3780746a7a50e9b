"""Manifests of a file or a folder.

Belongs here: which files are read. Does not: what is in them (`manifests.py`).
"""

from __future__ import annotations

from pathlib import Path

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.gitops.manifests import MAX_FILE, SUFFIXES, Manifest, Problem, read_manifests


def read_path(path: Path) -> tuple[list[Manifest], list[Problem]]:
    """The manifests of a file, or of all .yaml, .yml and .json files below a folder, and what could not be read.

    A symlink that leads out of the folder is a problem, and not followed. Raises CogniforgeError where there is no
    such file or folder.
    """
    if not path.exists():
        raise CogniforgeError(f"there is no {path}", "give a file or a folder of manifests, YAML or JSON")
    if path.is_file():
        return _read(path, path.name)
    found: list[Manifest] = []
    problems: list[Problem] = []
    top = path.resolve()
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if file.suffix not in SUFFIXES or any(part.startswith(".") for part in Path(name).parts):
            continue
        if not file.resolve().is_relative_to(top):
            problems.append(Problem(name, 1, "it is a symlink out of the folder, which is not followed"))
        elif file.is_file():
            more, wrong = _read(file, name)
            found += more
            problems += wrong
    return found, problems


def _read(file: Path, name: str) -> tuple[list[Manifest], list[Problem]]:
    try:
        if not file.is_file():
            return [], [Problem(name, 1, "it is no regular file")]
        size = file.stat().st_size
        if size > MAX_FILE:
            return [], [Problem(name, 1, f"expected at most {MAX_FILE} bytes, got {size}")]
        return read_manifests(file.read_bytes(), name)
    except OSError as error:
        return [], [Problem(name, 1, f"it cannot be read: {error.strerror}")]
