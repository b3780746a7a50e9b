"""Measurements as the Python API takes them.

Belongs here: the type, what makes a measurement valid, its line of JSON. Does not: keeping it (`collect.py`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from cogniforge_pipeline.errors import CogniforgeError

KINDS = ("gauge", "counter", "delta")
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = timedelta(days=1)
"""A measurement may be so far ahead of this machine's clock."""
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class MetricType(StrEnum):
    """What a metric means, whatever it is called; as `metric_type` in `aiops.series`."""

    LATENCY = "latency"
    REQUEST_RATE = "request_rate"
    ERROR_RATE = "error_rate"
    CPU_USAGE = "cpu_usage"
    MEMORY_USAGE = "memory_usage"
    DISK_USAGE = "disk_usage"
    NETWORK = "network"
    SATURATION = "saturation"
    THROUGHPUT = "throughput"
    AVAILABILITY = "availability"
    CUSTOM = "custom"


class TelemetryRefused(CogniforgeError):
    """A measurement that cannot be kept; nothing of the call was."""


@dataclass(frozen=True)
class TelemetryData:
    """One measurement.

    Its series is told by `service_name`, `metric_name` (without one, the metric type's name) and `labels`; a series has
    one value at a moment, the first that is told. `value` is in `unit` (any spelling: ms, seconds, bytes). `timestamp`
    has a time zone. `kind` says how values add up: gauge is a state, counter a running total, delta an amount since
    the point before. `metric_id` names the measurement for whoever tells of it, and is not kept.
    """

    metric_id: str
    service_name: str
    metric_type: MetricType | str
    value: float
    timestamp: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    unit: str | None = None
    metric_name: str | None = None
    kind: Literal["gauge", "counter", "delta"] = "gauge"

    def to_line(self, now: datetime) -> str:
        """Its line of JSON, without the newline. Raises TelemetryRefused for what is no measurement at `now`."""
        return _ENCODE(
            {
                "timestamp": self._moment(now),
                "service": self._text("service_name", self.service_name),
                "metric": self._text("metric_name", self.metric_name or str(self.metric_type)),
                "value": self._number(),
                "metric_type": self._metric_type(),
                "kind": self._kind(),
                **({} if self.unit is None else {"unit": self._text("unit", self.unit)}),
                **({"labels": self._labels()} if self.labels else {}),
            }
        )

    def _moment(self, now: datetime) -> str:
        ts = self.timestamp
        if not isinstance(ts, datetime) or ts.tzinfo is None:
            raise self._refused("timestamp", "a datetime with a time zone", ts, "such as datetime.now(UTC)")
        if not EARLIEST <= ts <= now + LATEST:
            raise self._refused("timestamp", "a time from 1970 to a day from now", ts.isoformat())
        return ts.astimezone(UTC).isoformat()

    def _number(self) -> float:
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._refused("value", "a finite number", value, "leave out what was not measured")
        return float(value)

    def _metric_type(self) -> str:
        try:
            return str(MetricType(self.metric_type))
        except ValueError:
            raise self._refused("metric_type", f"one of {', '.join(MetricType)}", self.metric_type) from None

    def _kind(self) -> str:
        if self.kind not in KINDS:
            raise self._refused("kind", f"one of {', '.join(KINDS)}", self.kind)
        return self.kind

    def _labels(self) -> dict[str, str]:
        if not isinstance(self.labels, Mapping):
            raise self._refused("labels", "a mapping of texts", self.labels)
        return {self._text("labels", name): self._text(f"labels[{name!r}]", text) for name, text in self.labels.items()}

    def _text(self, place: str, text: Any) -> str:
        if not isinstance(text, str) or not text.strip() or _CONTROL.search(text):
            raise self._refused(place, "a text that is not empty, without control characters", text)
        return text

    def _refused(self, place: str, expected: str, got: Any, hint: str | None = None) -> TelemetryRefused:
        return TelemetryRefused(f"measurement {self.metric_id}: {place}: expected {expected}, got {got!r}", hint)
