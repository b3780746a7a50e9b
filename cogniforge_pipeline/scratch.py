"""A folder for what is laid out on disk for a while, removed when it is no longer needed.

Belongs here: its life. Does not: what lies in it.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path


class Scratch:
    """Gives one empty folder at a time, below the system's folder for temporary files (TMPDIR)."""

    def __init__(self) -> None:
        self._remove: weakref.finalize[[str, bool], Scratch] | None = None

    def fresh(self) -> Path:
        """A new empty folder; the one given before is removed. Removed too when this object goes."""
        if self._remove:
            self._remove()
        folder = tempfile.mkdtemp(prefix="cogniforge-")
        self._remove = weakref.finalize(self, shutil.rmtree, folder, True)
        return Path(folder)
