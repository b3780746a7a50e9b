"""Measurements for tests of the Python API, and a worker that appends them.

Belongs here: what other processes import, so nothing heavy. Does not: homes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cogniforge_pipeline.aiops.collect import Collector
from cogniforge_pipeline.aiops.telemetry import MetricType, TelemetryData

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def measured(n: int = 0, service: str = "user-service", **changed: Any) -> TelemetryData:
    """A latency of `service`, n seconds after noon."""
    made = TelemetryData(
        f"m{n}", service, MetricType.LATENCY, 150.5 + n, NOON + timedelta(seconds=n), {"region": "eu"}, "ms"
    )
    return replace(made, **changed)


def append(landing: Path, worker: int, batches: int, size: int) -> None:
    """Appends batches of measurements of a service of its own."""
    collector = Collector(landing)
    for batch in range(batches):
        first = batch * size
        collector.append([measured(n, f"s{worker}") for n in range(first, first + size)])
