"""The table of capacity plans, and what it has to tell.

Belongs here: its recipe, reading what it is made from, its events. Does not: plans (`capacity_rows.py`), forecasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from cogniforge_pipeline.aiops.forecast_inputs import ROLLUP, SERIES, Grid, floored, has_history, recent, rows_of
from cogniforge_pipeline.aiops.forecast_tables import FORECASTS
from cogniforge_pipeline.aiops.forecasting.steps import HOUR, Step
from cogniforge_pipeline.aiops.planning_model import CAPACITY_KIND, Capacity
from cogniforge_pipeline.events import NewEvent
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.recipes import Computed, Written
from cogniforge_pipeline.registry import declared
from cogniforge_pipeline.sqltext import literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cogniforge_pipeline.aiops.capacity_rows import Measured

PLANS = "aiops.capacity_plans"
INPUTS = (SERIES, ROLLUP, FORECASTS)
VERSION = "1"
WINDOW = Step("1h", HOUR, 28 * 24)
"""Four weeks of history: how a service scales, and the trend of what it uses."""
SOURCE = "/cogniforge/aiops"


def computed() -> list[Computed]:
    """The one table."""
    return [Computed(PLANS, INPUTS, _plans)]


def _plans(cursor: Connection) -> Written:
    capacities = declared_capacities(cursor)
    digest = sha256(f"{VERSION} {capacities!r}".encode()).hexdigest()[:16]

    def statements(cursor: Connection, _: datetime, as_of: datetime) -> Sequence[str]:
        from cogniforge_pipeline.aiops.capacity_rows import plans, rows

        made = rows(plans(measured(cursor, as_of), capacities), as_of)
        columns = {name: (kind, [row[name] for row in made]) for name, kind in COLUMNS.items()}
        return [rows_of(cursor, "capacity", columns)] if made else []

    return Written(PLANS, INPUTS, digest, statements, idle=not has_history(cursor))


def declared_capacities(cursor: Connection) -> list[Capacity]:
    """What is declared of capacities now, in order of name."""
    return [one.model for one in declared(cursor, CAPACITY_KIND)]


def measured(cursor: Connection, as_of: datetime, service: str | None = None) -> list[Measured]:
    """The hourly values and forecasts of all series, or those of one service, that ended by `as_of`."""
    from cogniforge_pipeline.aiops.capacity_rows import Measured

    end = floored(as_of, HOUR)
    data = recent(cursor, Grid(WINDOW, 1), end)
    ahead = _forecasts(cursor, end)
    only = "" if service is None else f" WHERE service = {literal(service)}"
    named = cursor.execute(
        f"SELECT series_id, service, metric, metric_type, unit, labels FROM {SERIES}{only}"
    ).fetchall()
    place = {int(series): row for row, series in enumerate(data.ids)}
    return [
        Measured(series, owner, metric, kind, unit, dict(labels or {}), data.values[place[series]], ahead.get(series))
        for series, owner, metric, kind, unit, labels in sorted(named, key=lambda row: row[0])
        if series in place
    ]


def _forecasts(cursor: Connection, end: datetime) -> dict[int, npt.NDArray[np.float64]]:
    """The hourly forecasts (5, H) of each series that were made at most an hour before `end`."""
    import numpy as np

    found = cursor.execute(
        f"SELECT series_id, lo95, lo80, mean, hi80, hi95 FROM {FORECASTS} WHERE step = '1h' "
        f"AND made_at > {literal(end - timedelta(hours=1))} AND made_at <= {literal(end)} ORDER BY series_id, ts"
    ).fetchnumpy()
    ids = np.asarray(found["series_id"], dtype=np.int64)
    table = np.array([np.asarray(found[name], dtype=np.float64) for name in ("lo95", "lo80", "mean", "hi80", "hi95")])
    names, starts = np.unique(ids, return_index=True)
    return dict(zip(names.tolist(), np.split(table, starts[1:], axis=1), strict=True)) if len(names) else {}


def breach_events(cursor: Connection) -> list[NewEvent]:
    """`forecast.breach.predicted` of `aiops.capacity_plans`, one for each resource and day: p90 of its demand will need, or
    needs already, every unit that there is."""
    rows = cursor.execute(
        "SELECT service, resource, as_of, hours_to_exhaustion, exhausted_at, units_now, units_needed, breach_probability, "
        f"reason FROM {PLANS} WHERE hours_to_exhaustion IS NOT NULL ORDER BY service, resource"
    ).fetchall()
    return [
        NewEvent(
            "forecast.breach.predicted",
            SOURCE,
            {
                "service": service,
                "resource": resource,
                "hours_to_exhaustion": hours,
                "exhausted_at": exhausted.isoformat(),
                "units_now": now,
                "units_needed": needed,
                "breach_probability": chance,
                "reason": reason,
            },
            service,
            as_of,
            f"{service}:{resource}:breach:{as_of:%Y-%m-%d}",
        )
        for service, resource, as_of, hours, exhausted, now, needed, chance, reason in rows
    ]


ANNOUNCERS = {PLANS: breach_events}

COLUMNS = {
    "as_of": "TIMESTAMPTZ",
    "service": "VARCHAR",
    "resource": "VARCHAR",
    "series_id": "BIGINT",
    "metric_type": "VARCHAR",
    "bottleneck": "BOOLEAN",
    "source": "VARCHAR",
    "demand_unit": "VARCHAR",
    "demand_p50": "DOUBLE",
    "demand_p90": "DOUBLE",
    "demand_p99": "DOUBLE",
    "units_now": "INTEGER",
    "units_needed": "INTEGER",
    "units_lower": "INTEGER",
    "units_upper": "INTEGER",
    "units_least_regret": "INTEGER",
    "utilisation_target": "DOUBLE",
    "utilisation_now": "DOUBLE",
    "utilisation_planned": "DOUBLE",
    "headroom": "DOUBLE",
    "headroom_formula": "VARCHAR",
    "hours_to_exhaustion": "DOUBLE",
    "exhausted_at": "TIMESTAMPTZ",
    "breach_probability": "DOUBLE",
    "breach_probability_planned": "DOUBLE",
    "regret_over": "DOUBLE",
    "regret_under": "DOUBLE",
    "scaling": "VARCHAR",
    "scaling_trusted": "BOOLEAN",
    "servable": "BOOLEAN",
    "history_days": "DOUBLE",
    "reason": "VARCHAR",
}
