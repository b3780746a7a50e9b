"""Burn rates at chosen moments exactly as Prometheus 2.x answers them, extrapolation included.

Belongs here: PromQL's `increase` over raw samples of counters. Does not: the burn rates of the tables, which count
events and do not extrapolate (`burn_rate.py`). Use this beside a Prometheus, to see that both read the same samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from cogniforge_pipeline.maintenance import utc
from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.sre.burn_rate import WINDOWS, budgets
from cogniforge_pipeline.sre.objectives import Objective, Ratio
from cogniforge_pipeline.sre.sli_samples import chosen_sql

_MICROSECOND = timedelta(microseconds=1)


def prometheus_burn_rates_sql(
    objectives: Sequence[Objective],
    moments: Sequence[datetime],
    *,
    windows: Mapping[str, timedelta] | None = None,
    telemetry: str = "aiops.telemetry",
    series: str = "aiops.series",
) -> str:
    """A SELECT of slo_id, moment, window_name, burn_rate for each moment and window that Prometheus has a number for.

    The rate is sum(increase(bad[w])) / sum(increase(total[w])) / (1 - target), or with 1 - good / total. Of the
    objectives those whose source is a ratio of counters are taken. The range is closed, as it was before Prometheus
    3. `increase` multiplies the growth between the first and the last sample of the range by (d + s + e) / d, where d
    is the time between them, s and e the times from there to the ends of the range; one of more than 1.1 average
    steps counts as half a step, and s at most as the time since the counter would have been 0 at its mean speed.
    Raises ValueError without such objectives or without moments, and for times without a zone.
    """
    ratios = [(objective, objective.source) for objective in objectives if isinstance(objective.source, Ratio)]
    if not ratios or not moments:
        raise ValueError("expected at least one objective with a ratio, and at least one moment")
    asked = sorted(utc(moment) for moment in moments)
    windows = windows or WINDOWS
    chosen = " UNION ALL ".join(chosen_sql(objective, ratio, series) for objective, ratio in ratios)
    first, last = asked[0] - max(windows.values()), asked[-1]
    lengths = ", ".join(f"({literal(name)}, {length // _MICROSECOND})" for name, length in windows.items())
    return f"""
WITH chosen AS MATERIALIZED (SELECT * FROM ({chosen}) WHERE cumulative),
samples AS (
    SELECT series_id, epoch_us(ts) AS ts, value, lag(value) OVER (PARTITION BY series_id ORDER BY ts) AS old
    FROM {telemetry}
    WHERE ts >= {literal(first)} AND ts <= {literal(last)} AND series_id IN (SELECT series_id FROM chosen)
),
points AS MATERIALIZED (
    SELECT series_id, ts, value, row_number() OVER so_far AS place,
        sum(CASE WHEN old IS NULL THEN 0 WHEN value < old THEN value ELSE value - old END) OVER so_far AS grown
    FROM samples WINDOW so_far AS (PARTITION BY series_id ORDER BY ts ROWS UNBOUNDED PRECEDING)
),
asked AS (
    SELECT series_id, epoch_us(moment) AS until, window_name, epoch_us(moment) - length AS since
    FROM (SELECT DISTINCT series_id FROM points), (SELECT unnest({literal(asked)}) AS moment),
        (VALUES {lengths}) AS windows(window_name, length)
),
last_ones AS (
    SELECT asked.*, points.ts, points.grown, points.place
    FROM asked ASOF JOIN points ON asked.series_id = points.series_id AND asked.until >= points.ts
),
ranges AS (
    SELECT l.series_id, l.window_name, l.until, l.grown - f.grown AS growth, l.place - f.place AS steps,
        f.value AS first_value, (l.ts - f.ts) / 1e6 AS sampled, (f.ts - l.since) / 1e6 AS to_start,
        (l.until - l.ts) / 1e6 AS to_end
    FROM last_ones AS l ASOF JOIN points AS f ON l.series_id = f.series_id AND l.since <= f.ts
    WHERE l.place > f.place
),
limited AS (
    SELECT *, sampled / steps * 1.1 AS longest,
        CASE WHEN growth > 0 AND first_value >= 0 THEN least(to_start, sampled * (first_value / growth)) ELSE to_start
            END AS from_start
    FROM ranges
),
increases AS (
    SELECT series_id, window_name, until,
        growth * ((sampled + CASE WHEN from_start < longest THEN from_start ELSE sampled / steps / 2 END
            + CASE WHEN to_end < longest THEN to_end ELSE sampled / steps / 2 END) / sampled) AS increase
    FROM limited
),
sums AS (
    SELECT slo_id, window_name, until, any_value(is_good) AS is_good, sum(increase) FILTER (WHERE is_part) AS part,
        sum(increase) FILTER (WHERE is_total) AS total
    FROM increases JOIN chosen USING (series_id) GROUP BY slo_id, window_name, until
)
SELECT slo_id, to_timestamp(until / 1e6) AS moment, window_name,
    CASE WHEN is_good THEN 1 - part / total ELSE part / total END * per_budget AS burn_rate
FROM sums JOIN {budgets(objectives)} USING (slo_id) WHERE total <> 0 AND part IS NOT NULL"""
