"""The normal form of an SLO: all that computations, tables and commands read, with every number exact.

Belongs here: the types and what follows from one objective alone. Does not: documents (`resolve.py` makes
objectives of them), rows.

What the sources mean, minute by minute:

- Ratio: what `good` (or `bad`) and `total` counted; `counter` false means that samples are counts by themselves.
- Raw: each sample of a gauge is a share from 0 to 1 of one event, good or bad.
- Threshold: each sample (measure value), or the age at each minute in seconds, is one event; good if `op value`.
- SqlQuery: rows of ts, good, total. RecordedRows: rows of record_sli, see `metric_sources.Recorded`.

A composite has members instead of a source. Occurrences: good and total are the weighted sums of the members'.
Timeslices: a slice is bad if it is bad for any member. RatioTimeslices: a slice's ratio is the weighted mean.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from cogniforge_pipeline.maintenance import Maintenance
from cogniforge_pipeline.sre.metric_sources import RecordedMeasure
from cogniforge_pipeline.sre.openslo import Method
from cogniforge_pipeline.sre.openslo_common import Comparison, decimal_of
from cogniforge_pipeline.sre.selectors import Selector
from cogniforge_pipeline.sre.windows import Window, alert_windows, window_at


@dataclass(frozen=True)
class Ratio:
    """Either `good` or `bad`, over `total`."""

    total: Selector
    good: Selector | None = None
    bad: Selector | None = None
    counter: bool = True

    def to_row(self) -> dict[str, Any]:
        """As JSON."""
        parts = {"good": self.good, "bad": self.bad, "total": self.total}
        selectors = {name: part.to_row() for name, part in parts.items() if part is not None}
        return {"type": "ratio", **selectors, "counter": self.counter}


@dataclass(frozen=True)
class Raw:
    """A gauge of ratios: good / total where `success`, else bad / total."""

    selector: Selector
    success: bool

    def to_row(self) -> dict[str, Any]:
        """As JSON."""
        return {"type": "raw", "raw": self.selector.to_row(), "success": self.success}


@dataclass(frozen=True)
class Threshold:
    """Good is what compares so with `value`: the samples, the seconds since the newest one, or since its value."""

    selector: Selector
    measure: Literal["value", "age", "timestamp_age"]
    op: Comparison
    value: Fraction

    def to_row(self) -> dict[str, Any]:
        """As JSON."""
        value = {"measure": self.measure, "op": self.op, "value": float(self.value)}
        return {"type": "threshold", "series": self.selector.to_row(), **value}


@dataclass(frozen=True)
class SqlQuery:
    """One SELECT of ts, good, total."""

    query: str

    def to_row(self) -> dict[str, Any]:
        """As JSON."""
        return {"type": "sql", "query": self.query}


@dataclass(frozen=True)
class RecordedRows:
    """Rows of record_sli for this SLO."""

    measure: RecordedMeasure

    def to_row(self) -> dict[str, Any]:
        """As JSON."""
        return {"type": "recorded", "measure": self.measure}


SLICES = 3
Source = Ratio | Raw | Threshold | SqlQuery | RecordedRows


@dataclass(frozen=True)
class Member:
    """One part of a composite, by the id of its objective."""

    slo_id: str
    weight: Fraction


@dataclass(frozen=True)
class BurnPolicy:
    """A declared burn alert: the rate over `lookback` compares so with `threshold` for `hold` without a break."""

    name: str
    severity: str
    op: Comparison
    threshold: Fraction
    lookback: timedelta
    hold: timedelta
    targets: tuple[str, ...] = ()
    when_breaching: bool = True
    when_resolved: bool = False
    when_no_data: bool = False


@dataclass(frozen=True)
class AlertRule:
    """When to alert: the burn rates over both windows compare by `op` with `factor`, for `hold` without a break.

    `share` of the budget is spent when the long window burnt at `factor` throughout.
    """

    name: str
    severity: str
    share: Fraction
    long: timedelta
    short: timedelta
    factor: Fraction
    op: Comparison = "gt"
    hold: timedelta = timedelta(0)
    policy: BurnPolicy | None = None


@dataclass(frozen=True)
class Objective:
    """One target for one service. `slo_id` is the SLO's name, or `name:part` where the SLO has several parts.

    `not_computable` says why there is no source; a composite has members instead. Of the built-in burn alerts
    those of `alert_severities` apply unless there are `policies`.
    """

    slo_id: str
    slo_name: str
    service: str
    display_name: str
    description: str
    method: Method
    target: Fraction
    window: Window
    slice_seconds: int | None = None
    slice_target: Fraction | None = None
    source: Source | None = None
    not_computable: str | None = None
    minimum_events: int = 0
    maintenance: tuple[Maintenance, ...] = ()
    members: tuple[Member, ...] = ()
    alert_severities: tuple[str, ...] = ("page", "ticket")
    policies: tuple[BurnPolicy, ...] = ()

    @property
    def budget(self) -> Fraction:
        """The share that may be bad, 1 - target; never 0."""
        return 1 - self.target

    def budget_time(self, as_of: datetime) -> timedelta:
        """How long the service may be wholly bad in the window at `as_of`."""
        start, end = window_at(self.window, as_of)
        return (end - start) * self.budget.numerator / self.budget.denominator

    def alert_rules(self, as_of: datetime) -> list[AlertRule]:
        """The alerts that count at `as_of`: a calendar window has its real length, so that factors follow it.

        With time slices a short window holds at least SLICES of them: of a single slice each good one in the middle
        of an incident would clear the alert, and the next bad one page again.
        """
        start, end = window_at(self.window, as_of)
        least = SLICES * timedelta(seconds=self.slice_seconds or 0)
        if not self.policies:
            return [
                AlertRule(f"{severity}-{_spelled(long)}", severity, share, long, max(short, least), factor)
                for severity, share, long, short, factor in alert_windows(end - start)
                if severity in self.alert_severities and least < long
            ]
        return [
            AlertRule(
                policy.name,
                policy.severity,
                policy.threshold * _ratio(policy.lookback, end - start),
                policy.lookback,
                policy.lookback,
                policy.threshold,
                policy.op,
                policy.hold,
                policy,
            )
            for policy in self.policies
        ]

    def to_row(self) -> dict[str, Any]:
        """A row of `sre.slos`: plain JSON values, fractions as numerator and denominator beside the number."""
        start = self.window.start
        return {
            "slo_id": self.slo_id,
            "slo_name": self.slo_name,
            "service": self.service,
            "display_name": self.display_name,
            "description": self.description,
            "budgeting_method": self.method,
            "target": float(self.target),
            "budget": float(self.budget),
            "budget_numerator": self.budget.numerator,
            "budget_denominator": self.budget.denominator,
            "window": self.window.duration,
            "window_type": "rolling" if self.window.rolling else "calendar",
            "window_seconds": int(self.window.nominal.total_seconds()),
            "window_start": None if start is None else start.isoformat(sep=" "),
            "time_zone": self.window.zone,
            "slice_seconds": self.slice_seconds,
            "slice_target": None if self.slice_target is None else float(self.slice_target),
            "source": None if self.source is None else self.source.to_row(),
            "computable": self.not_computable is None,
            "not_computable": self.not_computable,
            "minimum_events": self.minimum_events,
            "maintenance": [str(entry) for entry in self.maintenance],
            "members": [{"slo_id": member.slo_id, "weight": float(member.weight)} for member in self.members],
            "alert_severities": list(self.alert_severities),
            "alert_policies": [_policy_row(policy) for policy in self.policies],
        }


def exact(number: float | Decimal | str) -> Fraction:
    """The number as it is written in decimal: 99.9 is 999/10. Raises ValueError as `decimal_of`."""
    return Fraction(decimal_of(number))


def _policy_row(policy: BurnPolicy) -> dict[str, Any]:
    values = {name: value for name, value in asdict(policy).items() if name not in ("lookback", "hold")}
    return {
        **values,
        "threshold": float(policy.threshold),
        "targets": list(policy.targets),
        "lookback_seconds": int(policy.lookback.total_seconds()),
        "hold_seconds": int(policy.hold.total_seconds()),
    }


def _ratio(part: timedelta, whole: timedelta) -> Fraction:
    tick = timedelta(microseconds=1)
    return Fraction(part // tick, whole // tick)


def _spelled(length: timedelta) -> str:
    hours = int(length.total_seconds()) // 3600
    return f"{hours // 24}d" if hours % 24 == 0 else f"{hours}h"
