"""Charts of the mesh's tables for the UI and the report, as Altair values.

Belongs here: small queries and their charts. Does not: rendering (`outcomes.py`).
"""

from __future__ import annotations

from typing import Any

from cogniforge_pipeline.charts import AMBER, BLUE, GREY, RED, WIDTH, chart_rows
from cogniforge_pipeline.data_mesh.tables import SLA, TRENDS
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import QUALITY, Publication

SHOWN = 50
"""So many publications of a product at most, the last ones."""


def quality(cursor: Connection, _: Publication) -> Any:
    """Rows and error rate of each product's last publications."""
    import altair as alt

    rows = cursor.execute(
        f"SELECT product_id, volume, error_rate FROM {QUALITY} "
        "QUALIFY row_number() OVER (PARTITION BY product_id ORDER BY version DESC) = 1 ORDER BY product_id"
    ).fetchall()
    if not rows:
        return None
    values = [{"product": p, "rows": v, "error rate": e} for p, v, e in rows]
    base = alt.Chart(alt.InlineData(values))
    product = alt.Y("product:N", title=None, axis=alt.Axis(labelLimit=300))
    scale = alt.Scale(type="symlog", domainMin=0)
    counts = [0, 10, 1_000, 100_000, 10_000_000]
    ticks = alt.Axis(values=counts, labelExpr="format(datum.value, ',')", title="rows")
    volume = base.mark_bar(color=BLUE).encode(y=product, x=alt.X("rows:Q", scale=scale, axis=ticks))
    share = alt.Axis(format="~%", tickCount=4, title="share of the rows")
    errors = base.mark_bar(color=RED).encode(
        y=alt.Y("product:N", title=None, axis=None),
        x=alt.X("error rate:Q", axis=share, scale=alt.Scale(domainMin=0, domainMax=_top(values))),
    )
    return volume.properties(width=260, title="Published last") | errors.properties(width=200, title="Set aside")


def _top(values: list[dict[str, Any]]) -> float:
    return max(0.0001, *(float(value["error rate"] or 0) for value in values))


def breaches(cursor: Connection, _: Publication) -> Any:
    """When each product broke a promise in the last thirty days."""
    import altair as alt

    rows = chart_rows(
        cursor,
        "SELECT product_id, sla, breach.started_at AS started_at, coalesce(breach.ended_at, as_of) AS ended_at FROM ("
        f"SELECT product_id, sla, as_of, unnest(breaches) AS breach FROM {SLA} WHERE sla <> 'availability') ORDER BY ALL",
    )
    if not rows:
        return None
    time = alt.X(
        "started_at:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(format="%d %b %H:%M", tickCount=6)
    )
    colors = alt.Scale(domain=["freshness", "error_rate"], range=[AMBER, RED])
    return (
        alt.Chart(alt.InlineData(rows))
        .mark_bar(height=9)
        .encode(
            x=time,
            x2="ended_at:T",
            y=alt.Y("product_id:N", title=None, axis=alt.Axis(labelLimit=300)),
            color=alt.Color("sla:N", title=None, scale=colors, legend=alt.Legend(orient="bottom")),
        )
        .properties(width=WIDTH, title="Broken promises")
    )


def trends(cursor: Connection, _: Publication) -> Any:
    """How far the volume of each publication was from the product's usual one; anomalies are marked."""
    import altair as alt

    rows = chart_rows(
        cursor,
        f"SELECT product_id, timestamp, volume_score, is_anomaly FROM {TRENDS} WHERE volume_score IS NOT NULL "
        f"QUALIFY row_number() OVER (PARTITION BY product_id ORDER BY timestamp DESC) <= {SHOWN} ORDER BY ALL",
    )
    if not rows:
        return None
    time = alt.X(
        "timestamp:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(format="%d %b %H:%M", tickCount=6)
    )
    colors = alt.Scale(domain=[False, True], range=[GREY, RED])
    return (
        alt.Chart(alt.InlineData(rows))
        .mark_circle(size=30)
        .encode(
            x=time,
            y=alt.Y("volume_score:Q", title="scales from the median", scale=alt.Scale(type="symlog")),
            color=alt.Color("is_anomaly:N", title="anomaly", scale=colors, legend=alt.Legend(orient="bottom")),
            tooltip=["product_id:N", "timestamp:T", "volume_score:Q"],
        )
        .properties(width=WIDTH, height=220, title="Volumes against the usual one")
    )


PLOTS = {QUALITY: quality, SLA: breaches, TRENDS: trends}
