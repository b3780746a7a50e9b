"""Writing what was read: new states of resources, the ends of old ones, and the ledger, all or nothing.

Belongs here: rows to publications. Does not: what is new (`reading.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cogniforge_pipeline import publish
from cogniforge_pipeline.gitops.states import DESIRED, LIVE, SNAPSHOTS
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import Circumstances, Mode, Publication
from cogniforge_pipeline.sqltext import ident

SIDES = {"desired": DESIRED, "live": LIVE}
Row = dict[str, Any]


@dataclass
class News:
    """Rows to be: entries of the ledger, new states by side, and when states of the lake ended, by side and resource."""

    ledger: list[Row] = field(default_factory=list)
    states: dict[str, list[Row]] = field(default_factory=lambda: {side: [] for side in SIDES})
    ended: dict[str, list[Row]] = field(default_factory=lambda: {side: [] for side in SIDES})
    newest: dict[tuple[str, str, str], Row] = field(default_factory=dict)

    def add(self, side: str, row: Row) -> None:
        """A new state of a resource."""
        self.states[side].append(row)
        self.newest[side, row["app_id"], row["key"]] = row

    def end(self, side: str, app_id: str, key: str, at: datetime) -> None:
        """The state that a resource has now ends."""
        row = self.newest.get((side, app_id, key))
        if row is None:
            self.ended[side].append({"app_id": app_id, "key": key, "ended_at": at})
        elif row["replaced_at"] is None:
            row["replaced_at"] = at


def publish_news(
    home: Home, cursor: Connection, new: News, versions: Mapping[str, int], run_id: str
) -> list[Publication]:
    """All or nothing; a table without news is left as it is."""
    with ExitStack() as stack:
        staged = [
            stack.enter_context(
                publish.stage(
                    cursor,
                    home.contracts[SNAPSHOTS],
                    [_select(cursor, "ledger", new.ledger)],
                    mode=Mode.APPEND,
                    run_id=run_id,
                )
            )
        ]
        for side, table in SIDES.items():
            if new.states[side] or new.ended[side]:
                selects = _states_sql(home, cursor, side, new)
                staged.append(
                    stack.enter_context(
                        publish.stage(cursor, home.contracts[table], selects, mode=Mode.REPLACE, run_id=run_id)
                    )
                )
        return publish.publish(home.lake, cursor, staged, Circumstances(run_id, expected=dict(versions)))


def _states_sql(home: Home, cursor: Connection, side: str, new: News) -> list[str]:
    table = SIDES[side]
    columns = [column.name for column in home.contracts[table].columns]
    old = f"SELECT * FROM {table}"
    if new.ended[side]:
        ended = _select(cursor, f"{side}_ended", new.ended[side])
        kept = ", ".join(
            "coalesce(t.replaced_at, e.ended_at)" if name == "replaced_at" else f"t.{ident(name)}" for name in columns
        )
        old = (
            f"SELECT {kept} FROM {table} AS t LEFT JOIN ({ended}) AS e "
            "ON t.app_id = e.app_id AND t.key = e.key AND t.replaced_at IS NULL"
        )
        names = ", ".join(map(ident, columns))
        old = f"SELECT * FROM ({old}) AS kept({names})"
    selects = [old]
    if new.states[side]:
        selects.append(_select(cursor, f"{side}_states", new.states[side]))
    return selects


def _select(cursor: Connection, name: str, rows: Sequence[Row]) -> str:
    """A SELECT of rows, which are handed over as an Arrow table: a history may be large."""
    import pyarrow as pa

    kinds = {column: _kind(column) for column in rows[0]}
    table = pa.table({column: pa.array([row[column] for row in rows], kind) for column, kind in kinds.items()})
    view = f"gitops_{name}"
    cursor.register(view, table)
    return f"SELECT * FROM {view}"


def _kind(name: str) -> Any:
    import pyarrow as pa

    if name.endswith("_at"):
        return pa.timestamp("us", "UTC")
    if name in ("line", "resources", "changed"):
        return pa.int64()
    if name in ("from_server", "owned"):
        return pa.bool_()
    return pa.list_(pa.string()) if name == "problems" else pa.string()
