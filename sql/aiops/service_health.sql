-- One row for each service at `as_of`: its open anomalies that have weight, its burn-rate alerts and budgets, and which of
-- the services that it depends on are at fault. Anomalies tell only of what had ended by then (see `aiops.anomalies`).
WITH RECURSIVE topology AS (
    SELECT json_extract_string(service, '$.name') AS service,
        from_json(coalesce(json_extract(service, '$.depends_on'), '[]'), '["VARCHAR"]') AS depends_on
    FROM (
        SELECT unnest(from_json(json_extract(spec, '$.services'), '["JSON"]')) AS service
        FROM platform.declarations
        WHERE kind = 'topology' AND withdrawn_at IS NULL
    )
),
calls AS (
    SELECT service, unnest(depends_on) AS other
    FROM topology
),
reached AS (
    SELECT service, other
    FROM calls
    UNION
    SELECT r.service, c.other
    FROM reached AS r
    JOIN calls AS c ON c.service = r.other
),
active AS (
    SELECT service, count(*) AS active, count_if(severity <> 'info') AS heavy, bool_or(severity = 'critical') AS critical,
        max(peak_score) AS worst_score, first(metric ORDER BY peak_score DESC, metric) AS worst_metric,
        first(reason ORDER BY peak_score DESC, metric) AS worst, min(incident_id) AS incident_id
    FROM aiops.anomalies
    WHERE status IN ('open', 'closed') AND (severity <> 'info' OR incident_id IS NOT NULL)
        AND started_at < $as_of AND coalesce(ended_at > $as_of - INTERVAL 45 MINUTE, TRUE)
    GROUP BY service
),
seen AS (
    SELECT s.service, count(DISTINCT r.series_id) AS series, max(r.ts) AS last_seen
    FROM aiops.rollup_5m AS r
    JOIN aiops.series AS s USING (series_id)
    WHERE r.ts > $as_of - INTERVAL 1 DAY AND r.ts <= $as_of - INTERVAL 5 MINUTE
    GROUP BY ALL
),
firing AS (
    SELECT service, count(*) AS alerts, bool_or(severity = 'page') AS page
    FROM sre.alerts
    WHERE fired_at <= $as_of AND coalesce(cleared_at > $as_of, TRUE)
    GROUP BY service
),
budgets AS (
    SELECT service, first(status ORDER BY list_position(['exhausted', 'warning', 'ok'], status), slo_id) AS worst_budget
    FROM sre.error_budgets
    WHERE status <> 'no_data'
    GROUP BY service
),
faults AS (
    SELECT r.service, list(r.other ORDER BY a.worst_score DESC, r.other) AS at_fault
    FROM reached AS r
    JOIN active AS a ON a.service = r.other
    WHERE r.other <> r.service
    GROUP BY r.service
),
services AS (
    SELECT DISTINCT service
    FROM aiops.series
)
SELECT $as_of AS as_of, v.service,
    CASE
        WHEN n.last_seen IS NULL OR n.last_seen <= $as_of - INTERVAL 35 MINUTE THEN 'unknown'
        WHEN a.critical OR a.heavy >= 3 OR f.page THEN 'critical'
        WHEN a.active >= 1 OR f.alerts >= 1 THEN 'degraded'
        ELSE 'healthy'
    END AS status,
    coalesce(a.active, 0) AS active_anomalies, a.worst_metric, a.worst_score, n.last_seen,
    coalesce(n.series, 0) AS series, a.incident_id, coalesce(f.alerts, 0) AS slo_alerts, b.worst_budget AS slo_budget,
    coalesce(d.at_fault, []) AS dependencies_at_fault,
    CASE
        WHEN n.last_seen IS NULL THEN 'no whole five minutes of telemetry in the day before'
        WHEN n.last_seen <= $as_of - INTERVAL 35 MINUTE THEN 'silent since ' || strftime(n.last_seen, '%Y-%m-%d %H:%M UTC')
        WHEN a.active IS NULL AND f.alerts IS NULL THEN 'all series as expected'
        ELSE concat_ws(
            '; ',
            a.active || CASE a.active WHEN 1 THEN ' anomaly' ELSE ' anomalies' END || ', the worst: ' || a.worst,
            f.alerts || CASE f.alerts WHEN 1 THEN ' burn-rate alert fires' ELSE ' burn-rate alerts fire' END,
            'it depends on ' || array_to_string(d.at_fault, ', ') || ', also at fault'
        )
    END AS reason
FROM services AS v
LEFT JOIN active AS a USING (service)
LEFT JOIN seen AS n USING (service)
LEFT JOIN firing AS f USING (service)
LEFT JOIN budgets AS b USING (service)
LEFT JOIN faults AS d USING (service)
