"""Burn rates over many windows at every minute, from the events of minutes.

Belongs here: sums over windows and the rates. Does not: how events are counted (`sli.py`), alerts (`burn_alerts.py`).

burn rate = (bad / total) / (1 - target) over (t - w, t] (Google SRE Workbook, "Alerting on SLOs"). NULL where the
window has no events: within a gap, or without traffic.

For counters the sums are what Prometheus' `increase` gives before it extrapolates, series by series: the growth
between the first sample at or after t - w and the last one at or before t. In the ratio Prometheus' extrapolation
cancels out where all series of an SLO have their samples at the same moments, unless it is cut short because a
counter would fall below 0: that needs a window that starts where there is no sample, short after a counter was 0.

Events are added as whole numbers of millionths, so that sums and comparisons are exact: whole counts stay exact, a
fraction is rounded to 6 places. More than 9.2e12 events of an SLO in the time read stop the query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from cogniforge_pipeline.maintenance import utc
from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.sre.objectives import Objective

WINDOWS: Mapping[str, timedelta] = {
    "5m": timedelta(minutes=5),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "2h": timedelta(hours=2),
    "6h": timedelta(hours=6),
    "1d": timedelta(days=1),
    "3d": timedelta(days=3),
    "30d": timedelta(days=30),
}
"""The windows of the burn-rate table, by the end of their columns' names."""

SCALE = 1_000_000
"""What sums are counted in: millionths of an event."""

_BLOCK = 16
"""Grids start and end at multiples of it: DuckDB adds up frames from its trees of 16, several times faster so."""


def window_name(length: timedelta) -> str:
    """How columns name a window: 5m, 1h, 3d. Raises ValueError unless it is a whole number of minutes above 0."""
    minutes = _minutes(length)
    for size, unit in ((1440, "d"), (60, "h")):
        if minutes % size == 0:
            return f"{minutes // size}{unit}"
    return f"{minutes}m"


def window_sums_sql(counts: str, start: datetime, end: datetime, windows: Mapping[str, timedelta] | None = None) -> str:
    """A SELECT of the sums over each window at every minute in (start, end], both taken down to whole minutes.

    `counts` is the SQL name of a relation with the columns that `minute_counts_sql` gives (or a subquery); it has
    to hold the longest window before `start`. Columns: slo_id; minute BIGINT, minutes since 1970; bad, total of the
    minute itself; and bad_<w>, total_<w> for each window, `bad` below 0 as 0. All are BIGINT millionths of events.
    An SLO has rows from its first minute on. Raises ValueError for a window that is no whole number of minutes.
    """
    lengths = {name: _minutes(length) for name, length in (windows or WINDOWS).items()}
    longest, shortest = max(lengths.values()), min(lengths.values())
    first, last = _minute(start), _minute(end)
    lags = ",\n        ".join(
        f"lag({part}_base, {length}, 0) OVER by_minute AS {part}_{length}"
        for length in sorted(set(lengths.values()))
        for part in ("bad", "total")
    )
    # a gap longer than the window hides both ends of it: what the start left out was never in
    held = ", ".join(
        f"CAST(sum({part}) FILTER (WHERE minute >= since + {length}) AS BIGINT) AS {part}_{length}"
        for length in sorted(set(lengths.values()))
        for part in ("bad", "total")
    )
    sums = ",\n    ".join(
        f"greatest({_unless_held('bad', length)}, 0) AS bad_{name}, {_unless_held('total', length)} AS total_{name}"
        for name, length in lengths.items()
    )
    return f"""
WITH kept AS MATERIALIZED (
    SELECT slo_id, epoch_us(minute) // 60000000 AS minute, {_millionths("bad")} AS bad, {_millionths("total")} AS total,
        gaps
    FROM {counts}
    WHERE minute > to_timestamp({(first - longest) * 60}) AND minute <= to_timestamp({last * 60})
),
numbered AS MATERIALIZED (
    SELECT slo_id, row_number() OVER () AS slo, seen FROM (SELECT slo_id, min(minute) AS seen FROM kept GROUP BY slo_id)
),
gaps AS MATERIALIZED (
    SELECT slo, minute AS until, greatest(epoch_us(gap.since) // 60000000, {first - longest}) AS since,
        {_millionths("gap.bad")} AS bad, {_millionths("gap.total")} AS total
    FROM (SELECT slo_id, minute, unnest(gaps) AS gap FROM kept WHERE gaps IS NOT NULL) JOIN numbered USING (slo_id)
),
crossing AS (
    SELECT slo, minute, CAST(sum(bad) AS BIGINT) AS bad, CAST(sum(total) AS BIGINT) AS total
    FROM (SELECT slo, unnest(range(since, until)) AS minute, bad, total FROM gaps) GROUP BY slo, minute
),
held AS (
    SELECT slo, minute, {held}
    FROM (SELECT slo, since, unnest(range(since + {shortest}, until)) AS minute, bad, total FROM gaps)
    GROUP BY slo, minute
),
slos AS MATERIALIZED (
    SELECT slo, slo_id, least(seen, since) AS first
    FROM numbered LEFT JOIN (SELECT slo, min(since) AS since FROM gaps GROUP BY slo) USING (slo)
),
grid AS (
    SELECT slo, unnest(range(first // {_BLOCK} * {_BLOCK}, {(last // _BLOCK + 1) * _BLOCK})) AS minute FROM slos
),
summed AS (
    SELECT grid.slo, grid.minute, coalesce(e.bad, 0) AS bad, coalesce(e.total, 0) AS total,
        CAST(sum(e.bad) OVER so_far AS BIGINT) AS bad_all, CAST(sum(e.total) OVER so_far AS BIGINT) AS total_all
    FROM grid LEFT JOIN (SELECT slo, minute, bad, total FROM kept JOIN slos USING (slo_id)) AS e USING (slo, minute)
    WINDOW so_far AS (PARTITION BY grid.slo ORDER BY grid.minute ROWS UNBOUNDED PRECEDING)
),
based AS (
    SELECT slo, minute, s.bad, s.total, coalesce(bad_all, 0) AS bad_all, coalesce(total_all, 0) AS total_all,
        coalesce(bad_all, 0) + coalesce(c.bad, 0) AS bad_base, coalesce(total_all, 0) + coalesce(c.total, 0) AS total_base
    FROM summed AS s LEFT JOIN crossing AS c USING (slo, minute)
),
lagged AS (
    SELECT slo, minute, bad, total, bad_all, total_all,
        {lags}
    FROM based WINDOW by_minute AS (PARTITION BY slo ORDER BY minute)
)
SELECT slo_id, minute, g.bad, g.total,
    {sums}
FROM lagged AS g LEFT JOIN held AS h USING (slo, minute) JOIN slos USING (slo)
WHERE minute > {first} AND minute >= first AND minute <= {last}"""


def burn_rates_sql(
    objectives: Sequence[Objective],
    counts: str,
    start: datetime,
    end: datetime,
    windows: Mapping[str, timedelta] | None = None,
) -> str:
    """A SELECT of slo_id, minute TIMESTAMPTZ and burn_<w> DOUBLE for each window, for every minute in (start, end].

    `counts` as for `window_sums_sql`. A rate is NULL where its window has no events. Raises ValueError without
    objectives.
    """
    windows = windows or WINDOWS
    rates = ",\n    ".join(
        f"CASE WHEN total_{name} > 0 THEN bad_{name} / total_{name} * slos.per_budget END AS burn_{name}"
        for name in windows
    )
    return f"""
SELECT slo_id, to_timestamp(minute * 60) AS minute,
    {rates}
FROM ({window_sums_sql(counts, start, end, windows)}) AS sums JOIN {budgets(objectives)} USING (slo_id)"""


def budgets(objectives: Sequence[Objective]) -> str:
    """A relation `slos` of slo_id and per_budget, 1 / (1 - target). Raises ValueError without objectives."""
    if not objectives:
        raise ValueError("expected at least one objective")
    rows = ", ".join(f"({literal(o.slo_id)}, {literal(float(1 / o.budget))})" for o in objectives)
    return f"(VALUES {rows}) AS slos(slo_id, per_budget)"


def _millionths(column: str) -> str:
    return f"CAST(round({column} * {SCALE}) AS BIGINT)"


def _unless_held(part: str, length: int) -> str:
    grown = f"{part}_all - g.{part}_{length}"
    return f"CASE WHEN h.slo IS NULL THEN {grown} ELSE {grown} + coalesce(h.{part}_{length}, 0) END"


def _minutes(length: timedelta) -> int:
    minutes, rest = divmod(length, timedelta(minutes=1))
    if rest or minutes < 1:
        raise ValueError(f"expected a window of whole minutes, got {length}")
    return minutes


def _minute(moment: datetime) -> int:
    return int(utc(moment).timestamp() // 60)
