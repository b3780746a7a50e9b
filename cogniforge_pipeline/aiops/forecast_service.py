"""What the Python API answers about the future of one service: its load, and the capacity it needs.

Belongs here: two questions to a home, with plain arguments, and their answers. Does not: the service that users open
(`service.py`), forecasting, plans. Nothing is written: both read the tables of the last run, and the rollups.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from cogniforge_pipeline.aiops.capacity_tables import declared_capacities, measured
from cogniforge_pipeline.aiops.forecast_inputs import SERIES, Grid, declared_grids, recent
from cogniforge_pipeline.aiops.forecast_rows import forecast_columns, refused_series, stored_models
from cogniforge_pipeline.aiops.forecast_tables import FORECASTS
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.sqltext import literal

ADDING = ("request_rate", "throughput", "network")
"""Types of metrics whose gauges add up over the series of a service; counters and deltas always do."""


@dataclass(frozen=True)
class LoadPoint:
    """What is expected in the hour that starts at `ts` (UTC), with 95 % bounds."""

    ts: datetime
    predicted_load: float
    lower_bound: float
    upper_bound: float


@dataclass(frozen=True)
class LoadForecast:
    """The load of a service `hours_ahead` of `made_at` (UTC): in the hour that ends then.

    Counters and deltas count as what they grow by each second, in `unit` each second. `points` are all hours until then, the
    highest of them `peak`. Several series of requests, throughput or network add up, of others it is their mean. The bounds
    are those of all series at once: too wide rather than too narrow. `models` are those that were served.
    """

    service: str
    metric_type: str
    made_at: datetime
    hours_ahead: int
    predicted_load: float
    lower_bound: float
    upper_bound: float
    unit: str | None
    series: int
    models: tuple[str, ...]
    peak: LoadPoint
    points: tuple[LoadPoint, ...]


@dataclass(frozen=True)
class ServiceCapacityPlan:
    """Units that a service has and needs, by its `bottleneck`; see `aiops.capacity_plans` for `resources`, its rows."""

    service: str
    as_of: datetime
    forecast_horizon_hours: int
    current_capacity: int
    recommended_capacity: int
    bottleneck: str
    utilisation_now: float
    utilisation_planned: float
    hours_to_exhaustion: float | None
    breach_probability: float
    reason: str
    resources: tuple[dict[str, Any], ...]


class Futures:
    """Questions about the future of the services of one home; by default as of its newest telemetry."""

    def __init__(self, home: Home) -> None:
        self.home = home

    def forecast_load(
        self, service: str, metric_type: str | Enum, hours_ahead: int = 24, *, as_of: datetime | None = None
    ) -> LoadForecast:
        """The load of a service, of one type of metric such as `request_rate`.

        It is that of `aiops.forecasts` where the last run made one for the newest whole hour, else made now from the
        rollups. Raises CogniforgeError where the service has no such series, or none that goes back far enough.
        """
        kind = str(metric_type.value if isinstance(metric_type, Enum) else metric_type)
        cursor = self.home.lake.cursor()
        with self.home.lake.explained():
            named = {
                series: (how != "gauge" or kind in ADDING, unit)
                for series, how, unit in cursor.execute(
                    f"SELECT series_id, kind, unit FROM {SERIES} WHERE service = {literal(service)} "
                    f"AND metric_type = {literal(kind)} ORDER BY series_id"
                ).fetchall()
            }
            if not named:
                raise CogniforgeError(f"{service} has no series of type {kind}", _known(cursor, service))
            grid = declared_grids(cursor)[0]
            if not 1 <= hours_ahead <= grid.horizon:
                raise CogniforgeError(
                    f"hours_ahead is {hours_ahead}; forecasts reach from 1 to {grid.horizon} hours",
                    "horizon_hours in platform/forecasting.yaml says how far, 72 at most",
                )
            made_at = grid.moment(as_of or self.home.as_of())
            rows = _stored(cursor, named, made_at) or _made(cursor, grid, named, made_at)
        return _added(service, kind, made_at, hours_ahead, rows, named)

    def generate_capacity_plan(
        self, service: str, forecast_horizon_hours: int = 72, *, as_of: datetime | None = None
    ) -> ServiceCapacityPlan:
        """The plan of a service over so many hours ahead. Raises CogniforgeError where nothing of it has a limit."""
        from cogniforge_pipeline.aiops.capacity_rows import plans, rows

        if forecast_horizon_hours < 1:
            raise CogniforgeError(f"forecast_horizon_hours is {forecast_horizon_hours}", "give at least 1")
        moment = as_of or self.home.as_of()
        cursor = self.home.lake.cursor()
        with self.home.lake.explained():
            series = [
                replace(one, forecast=None if one.forecast is None else one.forecast[:, :forecast_horizon_hours])
                for one in measured(cursor, moment, service)
            ]
            planned = plans(series, declared_capacities(cursor))
        if not planned:
            raise CogniforgeError(
                f"there is no capacity plan for {service}: none of its series has a limit and a day of history",
                "metrics in percent have one; declare others in platform/capacity/*.yaml, and run `cogniforge run`",
            )
        made = rows(planned, moment)
        worst = next(row for row in made if row["bottleneck"])
        return ServiceCapacityPlan(
            service=service,
            as_of=moment,
            forecast_horizon_hours=forecast_horizon_hours,
            current_capacity=worst["units_now"],
            recommended_capacity=worst["units_needed"],
            bottleneck=worst["resource"],
            utilisation_now=worst["utilisation_now"],
            utilisation_planned=worst["utilisation_planned"],
            hours_to_exhaustion=worst["hours_to_exhaustion"],
            breach_probability=worst["breach_probability"],
            reason=worst["reason"],
            resources=tuple(made),
        )


_Row = tuple[int, datetime, float, float, float, str]


def _stored(cursor: Connection, named: dict[int, tuple[bool, str | None]], made_at: datetime) -> list[_Row]:
    return cursor.execute(
        f"SELECT series_id, ts, mean, lo95, hi95, model FROM {FORECASTS} WHERE step = '1h' AND made_at = {literal(made_at)} "
        f"AND series_id IN ({', '.join(map(literal, named))}) ORDER BY ts, series_id"
    ).fetchall()


def _made(cursor: Connection, grid: Grid, named: dict[int, tuple[bool, str | None]], made_at: datetime) -> list[_Row]:
    import numpy as np

    data = recent(cursor, grid, made_at)
    data = data.only(np.flatnonzero(np.isin(data.ids, list(named))))
    if not len(data.ids):
        return []
    made = forecast_columns(data, stored_models(cursor, grid, made_at), refused_series(cursor, grid, made_at))
    times = [made_at + timedelta(seconds=at - made["made_at"]) for at in made["ts"]]
    return sorted(zip(made["series_id"], times, made["mean"], made["lo95"], made["hi95"], made["model"], strict=True))


def _added(
    service: str,
    kind: str,
    made_at: datetime,
    hours: int,
    rows: list[_Row],
    named: dict[int, tuple[bool, str | None]],
) -> LoadForecast:
    points = []
    for hour in range(hours):
        ts = made_at + timedelta(hours=hour)
        own = [row for row in rows if row[1] == ts]
        if not own:
            raise CogniforgeError(
                f"{service} has no forecast of {kind} for {hours} hours ahead of {made_at:%Y-%m-%d %H:%M} UTC",
                "a series is not forecast further than it goes back; `cogniforge run` computes the rollups it is made from",
            )
        adding = any(named[row[0]][0] for row in own)
        share = 1.0 if adding else 1 / len(own)
        mean, low, high = (share * sum(values) for values in zip(*(row[2:5] for row in own), strict=True))
        points.append(LoadPoint(ts, mean, low, high))
    last = points[-1]
    units = {named[row[0]][1] for row in rows}
    return LoadForecast(
        service=service,
        metric_type=kind,
        made_at=made_at,
        hours_ahead=hours,
        predicted_load=last.predicted_load,
        lower_bound=last.lower_bound,
        upper_bound=last.upper_bound,
        unit=units.pop() if len(units) == 1 else None,
        series=len({row[0] for row in rows}),
        models=tuple(sorted({row[5] for row in rows})),
        peak=max(points, key=lambda point: point.predicted_load),
        points=tuple(points),
    )


def _known(cursor: Connection, service: str) -> str:
    rows = cursor.execute(
        f"SELECT DISTINCT metric_type FROM {SERIES} WHERE service = {literal(service)} ORDER BY ALL"
    ).fetchall()
    if not rows:
        return f"there is no telemetry of a service {service!r}"
    return f"its series are of the types {', '.join(kind for (kind,) in rows)}"
