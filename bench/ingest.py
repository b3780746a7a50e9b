"""Ingest of 20 million rows of Parquet through the contract, beside a bare INSERT … SELECT … ORDER BY.

Both read the same file and write a DuckLake with a SQLite catalog, partitioned by day. The baseline numbers the series
with a join on a table it is given, sorts and inserts: nothing is checked, found, or written down. Rounds alternate in
one process, each into a fresh lake.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import duckdb

from bench.harness import report
from cogniforge_pipeline.contracts import create_table
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import Lake
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.sources.ingest import TELEMETRY, ingest
from cogniforge_pipeline.sources.model import FilesSource
from cogniforge_pipeline.sources.staging import SERIES_ID
from cogniforge_pipeline.sqltext import literal

SERIES = 1_000
DAYS = 14
BAR = 1.5


def make(path: Path, rows: int) -> None:
    """A file in the order of time, as collectors write: SERIES series over DAYS days."""
    step = DAYS * 86_400 * SERIES / rows
    duckdb.execute(
        "COPY (SELECT TIMESTAMPTZ '2026-01-01 00:00:00Z' + to_milliseconds((i // "
        f"{SERIES} * {step * 1000})::BIGINT) AS ts, 'service-' || (i % 50)::VARCHAR AS service, "
        f"'metric-' || (i % {SERIES} // 50)::VARCHAR AS metric, (hash(i) % 100000)::DOUBLE / 1000 AS value "
        f"FROM range({rows}) AS t (i)) TO {literal(str(path))} (FORMAT parquet)"
    )


def fresh(folder: Path) -> Lake:
    return Lake(load_settings(folder, environ={}))


def bare(folder: Path, data: Path) -> float:
    """Seconds of the bare insert."""
    home = Home(load_settings(folder, environ={}), kinds=())
    lake = fresh(folder)
    cursor = lake.cursor()
    for statement in create_table(home.contracts[TELEMETRY]):
        cursor.execute(statement)
    source = f"read_parquet({literal(str(data))})"
    cursor.execute(
        f"CREATE TEMP TABLE names AS SELECT service, metric, {SERIES_ID} AS series_id "
        f"FROM (SELECT DISTINCT service, metric, MAP {{}}::MAP(VARCHAR, VARCHAR) AS labels FROM {source})"
    )
    start = time.perf_counter()
    cursor.execute(
        f"INSERT INTO {TELEMETRY} SELECT ts, series_id, value FROM {source} JOIN names USING (service, metric) "
        "ORDER BY series_id, ts"
    )
    seconds = time.perf_counter() - start
    lake.close()
    return seconds


def through_the_contract(folder: Path, data: Path) -> float:
    """Seconds of the ingestion as a run does it."""
    (folder / "telemetry").mkdir(parents=True)
    shutil.copy(data, folder / "telemetry")
    home = Home(load_settings(folder, environ={}), kinds=())
    _ = home.lake
    source = FilesSource.model_validate(
        {
            "name": "bench",
            "type": "files",
            "path": "telemetry/*.parquet",
            "columns": {"timestamp": "ts", "value": "value", "service": "service", "metric": "metric"},
        }
    )
    start = time.perf_counter()
    totals = ingest(home.lake, home.contracts, [source], run_id="bench")
    seconds = time.perf_counter() - start
    assert totals.quarantined == 0 and not totals.refused, totals
    home.lake.close()
    return seconds


def main() -> None:
    """Runs both in turn and reports the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        data = Path(root) / "points.parquet"
        make(data, chosen.rows)
        seconds: Mapping[str, list[float]] = {"bare": [], "contract": []}
        for number in range(chosen.rounds):
            for name, work in (("bare", bare), ("contract", through_the_contract)):
                folder = Path(root) / f"{name}{number}"
                folder.mkdir()
                seconds[name].append(work(folder, data))
                print(f"{name}: {seconds[name][-1]:.2f} s")
                shutil.rmtree(folder)
        middle = {name: sorted(values)[len(values) // 2] for name, values in seconds.items()}
        report("ingest", middle["contract"], middle["bare"], BAR, rows=chosen.rows)


if __name__ == "__main__":
    main()
