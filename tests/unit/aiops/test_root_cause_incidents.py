"""Causes of incidents from rollups: which columns there are, which symptom is explained, and what changes add."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from cogniforge_pipeline.aiops.root_cause.graph import Graph
from cogniforge_pipeline.aiops.root_cause.incidents import (
    MOST_TARGETS,
    Change,
    Explained,
    Symptom,
    explain,
    orient,
    targets,
)
from cogniforge_pipeline.aiops.root_cause.metrics import Column, Metrics
from cogniforge_pipeline.aiops.root_cause.rollups import BUCKET, Series, Window, assemble, columns_of, target_of

START = datetime(2026, 3, 9, 10, tzinfo=UTC)
GRAPH = Graph.of([("web", "api"), ("api", "stock"), ("api", "cart")])
SERVICES = ("web", "api", "stock", "cart")
OK, FAILED = {"code": "2xx", "region": "eu"}, {"code": "5xx", "region": "eu"}


def catalogue(services: Sequence[str] = SERVICES) -> list[Series]:
    """Latency, processor, and requests by code of each service; ids are place * 10 + 0 to 3."""
    return [
        one
        for place, name in enumerate(services)
        for one in (
            Series(place * 10, name, "latency_ms", "latency", "gauge", {"region": "eu"}),
            Series(place * 10 + 1, name, "cpu_usage", "cpu_usage", "gauge", {"region": "eu"}),
            Series(place * 10 + 2, name, "requests_total", "request_rate", "counter", OK),
            Series(place * 10 + 3, name, "requests_total", "request_rate", "counter", FAILED),
        )
    ]


class Shop:
    """A day and a bit of readings of four services whose load follows the time of day; `change` disturbs some."""

    def __init__(self, days: int = 7, minutes: int = 60) -> None:
        self.series = catalogue()
        self.window = Window(START - timedelta(minutes=30), START + timedelta(minutes=minutes), days)
        size = (self.window.end - self.window.first) // BUCKET
        self.seconds = self.window.first.timestamp() + np.arange(size) * BUCKET.total_seconds()
        rng = np.random.default_rng(7)
        load = 1 + 0.5 * np.sin(self.seconds / 86400 * 2 * np.pi)
        level = {0: 100.0, 1: 30.0, 2: 1000.0, 3: 1.0}
        self.values = {
            one.series_id: level[one.series_id % 10] * load * rng.normal(1, 0.03, size) for one in self.series
        }
        self.during = self.seconds >= START.timestamp()

    def add(self, series_id: int, factor: float, later: int = 0) -> None:
        """Multiplies a series from the start on, or so many buckets later."""
        self.values[series_id] = np.where(
            np.roll(self.during, later), self.values[series_id] * factor, self.values[series_id]
        )

    def metrics(self) -> tuple[Metrics, Metrics]:
        ids = np.repeat(list(self.values), len(self.seconds)).astype(np.int64)
        readings = (ids, np.tile(self.seconds, len(self.values)), np.concatenate(list(self.values.values())))
        return assemble(self.series, self.window, readings)

    def explain(self, *symptoms: Symptom, graph: Graph | None = GRAPH, changes: Sequence[Change] = ()) -> Explained:
        return explain(symptoms, self.series, graph, changes, self.metrics)


def symptom(
    service: str, what: int = 0, kind: str = "level_shift", direction: str = "up", score: float = 3.0
) -> Symptom:
    series = {one.series_id: one for one in catalogue()}[SERVICES.index(service) * 10 + what]
    return Symptom(series, kind, direction, START, score)  # type: ignore[arg-type]


def test_columns_carry_the_labels_in_which_a_metrics_series_differ_and_no_buckets() -> None:
    series = [
        *catalogue(("web",)),
        Series(5, "web", "latency_bucket", "latency", "counter", {"le": "10"}),
        Series(6, "web", "latency_bucket", "latency", "counter", {"le": "100"}),
    ]
    assert columns_of(series) == {
        0: Column("web", "latency_ms"),
        1: Column("web", "cpu_usage"),
        2: Column("web", "requests_total", "code=2xx"),
        3: Column("web", "requests_total", "code=5xx"),
    }


def test_a_services_requests_and_the_share_that_failed_are_columns_of_their_own() -> None:
    shop = Shop()
    shop.add(13, 50)
    _, abnormal = shop.metrics()
    assert abnormal.of(Column("api", "requests"))[-1] == pytest.approx(
        abnormal.of(Column("api", "requests_total", "code=2xx"))[-1]
        + abnormal.of(Column("api", "requests_total", "code=5xx"))[-1],
        rel=0.1,
    )
    share = abnormal.of(Column("api", "error_rate"))
    assert share[0] == pytest.approx(0.001, abs=0.001) and share[-1] == pytest.approx(0.048, abs=0.01)
    columns = columns_of(shop.series)
    assert target_of(shop.series[3], columns) == Column("web", "error_rate")
    assert target_of(shop.series[2], columns) == Column("web", "requests")
    assert target_of(shop.series[1], columns) == Column("web", "cpu_usage")


def test_the_time_of_day_is_taken_off_and_other_times_are_not_read() -> None:
    shop = Shop()
    normal, abnormal = shop.metrics()
    assert len(normal.values) == 7 * shop.window.size and len(abnormal.values) == shop.window.size
    cpu = Column("web", "cpu_usage")
    assert np.ptp(normal.of(cpu)) < 0.2 * np.median(normal.of(cpu))
    assert abs(np.median(abnormal.of(cpu)) / np.median(normal.of(cpu)) - 1) < 0.03
    assert normal.times is not None and abnormal.times is not None
    assert set(normal.times % 86400) == set(abnormal.times % 86400)


def test_spells_that_were_anomalous_are_not_normal_unless_too_little_would_be_left() -> None:
    shop = Shop(days=0)
    ids = np.repeat([0, 1], len(shop.seconds)).astype(np.int64)
    readings = (ids, np.tile(shop.seconds, 2), np.concatenate([shop.values[0], shop.values[1]]))
    spells = [
        (0, shop.window.first, shop.window.first + timedelta(hours=2)),
        (1, shop.window.first, shop.window.start - timedelta(minutes=30)),
    ]
    normal, _ = assemble(shop.series[:2], shop.window, readings, spells)
    assert np.isnan(normal.of(Column("web", "latency_ms"))).sum() == 24
    assert np.isfinite(normal.of(Column("web", "cpu_usage"))).all()


@pytest.mark.parametrize("days", [7, 0])
def test_the_service_at_the_end_of_the_calls_that_slowed_down_first_is_the_cause(days: int) -> None:
    shop = Shop(days)
    for place, later in ((2, 0), (1, 0), (0, 1)):
        shop.add(place * 10, 4, later)
    found = shop.explain(symptom("stock"), symptom("api"), symptom("web"))
    assert found.graph == "declared"
    assert [cause.rank for cause in found.causes] == list(range(1, len(found.causes) + 1))
    first = found.causes[0]
    assert first.service == "stock" and first.evidence is not None
    assert (first.explains, first.of) == (3, 3) and first.evidence.lead_points >= 0
    assert first.evidence.path[-1] == "stock" and first.evidence.path[0] == first.target.series.service
    assert first.reason.startswith("explains 3 of 3 symptoms best; ")
    (alone,) = shop.explain(symptom("web")).causes[:1]
    assert alone.evidence is not None and alone.evidence.path == ("web", "api", "stock")


def test_traffic_comes_from_the_callers() -> None:
    shop = Shop()
    for place in range(4):
        shop.add(place * 10 + 2, 0.4)
    dip = [symptom(name, 2, "dip", "down") for name in SERVICES]
    found = shop.explain(*dip)
    assert found.causes[0].service == "web"
    assert orient(GRAPH, dip[0]).callees["stock"] == ("api",) and orient(GRAPH, symptom("api")) is GRAPH


def test_what_users_feel_is_explained_first() -> None:
    ordered = targets(
        [
            symptom("stock", 0, "missing", score=9),
            symptom("stock", 1, score=8),
            symptom("cart", 2, "dip", "down", score=7),
            symptom("api", 0, direction="down", score=6),
            symptom("cart", 0, score=2),
            symptom("api", 3, score=1),
        ],
        GRAPH,
    )
    assert [(one.series.service, one.series.series_id % 10) for one in ordered] == [
        ("api", 3), ("cart", 0), ("cart", 2), ("api", 0), ("stock", 1), ("stock", 0)
    ]  # fmt: skip


def test_a_change_right_before_counts_more_than_one_of_yesterday_and_one_of_last_week_not_at_all() -> None:
    shop = Shop()
    shop.add(20, 4), shop.add(10, 4), shop.add(0, 4)

    def score(*ages: float) -> float:
        changes = [Change("stock", "deployment", "2.0.0", START - timedelta(hours=age)) for age in ages]
        found = shop.explain(symptom("web"), symptom("stock"), changes=changes)
        return next(cause.score for cause in found.causes if cause.service == "stock")

    assert score() == score(200) == score(-2) < score(20) < score(0.1) < score(0.1, 0.2) < 1
    fresh = shop.explain(symptom("web"), changes=[Change("stock", "drift", "replicas", START - timedelta(minutes=5))])
    assert "drift replicas 5 min before" in fresh.causes[0].reason
    assert [str(change) for change in fresh.causes[0].changes] == ["drift replicas at 2026-03-09 09:55 UTC"]


def test_a_service_outside_the_topology_has_edges_learnt_and_says_so() -> None:
    shop = Shop()
    shop.add(20, 4), shop.add(0, 4)
    assert shop.explain(symptom("web"), graph=Graph.of([("a", "b")])).graph == "learnt"
    assert shop.explain(symptom("web"), graph=None).graph == "learnt"


def test_what_metrics_cannot_explain_is_blamed_on_who_shows_it() -> None:
    shop = Shop()
    shop.values[0] = np.where(shop.during, np.nan, shop.values[0])
    found = shop.explain(symptom("web", 0, "missing"), symptom("api", 1, "flat_line", score=5))
    assert [(cause.service, cause.evidence) for cause in found.causes] == [("api", None), ("web", None)]
    assert [cause.score for cause in found.causes] == [0.5, 0.25]


def test_no_more_causes_than_asked_for() -> None:
    shop = Shop()
    shop.add(0, 4), shop.add(10, 4), shop.add(20, 4), shop.add(30, 4)
    assert len(explain([symptom("web")], shop.series, GRAPH, (), shop.metrics, limit=2).causes) == 2


def test_a_small_symptom_of_another_kind_does_not_hide_the_large_one() -> None:
    shop = Shop()
    shop.add(21, 3)
    shop.add(3, 8)
    found = shop.explain(symptom("stock", 1, score=9.0), symptom("web", 3, score=1.1))
    assert found.causes[0].service == "stock" and found.causes[0].explains == 1
    assert next(cause for cause in found.causes if cause.service == "web").explains == 1


def test_of_many_symptoms_the_gravest_and_the_largest_are_explained() -> None:
    shop = Shop()
    for place in range(4):
        for what in range(4):
            shop.add(place * 10 + what, 3)
    every = [symptom(name, what, score=1 + what) for name in SERVICES for what in range(4)]
    found = shop.explain(*every)
    assert found.causes[0].of == MOST_TARGETS
