"""The chart of `aiops.root_causes` for the UI and the report: the topology with blame, as an Altair value.

Belongs here: its queries, where nodes stand, and the chart. Does not: rendering (`outcomes.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cogniforge_pipeline.aiops.cause_inputs import graph_of, named_rows, topology
from cogniforge_pipeline.aiops.root_cause.graph import Graph
from cogniforge_pipeline.charts import GREY, RED, WIDTH
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import Publication

MOST_NODES = 60
"""A larger topology is cut down to the services that are blamed and those on the way to them."""


def blame(cursor: Connection, _: Publication) -> Any:
    """Who calls whom, from left to right, each service as red as it is blamed for the newest incident; the path from
    the symptom to the first cause is drawn in red.
    """
    import altair as alt

    newest = "SELECT incident_id FROM aiops.root_causes ORDER BY window_start DESC, incident_id LIMIT 1"
    causes = named_rows(
        cursor,
        "SELECT r.*, i.title FROM aiops.root_causes AS r LEFT JOIN aiops.incidents AS i USING (incident_id) "
        f"WHERE incident_id = ({newest}) ORDER BY rank",
    )
    if not causes:
        return None
    first = causes[0]
    graph = _shown(graph_of(topology(cursor)), [cause["path"] or [cause["service"]] for cause in causes])
    places = _places(graph)
    scores = {cause["service"]: cause["score"] for cause in causes}
    blamed = set(zip(first["path"], first["path"][1:], strict=False))
    blamed |= {(callee, caller) for caller, callee in blamed}
    nodes = [
        {"service": name, "x": x, "y": y, "score": scores.get(name, 0.0), "target": name == first["target_service"]}
        for name, (x, y) in places.items()
    ]
    edges = [
        {
            "x": places[one][0],
            "y": places[one][1],
            "x2": places[two][0],
            "y2": places[two][1],
            "on": (one, two) in blamed,
        }
        for one, two in sorted(graph.edges)
    ]
    axes: dict[str, Any] = {"axis": None, "scale": alt.Scale(padding=40)}
    lines = (
        alt.Chart(alt.InlineData(edges or [{}]))
        .mark_rule()
        .encode(
            x=alt.X("x:Q", **axes),
            y=alt.Y("y:Q", **axes),
            x2="x2:Q",
            y2="y2:Q",
            color=alt.condition("datum.on", alt.value(RED), alt.value(GREY)),
            strokeWidth=alt.condition("datum.on", alt.value(3), alt.value(1)),
        )
    )
    base = alt.Chart(alt.InlineData(nodes)).encode(x=alt.X("x:Q", **axes), y=alt.Y("y:Q", **axes))
    circles = base.mark_circle(size=500, opacity=1, strokeWidth=2).encode(
        color=alt.Color(
            "score:Q",
            title="blame",
            scale=alt.Scale(domain=[0, 1], range=["#eceff1", RED]),
            legend=alt.Legend(orient="bottom"),
        ),
        stroke=alt.condition("datum.target", alt.value("#212121"), alt.value(GREY)),
    )
    names = base.mark_text(dy=-20, fontSize=11).encode(text="service:N")
    subtitle = (
        f"{first['target_service']} {first['target_metric']}; first cause: {first['service']} ({first['score']:.2f})"
    )
    title = alt.TitleParams(first["title"] or first["incident_id"], subtitle=[subtitle, f"{first['graph']} edges"])
    deepest = max(sum(x == other for other, _ in places.values()) for x, _ in places.values())
    return (lines + circles + names).properties(title=title, width=WIDTH, height=max(160, 70 * deepest))


def _shown(graph: Graph | None, paths: Iterable[list[str]]) -> Graph:
    """The topology; without one, or where it is too large, what the paths tell."""
    found = [tuple(path) for path in paths]
    named = {name for path in found for name in path}
    steps = {edge for path in found for edge in zip(path, path[1:], strict=False)}
    if graph is None or not named & graph.nodes:
        return Graph.of(steps, named)
    if len(graph.nodes) <= MOST_NODES:
        return Graph.of(graph.edges, graph.nodes | named)
    return Graph.of((edge for edge in graph.edges if named.issuperset(edge)), named)


def _places(graph: Graph) -> dict[str, tuple[float, float]]:
    """Where each node stands: callers left of what they call, each column spread over the same height."""
    depth = dict.fromkeys(graph.nodes, 0)
    for _ in graph.nodes:  # longest ways settle after as many rounds; a cycle does not, and ends with them
        for caller, callee in graph.edges:
            depth[callee] = min(len(depth), max(depth[callee], depth[caller] + 1))
    columns: dict[int, list[str]] = {}
    for name in sorted(graph.nodes, key=lambda name: (-len(graph.callees[name]), name)):
        columns.setdefault(depth[name], []).append(name)
    return {
        name: (float(place), (row + 0.5) / len(own) + 0.07 * (place % 2))
        for place, own in columns.items()
        for row, name in enumerate(own)
    }


PLOTS = {"aiops.root_causes": blame}
