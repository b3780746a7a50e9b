"""How many units a load needs so that little waits.

Belongs here: queueing formulas over plain numbers. Does not: where the load comes from.

A load is in units: 3.5 means that three and a half units are busy on average (erlangs).
"""

from __future__ import annotations

import math

from cogniforge_pipeline.errors import CogniforgeError


def erlang_c(units: int, load: float) -> float:
    """The chance that a request waits at all in an M/M/n queue; 1 when the load is `units` or more.

    By Erlang's B, which is the Poisson chance of `units` among those of at most `units`. Raises CogniforgeError for
    negative input.
    """
    if units < 0 or load < 0 or not math.isfinite(load):
        raise CogniforgeError(f"units {units} and load {load} must be finite and not negative")
    if load >= units:
        return 1.0 if load > 0 or units == 0 else 0.0
    from scipy.special import gammaln, pdtr

    blocked = math.exp(units * math.log(load) - load - gammaln(units + 1)) / float(pdtr(units, load)) if load else 0.0
    return blocked / (1 - load / units * (1 - blocked))


def units_for_wait(load: float, chance: float) -> int:
    """The fewest units at which a request waits with at most `chance`; at least 1.

    Searched between the load and its square-root staffing, which grows with the logarithm of 1/chance at most.
    """
    if not 0 < chance < 1:
        raise CogniforgeError(f"a chance of waiting lies between 0 and 1, not {chance}")
    low, high = max(1, math.floor(load)), max(1, math.ceil(load) + 1)
    while erlang_c(high, load) > chance:
        low, high = high, high + max(1, math.ceil(math.sqrt(high)))
    while low < high:
        middle = (low + high) // 2
        if erlang_c(middle, load) <= chance:
            high = middle
        else:
            low = middle + 1
    return low


def square_root_units(load: float, quality: float = 1.0) -> int:
    """Square-root staffing: load + quality * sqrt(load), rounded up, at least 1.

    The quality is how many standard deviations of the number of busy units (Poisson) are kept as room; with 1.0
    a request waits in about one of four cases (Halfin and Whitt).
    """
    if load < 0 or quality < 0:
        raise CogniforgeError(f"load {load} and quality {quality} must not be negative")
    return max(1, _up(load + quality * math.sqrt(load)))


def units_at(load: float, utilisation: float) -> int:
    """The fewest units that carry the load at `utilisation`, at least 1."""
    if not 0 < utilisation <= 1:
        raise CogniforgeError(f"a utilisation target lies within 0 and 1, not {utilisation}")
    return max(1, _up(load / utilisation))


def idle_share_of_cores(cores: float) -> float:
    """The share of a unit with so many cores that must stay idle: 0.712 / cores^0.448, at most .95.

    Netflix's fit of Erlang's C for one machine with its own queue: at it, three of ten requests wait, for 1 to 128
    cores alike. More cores pool better, so they may run hotter.
    """
    if cores <= 0:
        raise CogniforgeError(f"a unit has more than {cores} cores")
    return float(min(0.95, 0.712 / cores**0.448))


def _up(value: float) -> int:
    """Rounded up, but not for what only floating point made too large."""
    return math.ceil(value - 1e-9 * max(1.0, value))
