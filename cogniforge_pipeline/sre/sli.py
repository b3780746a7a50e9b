"""Good, bad and total events of objectives, minute by minute: what budgets and burn rates are made of.

Belongs here: methods (occurrences, time slices), composites and maintenance over what `sli_samples.py` counts. Does
not: windows of time (`burn_rate.py`).

Minutes hold (minute - 1 min, minute] and stand at their end. A minute that nothing was measured in has no row, one
without traffic has total 0. `bad` = total - good; where a source counts a good event a minute before its total, a
minute's `bad` is below 0 and the next one's is larger by the same. Where a raw ratio was outside 0 to 1, `good` and
`bad` are NaN, for no such sample says what was good; so are the slice and the composite that it is in. `gaps` is
explained in `sli_samples.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cogniforge_pipeline.maintenance import maintenance_between, utc
from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.sre.objectives import Objective, Ratio, Raw, RecordedRows, SqlQuery, Threshold
from cogniforge_pipeline.sre.sli_samples import (
    GAP_TYPE,
    query_sql,
    ratio_sql,
    raw_sql,
    recorded_sql,
    threshold_sql,
)

REACH = timedelta(days=1)
"""How far before the first minute samples are looked for, unless told otherwise."""
AGE_REACH = timedelta(days=7)
"""The same for the age of the newest sample: a feed that died so long ago is taken to be given up."""


def minute_counts_sql(
    objectives: Sequence[Objective],
    start: datetime,
    end: datetime,
    *,
    reach: timedelta = REACH,
    telemetry: str = "aiops.telemetry",
    series: str = "aiops.series",
    recorded: str = "sre.sli_records",
) -> str:
    """A SELECT of the events of all computable objectives in (start, end], both taken down to whole minutes.

    Columns: slo_id VARCHAR, minute TIMESTAMPTZ, good, bad, total DOUBLE, gaps
    STRUCT(since TIMESTAMPTZ, bad DOUBLE, total DOUBLE)[]. Members of a composite have to be among the objectives.
    The relations are SQL names or subqueries: samples (ts, series_id, value), series as `aiops.series`, and
    recorded (slo_id, ts, measured_value, compliant). Samples up to `reach` before `start` say how a counter grew
    over a gap, those up to AGE_REACH how old the newest one is.

    Occurrences count events. Timeslices and RatioTimeslices give one event for each whole slice with traffic, at
    the slice's end (slices are counted from 1970): good or bad by its ratio of good, or that ratio itself.
    Minutes within maintenance have no events. Raises ValueError for times without a zone.
    """
    start, end = (utc(moment).replace(second=0, microsecond=0) for moment in (start, end))
    computable = [objective for objective in objectives if objective.not_computable is None]
    sources = [objective for objective in computable if not objective.members]
    first = start - timedelta(seconds=max((objective.slice_seconds or 0 for objective in computable), default=0))
    selects = _source_selects(sources, first, end, first - reach, telemetry, series, recorded)
    if not selects:
        return _nothing()
    rows = " UNION ALL ".join(f"({select})" for select in selects)
    return f"""
WITH events AS (
    SELECT slo_id, minute, good, total, gaps FROM ({rows}) AS counted WHERE true{_maintenance(sources, first, end)}
),
slos(slo_id, method, slice, target_numerator, target_denominator) AS (VALUES {", ".join(map(_slo_row, computable))}),
slices AS (
    SELECT slo_id, method, (minute + slice - 1) // slice * slice AS minute, sum(good) / sum(total) AS ratio,
        sum(good) * any_value(target_denominator) >= sum(total) * any_value(target_numerator) AS met
    FROM events JOIN slos USING (slo_id) WHERE slice IS NOT NULL GROUP BY ALL HAVING sum(total) > 0
),
single AS (
    SELECT slo_id, minute, good, total, gaps FROM events JOIN slos USING (slo_id) WHERE slice IS NULL
    UNION ALL BY NAME
    SELECT slo_id, minute, CASE WHEN method = 'RatioTimeslices' OR isnan(ratio) THEN ratio WHEN met THEN 1.0
        ELSE 0.0 END AS good, 1.0 AS total FROM slices
){_composites(computable)},
whole AS (SELECT * FROM single{" UNION ALL SELECT * FROM composite" if _has_members(computable) else ""})
SELECT slo_id, to_timestamp(minute * 60) AS minute, good, total - good AS bad, total,
    list_transform(gaps, lambda g: {{'since': to_timestamp(g.since * 60), 'bad': g.total - g.good, 'total': g.total}})
        AS gaps
FROM whole WHERE minute > {_minute(start)} AND minute <= {_minute(end)}"""


def _source_selects(
    objectives: Sequence[Objective],
    start: datetime,
    end: datetime,
    reach_start: datetime,
    telemetry: str,
    series: str,
    recorded: str,
) -> list[str]:
    ratios = [(objective, objective.source) for objective in objectives if isinstance(objective.source, Ratio)]
    selects = []
    if ratios:
        selects.append(ratio_sql(ratios, start, end, reach_start=reach_start, telemetry=telemetry, series=series))
    for objective in objectives:
        slo_id = objective.slo_id
        match objective.source:
            case Raw() as raw:
                selects.append(raw_sql(slo_id, raw, start, end, telemetry=telemetry, series=series))
            case Threshold() as threshold:
                oldest = start - AGE_REACH
                selects.append(
                    threshold_sql(slo_id, threshold, start, end, reach_start=oldest, telemetry=telemetry, series=series)
                )
            case SqlQuery() as query:
                selects.append(query_sql(slo_id, query, start, end))
            case RecordedRows() as rows:
                selects.append(recorded_sql(objective, rows, start, end, recorded=recorded))
    return selects


def _maintenance(objectives: Sequence[Objective], start: datetime, end: datetime) -> str:
    """Conditions that leave out the minutes that have a moment of maintenance in them."""
    spans = [
        f"({literal(objective.slo_id)}, {_minute(first)}, {_minute(last, up=True)})"
        for objective in objectives
        for first, last in maintenance_between(objective.maintenance, start, end)
    ]
    if not spans:
        return ""
    return (
        f" AND NOT EXISTS (FROM (VALUES {', '.join(spans)}) AS m(slo_id, first, last) "
        "WHERE m.slo_id = counted.slo_id AND counted.minute > m.first AND counted.minute <= m.last)"
    )


def _slo_row(objective: Objective) -> str:
    slice_minutes = None if objective.slice_seconds is None else objective.slice_seconds // 60
    target = objective.slice_target
    parts = (None, None) if target is None else (float(target.numerator), float(target.denominator))
    return (
        f"({literal(objective.slo_id)}, {literal(objective.method)}, CAST({literal(slice_minutes)} AS BIGINT), "
        f"CAST({literal(parts[0])} AS DOUBLE), CAST({literal(parts[1])} AS DOUBLE))"
    )


def _has_members(objectives: Sequence[Objective]) -> bool:
    return any(objective.members for objective in objectives)


def _composites(objectives: Sequence[Objective]) -> str:
    """A relation `composite` of weighted events; a slice is bad if any member's is, a ratio is the weighted mean."""
    if not _has_members(objectives):
        return ""
    members = ", ".join(
        f"({literal(objective.slo_id)}, {literal(objective.method)}, {literal(member.slo_id)}, "
        f"{literal(float(member.weight))})"
        for objective in objectives
        for member in objective.members
    )
    return f""",
members(composite_id, method, slo_id, weight) AS (VALUES {members}),
composite AS (
    SELECT composite_id AS slo_id, minute,
        CASE any_value(method) WHEN 'Occurrences' THEN sum(weight * good) WHEN 'Timeslices' THEN
            CASE WHEN min(good) = 0 THEN 0 ELSE max(good) END ELSE sum(weight * good) / sum(weight) END AS good,
        CASE any_value(method) WHEN 'Occurrences' THEN sum(weight * total) ELSE 1.0 END AS total,
        flatten(list(list_transform(gaps, lambda g:
            {{'since': g.since, 'good': g.good * weight, 'total': g.total * weight}})) FILTER (WHERE gaps IS NOT NULL)
        ) AS gaps
    FROM single JOIN members USING (slo_id) GROUP BY composite_id, minute
)"""


def _minute(moment: datetime, up: bool = False) -> str:
    """Minutes since 1970, as an SQL number: down to the whole minute, or up."""
    seconds = int(utc(moment).timestamp() // 1)
    return str(-(-seconds // 60) if up else seconds // 60)


def _nothing() -> str:
    gaps = GAP_TYPE.replace("since BIGINT, good", "since TIMESTAMPTZ, bad")
    return (
        "SELECT NULL::VARCHAR AS slo_id, NULL::TIMESTAMPTZ AS minute, NULL::DOUBLE AS good, NULL::DOUBLE AS bad, "
        f"NULL::DOUBLE AS total, NULL::{gaps} AS gaps WHERE false"
    )
