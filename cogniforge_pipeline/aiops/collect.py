"""Measurements of the Python API on their way into the lake: lines in a file of the landing folder.

Belongs here: appending so that what was appended survives a crash. Does not: reading (the ingestion takes each line
exactly once, as of any file that grows), or what a measurement is (`telemetry.py`).

A commit into the lake takes a tenth of a second and makes a small file; an append takes a millisecond, and the next run
commits everything at once. Several threads and processes append to one file in turns. Files get names of their own, so
one that was ingested may be deleted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from cogniforge_pipeline.aiops.telemetry import TelemetryData
from cogniforge_pipeline.errors import CogniforgeError

FOLDER = "collected"
MAX_BYTES = 64 << 20
"""A file of this size is not appended to any more."""
LOCK_SECONDS = 60
_POLL_SECONDS = 0.002


class Collector:
    """Appends to `<landing>/collected/<day>-<name>.jsonl`; threads may share one."""

    def __init__(self, landing: Path) -> None:
        self._folder = landing / FOLDER
        self._current: Path | None = None

    def append(self, measurements: Sequence[TelemetryData]) -> None:
        """Writes measurements to disk, in order; they are durable when this returns.

        All are looked at before any is written. Raises TelemetryRefused for one that is not valid, and CogniforgeError
        when the disk does not take them: some may be kept then, and telling them all again does no harm, for a point
        that is there already is set aside.
        """
        if not measurements:
            return
        now = datetime.now(UTC)
        lines = "".join(f"{measurement.to_line(now)}\n" for measurement in measurements).encode()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._folder / ".lock", thread_local=False)
            with lock.acquire(timeout=LOCK_SECONDS, poll_interval=_POLL_SECONDS):
                file = self._open(now)
                try:
                    _write(file, lines)
                except BaseException:
                    os.close(file)
                    raise
            try:
                os.fsync(file)
            finally:
                os.close(file)
        except Timeout:
            raise CogniforgeError(
                f"{self._folder} was busy for {LOCK_SECONDS} s", f"find who holds {self._folder / '.lock'}"
            ) from None
        except OSError as error:
            raise CogniforgeError(
                f"measurements could not be written to {self._folder}: {error.strerror}",
                "make room or correct the permissions, then tell them again",
            ) from error

    def _open(self, now: datetime) -> int:
        """The file to append to; with the lock held."""
        day = f"{now:%Y-%m-%d}-"
        if not (self._current and self._current.name.startswith(day) and _has_room(self._current)):
            free = (path for path in sorted(self._folder.glob(f"{day}*.jsonl")) if _has_room(path))
            self._current = next(free, None)
        if self._current:
            return os.open(self._current, os.O_RDWR | os.O_APPEND)
        self._current = self._folder / f"{day}{uuid4().hex[:12]}.jsonl"
        file = os.open(self._current, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        _sync_folder(self._folder)
        return file


def _has_room(path: Path) -> bool:
    try:
        return path.stat().st_size < MAX_BYTES
    except FileNotFoundError:
        return False


def _write(file: int, lines: bytes) -> None:
    """Appends, on a line of their own: a writer that was killed may have left half a line behind."""
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        lines = b"\n" + lines
    left = memoryview(lines)
    while left:
        left = left[os.write(file, left) :]


def _sync_folder(folder: Path) -> None:
    """Makes a new file's name durable too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
