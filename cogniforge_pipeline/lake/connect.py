"""A DuckDB instance with the lake attached.

Belongs here: extensions, secrets, where the catalog and the data lie, where DuckDB spills. Does not: reading or
writing what is in the lake.
"""

from __future__ import annotations

import glob
import importlib.metadata
import os
import platform
import shutil
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import psutil

from cogniforge_pipeline.lake.errors import LakeError, explain, no_lake
from cogniforge_pipeline.lake.locks import LOCKS, Connection, commit_lock
from cogniforge_pipeline.settings import Settings
from cogniforge_pipeline.sqltext import literal

CATALOG = "lake"


@dataclass(frozen=True)
class Snapshot:
    """A state of the lake: its id, or a time (timezone-aware) whose last snapshot is meant."""

    at: int | datetime

    @property
    def option(self) -> str:
        name = "SNAPSHOT_VERSION" if isinstance(self.at, int) else "SNAPSHOT_TIME"
        value = str(self.at) if isinstance(self.at, int) else literal(self.at.isoformat())
        return f"{name} {value}"


def extension_path(name: str) -> Path | None:
    """The signed extension file that the wheel `duckdb-extension-<name>` brings, or None where there is no wheel."""
    try:
        files = importlib.metadata.files(f"duckdb-extension-{name}") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    wanted = f"v{duckdb.__version__}"
    return next((Path(str(f.locate())) for f in files if f.suffix == ".duckdb_extension" and wanted in f.parts), None)


def load_extension(connection: Connection, name: str) -> None:
    """Loads an extension from its wheel, or installs it where there is none.

    Raises LakeError when neither works.
    """
    path = extension_path(name)
    try:
        if path:
            connection.execute(f"LOAD {literal(str(path))}")
        else:
            plain = name.replace("-", "_")
            connection.execute(f"INSTALL {plain}; LOAD {plain}")
    except duckdb.Error as error:
        raise LakeError(
            f"the DuckDB extension {name} could not be loaded: {error}",
            f"pip install 'duckdb-extension-{name}=={duckdb.__version__}'",
        ) from error


def connect(settings: Settings, catalog: str, *, read_only: bool, snapshot: Snapshot | None) -> Connection:
    """A DuckDB instance with the lake attached as CATALOG. Raises LakeError."""
    connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET GLOBAL preserve_insertion_order = true")
    if settings.memory_limit:
        connection.execute(f"SET GLOBAL memory_limit = {literal(settings.memory_limit)}")
    if settings.threads:
        connection.execute(f"SET GLOBAL threads = {settings.threads}")
    load_extension(connection, "ducklake")
    kind, _, where = catalog.partition(":")
    try:
        options = [f"DATA_PATH {literal(settings.data)}", *_prepare_catalog(connection, settings, catalog, read_only)]
        _prepare_data(connection, settings, read_only)
        if read_only:
            options.append("READ_ONLY")
        if snapshot:
            options.append(snapshot.option)
        attach = f"ATTACH {literal(f'ducklake:{kind}:{where}')} AS {CATALOG} ({', '.join(options)})"
        with nullcontext() if read_only else commit_lock(connection, settings):  # the first attach makes its tables
            connection.execute(attach)
    except (duckdb.Error, OSError) as error:
        connection.close()
        raise explain(error, settings) from error
    return connection


def _prepare_catalog(connection: Connection, settings: Settings, catalog: str, read_only: bool) -> list[str]:
    """What attaching this catalog needs; gives its options."""
    kind, _, where = catalog.partition(":")
    if kind == "postgres":
        load_extension(connection, "postgres-scanner")
        if settings.password:  # in a secret, for DuckDB shows connection strings in errors and in duckdb_databases()
            connection.execute(f"CREATE SECRET (TYPE postgres, PASSWORD {literal(settings.password)})")
        if not read_only:
            connection.execute(f"ATTACH {literal(where)} AS {LOCKS} (TYPE postgres)")
        return []
    load_extension(connection, "sqlite-scanner")
    if not read_only:
        Path(where).parent.mkdir(parents=True, exist_ok=True)
    elif not Path(where).exists() or not Path(where).stat().st_size:
        raise no_lake(settings)
    options = ["META_JOURNAL_MODE 'WAL'", "META_BUSY_TIMEOUT 60000"]
    if settings.data == str(Path(settings.catalog.partition(":")[2]).parent / "data"):
        options.append("OVERRIDE_DATA_PATH TRUE")  # the folder was moved or mounted elsewhere as a whole
    return options


def _prepare_data(connection: Connection, settings: Settings, read_only: bool) -> None:
    if settings.data.startswith("s3://"):
        load_extension(connection, "httpfs")
        for copied in ("s3_access_key_id", "s3_secret_access_key", "s3_session_token"):
            connection.execute(f"SET GLOBAL {copied} = ''")  # httpfs shows AWS_* of the environment as settings
        parameters = ", ".join(f"{key} {literal(value)}" for key, value in settings.s3.items())
        connection.execute(f"CREATE SECRET cogniforge (TYPE s3{', ' + parameters if parameters else ''})")
    elif not read_only:
        Path(settings.data).mkdir(parents=True, exist_ok=True)
    if not read_only:
        spill = settings.state / "spill" / f"{platform.node()}-{os.getpid()}"
        spill.parent.mkdir(parents=True, exist_ok=True)
        _remove_left(spill.parent)
        connection.execute(f"SET GLOBAL temp_directory = {literal(str(spill))}")


def _remove_left(spills: Path) -> None:
    """Removes what killed processes of this machine spilled."""
    for folder in spills.glob(f"{glob.escape(platform.node())}-*"):
        process = folder.name.rpartition("-")[2]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            shutil.rmtree(folder, ignore_errors=True)
