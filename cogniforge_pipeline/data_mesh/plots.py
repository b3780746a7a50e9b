"""Charts of the mesh's tables for the UI and the report, as Altair values.

Belongs here: small queries and their charts. Does not: rendering (`outcomes.py`).
"""

from __future__ import annotations

from typing import Any

from cogniforge_pipeline.charts import BLUE, RED
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import QUALITY, Publication


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


PLOTS = {QUALITY: quality}
