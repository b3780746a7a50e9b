"""Desired state from git objects: no checkout, no hooks, no filters, no commands.

Belongs here: opening repositories, mirrors, commits, and the manifests of a tree. Does not: which addresses are taken
(`urls.py`), or what changed between commits (`history.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.gitops.manifests import MAX_FILE, SUFFIXES, Manifest, Problem, read_manifests
from cogniforge_pipeline.gitops.urls import Address, address, without_password

if TYPE_CHECKING:
    import pygit2

TREE, BLOB, LINK, MODULE = 0o040000, 0o100000, 0o120000, 0o160000
MAX_DEPTH = 64
MAX_FILES = 50_000
MAX_TARGET = 4096
FETCH = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", "+HEAD:refs/cogniforge/head")


class GitFailed(CogniforgeError):
    """A repository that cannot be opened or fetched, or has no such branch."""


@dataclass(frozen=True)
class Commit:
    """A commit; `at` is its committer's time, UTC."""

    id: str
    at: datetime
    author: str
    message: str


@dataclass
class Blobs:
    """Files that were read, by their git object: the same object is read once."""

    repository: Any
    _read: dict[tuple[str, str], tuple[list[Manifest], list[Problem]]] = field(default_factory=dict)

    def read(self, oid: Any, path: str) -> tuple[list[Manifest], list[Problem]]:
        """The manifests of a file."""
        key = (str(oid), path.rpartition("/")[2])
        if key not in self._read:
            size = self.repository.odb.read_header(oid)[1]
            if size > MAX_FILE:
                found = _too_large(path, size)
            else:
                found = read_manifests(self.repository[oid].data, path)
            self._read[key] = found
        manifests, problems = self._read[key]
        if manifests and manifests[0].path != path:
            manifests = [Manifest(one.body, path, one.line) for one in manifests]
        if problems and problems[0].path != path:
            problems = [Problem(path, one.line, one.message) for one in problems]
        return manifests, problems


def _too_large(path: str, size: int) -> tuple[list[Manifest], list[Problem]]:
    return [], [Problem(path, 1, f"expected at most {MAX_FILE} bytes, got {size}")]


def open_repository(text: str, base: Path, mirrors: Path, *, fetch: bool = True) -> pygit2.Repository:
    """The repository of an address, relative paths from `base`; what is elsewhere is fetched into a bare mirror below
    `mirrors` before. Raises GitFailed."""
    import pygit2

    try:
        found = address(text, base)
    except ValueError as error:
        raise GitFailed(str(error), "see the application's repository") from None
    if found.local is not None:
        try:
            return pygit2.Repository(str(found.local), pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
        except (pygit2.GitError, KeyError, ValueError) as error:
            raise GitFailed(
                f"{found.local} is no git repository that can be read: {error}", "is the path right, and yours?"
            ) from None
    return fetch_mirror(found, mirrors, fetch)


def fetch_mirror(found: Address, mirrors: Path, fetch: bool) -> pygit2.Repository:
    """The bare mirror of an address, brought up to date when it is new or `fetch` is set. Raises GitFailed."""
    import pygit2
    from filelock import FileLock

    place = mirrors / f"{sha256(str(found.remote).encode()).hexdigest()[:24]}.git"
    mirrors.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_suffix(".lock")):
        repository = pygit2.init_repository(str(place), bare=True)
        if fetch or repository.is_empty:
            try:
                remote = repository.remotes.create_anonymous(str(found.remote))
                remote.fetch(list(FETCH), callbacks=_credentials(), proxy=True)
            except (pygit2.GitError, KeyError, ValueError, OSError) as error:
                raise GitFailed(
                    f"{found} cannot be fetched: {without_password(str(error))}",
                    "check the address, the network and the key",
                ) from None
    return repository


def _credentials() -> pygit2.RemoteCallbacks:
    import pygit2

    class Credentials(pygit2.RemoteCallbacks):
        """Keys of the user's SSH agent, and what the address says; nothing is asked for or stored."""

        asked = 0

        def credentials(self, url: str, username: str | None, allowed: Any) -> Any:
            self.asked += 1
            if self.asked > 3:
                raise pygit2.GitError("the server takes no key of the SSH agent")
            if allowed & pygit2.enums.CredentialType.SSH_KEY:
                return pygit2.KeypairFromAgent(username or "git")
            if allowed & pygit2.enums.CredentialType.USERNAME:
                return pygit2.Username(username or "git")
            raise pygit2.GitError(f"the server of {url.rpartition('@')[2]} wants a password, and none is given")

    return Credentials()


def head_of(repository: pygit2.Repository, branch: str | None, tag: str | None) -> pygit2.Commit:
    """The commit of a branch or tag, or of the repository's own branch. Raises GitFailed."""
    import pygit2

    if tag is not None:
        names = [f"refs/tags/{tag}"]
    elif branch is not None:
        names = [f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"]
    else:
        names = ["refs/cogniforge/head", "HEAD"]
    for name in names:
        try:
            found = repository.references[name].peel(pygit2.Commit)
        except (KeyError, pygit2.GitError, ValueError):
            continue
        return found
    try:
        if branch and len(branch) == 40 and isinstance(commit := repository[branch], pygit2.Commit):
            return commit
    except (KeyError, ValueError):
        pass
    known = sorted(name.removeprefix("refs/heads/") for name in repository.references if name.startswith("refs/heads/"))
    raise GitFailed(
        f"there is no {tag or branch or 'commit'} in the repository", f"branches: {', '.join(known[:10]) or 'none'}"
    )


def first_parents(head: pygit2.Commit, stop: str | None, limit: int) -> list[pygit2.Commit]:
    """The commits of a branch from oldest to newest, by first parents, after the commit `stop`, the newest `limit` of
    them."""
    found: list[pygit2.Commit] = []
    here: pygit2.Commit | None = head
    while here is not None and str(here.id) != stop and len(found) < limit:
        found.append(here)
        try:
            here = here.parents[0] if here.parent_ids else None
        except KeyError:  # a shallow clone ends here
            here = None
    return found[::-1]


def describe(commit: pygit2.Commit) -> Commit:
    """A commit as it is told."""
    text = commit.message.strip().partition("\n")[0]
    at = datetime.fromtimestamp(min(max(commit.commit_time, 0), 253_402_300_799), UTC)
    return Commit(str(commit.id), at, _clean(commit.author.name), _clean(text)[:500])


def _clean(text: str) -> str:
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def folder_of(commit: pygit2.Commit, path: str) -> Any:
    """The tree of a folder at a commit; None where it has none."""
    tree: Any = commit.tree
    for part in PurePosixPath(path).parts:
        try:
            tree = tree / part
        except (KeyError, TypeError):
            return None
        if tree.filemode != TREE:
            return None
    return tree


@dataclass(frozen=True)
class Entry:
    """A file of a tree: its object, or what is wrong with it."""

    path: str
    oid: Any
    problem: str = ""


def changed_files(
    repository: Any, old: Any, new: Any, prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, Entry | None]]:
    """The files of `new` that `old` has not, or has otherwise, and with None those that only `old` has. Either tree may
    be None. Folders that are the same object are not looked into."""
    before = _entries(old)
    after = _entries(new)
    for name, (mode, oid) in after.items():
        path = f"{prefix}{name}"
        if before.get(name) == (mode, oid):
            continue
        old_mode, old_oid = before.get(name, (0, None))
        if mode == TREE:
            if depth >= MAX_DEPTH:
                yield path, Entry(path, None, f"folders are nested deeper than {MAX_DEPTH}")
                continue
            if old_mode not in (0, TREE):
                yield path, None
            inner = repository[old_oid] if old_mode == TREE else None
            yield from changed_files(repository, inner, repository[oid], f"{path}/", depth + 1)
            continue
        if old_mode == TREE:
            yield from changed_files(repository, repository[old_oid], None, f"{path}/", depth + 1)
        if name.endswith(SUFFIXES) or mode in (LINK, MODULE):
            yield path, _entry(repository, path, mode, oid)
    for name, (mode, oid) in before.items():
        if name not in after:
            path = f"{prefix}{name}"
            if mode == TREE and depth < MAX_DEPTH:
                yield from changed_files(repository, repository[oid], None, f"{path}/", depth + 1)
            else:
                yield path, None


def _entries(tree: Any) -> Mapping[str, tuple[int, Any]]:
    found: dict[str, tuple[int, Any]] = {}
    for entry in tree or ():
        mode = int(entry.filemode)
        found[entry.name] = (BLOB if mode & BLOB == BLOB and mode not in (LINK, MODULE) else mode, entry.id)
    return found


def _entry(repository: Any, path: str, mode: int, oid: Any) -> Entry | None:
    name = path.rpartition("/")[2]
    if name in (".", "..") or name.lower() == ".git" or "\\" in path or "\0" in path or ".." in path.split("/"):
        return Entry(path, None, "its name leads elsewhere, and it is not read")
    if mode == MODULE:
        return Entry(path, None, "it is a submodule, which is not read: make it an application of its own")
    if mode == LINK:
        size = repository.odb.read_header(oid)[1]
        target = repository[oid].data.decode("utf-8", "replace") if size < MAX_TARGET else "…"
        if _leads_out(path, target):
            return Entry(path, None, f"it is a symlink out of the tree, to {target!r}, which is not followed")
        if not name.endswith(SUFFIXES):
            return None
        return Entry(path, None, f"it is a symlink to {target!r}, which is not followed: the file itself is read")
    return Entry(path, oid)


def _leads_out(path: str, target: str) -> bool:
    """Whether a symlink leads above the folder that is read, or to a path of the machine."""
    depth = 0
    for part in (PurePosixPath(path).parent / target).parts:
        depth += {"..": -1, ".": 0}.get(part, 1)
        if depth < 0 or part == "/":
            return True
    return False


def read_commit(
    repository: pygit2.Repository, commit: pygit2.Commit, path: str, blobs: Blobs | None = None
) -> tuple[list[Manifest], list[Problem]]:
    """All manifests below a folder at a commit, and what could not be read there."""
    read = blobs or Blobs(repository)
    found: list[Manifest] = []
    problems: list[Problem] = []
    where = str(commit.id)[:12]
    for number, (name, entry) in enumerate(changed_files(repository, None, folder_of(commit, path))):
        full = f"{path}/{name}" if path else name
        if number >= MAX_FILES:
            problems.append(Problem(full, 1, f"there are more than {MAX_FILES} files", where))
            break
        if entry is None:
            continue
        if entry.problem:
            problems.append(Problem(full, 1, entry.problem, where))
            continue
        manifests, wrong = read.read(entry.oid, full)
        found += manifests
        problems += [Problem(one.path, one.line, one.message, where) for one in wrong]
    return found, problems
