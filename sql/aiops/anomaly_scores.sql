-- lookback: 14 days
-- What a series did at this time of day on the 14 days before tells what to expect (median) and how far it strays
-- (interquartile range, scaled to a normal's standard deviation). Where fewer than 3 such days are known, the two
-- hours before take their place. Only the past is used. A score of 1 is the alert line, 6 deviations away.
WITH known AS (
    SELECT r.series_id, r.ts, CASE WHEN s.kind = 'gauge' THEN r.mean ELSE r.increase END AS value
    FROM aiops.rollup_5m AS r
    JOIN aiops.series AS s USING (series_id)
    WHERE r.ts >= $day_start - INTERVAL 14 DAY AND r.ts < $day_end
        AND CASE WHEN s.kind = 'gauge' THEN r.mean ELSE r.increase END IS NOT NULL
),
seasonal AS (
    SELECT *, count(*) OVER days_before AS days,
        quantile_cont(value, [0.25, 0.5, 0.75]) OVER days_before AS quartiles
    FROM known
    WINDOW days_before AS (
        PARTITION BY series_id, epoch_us(ts) % 86400000000 ORDER BY ts
        RANGE BETWEEN INTERVAL 14 DAY PRECEDING AND INTERVAL 1 DAY PRECEDING
    )
),
recent AS (
    SELECT series_id, ts, count(*) OVER hours_before AS points,
        quantile_cont(value, [0.25, 0.5, 0.75]) OVER hours_before AS quartiles
    FROM known
    WHERE ts >= $day_start - INTERVAL 2 HOUR
    WINDOW hours_before AS (
        PARTITION BY series_id ORDER BY ts RANGE BETWEEN INTERVAL 2 HOUR PRECEDING AND INTERVAL 5 MINUTE PRECEDING
    )
),
expected AS (
    SELECT s.series_id, s.ts, s.value,
        CASE WHEN s.days >= 3 THEN s.quartiles WHEN r.points >= 6 THEN r.quartiles END AS quartiles
    FROM seasonal AS s
    JOIN recent AS r USING (series_id, ts)
    WHERE s.ts >= $day_start
),
bounded AS (
    SELECT series_id, ts, value, quartiles[2] AS expected,
        6 * greatest((quartiles[3] - quartiles[1]) / 1.349, 0.02 * abs(quartiles[2]), 1e-9) AS half
    FROM expected
)
SELECT series_id, ts, value, expected, expected - half AS lower, expected + half AS upper,
    coalesce(abs(value - expected) / half, 0) AS score, coalesce(abs(value - expected) > half, FALSE) AS is_anomaly
FROM bounded
