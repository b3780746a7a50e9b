-- lookback: 1 day
-- A counter's increase is the sum of its steps: a step down is a reset, after which the counter counts from zero
-- (Prometheus, functions.go, `increase`, without its extrapolation, so that buckets add up). A step belongs to the
-- bucket of its later sample. The earlier one may lie in the day before, never further back, so that a day's rows are
-- the same whether it is computed alone or with others.
WITH samples AS (
    SELECT t.series_id, t.ts, t.value, s.kind
    FROM aiops.telemetry AS t
    JOIN aiops.series AS s USING (series_id)
    WHERE t.ts >= $day_start - INTERVAL 1 DAY AND t.ts < $day_end AND (s.kind = 'counter' OR t.ts >= $day_start)
),
steps AS (
    SELECT series_id, ts,
        CASE WHEN value < before THEN value ELSE value - before END AS step
    FROM (
        SELECT series_id, ts, value,
            CASE WHEN date_diff('day', lag(ts) OVER in_time, ts) <= 1 THEN lag(value) OVER in_time END AS before
        FROM samples
        WHERE kind = 'counter'
        WINDOW in_time AS (PARTITION BY series_id ORDER BY ts)
    )
),
increases AS (
    SELECT series_id, time_bucket(INTERVAL 5 MINUTE, ts) AS bucket, sum(step) AS increase
    FROM steps
    WHERE ts >= $day_start
    GROUP BY ALL
),
buckets AS (
    SELECT series_id, time_bucket(INTERVAL 5 MINUTE, ts) AS bucket, any_value(kind) AS kind, count(*) AS count,
        sum(value) AS sum, min(value) AS min, max(value) AS max, avg(value) AS mean,
        quantile_cont(value, [0.5, 0.95, 0.99]) AS quantiles, arg_min(value, ts) AS first, arg_max(value, ts) AS last
    FROM samples
    WHERE ts >= $day_start
    GROUP BY ALL
)
SELECT b.series_id, b.bucket AS ts, b.count, b.sum, b.min, b.max, b.mean,
    b.quantiles[1] AS p50, b.quantiles[2] AS p95, b.quantiles[3] AS p99, b.first, b.last,
    CASE b.kind WHEN 'counter' THEN i.increase WHEN 'delta' THEN b.sum END AS increase
FROM buckets AS b
LEFT JOIN increases AS i USING (series_id, bucket)
