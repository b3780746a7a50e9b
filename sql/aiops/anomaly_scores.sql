-- lookback: 14 days
-- What a series did at this time of day on the 14 days before tells what to expect (median) and how far it strays
-- (median absolute deviation, scaled to a normal's standard deviation). Where fewer than 3 such days are known, the two
-- hours before take their place. Only the past is used. A score of 1 is the alert line, 6 deviations away.
WITH readings AS (
    SELECT r.series_id, r.ts,
        CASE WHEN s.kind = 'gauge' THEN r.mean ELSE r.increase END AS value
    FROM aiops.rollup_5m AS r
    JOIN aiops.series AS s USING (series_id)
    WHERE r.ts >= $day_start - INTERVAL 14 DAY AND r.ts < $day_end
),
known AS (
    SELECT series_id, ts, value
    FROM readings
    WHERE value IS NOT NULL
),
today AS (
    SELECT *
    FROM known
    WHERE ts >= $day_start
),
past AS (
    SELECT t.series_id, t.ts, count(*) AS days, median(k.value) AS middle, mad(k.value) AS spread
    FROM today AS t
    JOIN (SELECT unnest(range(1, 15)) AS ago) AS d ON TRUE
    JOIN known AS k ON k.series_id = t.series_id AND k.ts = t.ts - to_days(d.ago::INTEGER)
    GROUP BY ALL
),
recent AS (
    SELECT series_id, ts,
        count(*) OVER earlier AS points, median(value) OVER earlier AS middle, mad(value) OVER earlier AS spread
    FROM known
    WHERE ts >= $day_start - INTERVAL 2 HOUR
    WINDOW earlier AS (
        PARTITION BY series_id ORDER BY ts RANGE BETWEEN INTERVAL 2 HOUR PRECEDING AND INTERVAL 5 MINUTE PRECEDING
    )
),
expected AS (
    SELECT t.series_id, t.ts, t.value,
        CASE WHEN p.days >= 3 THEN p.middle WHEN r.points >= 6 THEN r.middle END AS expected,
        CASE WHEN p.days >= 3 THEN p.spread WHEN r.points >= 6 THEN r.spread END AS spread
    FROM today AS t
    LEFT JOIN past AS p USING (series_id, ts)
    LEFT JOIN recent AS r USING (series_id, ts)
),
bounded AS (
    SELECT *, 6 * greatest(1.4826 * spread, 0.02 * abs(expected), 1e-9) AS half
    FROM expected
)
SELECT series_id, ts, value, expected, expected - half AS lower, expected + half AS upper,
    coalesce(abs(value - expected) / half, 0) AS score, coalesce(abs(value - expected) > half, FALSE) AS is_anomaly
FROM bounded
