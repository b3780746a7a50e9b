"""Error budgets: how much of what may go wrong has gone wrong, and when it will be used up.

Belongs here: the budget of a window or period from counted minutes. Does not: burn rates and alerts.

With B = 1 - target: consumed = (bad / total) / B over the window. A calendar period that is not over has seen only a
part of its events; those to come are taken to be as many per hour as those seen, so consumed is scaled by the elapsed
share of the period. As minutes, the budget is B of the period's length. The budget lasts, at the burn rate r of the
last day, for remaining * period / r (Google SRE Workbook, "Alerting on SLOs"); at r <= 1 a rolling budget never ends,
for what is spent comes back, and a calendar one lasts if that is after the period's end.

An incident is a stretch in which the service burnt its budget over 5 minutes faster than INCIDENT_RATE; stretches at
most INCIDENT_GAP minutes apart are one. It begins 5 minutes before the first such moment.

What a counter grew while no sample was taken counts in the minute of the next sample, in whichever window that is; burn
rates leave it out where their window starts within that time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from cogniforge_pipeline.maintenance import utc
from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.sre.objectives import Objective
from cogniforge_pipeline.sre.windows import Window, periods_between, window_at

INCIDENT_RATE = 6.0
"""The factor of the slower page at 30 days: 5 % of the budget in 6 hours."""
INCIDENT_GAP = 30
INCIDENTS = 5
QUARTER = timedelta(minutes=15)
RATE_AGE = timedelta(minutes=15)
"""The newest burn rates stand for a moment up to so much later, for samples of an SLO may come more rarely."""
WARNING = 0.2
"""A budget with less than this left is in warning."""


def error_budgets_sql(
    objectives: Sequence[Objective], as_of: datetime, *, minutes: str = "sre.sli_1m", rates: str = "sre.burn_rates"
) -> str:
    """A SELECT of the budget of each objective at `as_of` (taken down to the whole minute): the rows of
    `sre.error_budgets`.

    `minutes` and `rates` are relations in the columns of these tables. Raises ValueError without objectives.
    """
    as_of = utc(as_of).replace(second=0, microsecond=0)
    rows = []
    for objective in objectives:
        start, end = window_at(objective.window, as_of)
        elapsed = 1.0 if objective.window.rolling else (as_of - start) / (end - start)
        rows.append(_row(objective, start, end, elapsed, objective.window.rolling))
    if not rows:
        raise ValueError("expected at least one objective")
    return f"""
WITH slos(slo_id, service, target, budget, window_start, window_end, elapsed, rolling, unit) AS (VALUES {", ".join(rows)}),
seen AS (
    SELECT slo_id, m.ts, m.good, m.bad, m.total FROM {minutes} AS m JOIN slos AS s USING (slo_id)
    WHERE m.ts > s.window_start AND m.ts <= least(s.window_end, {literal(as_of)})
),
counted AS (
    SELECT slo_id, sum(good) AS good, greatest(sum(bad), 0) AS bad, sum(total) AS total FROM seen GROUP BY slo_id
),
fast AS (
    SELECT slo_id, r.ts, CASE WHEN r.ts > lag(r.ts) OVER (PARTITION BY slo_id ORDER BY r.ts)
        + INTERVAL {INCIDENT_GAP} MINUTE THEN 1 ELSE 0 END AS is_new
    FROM {rates} AS r JOIN slos AS s USING (slo_id)
    WHERE r.burn_5m > {INCIDENT_RATE} AND r.ts > s.window_start AND r.ts <= least(s.window_end, {literal(as_of)})
),
stretches AS (
    SELECT slo_id, min(ts) - INTERVAL 5 MINUTE AS started_at, max(ts) AS ended_at FROM (
        SELECT slo_id, ts, sum(is_new) OVER (PARTITION BY slo_id ORDER BY ts) AS stretch FROM fast
    ) GROUP BY slo_id, stretch
),
costs AS (
    SELECT t.slo_id, t.started_at, t.ended_at, sum(m.bad) AS bad FROM stretches AS t
    JOIN seen AS m ON m.slo_id = t.slo_id AND m.ts > t.started_at AND m.ts <= t.ended_at GROUP BY ALL
),
incidents AS (
    SELECT c.slo_id, list({{'started_at': c.started_at, 'ended_at': c.ended_at, 'bad': c.bad,
        'share': c.bad / n.total / s.budget * s.elapsed}} ORDER BY c.bad DESC, c.started_at)[:{INCIDENTS}] AS incidents
    FROM costs AS c JOIN counted AS n USING (slo_id) JOIN slos AS s USING (slo_id) WHERE n.total > 0 GROUP BY ALL
),
newest AS (
    SELECT slo_id, max(ts) AS ts, arg_max({{'burn_1h': burn_1h, 'burn_1d': burn_1d}}, ts) AS rate FROM {rates}
    WHERE ts > {literal(as_of - RATE_AGE)} AND ts <= {literal(as_of)} GROUP BY slo_id
),
measured AS (
    SELECT s.*, n.good, n.bad, n.total, n.good / nullif(n.total, 0) AS sli, i.incidents, r.rate.burn_1h, r.rate.burn_1d,
        n.bad / nullif(n.total, 0) / s.budget * s.elapsed AS consumed, date_diff('second', window_start, window_end)
            / 60.0 AS minutes
    FROM slos AS s LEFT JOIN counted AS n USING (slo_id) LEFT JOIN incidents AS i USING (slo_id)
    LEFT JOIN newest AS r USING (slo_id)
),
lasting AS (
    SELECT *, CASE WHEN burn_1d > 0 AND consumed < 1 AND (NOT rolling OR burn_1d > 1)
        AND (1 - consumed) * minutes / burn_1d < 5e6 THEN {literal(as_of)}
        + to_seconds((1 - consumed) * minutes * 60 / burn_1d) END AS ends
    FROM measured
)
SELECT {literal(as_of)} AS as_of, slo_id, service, window_start, window_end, target, budget,
    coalesce(good, 0) AS good, coalesce(bad, 0) AS bad, coalesce(total, 0) AS total, sli,
    total * budget / elapsed AS budget_events, total * budget / elapsed - bad AS remaining_events,
    minutes * budget AS budget_minutes, consumed * minutes * budget AS consumed_minutes,
    (1 - consumed) * minutes * budget AS remaining_minutes, consumed, 1 - consumed AS remaining, burn_1h, burn_1d,
    CASE WHEN rolling OR ends < window_end THEN ends END AS exhaustion_at,
    CASE WHEN consumed IS NULL THEN 'no_data' WHEN consumed >= 1 THEN 'exhausted'
        WHEN consumed > 1 - {WARNING} THEN 'warning' ELSE 'ok' END AS status,
    coalesce(incidents, []) AS incidents
FROM lasting"""


def slo_reports_sql(
    objectives: Sequence[Objective], first: Mapping[str, datetime], as_of: datetime, *, quarters: str = "sre.sli_15m"
) -> str:
    """A SELECT of each objective's calendar periods with a moment in (first, as_of]: the rows of `sre.slo_reports`.

    `first` holds a moment for each `slo_id`; an objective without one has the period of `as_of` alone.
    `as_of` is taken down to the quarter of an hour, for what is counted ends with one. The periods are those of a window
    that is aligned to the calendar and at least a day long, else calendar months of the window's zone. `quarters` is a
    relation in the columns of `sre.sli_15m`. Raises ValueError without objectives.
    """
    as_of = utc(as_of) - (utc(as_of) - datetime(1970, 1, 1, tzinfo=UTC)) % QUARTER
    rows = [
        _row(objective, start, end, min(1.0, (as_of - start) / (end - start)), objective.window.rolling)
        for objective in objectives
        for start, end in periods_between(
            report_window(objective.window), min(first.get(objective.slo_id, as_of), as_of - QUARTER), as_of
        )
    ]
    if not rows:
        raise ValueError("expected at least one objective")
    return f"""
WITH periods(slo_id, service, target, budget, period_start, period_end, elapsed, rolling, unit) AS (
    VALUES {", ".join(rows)}
),
counted AS (
    SELECT slo_id, period_start, sum(good) AS good, greatest(sum(bad), 0) AS bad, sum(total) AS total,
        sum(minutes) * any_value(p.unit) AS minutes
    FROM {quarters} AS q JOIN periods AS p USING (slo_id)
    WHERE q.ts > p.period_start AND q.ts <= least(p.period_end, {literal(as_of)}) GROUP BY ALL
)
SELECT slo_id, service, period_start, period_end, period_end <= {literal(as_of)} AS is_complete, target,
    coalesce(good, 0) AS good, coalesce(bad, 0) AS bad, coalesce(total, 0) AS total, good / nullif(total, 0) AS sli,
    good / nullif(total, 0) >= target AS is_met, bad / nullif(total, 0) / budget * elapsed AS consumed,
    date_diff('second', period_start, period_end) / 60.0 * budget AS budget_minutes,
    bad / nullif(total, 0) * elapsed * date_diff('second', period_start, period_end) / 60.0 AS consumed_minutes,
    coalesce(minutes, 0)::INTEGER AS measured_minutes,
    least(coalesce(minutes, 0) / (date_diff('second', period_start, period_end) / 60.0 * elapsed), 1) AS coverage
FROM periods LEFT JOIN counted USING (slo_id, period_start)"""


def report_window(window: Window) -> Window:
    """What an objective with this window reports on."""
    return window if not window.rolling and window.nominal >= timedelta(days=1) else Window.aligned("1M", window.zone)


def _row(objective: Objective, start: datetime, end: datetime, elapsed: float, rolling: bool) -> str:
    values: list[str | float | datetime] = [
        objective.slo_id,
        objective.service,
        float(objective.target),
        float(objective.budget),
        start,
        end,
        elapsed,
        rolling,
        (objective.slice_seconds or 60) // 60,
    ]
    return f"({', '.join(map(literal, values))})"
