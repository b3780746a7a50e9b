"""A tick that adds one day to 60 days of history, beside the same tick on 1 day of history.

Both homes get the same new day of 100 series at one minute, after a run over their history; what is timed is the run
that follows: ingest, the days that changed, decisions, exports.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb

from bench.harness import report
from cogniforge_pipeline.definitions import open_home
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.runner import run
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.sqltext import literal

SERIES = 100
LAST = date(2026, 10, 31)
BAR = 1.2


def add_day(folder: Path, day: date) -> None:
    """One day's file in landing/: SERIES gauges at one minute."""
    path = folder / "landing" / f"{day}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.execute(
        f"COPY (SELECT TIMESTAMPTZ '{day} 00:00:00Z' + to_minutes(m::INTEGER) AS ts, 'service-' || s % 10 AS service, "
        "'metric-' || s // 10 AS metric, 50 + 20 * sin(2 * pi() * m / 1440) + (hash(m * 1000 + s) % 1000) / 500 AS value "
        f"FROM range(1440) AS t (m), range({SERIES}) AS u (s)) TO {literal(str(path))} (FORMAT parquet)"
    )


def home_with(folder: Path, days: int) -> Home:
    """A home that has seen `days` days up to the day before LAST."""
    (folder / "platform").mkdir(parents=True)
    for ago in range(days, 0, -1):
        add_day(folder, LAST - timedelta(days=ago))
    home = open_home(load_settings(folder, environ={}))
    assert run(home).success
    return home


def main() -> None:
    """Builds both homes, then adds the same days to each in turn; the median of the ticks counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--history", type=int, default=60)
    parser.add_argument("--ticks", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        homes = {days: home_with(Path(root) / f"days{days}", days) for days in (1, chosen.history)}
        seconds: dict[int, list[float]] = {days: [] for days in homes}
        for number in range(chosen.ticks):
            for days, home in homes.items():
                add_day(home.settings.home, LAST + timedelta(days=number))
                start = time.perf_counter()
                assert run(home).success
                seconds[days].append(time.perf_counter() - start)
                print(f"{days} days of history: {seconds[days][-1]:.2f} s")
        short, long = (sorted(seconds[days])[chosen.ticks // 2] for days in homes)
        report("tick", long, short, BAR, history_days=chosen.history, series=SERIES)


if __name__ == "__main__":
    main()
