"""Charts of AIOps tables for the UI and the report, as Altair values.

Belongs here: small queries and their charts. Does not: rendering (`metadata.py`).
"""

from __future__ import annotations

from typing import Any

from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import Publication, midnight
from cogniforge_pipeline.sqltext import literal

STATUS_COLOURS = {"healthy": "#2e7d32", "degraded": "#f9a825", "critical": "#c62828", "unknown": "#757575"}


def worst_series(cursor: Connection, published: Publication) -> Any:
    """The series with the highest score on the newest published day: its values, expected range and anomalies."""
    import altair as alt

    day = max(published.days, default=None)
    if day is None:
        return None
    found = cursor.execute(
        "WITH day AS (SELECT * FROM aiops.anomaly_scores "
        f"WHERE ts >= {literal(midnight(day))} AND ts < {literal(midnight(day))} + INTERVAL 1 DAY), "
        "worst AS (SELECT series_id FROM day WHERE is_anomaly GROUP BY ALL ORDER BY max(score) DESC LIMIT 1) "
        "SELECT s.service || ' ' || s.metric AS series, d.ts, d.value, d.expected, d.lower, d.upper, d.is_anomaly "
        "FROM day AS d JOIN worst USING (series_id) JOIN aiops.series AS s USING (series_id) ORDER BY d.ts",
    )
    names = [column[0] for column in found.description or []]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    if not rows:
        return None
    for row in rows:
        row["ts"] = row["ts"].isoformat()
    time = alt.X("ts:T", title=None)
    base = alt.Chart(alt.InlineData(rows))
    band = base.mark_area(opacity=0.25, color="#1565c0").encode(x=time, y="lower:Q", y2="upper:Q")
    line = base.mark_line(color="#1565c0", strokeWidth=1).encode(x=time, y=alt.Y("value:Q", title="value"))
    points = (
        base.transform_filter("datum.is_anomaly").mark_point(color="#c62828", filled=True).encode(x=time, y="value:Q")
    )
    return (band + line + points).properties(title=f"{rows[0]['series']}, {day}", width=640, height=220)


def health(cursor: Connection, _: Publication) -> Any:
    """Every service with its status and how many of its series are anomalous."""
    import altair as alt

    rows = cursor.execute("SELECT service, status, active_anomalies FROM aiops.service_health").fetchall()
    if not rows:
        return None
    values = [{"service": s, "status": t, "active anomalies": a} for s, t, a in rows]
    return (
        alt.Chart(alt.InlineData(values))
        .mark_bar()
        .encode(
            y=alt.Y("service:N", title=None, sort="-x"),
            x=alt.X("active anomalies:Q", axis=alt.Axis(tickMinStep=1)),
            color=alt.Color(
                "status:N",
                scale=alt.Scale(domain=list(STATUS_COLOURS), range=list(STATUS_COLOURS.values())),
            ),
        )
        .properties(width=480, title="service health")
    )


PLOTS = {"aiops.anomaly_scores": worst_series, "aiops.service_health": health}
