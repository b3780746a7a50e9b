"""One new day of the SLIs and burn rates of 50 SLOs in a lake with 365 days of them, beside one with 31; bar 1.2x.

Both lakes hold counters of 60 s scrapes and the SLIs of all days before the last one, partitioned by day. What is timed
are the statements of the last day's rows as a run asks for them, with their rows written to a table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from bench.burn_rates import document
from bench.harness import alternate, report
from cogniforge_pipeline.definitions import open_home
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.registry import record
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.sre.tables import RATES, SLI

LAST = datetime(2024, 12, 31, tzinfo=UTC)
DAY = timedelta(days=1)
BAR = 1.2


def write(home: Home, table: str, start: datetime, end: datetime, target: str) -> None:
    """A table's rows of the days from `start` to before `end` into `target`, a statement that ends before the SELECT."""
    cursor = home.lake.cursor()
    (select,) = home.recipe(table, cursor).selects(cursor, start, end)
    names = ", ".join(column.name for column in home.contracts[table].columns)
    cursor.execute(f"{target} SELECT {names} FROM ({select})")


def home_with(folder: Path, days: int, slos: int) -> Home:
    """A home with telemetry of `days` days and of LAST, and with the SLIs before LAST."""
    home = open_home(load_settings(folder, environ={}))
    platform = folder / "platform" / "slos"
    platform.mkdir(parents=True)
    for number in range(slos):
        (platform / f"slo{number}.yaml").write_text(json.dumps(document(f"slo{number}")), encoding="utf-8")
    record(home, home.platform(), run_id="bench")
    cursor = home.lake.cursor()
    cursor.execute(
        f"""
        INSERT INTO aiops.series BY NAME
        SELECT 2 * s + k AS series_id, 'slo' || s AS service, 'custom' AS metric_type, 'counter' AS kind,
            ['bench_errors_total', 'bench_requests_total'][k + 1] AS metric, CAST(MAP {{}} AS MAP(VARCHAR, VARCHAR)) AS labels
        FROM range({slos}) AS a(s), range(2) AS b(k)
        """
    )
    ends = [
        LAST - days * DAY,
        *(LAST - ago * DAY for ago in range(days - days % 30, -1, -30) if ago < days),
        LAST + DAY,
    ]
    for start, end in zip(ends, ends[1:], strict=False):
        first, last = (int(moment.timestamp() // 60) for moment in (start, end))
        cursor.execute(
            f"""
            INSERT INTO aiops.telemetry BY NAME
            SELECT to_timestamp(60 * m) AS ts, 2 * s + k AS series_id,
                CASE k WHEN 0 THEN m // 20 ELSE 100 * m + hash(s, m) % 100 END AS value
            FROM range({slos}) AS a(s), range(2) AS b(k), range({first}, {last}) AS c(m) ORDER BY series_id, ts
            """
        )
        if start < LAST:
            write(home, SLI, start, min(end, LAST), f"INSERT INTO {SLI} BY NAME")
    return home


def tick(home: Home) -> None:
    """The SLIs and the burn rates of the last day."""
    for table in (SLI, RATES):
        write(home, table, LAST, LAST + DAY, "CREATE OR REPLACE TEMP TABLE tick AS")


def main() -> None:
    """Builds both lakes, then computes the last day in each in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--history", type=int, default=365)
    parser.add_argument("--short", type=int, default=31)
    parser.add_argument("--slos", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        homes = {days: home_with(Path(root) / str(days), days, chosen.slos) for days in (chosen.short, chosen.history)}
        for home in homes.values():
            write(home, SLI, LAST, LAST + DAY, f"INSERT INTO {SLI} BY NAME")

        seconds = alternate({str(days): partial(tick, home) for days, home in homes.items()}, chosen.rounds)
        rows = homes[chosen.history].lake.cursor().execute(f"SELECT count(*) FROM {SLI}").fetchall()[0][0]
        for home in homes.values():
            home.lake.close()
    short, long = seconds[str(chosen.short)], seconds[str(chosen.history)]
    report("slo_tick", long, short, BAR, history_days=chosen.history, short_days=chosen.short, sli_rows=rows)


if __name__ == "__main__":
    main()
