"""Charts of the mesh's tables for the UI and the report, as Altair values.

Belongs here: small queries and their charts. Does not: rendering (`metadata.py`).
"""

from __future__ import annotations

from typing import Any

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
    base = alt.Chart(alt.InlineData(values)).encode(y=alt.Y("product:N", title=None))
    volume = base.mark_bar(color="#1565c0").encode(x=alt.X("rows:Q", scale=alt.Scale(type="symlog")))
    errors = base.mark_bar(color="#c62828").encode(x=alt.X("error rate:Q", axis=alt.Axis(format="%")))
    return volume.properties(width=260, title="rows published last") | errors.properties(
        width=260, title="rows set aside"
    )


PLOTS = {QUALITY: quality}
