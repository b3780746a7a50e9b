"""Charts of AIOps tables for the UI and the report, as Altair values. Times are UTC.

Belongs here: small queries and their charts. Does not: rendering (`outcomes.py`).
"""

from __future__ import annotations

from typing import Any

from cogniforge_pipeline.charts import AMBER, BLUE, RED, WIDTH, chart_rows
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import Publication, midnight
from cogniforge_pipeline.sqltext import literal

WEEKS = 4


def worst_series(cursor: Connection, published: Publication) -> Any:
    """The series with the highest score on the newest published day: its values, bounds, episodes and alerts."""
    import altair as alt

    day = max(published.days, default=None)
    if day is None:
        return None
    start = literal(midnight(day))
    rows = chart_rows(
        cursor,
        f"WITH day AS (SELECT * FROM aiops.anomaly_scores WHERE ts >= {start} AND ts < {start} + INTERVAL 1 DAY), "
        "worst AS (SELECT series_id FROM day GROUP BY ALL ORDER BY max(score) DESC, series_id LIMIT 1) "
        "SELECT s.service || ' ' || s.metric AS series, d.ts, d.value, d.expected, d.lower, d.upper, d.is_anomaly, "
        "d.kind, d.kind IS NOT NULL AS strange, d.ts + INTERVAL 5 MINUTE AS done "
        "FROM day AS d JOIN worst USING (series_id) JOIN aiops.series AS s USING (series_id) ORDER BY d.ts",
    )
    if not rows:
        return None
    time = alt.X("ts:T", title="UTC", scale=alt.Scale(type="utc"), axis=alt.Axis(format="%H:%M"))
    base = alt.Chart(alt.InlineData(rows))
    strange = base.transform_filter("datum.strange").mark_rect(color=AMBER, opacity=0.35).encode(x=time, x2="done:T")
    band = base.mark_area(opacity=0.25, color=BLUE).encode(x=time, y="lower:Q", y2="upper:Q")
    line = base.mark_line(color=BLUE, strokeWidth=1).encode(x=time, y=alt.Y("value:Q", title="value, expected range"))
    points = base.transform_filter("datum.is_anomaly").mark_point(color=RED, filled=True).encode(x=time, y="value:Q")
    return (strange + band + line + points).properties(
        title=f"{rows[0]['series']}, the highest score of {day}", width=WIDTH, height=220
    )


def timeline(cursor: Connection, _: Publication) -> Any:
    """The incidents of the last WEEKS weeks: a bar from the first anomaly to the last for each service, by incident."""
    import altair as alt

    rows = chart_rows(
        cursor,
        "WITH newest AS (SELECT max(coalesce(ended_at, peak_at)) AS moment FROM aiops.anomalies) "
        "SELECT a.service, i.title, i.severity, min(a.started_at) AS started, "
        "max(coalesce(a.ended_at, greatest(n.moment, a.started_at + INTERVAL 5 MINUTE))) AS ended, max(a.peak_score) AS score "
        "FROM aiops.anomalies AS a JOIN aiops.incidents AS i USING (incident_id) CROSS JOIN newest AS n "
        f"WHERE a.started_at > n.moment - INTERVAL {WEEKS * 7} DAY GROUP BY ALL ORDER BY started, a.service",
    )
    if not rows:
        return None
    return (
        alt.Chart(alt.InlineData(rows))
        .mark_rule(strokeWidth=8, strokeCap="square")
        .encode(
            x=alt.X("started:T", title="UTC", scale=alt.Scale(type="utc")),
            x2="ended:T",
            y=alt.Y("service:N", title=None, axis=alt.Axis(labelLimit=200)),
            color=alt.Color(
                "severity:N",
                scale=alt.Scale(domain=["warning", "critical"], range=[AMBER, RED]),
                legend=alt.Legend(orient="bottom"),
            ),
            tooltip=["title:N", "started:T", "ended:T", "score:Q"],
        )
        .properties(width=WIDTH - 100, title=f"Incidents of {WEEKS} weeks, by the services that show them")
    )


def health(cursor: Connection, _: Publication) -> Any:
    """How many values of each service were anomalous in each hour of the day before `as_of`, and its status."""
    import altair as alt

    services = chart_rows(cursor, "SELECT service, status, as_of FROM aiops.service_health")
    if not services:
        return None
    as_of = literal(services[0]["as_of"])
    found = chart_rows(
        cursor,
        "SELECT s.service, time_bucket(INTERVAL 1 HOUR, a.ts) AS hour, count_if(a.kind IS NOT NULL) AS anomalous "
        "FROM aiops.anomaly_scores AS a JOIN aiops.series AS s USING (series_id) "
        f"WHERE a.ts > {as_of}::TIMESTAMPTZ - INTERVAL 1 DAY AND a.ts <= {as_of}::TIMESTAMPTZ GROUP BY ALL",
    )
    if not found:
        return None
    names = {row["service"]: f"{row['service']} ({row['status']})" for row in services}
    rows = [{**row, "service": names[row["service"]]} for row in found if row["service"] in names]
    return (
        alt.Chart(alt.InlineData(rows))
        .mark_rect(stroke="white")
        .encode(
            x=alt.X("utcyearmonthdatehours(hour):O", title="hour, UTC", axis=alt.Axis(format="%H", labelAngle=0)),
            y=alt.Y("service:N", title=None, axis=alt.Axis(labelLimit=300)),
            color=alt.Color(
                "anomalous:Q",
                title="anomalous values",
                scale=alt.Scale(range=["#e8f5e9", "#f9a825", RED], domainMin=0, domainMax=_top(rows)),
                legend=alt.Legend(orient="bottom", tickMinStep=1),
            ),
        )
        .properties(width=WIDTH - 100, title=f"Service health as of {services[0]['as_of'][:16].replace('T', ' ')} UTC")
    )


def _top(rows: list[dict[str, Any]]) -> int:
    """The end of the colour scale: an hour with one strange reading must not look like an outage."""
    return max(12, *(int(row["anomalous"]) for row in rows))


PLOTS = {
    "aiops.anomaly_scores": worst_series,
    "aiops.incidents": timeline,
    "aiops.service_health": health,
}
