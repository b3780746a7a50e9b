-- lookback: 14 days
-- What a series did at this time of day on the 14 days before tells what to expect (median) and how far it strays
-- (interquartile range, scaled to a normal's standard deviation). Where fewer than 3 such days are known, the two
-- hours before take their place. Only the past is used. A score of 1 is the alert line, 6 deviations away.
WITH known AS (
    SELECT r.series_id, r.ts, epoch_us(r.ts) // 86400000000 AS day, epoch_us(r.ts) % 86400000000 AS time_of_day,
        CASE WHEN s.kind = 'gauge' THEN r.mean ELSE r.increase END AS value
    FROM aiops.rollup_5m AS r
    JOIN aiops.series AS s USING (series_id)
    WHERE r.ts >= $day_start - INTERVAL 14 DAY AND r.ts < $day_end
        AND CASE WHEN s.kind = 'gauge' THEN r.mean ELSE r.increase END IS NOT NULL
),
seasonal AS (
    SELECT t.series_id, t.ts, count(*) AS days, quantile_cont(k.value, [0.25, 0.5, 0.75]) AS quartiles
    FROM known AS t
    JOIN known AS k ON k.series_id = t.series_id AND k.time_of_day = t.time_of_day
        AND k.day BETWEEN t.day - 14 AND t.day - 1
    WHERE t.ts >= $day_start
    GROUP BY t.series_id, t.ts
),
recent AS (
    SELECT series_id, ts, value, count(*) OVER hours_before AS points,
        quantile_cont(value, [0.25, 0.5, 0.75]) OVER hours_before AS quartiles
    FROM known
    WHERE ts >= $day_start - INTERVAL 2 HOUR
    WINDOW hours_before AS (
        PARTITION BY series_id ORDER BY ts RANGE BETWEEN INTERVAL 2 HOUR PRECEDING AND INTERVAL 5 MINUTE PRECEDING
    )
),
expected AS (
    SELECT r.series_id, r.ts, r.value,
        CASE WHEN s.days >= 3 THEN s.quartiles WHEN r.points >= 6 THEN r.quartiles END AS quartiles
    FROM recent AS r
    LEFT JOIN seasonal AS s USING (series_id, ts)
    WHERE r.ts >= $day_start
),
bounded AS (
    SELECT series_id, ts, value, quartiles[2] AS expected,
        6 * greatest((quartiles[3] - quartiles[1]) / 1.349, 0.02 * abs(quartiles[2]), 1e-9) AS half
    FROM expected
)
SELECT series_id, ts, value, expected, expected - half AS lower, expected + half AS upper,
    coalesce(abs(value - expected) / half, 0) AS score, coalesce(abs(value - expected) > half, FALSE) AS is_anomaly
FROM bounded
