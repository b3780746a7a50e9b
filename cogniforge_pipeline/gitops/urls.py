"""Which addresses of repositories, names of branches and folders are taken: nothing that could run a command or leave
its place.

Belongs here: refusing. Does not: opening (`git.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

MAX_LENGTH = 2048
_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"
_USER = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_SCP = re.compile(rf"({_USER})@({_HOST}):(?!-)(?!//)([^\s:]+)")
_NET = re.compile(rf"({_USER}(:[^@/\s]*)?@)?({_HOST}|\[[0-9A-Fa-f:]+\])(:\d{{1,5}})?")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+@-]{0,254}")


@dataclass(frozen=True)
class Address:
    """A repository: a path on this machine, or an address to fetch from."""

    local: Path | None
    remote: str | None

    def __str__(self) -> str:
        """Without a password."""
        return str(self.local) if self.remote is None else without_password(self.remote)


def without_password(text: str) -> str:
    """A text in which addresses show no password."""
    return re.sub(r"(://[^/@:\s]*):[^@/\s]*@", r"\1@", text)


def check_repository(text: str) -> str:
    """The text itself. Raises ValueError for anything but https, ssh, file, user@host:path and paths."""
    address(text, Path("/"))
    return text


def address(text: str, base: Path) -> Address:
    """The address that a text means; a relative path is one from `base`. Raises ValueError."""
    if not text or len(text) > MAX_LENGTH or any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ValueError("expected the address of a repository, got control characters, nothing, or far too much")
    if text.startswith("-"):
        raise ValueError(f"expected the address of a repository, got an option: {text}")
    if "::" in text.split("/", 1)[0]:
        raise ValueError(f"remote helpers such as {text.split('::', 1)[0]}:: run commands and are not used")
    if "://" in text:
        return _url(text)
    if match := _SCP.fullmatch(text):
        return Address(None, f"ssh://{match[1]}@{match[2]}/{match[4].lstrip('/')}")
    if ":" in text.split("/", 1)[0]:
        raise ValueError(f"expected https://, ssh://, file://, user@host:path or a path, got {text}")
    path = Path(text).expanduser()
    return Address(path if path.is_absolute() else base / path, None)


def _url(text: str) -> Address:
    parts = urlsplit(text)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path:
            raise ValueError(f"expected file:///path, got {text}")
        return Address(Path(unquote(parts.path)), None)
    if parts.scheme not in ("https", "ssh"):
        raise ValueError(f"expected https, ssh or file, got {parts.scheme}: others are not encrypted, or run commands")
    if not _NET.fullmatch(parts.netloc) or not parts.path.strip("/") or parts.path.startswith("/-") or "\\" in text:
        raise ValueError(f"expected {parts.scheme}://host/path, got {text}")
    if parts.query or parts.fragment:
        raise ValueError(f"the address of a repository has no ? and no #, got {text}")
    return Address(None, text)


def check_revision(text: str) -> str:
    """The text itself. Raises ValueError for what is no name of a branch, tag or commit."""
    if not _REVISION.fullmatch(text) or ".." in text or "@{" in text or "//" in text or text.endswith((".lock", "/")):
        raise ValueError(f"expected the name of a branch or tag, got {text!r}")
    return text


def check_folder(text: str) -> str:
    """A folder within a repository, with single slashes. Raises ValueError for one that leads out of it."""
    parts = [part for part in PurePosixPath(text.strip()).parts if part not in ("/", ".")]
    if any(part == ".." or part.lower() == ".git" or "\\" in part or "\0" in part for part in parts):
        raise ValueError(f"expected a folder within the repository, got {text!r}")
    return "/".join(parts)
