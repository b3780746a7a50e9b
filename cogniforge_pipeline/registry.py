"""The registry of declarations in the lake: `platform.declarations`, written by runs and by the Python API alike.

Belongs here: bringing the table to what is declared. Does not: reading files or deciding what changed
(`declarations`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from cogniforge_pipeline import publish
from cogniforge_pipeline.declarations import Changes, Declaration, Platform, changes
from cogniforge_pipeline.declarations.registry import Origin
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.publish import ATTEMPTS, Circumstances, Mode, Publication, Superseded
from cogniforge_pipeline.sqltext import ident, literal

REGISTRY = "platform.declarations"


def record(
    home: Home, declared: Platform | Iterable[Declaration[Any]], *, run_id: str
) -> tuple[Changes, Publication | None]:
    """Writes what changed, if anything did. A Platform has origin `file`, other declarations `api`.

    Raises LakeError, or Superseded after ATTEMPTS attempts.
    """
    contract = home.contracts[REGISTRY]
    cursor = home.lake.cursor()
    origin: Origin = "file" if isinstance(declared, Platform) else "api"
    wanted = declared if isinstance(declared, Platform) else list(declared)
    with home.lake.explained():
        for attempt in range(1, ATTEMPTS + 1):
            version = publish.versions(cursor).get(REGISTRY, 0)
            found = cursor.execute(f"SELECT * FROM {REGISTRY}")
            names = [column[0] for column in found.description or []]
            current = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
            diff = changes(current, wanted, origin=origin, now=datetime.now(UTC))
            if not diff:
                return diff, None
            replaced = {(row["kind"], row["name"], row["version"]) for row in (*diff.withdraw, *diff.moved)}
            kept = [row for row in current if (row["kind"], row["name"], row["version"]) not in replaced]
            rows = [*kept, *diff.withdraw, *diff.moved, *diff.append]
            columns = [column.name for column in contract.columns]
            values = ", ".join(f"({', '.join(literal(dict(row)[name]) for name in columns)})" for row in rows)
            select = f"SELECT * FROM (VALUES {values}) AS rows ({', '.join(map(ident, columns))})"
            circumstances = Circumstances(run_id, expected={REGISTRY: version})
            with publish.stage(cursor, contract, [select], mode=Mode.REPLACE, run_id=run_id) as staged:
                try:
                    return diff, publish.publish(home.lake, cursor, [staged], circumstances)[0]
                except Superseded:
                    if attempt == ATTEMPTS:
                        raise
    raise AssertionError("unreachable")
