"""The base forecast: experts weighted, per series, by their errors at past origins.

Belongs here: what an error costs, and the combination. Does not: the experts (`experts.py`), their errors (`past.py`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
BEST, POWER = 14, 12


def error_weight(actual: Floats, scale: Floats) -> Floats:
    """What an error of one scale costs: the gradient of OWA, with the MASE and sMAPE of Naive2 on hourly data.

    `scale` is that of MASE. Close to zero the part of sMAPE is bounded.
    """
    cost = 1 / 2.395 + 5.44 * scale / np.maximum(np.abs(actual), 0.05 * scale)
    return np.asarray(cost, dtype=np.float32)


def combine(forecasts: Floats, errors: Floats) -> tuple[Floats, Floats, Floats]:
    """The base forecast, the spread of the best experts (series, steps), and the least error (series,).

    From forecasts (experts, series, steps) and mean errors (experts, series): half the median of the best experts, half
    their mean weighted by (best error / error) to a power.
    """
    order = np.argsort(errors, axis=0, kind="stable")[:BEST]
    best = np.take_along_axis(forecasts, order[:, :, None], axis=0)
    error = np.take_along_axis(errors, order, axis=0)
    floor = np.maximum(error, 1e-9)
    weights = (floor[0] / floor) ** POWER
    weights /= weights.sum(axis=0)
    mixed = 0.5 * np.median(best, axis=0) + 0.5 * np.einsum("es,esk->sk", weights, best)
    return mixed.astype(np.float32), best.std(axis=0), error[0]
