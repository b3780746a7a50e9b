"""Finding a source's files, without ever leaving its folder.

Belongs here: globs, walking, templates over a path. Does not: what is in the files.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cogniforge_pipeline.sources.model import PathSource
from cogniforge_pipeline.sources.points import Refusal, RefusedItem

UNFINISHED = (".tmp", ".part", ".partial", ".crdownload")
"""Endings of files that somebody still writes; not looked at until they are renamed. So are names with a
leading dot.
"""


@dataclass(frozen=True)
class Found:
    """A regular file inside the source's folder. `item` is its path relative to that folder, with `/`."""

    path: Path
    item: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class _Glob:
    root: Path
    pattern: re.Pattern[str]
    depth: float


def _parse(pattern: str, home: Path, base: Path) -> _Glob:
    parts = PurePosixPath(pattern).parts
    wild = next((i for i, part in enumerate(parts) if re.search(r"[*?\[]", part)), len(parts) - 1)
    rest = parts[wild:]
    start = home if parts[:1] == ("landing",) else base
    root = Path(os.path.normpath(start.joinpath(*parts[:wild])))
    regex = ""
    for i, part in enumerate(rest):
        last = i == len(rest) - 1
        if part == "**":
            regex += ".+" if last else "(?:[^/]+/)*"
        else:
            regex += _part(part) + ("" if last else "/")
    return _Glob(root, re.compile(regex), float("inf") if "**" in rest else len(rest))


def _part(part: str) -> str:
    """One path part of a glob as a regular expression: `*`, `?` and `[…]` as a shell has them."""
    pieces = re.split(r"(\*|\?|\[!?[^\]]+\])", part)
    return "".join(
        {"*": "[^/]*", "?": "[^/]"}.get(piece)
        or (
            "[" + re.sub(r"^!", "^", piece[1:-1]).replace("\\", "\\\\") + "]"
            if re.fullmatch(r"\[!?[^\]]+\]", piece)
            else re.escape(piece)
        )
        for piece in pieces
        if piece
    )


def _shown(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def find_files(source: PathSource, *, home: Path, base: Path) -> Iterator[Found | Refusal]:
    """The files that the source's globs match, sorted by path; what must not be read comes as a refusal.

    Links that lead out of a glob's folder, files that are not regular and folders that cannot be opened are
    refused. Names with a leading dot or an UNFINISHED ending are passed over.
    """
    globs = [_parse(pattern, home, base) for pattern in source.path]
    excludes = [_parse(pattern, home, base) for pattern in source.exclude]
    top = Path(os.path.commonpath([glob.root for glob in globs]))
    seen: set[str] = set()
    for glob in globs:
        if not glob.root.is_dir():
            if not glob.root.is_relative_to(home / "landing"):
                item = _shown(os.path.relpath(glob.root, top.parent))
                yield Refusal(
                    source.name,
                    item,
                    "missing",
                    f"there is no folder {_shown(str(glob.root))}",
                    "make the folder, or correct `path` of the source",
                )
            continue
        for entry in _walk(source.name, glob, "", top, 1):
            if isinstance(entry, Refusal):
                yield entry
                continue
            relative, path = entry
            if not glob.pattern.fullmatch(relative) or str(path) in seen or _excluded(path, excludes):
                continue
            seen.add(str(path))
            found = _examine(source.name, glob.root, path, _shown(path.relative_to(top).as_posix()))
            if found is not None:
                yield found


def _walk(source: str, glob: _Glob, below: str, top: Path, level: int) -> Iterator[tuple[str, Path] | Refusal]:
    folder = glob.root / below
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        reason = f"the folder cannot be opened: {error.strerror}"
        yield Refusal(source, _shown(folder.relative_to(top).as_posix()), reason, reason)
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        relative = f"{below}/{entry.name}" if below else entry.name
        if not entry.is_dir():
            if not entry.name.endswith(UNFINISHED):
                yield relative, Path(entry.path)
        elif level < glob.depth:
            if not entry.is_symlink():
                yield from _walk(source, glob, relative, top, level + 1)
            elif not _inside(Path(entry.path), glob.root):
                yield _leads_out(source, _shown(Path(entry.path).relative_to(top).as_posix()), entry.path)


def _inside(path: Path, root: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _excluded(path: Path, excludes: list[_Glob]) -> bool:
    return any(
        path.is_relative_to(glob.root) and glob.pattern.fullmatch(path.relative_to(glob.root).as_posix())
        for glob in excludes
    )


def _leads_out(source: str, item: str, path: str) -> Refusal:
    return Refusal(
        source,
        item,
        f"link to {_shown(str(Path(path).readlink())) if Path(path).is_symlink() else 'elsewhere'}",
        "a link that leads out of the source's folder",
        "copy the file into the folder, or declare a source for the folder it lies in",
    )


def _examine(source: str, root: Path, path: Path, item: str) -> Found | Refusal | None:
    """None when the file has gone in the meantime."""
    if not _inside(path, root):
        return _leads_out(source, item, str(path))
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return Refusal(source, item, "special", "not a regular file", "only regular files are read")
    return Found(path, item, status.st_size, status.st_mtime_ns)


def item_of_home(path: Path, home: Path) -> str:
    """A file's path relative to the home, absolute where it lies elsewhere: the same whichever glob finds it."""
    return _shown((path.relative_to(home) if path.is_relative_to(home) else path).as_posix())


def path_names(path: Path, item: str, pattern: str | None) -> dict[str, str]:
    """What a template over a path can use: parent, stem (name without endings), name, path and the pattern's
    groups.

    Raises RefusedItem when `pattern` is given and is not found in the path.
    """
    names = {"parent": path.parent.name, "stem": path.name.split(".")[0], "name": path.name, "path": item}
    if pattern is not None:
        match = re.search(pattern, item)
        if match is None:
            raise RefusedItem(
                f"path_pattern {pattern!r} is not found in the path {item!r}",
                "correct path_pattern, or leave the file out with `exclude`",
            )
        names |= {name: text or "" for name, text in match.groupdict().items()}
    return {name: _shown(text) for name, text in names.items()}


def fill(template: str, names: dict[str, str]) -> str:
    """The template with each `{name}` replaced; unknown names stay (the model refuses them)."""
    return re.sub(r"\{([^{}]*)\}", lambda match: names.get(match[1], match[0]), template)
