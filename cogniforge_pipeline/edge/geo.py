"""Distances on the earth, and the round-trip times that they suggest.

Belongs here: geometry and the distance estimate with its interval. Does not: measured times (`latency.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

EARTH_KM = 6371.0
ACCESS_MS = 10.0
"""What a user's own access adds to the time between two data centres, an assumption."""

_KM = (0, 100, 300, 1000, 2250, 4500, 7500, 11000, 15500, 20100)
_LOW = (0.8, 2.2, 6, 16, 32, 62, 100, 142, 188, 235)
_MIDDLE = (1.5, 4, 9, 24, 47, 86, 134, 194, 243, 300)
_HIGH = (8, 16, 30, 62, 108, 155, 225, 275, 350, 430)
"""Rounded 5, 50 and 95 % points of round-trip times in ms between public regions of three clouds, measured in 2022, by
great-circle distance in km; light in fibre alone would take 0.01 ms per km."""


def distances(lat: Array, lon: Array, to_lat: Array, to_lon: Array) -> Array:
    """Great-circle distances in km, one row for each first point and one column for each second (haversine)."""
    import numpy as np

    phi, to_phi = np.radians(lat)[:, None], np.radians(to_lat)[None, :]
    half = (np.radians(to_lon)[None, :] - np.radians(lon)[:, None]) / 2
    chord = np.sin((to_phi - phi) / 2) ** 2 + np.cos(phi) * np.cos(to_phi) * np.sin(half) ** 2
    return np.asarray(2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(chord, 0, 1))))


def estimated_rtt(km: Array) -> tuple[Array, Array, Array]:
    """Low, middle and high round-trip time in ms of distances in km; 90 % of pairs lie between low and high."""
    import numpy as np

    low, middle, high = (np.interp(km, _KM, curve) for curve in (_LOW, _MIDDLE, _HIGH))
    return low, middle, high
