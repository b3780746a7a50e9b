"""What all tests share: a clean environment, homes to work on, and one finished home for those who only read."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline import runner
from cogniforge_pipeline.definitions import open_home
from cogniforge_pipeline.settings import load_settings
from tests.support.pipeline import Pipeline, at, csv, lean

SLOW = ("tests/faults/", "tests/ui/", "tests/cluster/", "tests/docs/", "tests/pipeline/")
"""Folders with long tests, which start first: a long one at the end would keep one process waiting for another."""
SHARING = ("tests/ui/", "tests/cluster/")
"""Folders whose files share what is slow to make: each of them runs in one process."""
FOREIGN = ("COGNIFORGE_", "AWS_", "DAGSTER_")


def pytest_configure(config: pytest.Config) -> None:
    """Processes that tests start compile nothing twice: importing Dagster takes seconds without its bytecode."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(Path(tempfile.gettempdir()) / "cogniforge-bytecode"))
    sys.dont_write_bytecode, sys.pycache_prefix = False, os.environ["PYTHONPYCACHEPREFIX"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next((n for n, folder in enumerate(SLOW) if item.nodeid.startswith(folder)), len(SLOW))

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests stay together, and those of SHARING; `--dist loadgroup` has no effect with pytest 9.2."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((folder for folder in SHARING if nodeid.startswith(folder)), super()._split_scope(nodeid))

    return Scheduling(config, log)


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """No test sees the user's installation, or what another test left in the environment."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(FOREIGN):
            del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """A new home, worked on without Dagster."""
    return Pipeline(tmp_path / "home")


@pytest.fixture(scope="session")
def finished_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of one domain after one whole run: three days of two services, one refused file, one bad row and one duplicate.

    For reading only. The newest point is of 2026-03-03 23:55 UTC; web's latency is ten times as high from 23:30.
    """
    folder = tmp_path_factory.mktemp("finished") / "home"
    work = Pipeline(folder)
    start = at("2026-03-01 00:00")
    moments = [start + timedelta(minutes=5 * n) for n in range(3 * 288)]
    trouble = at("2026-03-03 23:30")
    latency = [
        (ts, "web", "latency_ms", 100.0 + n % 7 + (1000 if ts >= trouble else 0)) for n, ts in enumerate(moments)
    ]
    cpu = [(ts, "api", "cpu_percent", 40.0 + n % 5) for n, ts in enumerate(moments)]
    work.drop("web.csv", csv([*latency, latency[0]]) + "2026-03-01T00:00:00Z,web,latency_ms,oops,gauge\n")
    work.drop("api/cpu.csv", csv(cpu))
    work.drop("broken.parquet", b"PAR1 this is no parquet file")
    with lean():
        home = open_home(load_settings(folder, environ={"COGNIFORGE_DOMAINS": "aiops"}))
    report = runner.run(home)
    assert report.success, report.failed_steps
    return folder
