"""Charts of SLO tables for the UI and the report, as Altair values. Times are UTC.

Belongs here: small queries and their charts. Does not: rendering (`outcomes.py`).
"""

from __future__ import annotations

from typing import Any

from cogniforge_pipeline.charts import AMBER, BLUE, GREY, RED, WIDTH, chart_rows
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import Publication

SHOWN = 8
"""So many objectives at most, those with the least budget left."""

_WORST = f"worst AS (SELECT * FROM sre.error_budgets WHERE remaining IS NOT NULL ORDER BY remaining LIMIT {SHOWN})"


def burn_down(cursor: Connection, _: Publication) -> Any:
    """What was left of each budget, hour by hour through its window; below the line it is overspent."""
    import altair as alt

    rows = chart_rows(
        cursor,
        f"WITH {_WORST}, hours AS ("
        "SELECT w.slo_id, time_bucket(INTERVAL 1 HOUR, q.ts - INTERVAL 1 MINUTE) + INTERVAL 1 HOUR AS ts, "
        "sum(q.bad) AS bad FROM sre.sli_15m AS q JOIN worst AS w USING (slo_id) "
        "WHERE q.ts > w.window_start AND q.ts <= least(w.window_end, w.as_of) GROUP BY ALL) "
        "SELECT h.slo_id, h.ts, 1 - sum(h.bad) OVER (PARTITION BY h.slo_id ORDER BY h.ts) / nullif(w.budget_events, 0) "
        "AS remaining, w.status FROM hours AS h JOIN worst AS w USING (slo_id) ORDER BY h.slo_id, h.ts",
    )
    if not rows:
        return None
    base = alt.Chart(alt.InlineData(rows))
    time = alt.X("ts:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(format="%d %b", tickCount=8))
    line = base.mark_line(strokeWidth=1.5, interpolate="step-after").encode(
        x=time,
        y=alt.Y("remaining:Q", title="budget left", axis=alt.Axis(format="%")),
        color=alt.Color("slo_id:N", title=None, legend=alt.Legend(orient="bottom", columns=3, labelLimit=200)),
    )
    zero = alt.Chart(alt.InlineData([{}])).mark_rule(color=RED, strokeDash=[4, 3]).encode(y=alt.datum(0))
    return (line + zero).properties(width=WIDTH, height=240, title="Error budgets burning down, least left first")


def rates(cursor: Connection, _: Publication) -> Any:
    """Burn rates over the windows of the page alerts through the last three days, with the factors as lines."""
    import altair as alt

    rows = chart_rows(
        cursor,
        "WITH newest AS (SELECT max(ts) AS ts FROM sre.burn_rates), recent AS ("
        "SELECT slo_id, r.ts, burn_1h, burn_6h FROM sre.burn_rates AS r, newest AS n "
        "WHERE r.ts > n.ts - INTERVAL 3 DAY AND epoch_us(r.ts) % 600000000 = 0), "
        f"worst AS (SELECT slo_id FROM recent GROUP BY ALL ORDER BY max(burn_1h) DESC NULLS LAST LIMIT {SHOWN}) "
        "SELECT slo_id, ts, '1 h' AS over, burn_1h AS rate FROM recent JOIN worst USING (slo_id) WHERE burn_1h IS NOT NULL "
        "UNION ALL SELECT slo_id, ts, '6 h', burn_6h FROM recent JOIN worst USING (slo_id) WHERE burn_6h IS NOT NULL "
        "ORDER BY slo_id, ts",
    )
    if not rows:
        return None
    top = max(row["rate"] for row in rows)
    limits = [(1, "the whole period", GREY), (6, "page, 6 h", AMBER), (14.4, "page, 1 h", RED)]
    data = alt.InlineData(rows)
    line = (
        alt.Chart(data)
        .mark_line(strokeWidth=1.2)
        .encode(
            x=alt.X("ts:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(format="%d %b %H:%M", tickCount=4)),
            y=alt.Y("rate:Q", title=None, scale=alt.Scale(type="symlog", domain=[0, max(16, top)])),
            color=alt.Color(
                "over:N", title="over", scale=alt.Scale(range=[BLUE, AMBER]), legend=alt.Legend(orient="top")
            ),
        )
    )
    rules = [
        alt.Chart(data).mark_rule(color=color, strokeDash=[4, 3]).encode(y=alt.datum(factor))
        for factor, _, color in limits
    ]
    lines = ", ".join(f"{factor:g} ({name})" for factor, name, _ in limits)
    return (
        alt.layer(line, *rules, data=data)
        .properties(width=WIDTH // 2 - 40, height=110)
        .facet(facet=alt.Facet("slo_id:N", title=None), columns=2)
        .properties(title=alt.TitleParams("Burn rates", subtitle=f"Lines, for a period of 30 days: {lines}"))
    )


PLOTS = {"sre.error_budgets": burn_down, "sre.burn_rates": rates}
