"""What can be wrong with the lake, and what to do about it.

Belongs here: DuckDB's and the system's errors in a user's words. Does not: deciding what happens next.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.settings import Settings

LOCK_TIMEOUT_SECONDS = 600
COMMIT_LOCK = 0x636F676E
"""The advisory lock of all writers of one PostgreSQL database."""

_FULL = ("no space left", "not enough space", "disk is full", "max_temp_directory_size")
"""Words of the system, DuckDB's checkpoints, SQLite and DuckDB's spilling."""
_ROOM_BYTES = 1 << 20


class LakeError(CogniforgeError):
    """The lake could not be opened, read or written."""


def explain(error: Exception, settings: Settings) -> LakeError:
    """The error of DuckDB or of the system, with what to do about it."""
    text = settings.redact(str(error)).strip()
    if "Unable to connect to Postgres" in text:
        return LakeError(f"the catalog cannot be reached: {text}", "check COGNIFORGE_CATALOG, user and password")
    if "No snapshot found" in text:
        return LakeError(text, "list the snapshots with: cogniforge sql \"FROM ducklake_snapshots('lake')\"")
    if "lock timeout" in text:
        return busy(
            f"find it in PostgreSQL: SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = {COMMIT_LOCK}"
        )
    if isinstance(error, duckdb.HTTPException):
        return LakeError(
            f"the data at {settings.data} cannot be reached: {text}",
            "check COGNIFORGE_DATA, AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    if any(words in text.lower() for words in _FULL) or ("disk I/O error" in text and not has_room(settings)):
        return LakeError(f"the disk is full: {text}", f"free space for {_places(settings)}, then run again")
    if "readonly" in text.lower() or "read-only" in text.lower() or "Permission denied" in text:
        return LakeError(f"the lake cannot be written: {text}", f"make {_places(settings)} writable")
    if "creating a new DuckLake is explicitly disabled" in text:
        return no_lake(settings)
    if "does not match existing data path" in text:
        return LakeError(f"the lake's data lies elsewhere: {text}", "set COGNIFORGE_DATA to where it lies")
    return LakeError(f"the lake refused: {text}", "run `cogniforge doctor`")


def busy(hint: str) -> LakeError:
    """Somebody else holds the commit lock."""
    return LakeError(f"another process has been committing to the lake for more than {LOCK_TIMEOUT_SECONDS} s", hint)


def no_lake(settings: Settings) -> LakeError:
    """Nothing to read where a reader looks."""
    return LakeError(f"there is no lake at {settings.catalog}", "make one with `cogniforge run`")


def has_room(settings: Settings) -> bool:
    """Whether an embedded catalog can still grow by a little."""
    kind, _, where = settings.catalog.partition(":")
    return kind != "sqlite" or shutil.disk_usage(Path(where).parent).free >= _ROOM_BYTES


def _places(settings: Settings) -> str:
    places = [settings.catalog.removeprefix("sqlite:"), settings.data, str(settings.home)]
    return " and ".join(dict.fromkeys(place for place in places if place.startswith("/")))
