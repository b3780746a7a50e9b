"""Decision tables as files: `reports/cogniforge.duckdb` and `reports/parquet/<schema>/<table>.parquet`.

Belongs here: copying out of the lake, each file put into place at once so that a reader never sees half of one.
Does not: raw telemetry and other facts, unless they are asked for by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from filelock import FileLock

from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import LOCK_TIMEOUT_SECONDS, LakeError, explain
from cogniforge_pipeline.sqltext import ident, literal, qualified

FILE = "cogniforge.duckdb"


def exported(home: Home) -> list[Contract]:
    """The tables that are exported by default: those without days, which are small."""
    return [contract for contract in home.contracts.values() if contract.partition_column is None]


def publish_duckdb(home: Home) -> Path:
    """Writes the tables, all of one snapshot, with their comments into a new plain DuckDB file and renames it into place.

    Raises LakeError when the disk is full or the reports folder cannot be written.
    """
    target = home.settings.reports / FILE
    cursor = home.lake.cursor()
    with _replacing(home, target) as draft:
        cursor.execute(f"ATTACH {literal(str(draft))} AS published")
        try:
            cursor.execute("BEGIN")
            for contract in exported(home):
                cursor.execute(f"CREATE SCHEMA IF NOT EXISTS published.{ident(contract.schema)}")
                name = f"published.{qualified(contract.name)}"
                cursor.execute(f"CREATE TABLE {name} AS SELECT * FROM {qualified(contract.name)}")
                cursor.execute(f"COMMENT ON TABLE {name} IS {literal(contract.description)}")
                for column in contract.columns:
                    cursor.execute(f"COMMENT ON COLUMN {name}.{ident(column.name)} IS {literal(column.description)}")
            cursor.execute("COMMIT")
            cursor.execute("CHECKPOINT published")
        except duckdb.Error:
            cursor.execute("ROLLBACK")
            raise
        finally:
            cursor.execute("DETACH published")
    return target


def export_parquet(home: Home, tables: Iterable[str] | None = None, folder: Path | None = None) -> dict[str, Path]:
    """Writes one Parquet file for each table (by default those of `exported`) and returns their places.

    Raises KeyError for a table without a contract, LakeError when the folder cannot be written.
    """
    root = folder or home.settings.reports / "parquet"
    cursor = home.lake.cursor()
    chosen = [home.contracts[name] for name in tables] if tables is not None else exported(home)
    written = {}
    for contract in chosen:
        target = root / contract.schema / f"{contract.table}.parquet"
        order = ", ".join(ident(name) for name in contract.sort_by)
        with _replacing(home, target) as draft:
            cursor.execute(
                f"COPY (SELECT * FROM {qualified(contract.name)}{' ORDER BY ' + order if order else ''}) "
                f"TO {literal(str(draft))} (FORMAT parquet, COMPRESSION zstd)"
            )
        written[contract.name] = target
    return written


@contextmanager
def _replacing(home: Home, target: Path) -> Iterator[Path]:
    """A path to write to, renamed to the target at the end. One export at a time: who reads last is also seen last."""
    draft = target.with_name(f".{target.name}.draft")
    lock = home.settings.state / "export.lock"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, timeout=LOCK_TIMEOUT_SECONDS):
            try:
                _remove(draft)
                yield draft
                draft.replace(target)
            finally:
                _remove(draft)
    except OSError as error:
        raise LakeError(f"{target} cannot be written: {error.strerror}", "export to another folder") from error
    except duckdb.Error as error:
        raise explain(error, home.settings) from error


def _remove(draft: Path) -> None:
    """Also what a killed process left, with DuckDB's log beside it."""
    for path in (draft, draft.with_name(f"{draft.name}.wal")):
        path.unlink(missing_ok=True)
