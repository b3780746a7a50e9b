"""From points to incidents, what users say of them, and the events that are told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from cogniforge_pipeline.aiops.feedback import mark_expected, plan_maintenance
from cogniforge_pipeline.aiops.incidents import members, together
from cogniforge_pipeline.errors import CogniforgeError
from tests.support.pipeline import HEALTH, Pipeline, Point, at, csv

ANOMALIES, INCIDENTS = "aiops.anomalies", "aiops.incidents"
START = at("2026-03-01 00:00")
TROUBLE = at("2026-03-04 20:00")
TOPOLOGY = "services: [{name: web, depends_on: [api]}, {name: api}, {name: mail}]"


def points(until: datetime) -> Iterator[Point]:
    """Four days of three services; from TROUBLE on for an hour, api is slow and then web."""
    noise = Random(5)
    for n in range(4 * 288):
        ts = START + timedelta(minutes=5 * n)
        for service, base in (("api", 20.0), ("web", 50.0), ("mail", 5.0)):
            late = timedelta(minutes=10) if service == "web" else timedelta(0)
            ill = service != "mail" and TROUBLE + late <= ts < TROUBLE + late + timedelta(hours=1)
            value = base * (4 if ill else 1) + noise.gauss(0, base / 50)
            if ts <= until:
                yield ts, service, "latency_ms", value


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    made = Pipeline(tmp_path_factory.mktemp("incident") / "home")
    (made.folder / "platform" / "topology.yaml").write_text(TOPOLOGY, encoding="utf-8")
    declare(made)
    made.drop("all.csv", csv(points(at("2026-03-05 00:00"))))
    made.ingest()
    made.facts()
    return made


def declare(work: Pipeline) -> None:
    from cogniforge_pipeline.registry import record

    record(work.home, work.home.platform(), run_id="declare")


def told(work: Pipeline, as_of: datetime) -> tuple[list[Any], list[Any], list[Any]]:
    work.compute(ANOMALIES, as_of=as_of)
    work.compute(HEALTH, as_of=as_of)
    return (
        work.rows(ANOMALIES, "started_at, service, status, severity, direction, incident_id, anomaly_id"),
        work.rows(INCIDENTS, "started_at, ended_at, status, services, first_service, incident_id"),
        work.rows(HEALTH, "service, status, dependencies_at_fault"),
    )


def test_an_incident_is_open_while_it_goes_on_and_keeps_its_name(work: Pipeline) -> None:
    anomalies, incidents, health = told(work, TROUBLE + timedelta(minutes=30))
    assert [row[1:5] for row in anomalies if row[5]] == [
        ("api", "open", "critical", "up"), ("web", "open", "critical", "up"),
    ]  # fmt: skip
    ((started, ended, status, services, first, name),) = incidents
    assert (started, ended, status, services, first) == (TROUBLE, None, "open", ["api", "web"], "api")
    assert {row[5] for row in anomalies if row[5]} == {name}
    assert health == [("api", "critical", []), ("mail", "healthy", []), ("web", "critical", ["api"])]
    later, incidents, health = told(work, at("2026-03-04 23:55"))
    assert [row[:1] + row[2:] for row in incidents] == [(TROUBLE, "closed", ["api", "web"], "api", name)]
    assert TROUBLE + timedelta(hours=1) <= incidents[0][1] <= TROUBLE + timedelta(hours=1, minutes=15)
    assert {row[6] for row in anomalies if row[5]} == {row[6] for row in later if row[5]}
    assert health == [("api", "healthy", []), ("mail", "healthy", []), ("web", "healthy", [])]


def test_before_it_there_is_none(work: Pipeline) -> None:
    anomalies, incidents, _ = told(work, TROUBLE)
    assert incidents == [] and not [row for row in anomalies if row[0] >= TROUBLE]


def test_what_opens_and_closes_is_told_once(work: Pipeline) -> None:
    for as_of in (TROUBLE + timedelta(minutes=30), at("2026-03-04 23:55"), at("2026-03-04 23:50")):
        told(work, as_of)
        for table in (ANOMALIES, INCIDENTS):
            work.home.announce(table)
    found = [(event.type, event.subject) for event in work.home.events.read()]
    assert sorted(found) == [
        ("anomaly.closed", "api"), ("anomaly.closed", "web"), ("anomaly.opened", "api"), ("anomaly.opened", "web"),
        ("incident.closed", "api"), ("incident.opened", "api"),
    ]  # fmt: skip


def test_what_a_user_says_is_followed_by_the_next_run(work: Pipeline) -> None:
    as_of = at("2026-03-04 23:55")
    anomalies, _, _ = told(work, as_of)
    (api,) = [row[6] for row in anomalies if row[1] == "api" and row[5]]
    mark_expected(work.home, api, "a load test")
    anomalies, incidents, _ = told(work, as_of)
    assert [row[2] for row in anomalies if row[6] == api] == ["expected"]
    assert [row[3] for row in incidents] == [["web"]]
    plan_maintenance(work.home, TROUBLE, TROUBLE + timedelta(hours=1), "the rack moves", services=["web"])
    anomalies, incidents, _ = told(work, as_of)
    assert {row[2] for row in anomalies if row[0] >= TROUBLE and row[1] == "web"} == {"maintenance"}
    assert incidents == []


def test_what_cannot_be_meant_is_refused(work: Pipeline) -> None:
    with pytest.raises(CogniforgeError, match="there is no anomaly nothing"):
        mark_expected(work.home, "nothing", "no reason")
    with pytest.raises(CogniforgeError, match="expected a time with a time zone"):
        plan_maintenance(work.home, datetime(2026, 3, 1), datetime(2026, 3, 2), "no zone")
    with pytest.raises(CogniforgeError, match="it ends before it starts"):
        plan_maintenance(work.home, TROUBLE, TROUBLE, "no time")


def test_groups_follow_links_and_keep_their_order() -> None:
    assert together("abcde", [("c", "a"), ("e", "b")]) == [["a", "c"], ["b", "e"], ["d"]]


def test_of_series_of_one_metric_the_heaviest_counts() -> None:
    episodes = [("a", "web", "latency", 0.4), ("b", "web", "latency", 0.3), ("c", "web", "errors", 0.3)]
    assert members(episodes[:2], [("a", "b")]) == {}
    assert members(episodes, [("a", "b"), ("b", "c")]) == dict.fromkeys("abc", "inc-a")
