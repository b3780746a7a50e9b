"""A map of placements for the UI and the report, as Altair values.

Belongs here: a small query and its chart. Does not: rendering (`outcomes.py`). There is no map data without a network, so
a graticule of 30 degrees stands for the ground.
"""

from __future__ import annotations

from typing import Any

from cogniforge_pipeline.charts import AMBER, BLUE, GREY, RED, WIDTH, chart_rows
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import Publication

SHOWN = 60
"""So many failovers at most are drawn, the newest."""


def placement_map(cursor: Connection, _: Publication) -> Any:
    """Regions by place, the number of copies as size, and arrows of failovers."""
    import altair as alt

    regions = chart_rows(
        cursor,
        "WITH copies AS (SELECT primary_region AS region_id, 1 AS first, 0 AS other FROM edge.placements "
        "WHERE primary_region IS NOT NULL UNION ALL SELECT unnest(replicas), 0, 1 FROM edge.placements) "
        "SELECT r.region_id, r.cloud, r.lat, r.lon, coalesce(sum(c.first), 0)::INTEGER AS primaries, "
        "coalesce(sum(c.other), 0)::INTEGER AS replicas FROM edge.regions AS r LEFT JOIN copies AS c USING (region_id) "
        "GROUP BY ALL ORDER BY r.region_id",
    )
    if not regions:
        return None
    arrows = chart_rows(
        cursor,
        "SELECT f.workload, f.mode, a.lat, a.lon, b.lat AS lat2, b.lon AS lon2 FROM edge.failovers AS f "
        "JOIN edge.regions AS a ON a.region_id = f.from_region JOIN edge.regions AS b ON b.region_id = f.to_region "
        f"ORDER BY f.started_at DESC LIMIT {SHOWN}",
    )
    for row in regions:
        row["copies"] = row["primaries"] + row["replicas"]
        row["holds"] = "primaries" if row["primaries"] else "replicas" if row["replicas"] else "nothing"
    base = alt.Chart(alt.InlineData(regions))
    ground = alt.Chart(alt.graticule(step=[30, 30])).mark_geoshape(stroke="#dde3e8", strokeWidth=0.6)
    dots = base.mark_circle(opacity=0.8).encode(
        longitude="lon:Q",
        latitude="lat:Q",
        size=alt.Size("copies:Q", title="copies", scale=alt.Scale(range=[12, 400])),
        color=alt.Color(
            "holds:N",
            title=None,
            scale=alt.Scale(domain=["primaries", "replicas", "nothing"], range=[BLUE, AMBER, GREY]),
        ),
        tooltip=["region_id:N", "primaries:Q", "replicas:Q"],
    )
    layers = [ground, dots]
    if arrows:
        line = alt.Chart(alt.InlineData(arrows)).mark_rule(color=RED, strokeWidth=1.2)
        layers.append(line.encode(longitude="lon:Q", latitude="lat:Q", longitude2="lon2:Q", latitude2="lat2:Q"))
    return (
        alt.layer(*layers)
        .project("equirectangular")
        .properties(width=WIDTH, height=WIDTH // 2, title="Placements; red lines are failovers")
    )


PLOTS = {"edge.placements": placement_map}
