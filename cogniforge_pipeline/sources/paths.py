"""What the readers of files share: planning over a folder, and the space where an item's lines are laid out.

Belongs here: the base of those readers. Does not: any format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cogniforge_pipeline.scratch import Scratch
from cogniforge_pipeline.sources.folder import Found, find_files
from cogniforge_pipeline.sources.growth import carried_cursor, plan_text, plan_whole, prefix_digest
from cogniforge_pipeline.sources.model import PathSource
from cogniforge_pipeline.sources.points import INGESTED, Item, Ledger, Refusal, RefusedItem


class PathReader:
    """Plans over the files of a source; what derives from it reads them."""

    def __init__(self, source: PathSource, *, home: Path, base: Path) -> None:
        self.notices: list[str] = []
        self._declared = source
        self._home, self._base = home, base
        self._now: datetime | None = None
        self._paths: dict[str, Path] = {}
        self._scratch = Scratch()

    def plan(self, ledger: Ledger, now: datetime) -> Iterator[Item | Refusal]:
        """The new files and the new parts of files, by path."""
        self._now = now
        for found in self._find():
            if isinstance(found, Refusal):
                step: Item | Refusal | None = found
            else:
                self._paths[found.item] = found.path
                try:
                    step = self._plan_file(found, ledger, now)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    reason = f"cannot be read: {error.strerror}"
                    step = Refusal(self._declared.name, found.item, reason, reason, "check its permissions")
            if isinstance(step, Refusal):
                known = ledger.get(step.item)
                if known and known.status != INGESTED and known.fingerprint == step.fingerprint:
                    continue
                step = replace(step, cursor=step.cursor or carried_cursor(known))
            if step is not None:
                yield step

    def _find(self) -> Iterator[Found | Refusal]:
        return find_files(self._declared, home=self._home, base=self._base)

    def _plan_file(self, found: Found, ledger: Ledger, now: datetime) -> Item | Refusal | None:
        entry = ledger.get(found.item)
        if found.path.suffix == ".gz":
            return plan_whole(self._declared.name, found, entry, lambda: prefix_digest(found.path, found.size))
        return plan_text(self._declared.name, found, entry, now)

    def _path(self, item: Item) -> Path:
        if item.item not in self._paths:
            self._paths = {file.item: file.path for file in self._find() if isinstance(file, Found)}
        if item.item not in self._paths:
            raise RefusedItem("gone since it was planned", "put the file back")
        return self._paths[item.item]

    def _time(self) -> datetime:
        return self._now or datetime.now(UTC)
