"""Where a forecaster is examined: origins on days that it has not learnt from.

Belongs here: their places, which say how much is held out. Does not: the examination (`examination.py`). Light on purpose: it
loads nothing.
"""

from __future__ import annotations

ORIGINS = 3


def backs(season: int, horizon: int) -> tuple[int, ...]:
    """How many steps before the end the origins lie, newest first: one horizon, and up to two seasons more."""
    return tuple(horizon + number * season for number in range(ORIGINS))
