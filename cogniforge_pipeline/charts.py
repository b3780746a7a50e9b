"""What the charts of all domains share: rows of a query as plain values, colours, sizes.

Belongs here: nothing that knows a table. Does not: charts (`plots.py` of each domain), rendering (`outcomes.py`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cogniforge_pipeline.lake import Connection

BLUE, RED, AMBER, GREEN, GREY = "#1565c0", "#c62828", "#f9a825", "#2e7d32", "#90a4ae"
WIDTH = 620


def chart_rows(cursor: Connection, query: str) -> list[dict[str, Any]]:
    """The rows of a query by column name, times as ISO texts in the zone of the session, which is UTC."""
    found = cursor.execute(query)
    names = [column[0] for column in found.description or []]
    return [{name: _plain(value) for name, value in zip(names, row, strict=True)} for row in found.fetchall()]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
