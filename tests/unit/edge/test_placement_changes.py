"""The history of placements: a row for each change, none where nothing changed."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb

from cogniforge_pipeline.edge.tables import changes_selects

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def test_changes_are_added_to_those_until_now() -> None:
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA edge")
        con.execute(
            "CREATE TABLE edge.placements AS SELECT * FROM (VALUES "
            "('moved', 'b', ['a'], 30.0, 'cheaper'), ('same', 'a', ['b', 'c'], 10.0, 'x'), "
            "('new', 'a', CAST([] AS VARCHAR[]), 5.0, 'y')"
            ") AS p(workload, primary_region, replicas, usd_per_month, reason)"
        )
        con.execute(
            "CREATE TABLE before AS SELECT * FROM (VALUES "
            "('moved', 1, 'a', ['b'], 20.0), ('same', 1, 'a', ['c', 'b'], 10.0), ('gone', 2, 'a', CAST([] AS VARCHAR[]), 7.0), "
            "('gone', 1, 'z', CAST([] AS VARCHAR[]), 6.0)) AS b(workload, number, to_region, to_replicas, usd_per_month)"
        )
        kept, changed = changes_selects("before", NOW)
        assert len(con.execute(kept).fetchall()) == 4
        rows = con.execute(
            f"SELECT workload, number, from_region, to_region, usd_change, reason FROM ({changed}) ORDER BY workload"
        ).fetchall()
    assert rows == [
        ("gone", 3, "a", None, -7.0, "it is not declared any more"),
        ("moved", 2, "a", "b", 10.0, "cheaper"),
        ("new", 1, None, "a", 5.0, "placed for the first time"),
    ]
