"""Forecasts of many series at once: one global forecaster, seasonal naive beside it, theta and ETS for short series.

Belongs here: pure functions over arrays and polars frames, and the public names. Does not: tables, Dagster, the command.
"""

from cogniforge_pipeline.aiops.forecasting.accuracy import Accuracy, assess
from cogniforge_pipeline.aiops.forecasting.evaluation import rolling_accuracy
from cogniforge_pipeline.aiops.forecasting.model import Model, train

__all__ = ["Accuracy", "Model", "assess", "rolling_accuracy", "train"]
