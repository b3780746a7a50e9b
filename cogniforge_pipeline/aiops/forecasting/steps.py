"""The grids that telemetry is forecast on: an hour, and five minutes.

Belongs here: seconds, seasons, how much history is looked at. Does not: horizons that a user declares, tables. Light on purpose:
it loads nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

HOUR = 3600


@dataclass(frozen=True)
class Step:
    """A grid: a day is its season, and `columns` steps of history are looked at, however long it is."""

    name: str
    seconds: int
    columns: int

    @property
    def season(self) -> int:
        """Steps a day."""
        return 86_400 // self.seconds


HOURLY = Step("1h", HOUR, 60 * 24)
FIVE_MINUTES = Step("5m", 300, 14 * 288)
STEPS = {step.name: step for step in (HOURLY, FIVE_MINUTES)}
