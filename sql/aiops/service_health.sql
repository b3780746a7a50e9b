-- One row for each service at `as_of`. A series is anomalous when it was so in at least 3 of its last 6 buckets, so that
-- one strange reading does not make a service ill. Only buckets that have ended by then count: of the running one less
-- is known now than will be when the same moment is asked again, and the part of a counter's increase looks like a drop.
WITH recent AS (
    SELECT s.service, a.series_id, s.metric, count_if(a.is_anomaly) AS anomalous, max(a.score) AS score
    FROM aiops.anomaly_scores AS a
    JOIN aiops.series AS s USING (series_id)
    WHERE a.ts > $as_of - INTERVAL 35 MINUTE AND a.ts <= $as_of - INTERVAL 5 MINUTE
    GROUP BY ALL
),
seen AS (
    SELECT s.service, count(DISTINCT r.series_id) AS series, max(r.ts) AS last_seen
    FROM aiops.rollup_5m AS r
    JOIN aiops.series AS s USING (series_id)
    WHERE r.ts > $as_of - INTERVAL 1 DAY AND r.ts <= $as_of - INTERVAL 5 MINUTE
    GROUP BY ALL
),
judged AS (
    SELECT service, count_if(anomalous >= 3) AS active, max(score) FILTER (anomalous >= 3) AS worst_score,
        arg_max(metric, score) FILTER (anomalous >= 3) AS worst_metric
    FROM recent
    GROUP BY ALL
),
services AS (
    SELECT DISTINCT service
    FROM aiops.series
)
SELECT $as_of AS as_of, v.service,
    CASE
        WHEN n.last_seen IS NULL OR n.last_seen <= $as_of - INTERVAL 35 MINUTE THEN 'unknown'
        WHEN j.active >= 3 OR j.worst_score >= 3 THEN 'critical'
        WHEN j.active >= 1 THEN 'degraded'
        ELSE 'healthy'
    END AS status,
    coalesce(j.active, 0) AS active_anomalies, j.worst_metric, j.worst_score, n.last_seen,
    coalesce(n.series, 0) AS series,
    CASE
        WHEN n.last_seen IS NULL THEN 'no whole five minutes of telemetry in the day before'
        WHEN n.last_seen <= $as_of - INTERVAL 35 MINUTE THEN 'silent since ' || strftime(n.last_seen, '%Y-%m-%d %H:%M UTC')
        WHEN j.active >= 1 THEN
            j.active || ' of ' || n.series || ' series anomalous, the worst is ' || j.worst_metric || ' at '
            || round(j.worst_score, 1) || ' times the alert line'
        ELSE 'all series as expected'
    END AS reason
FROM services AS v
LEFT JOIN judged AS j USING (service)
LEFT JOIN seen AS n USING (service)
