-- lookback: 0 days
SELECT s.service, time_bucket(INTERVAL 1 DAY, r.ts) AS day, sum(r.increase) AS requests,
    coalesce(sum(r.increase) FILTER (s.labels['code'] LIKE '5%'), 0) AS failed
FROM aiops.rollup_5m AS r
JOIN aiops.series AS s USING (series_id)
WHERE s.metric = 'requests_total' AND r.ts >= $day_start AND r.ts < $day_end AND r.increase IS NOT NULL
GROUP BY ALL
