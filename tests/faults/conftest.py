"""The worker that all fault tests share, and one home for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faults import Worker


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
