"""Timing candidates side by side and reporting one JSON line.

Belongs here: what every benchmark needs. Does not: what is measured.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any


def alternate(candidates: Mapping[str, Callable[[], object]], rounds: int = 15) -> dict[str, float]:
    """Median seconds of each candidate over `rounds`, run in turn after one warm-up each.

    The order turns round every time, so that no candidate always runs after the same other one.
    """
    for run in candidates.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds):
        names = list(candidates)
        for name in names if number % 2 else reversed(names):
            start = time.perf_counter()
            candidates[name]()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def report(bench: str, measured: float, baseline: float, bar: float, *, at_least: bool = False, **more: Any) -> bool:
    """Print the JSON line of a benchmark and return whether its bar is met.

    The ratio is measured / baseline; it must be at most `bar`, or at least `bar` where `at_least` is set.
    `more` are further figures for the same line.
    """
    ratio = measured / baseline
    ok = ratio >= bar if at_least else ratio <= bar
    line = {
        "bench": bench,
        "measured": round(measured, 6),
        "baseline": round(baseline, 6),
        "ratio": round(ratio, 3),
        "bar": bar,
        "ok": ok,
        "command": f"python -m bench.{bench}",
    }
    print(json.dumps(line | more))
    return ok
