"""Reading an embedded catalog beside which nothing can be written.

Belongs here: the private copy that such a reader needs. Does not: attaching it.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from cogniforge_pipeline.lake.errors import LakeError, explain, has_room
from cogniforge_pipeline.settings import Settings

COPY_SECONDS = 30
_COPY = "catalog.sqlite"


def private_catalog(settings: Settings) -> Path | None:
    """A copy of an embedded catalog beside which nothing can be written, or None where none is needed.

    SQLite writes beside a catalog even to read it, so a user who may only read, and a full disk, need a copy. It is what
    the lake was at this moment: what is committed later is not in it. Removed when the process ends. Raises LakeError.
    """
    kind, _, where = settings.catalog.partition(":")
    if kind != "sqlite" or not Path(where).exists() or _can_write(settings, Path(where)):
        return None
    files = [Path(where), Path(f"{where}-wal")]
    try:
        folder = Path(tempfile.mkdtemp(prefix="cogniforge-"))
        atexit.register(shutil.rmtree, folder, True)
        deadline = time.monotonic() + COPY_SECONDS
        while time.monotonic() < deadline:
            before = [_state(file) for file in files]
            for file in files:
                copy = folder / file.name.replace(files[0].name, _COPY, 1)
                copy.unlink(missing_ok=True)
                with suppress(FileNotFoundError):
                    shutil.copyfile(file, copy)
            if before == [_state(file) for file in files]:
                return folder / _COPY
            time.sleep(0.05)
    except OSError as error:
        raise explain(error, settings) from error
    raise LakeError(f"{where} changed all the time while it was copied", "try again, or get the right to write there")


def _can_write(settings: Settings, catalog: Path) -> bool:
    may = os.access(catalog, os.W_OK) and os.access(catalog.parent, os.W_OK)
    return may and has_room(settings)


def _state(file: Path) -> tuple[int, int] | None:
    """Changes whenever the file does; None without a file."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns
