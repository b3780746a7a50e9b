"""Files that grow: what is new in each since the ledger's entry.

Belongs here: byte offsets and digests of what was read. Does not: encodings, and what a line means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

from pydantic import JsonValue

from cogniforge_pipeline.sources.folder import Found
from cogniforge_pipeline.sources.points import INGESTED, Item, LedgerEntry, Refusal

SETTLED = timedelta(seconds=60)
"""A last line without a newline is taken once the file has not been modified for so long."""

_CHUNK = 4 << 20
_DIGEST_WINDOW = 32 << 20


def prefix_digest(path: Path, end: int) -> str:
    """BLAKE2 digest of a file's first `end` bytes: all of them up to 64 MiB, else the first and last 32 MiB
    of them.

    So the cost is bounded; a change in the middle of a longer file that keeps its size is not seen.
    """
    digest = hashlib.blake2b(str(end).encode(), digest_size=16)
    spans = [(0, min(end, _DIGEST_WINDOW)), (max(_DIGEST_WINDOW, end - _DIGEST_WINDOW), end)]
    with path.open("rb") as file:
        for start, stop in spans:
            for chunk in _chunks(file, start, stop):
                digest.update(chunk)
    return digest.hexdigest()


def _chunks(file: IO[bytes], start: int, stop: int) -> Iterator[bytes]:
    file.seek(start)
    while start < stop and (chunk := file.read(min(_CHUNK, stop - start))):
        start += len(chunk)
        yield chunk


def plan_text(source: str, found: Found, entry: LedgerEntry | None, now: datetime) -> Item | Refusal | None:
    """The complete lines of a file that are new since its ledger entry; None when there are none.

    A file that is shorter than what was read, or whose read part has changed, is refused. Raises OSError.
    """
    cursor = entry.cursor if entry else {}
    settled = now.timestamp() - found.mtime_ns / 1e9 >= SETTLED.total_seconds()
    if (cursor.get("size"), cursor.get("mtime_ns")) == (found.size, found.mtime_ns) and (
        cursor.get("offset") == found.size or not settled or cursor.get("settled")
    ):
        return None
    side = "" if entry and entry.status == INGESTED else "start_"
    start = whole_number(cursor, f"{side}offset")
    lines = whole_number(cursor, f"{side}lines")
    known = cursor.get(f"{side}prefix")
    resume: dict[str, JsonValue] = {"start_offset": start, "start_lines": lines, "start_prefix": known}
    resume |= {"size": found.size, "mtime_ns": found.mtime_ns, "settled": settled}
    if start and (found.size < start or prefix_digest(found.path, start) != known):
        what = f"is shorter than the {start:,} bytes" if found.size < start else f"differs in the {start:,} bytes"
        fingerprint = f"changed:{prefix_digest(found.path, found.size)}"
        return _unless_known(
            entry,
            Refusal(
                source,
                found.item,
                fingerprint,
                f"changed since it was ingested: it {what} that were read",
                "files may only grow; give the new content a new file name",
                found.size,
                resume | {"offset": found.size},
            ),
        )
    end = found.size if settled else _last_newline(found.path, start, found.size)
    if end <= start and (entry or found.size):
        return None
    return _unless_known(
        entry,
        Item(
            source,
            found.item,
            prefix_digest(found.path, end),
            resume
            | {
                "offset": end,
                "lines": lines + _count_newlines(found.path, start, end),
                "prefix": prefix_digest(found.path, end),
            },
            end - start,
        ),
    )


def plan_whole(
    source: str, found: Found, entry: LedgerEntry | None, digest: Callable[[], str]
) -> Item | Refusal | None:
    """A file that cannot be followed, such as a compressed one: read once, refused when it changes later.

    `digest` is called only for a file whose size or time of modification is not the one in the ledger.
    """
    cursor: dict[str, JsonValue] = {"size": found.size, "mtime_ns": found.mtime_ns}
    if entry and all(entry.cursor.get(key) == value for key, value in cursor.items()):
        return None
    fingerprint = digest()
    read = entry.fingerprint if entry and entry.status == INGESTED else entry and entry.cursor.get("read")
    if not read:
        return _unless_known(entry, Item(source, found.item, fingerprint, cursor, found.size))
    if fingerprint == read:
        return None
    reason, hint = "changed since it was ingested", "give the new content a new file name"
    cursor["read"] = read
    return _unless_known(entry, Refusal(source, found.item, fingerprint, reason, hint, found.size, cursor))


def plan_anew(
    source: str,
    found: Found,
    entry: LedgerEntry | None,
    now: datetime,
    definition: str,
    digest: Callable[[], str] | None,
) -> Item | None:
    """A file that is read as a whole each time it changes, or `definition` does; None when neither did.

    With `digest` the file is taken as it is. Without, it is text, taken up to its last newline until it has settled.
    """
    cursor: dict[str, JsonValue] = {"size": found.size, "mtime_ns": found.mtime_ns, "definition": definition}
    settled = now.timestamp() - found.mtime_ns / 1e9 >= SETTLED.total_seconds()
    known = entry.cursor if entry else {}
    if all(known.get(key) == value for key, value in cursor.items()) and (
        digest or not settled or known.get("offset") == found.size
    ):
        return None
    if digest:
        fingerprint, end = digest(), found.size
    else:
        end = found.size if settled else _last_newline(found.path, 0, found.size)
        if not end:
            return None
        fingerprint = prefix_digest(found.path, end)
    if entry and entry.fingerprint == fingerprint and known.get("definition") == definition:
        return None
    return Item(source, found.item, fingerprint, cursor | {"offset": end}, end)


def carried_cursor(entry: LedgerEntry | None) -> dict[str, JsonValue]:
    """The cursor for a refusal that read nothing: from it a later plan resumes where the entry before had
    come to.
    """
    if entry is None or entry.status != INGESTED:
        return dict(entry.cursor) if entry else {}
    start = {f"start_{key}": entry.cursor.get(key) for key in ("offset", "lines", "prefix")}
    return {**entry.cursor, **start, "read": entry.fingerprint}


def _unless_known(entry: LedgerEntry | None, new: Item | Refusal) -> Item | Refusal | None:
    return None if entry and entry.status != INGESTED and entry.fingerprint == new.fingerprint else new


def whole_number(cursor: dict[str, JsonValue], key: str) -> int:
    """A cursor's whole number, 0 when it has none."""
    value = cursor.get(key)
    return value if isinstance(value, int) else 0


def _last_newline(path: Path, start: int, end: int) -> int:
    """Offset just after the last newline in [start, end), or start when there is none."""
    with path.open("rb") as file:
        while end > start:
            low = max(start, end - _CHUNK)
            file.seek(low)
            at = file.read(end - low).rfind(b"\n")
            if at >= 0:
                return low + at + 1
            end = low
    return start


def _count_newlines(path: Path, start: int, end: int) -> int:
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in _chunks(file, start, end))
