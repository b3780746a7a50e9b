"""The tables of forecasts: what was learnt, how good it was, and what is expected.

Belongs here: recipes around the forecaster, and when something made before still holds. Does not: mathematics
(`forecasting/`), rows (`forecast_rows.py`), reading rollups (`forecast_inputs.py`), capacity (`capacity_tables.py`).

All three follow from the rollups, what is declared and `as_of` alone, so that a restart, another executor or a question about
the past gives the same rows. Once a day of telemetry, an hour after midnight, models are learnt from what was known some
days before, and examined on the days since: the trees that serve are those that were examined. Forecasts are made anew when
another step is over; until then, and where no new data touched what they were made from, the rows that are there are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256

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
from cogniforge_pipeline.aiops.forecast_rows import (
    ACCURACY,
    ACCURACY_COLUMNS,
    FORECAST_COLUMNS,
    MODEL_COLUMNS,
    MODELS,
    StoredModel,
    columns_of,
    examined_rows,
    forecast_columns,
    groups_of,
    learnt_row,
    refused_series,
    repeated,
    stored_models,
)
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.recipes import Computed, Statements, Written
from cogniforge_pipeline.sqltext import literal

FORECASTS = "aiops.forecasts"
VERSION = "1"
"""Changes with the meaning of what is computed here or by the forecaster."""
DAY, SETTLED = 86_400, timedelta(hours=1)


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
        rows = [learnt_row(part, kind, examined) for kind, part in groups_of(recent(cursor, grid, end))]
        if rows:
            found.append(rows_of(cursor, f"models_{grid.step.name}", columns_of(MODEL_COLUMNS, rows)))
    return found


def _accuracy(cursor: Connection, _: datetime, as_of: datetime) -> Sequence[str]:
    found = []
    grids = declared_grids(cursor)
    for grid in grids:
        end = examined_until(as_of)
        models = stored_models(cursor, grid, end)
        if (
            models
            and _still_holds(cursor, ACCURACY, grid, end)
            and _examined_models(cursor, grid) <= {model.model_id for model in models.values()}
            and not touched(cursor, ACCURACY, _digest(grids), grid, end)
        ):
            found.append(_kept(ACCURACY, grid))
            continue
        rows = examined_rows(recent(cursor, grid, end), models)
        if rows:
            found.append(rows_of(cursor, f"accuracy_{grid.step.name}", columns_of(ACCURACY_COLUMNS, rows)))
    return found


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
            found.append(rows_of(cursor, f"forecasts_{grid.step.name}", repeated(FORECAST_COLUMNS, columns)))
    return found


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
