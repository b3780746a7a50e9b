"""Round-trip times between places: measured where they were measured, else estimated with an interval.

Belongs here: the directed table of measured times, what the measured ones teach about the others, and matrices.
Does not: reading files (`tabular.py`), or what a workload needs of them.

A missing pair is estimated from its distance and, with MINIMUM or more measured pairs, from the shortest detour over a
third place that was measured both ways, which knows of cables that distance does not: log(time / expected by distance)
is linear in log(detour / expected). A pair is never part of its own detour, so the residuals of the measured pairs are
those of pairs that were not measured, and give the interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from cogniforge_pipeline.edge.geo import ACCESS_MS, distances, estimated_rtt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MINIMUM = 30
COVERED = (0.05, 0.95)
BOTH_WAYS = 0.1
"""How much the times of the two ways of a pair usually differ: 88 % of measured pairs differ by less."""

BASES = ("pair", "reverse", "distance", "detour", "same place")
MEASURED, REVERSE, DISTANCE, DETOUR, SAME = range(5)


class Point(Protocol):
    """Anything with a name and coordinates in degrees. `is_user`: its times include a user's access."""

    @property
    def point_id(self) -> str: ...
    @property
    def lat(self) -> float: ...
    @property
    def lon(self) -> float: ...
    @property
    def is_user(self) -> bool: ...


@dataclass(frozen=True)
class Times:
    """Round-trip times in ms from each of the first points (rows) to each of the second, with 90 % intervals.

    `basis` says what each follows from, as a place in BASES; only 0 was measured itself.
    """

    middle: Array
    low: Array
    high: Array
    basis: NDArray[np.int8]


@dataclass(frozen=True)
class Latency:
    """Measured times in ms by (source, target), which need not be alike both ways, between `points`.

    Points that nothing was measured of may be asked for, too.
    """

    measured: Mapping[tuple[str, str], float]
    points: Mapping[str, Point]

    def times(self, sources: Sequence[Point], targets: Sequence[Point]) -> Times:
        """The matrix of times; see Times."""
        import numpy as np

        low, middle, high = estimated_rtt(_km(sources, targets))
        access = np.array([ACCESS_MS if a.is_user else 0.0 for a in sources]).reshape(-1, 1)
        basis = np.full(middle.shape, DISTANCE, dtype=np.int8)
        same = np.array([a.point_id for a in sources], dtype=object).reshape(-1, 1) == np.array(
            [b.point_id for b in targets], dtype=object
        )
        if self._detours:
            low, middle, high, known = self._detours.improve(sources, targets, low, middle, high)
            basis[known & ~same] = DETOUR
        low, middle, high = low + access, middle + access, high + access
        basis[same] = SAME
        there, back = self._lookup(sources, targets), self._lookup(targets, sources).T
        other = np.isnan(there) & ~np.isnan(back)
        middle = np.where(other, back, np.where(np.isnan(there), middle, there))
        low = np.where(other, back * (1 - BOTH_WAYS), np.where(np.isnan(there), low, there))
        high = np.where(other, back * (1 + BOTH_WAYS), np.where(np.isnan(there), high, there))
        basis[other] = REVERSE
        basis[~np.isnan(there)] = MEASURED
        return Times(middle, low, high, basis)

    def _lookup(self, sources: Sequence[Point], targets: Sequence[Point]) -> Array:
        """The measured times of the pairs, NaN where there is none."""
        import numpy as np

        matrix, place = self._matrix
        rows = np.array([place.get(a.point_id, -1) for a in sources], dtype=int)
        columns = np.array([place.get(b.point_id, -1) for b in targets], dtype=int)
        return np.asarray(matrix[np.ix_(rows, columns)])

    @cached_property
    def _matrix(self) -> tuple[Array, dict[str, int]]:
        """All measured times; the last row and column are of points that nothing was measured of."""
        import numpy as np

        names = sorted({name for pair in self.measured for name in pair})
        place = {name: number for number, name in enumerate(names)}
        matrix = np.full((len(names) + 1, len(names) + 1), np.nan)
        for (a, b), time in self.measured.items():
            matrix[place[a], place[b]] = time
        return matrix, place

    @cached_property
    def _detours(self) -> _Detours | None:
        usable = {
            (a, b): time
            for (a, b), time in self.measured.items()
            if a != b and a in self.points and b in self.points and time > 0 and not self.points[a].is_user
        }
        return _fit_detours(usable, self.points) if len(usable) >= MINIMUM else None


@dataclass(frozen=True)
class _Detours:
    """Shortest detours in ms between `place`s, and the line through the measured pairs; `low` and `high` are the
    residuals' COVERED points."""

    shortest: Array
    place: Mapping[str, int]
    offset: float
    slope: float
    low: float
    high: float

    def improve(
        self, sources: Sequence[Point], targets: Sequence[Point], low: Array, middle: Array, high: Array
    ) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
        """The estimates where a detour is known, the given ones elsewhere."""
        import numpy as np

        rows = np.array([self.place.get(a.point_id, -1) for a in sources], dtype=int)
        columns = np.array([self.place.get(b.point_id, -1) for b in targets], dtype=int)
        detour = self.shortest[np.ix_(rows, columns)]
        known = np.isfinite(detour)
        ratio = np.log(np.where(known, detour, middle) / middle)
        fitted = middle * np.exp(self.offset + self.slope * ratio)
        return (
            np.where(known, fitted * np.exp(self.low), low),
            np.where(known, fitted, middle),
            np.where(known, fitted * np.exp(self.high), high),
            known,
        )


def _fit_detours(measured: Mapping[tuple[str, str], float], points: Mapping[str, Point]) -> _Detours | None:
    import numpy as np

    names = sorted({name for pair in measured for name in pair})
    place = {name: number for number, name in enumerate(names)}
    legs = np.full((len(names) + 1, len(names) + 1), np.inf)
    for (a, b), time in measured.items():
        i, j = place[a], place[b]
        legs[i, j] = legs[j, i] = min(time, legs[i, j])
    # the diagonal is infinite, so neither end is a place in between
    shortest = np.stack([(legs + row).min(axis=1) for row in legs])
    rows = np.array([place[a] for a, _ in measured])
    columns = np.array([place[b] for _, b in measured])
    located = [points[name] for name in names]
    expected = estimated_rtt(_km(located, located))[1][rows, columns]
    detour, times = shortest[rows, columns], np.array(list(measured.values()))
    known = np.isfinite(detour)
    if known.sum() < MINIMUM:
        return None
    x, y = np.log(detour[known] / expected[known]), np.log(times[known] / expected[known])
    slope, offset = np.polyfit(x, y, 1)
    low, high = np.quantile(y - (offset + slope * x), COVERED)
    return _Detours(shortest, place, float(offset), float(slope), float(low), float(high))


def _km(sources: Sequence[Point], targets: Sequence[Point]) -> Array:
    import numpy as np

    a = np.array([(p.lat, p.lon) for p in sources], dtype=float).reshape(-1, 2)
    b = np.array([(p.lat, p.lon) for p in targets], dtype=float).reshape(-1, 2)
    return distances(a[:, 0], a[:, 1], b[:, 0], b[:, 1])
