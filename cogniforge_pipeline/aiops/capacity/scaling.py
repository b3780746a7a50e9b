"""How the load on a service grows with its demand: in proportion, or by the universal scalability law.

Belongs here: the two laws, fitting them, and whether a fit deserves trust. Does not: how much room to keep.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cogniforge_pipeline.errors import CogniforgeError

Floats = NDArray[np.float64]

_FEWEST = 30
_SPREAD = 2.0
_NOISE = 0.15
_GAIN = 0.8
_REACH = 2.0
_WORTHLESS = 0.01


@dataclass(frozen=True)
class Scaling:
    """The demand X that N busy units serve.

    linear: X = rate_per_unit * (N - idle_load). usl (Gunther): X = rate_per_unit * N / (1 + contention * (N - 1) +
    coherency * N * (N - 1)), which peaks at N = sqrt((1 - contention) / coherency). `trusted` says whether the fit
    deserves trust, `reason` why; `largest_load` is the largest that was observed (0: none was).
    """

    kind: Literal["linear", "usl"] = "linear"
    rate_per_unit: float = 1.0
    idle_load: float = 0.0
    contention: float = 0.0
    coherency: float = 0.0
    trusted: bool = True
    reason: str = "demand is given in busy units"
    largest_load: float = 0.0

    @cached_property
    def peak(self) -> float:
        """The number of busy units beyond which one more serves less than 1 % of what the first does, or harms."""
        if self.kind == "linear" or (self.contention == 0 and self.coherency == 0):
            return math.inf
        low, high = 0.0, 1.0
        while self._slope(high) > _WORTHLESS:
            low, high = high, 2 * high
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self._slope(middle) > _WORTHLESS else (low, middle)
        return low

    def _slope(self, load: float) -> float:
        """What one more unit serves, in rates of one unit."""
        divisor = 1 + self.contention * (load - 1) + self.coherency * load * (load - 1)
        return (1 - self.contention - self.coherency * load**2) / divisor**2

    def load_of(self, demand: float) -> float:
        """The busy units that serve `demand`; infinite when no number does."""
        return float(self.loads_of(np.array([demand]))[0])

    def loads_of(self, demand: Floats) -> Floats:
        """As `load_of`, for each amount of demand."""
        if self.kind == "linear":
            return self.idle_load + np.maximum(demand, 0) / self.rate_per_unit
        demand = np.maximum(demand, 0)
        square = demand * self.coherency
        middle = self.rate_per_unit - demand * (self.contention - self.coherency)
        constant = demand * (1 - self.contention)
        inside = middle**2 - 4 * square * constant
        served = (middle > 0) & (inside >= 0)
        root = np.sqrt(np.where(served, inside, 0))
        return np.where(served, 2 * constant / np.where(served, middle + root, 1), np.inf)

    def demand_at(self, load: float) -> float:
        """The demand that `load` busy units serve, at most that of the peak."""
        if self.kind == "linear":
            return max(0.0, (load - self.idle_load) * self.rate_per_unit)
        load = min(load, self.peak)
        return self.rate_per_unit * load / (1 + self.contention * (load - 1) + self.coherency * load * (load - 1))


def fit_scaling(demand: ArrayLike, load: ArrayLike) -> Scaling:
    """The law of a service from its own history: demand and busy units (utilisation times units) at the same moments.

    Both laws are fitted by non-negative least squares on relative errors. The universal scalability law is taken only
    when, fitted to the smaller loads, it foretells the largest fifth with at most .8 of the linear law's error, and
    fits no worse on the whole. `trusted` asks for 30 points, loads that differ by a factor of 2 (5 % to 95 %
    quantile), and a median error of the load of at most 15 %. Points with no demand, no load or NaN are left out.
    Raises CogniforgeError for fewer than 3 usable points or lengths that differ.
    """
    x, n = (np.asarray(values, dtype=np.float64) for values in (demand, load))
    if x.shape != n.shape or x.ndim != 1:
        raise CogniforgeError(f"demand and load are of different lengths: {x.shape} and {n.shape}")
    usable = np.isfinite(x) & np.isfinite(n) & (x > 0) & (n > 0)
    x, n = x[usable], n[usable]
    if len(x) < 3:
        raise CogniforgeError(f"{len(x)} moments with demand and load, 3 are needed", "wait for more history")
    order = np.argsort(n)
    x, n = x[order], n[order]
    linear, usl = _linear(x, n), _usl(x, n)
    cut = len(x) * 4 // 5
    chosen, why = linear, "in proportion"
    if len(x) >= _FEWEST and usl is not None:
        early = _usl(x[:cut], n[:cut])
        if early is not None and (usl.contention > 0 or usl.coherency > 0):
            foretold = _error(early, x[cut:], n[cut:]), _error(_linear(x[:cut], n[:cut]), x[cut:], n[cut:])
            if foretold[0] <= _GAIN * foretold[1] and _error(usl, x, n) <= _error(linear, x, n):
                chosen, why = usl, f"foretells large loads within {foretold[0]:.0%}, in proportion {foretold[1]:.0%}"
    trusted, doubt = _trust(chosen, x, n)
    reason = f"{chosen.kind}: {why}; {doubt}"
    return Scaling(
        chosen.kind,
        chosen.rate_per_unit,
        chosen.idle_load,
        chosen.contention,
        chosen.coherency,
        trusted,
        reason,
        float(n[-1]),
    )


def extrapolates(scaling: Scaling, load: float) -> bool:
    """Whether a load is more than twice the largest that the law was fitted to."""
    return 0 < scaling.largest_load * _REACH < load


def _trust(law: Scaling, x: Floats, n: Floats) -> tuple[bool, str]:
    if len(x) < _FEWEST:
        return False, f"{len(x)} points, {_FEWEST} are needed for trust"
    low, high = np.quantile(n, (0.05, 0.95))
    if high < _SPREAD * low:
        return False, f"loads only from {low:.3g} to {high:.3g}, a factor of {_SPREAD:g} is needed for trust"
    error = _error(law, x, n)
    return error <= _NOISE, f"median error of the load {error:.0%}" + (
        "" if error <= _NOISE else ", too much for trust"
    )


def _error(law: Scaling, x: Floats, n: Floats) -> float:
    """The median relative error of the load; demand beyond the peak counts as the peak."""
    loads = np.minimum(law.loads_of(x), min(law.peak, 1e12))
    return float(np.median(np.abs(loads - n) / n))


def _linear(x: Floats, n: Floats) -> Scaling:
    """N = idle + X / rate, relative errors; all idle when the load does not grow with the demand."""
    from scipy.optimize import nnls

    (idle, slope), _ = nnls(np.column_stack([1 / n, x / n]), np.ones(len(x)))
    if slope <= 0:
        idle, slope = 0.0, float(np.median(n / x))
    return Scaling("linear", 1 / float(slope), float(idle))


def _usl(x: Floats, n: Floats) -> Scaling | None:
    """N/X = (1 + contention (N - 1) + coherency N (N - 1)) / rate, linear in its three products; None when no fit."""
    from scipy.optimize import nnls

    ratio = n / x
    terms = np.column_stack([np.ones(len(n)), n - 1, n * (n - 1)]) / ratio[:, None]
    (one, contention, coherency), _ = nnls(terms, np.ones(len(n)))
    if one <= 0 or contention >= one:
        return None
    return Scaling("usl", 1 / float(one), 0.0, float(contention / one), float(coherency / one))
