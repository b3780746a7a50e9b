"""All burn rates of 50 SLOs, 31 days, 8 windows at each minute, per ratio beside Prometheus' query_range; bar 50x.

Prometheus answers the same ratios from the same counters of 60 s scrapes with resets and gaps. DuckDB counts the
minutes and writes the rates, each to a table, and both count as its time; `counted_before` is the ratio from counted
minutes on, as a pipeline has them. At full hours the rates are compared.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from bench.harness import report
from cogniforge_pipeline.sre.burn_rate import WINDOWS, burn_rates_sql
from cogniforge_pipeline.sre.objectives import Objective
from cogniforge_pipeline.sre.resolve import resolve_documents
from cogniforge_pipeline.sre.sli import minute_counts_sql
from tests.support.prometheus_backfill import Backfilled, backfilled_prometheus, write_openmetrics

START = datetime(2024, 3, 1, tzinfo=UTC)
BAR = 50.0
Rates = dict[tuple[str, str, int], float]


def document(name: str) -> dict[str, Any]:
    """An SLO of 99.9 % of requests, by two counters."""
    bad, total = (
        {"metricSource": {"type": "cogniforge", "spec": {"metric": metric, "service": name}}}
        for metric in ("bench_errors_total", "bench_requests_total")
    )
    indicator = {"metadata": {"name": name}, "spec": {"ratioMetric": {"bad": bad, "total": total}}}
    return {
        "apiVersion": "openslo/v1",
        "kind": "SLO",
        "metadata": {"name": name},
        "spec": {
            "service": name,
            "indicator": indicator,
            "timeWindow": [{"duration": "30d", "isRolling": True}],
            "budgetingMethod": "Occurrences",
            "objectives": [{"target": 0.999}],
        },
    }


def make(slos: int, days: int) -> duckdb.DuckDBPyConnection:
    """Counters of `slos` services: traffic by the hour of day, incidents, a gap and some resets in each."""
    cursor = duckdb.connect()
    cursor.execute("SET TimeZone='UTC'; SET preserve_insertion_order=false; CREATE SCHEMA aiops")
    cursor.execute(
        f"""
        CREATE TABLE events AS
        SELECT s, m, floor(CASE WHEN s % 10 = 9 THEN r / 0.98 ELSE r * (100 + 40 * sin(m / 229.0)) END) AS requests,
            CASE WHEN (m + 977 * s) % 4001 < 45 THEN 0.03 ELSE 0.0007 END AS share
        FROM (
            SELECT s, m, hash(s, m) % 1000 / 1000.0 AS r FROM range({slos}) AS a(s), range({days * 1440 + 1}) AS b(m)
        );
        CREATE TABLE counted AS
        SELECT s, m, sum(requests) OVER run AS requests, sum(errors) OVER run AS errors
        FROM (SELECT *, floor(requests * share + hash(m, s) % 997 / 997.0) AS errors FROM events)
        WINDOW run AS (PARTITION BY s, (m + 131 * s) // 9973 ORDER BY m ROWS UNBOUNDED PRECEDING);
        CREATE TABLE aiops.series AS
        SELECT CAST(2 * s + k AS BIGINT) AS series_id, 'slo' || s AS service, 'counter' AS kind,
            ['bench_errors_total', 'bench_requests_total'][k + 1] AS metric,
            CAST(MAP {{}} AS MAP(VARCHAR, VARCHAR)) AS labels
        FROM range({slos}) AS a(s), range(2) AS b(k);
        CREATE TABLE aiops.telemetry AS
        SELECT to_timestamp({int(START.timestamp())} + 60 * m) AS ts, CAST(2 * s + k AS BIGINT) AS series_id,
            CAST(CASE k WHEN 0 THEN errors ELSE requests END AS DOUBLE) AS value
        FROM counted, range(2) AS b(k) WHERE (m + 613 * s) % 7001 >= 90 ORDER BY series_id, ts;
        CREATE VIEW samples AS
        SELECT metric, 'slo="' || service || '"' AS labels, ts, CAST(value AS BIGINT) AS value
        FROM aiops.telemetry JOIN aiops.series USING (series_id)
        """
    )
    return cursor


def compute(cursor: duckdb.DuckDBPyConnection, objectives: list[Objective], end: datetime) -> tuple[float, float]:
    """Seconds for the minutes' events, and for all rates, each written to a table."""
    begin = START - timedelta(minutes=1)
    started = time.perf_counter()
    cursor.execute(f"CREATE OR REPLACE TABLE counts AS {minute_counts_sql(objectives, begin, end)}")
    counted = time.perf_counter()
    cursor.execute(f"CREATE OR REPLACE TABLE rates AS {burn_rates_sql(objectives, 'counts', begin, end)}")
    return counted - started, time.perf_counter() - counted


def ask(server: Backfilled, end: datetime) -> tuple[float, int, Rates]:
    """Seconds and number of Prometheus' ratios, and those of full hours: by window, in as few queries as it takes."""
    seconds, ratios, rates = 0.0, 0, Rates()
    first, last, most = int(START.timestamp()), int(end.timestamp()), 11_000
    for name in WINDOWS:
        bad, total = (f"sum by (slo) (increase(bench_{part}_total[{name}]))" for part in ("errors", "requests"))
        took, answered = 0.0, 0
        for piece in range(first, last + 1, 60 * most):
            begun = time.perf_counter()
            body = server.query_range_bytes(f"{bad} / {total}", piece, min(last, piece + 60 * (most - 1)), 60)
            took += time.perf_counter() - begun
            for series in json.loads(body)["data"]["result"]:
                answered += len(series["values"])
                hourly = ((int(at), value) for at, value in series["values"] if int(at) % 3600 == 0)
                rates.update({(series["metric"]["slo"], name, at): float(value) for at, value in hourly})
        print(f"Prometheus {name:>3}: {took:.2f} s for {answered:,} ratios, {took / max(answered, 1) * 1e6:.1f} us")
        seconds, ratios = seconds + took, ratios + answered
    return seconds, ratios, rates


def compare(cursor: duckdb.DuckDBPyConnection, theirs: Rates, budget: float) -> dict[str, Any]:
    """The largest difference at full hours where the window starts at a sample, relative to rates above 1.

    In a gap Prometheus extrapolates each series by itself, see `prometheus_proof.py`.
    """
    largest, compared, missing = 0.0, 0, 0
    for name, length in WINDOWS.items():
        hourly = f"""
            SELECT slo_id, epoch(minute), burn_{name} FROM rates
            WHERE minute(minute) = 0 AND (slo_id, epoch(minute) - {length.total_seconds()}) IN (
                SELECT (service, epoch(ts)) FROM aiops.telemetry JOIN aiops.series USING (series_id)
            )
        """
        for slo_id, at, ours in cursor.execute(hourly).fetchall():
            value = theirs.get((slo_id, name, int(at)), math.nan)
            compared += 1
            if math.isnan(value) or ours is None:
                missing += math.isnan(value) != (ours is None)
            else:
                rate = value / budget
                largest = max(largest, abs(ours - rate) / max(1, rate))
    return {"compared": compared, "null_on_one_side": missing, "largest_difference": largest}


def main() -> None:
    """Make the counters, ask both, compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--slos", type=int, default=50)
    parser.add_argument("--days", type=int, default=31)
    sizes = parser.parse_args()
    end = START + timedelta(days=sizes.days)
    objectives = list(resolve_documents([document(f"slo{number}") for number in range(sizes.slos)]))
    cursor = make(sizes.slos, sizes.days)
    runs = [compute(cursor, objectives, end) for _ in range(3)]
    counting, rating = min(runs, key=sum)
    columns = " + ".join(f"count(burn_{name})" for name in WINDOWS)
    ours = cursor.execute(f"SELECT {columns} FROM rates").fetchall()[0][0]
    print(f"DuckDB: {counting:.2f} s for the minutes, {rating:.2f} s for {ours:,} ratios")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counters.txt"
        write_openmetrics(cursor, "samples", path)
        with backfilled_prometheus(Path(folder), path) as server:
            seconds, theirs, rates = ask(server, end)
    agreement = compare(cursor, rates, float(objectives[0].budget))
    # per second, so that a larger ratio is better
    report(
        "burn_rates",
        ours / (counting + rating),
        theirs / seconds,
        BAR,
        at_least=True,
        unit="ratios per second",
        counted_before=round(ours / rating / (theirs / seconds), 1),
        ratios=ours,
        seconds=round(rating, 3),
        counting_seconds=round(counting, 3),
        baseline_ratios=theirs,
        baseline_seconds=round(seconds, 3),
        **agreement,
    )


if __name__ == "__main__":
    main()
