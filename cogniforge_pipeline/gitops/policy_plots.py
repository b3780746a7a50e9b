"""Charts of what policies find, for the UI and the report, as Altair values.

Belongs here: small queries and their charts. Does not: rendering (`outcomes.py`).
"""

from __future__ import annotations

from typing import Any

from cogniforge_pipeline.charts import AMBER, GREY, RED, WIDTH, chart_rows
from cogniforge_pipeline.gitops.policy_tables import VIOLATIONS
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import Publication

SHOWN = 12
"""So many policies at most, those with the most violations."""


def violations(cursor: Connection, _: Publication) -> Any:
    """How many resources each policy hits, in git and in the cluster, by what the policy does about it."""
    import altair as alt

    rows = chart_rows(
        cursor,
        f"WITH most AS (SELECT policy_id FROM {VIOLATIONS} GROUP BY ALL ORDER BY count(*) DESC, policy_id LIMIT {SHOWN}) "
        "SELECT policy_id, source, enforcement_mode AS mode, count(DISTINCT (app_id, key)) AS resources "
        f"FROM {VIOLATIONS} JOIN most USING (policy_id) GROUP BY ALL ORDER BY policy_id, source, mode",
    )
    if not rows:
        return None
    return (
        alt.Chart(alt.InlineData(rows))
        .mark_bar()
        .encode(
            x=alt.X("resources:Q", title="resources", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("policy_id:N", title=None, sort="-x"),
            color=alt.Color(
                "mode:N", title=None, scale=alt.Scale(domain=["ENFORCE", "WARN", "AUDIT"], range=[RED, AMBER, GREY])
            ),
        )
        .properties(width=WIDTH // 2 - 80, height=alt.Step(18))
        .facet(facet=alt.Facet("source:N", title=None), columns=2)
        .properties(title="Resources that violate policies")
    )


def trend(cursor: Connection, _: Publication) -> Any:
    """How many of today's violations were there at each time, by mode: states that violate, by when they began."""
    import altair as alt

    rows = chart_rows(
        cursor,
        f"SELECT since, mode, sum(count) OVER (PARTITION BY mode ORDER BY since) AS violations FROM ("
        f"SELECT since, enforcement_mode AS mode, count(*) AS count FROM {VIOLATIONS} GROUP BY ALL) ORDER BY mode, since",
    )
    if not rows:
        return None
    return (
        alt.Chart(alt.InlineData(rows))
        .mark_line(interpolate="step-after", point=True)
        .encode(
            x=alt.X("since:T", title=None, scale=alt.Scale(type="utc")),
            y=alt.Y("violations:Q", title="violations that last", axis=alt.Axis(tickMinStep=1)),
            color=alt.Color(
                "mode:N", title=None, scale=alt.Scale(domain=["ENFORCE", "WARN", "AUDIT"], range=[RED, AMBER, GREY])
            ),
        )
        .properties(width=WIDTH, height=160, title="Violations of today, by when the state began that violates")
    )


def both(cursor: Connection, publication: Publication) -> Any:
    """The two charts, one above the other."""
    import altair as alt

    bars, line = violations(cursor, publication), trend(cursor, publication)
    return alt.vconcat(bars, line) if bars is not None else None


PLOTS = {VIOLATIONS: both}
