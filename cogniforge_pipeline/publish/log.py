"""The log of publications and of their quality.

Belongs here: reading and writing `data_mesh.materializations` and `data_mesh.quality_metrics`. Does not: the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish.stage import Staged
from cogniforge_pipeline.sqltext import ident, literal

MATERIALIZATIONS = "data_mesh.materializations"
QUALITY = "data_mesh.quality_metrics"


@dataclass(frozen=True)
class Circumstances:
    """Why and from what a table is made: goes to the log with every publication.

    `inputs` are the versions that were read, `expected` the version that this publication replaces (None: no check),
    both by table name.
    """

    run_id: str
    as_of: datetime | None = None
    code_version: str = ""
    inputs: Mapping[str, int] = field(default_factory=dict)
    expected: Mapping[str, int] = field(default_factory=dict)


def versions(cursor: Connection) -> dict[str, int]:
    """The newest version of every table that was ever published."""
    rows = cursor.execute(f"SELECT table_name, max(version) FROM {MATERIALIZATIONS} GROUP BY ALL").fetchall()
    return {name: int(version) for name, version in rows}


def last(cursor: Connection, table: str) -> dict[str, object] | None:
    """The newest entry of the log for one table, or None: version, inputs, code_version, as_of, row_count and so on."""
    found = cursor.execute(
        f"SELECT * FROM {MATERIALIZATIONS} WHERE table_name = {literal(table)} ORDER BY version DESC LIMIT 1"
    )
    names = [column[0] for column in found.description or []]
    row = found.fetchone()
    return dict(zip(names, row, strict=True)) if row else None


def enter(
    cursor: Connection, item: Staged, rows: int, version: int, circumstances: Circumstances, now: datetime
) -> None:
    """One entry of each log for a table that is published in the same transaction."""
    contract = item.contract
    _append(
        cursor,
        MATERIALIZATIONS,
        table_name=contract.name,
        version=version,
        inputs=dict(circumstances.inputs),
        days=list(item.days),
        row_count=rows,
        rows_quarantined=item.quarantined,
        mode=item.mode.value,
        code_version=circumstances.code_version,
        as_of=circumstances.as_of,
        run_id=circumstances.run_id,
        published_at=now,
    )
    judged = rows + item.quarantined
    _append(
        cursor,
        QUALITY,
        product_id=contract.name,
        timestamp=now,
        **(dict(item.audit.figures) | {"error_rate": item.quarantined / judged if judged else 0.0}),
        contract_version=contract.version,
        run_id=circumstances.run_id,
        version=version,
    )


def _append(cursor: Connection, table: str, **values: Any) -> None:
    columns = ", ".join(f"{literal(value)} AS {ident(name)}" for name, value in values.items())
    cursor.execute(f"INSERT INTO {table} BY NAME SELECT {columns}")
