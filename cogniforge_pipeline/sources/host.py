"""This machine as telemetry: one sample of psutil's figures, named as OpenTelemetry names system metrics.

Belongs here: what is sampled and what it is called. Does not: when.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import duckdb
import psutil

from cogniforge_pipeline.sources.model import HostSource
from cogniforge_pipeline.sources.points import (
    POINT_COLUMNS,
    Item,
    Ledger,
    Refusal,
    name_problem,
    time_problem,
    value_problem,
)
from cogniforge_pipeline.sqltext import literal

_CPU_SECONDS = 0.2


class Sample(NamedTuple):
    """One figure of the host; `labels` are those beside the source's own."""

    metric: str
    value: float
    unit: str
    kind: str
    labels: dict[str, str]


class HostReader:
    """Samples this machine, once for each plan."""

    def __init__(self, source: HostSource) -> None:
        self.notices: list[str] = []
        self._source = source

    def plan(self, ledger: Ledger, now: datetime) -> Iterator[Item | Refusal]:  # noqa: ARG002
        """Always one item: the sample taken at `now`."""
        at = now.astimezone(UTC).isoformat()
        yield Item(self._source.name, self._service(), at, {"at": at}, 0)

    def _service(self) -> str:
        return self._source.service or socket.gethostname()

    def relation(self, con: duckdb.DuckDBPyConnection, item: Item) -> str:  # noqa: ARG002
        """SELECT of the sample's points. Waits 0.2 seconds to see how busy the processors are."""
        at = datetime.fromisoformat(item.fingerprint)
        samples = [
            {**sample._asdict(), "position": position, "labels": {**self._source.labels, **sample.labels}}
            for position, sample in enumerate(take_samples(self._source.per_core), 1)
        ]
        shape = [{name: POINT_COLUMNS[name] for name in ("metric", "value", "unit", "kind", "labels", "position")}]
        rows = (
            f"SELECT {literal(at)} AS ts, CAST({literal(self._service())} AS VARCHAR) AS service, "
            "CAST(NULL AS VARCHAR) AS metric_type, "
            f"unnest(from_json({literal(json.dumps(samples))}, {literal(json.dumps(shape))}), recursive := "
            f"true)"
        )
        checked = f"SELECT *, CASE {time_problem(at)}{value_problem()}{name_problem()}END AS problem FROM ({rows})"
        columns = ", ".join(name for name in POINT_COLUMNS if name != "raw")
        return f"SELECT {columns}, CASE WHEN problem IS NOT NULL THEN metric END AS raw FROM ({checked})"


def take_samples(per_core: bool) -> list[Sample]:
    """The machine's figures now. Shares are from 0 to 1. What the platform does not tell is left out."""
    return [*_cpu(per_core), *_memory(), *_disks(), *_network()]


def _cpu(per_core: bool) -> Iterator[Sample]:
    cores = psutil.cpu_percent(interval=_CPU_SECONDS, percpu=True)
    yield Sample("system.cpu.utilization", sum(cores) / len(cores) / 100, "1", "gauge", {})
    if per_core:
        for number, percent in enumerate(cores):
            yield Sample("system.cpu.core.utilization", percent / 100, "1", "gauge", {"cpu": str(number)})
    for mode, seconds in psutil.cpu_times()._asdict().items():
        yield Sample("system.cpu.time", seconds, "s", "counter", {"mode": mode})
    for minutes, load in zip((1, 5, 15), psutil.getloadavg(), strict=True):
        yield Sample(f"system.cpu.load_average.{minutes}m", load, "1", "gauge", {})
    yield Sample("system.boot_time", psutil.boot_time(), "s", "gauge", {})


def _memory() -> Iterator[Sample]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    for state in ("used", "available", "free"):
        yield Sample("system.memory.usage", getattr(memory, state), "By", "gauge", {"state": state})
    yield Sample("system.memory.limit", memory.total, "By", "gauge", {})
    yield Sample("system.memory.utilization", memory.percent / 100, "1", "gauge", {})
    for state in ("used", "free"):
        yield Sample("system.paging.usage", getattr(swap, state), "By", "gauge", {"state": state})
    yield Sample("system.paging.utilization", swap.percent / 100, "1", "gauge", {})


def _disks() -> Iterator[Sample]:
    for partition in psutil.disk_partitions(all=False):
        try:
            usage = psutil.disk_usage(partition.mountpoint)
        except OSError:
            continue
        where = {"device": partition.device, "mountpoint": partition.mountpoint}
        for state in ("used", "free"):
            yield Sample("system.filesystem.usage", getattr(usage, state), "By", "gauge", where | {"state": state})
        yield Sample("system.filesystem.utilization", usage.percent / 100, "1", "gauge", where)
    for device, disk in (psutil.disk_io_counters(perdisk=True) or {}).items():
        if device.startswith(("loop", "ram")):
            continue
        for direction in ("read", "write"):
            labels = {"device": device, "direction": direction}
            yield Sample("system.disk.io", getattr(disk, f"{direction}_bytes"), "By", "counter", labels)
            count = getattr(disk, f"{direction}_count")
            yield Sample("system.disk.operations", count, "{operation}", "counter", labels)


def _network() -> Iterator[Sample]:
    for device, net in psutil.net_io_counters(pernic=True).items():
        for direction, word, end in (("transmit", "sent", "out"), ("receive", "recv", "in")):
            labels = {"device": device, "direction": direction}
            yield Sample("system.network.io", getattr(net, f"bytes_{word}"), "By", "counter", labels)
            packets = getattr(net, f"packets_{word}")
            yield Sample("system.network.packets", packets, "{packet}", "counter", labels)
            yield Sample("system.network.errors", getattr(net, f"err{end}"), "{error}", "counter", labels)
            yield Sample("system.network.dropped", getattr(net, f"drop{end}"), "{packet}", "counter", labels)
