"""Charts of the tables of GitOps for the UI and the report, as Altair values. Times are UTC.

Belongs here: small queries and their charts. Does not: rendering (`outcomes.py`).
"""

from __future__ import annotations

from typing import Any

from cogniforge_pipeline.charts import BLUE, RED, WIDTH, chart_rows
from cogniforge_pipeline.gitops.tables import EPISODES
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import Publication

SHOWN = 8
"""So many applications at most, those with the most episodes."""


def drift_over_time(cursor: Connection, _: Publication) -> Any:
    """How many fields differed in each application at each time."""
    import altair as alt

    rows = chart_rows(
        cursor,
        f"WITH worst AS (SELECT app_id FROM {EPISODES} GROUP BY ALL ORDER BY count(*) DESC, app_id LIMIT {SHOWN}), steps AS ("
        f"SELECT app_id, started_at AS ts, 1 AS step FROM {EPISODES} UNION ALL "
        f"SELECT app_id, ended_at, -1 FROM {EPISODES} WHERE ended_at IS NOT NULL), "
        "sums AS (SELECT app_id, ts, sum(step) AS step FROM steps JOIN worst USING (app_id) GROUP BY ALL) "
        "SELECT app_id, ts, sum(step) OVER (PARTITION BY app_id ORDER BY ts)::BIGINT AS fields FROM sums ORDER BY app_id, ts",
    )
    if not rows:
        return None
    base = alt.Chart(alt.InlineData(rows))
    return (
        base.mark_line(strokeWidth=1.5, interpolate="step-after", point=True)
        .encode(
            x=alt.X("ts:T", title=None, scale=alt.Scale(type="utc")),
            y=alt.Y("fields:Q", title="fields that differ", axis=alt.Axis(tickMinStep=1)),
            color=alt.Color("app_id:N", title=None, legend=alt.Legend(orient="bottom", columns=4)),
        )
        .properties(width=WIDTH, height=220, title="Drift over time")
    )


def drift_now(cursor: Connection, _: Publication) -> Any:
    """How many fields of each kind of resource differ now."""
    import altair as alt

    rows = chart_rows(
        cursor,
        "SELECT app_id, kind, status, count(*) AS fields FROM gitops.drift WHERE status <> 'left_alone' GROUP BY ALL",
    )
    if not rows:
        return None
    colours = alt.Scale(domain=["modified", "missing", "extra"], range=[BLUE, RED, "#f9a825"])
    return (
        alt.Chart(alt.InlineData(rows))
        .mark_bar()
        .encode(
            x=alt.X("sum(fields):Q", title="fields"),
            y=alt.Y("kind:N", title=None),
            color=alt.Color("status:N", title=None, scale=colours),
            row=alt.Row("app_id:N", title=None),
        )
        .properties(width=WIDTH, title="What differs now")
    )


PLOTS = {EPISODES: drift_over_time, "gitops.drift": drift_now}
