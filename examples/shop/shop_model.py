"""How the shop behaves: traffic, latency, errors and resources of its services, minute by minute.

Belongs here: the services and calls, seasonality, noise, and how load, latency and errors travel along the
calls. Does not: what goes wrong (`shop_incidents`), and how the telemetry is written (`shop_formats`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from shop_incidents import Deployment, Disturbance

Floats = NDArray[np.float64]
DAY = 1440
HOP_LAG = 2
"""Minutes after which a callee's slowness or errors are felt by its caller."""
SLOW_STEP = 5
"""Minutes between two readings of memory and disk, which are sampled less often than requests."""


@dataclass(frozen=True)
class Service:
    """One service: where it runs, and its healthy figures.

    `direct` is requests a minute from outside, on average; `p50` is its own work in ms; `cpu` is percent at
    the busiest healthy minute; `memory` is MiB; `disk` is percent at the start. `calls` maps a callee to
    calls made for each request. The callees in `deferred` are served from a queue: their slowness and errors
    do not come back.
    """

    name: str
    region: str
    p50: float
    cpu: float
    memory: float
    direct: float = 0.0
    direct_shift: float = 0.0
    calls: dict[str, float] = field(default_factory=dict)
    deferred: tuple[str, ...] = ()
    error_share: float = 0.001
    rejects: bool = False
    queue: bool = False
    disk: float | None = None


EU, US, WEST = "eu-central-1", "us-east4", "westeurope"
SERVICES: tuple[Service, ...] = (
    Service(
        "web", EU, 18, 62, 900, direct=9000, rejects=True, calls={"api-gateway": 1.5, "recommendation": 0.4}
    ),
    Service(
        "api-gateway", EU, 4, 55, 700, direct=1500, direct_shift=-5, rejects=True,
        calls={"catalog": 0.5, "search": 0.22, "cart": 0.15, "checkout": 0.05, "orders": 0.05}
    ),
    Service("recommendation", US, 28, 60, 3600, calls={"catalog": 0.25}),
    Service("search", US, 35, 66, 5200, calls={"catalog": 0.3}, disk=41),
    Service(
        "checkout", EU, 40, 48, 1100, rejects=True, error_share=0.002,
        calls={"cart": 1.0, "payment": 1.0, "inventory": 1.0, "orders": 0.9}
    ),
    Service("cart", EU, 16, 44, 1300, calls={"catalog": 0.3, "inventory": 0.4}, rejects=True),
    Service("catalog", EU, 12, 58, 2400, calls={"inventory": 0.35}),
    Service("payment", WEST, 85, 40, 950, error_share=0.003),
    Service("inventory", WEST, 7, 57, 1800, disk=55),
    Service(
        "orders", WEST, 22, 50, 2100, direct=180, direct_shift=-6, queue=True, disk=48,
        calls={"shipping": 0.5, "notification": 1.2}, deferred=("shipping", "notification")
    ),
    Service("shipping", US, 30, 38, 800, direct=90, direct_shift=-6, queue=True, calls={"notification": 0.6},
            deferred=("notification",)),
    Service("notification", US, 15, 42, 600, direct=400, queue=True)
)  # fmt: skip
"""Callers stand before their callees, so that one pass forward spreads load and one backward spreads
trouble."""


@dataclass(frozen=True)
class Series:
    """One series: a value for every `step` minutes; where `present` is False nothing was recorded."""

    service: str
    region: str
    metric: str
    kind: str
    unit: str
    labels: dict[str, str]
    step: int
    values: Floats
    present: NDArray[np.bool_]


def seasonal(start: datetime, minutes: Floats) -> Floats:
    """Relative traffic at minutes after `start` (UTC): an evening peak, a quiet night, a lower weekend."""
    epoch = start.timestamp() / 3600 + minutes / 60
    hour, week_hour = epoch % 24, (epoch - 4 * 24) % 168

    def step(at: float) -> Floats:
        risen: Floats = 1 / (1 + np.exp((at - week_hour) / 3))
        return risen

    weekend = step(120) - step(168) + (1 - step(0))
    daily = 0.5 * np.cos((hour - 18.5) * np.pi / 12) + 0.16 * np.cos((hour - 12.5) * np.pi / 6)
    level: Floats = np.exp(daily - 0.22 * weekend)
    return level


def noise(seed: tuple[int, ...], size: int, memory: float, sigma: float) -> Floats:
    """Seeded autoregressive noise of order 1: coefficient `memory` in (0, 1), standard deviation `sigma`."""
    length = int(np.ceil(np.log(1e-3) / np.log(memory)))
    kernel = np.power(memory, np.arange(length, dtype=np.float64))
    white = np.random.default_rng(seed).standard_normal(size + length - 1)
    scaled: Floats = np.convolve(white, kernel, mode="valid") * (sigma / np.sqrt(np.sum(kernel**2)))
    return scaled


def later(values: Floats, minutes: int) -> Floats:
    """The same values, felt `minutes` later."""
    return np.concatenate([np.repeat(values[:1], minutes), values[:-minutes]])


def whole(mean: Floats, seed: tuple[int, ...]) -> Floats:
    """Cumulative whole numbers of events with this mean for each minute, as noisy as independent arrivals.

    The noise does not depend on what went before, so two runs that differ in one window agree outside it.
    """
    sigma = np.minimum(0.9, 1 / np.sqrt(np.maximum(mean, 1e-9)))
    factor = np.exp(sigma * np.random.default_rng(seed).standard_normal(len(mean)) - sigma**2 / 2)
    return np.floor(np.cumsum(mean * factor))


def since_restart(total: Floats, restarts: list[int]) -> Floats:
    """A cumulative count as a process reports it: back to zero at each restart (minutes, in rising order)."""
    base = np.zeros_like(total)
    for minute in restarts:
        if 0 < minute < len(total):
            base[minute:] = total[minute - 1]
    return total - base


@cache
def _positions() -> dict[str, int]:
    return {service.name: i for i, service in enumerate(SERVICES)}


class Shop:
    """The state of all services over `size` minutes from `start`: arrays by service name.

    `rate` is requests a minute, `error` and `reject` are shares of requests, `p50` and `p99` are ms.
    """

    def __init__(self, start: datetime, size: int, seed: int, disturbance: Disturbance) -> None:
        self.start, self.size, self.seed, self.disturbance = (start, size, seed, disturbance)
        self.minutes = np.arange(size, dtype=np.float64)
        self.rate: dict[str, Floats] = {}
        self.load: dict[str, Floats] = {}
        self.error: dict[str, Floats] = {}
        self.reject: dict[str, Floats] = {}
        self.p50: dict[str, Floats] = {}
        self.p99: dict[str, Floats] = {}
        self._spread_load()
        for service in reversed(SERVICES):
            self._answer(service)

    def _noise(self, service: Service, channel: int, memory: float, sigma: float) -> Floats:
        return noise((self.seed, _positions()[service.name], channel), self.size, memory, sigma)

    def _factor(self, service: Service, channel: str) -> Floats:
        return self.disturbance.factor(service.name, channel)

    def _spread_load(self) -> None:
        """Requests flow from callers to callees; `load` is relative to the busiest usual minute."""
        usual = dict.fromkeys(_positions(), 0.0)
        self.rate = {name: np.zeros(self.size) for name in usual}
        for service in SERVICES:
            usual[service.name] += service.direct
            shift = service.direct_shift * 60
            growth = 1 + 0.002 * self.minutes / DAY
            self.rate[service.name] += service.direct * growth * seasonal(self.start, self.minutes - shift)
            jitter = np.exp(self._noise(service, 0, 0.98, 0.012))
            self.rate[service.name] *= jitter * self._factor(service, "requests")
            for callee, ratio in service.calls.items():
                usual[callee] += usual[service.name] * ratio
                self.rate[callee] += self.rate[service.name] * ratio
            self.load[service.name] = self.rate[service.name] / (1.9 * usual[service.name])

    def _answer(self, service: Service) -> None:
        """Latency and errors: the service's own, then what its callees add, a little later."""
        name = service.name
        own = service.p50 * (1 + 0.35 * self.load[name] ** 2) * self._factor(service, "latency")
        self.p50[name] = own * np.exp(self._noise(service, 1, 0.8, 0.02))
        self.p99[name] = own * 3.6 * np.exp(self._noise(service, 2, 0.8, 0.04))
        self.error[name] = service.error_share + self.disturbance.added(name, "errors")
        self.reject[name] = 0.012 + self.disturbance.added(name, "rejects")
        for callee, ratio in service.calls.items():
            if callee not in service.deferred:
                share = min(1.0, ratio)
                self.p50[name] = self.p50[name] + share * later(self.p50[callee], HOP_LAG)
                self.p99[name] = self.p99[name] + share**0.4 * later(self.p99[callee], HOP_LAG)
                usual = next(s.error_share for s in SERVICES if s.name == callee)
                self.error[name] = self.error[name] + 0.9 * share * later(self.error[callee] - usual, HOP_LAG)
        self.error[name] = np.clip(self.error[name], 0, 0.95)

    def counts(self, service: Service) -> dict[str, Floats]:
        """Cumulative requests since the start, by class of status code."""
        name = service.name
        position = _positions()[name]
        shares = {"2xx": 1 - self.error[name], "5xx": self.error[name]}
        if service.rejects:
            shares["2xx"] = shares["2xx"] - self.reject[name]
            shares["4xx"] = self.reject[name]
        return {
            code: whole(self.rate[name] * np.clip(share, 0, 1), (self.seed, position, 10 + i))
            for i, (code, share) in enumerate(sorted(shares.items()))
        }

    def cpu(self, service: Service) -> Floats:
        """Percent of the service's allotted processor time."""
        busy = 4 + service.cpu * self.load[service.name] * self._factor(service, "cpu")
        return np.clip(busy * np.exp(self._noise(service, 3, 0.85, 0.025)), 0.1, 100)

    def memory(self, service: Service) -> Floats:
        """Bytes, a multiple of the page size."""
        wave = 0.94 + 0.06 * self.load[service.name] + self._noise(service, 4, 0.99, 0.004)
        return np.floor(service.memory * 256 * wave * self._factor(service, "memory")) * 4096

    def disk(self, service: Service) -> Floats:
        """Percent of the volume: grows slowly."""
        grown = (service.disk or 0) + 0.22 * self.minutes / DAY + 0.5 * self.load[service.name]
        return np.clip(
            grown + self.disturbance.added(service.name, "disk") + self._noise(service, 5, 0.9, 0.04), 0, 100
        )

    def queue(self, service: Service) -> Floats:
        """Messages waiting: a little in proportion to load, and what arrives above the workers' capacity."""
        arrivals = self.rate[service.name]
        capacity = np.median(arrivals) * 2.6 * self._factor(service, "queue")
        surplus = np.cumsum(arrivals - capacity)
        backlog = surplus - np.minimum.accumulate(np.minimum(surplus, 0))
        waiting = 0.12 * arrivals * np.exp(self._noise(service, 6, 0.7, 0.08))
        return np.round(waiting + backlog)

    def series(self, deployments: list[Deployment]) -> list[Series]:
        """All series of the shop, counters reset where `deployments` restart their service."""
        found: list[Series] = []
        for service in SERVICES:
            restarts = sorted(d.minute for d in deployments if d.service == service.name)

            def add(
                metric: str,
                kind: str,
                unit: str,
                values: Floats,
                step: int = 1,
                *,
                of: Service = service,
                **labels: str,
            ) -> None:
                values, present = self.disturbance.recorded(of.name, metric, values)
                found.append(
                    Series(of.name, of.region, metric, kind, unit, labels, step, values[::step], present[::step])
                )

            for code, total in self.counts(service).items():
                add("requests_total", "counter", "{request}", since_restart(total, restarts), code=code)
            add("request_latency_ms", "gauge", "ms", np.round(self.p50[service.name], 2), quantile="0.5")
            add("request_latency_ms", "gauge", "ms", np.round(self.p99[service.name], 1), quantile="0.99")
            add("cpu_usage", "gauge", "%", np.round(self.cpu(service), 2))
            add("memory_usage", "gauge", "By", self.memory(service), SLOW_STEP)
            if service.queue:
                add("queue_depth", "gauge", "{message}", self.queue(service))
            if service.disk is not None:
                add("disk_usage", "gauge", "%", np.round(self.disk(service), 2), SLOW_STEP)
        return found
