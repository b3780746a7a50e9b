"""What is wrong with a home, and how to mend it.

Belongs here: looking. Does not: mending.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.home import LEDGER, Home
from cogniforge_pipeline.lake import explain, extension_path

LOW_DISK_BYTES = 2 << 30
State = Literal["ok", "warn", "bad"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `ok`, worth knowing (`warn`), or in the way (`bad`)."""

    topic: str
    state: State
    message: str
    hint: str = ""


def examine(home: Home) -> list[Finding]:
    """All findings. What cannot be looked at is a finding too, so this raises nothing of its own."""
    found: list[Finding] = []
    topics: tuple[tuple[str, Callable[[Home], Iterator[Finding]]], ...] = (
        ("home", _folder),
        ("extensions", _extensions),
        ("contracts", _contracts),
        ("declarations", _declarations),
        ("lake", _lake),
        ("input", _input),
        ("quarantine", _quarantine),
    )
    for topic, look in topics if home.settings.home.is_dir() else topics[:1]:
        try:
            found += look(home)
        except CogniforgeError as error:
            found.append(Finding(topic, "bad", error.message, error.hint or ""))
        except duckdb.Error as error:
            found.append(Finding(topic, "bad", explain(error, home.settings).message))
    return found


def _folder(home: Home) -> Iterator[Finding]:
    folder = home.settings.home
    if not folder.is_dir():
        yield Finding("home", "bad", f"{folder} is not there", f"make it with: cogniforge init {folder}")
        return
    if not os.access(folder, os.W_OK):
        yield Finding("home", "bad", f"{folder} cannot be written", "give this user the right to write there")
    free = shutil.disk_usage(folder).free
    if free < LOW_DISK_BYTES:
        yield Finding("home", "warn", f"only {free / 2**30:.1f} GiB are free", "free space, or move the lake's data")
    else:
        yield Finding("home", "ok", f"{folder}, {free / 2**30:.0f} GiB free, executor {home.settings.executor}")


def _extensions(home: Home) -> Iterator[Finding]:
    needed = ["ducklake", "sqlite-scanner" if home.settings.catalog.startswith("sqlite:") else "postgres-scanner"]
    if home.settings.data.startswith("s3://"):
        needed.append("httpfs")
    missing = [name for name in needed if extension_path(name) is None]
    if missing:
        yield Finding(
            "extensions",
            "warn",
            f"no wheel for {', '.join(missing)}; DuckDB will download them",
            f"pip install {' '.join(f'duckdb-extension-{name}' for name in missing)}",
        )
    else:
        yield Finding("extensions", "ok", ", ".join(needed))


def _contracts(home: Home) -> Iterator[Finding]:
    filled = f", {len(home.products.sources)} from files" if home.products.sources else ""
    yield Finding("contracts", "ok", f"{len(home.contracts)} tables, {len(home.queries)} of them by SQL{filled}")


def _declarations(home: Home) -> Iterator[Finding]:
    platform = home.platform()
    for problem in platform.problems:
        yield Finding("declarations", "bad", str(problem))
    if not platform.problems:
        counts = {kind.name: len(platform.of(kind)) for kind in home.kinds}
        text = ", ".join(f"{count} {name}" for name, count in counts.items())
        yield Finding("declarations", "ok", f"{home.settings.platform}: {text}")


def _no_lake(home: Home) -> bool:
    kind, _, place = home.settings.catalog.partition(":")
    return kind == "sqlite" and not Path(place).exists()


def _lake(home: Home) -> Iterator[Finding]:
    if _no_lake(home):
        hint = f"make it with: cogniforge run --home {home.settings.home}"
        yield Finding("lake", "warn", "there is no lake yet", hint)
        return
    cursor = home.lake.cursor()
    snapshot = home.lake.snapshot_id(cursor)
    yield Finding("lake", "ok", f"{home.settings.data}, snapshot {snapshot}, newest telemetry {home.as_of():%F %T} UTC")


def _input(home: Home) -> Iterator[Finding]:
    if _no_lake(home):
        return
    rows = (
        home.lake.cursor()
        .execute(
            f"SELECT source, item, reason, hint FROM {LEDGER} "
            "QUALIFY row_number() OVER (PARTITION BY source, item ORDER BY ingested_at DESC) = 1 AND status = 'refused' "
            "ORDER BY ingested_at DESC LIMIT 20"
        )
        .fetchall()
    )
    for source, item, reason, hint in rows:
        yield Finding("input", "warn", f"{source}: {item} was refused: {reason}", hint or "")
    if not rows:
        yield Finding("input", "ok", "nothing is refused")


def _quarantine(home: Home) -> Iterator[Finding]:
    if _no_lake(home):
        return
    cursor = home.lake.cursor()
    clean = True
    for contract in home.contracts.values():
        table = f"quarantine.{contract.schema}__{contract.table}"
        row = cursor.execute(f"SELECT count(*), mode(reason) FROM {table}").fetchone()
        if row and row[0]:
            clean = False
            hint = f'cogniforge sql "SELECT reason, source, row FROM {table}"'
            yield Finding("quarantine", "warn", f"{row[0]:,} rows of {contract.name}, mostly: {row[1]}", hint)
    if clean:
        yield Finding("quarantine", "ok", "no rows set aside")
