-- lookback: 1 days
-- Quarters of an hour, (ts - 15 min, ts]: every calendar period of every time zone in use starts on one.
SELECT slo_id, time_bucket(INTERVAL 15 MINUTE, ts - INTERVAL 1 MINUTE) + INTERVAL 15 MINUTE AS ts, sum(good) AS good,
    sum(bad) AS bad, sum(total) AS total, count(*)::INTEGER AS minutes
FROM sre.sli_1m
WHERE ts > $day_start - INTERVAL 15 MINUTE AND ts <= $day_end - INTERVAL 15 MINUTE
GROUP BY ALL
