"""Five-minute rollups of many series as wide metrics: a period with something wrong, and the normal one beside it.

Belongs here: which columns a service's series make, and the times that are normal for a window. Does not: reading
tables, scores, ranks.

Normal is the same time of day on the days before, so that a busy hour is compared with busy hours; what the time of day
alone explains is taken off on both sides. Where fewer than `FEWEST_DAYS` days are known, normal is the day before.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from cogniforge_pipeline.aiops.root_cause.metrics import Column, Floats, Metrics
from cogniforge_pipeline.aiops.root_cause.unusual import FEWEST

BUCKET = timedelta(minutes=5)
DAY = timedelta(days=1)
DAYS = 7
FEWEST_DAYS = 3
REQUESTS, ERROR_SHARE = "requests", "error_rate"

_SMOOTHED = 3
"""The time of day's usual value is the median of so many buckets on each side, too."""
_STATUS = ("code", "status", "status_code", "http_status", "http.status_code", "http.response.status_code", "outcome")
_FAILED = re.compile(r"5|err|fail", re.IGNORECASE)
_PARTS_OF_SHAPES = ("le",)


@dataclass(frozen=True)
class Series:
    """A row of `aiops.series`."""

    series_id: int
    service: str
    metric: str
    metric_type: str
    kind: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> str | None:
        """The label that tells how requests ended, if there is one."""
        return next((self.labels[name] for name in _STATUS if name in self.labels), None)

    @property
    def counts_requests(self) -> bool:
        """Whether its increase is a number of requests."""
        return self.metric_type == "request_rate" and self.kind != "gauge"

    @property
    def counts_failures(self) -> bool:
        """Whether its increase is a number of requests that failed."""
        return self.counts_requests and self.status is not None and bool(_FAILED.match(self.status))


@dataclass(frozen=True)
class Window:
    """The buckets from `start` to before `end`, less than a day, and the normal ones: `days` times the same time of day
    before, or with `days` 0 the whole day before."""

    start: datetime
    end: datetime
    days: int = DAYS

    @property
    def size(self) -> int:
        """How many buckets it has."""
        return -(-(self.end - self.start) // BUCKET)

    @property
    def first(self) -> datetime:
        """The start of the earliest normal bucket."""
        return self.start - DAY * (self.days or 1)

    def rows_of(self, seconds: Floats) -> NDArray[np.int64]:
        """Where buckets that start at these Unix seconds stand, normal ones first; -1 for those of neither."""
        place = ((seconds - self.first.timestamp()) // BUCKET.total_seconds()).astype(np.int64)
        if not self.days:
            return np.where((place >= 0) & (place < self.normal + self.size), place, -1)
        a_day = DAY // BUCKET
        day, within = place // a_day, place % a_day
        there = (place >= 0) & (day <= self.days) & (within < self.size)
        return np.where(there, day * self.size + within, -1)

    @property
    def normal(self) -> int:
        """How many normal buckets there are."""
        return self.days * self.size if self.days else DAY // BUCKET

    @property
    def times(self) -> Floats:
        """Unix seconds of all buckets in their order."""
        step, start = BUCKET.total_seconds(), self.start.timestamp()
        within = np.arange(self.size) * step
        if not self.days:
            return np.concatenate([self.first.timestamp() + np.arange(self.normal) * step, start + within])
        days = (np.arange(self.days + 1) - self.days) * DAY.total_seconds()
        return (start + days[:, None] + within).ravel()


def columns_of(series: Sequence[Series]) -> dict[int, Column]:
    """The column of each series: its service, its metric and the labels in which that metric's series differ.

    Buckets of histograms are left out.
    """
    told = [one for one in series if not any(name in one.labels for name in _PARTS_OF_SHAPES)]
    values: dict[tuple[str, str], dict[str, set[str]]] = {}
    for one in told:
        known = values.setdefault((one.service, one.metric), {})
        for name, text in one.labels.items():
            known.setdefault(name, set()).add(text)
    found: dict[int, Column] = {}
    taken: set[Column] = set()
    for one in sorted(told, key=lambda one: one.series_id):
        known = values[one.service, one.metric]
        stat = ",".join(f"{name}={text}" for name, text in sorted(one.labels.items()) if len(known[name]) > 1)
        column = Column(one.service, one.metric, stat)
        if column in taken:
            column = Column(one.service, one.metric, f"series={one.series_id}")
        taken.add(column)
        found[one.series_id] = column
    return found


def target_of(symptom: Series, columns: Mapping[int, Column]) -> Column | None:
    """The column in which a symptom of this series shows: failures and requests are those of the whole service."""
    if symptom.counts_failures:
        return Column(symptom.service, ERROR_SHARE)
    if symptom.counts_requests and (symptom.status is None or symptom.status.startswith("2")):
        return Column(symptom.service, REQUESTS)
    return columns.get(symptom.series_id)


def assemble(
    series: Sequence[Series],
    window: Window,
    readings: tuple[NDArray[np.int64], Floats, Floats],
    ill: Sequence[tuple[int, datetime, datetime]] = (),
) -> tuple[Metrics, Metrics]:
    """The normal and the abnormal metrics of a window.

    `readings` are series ids, Unix seconds of the buckets' starts and values: means of gauges, increases of the others.
    `ill` are spells (series id, start, end) that are not normal. Beside the series' own columns each service that
    counts requests gets `requests` and, where their status is told, `error_rate`, the share that failed.
    """
    columns = columns_of(series)
    by_id = {one.series_id: one for one in series}
    ids = sorted(columns)
    values = np.full((window.normal + window.size, len(ids)), np.nan)
    places = {series_id: place for place, series_id in enumerate(ids)}
    known, seconds, numbers = readings
    order = np.array(ids, dtype=np.int64)
    column = np.searchsorted(order, known).clip(max=max(0, len(ids) - 1))
    row = window.rows_of(seconds)
    kept = (row >= 0) & (order[column] == known) if ids else np.zeros(len(known), dtype=bool)
    values[row[kept], column[kept]] = numbers[kept]
    names = [columns[series_id] for series_id in ids]
    requests, shares = _of_requests([by_id[series_id] for series_id in ids], values)
    times = window.times
    for series_id, start, end in ill:
        if series_id in places:
            _forget(values, places[series_id], window.normal, (times >= start.timestamp()) & (times < end.timestamp()))
    derived = {Column(service, REQUESTS): total for service, total in requests.items()}
    derived |= {Column(service, ERROR_SHARE): share for service, share in shares.items()}
    derived = {column: numbers for column, numbers in derived.items() if column not in names}
    values = np.column_stack([values, *derived.values()])
    names += derived
    if window.days:
        values = values - _usual(values, window)
    return (
        Metrics(tuple(names), values[: window.normal], times[: window.normal]),
        Metrics(tuple(names), values[window.normal :], times[window.normal :]),
    )


def _of_requests(series: Sequence[Series], values: Floats) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """By service: requests in each bucket, and the share that failed where a status tells it."""
    places: dict[tuple[str, str], list[int]] = {}
    for place, one in enumerate(series):
        if one.counts_requests:
            places.setdefault((one.service, one.metric), []).append(place)
    requests: dict[str, Floats] = {}
    shares: dict[str, Floats] = {}
    for (service, _), own in sorted(places.items()):
        told = any(series[place].status is not None for place in own)
        if service in shares or (service in requests and not told):
            continue
        total = _sum(values[:, own])
        requests[service] = total
        failed = [place for place in own if series[place].counts_failures]
        if failed:
            with np.errstate(divide="ignore", invalid="ignore"):
                shares[service] = np.where(total > 0, np.nan_to_num(_sum(values[:, failed])) / total, np.nan)
    return requests, shares


def _sum(values: Floats) -> Floats:
    """The sum of each row, NaN where nothing was measured."""
    return np.where(np.isfinite(values).any(axis=1), np.nansum(values, axis=1), np.nan)


def _forget(values: Floats, place: int, normal: int, spell: NDArray[np.bool_]) -> None:
    """Leaves the normal values of a spell out, unless too few would be left to judge by."""
    before = values[:normal, place]
    rest = np.where(spell[:normal], np.nan, before)
    if np.isfinite(rest).sum() >= FEWEST:
        values[:normal, place] = rest


def _usual(values: Floats, window: Window) -> Floats:
    """What the time of day says for each value, around 0; 0 where it says nothing."""
    by_day = values[: window.normal].reshape(window.days, window.size, -1)
    around = np.arange(window.size)[:, None] + np.arange(-_SMOOTHED, _SMOOTHED + 1)
    near = by_day[:, around.clip(0, window.size - 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of moments that nobody measured
        usual = np.nanmedian(near, axis=(0, 2))
        usual = np.nan_to_num(usual - np.nanmedian(values[: window.normal], axis=0))
    return np.tile(usual, (window.days + 1, 1))
