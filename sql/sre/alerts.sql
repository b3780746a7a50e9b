-- Minutes at which a rule held, joined to episodes: only a minute without a row ends one. A rule that changed in between
-- does not: what it was when it fired stands in the row. Spending is burn rate * time / period: over the long window
-- before the alert fired, then what its own minutes burnt. Nothing is claimed about minutes after the newest measured one.
WITH known AS (
    SELECT least($as_of, max(ts)) AS until
    FROM sre.sli_1m
    WHERE ts <= $as_of
),
numbered AS (
    SELECT *, epoch_us(ts) // 60000000 AS minute,
        epoch_us(ts) // 60000000 - row_number() OVER (PARTITION BY slo_id, alert ORDER BY ts) AS island
    FROM sre.alert_minutes
    WHERE ts <= (SELECT until FROM known)
),
framed AS (
    SELECT *, min(minute) OVER one + arg_min(hold_minutes, minute) OVER one AS fired
    FROM numbered
    WINDOW one AS (PARTITION BY slo_id, alert, island)
),
episodes AS (
    SELECT slo_id, alert, fired, max(minute) AS until, max(long_rate) AS peak_burn_rate,
        arg_min(severity, minute) AS severity, arg_min(long_window, minute) AS long_window,
        arg_min(short_window, minute) AS short_window, arg_min(factor, minute) AS factor,
        arg_min(per_budget, minute) AS per_budget, arg_min(period_minutes, minute) AS period_minutes,
        arg_min(long_rate * long_minutes, minute) AS spent,
        sum(bad) FILTER (minute > fired) / nullif(sum(total) FILTER (minute > fired), 0) AS bad_share
    FROM framed
    WHERE minute >= fired
    GROUP BY slo_id, alert, island, fired
)
SELECT e.slo_id, s.service, e.alert, e.severity, e.long_window, e.short_window, e.factor,
    to_timestamp(e.fired * 60) AS fired_at,
    CASE WHEN (e.until + 1) * 60 <= epoch(known.until) THEN to_timestamp((e.until + 1) * 60) END AS cleared_at,
    e.peak_burn_rate, e.spent / e.period_minutes AS budget_spent_at_fire,
    (e.spent + coalesce(e.bad_share, 0) * e.per_budget * (e.until - e.fired)) / e.period_minutes AS budget_spent
FROM episodes AS e CROSS JOIN known
JOIN sre.slos AS s USING (slo_id)
