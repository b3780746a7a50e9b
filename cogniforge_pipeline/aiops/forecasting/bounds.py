"""A forecast's mean and bounds by name, and what a series' history says of them.

Belongs here: what the global forecaster and those of short series share. Does not: half-widths (`intervals.py`, `short.py`).
"""

from __future__ import annotations

import numpy as np

from cogniforge_pipeline.aiops.forecasting.accuracy import Array

BOUNDS = ("mean", "lo80", "hi80", "lo95", "hi95")


def bounded(mean: Array, half80: Array, half95: Array) -> dict[str, Array]:
    """Mean and bounds by name, the bounds symmetric around the mean."""
    return {
        "mean": mean,
        "lo80": mean - half80,
        "hi80": mean + half80,
        "lo95": mean - half95,
        "hi95": mean + half95,
    }


def respect_history(values: Array, bounds: dict[str, Array]) -> None:
    """No bound (n, H) below zero where no value (n, T) was; no width where no value ever changed."""
    known = ~np.isnan(values)
    lowest = np.min(np.where(known, values, np.inf), axis=1)
    highest = np.max(np.where(known, values, -np.inf), axis=1)
    constant = (lowest == highest) & (known.sum(axis=1) > 1)
    for made in bounds.values():
        made[constant] = lowest[constant, None]
        made[lowest >= 0] = np.maximum(made[lowest >= 0], 0)
