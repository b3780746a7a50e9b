"""The forecaster: trained over many series of a kind, kept in a file, asked for any horizon up to its own.

Belongs here: training, serving, storing. Does not: the mathematics (the other modules), files of series (`files.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import polars as pl

from cogniforge_pipeline.aiops.forecasting.accuracy import Array, seasonal_scale
from cogniforge_pipeline.aiops.forecasting.bounds import BOUNDS, bounded, respect_history
from cogniforge_pipeline.aiops.forecasting.groups import (
    Outlook,
    concluded,
    groups_of,
    long_enough,
    outlook,
    past_of,
    served_past,
)
from cogniforge_pipeline.aiops.forecasting.intervals import fit_widths, past_errors, width_rows
from cogniforge_pipeline.aiops.forecasting.learnt import Learnt
from cogniforge_pipeline.aiops.forecasting.panel import Panel, frame_of, panel_of
from cogniforge_pipeline.aiops.forecasting.residual import fit_residual, residual_rows, stacked
from cogniforge_pipeline.aiops.forecasting.short import forecast_short
from cogniforge_pipeline.errors import CogniforgeError

VERSION = 1
TAUGHT = 600
"""Series that the trees learn from at most, drawn at random."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Served:
    """Forecasts of all series of a panel: bounds (n, H), which model was served, backtest errors in scales (n,)."""

    panel: Panel
    bounds: dict[str, Array]
    models: list[str]
    errors: Array
    naive_errors: Array


@dataclass(frozen=True)
class Model:
    """A trained forecaster; `served` is what it said when it was trained."""

    season: int
    horizon: int
    learnt: Learnt
    served: Served = field(repr=False)

    def forecast(
        self, horizon: int | None = None, history: pl.DataFrame | None = None, *, progress: Progress | None = None
    ) -> pl.DataFrame:
        """A long frame: series, step or ts, mean, lo80, hi80, lo95, hi95, model; lo95 <= lo80 <= mean <= hi80 <= hi95.

        Without `history` it goes on from the end of what the model was trained on; with one, a frame as `train` takes it, the
        series and their weights are taken from there and only the trees from the training. `horizon` is at most the one
        trained for. `model` is global, theta, ets, seasonal_naive (also where the others lose to it), or none for a series
        without any value, whose forecast is null. Raises CogniforgeError for a horizon beyond and for a bad history.
        """
        wanted = self.horizon if horizon is None else horizon
        if not 1 <= wanted <= self.horizon:
            raise CogniforgeError(
                f"a horizon of {wanted} steps was asked for; the model was trained for 1 to {self.horizon}",
                "train with a longer horizon",
            )
        served = self.served
        if history is not None:
            panel = panel_of(history, self.season, self.horizon)
            served = serve(panel, self.season, self.horizon, self.learnt, progress=progress)
        return frame_of(served.panel, {name: served.bounds[name][:, :wanted] for name in BOUNDS}, served.models)

    def backtest(self) -> pl.DataFrame:
        """For each series, which model is served, and the backtest errors of it and of seasonal naive, in MASE's scale.

        Columns series, model, mase, naive_mase. Errors are those at rolling origins before the end of the training history,
        each with what was known then; that of `global` is of its base, before the trees. Null where nothing could be tested.
        """
        return pl.DataFrame(
            {
                "series": self.served.panel.names,
                "model": self.served.models,
                "mase": pl.Series(self.served.errors).fill_nan(None),
                "naive_mase": pl.Series(self.served.naive_errors).fill_nan(None),
            }
        )

    def save(self, path: Path) -> None:
        """Write the model as a NumPy archive without pickle. The file appears whole or not at all."""
        panel = self.served.panel
        arrays: dict[str, npt.NDArray[Any]] = {f"bounds.{name}": self.served.bounds[name] for name in BOUNDS}
        arrays |= {"last": panel.last, "errors": self.served.errors, "naive_errors": self.served.naive_errors}
        trees, constants = self.learnt.arrays()
        arrays |= trees
        about = {
            "version": VERSION,
            "season": self.season,
            "horizon": self.horizon,
            "names": panel.names,
            "models": self.served.models,
            "unit": panel.unit,
            "timed": panel.timed,
            "constants": constants,
        }
        part = path.with_name(path.name + ".part")
        with part.open("wb") as file:
            np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Model:
        """The model that `save` wrote; it forecasts the same bits. Raises CogniforgeError for another file."""
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = dict(archive)
            about = json.loads(str(arrays["about"]))
            if about["version"] != VERSION:
                raise CogniforgeError(f"{path} is a forecaster of version {about['version']}", "train it again")
            count = len(about["names"])
            nothing = np.zeros((count, 0))
            panel = Panel(
                about["names"], nothing, np.zeros(count, np.int64), arrays["last"], about["unit"], about["timed"]
            )
            served = Served(
                panel,
                {name: arrays[f"bounds.{name}"] for name in BOUNDS},
                about["models"],
                arrays["errors"],
                arrays["naive_errors"],
            )
            learnt = Learnt.from_arrays(arrays, about["constants"])
            return cls(about["season"], about["horizon"], learnt, served)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise CogniforgeError(f"{path} is not a stored forecaster: {error}", "train it again") from error


def train(
    frame: pl.DataFrame, *, season: int, horizon: int, place: str | None = None, progress: Progress | None = None
) -> Model:
    """A forecaster of all series of a long frame: series, step (whole numbers) or ts (UTC), value.

    `season` and `horizon` are in steps. Series may have gaps, any sign, and different lengths and ends. `progress` is told how
    many series are done, of how many. The same frame gives the same model. Raises CogniforgeError, see `panel_of`.
    """
    for name, value in (("season", season), ("horizon", horizon)):
        if value < 1:
            raise CogniforgeError(f"{name} is {value}", f"give a {name} of at least one step")
    return train_panel(panel_of(frame, season, horizon, place=place), season, horizon, progress)


def train_panel(panel: Panel, season: int, horizon: int, progress: Progress | None = None) -> Model:
    """`train` on a panel that is there already."""
    learnt, views = learn(panel, season, horizon, progress)
    return Model(season, horizon, learnt, serve(panel, season, horizon, learnt, views=views, progress=progress))


def learn(
    panel: Panel, season: int, horizon: int, progress: Progress | None = None
) -> tuple[Learnt, dict[tuple[int, ...], Outlook]]:
    """The trees of a panel, and what the past of the series that they were learnt from says, by rows of the panel."""
    random = np.random.default_rng(0)
    rows = np.flatnonzero(long_enough(panel, season, horizon))
    taught = np.sort(random.permutation(rows)[:TAUGHT])
    views = {}
    residual_parts, width_parts = [], []
    done = 0
    for group in groups_of(panel, taught, season, horizon):
        past = past_of(panel, group, season, horizon)
        residual_parts.append(residual_rows(past, len(taught), random))
        width_parts.append(width_rows(past, past_errors(past, served_past(past)[0]), len(taught), random))
        views[tuple(group.rows.tolist())] = outlook(past)
        done += len(group.rows)
        if progress:
            progress(done, len(panel.names))
    return Learnt(fit_residual(stacked(residual_parts)), fit_widths(stacked(width_parts))), views


def serve(
    panel: Panel,
    season: int,
    horizon: int,
    learnt: Learnt,
    *,
    views: Mapping[tuple[int, ...], Outlook] | None = None,
    refused: npt.NDArray[np.bool_] | None = None,
    progress: Progress | None = None,
) -> Served:
    """Forecasts of all series; `views` are the outlooks of groups that are known already.

    Those of `refused` (n,) get seasonal naive whatever their own past says.
    """
    views = views or {}
    refuse = np.zeros(len(panel.names), bool) if refused is None else refused
    count = len(panel.names)
    bounds = {name: np.full((count, horizon), np.nan) for name in BOUNDS}
    models = np.full(count, "none", dtype=object)
    errors, naive_errors = np.full(count, np.nan), np.full(count, np.nan)
    enough = long_enough(panel, season, horizon)
    seen = np.array(sorted(row for rows in views for row in rows), dtype=np.int64)
    rest = np.setdiff1d(np.flatnonzero(enough), seen)
    done = len(seen)

    def conclude(rows: npt.NDArray[np.int64], view: Any) -> None:
        for name, values in concluded(view, learnt.residual, learnt.widths).items():
            bounds[name][rows] = values
        models[rows] = np.where(view.lost, "seasonal_naive", "global")
        errors[rows] = np.where(view.lost, view.naive_error, view.error)
        naive_errors[rows] = view.naive_error

    for rows, view in views.items():
        conclude(np.array(rows), view)
    for group in groups_of(panel, rest, season, horizon):
        conclude(group.rows, outlook(past_of(panel, group, season, horizon), refuse[group.rows]))
        done += len(group.rows)
        if progress:
            progress(done, count)
    for row in np.flatnonzero(~enough & (panel.counts > 0)):
        values = panel.values[row, -panel.counts[row] :]
        short = forecast_short(values, season, horizon, fit=not refuse[row])
        for name, found in bounded(short.mean, short.half80, short.half95).items():
            bounds[name][row] = found
        scale = seasonal_scale(values[None], season)[0]
        models[row], errors[row], naive_errors[row] = short.model, short.error / scale, short.naive_error / scale
        done += 1
        if progress and done % 20 == 0:
            progress(done, count)
    respect_history(panel.values, bounds)
    if progress:
        progress(count, count)
    return Served(panel, bounds, [str(name) for name in models], errors, naive_errors)
