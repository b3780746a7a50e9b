"""What must hold of the telemetry tables for any telemetry: resets add up, the future is not used, days may be computed
in any grouping."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.tables import compute

FIRST = date(2026, 3, 1)
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
SERIES = [
    {"series_id": 1, "service": "web", "metric": "cpu", "metric_type": "cpu_usage", "kind": "gauge", "labels": {}},
    {"series_id": 2, "service": "api", "metric": "rq", "metric_type": "request_rate", "kind": "counter", "labels": {}},
]
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])

Rows = list[dict[str, Any]]


def rollup(telemetry: Rows, first: date, after: date) -> Rows:
    given = {"aiops.series": SERIES, "aiops.telemetry": telemetry}
    return compute("aiops.rollup_5m", given, {"day_start": first, "day_end": after})


def scores(buckets: Rows, first: date, after: date) -> Rows:
    given = {"aiops.series": SERIES, "aiops.rollup_5m": buckets}
    return compute("aiops.anomaly_scores", given, {"day_start": first, "day_end": after})


def anomalies(points: Rows, as_of: datetime) -> Rows:
    given = {"aiops.series": SERIES, "aiops.anomaly_points": points}
    return compute("aiops.anomalies", given, {"as_of": as_of})


def health(buckets: Rows, told: Rows, as_of: datetime) -> Rows:
    given = {"aiops.series": SERIES, "aiops.rollup_5m": buckets, "aiops.anomalies": told}
    return compute("aiops.service_health", given, {"as_of": as_of})


def prometheus_increase(values: list[int]) -> int:
    """Last minus first, plus what each reset took away (Prometheus, promql/functions.go, extrapolatedRate)."""
    return values[-1] - values[0] + sum(before for before, now in pairwise(values) if now < before)


def stretches(samples: list[tuple[datetime, int]]) -> list[list[int]]:
    """The values, divided where a whole day has no sample: what happened meanwhile nobody knows."""
    found = [[samples[0][1]]]
    for (before, _), (at, value) in pairwise(samples):
        if (at.date() - before.date()).days > 1:
            found.append([])
        found[-1].append(value)
    return found


@st.composite
def counter_samples(draw: st.DrawFn) -> list[tuple[datetime, int]]:
    """Samples up to two and a half days apart, with resets."""
    gaps = draw(st.lists(st.one_of(st.integers(1, 3600), st.integers(1, 60 * 3600)), min_size=1, max_size=10))
    values = draw(st.lists(st.integers(0, 50), min_size=len(gaps), max_size=len(gaps)))
    at = MIDNIGHT
    found = []
    for gap, value in zip(gaps, values, strict=True):
        at += timedelta(seconds=gap)
        found.append((at, value))
    return found


@few
@given(samples=counter_samples())
def test_a_counters_increases_add_up_to_its_increase_over_all_time_however_days_are_grouped(
    samples: list[tuple[datetime, int]],
) -> None:
    telemetry = [{"ts": at, "series_id": 2, "value": float(value)} for at, value in samples]
    days = (samples[-1][0].date() - FIRST).days + 1
    together = rollup(telemetry, FIRST, FIRST + timedelta(days))
    alone = [row for n in range(days) for row in rollup(telemetry, FIRST + timedelta(n), FIRST + timedelta(n + 1))]
    assert alone == together
    increases = [row["increase"] for row in together if row["increase"] is not None]
    assert sum(increases) == sum(map(prometheus_increase, stretches(samples)))
    assert sum(row["count"] for row in together) == len(samples)


@st.composite
def gauge_buckets(draw: st.DrawFn) -> Rows:
    """Buckets of both series at a few times of day over six days, some missing but on the first, which shows
    that they are 5 minutes apart."""
    slots = [MIDNIGHT + timedelta(days=day, minutes=5 * slot) for day in range(6) for slot in range(9)]
    return [
        {"series_id": series, "ts": slot, "mean": float(value), "increase": float(value)}
        for series in (1, 2)
        for slot in slots
        if (value := draw(st.integers(0, 5) if slot in slots[:9] else st.one_of(st.none(), st.integers(0, 5))))
        is not None
    ]


@few
@given(buckets=gauge_buckets(), cut=st.integers(2, 53))
def test_a_score_never_depends_on_what_comes_after_it(buckets: Rows, cut: int) -> None:
    moment = MIDNIGHT + timedelta(days=cut // 9, minutes=5 * (cut % 9))
    after = FIRST + timedelta(6)
    known = [row for row in buckets if row["ts"] <= moment]
    then = scores(known, FIRST, after)
    now = [row for row in scores(buckets, FIRST, after) if row["ts"] <= moment]
    assert then == now
    assert len(then) == len(known)


@few
@given(buckets=gauge_buckets(), days=st.sets(st.integers(1, 5)))
def test_scores_of_days_computed_alone_equal_those_computed_together(buckets: Rows, days: set[int]) -> None:
    cuts = [0, *sorted(days), 6]
    parts = [scores(buckets, FIRST + timedelta(a), FIRST + timedelta(b)) for a, b in pairwise(cuts)]
    together = scores(buckets, FIRST, FIRST + timedelta(6))
    assert sorted((row for part in parts for row in part), key=lambda r: (r["series_id"], r["ts"])) == together


@few
@given(
    scores=st.lists(st.one_of(st.none(), st.floats(1, 5)), min_size=36, max_size=36),
    minute=st.integers(1, 179),
)
def test_anomalies_and_health_asked_later_are_what_they_were_at_the_time(
    scores: list[float | None], minute: int
) -> None:
    slots = [MIDNIGHT + timedelta(minutes=5 * n) for n in range(36)]
    points = [
        {
            "series_id": 1,
            "ts": ts,
            "seconds": 300,
            "known_days": 9,
            "value": 3.0,
            "usual": 1.0,
            "score": score,
            "kind": "spike",
        }
        | {"is_anomaly": score > 2}
        for ts, score in zip(slots, scores, strict=True)
        if score is not None
    ]
    as_of = MIDNIGHT + timedelta(minutes=minute)

    def asked(until: datetime) -> tuple[Rows, Rows]:
        buckets = [{"series_id": 1, "ts": ts} for ts in slots if ts < until]
        told = anomalies([point for point in points if point["ts"] < until], as_of)
        return told, health(buckets, told, as_of)

    assert asked(MIDNIGHT + timedelta(days=1)) == asked(as_of)
    before = [row for row in anomalies(points, as_of) if row["status"] == "closed"]
    later = {row["anomaly_id"]: row for row in anomalies(points, as_of + timedelta(hours=3))}
    assert [later[row["anomaly_id"]] for row in before] == before
