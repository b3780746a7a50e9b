"""The rows of the tables of forecasts, from telemetry on a grid and what was learnt.

Belongs here: which series share a model, stored models, rows. Does not: mathematics (`forecasting/`), when rows are made anew
(`forecast_tables.py`).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cogniforge_pipeline.aiops.forecast_inputs import Grid, Recent
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.sqltext import literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cogniforge_pipeline.aiops.forecasting.learnt import Learnt
    from cogniforge_pipeline.aiops.forecasting.panel import Panel

MODELS, ACCURACY = "aiops.forecast_models", "aiops.forecast_accuracy"
OWN_MODEL = 60
"""A type of metric with so many long series has a model of its own; the others share one."""
MIXED = "mixed"
SEASONS_TO_FIT, FITTED = 4, 50
"""Theta and ETS are tried for series of at least so many seasons, and for so many series at most."""

_FIGURES = ("mase", "naive_mase", "msis", "naive_msis", "coverage80", "coverage95")
MODEL_COLUMNS = {
    "model_id": "VARCHAR",
    "step": "VARCHAR",
    "metric_type": "VARCHAR",
    "learnt_until": "TIMESTAMPTZ",
    "examined_until": "TIMESTAMPTZ",
    "horizon_steps": "INTEGER",
    "season_steps": "INTEGER",
    "series": "INTEGER",
    "learnt": "VARCHAR",
    "model": "VARCHAR",
}
ACCURACY_COLUMNS = {
    "series_id": "BIGINT",
    "step": "VARCHAR",
    "examined_until": "TIMESTAMPTZ",
    "model_id": "VARCHAR",
    "origins": "INTEGER",
    "points": "INTEGER",
    **dict.fromkeys(_FIGURES, "DOUBLE"),
    "served": "BOOLEAN",
    "reason": "VARCHAR",
}
FORECAST_COLUMNS = {
    "series_id": "BIGINT",
    "step": "VARCHAR",
    "made_at": "TIMESTAMPTZ",
    "ts": "TIMESTAMPTZ",
    **dict.fromkeys(("mean", "lo80", "hi80", "lo95", "hi95"), "DOUBLE"),
    "model": "VARCHAR",
    "basis": "VARCHAR",
}


def learnt_row(part: Recent, kind: str, examined: datetime) -> dict[str, Any]:
    """The row of `aiops.forecast_models` for a group, learnt from its series."""
    from cogniforge_pipeline.aiops.forecasting.model import learn

    grid = part.grid
    learnt, _ = learn(panel(part), grid.step.season, grid.horizon)
    data = learnt.to_bytes()
    digest = sha256(data).hexdigest()[:16]
    return {
        "model_id": f"{grid.step.name}/{kind}/{digest}",
        "step": grid.step.name,
        "metric_type": kind,
        "learnt_until": int(part.end.timestamp()),
        "examined_until": int(examined.timestamp()),
        "horizon_steps": grid.horizon,
        "season_steps": grid.step.season,
        "series": len(part.ids),
        "learnt": "trees" if learnt.has_trees else "constants",
        "model": b64encode(data).decode(),
    }


def examined_rows(data: Recent, models: dict[str, StoredModel]) -> list[dict[str, Any]]:
    """Rows of `aiops.forecast_accuracy`: each model examined on the series that it serves."""
    if not models:
        return []
    from cogniforge_pipeline.aiops.forecasting.examination import examine

    rows: list[dict[str, Any]] = []
    step, horizon = data.grid.step, data.grid.horizon
    for kind, part in groups_of(data, models):
        stored = model_for(models, kind)
        assert stored is not None
        figures = examine(panel(part), step.season, horizon, stored.learnt)
        for place, series in enumerate(part.ids):
            origins = int(figures.origins[place])
            values = {name: float(getattr(figures, name)[place]) if origins else None for name in _FIGURES}
            lost = origins > 0 and bool(figures.lost[place])
            rows.append(
                {
                    "series_id": int(series),
                    "step": step.name,
                    "examined_until": int(data.end.timestamp()),
                    "model_id": stored.model_id,
                    "origins": origins,
                    "points": int(figures.points[place]),
                    **values,
                    "served": not lost,
                    "reason": _reason(values, origins, lost),
                }
            )
    return rows


def _reason(values: dict[str, float | None], origins: int, lost: bool) -> str:
    if not origins:
        return "too short to be examined on days held out; the backtest of its own past decides"
    ours, naive = f"{values['mase']:.3g}", f"{values['naive_mase']:.3g}"
    if lost:
        return f"MASE {ours} over {origins} origins is not below the {naive} of seasonal naive, which is served"
    return f"MASE {ours} over {origins} origins is below the {naive} of seasonal naive"


def forecast_columns(data: Recent, models: dict[str, StoredModel], refused: frozenset[int]) -> dict[str, Any]:
    """The rows of forecasts as columns. No series is forecast further than it goes back."""
    import numpy as np

    horizon, step = data.grid.horizon, data.grid.step
    bounds, names = _forecast(data, models, refused)
    ahead = np.arange(1, horizon + 1)
    kept = (ahead <= data.counts[:, None]) & np.isfinite(bounds["mean"])
    rows, steps = np.nonzero(kept)
    made = int(data.end.timestamp())
    return {
        "series_id": data.ids[rows].tolist(),
        "step": step.name,
        "made_at": made,
        "ts": (made + steps * step.seconds).tolist(),
        **{name: values[kept].tolist() for name, values in bounds.items()},
        "model": [names[row] for row in rows],
    }


def _forecast(
    data: Recent, models: dict[str, StoredModel], refused: frozenset[int]
) -> tuple[dict[str, npt.NDArray[np.float64]], list[str]]:
    import numpy as np

    from cogniforge_pipeline.aiops.forecasting.bounds import BOUNDS
    from cogniforge_pipeline.aiops.forecasting.short import forecast_many

    horizon, season = data.grid.horizon, data.grid.step.season
    bounds = {name: np.full((len(data.ids), horizon), np.nan) for name in BOUNDS}
    names = ["seasonal_naive"] * len(data.ids)
    lost = np.isin(data.ids, sorted(refused))
    place = {int(series): row for row, series in enumerate(data.ids)}
    short = np.ones(len(data.ids), bool)
    for kind, part in groups_of(data, models):
        from cogniforge_pipeline.aiops.forecasting.learnt import Learnt
        from cogniforge_pipeline.aiops.forecasting.model import serve

        rows = np.array([place[int(series)] for series in part.ids])
        stored = model_for(models, kind)
        learnt = stored.learnt if stored else Learnt()
        served = serve(panel(part), season, horizon, learnt, refused=lost[rows])
        short[rows] = False
        for name in BOUNDS:
            bounds[name][rows] = served.bounds[name]
        for row, model in zip(rows, served.models, strict=True):
            names[row] = model
    rest = np.flatnonzero(short)
    if len(rest):
        fit = (data.counts[rest] >= SEASONS_TO_FIT * season) & ~lost[rest]
        fit &= np.cumsum(fit) <= FITTED
        made, chosen = forecast_many(data.values[rest], data.counts[rest], season, horizon, fit)
        for name in BOUNDS:
            bounds[name][rest] = made[name]
        for row, model in zip(rest, chosen, strict=True):
            names[row] = model
    return bounds, names


@dataclass(frozen=True)
class StoredModel:
    """A row of `aiops.forecast_models`."""

    model_id: str
    learnt: Learnt


def stored_models(cursor: Connection, grid: Grid, moment: datetime) -> dict[str, StoredModel]:
    """The models of a grid by type of metric, unless they know more than was known at `moment`."""
    rows = cursor.execute(
        f"SELECT metric_type, model_id, model FROM {MODELS} WHERE step = {literal(grid.step.name)} "
        f"AND horizon_steps = {grid.horizon} AND examined_until <= {literal(moment)} ORDER BY metric_type"
    ).fetchall()
    if not rows:
        return {}
    from cogniforge_pipeline.aiops.forecasting.learnt import Learnt

    return {kind: StoredModel(model_id, Learnt.from_bytes(b64decode(text))) for kind, model_id, text in rows}


def refused_series(cursor: Connection, grid: Grid, moment: datetime) -> frozenset[int]:
    """The series whose forecasts were found to be no better than seasonal naive, as was known at `moment`."""
    rows = cursor.execute(
        f"SELECT series_id FROM {ACCURACY} WHERE step = {literal(grid.step.name)} AND NOT served "
        f"AND examined_until <= {literal(moment)}"
    ).fetchall()
    return frozenset(series for (series,) in rows)


def panel(data: Recent) -> Panel:
    """The series as the forecaster takes them."""
    import numpy as np

    from cogniforge_pipeline.aiops.forecasting.panel import Panel

    unit = data.grid.step.seconds * 10**6
    last = np.full(len(data.ids), int(data.end.timestamp()) * 10**6 - unit)
    return Panel(data.ids.tolist(), data.values, data.counts, last, unit, timed=True)


def groups_of(data: Recent, own: Collection[str] | None = None) -> list[tuple[str, Recent]]:
    """The series that the global forecaster takes, by type of metric: those of `own`, by default the types with many long
    series, and all others together."""
    import numpy as np

    from cogniforge_pipeline.aiops.forecasting.past import least_length

    long = np.flatnonzero(data.counts >= least_length(data.grid.step.season, data.grid.horizon))
    if not len(long):
        return []
    from cogniforge_pipeline.aiops.forecasting.groups import long_enough

    part = data.only(long)
    part = part.only(np.flatnonzero(long_enough(panel(part), data.grid.step.season, data.grid.horizon)))
    if own is None:
        kinds, counts = np.unique(part.metric_types.astype(str), return_counts=True)
        own = {str(kind) for kind, count in zip(kinds, counts, strict=True) if count >= OWN_MODEL}
    names = np.array([kind if kind in own else MIXED for kind in part.metric_types], dtype=str)
    return [(str(kind), part.only(np.flatnonzero(names == kind))) for kind in np.unique(names)]


def model_for(models: Mapping[str, StoredModel], kind: str) -> StoredModel | None:
    """The model of a group: its own, else any other, for what is learnt is free of scale; None without models."""
    return models.get(kind) or next(iter(models.values()), None)


def columns_of(kinds: dict[str, str], rows: Sequence[dict[str, Any]]) -> dict[str, tuple[str, list[Any]]]:
    return {name: (kind, [row[name] for row in rows]) for name, kind in kinds.items()}


def repeated(kinds: dict[str, str], columns: dict[str, Any]) -> dict[str, tuple[str, list[Any]]]:
    """Columns of one length; what is no list holds for all rows."""
    size = len(columns["series_id"])
    return {
        name: (kind, columns[name] if isinstance(columns[name], list) else [columns[name]] * size)
        for name, kind in kinds.items()
    }
