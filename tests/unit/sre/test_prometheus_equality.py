"""Burn rates and alerts beside a real Prometheus over the same counters: 3 SLOs, 2 days, resets, gaps, no traffic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest

from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.sre.burn_alerts import alert_episodes_sql, alert_minutes_sql, rule_windows
from cogniforge_pipeline.sre.burn_rate import WINDOWS, burn_rates_sql, window_sums_sql
from cogniforge_pipeline.sre.objectives import Objective
from cogniforge_pipeline.sre.prometheus_rates import prometheus_burn_rates_sql
from cogniforge_pipeline.sre.sli import minute_counts_sql
from tests.support.prometheus_backfill import INSTALLED, Backfilled, backfilled_prometheus, write_openmetrics
from tests.support.sre_counts import START, minute, objectives, source, telemetry

pytestmark = pytest.mark.skipif(not INSTALLED, reason="Prometheus and promtool are not installed")

MINUTES = 2 * 1440
END = minute(MINUTES)
BEFORE = minute(-1)
TARGETS = {"busy": 0.999, "quiet": 0.99, "pair": 0.995}
# instance: events a minute, share of bad ones, gaps, resets, seconds after the minute
INSTANCES: dict[str, tuple[float, float, list[range], list[int], int]] = {
    "busy:1": (100, 0.002, [range(300, 340), range(1500, 1502), range(2000, 2300)], [100, 320, 1000, 2500], 0),
    "quiet:1": (0.02, 0.2, [range(600, 700)], [650, 1700], 0),
    "pair:1": (20, 0.01, [range(400, 500)], [450, 900], 17),
    "pair:2": (20, 0.03, [range(430, 520), range(1200, 1201)], [1300], 17),
}


def counters() -> dict[str, list[tuple[float, float]]]:
    """Series as `<slo>_requests:<instance>`, with an incident of an hour in `busy`."""
    random = np.random.default_rng(7)
    made: dict[str, list[tuple[float, float]]] = {}
    for name, (rate, share, gaps, resets, late) in INSTANCES.items():
        slo, instance = name.split(":")
        requests = made.setdefault(f"{slo}_requests_total:{instance}", [])
        errors = made.setdefault(f"{slo}_errors_total:{instance}", [])
        total = bad = 0
        for at in range(MINUTES + 1):
            if at in resets:
                total = bad = 0
            if at:  # a counter starts at 0
                more = int(random.poisson(rate))
                total += more
                bad += int(random.binomial(more, 0.04 if slo == "busy" and 1800 <= at < 1860 else share))
            if not any(at in gap for gap in gaps):
                requests.append((at + late / 60, total))
                errors.append((at + late / 60, bad))
    return made


class Beside:
    """The same counters in DuckDB and in Prometheus."""

    def __init__(self, cursor: Any, server: Backfilled, found: tuple[Objective, ...]) -> None:
        self.cursor, self.server, self.objectives = cursor, server, found
        self.theirs = cache(self.theirs)  # type: ignore[method-assign]

    def theirs(self, slo_id: str, window: str) -> dict[datetime, float]:
        """Prometheus' burn rate at each minute where it has a number."""
        bad, total = (f"sum(increase({slo_id}_{part}_total[{window}]))" for part in ("errors", "requests"))
        budget = float(1 - next(o for o in self.objectives if o.slo_id == slo_id).target)
        answer = self.server.query_range(f"{bad} / {total}", int(START.timestamp()), int(END.timestamp()))
        values = answer.get((), {})
        return {minute((at - START.timestamp()) / 60): v / budget for at, v in values.items() if not math.isnan(v)}


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    cursor = telemetry(counters())
    cursor.execute(
        "CREATE VIEW samples AS SELECT metric, 'instance=\"' || labels['instance'] || '\"' AS labels, ts, "
        "CAST(value AS BIGINT) AS value FROM aiops.telemetry JOIN aiops.series USING (series_id)"
    )
    found: tuple[Objective, ...] = ()
    for name, target in TARGETS.items():
        ratio = {"bad": source(f"{name}_errors_total"), "total": source(f"{name}_requests_total")}
        found += objectives({"ratioMetric": ratio}, name=name, target=target)
    cursor.execute(f"CREATE TABLE counts AS {minute_counts_sql(found, BEFORE, END)}")
    cursor.execute(f"CREATE TABLE rates AS {burn_rates_sql(found, 'counts', BEFORE, END)}")
    folder = tmp_path_factory.mktemp("prometheus")
    write_openmetrics(cursor, "samples", folder / "counters.txt")
    with backfilled_prometheus(folder, folder / "counters.txt") as server:
        yield Beside(cursor, server, found)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("slo_id", ["busy", "quiet"])
def test_rates_at_every_minute_equal_prometheus(beside: Beside, slo_id: str, window: str) -> None:
    rows = beside.cursor.execute(f"SELECT minute, burn_{window} FROM rates WHERE slo_id = '{slo_id}'").fetchall()
    ours = {at: rate for at, rate in rows if rate is not None}
    theirs = beside.theirs(slo_id, window)
    assert len(rows) == MINUTES + 1
    assert ours.keys() == theirs.keys()
    assert {at: rate for at, rate in ours.items() if rate != pytest.approx(theirs[at], rel=1e-9, abs=1e-9)} == {}
    assert any(ours.values())


@pytest.mark.parametrize("window", WINDOWS)
def test_instances_with_gaps_of_their_own_have_rates_where_prometheus_has(beside: Beside, window: str) -> None:
    rows = beside.cursor.execute(f"SELECT minute, burn_{window} FROM rates WHERE slo_id = 'pair'").fetchall()
    ours = {at: rate for at, rate in rows if rate is not None}
    theirs = beside.theirs("pair", window)
    assert ours.keys() == theirs.keys()
    # from minute 1500 on both instances are always there, so that extrapolation is the same for all series
    length = WINDOWS[window]
    settled = {at: rate for at, rate in ours.items() if at - length >= minute(1500)}
    assert {at: rate for at, rate in settled.items() if rate != pytest.approx(theirs[at], rel=1e-9, abs=1e-9)} == {}


@pytest.mark.parametrize("window", WINDOWS)
def test_extrapolated_rates_equal_prometheus_at_all_edges(beside: Beside, window: str) -> None:
    moments = [minute(at) for at in range(0, MINUTES, 7)]
    sql = prometheus_burn_rates_sql(beside.objectives, moments, windows={window: WINDOWS[window]})
    rows = beside.cursor.execute(f"SELECT slo_id, moment, burn_rate FROM ({sql})").fetchall()
    for slo_id in TARGETS:
        ours = {at: rate for name, at, rate in rows if name == slo_id}
        theirs = {at: rate for at, rate in beside.theirs(slo_id, window).items() if at in set(moments)}
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)


def test_alerts_fire_and_clear_in_the_same_minutes(beside: Beside) -> None:
    sums = window_sums_sql("counts", BEFORE, END, rule_windows(beside.objectives, END))
    beside.cursor.execute(f"CREATE OR REPLACE TABLE sums AS {sums}")
    held = alert_minutes_sql(beside.objectives, "sums", END, chance=None)
    sql = alert_episodes_sql(f"({held})", literal(END))
    rows = beside.cursor.execute(f"SELECT slo_id, alert, fired_at, cleared_at FROM ({sql})").fetchall()
    assert {(slo_id, alert) for slo_id, alert, *_ in rows} >= {("busy", "page-1h"), ("pair", "ticket-1d")}
    for objective in beside.objectives:
        if objective.slo_id == "pair":
            continue
        for rule in objective.alert_rules(END):
            long, short = (
                beside.theirs(objective.slo_id, next(name for name, length in WINDOWS.items() if length == wanted))
                for wanted in (rule.long, rule.short)
            )
            factor = float(rule.factor)
            theirs = {at for at in long.keys() & short.keys() if long[at] > factor and short[at] > factor}
            ours: set[datetime] = set()
            for slo_id, alert, fired, cleared in rows:
                if (slo_id, alert) == (objective.slo_id, rule.name):
                    after = cleared or END + timedelta(minutes=1)
                    ours |= {fired + timedelta(minutes=n) for n in range((after - fired) // timedelta(minutes=1))}
            assert ours == theirs, (objective.slo_id, rule.name)
