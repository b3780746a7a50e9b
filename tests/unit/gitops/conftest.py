"""What tests of policies share: processes that evaluate, and a way to write a policy in a line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cogniforge_pipeline.gitops.policy.pool import Pool


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """One process with a limit of half a second of processor time."""
    found = Pool(1, seconds=0.5, megabytes=256)
    yield found
    found.close()
