"""Burn rates and alerts of 20 SLOs beside a real Prometheus over 35 days; the largest difference, bar 1e-9.

The counters have resets, gaps and hardly any traffic, and some SLOs have several instances with gaps of their own.
Rates over all eight windows are compared at full hours and at random minutes: those that extrapolate
(`prometheus_rates.py`) everywhere, those of the table (`burn_rate.py`) where no series starts its window within a gap
and several instances do not end it there either: elsewhere Prometheus extrapolates each series by itself. Alerts are
compared at every minute of the days with incidents. A number or an alert on one side only counts as a difference of 1.
"""

from __future__ import annotations

import argparse
import math
import random
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from bench.harness import report
from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.sre.burn_alerts import alert_episodes_sql, alert_minutes_sql, rule_windows
from cogniforge_pipeline.sre.burn_rate import WINDOWS, burn_rates_sql, window_name, window_sums_sql
from cogniforge_pipeline.sre.objectives import Objective
from cogniforge_pipeline.sre.prometheus_rates import prometheus_burn_rates_sql
from cogniforge_pipeline.sre.sli import minute_counts_sql
from tests.support.prometheus_backfill import Backfilled, backfilled_prometheus, write_openmetrics
from tests.support.sre_counts import objectives, source

START = datetime(2024, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BAR = 1e-9
SLOS, TARGETS = 20, ("0.999", "0.99", "0.9995", "0.95")
ALONE = 12
"""So many SLOs have one instance, the others two to four."""

Rates = dict[tuple[str, str, int], float]
"""By SLO, window, Unix second."""


def make(days: int) -> duckdb.DuckDBPyConnection:
    """Counters of all SLOs. Several instances have their gaps in the middle third, one alone has them all the time."""
    cursor = duckdb.connect()
    cursor.execute(
        f"""
        SET TimeZone='UTC'; SET preserve_insertion_order=false; CREATE SCHEMA aiops;
        CREATE TABLE instances AS
        SELECT row_number() OVER (ORDER BY s, i) - 1 AS n, s, i
        FROM (SELECT s, unnest(range(CASE WHEN s < {ALONE} THEN 1 ELSE 2 + s % 3 END)) AS i FROM range({SLOS}) AS a(s));
        CREATE TABLE events AS
        SELECT n, s, m, floor(rate * (1 + 0.5 * sin(m / 229.0)) + r) AS requests,
            CASE WHEN m // 1440 IN ({incident_days(days)}) AND (m + 97 * s) % 1440 BETWEEN 500 AND 530 + 4 * s
                THEN 0.08 ELSE 0.0004 END AS share
        FROM (
            SELECT n, s, m, hash(n, m) % 10007 / 10007.0 AS r,
                [0.003, 0.4, 30.0, 400.0, 7.5][s % 5 + 1] AS rate
            FROM instances, range({days * 1440 + 1}) AS b(m)
        );
        CREATE TABLE counted AS
        SELECT n, s, m, sum(requests) OVER run AS requests, sum(errors) OVER run AS errors
        FROM (
            SELECT n, s, m, CASE WHEN m = 0 THEN 0 ELSE requests END AS requests,
                CASE WHEN m = 0 THEN 0 ELSE least(requests, floor(requests * share + hash(m, n) % 9973 / 9973.0))
                END AS errors
            FROM events
        )
        WINDOW run AS (PARTITION BY n, (m + 1931 * n) // 7919 ORDER BY m ROWS UNBOUNDED PRECEDING);
        CREATE TABLE aiops.series AS
        SELECT 2 * n + k AS series_id, 'shop' AS service, 'counter' AS kind,
            's' || s || ['_errors_total', '_requests_total'][k + 1] AS metric, MAP {{'instance': i::VARCHAR}} AS labels
        FROM instances, range(2) AS b(k);
        CREATE TABLE aiops.telemetry AS
        SELECT to_timestamp({int(START.timestamp())} + 60 * m) AS ts, 2 * n + k AS series_id,
            CAST(CASE k WHEN 0 THEN errors ELSE requests END AS DOUBLE) AS value
        FROM counted, range(2) AS b(k)
        WHERE m = 0 OR CASE WHEN s < {ALONE} THEN (m + 613 * n) % 4211 >= 7 * (n % 13) AND (m + 389 * n) % 997 <> 0
            ELSE m NOT BETWEEN {days * 480} AND {days * 960} OR (m + 613 * n) % 2003 >= 40 * (n % 7) END;
        CREATE VIEW samples AS
        SELECT ['proof_errors_total', 'proof_requests_total'][series_id % 2 + 1] AS metric, ts, value::BIGINT AS value,
            'slo="' || split_part(metric, '_', 1) || '",instance="' || labels['instance'] || '"' AS labels
        FROM aiops.telemetry JOIN aiops.series USING (series_id)
        """
    )
    return cursor


def incident_days(days: int) -> str:
    """Two days in the first third, two in the last."""
    return ", ".join(str(day) for day in (days // 5, days // 5 + 1, days - 4, days - 3))


def theirs_at(server: Backfilled, found: list[Objective], moments: list[int], step: int = 0) -> Rates:
    """Prometheus' burn rates at the moments (each a query), or with `step` from the first to the last one."""
    budgets = {o.slo_id: float(o.budget) for o in found}
    rates: Rates = {}
    for name in WINDOWS:
        bad, total = (f"sum by (slo) (increase(proof_{part}_total[{name}]))" for part in ("errors", "requests"))
        for first, last in [(moments[0], moments[-1])] if step else [(at, at) for at in moments]:
            for labels, values in server.query_range(f"{bad} / {total}", first, last, step or 60).items():
                slo_id = dict(labels)["slo"]
                rates |= {(slo_id, name, at): v / budgets[slo_id] for at, v in values.items() if not math.isnan(v)}
    return rates


def ours_at(
    cursor: duckdb.DuckDBPyConnection, found: list[Objective], moments: list[int]
) -> tuple[Rates, Rates, Rates]:
    """Burn rates that extrapolate as Prometheus does; those of the table where they have to be equal, and elsewhere."""
    cursor.execute(f"CREATE OR REPLACE TABLE asked AS SELECT unnest({literal(moments)}) AS second")
    sql = prometheus_burn_rates_sql(found, [datetime.fromtimestamp(at, UTC) for at in moments])
    rows = cursor.execute(f"SELECT slo_id, window_name, epoch(moment)::BIGINT, burn_rate FROM ({sql})").fetchall()
    extrapolated = {(slo_id, name, at): rate for slo_id, name, at, rate in rows}
    # minutes at which all series of an SLO have a sample
    cursor.execute(
        """
        CREATE OR REPLACE TABLE whole AS
        WITH named AS (SELECT series_id, split_part(metric, '_', 1) AS slo_id FROM aiops.series),
        series AS (SELECT *, count(*) OVER (PARTITION BY slo_id) AS all_of_them FROM named)
        SELECT slo_id, epoch(ts)::BIGINT AS second FROM aiops.telemetry JOIN series USING (series_id)
        GROUP BY slo_id, ts, all_of_them HAVING count(*) = all_of_them
        """
    )
    settled: Rates = {}
    others: Rates = {}
    for name, length in WINDOWS.items():
        since = f"asked.second - {int(length.total_seconds())}"
        rows = cursor.execute(
            f"""
            SELECT slo_id, asked.second, coalesce(burn_{name}, 'NaN'),
                ({since} < {int(START.timestamp())} OR (slo_id, {since}) IN (SELECT (slo_id, second) FROM whole))
                AND ((slo_id, asked.second) IN (SELECT (slo_id, second) FROM whole)
                    OR substr(slo_id, 2)::INTEGER < {ALONE})
            FROM asked JOIN rates ON epoch(minute) = asked.second
            """
        ).fetchall()
        for slo_id, at, rate, is_settled in rows:
            (settled if is_settled else others)[slo_id, name, at] = rate
    return extrapolated, settled, others


def difference(one: float, other: float) -> float:
    """Relative above 1; a number on one side only is a difference of 1."""
    if math.isnan(one) or math.isnan(other):
        return float(math.isnan(one) != math.isnan(other))
    return abs(one - other) / max(1, abs(one))


def alert_minutes(
    cursor: duckdb.DuckDBPyConnection, server: Backfilled, found: list[Objective], days: int
) -> tuple[int, int, int]:
    """Episodes of the table, minutes in which either side fires, and minutes in which only one does."""
    end = START + timedelta(days=days)
    sums = window_sums_sql("counts", START - MINUTE, end, rule_windows(found, end))
    held = alert_minutes_sql(found, f"({sums})", end, chance=None)
    cursor.execute(f"CREATE TABLE episodes AS {alert_episodes_sql(f'({held})', literal(end))}")
    spans = [
        (int((START + timedelta(days=day)).timestamp()), int((START + timedelta(days=day + 1)).timestamp()))
        for day in map(int, incident_days(days).split(", "))
    ]
    ours: set[tuple[str, str, int]] = set()
    for first, last in spans:
        rows = cursor.execute(
            f"""
            SELECT slo_id, alert, unnest(range(greatest(epoch(fired_at)::BIGINT, {first}),
                least(coalesce(epoch(cleared_at)::BIGINT, {last} + 60), {last} + 60), 60)) FROM episodes
            """
        ).fetchall()
        ours |= {(slo_id, alert, at) for slo_id, alert, at in rows}
    theirs: set[tuple[str, str, int]] = set()
    for objective in found:
        for rule in objective.alert_rules(end):
            limit = float(rule.factor * objective.budget)
            parts = [
                f'sum(increase(proof_errors_total{{slo="{objective.slo_id}"}}[{window_name(length)}])) / '
                f'sum(increase(proof_requests_total{{slo="{objective.slo_id}"}}[{window_name(length)}])) > {limit!r}'
                for length in (rule.long, rule.short)
            ]
            for first, last in spans:
                answer = server.query_range(" and ".join(f"({part})" for part in parts), first, last)
                theirs |= {(objective.slo_id, rule.name, at) for values in answer.values() for at in values}
    (episodes,) = cursor.execute("SELECT count(*) FROM episodes").fetchall()[0]
    return episodes, len(ours | theirs), len(ours ^ theirs)


def main() -> None:
    """Make the counters, ask both, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=35)
    parser.add_argument("--random", type=int, default=100)
    chosen = parser.parse_args()
    days, started = chosen.days, time.perf_counter()
    end = START + timedelta(days=days)
    found: list[Objective] = []
    for number in range(SLOS):
        ratio = {"bad": source(f"s{number}_errors_total"), "total": source(f"s{number}_requests_total")}
        found += objectives({"ratioMetric": ratio}, name=f"s{number}", target=float(TARGETS[number % len(TARGETS)]))
    cursor = make(days)
    cursor.execute(f"CREATE TABLE counts AS {minute_counts_sql(found, START - MINUTE, end)}")
    cursor.execute(f"CREATE TABLE rates AS {burn_rates_sql(found, 'counts', START - MINUTE, end)}")
    first = int(START.timestamp())
    hours = [first + 3600 * hour for hour in range(24 * days + 1)]
    minutes = sorted(first + 60 * at for at in random.Random(11).sample(range(days * 1440), chosen.random))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counters.txt"
        write_openmetrics(cursor, "samples", path)
        with backfilled_prometheus(Path(folder), path) as server:
            theirs = theirs_at(server, found, hours, 3600) | theirs_at(server, found, minutes)
            print(f"{len(theirs):,} rates of Prometheus after {time.perf_counter() - started:.0f} s")
            episodes, firing, apart = alert_minutes(cursor, server, found, days)
    moments = sorted({*hours, *minutes})
    extrapolated, settled, others = ours_at(cursor, found, moments)
    keys = [(o.slo_id, name, at) for o in found for name in WINDOWS for at in moments]
    nothing = math.nan
    by_extrapolation = [difference(theirs.get(key, nothing), extrapolated.get(key, nothing)) for key in keys]
    by_table = [difference(theirs.get(key, nothing), rate) for key, rate in settled.items()]
    elsewhere = [difference(theirs.get(key, nothing), rate) for key, rate in others.items()]
    nulls_elsewhere = sum(math.isnan(theirs.get(key, nothing)) != math.isnan(rate) for key, rate in others.items())
    more: dict[str, Any] = {
        "moments": len(moments),
        "rates": len(theirs),
        "without_rate": len(keys) - len(theirs),
        "largest_of_extrapolated": max(by_extrapolation),
        "table_rates": len(by_table),
        "largest_of_table": max(by_table),
        "table_rates_elsewhere": len(elsewhere),
        "of_these_extrapolated_apart": sum(one > BAR for one in elsewhere),
        "null_on_one_side_elsewhere": nulls_elsewhere,
        "alert_episodes": episodes,
        "alert_minutes": firing,
        "alert_minutes_on_one_side": apart,
        "seconds": round(time.perf_counter() - started),
    }
    measured = max(*by_extrapolation, *by_table, float(nulls_elsewhere + apart))
    report("prometheus_proof", measured, BAR, 1.0, slos=SLOS, days=days, **more)


if __name__ == "__main__":
    main()
