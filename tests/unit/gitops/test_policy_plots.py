"""What the UI draws of violations."""

from __future__ import annotations

import json
from typing import Any

import duckdb
import pytest

from cogniforge_pipeline.gitops.policy_plots import both

ROWS = """
    ('desired', 'a', 'k1', 'probes', 'WARN', TIMESTAMPTZ '2026-01-01T00:00:00Z'),
    ('desired', 'a', 'k1', 'probes', 'WARN', TIMESTAMPTZ '2026-01-01T00:00:00Z'),
    ('live', 'a', 'k2', 'probes', 'WARN', TIMESTAMPTZ '2026-01-03T00:00:00Z'),
    ('live', 'a', 'k2', 'labels', 'AUDIT', TIMESTAMPTZ '2026-01-02T00:00:00Z')
"""


@pytest.fixture
def cursor() -> Any:
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'; CREATE SCHEMA gitops")
        con.execute(
            "CREATE TABLE gitops.policy_violations "
            "(source VARCHAR, app_id VARCHAR, key VARCHAR, policy_id VARCHAR, enforcement_mode VARCHAR, since TIMESTAMPTZ)"
        )
        yield con


def test_bars_count_resources_and_the_line_adds_up(cursor: Any) -> None:
    assert both(cursor, None) is None  # type: ignore[arg-type]
    cursor.execute(f"INSERT INTO gitops.policy_violations VALUES {ROWS}")
    text = json.dumps(both(cursor, None).to_dict())  # type: ignore[arg-type]
    assert '{"policy_id": "probes", "source": "desired", "mode": "WARN", "resources": 1}' in text
    assert '"mode": "WARN", "violations": 2}' in text and '"mode": "WARN", "violations": 3}' in text
