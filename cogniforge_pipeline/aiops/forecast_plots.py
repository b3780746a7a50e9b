"""Charts of forecasts and capacity for the UI and the report, as Altair values. Times are UTC.

Belongs here: small queries and their charts. Does not: rendering (`outcomes.py`).
"""

from __future__ import annotations

from typing import Any

from cogniforge_pipeline.charts import AMBER, BLUE, GREEN, GREY, RED, WIDTH, chart_rows
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import Publication

SHOWN = 6
"""So many series at most."""


def fans(cursor: Connection, _: Publication) -> Any:
    """The last two days and the forecast of one series for each type of metric, the one with the widest relative bounds."""
    import altair as alt

    rows = chart_rows(
        cursor,
        "WITH ranked AS ("
        "SELECT f.series_id, any_value(s.metric_type) AS metric_type, any_value(s.kind) AS kind, any_value(f.made_at) AS made_at, "
        "any_value(s.service || ' ' || s.metric) AS series, avg(f.hi80 - f.lo80) / nullif(avg(abs(f.mean)), 0) AS width "
        "FROM aiops.forecasts AS f JOIN aiops.series AS s USING (series_id) WHERE f.step = '1h' GROUP BY f.series_id), "
        "shown AS (SELECT * FROM ranked QUALIFY row_number() OVER (PARTITION BY metric_type ORDER BY width DESC NULLS LAST, "
        f"series_id) = 1 ORDER BY metric_type LIMIT {SHOWN}) "
        "SELECT w.series, f.ts, f.mean, f.lo80, f.hi80, f.lo95, f.hi95, NULL AS value FROM aiops.forecasts AS f "
        "JOIN shown AS w USING (series_id) WHERE f.step = '1h' UNION ALL "
        "SELECT any_value(w.series), time_bucket(INTERVAL 1 HOUR, r.ts) AS hour, NULL, NULL, NULL, NULL, NULL, "
        "CASE WHEN any_value(w.kind) = 'gauge' THEN sum(r.sum) / sum(r.count) ELSE sum(r.increase) / 3600 END "
        "FROM aiops.rollup_5m AS r JOIN shown AS w USING (series_id) WHERE r.ts >= w.made_at - INTERVAL 2 DAY "
        "AND r.ts < w.made_at GROUP BY r.series_id, hour ORDER BY series, ts",
    )
    if not rows:
        return None
    data = alt.InlineData(rows)
    time = alt.X("ts:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(format="%d %b %H:%M", tickCount=5))
    base = alt.Chart(data)
    layers = [
        base.mark_area(opacity=0.15, color=BLUE).encode(x=time, y=alt.Y("lo95:Q", title=None), y2="hi95:Q"),
        base.mark_area(opacity=0.3, color=BLUE).encode(x=time, y="lo80:Q", y2="hi80:Q"),
        base.mark_line(color=BLUE, strokeWidth=1.5).encode(x=time, y="mean:Q"),
        base.mark_line(color=GREY, strokeWidth=1.2).encode(x=time, y="value:Q"),
    ]
    return (
        alt.layer(*layers, data=data)
        .properties(width=WIDTH // 2 - 40, height=120)
        .facet(facet=alt.Facet("series:N", title=None), columns=2)
        .resolve_scale(y="independent")
        .properties(
            title=alt.TitleParams("Forecasts", subtitle="the last two days, what is expected, bounds of 80 % and 95 %")
        )
    )


def capacity(cursor: Connection, _: Publication) -> Any:
    """How busy the units of each resource will be at the design load, now and as planned, the tightest first."""
    import altair as alt

    rows = chart_rows(
        cursor,
        "SELECT service || ' ' || resource AS name, utilisation_now, utilisation_planned, units_now, units_needed, "
        "hours_to_exhaustion, CASE WHEN hours_to_exhaustion IS NOT NULL THEN 'runs out' WHEN units_needed > units_now "
        "THEN 'too few' ELSE 'enough' END AS state FROM aiops.capacity_plans ORDER BY utilisation_now DESC, name LIMIT 20",
    )
    if not rows:
        return None
    base = alt.Chart(alt.InlineData(rows)).encode(
        y=alt.Y("name:N", title=None, sort=[row["name"] for row in rows], axis=alt.Axis(labelLimit=300))
    )
    bars = base.mark_bar().encode(
        x=alt.X("utilisation_now:Q", title="units busy at the design load", axis=alt.Axis(format="%")),
        color=alt.Color(
            "state:N",
            title=None,
            scale=alt.Scale(domain=["enough", "too few", "runs out"], range=[GREEN, AMBER, RED]),
            legend=alt.Legend(orient="bottom"),
        ),
    )
    planned = base.mark_tick(color=BLUE, thickness=2).encode(x="utilisation_planned:Q")
    whole = alt.Chart(alt.InlineData([{}])).mark_rule(color=RED, strokeDash=[4, 3]).encode(x=alt.datum(1))
    return (bars + planned + whole).properties(
        width=WIDTH - 160, title=alt.TitleParams("Capacity", subtitle="bars: with the units of now; ticks: as planned")
    )


PLOTS = {"aiops.forecasts": fans, "aiops.capacity_plans": capacity}
