"""Samples to events: SQL text for each kind of source, one row per SLO and minute.

Belongs here: what a sample counts as. Does not: slices, composites, maintenance (`sli.py`), windows (`burn_rate.py`).

Each function gives a SELECT of `slo_id, minute, good, total, gaps`. `minute` is a BIGINT, minutes since 1970, and holds
what happened in (minute - 1, minute]. A minute without a sample has no row; one with samples but no events has total 0.

A counter's growth between two samples is the later value minus the earlier one, or the later value itself after a
reset, as Prometheus' `increase` counts it, but without extrapolation: so minutes add up to what the counter grew.
It belongs to the minute of the later sample; the first sample of a series is where counting starts and has no events.
Where the earlier sample is older than the minute's own start, nobody knows in which minute the growth happened. It is
counted in `good` and `total`, and again in `gaps`: `since` is the first whole minute after the earlier sample. A window
that starts at one of the minutes from `since` to before `minute` must leave it out, as Prometheus does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.sre.objectives import Objective, Ratio, Raw, RecordedRows, SqlQuery, Threshold
from cogniforge_pipeline.sre.openslo_common import Comparison
from cogniforge_pipeline.sre.selectors import Selector

GAP_TYPE = "STRUCT(since BIGINT, good DOUBLE, total DOUBLE)[]"

_OPERATORS: dict[Comparison, str] = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_NO_GAPS = f"CAST(NULL AS {GAP_TYPE})"


def minute_of(ts: str) -> str:
    """The minute that a moment belongs to, where `ts` is an SQL expression: 12:00:00 to 12:00, 12:00:01 to 12:01."""
    return f"((epoch_us({ts}) + 59999999) // 60000000)"


def ratio_sql(
    objectives: Sequence[tuple[Objective, Ratio]],
    start: datetime,
    end: datetime,
    *,
    reach_start: datetime,
    telemetry: str,
    series: str,
) -> str:
    """Events of ratios, the samples read once for all of them. Growth is known back to samples at `reach_start`.

    Series of kind `delta`, and all where the ratio's `counter` is false, hold counts by themselves. After a gap longer
    than from `reach_start` to `start` a series starts anew, so that a day's rows do not depend on how many days are
    computed with it.
    """
    reach = (start - reach_start) // timedelta(microseconds=1)
    chosen = " UNION ALL ".join(chosen_sql(objective, ratio, series) for objective, ratio in objectives)
    return f"""
WITH chosen AS MATERIALIZED (
    SELECT slo_id, dense_rank() OVER (ORDER BY slo_id) AS slo, series_id, cumulative,
        CAST(CASE WHEN is_good THEN 0 ELSE is_total::TINYINT END
            + CASE WHEN is_good THEN is_part::TINYINT ELSE -is_part::TINYINT END AS DOUBLE) AS in_good,
        CAST(is_total AS DOUBLE) AS in_total
    FROM ({chosen})
),
samples AS (
    SELECT series_id, ts, value, lag(ts) OVER one AS before, lag(value) OVER one AS old
    FROM {telemetry}
    WHERE ts > {literal(reach_start)} AND ts <= {literal(end)} AND series_id IN (SELECT series_id FROM chosen)
    WINDOW one AS (PARTITION BY series_id ORDER BY ts)
),
grown AS (
    SELECT series_id, {minute_of("ts")} AS minute, value,
        CASE WHEN old IS NULL OR epoch_us(ts) - epoch_us(before) > {reach} THEN 0
            WHEN value < old THEN value ELSE value - old END AS growth,
        CASE WHEN epoch_us(ts) - epoch_us(before) <= {reach} THEN epoch_us(before) // 60000000 + 1 END AS since
    FROM samples WHERE ts > {literal(start)}
),
parts AS MATERIALIZED (
    SELECT slo, minute, CASE WHEN cumulative AND since < minute THEN since END AS since,
        sum(in_good * CASE WHEN cumulative THEN growth ELSE value END) AS good,
        sum(in_total * CASE WHEN cumulative THEN growth ELSE value END) AS total
    FROM grown JOIN chosen USING (series_id)
    GROUP BY ALL
),
-- few minutes end a gap, so that lists are made for these alone
late AS (
    SELECT slo, minute, sum(good) AS good, sum(total) AS total,
        list_sort(list({{'since': since, 'good': good, 'total': total}}) FILTER (good <> 0 OR total <> 0)) AS gaps
    FROM parts WHERE since IS NOT NULL GROUP BY slo, minute
)
SELECT slo_id, minute, coalesce(p.good, 0) + coalesce(late.good, 0) AS good,
    coalesce(p.total, 0) + coalesce(late.total, 0) AS total, gaps
FROM (FROM parts WHERE since IS NULL) AS p FULL JOIN late USING (slo, minute)
    JOIN (SELECT DISTINCT slo, slo_id FROM chosen) USING (slo)"""


def chosen_sql(objective: Objective, ratio: Ratio, series: str) -> str:
    """A ratio's series: slo_id, series_id, is_part (of `good` where is_good, else of `bad`), is_total, cumulative."""
    part = ratio.good if ratio.good is not None else ratio.bad
    assert part is not None
    is_part, is_total = part.condition(), ratio.total.condition()
    return (
        f"SELECT {literal(objective.slo_id)} AS slo_id, series_id, {literal(ratio.good is not None)} AS is_good, "
        f"{is_part} AS is_part, {is_total} AS is_total, {literal(ratio.counter)} AND kind <> 'delta' AS cumulative "
        f"FROM {series} WHERE {is_part} OR {is_total}"
    )


def raw_sql(slo_id: str, raw: Raw, start: datetime, end: datetime, *, telemetry: str, series: str) -> str:
    """Each sample is the share of one event that was good, or bad. A value outside 0 to 1 makes `good` NaN."""
    share = "CASE WHEN value BETWEEN 0 AND 1 THEN value ELSE 'NaN'::DOUBLE END"
    good = share if raw.success else f"1 - {share}"
    return _sampled(slo_id, good, raw.selector, start, end, telemetry, series)


def threshold_sql(
    slo_id: str,
    threshold: Threshold,
    start: datetime,
    end: datetime,
    *,
    reach_start: datetime,
    telemetry: str,
    series: str,
) -> str:
    """Each sample, or each whole minute of an age, is one event; good where it compares so with the threshold.

    An age is known for as long after a sample as from `reach_start` to `start`, whether samples go on or not.
    """
    reach = (start - reach_start) // timedelta(minutes=1)
    compared = f"{_OPERATORS[threshold.op]} {literal(float(threshold.value))}"
    if threshold.measure == "value":
        good = f"CASE WHEN value {compared} THEN 1 ELSE 0 END"
        return _sampled(slo_id, good, threshold.selector, start, end, telemetry, series)
    newest = "epoch(ts)" if threshold.measure == "age" else "value"
    return f"""
SELECT {literal(slo_id)} AS slo_id, minute, CASE WHEN minute * 60 - newest {compared} THEN 1.0 ELSE 0.0 END AS good,
    1.0 AS total, {_NO_GAPS} AS gaps
FROM (
    SELECT unnest(range(epoch_us({literal(start)}) // 60000000 + 1, epoch_us({literal(end)}) // 60000000 + 1)) AS minute
) AS minutes
ASOF JOIN (
    SELECT {minute_of("ts")} AS seen, arg_max({newest}, ts) AS newest FROM {telemetry}
    WHERE ts > {literal(reach_start)} AND ts <= {literal(end)} AND {_among(threshold.selector, series)} GROUP BY seen
) AS samples ON minutes.minute >= samples.seen WHERE minute - seen <= {reach}"""


def query_sql(slo_id: str, source: SqlQuery, start: datetime, end: datetime) -> str:
    """The rows of a user's SELECT; its `ts` is cast to TIMESTAMPTZ, `good` and `total` to DOUBLE."""
    return f"""
SELECT {literal(slo_id)} AS slo_id, {minute_of("moment")} AS minute, sum(good) AS good, sum(total) AS total,
    {_NO_GAPS} AS gaps
FROM (
    SELECT CAST(ts AS TIMESTAMPTZ) AS moment, CAST(good AS DOUBLE) AS good, CAST(total AS DOUBLE) AS total
    FROM ({source.query.strip().rstrip(";")}
    )
) WHERE moment > {literal(start)} AND moment <= {literal(end)} AND total IS NOT NULL GROUP BY minute"""


def recorded_sql(objective: Objective, source: RecordedRows, start: datetime, end: datetime, *, recorded: str) -> str:
    """Rows of `recorded` (slo_id, ts, measured_value in percent, compliant): each is one event."""
    good = "measured_value / 100" if source.measure == "percent" else "CASE WHEN compliant THEN 1 ELSE 0 END"
    return f"""
SELECT {literal(objective.slo_id)} AS slo_id, {minute_of("ts")} AS minute, sum(CAST({good} AS DOUBLE)) AS good,
    CAST(count(*) AS DOUBLE) AS total, {_NO_GAPS} AS gaps
FROM {recorded}
WHERE slo_id = {literal(objective.slo_name)} AND ts > {literal(start)} AND ts <= {literal(end)} GROUP BY minute"""


def _sampled(
    slo_id: str, good: str, selector: Selector, start: datetime, end: datetime, telemetry: str, series: str
) -> str:
    return f"""
SELECT {literal(slo_id)} AS slo_id, {minute_of("ts")} AS minute, sum(CAST({good} AS DOUBLE)) AS good,
    CAST(count(*) AS DOUBLE) AS total, {_NO_GAPS} AS gaps
FROM {telemetry}
WHERE ts > {literal(start)} AND ts <= {literal(end)} AND {_among(selector, series)} GROUP BY minute"""


def _among(selector: Selector, series: str) -> str:
    return f"series_id IN (SELECT series_id FROM {series} WHERE {selector.condition()})"
