"""The platform folder to declarations: which files count, and what clashes between them.

Belongs here: walking the folder and reading files. Does not: parsing and validating one document.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from cogniforge_pipeline.declarations.document import parse_json, parse_yaml
from cogniforge_pipeline.declarations.model import (
    Declaration,
    Kind,
    Platform,
    Problem,
    listed,
)
from cogniforge_pipeline.declarations.nodes import Node
from cogniforge_pipeline.declarations.validate import did_you_mean, validate

MAX_FILE_BYTES = 1024 * 1024
OTHER_FOLDERS = ("contracts", "sql")
"""They hold data products, which are no declarations."""
SUFFIXES = (".yaml", ".yml", ".json")


def load_platform(folder: Path, kinds: Iterable[Kind[Any]]) -> Platform:
    """All declarations under `folder`, in order of path and line, and all problems; see `Platform.check`.

    Each kind has a folder, read with its subfolders, or one file. Hidden files and README.md are passed over;
    whatever else belongs to no kind is a problem, and so is a link that leads out of the folder. A file that
    holds a wrong document still gives the right ones, unless the file itself is broken (syntax, repeated
    keys). Raises ValueError for two kinds of the same name or folder.
    """
    kinds = list(kinds)
    by_place = {PurePosixPath(kind.folder).stem + ("" if kind.is_file else "/"): kind for kind in kinds}
    names = frozenset(kind.name for kind in kinds)
    if not len(by_place) == len(names) == len(kinds):
        raise ValueError("two kinds have the same name or folder")
    if not folder.is_dir():
        missing = Problem(".", f"no folder {folder}", "make the home with `cogniforge init`")
        return Platform(folder, names, problems=(missing,))
    root = folder.resolve()
    declarations: list[Declaration[Any]] = []
    problems: list[Problem] = []
    companions: list[tuple[str, Path]] = []
    for entry in _entries(root, root, problems):
        if entry.is_dir() and entry.name in OTHER_FOLDERS:
            continue
        kind = by_place.get(entry.name + "/" if entry.is_dir() else entry.stem)
        if kind is None:
            problems.append(_unknown(entry, kinds))
            continue
        for file in _files(entry, root, problems) if entry.is_dir() else [entry]:
            path, suffix = _printable(file, root), file.suffix.lower()
            if suffix in SUFFIXES:
                found, wrong = load_file(kind, file, path)
                declarations += found
                problems += wrong
            elif suffix in kind.companions:
                companions.append((kind.name, file))
            else:
                allowed = listed([*SUFFIXES, *kind.companions])
                message = f"expected a file ending in {allowed}, got {suffix or file.name!r}"
                problems.append(Problem(path, message, "rename or remove it"))
    kept, clashes = _without_duplicates(declarations)
    for kind in kinds:
        problems += kind.between([declaration for declaration in kept if declaration.kind == kind.name])
    problems = sorted([*problems, *clashes], key=lambda p: (p.path, p.line or 0, p.column or 0))
    return Platform(folder, names, tuple(kept), tuple(problems), tuple(companions))


def _files(folder: Path, root: Path, problems: list[Problem]) -> Iterator[Path]:
    for entry in _entries(folder, root, problems):
        if entry.is_dir():
            yield from _files(entry, root, problems)
        else:
            yield entry


def _entries(folder: Path, root: Path, problems: list[Problem]) -> Iterator[Path]:
    """What is in a folder and may be read, in order of name."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        problems.append(Problem(_printable(folder, root), f"cannot be read: {error.strerror}"))
        return
    for entry in entries:
        message = hint = ""
        if entry.name.startswith(".") or entry.name.lower() == "readme.md":
            continue
        if entry.is_symlink() and not _leads_into(entry, root):
            message, hint = (
                "a link that leads out of the platform folder, or nowhere",
                "put the file itself here",
            )
        elif entry.is_symlink() and entry.is_dir():
            message, hint = "a link to a folder", "link the files instead"
        elif not entry.is_dir() and not entry.is_file():
            message, hint = "neither a file nor a folder", "remove it"
        if message:
            problems.append(Problem(_printable(entry, root), message, hint))
        else:
            yield entry


def _leads_into(link: Path, root: Path) -> bool:
    try:
        return link.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        return False


def _unknown(entry: Path, kinds: list[Kind[Any]]) -> Problem:
    known = [kind.folder + ("" if kind.is_file else "/") for kind in kinds]
    name = _printable(entry, entry.parent) + ("/" if entry.is_dir() else "")
    what = "folder" if entry.is_dir() else "file"
    return Problem(
        name,
        f"a {what} that belongs to no known kind",
        did_you_mean(name, known, "places"),
    )


def load_file(kind: Kind[Any], file: Path, path: str) -> tuple[list[Declaration[Any]], list[Problem]]:
    """The declarations of one file, and what is wrong in it; `path` is how problems name the file."""
    text = _read(file, path)
    if isinstance(text, Problem):
        return [], [text]
    if not text.strip():
        return [], [
            Problem(
                path,
                "the file is empty",
                "delete it, or say in a # comment why it is here",
            )
        ]
    nodes, problems = (parse_json if file.suffix.lower() == ".json" else parse_yaml)(text, path)
    documents = list(_documents(nodes))
    if not kind.plural and len(documents) > 1:
        second = documents[1][1]
        message = f"expected one {kind.name} in this file, got {len(documents)}"
        return [], [
            *problems,
            Problem(path, message, "merge them", second.line, second.column),
        ]
    readable = not problems
    declarations = []
    for place, node in documents:
        model, wrong = validate(kind, node, path, place)
        problems += wrong
        if model is not None and readable:
            declarations.append(Declaration(kind.name, kind.key(model), model, node.value, path, node.line))
    return declarations, problems


def _documents(nodes: list[Node]) -> Iterator[tuple[tuple[int, ...], Node]]:
    for node in nodes:
        if isinstance(node.value, list):
            yield from (((index,), node.children[index]) for index in range(len(node.value)))
        else:
            yield (), node


def _read(file: Path, path: str) -> str | Problem:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        return Problem(
            path,
            f"cannot be read: {error.strerror}",
            "give this user the right to read it",
        )
    if len(content) > MAX_FILE_BYTES:
        return Problem(path, f"larger than {MAX_FILE_BYTES} bytes", "split the file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
        return Problem(path, "not UTF-8 text", "save the file as UTF-8", line, column)


def _without_duplicates(
    declarations: list[Declaration[Any]],
) -> tuple[list[Declaration[Any]], list[Problem]]:
    kept: dict[tuple[str, str], Declaration[Any]] = {}
    problems = []
    for declaration in declarations:
        first = kept.setdefault((declaration.kind, declaration.name), declaration)
        if first is not declaration and declaration.path is not None:
            message = f"the {declaration.kind} {declaration.name!r} is also in {first.path}:{first.line}"
            problems.append(
                Problem(
                    declaration.path,
                    message,
                    "rename or remove one of them",
                    declaration.line,
                )
            )
    return list(kept.values()), problems


def _printable(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix().encode("utf-8", "backslashreplace").decode()
