"""The worker that all fault tests share, and a home for each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cogniforge_pipeline.home import Home
from tests.support.faults import Worker, add_file, home_at


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def calm(tmp_path: Path) -> Path:
    """A second home, on which one run works that nobody disturbs."""
    return tmp_path / "calm"


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory, worker: Worker) -> Path:
    folder = tmp_path_factory.mktemp("made") / "home"
    add_file(folder, 0)
    assert worker.run("pass", folder) == 0
    return folder


@pytest.fixture
def home(folder: Path, _made: Path) -> Home:
    """A home after a run over one file."""
    shutil.copytree(_made, folder)
    return home_at(folder)
