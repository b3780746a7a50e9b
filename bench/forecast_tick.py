"""A tick of the forecasts (read the rollups, judge, forecast 72 hours of every series) after 60 and after 240 days of history.

`ratio` is the time with four times the history over the time with the window alone: the cost of a tick must not grow with it.
Learning, which happens once a day of telemetry, is told beside it.
"""

from __future__ import annotations

import argparse
import importlib
import time
from datetime import UTC, datetime, timedelta

import duckdb

from bench.harness import alternate, report
from cogniforge_pipeline.aiops import forecast_tables
from cogniforge_pipeline.contracts import load_contracts
from cogniforge_pipeline.settings import packaged
from cogniforge_pipeline.sqltext import ident, literal, qualified

AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAYS = (60, 240)


def lake(days: int, series: int) -> duckdb.DuckDBPyConnection:
    """Rollups of so many days before AS_OF, in order of time, and empty tables of everything else."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'; SELECT setseed(0.5)")
    for contract in load_contracts(packaged("contracts")).values():
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {ident(contract.schema)}")
        columns = ", ".join(f"{ident(column.name)} {column.type}" for column in contract.columns)
        con.execute(f"CREATE TABLE {qualified(contract.name)} ({columns})")
    con.execute(
        "INSERT INTO aiops.series BY NAME SELECT i AS series_id, 's' || i // 4 AS service, 'm' || i % 4 AS metric, "
        f"'custom' AS metric_type, 'gauge' AS kind, MAP {{}} AS labels FROM range({series}) AS ids (i)"
    )
    first = AS_OF - timedelta(days=days)
    con.execute(
        f"INSERT INTO aiops.rollup_5m BY NAME SELECT i AS series_id, {literal(first)} + n * INTERVAL 5 MINUTE AS ts, "
        "1 AS count, 100 + i % 7 + 20 * sin(2 * pi() * (n % 288 + 10 * (i % 29)) / 288) + 10 * random() AS sum "
        f"FROM range({days * 288}) AS steps (n), range({series}) AS ids (i) ORDER BY n, i"
    )
    return con


def seconds(con: duckdb.DuckDBPyConnection, table: str) -> tuple[float, int]:
    """How long a table takes to be computed, and its rows; models are stored, forecasts are not."""
    recipe = next(one for one in forecast_tables.computed() if one.name == table).recipe(con)
    start = time.perf_counter()
    found = [row for select in recipe.selects(con, AS_OF, AS_OF) for row in con.execute(select).fetchall()]
    taken = time.perf_counter() - start
    if table != forecast_tables.FORECASTS:
        for select in recipe.selects(con, AS_OF, AS_OF):
            con.execute(f"INSERT INTO {table} BY NAME {select}")
    return taken, len(found)


def main() -> None:
    """Learn and examine once on each lake, then time ticks in turn."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--series", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    for library in ("sklearn.ensemble", "polars"):
        importlib.import_module(library)
    lakes = {days: lake(days, asked.series) for days in DAYS}
    once = {}
    for con in lakes.values():
        for table in (forecast_tables.MODELS, forecast_tables.ACCURACY):
            once[table], _ = seconds(con, table)
    rows = seconds(lakes[DAYS[0]], forecast_tables.FORECASTS)[1]
    timed = alternate(
        {str(days): (lambda con=con: seconds(con, forecast_tables.FORECASTS)) for days, con in lakes.items()},
        rounds=asked.rounds,
    )
    short, long = (timed[str(days)] for days in DAYS)
    told = {
        "series": asked.series,
        "rows": rows,
        "series_per_second": round(asked.series / short, 1),
        "learn_seconds_a_day": round(once[forecast_tables.MODELS], 2),
        "examine_seconds_a_day": round(once[forecast_tables.ACCURACY], 2),
    }
    report("forecast_tick", long, short, 1.25, **told)


if __name__ == "__main__":
    main()
