"""What goes wrong in the shop, and when: the known answers and the disturbances they make.

Belongs here: reading `incidents.yaml` and `deployments.yaml`, and the shape of each kind of incident.
Does not: how trouble travels from one service to another (`shop_model`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from shop_model import DAY, Floats, noise, seasonal

HERE = Path(__file__).parent

KINDS = (
    "spike",
    "dip",
    "level_shift",
    "drift",
    "variance",
    "seasonality",
    "flat_line",
    "missing_data",
    "slow_leak",
    "cascading",
)
CHANNELS = {
    ("requests_total", None): "requests",
    ("requests_total", "4xx"): "rejects",
    ("requests_total", "5xx"): "errors",
    ("request_latency_ms", None): "latency",
    ("cpu_usage", None): "cpu",
    ("memory_usage", None): "memory",
    ("disk_usage", None): "disk",
    ("queue_depth", None): "queue",
}


@dataclass(frozen=True)
class Effect:
    """One disturbance of one metric, from `minute` after the start of the data. `code`: for requests_total.

    Raises ValueError for a kind that is not known.
    """

    kind: str
    service: str
    metric: str
    minute: int
    minutes: int
    magnitude: float = 0.0
    code: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"expected a kind of {', '.join(KINDS)}, got {self.kind!r}")


@dataclass(frozen=True)
class Incident:
    """A known answer: where an incident is seen first, its cause, who is affected. Minutes from the start."""

    id: str
    kind: str
    service: str
    metric: str
    minute: int
    minutes: int
    cause: str
    affected: tuple[str, ...]
    effects: tuple[Effect, ...]
    note: str


@dataclass(frozen=True)
class Deployment:
    """A new version of a service, which restarts its process. `incident` names what the version caused."""

    minute: int
    service: str
    version: str
    changed_lines: int
    incident: str | None


@dataclass(frozen=True)
class Maintenance:
    """An announced window: what it disturbs is expected."""

    service: str
    minute: int
    minutes: int
    effects: tuple[Effect, ...]
    note: str


def _read(path: Path, section: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))[section]
    return rows


def _minute(row: dict[str, Any]) -> int:
    hour, minute = str(row["at"]).split(":")
    return int(row["day"]) * DAY + int(hour) * 60 + int(minute)


def _effects(row: dict[str, Any]) -> tuple[Effect, ...]:
    """The effects listed in a row, or one if none is. What an effect does not say is as in the row."""
    keys = ("kind", "service", "metric", "minutes", "magnitude", "code")
    found = []
    for listed in row.get("effects", [{}]):
        common = {key: row[key] for key in keys if key in row}
        minute = _minute(row) + listed.get("after", 0)
        own = {key: value for key, value in listed.items() if key != "after"}
        found.append(Effect(**common | own, minute=minute))
    return tuple(found)


def read_incidents(path: Path = HERE / "incidents.yaml") -> list[Incident]:
    """The seeded incidents, in order of time."""
    found = [
        Incident(
            id=row["id"],
            kind=row["kind"],
            service=row["service"],
            metric=row["metric"],
            minute=_minute(row),
            minutes=row["minutes"],
            cause=row["cause"],
            affected=tuple(row["affected"]),
            effects=_effects(row),
            note=row["note"],
        )
        for row in _read(path, "incidents")
    ]
    return sorted(found, key=lambda incident: incident.minute)


def read_deployments(path: Path = HERE / "deployments.yaml") -> list[Deployment]:
    """New versions, in order of time."""
    found = [
        Deployment(_minute(row), row["service"], row["version"], row["changed_lines"], row.get("incident"))
        for row in _read(path, "deployments")
    ]
    return sorted(found, key=lambda deployment: deployment.minute)


def read_maintenance(path: Path = HERE / "deployments.yaml") -> list[Maintenance]:
    """Announced windows, in order of time."""
    found = [
        Maintenance(row["service"], _minute(row), row["minutes"], _effects(row), row["note"])
        for row in _read(path, "maintenance")
    ]
    return sorted(found, key=lambda window: window.minute)


def shape(kind: str, minutes: int) -> Floats:
    """How strong an effect is at each minute of its window, 0 to 1."""
    x = np.arange(minutes) + 1.0
    left = minutes + 1 - x
    strength: Floats = np.ones(minutes)
    match kind:
        case "spike" | "dip":
            strength = np.clip(x / 3, 0, 1) * np.clip(left / (0.3 * minutes), 0, 1)
        case "drift" | "slow_leak":
            strength = x / minutes
        case "cascading":
            strength = np.clip(x / (0.2 * minutes), 0, 1) * np.clip(left / (0.25 * minutes), 0, 1)
        case "seasonality":
            strength = np.clip(x / 60, 0, 1) * np.clip(left / 60, 0, 1)
    return strength


class Disturbance:
    """All effects together, as the services feel them; what lies after the end of the data is cut off."""

    def __init__(self, effects: Sequence[Effect], start: datetime, size: int, seed: int) -> None:
        self.size = size
        self._factors: dict[tuple[str, str], Floats] = {}
        self._added: dict[tuple[str, str], Floats] = {}
        self._unrecorded = [effect for effect in effects if effect.kind in ("flat_line", "missing_data")]
        for effect in effects:
            if effect not in self._unrecorded and effect.minute < size:
                self._apply(effect, start, (seed, 1000, effect.minute))

    def _apply(self, effect: Effect, start: datetime, seed: tuple[int, ...]) -> None:
        channel = CHANNELS[effect.metric, effect.code]
        window = slice(effect.minute, effect.minute + effect.minutes)
        strength = effect.magnitude * shape(effect.kind, effect.minutes)
        key = (effect.service, channel)
        if channel in ("errors", "rejects", "disk"):
            added = self._added.setdefault(key, np.zeros(self.size))
            added[window] += strength[: len(added[window])]
            return
        match effect.kind:
            case "variance":
                factor = np.exp(effect.magnitude * noise(seed, effect.minutes, 0.6, 1.0))
            case "seasonality":
                at = np.arange(effect.minute, effect.minute + effect.minutes, dtype=np.float64)
                moved = seasonal(start, at - effect.magnitude * 60) / seasonal(start, at)
                factor = moved ** shape(effect.kind, effect.minutes)
            case "dip":
                factor = 1 - strength
            case _:
                factor = 1 - strength if channel == "queue" else 1 + strength
        product = self._factors.setdefault(key, np.ones(self.size))
        product[window] *= factor[: len(product[window])]

    def factor(self, service: str, channel: str) -> Floats:
        """What the healthy figure is multiplied by, minute by minute."""
        return self._factors.get((service, channel), np.ones(self.size))

    def added(self, service: str, channel: str) -> Floats:
        """What is added to the healthy figure, minute by minute."""
        return self._added.get((service, channel), np.zeros(self.size))

    def recorded(self, service: str, metric: str, values: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """The values as monitoring shows them, and where it shows any: it may be stuck, or silent."""
        present = np.ones(self.size, dtype=np.bool_)
        for effect in self._unrecorded:
            if effect.service == service and effect.metric in (metric, "*") and effect.minute < self.size:
                window = slice(effect.minute, effect.minute + effect.minutes)
                if effect.kind == "missing_data":
                    present[window] = False
                else:
                    values = values.copy()
                    values[window] = values[effect.minute]
        return values, present
