"""Forecasts of many series at once: one global forecaster, seasonal naive beside it, theta and ETS for short series.

Belongs here: pure functions over arrays and polars frames, and the public names, each loaded when it is first asked for, so
that a home with little history loads neither polars nor scikit-learn. Does not: tables, Dagster, the command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cogniforge_pipeline.lazy import exports

if TYPE_CHECKING:
    from cogniforge_pipeline.aiops.forecasting.accuracy import Accuracy, assess
    from cogniforge_pipeline.aiops.forecasting.evaluation import rolling_accuracy
    from cogniforge_pipeline.aiops.forecasting.model import Model, train

__all__ = ["Accuracy", "Model", "assess", "rolling_accuracy", "train"]

__getattr__, __dir__ = exports(
    __name__,
    {"accuracy": ("Accuracy", "assess"), "evaluation": ("rolling_accuracy",), "model": ("Model", "train")},
)
