"""The tables of forecasts: what was learnt, how good it was, and what is expected.

Belongs here: recipes around the forecaster, and when something made before still holds. Does not: mathematics
(`forecasting/`), reading rollups (`forecast_inputs.py`), capacity (`capacity_tables.py`).

All three follow from the rollups, what is declared and `as_of` alone, so that a restart, another executor or a question about
the past gives the same rows. Once a day of telemetry, an hour after midnight, models are learnt from what was known some
days before, and examined on the days since: the trees that serve are those that were examined. Forecasts are made anew when
another step is over; until then, and where no new data touched what they were made from, the rows that are there are kept.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cogniforge_pipeline.aiops.forecast_inputs import (
    ROLLUP,
    SERIES,
    Grid,
    Recent,
    declared_grids,
    floored,
    has_history,
    recent,
    rows_of,
    touched,
)
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.recipes import Computed, Statements, Written
from cogniforge_pipeline.sqltext import literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cogniforge_pipeline.aiops.forecasting.learnt import Learnt
    from cogniforge_pipeline.aiops.forecasting.panel import Panel

MODELS, ACCURACY, FORECASTS = "aiops.forecast_models", "aiops.forecast_accuracy", "aiops.forecasts"
VERSION = "1"
"""Changes with the meaning of what is computed here or by the forecaster."""
DAY, SETTLED = 86_400, timedelta(hours=1)
OWN_MODEL = 60
"""A type of metric with so many long series has a model of its own; the others share one."""
MIXED = "mixed"
SEASONS_TO_FIT, FITTED = 4, 50
"""Theta and ETS are tried for series of at least so many seasons, and for so many series at most."""


def computed() -> list[Computed]:
    """All of them."""
    return [
        Computed(MODELS, (SERIES, ROLLUP), lambda cursor: _recipe(cursor, MODELS, (SERIES, ROLLUP), _models)),
        Computed(
            ACCURACY,
            (SERIES, ROLLUP, MODELS),
            lambda cursor: _recipe(cursor, ACCURACY, (SERIES, ROLLUP, MODELS), _accuracy),
        ),
        Computed(
            FORECASTS,
            (SERIES, ROLLUP, MODELS, ACCURACY),
            lambda cursor: _recipe(cursor, FORECASTS, (SERIES, ROLLUP, MODELS, ACCURACY), _forecasts),
        ),
    ]


def _recipe(cursor: Connection, table: str, inputs: tuple[str, ...], statements: Statements) -> Written:
    return Written(table, inputs, _digest(declared_grids(cursor)), statements, idle=not has_history(cursor))


def _digest(grids: tuple[Grid, ...]) -> str:
    return sha256(f"{VERSION} {grids!r}".encode()).hexdigest()[:16]


def examined_until(as_of: datetime) -> datetime:
    """The midnight that figures are known up to: the newest that is an hour past, so that late data are in."""
    return floored(as_of - SETTLED, DAY)


def learnt_until(grid: Grid, as_of: datetime) -> datetime:
    """The end of what models are learnt from: the oldest origin that they are examined at."""
    from cogniforge_pipeline.aiops.forecasting.origins import backs

    step = grid.step
    return examined_until(as_of) - timedelta(seconds=step.seconds * backs(step.season, grid.horizon)[-1])


def _models(cursor: Connection, _: datetime, as_of: datetime) -> Sequence[str]:
    found = []
    grids = declared_grids(cursor)
    for grid in grids:
        end, examined = learnt_until(grid, as_of), examined_until(as_of)
        if _still_holds(cursor, MODELS, grid, examined) and not touched(cursor, MODELS, _digest(grids), grid, end):
            found.append(_kept(MODELS, grid))
            continue
        rows = [_learnt_row(part, kind, examined) for kind, part in _groups(recent(cursor, grid, end))]
        if rows:
            found.append(rows_of(cursor, f"models_{grid.step.name}", _columns(_MODEL_COLUMNS, rows)))
    return found


def _learnt_row(part: Recent, kind: str, examined: datetime) -> dict[str, Any]:
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


def _accuracy(cursor: Connection, _: datetime, as_of: datetime) -> Sequence[str]:
    found = []
    grids = declared_grids(cursor)
    for grid in grids:
        end = examined_until(as_of)
        models = stored_models(cursor, grid, end)
        if (
            models
            and _still_holds(cursor, ACCURACY, grid, end)
            and _examined_models(cursor, grid) == {model.model_id for model in models.values()}
            and not touched(cursor, ACCURACY, _digest(grids), grid, end)
        ):
            found.append(_kept(ACCURACY, grid))
            continue
        rows = _examined_rows(recent(cursor, grid, end), models)
        if rows:
            found.append(rows_of(cursor, f"accuracy_{grid.step.name}", _columns(_ACCURACY_COLUMNS, rows)))
    return found


def _examined_rows(data: Recent, models: dict[str, StoredModel]) -> list[dict[str, Any]]:
    if not models:
        return []
    from cogniforge_pipeline.aiops.forecasting.examination import examine

    rows: list[dict[str, Any]] = []
    step, horizon = data.grid.step, data.grid.horizon
    for kind, part in _groups(data):
        stored = models.get(kind) or models.get(MIXED) or next(iter(models.values()))
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


def _forecasts(cursor: Connection, _: datetime, as_of: datetime) -> Sequence[str]:
    found = []
    for grid in declared_grids(cursor):
        data = recent(cursor, grid, grid.moment(as_of))
        models, refused = stored_models(cursor, grid, data.end), refused_series(cursor, grid, data.end)
        basis = _basis(data, models, refused)
        name = literal(grid.step.name)
        before = cursor.execute(f"SELECT DISTINCT basis FROM {FORECASTS} WHERE step = {name}").fetchall()
        if before == [(basis,)]:
            found.append(_kept(FORECASTS, grid))
        elif len(data.ids):
            columns = forecast_columns(data, models, refused) | {"basis": basis}
            found.append(rows_of(cursor, f"forecasts_{grid.step.name}", _repeated(_FORECAST_COLUMNS, columns)))
    return found


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
    for kind, part in _groups(data):
        from cogniforge_pipeline.aiops.forecasting.learnt import Learnt
        from cogniforge_pipeline.aiops.forecasting.model import serve

        rows = np.array([place[int(series)] for series in part.ids])
        stored = models.get(kind) or models.get(MIXED)
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


def _groups(data: Recent) -> list[tuple[str, Recent]]:
    """The series that the global forecaster takes, by type of metric; types with few of them together."""
    import numpy as np

    from cogniforge_pipeline.aiops.forecasting.past import least_length

    long = np.flatnonzero(data.counts >= least_length(data.grid.step.season, data.grid.horizon))
    if not len(long):
        return []
    from cogniforge_pipeline.aiops.forecasting.groups import long_enough

    part = data.only(long)
    part = part.only(np.flatnonzero(long_enough(panel(part), data.grid.step.season, data.grid.horizon)))
    kinds, counts = np.unique(part.metric_types.astype(str), return_counts=True)
    own = {str(kind) for kind, count in zip(kinds, counts, strict=True) if count >= OWN_MODEL}
    names = np.array([kind if kind in own else MIXED for kind in part.metric_types], dtype=str)
    return [(str(kind), part.only(np.flatnonzero(names == kind))) for kind in np.unique(names)]


def _basis(data: Recent, models: dict[str, StoredModel], refused: frozenset[int]) -> str:
    """Names all that a forecast follows from."""
    about = repr((VERSION, data.end, data.grid, sorted(model.model_id for model in models.values()), sorted(refused)))
    return sha256(about.encode() + data.ids.tobytes() + data.values.tobytes()).hexdigest()[:16]


def _still_holds(cursor: Connection, table: str, grid: Grid, examined: datetime) -> bool:
    rows = cursor.execute(
        f"SELECT DISTINCT examined_until FROM {table} WHERE step = {literal(grid.step.name)}"
    ).fetchall()
    return rows == [(examined,)]


def _examined_models(cursor: Connection, grid: Grid) -> set[str]:
    rows = cursor.execute(f"SELECT DISTINCT model_id FROM {ACCURACY} WHERE step = {literal(grid.step.name)}").fetchall()
    return {model for (model,) in rows}


def _kept(table: str, grid: Grid) -> str:
    return f"SELECT * FROM {table} WHERE step = {literal(grid.step.name)}"


_FIGURES = ("mase", "naive_mase", "msis", "naive_msis", "coverage80", "coverage95")
_MODEL_COLUMNS = {
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
_ACCURACY_COLUMNS = {
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
_FORECAST_COLUMNS = {
    "series_id": "BIGINT",
    "step": "VARCHAR",
    "made_at": "TIMESTAMPTZ",
    "ts": "TIMESTAMPTZ",
    **dict.fromkeys(("mean", "lo80", "hi80", "lo95", "hi95"), "DOUBLE"),
    "model": "VARCHAR",
    "basis": "VARCHAR",
}


def _columns(kinds: dict[str, str], rows: Sequence[dict[str, Any]]) -> dict[str, tuple[str, list[Any]]]:
    return {name: (kind, [row[name] for row in rows]) for name, kind in kinds.items()}


def _repeated(kinds: dict[str, str], columns: dict[str, Any]) -> dict[str, tuple[str, list[Any]]]:
    """Columns of one length; what is no list holds for all rows."""
    size = len(columns["series_id"])
    return {
        name: (kind, columns[name] if isinstance(columns[name], list) else [columns[name]] * size)
        for name, kind in kinds.items()
    }
