"""A day's tick of 10,000 series at one minute, beside a bare DuckDB pass over the same points.

The day before is in the lake and judged. What is timed is what the tick of the next day computes and publishes, with audit and
commit: rollup, scores with the detector's states, anomalies with incidents. The baseline is the sum of what DuckDB takes, with
the same threads and memory, to read the day's points from the lake, to group them by series and hour, and to write
the rows that the tick writes (rollup, scores, states) as Parquet. CPU seconds stand beside, for a machine that is shared.
`history` is the same tick of a tenth of the series after 9 days beside one after 2.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.harness import report
from cogniforge_pipeline import publish
from cogniforge_pipeline.definitions import open_home
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.increments import Request, materialize_recipe
from cogniforge_pipeline.publish import Circumstances, Mode
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.sqltext import literal

SERIES, BAR, MEMORY_GB = 10_000, 4.0, 4.0
FIRST = datetime(2026, 10, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TABLES = ("aiops.rollup_5m", "aiops.anomaly_scores", "aiops.anomalies")
WRITTEN = ("aiops.rollup_5m", "aiops.anomaly_scores", "aiops.detector_states")


def home_of(folder: Path, series: int) -> Home:
    """A home that knows the series: a hundredth of them services, all gauges."""
    (folder / "platform").mkdir(parents=True)
    limits = {"COGNIFORGE_MEMORY_LIMIT": "1500MB", "COGNIFORGE_THREADS": "2"}
    home = open_home(load_settings(folder, environ=limits))
    put(home, "aiops.series", Mode.REPLACE, (
        "SELECT s AS series_id, 'service-' || s % 100 AS service, 'metric-' || s // 100 AS metric, 'custom' AS metric_type, "
        f"'1' AS unit, MAP {{}}::MAP(VARCHAR, VARCHAR) AS labels, 'gauge' AS kind FROM range({series}) AS t (s)"
    ))  # fmt: skip
    return home


def add_day(home: Home, series: int, number: int) -> None:
    """A day of points, one a minute: a daily wave with noise; one series in a thousand is disturbed for two hours."""
    start = literal(FIRST + number * DAY)
    put(home, "aiops.telemetry", Mode.APPEND, (
        f"SELECT {start} + to_minutes(m::INTEGER) AS ts, s AS series_id, 50 + 20 * sin(2 * pi() * m / 1440 + s) "
        f"+ (hash(m * 100003 + s + {number} * 7919) % 1000) / 200 "
        f"+ CASE WHEN {number} > 2 AND s % 1000 = 7 AND m BETWEEN 600 AND 720 THEN 200 ELSE 0 END AS value "
        f"FROM range({series}) AS u (s), range(1440) AS t (m)"
    ))  # fmt: skip


def put(home: Home, table: str, mode: Mode, select: str) -> None:
    cursor = home.lake.cursor()
    with publish.stage(cursor, home.contracts[table], [select], mode=mode, run_id="bench") as staged:
        publish.publish(home.lake, cursor, [staged], Circumstances("bench"))


def tick(home: Home, number: int) -> dict[str, tuple[float, float]]:
    """Wall and CPU seconds of each table."""
    as_of = FIRST + (number + 1) * DAY
    seconds = {}
    for table in TABLES:
        wall, cpu = time.perf_counter(), time.process_time()
        recipe = home.recipe(table, home.lake.cursor())
        request = Request(f"tick-{number}", as_of=as_of)
        materialize_recipe(home.lake, home.contracts[table], recipe, home.facts(recipe), request, home.contracts)
        seconds[table] = (time.perf_counter() - wall, time.process_time() - cpu)
    return seconds


def bare(home: Home, number: int, folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds of the baseline."""
    cursor = home.lake.cursor()
    start, end = literal(FIRST + number * DAY), literal(FIRST + (number + 1) * DAY)
    wall, cpu = time.perf_counter(), time.process_time()
    cursor.execute(
        "COPY (SELECT series_id, time_bucket(INTERVAL 1 HOUR, ts) AS ts, count(*) AS count, sum(value) AS sum, min(value) AS min, "
        f"max(value) AS max, avg(value) AS mean FROM aiops.telemetry WHERE ts >= {start} AND ts < {end} GROUP BY ALL) "
        f"TO {literal(str(folder / 'hours.parquet'))} (FORMAT parquet)"
    )
    for table in WRITTEN:
        cursor.execute(
            f"COPY (SELECT * FROM {table} WHERE ts >= {start} AND ts < {end}) "
            f"TO {literal(str(folder / 'rows.parquet'))} (FORMAT parquet)"
        )
    return time.perf_counter() - wall, time.process_time() - cpu


def after(days: int, series: int) -> float:
    """CPU seconds of a tick after so many days."""
    with tempfile.TemporaryDirectory() as folder:
        home = home_of(Path(folder) / "home", series)
        for number in range(days + 1):
            add_day(home, series, number)
            spent = tick(home, number)
        return sum(cpu for _, cpu in spent.values())


def main() -> None:
    """Measures and prints one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=SERIES)
    series = parser.parse_args().series
    more: dict[str, Any] = {"series": series, "points": series * 1440}
    with tempfile.TemporaryDirectory() as folder:
        home = home_of(Path(folder) / "home", series)
        for number in range(2):
            add_day(home, series, number)
            spent = tick(home, number)
            print({table: [round(x, 2) for x in pair] for table, pair in spent.items()}, flush=True)
        passes = [bare(home, 1, Path(folder)) for _ in range(3)]
        found = home.lake.cursor().execute("SELECT count(*) FROM aiops.anomaly_scores").fetchone()
    wall, cpu = min(passes)
    more["tables"] = {table: [round(x, 2) for x in pair] for table, pair in spent.items()}
    more["cpu"] = {"tick": round(sum(c for _, c in spent.values()), 2), "bare": round(cpu, 2)}
    more["memory_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    more["scores"] = found[0] if found else 0
    more["history"] = round(after(9, series // 10) / after(2, series // 10), 2)
    met = report("aiops_scale", sum(w for w, _ in spent.values()), wall, BAR, **more)
    if not met or more["memory_gb"] > MEMORY_GB:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
