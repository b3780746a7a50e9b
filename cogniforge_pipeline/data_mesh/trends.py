"""Trends of quality itself: each publication's figures against the product's own history.

Belongs here: the SQL of `data_mesh.quality_trends` and the figures of its rule. Does not: the quality figures
(`contracts`), or when the table is computed (`tables.py`).

A figure is compared with the HISTORY publications before it: score = (figure - median) / scale, where scale is 1.4826
times the median absolute deviation (the standard deviation, were the history normal; Rousseeuw and Croux 1993), but never
less than the floor, because a history without any variation would make every change endless. A drop of volume or
completeness, or a rise of the error rate, of LIMIT scales or more is an anomaly; fewer than LEAST earlier publications
are too few to say so.

The volume of a table that is published by days is not judged: a day that has just begun has few rows.
"""

from __future__ import annotations

from cogniforge_pipeline.publish import MATERIALIZATIONS, QUALITY

HISTORY = 20
"""Publications before the judged one."""
LEAST = 8
"""With fewer earlier publications there is no score."""
LIMIT = 4
"""Scales from the median: with the floors at least a fifth of the rows, or one percent point of a share."""
DAYS, KEPT = 90, 500
"""Publications of so many days before the newest one of all are kept, and so many of each product."""
VOLUME_FLOOR = 0.05
"""Of the median volume; at least one row."""
SHARE_FLOOR = 0.0025


def quality_trends_sql() -> str:
    """A SELECT of `data_mesh.quality_trends`: one row for each of the last publications, see DAYS and KEPT."""
    figures = ("volume", "completeness", "error_rate")
    floors = {"volume": f"greatest({VOLUME_FLOOR} * volume_median, 1)"}
    histories = ",\n        ".join(
        f"list({_judged(name)}) FILTER ({_judged(name)} IS NOT NULL) OVER earlier AS past_{name}" for name in figures
    )
    medians = ",\n        ".join(
        f"CASE WHEN len(past_{name}) >= {LEAST} THEN list_median(past_{name}) END AS {name}_median" for name in figures
    )
    scores = ",\n        ".join(
        f"({_judged(name)} - {name}_median) / greatest(1.4826 * list_median(list_transform(past_{name}, "
        f"lambda x: abs(x - {name}_median))), {floors.get(name, SHARE_FLOOR)}) AS {name}_score"
        for name in figures
    )
    return f"""
WITH logged AS (
    SELECT q.product_id, q.timestamp, q.version, q.volume, q.completeness, q.error_rate,
        coalesce(m.mode, 'recorded') AS mode,
        row_number() OVER (PARTITION BY q.product_id ORDER BY q.timestamp DESC, q.version DESC) AS place
    FROM {QUALITY} AS q
    LEFT JOIN {MATERIALIZATIONS} AS m ON m.table_name = q.product_id AND m.version = q.version
    WHERE q.timestamp > (SELECT max(timestamp) FROM {QUALITY}) - INTERVAL {DAYS} DAY
    QUALIFY place <= {KEPT + HISTORY}
),
histories AS (
    SELECT *,
        {histories}
    FROM logged
    WINDOW earlier AS (
        PARTITION BY product_id ORDER BY timestamp, version ROWS BETWEEN {HISTORY} PRECEDING AND 1 PRECEDING
    )
),
medians AS (
    SELECT *,
        {medians}
    FROM histories
),
scored AS (
    SELECT *,
        {scores}
    FROM medians
)
SELECT product_id, timestamp, version, mode, volume, volume_median, volume_score,
    completeness, completeness_median, completeness_score, error_rate, error_rate_median, error_rate_score,
    CAST(coalesce(len(past_completeness), 0) AS INTEGER) AS history,
    len(reasons) > 0 AS is_anomaly, reasons
FROM (
    SELECT *, list_filter([
        CASE WHEN volume_score <= -{LIMIT} THEN format('{{}} rows, usually {{:.0f}}', volume, volume_median) END,
        CASE WHEN completeness_score <= -{LIMIT}
            THEN format('{{:.1f}} % complete, usually {{:.1f}} %', 100 * completeness, 100 * completeness_median) END,
        CASE WHEN error_rate_score >= {LIMIT}
            THEN format('{{:.1f}} % of the rows set aside, usually {{:.1f}} %', 100 * error_rate, 100 * error_rate_median) END
    ], lambda reason: reason IS NOT NULL) AS reasons
    FROM scored
    WHERE place <= {KEPT}
)
"""


def _judged(figure: str) -> str:
    return "CASE WHEN mode <> 'replace_days' THEN volume END" if figure == "volume" else figure
