"""A key is checked by comparing neighbours where rows lie in its order, with the same result as by grouping."""

from __future__ import annotations

from pathlib import Path

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.contracts import audit, load_contract
from cogniforge_pipeline.sqltext import literal

TELEMETRY = load_contract(Path(__file__).parents[3] / "contracts" / "aiops" / "telemetry.yaml")
CONNECTION = duckdb.connect()
CONNECTION.execute("SET TimeZone = 'UTC'")

KEY = st.one_of(st.none(), st.integers(0, 2))


def failing(rows: list[tuple[int | None, int | None]], *, ordered: bool) -> int | None:
    values = ", ".join(f"({position}, {literal(series)}, {literal(ts)})" for position, (series, ts) in enumerate(rows))
    CONNECTION.execute(
        "CREATE OR REPLACE TEMP TABLE points AS SELECT make_timestamptz(ts::BIGINT) AS ts, series_id::BIGINT AS series_id, "
        f"1.0::DOUBLE AS value FROM (VALUES {values}) AS rows (position, series_id, ts) ORDER BY position"
    )
    results = {r.rule.test: r for r in audit(CONNECTION, TELEMETRY, "points", ordered=ordered).results}
    return results["unique"].failing


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(KEY, KEY), min_size=1, max_size=12), st.booleans())
def test_neighbours_and_groups_count_the_same_extra_rows_even_where_the_order_does_not_hold(
    rows: list[tuple[int | None, int | None]], sort: bool
) -> None:
    if sort:
        rows = sorted(rows, key=lambda row: tuple((value is None, value or 0) for value in row))
    assert failing(rows, ordered=True) == failing(rows, ordered=False)


def test_a_duplicate_parted_by_a_row_without_a_key_is_found() -> None:
    assert failing([(0, 1), (1, 1), (None, None), (1, 1)], ordered=True) == 1
