-- Every point with its series' names beside it: the friendly face of aiops.telemetry.
SELECT t.ts, s.service, s.metric, s.labels, t.value, s.unit, s.kind, s.metric_type, t.series_id
FROM aiops.telemetry AS t
JOIN aiops.series AS s USING (series_id)
