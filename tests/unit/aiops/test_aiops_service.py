"""The Python API as its users write it: telling of measurements, and what runs made of them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cogniforge_pipeline.aiops.healing_announcements import healing_events
from cogniforge_pipeline.aiops.service import AIOpsService
from cogniforge_pipeline.errors import CogniforgeError
from tests.support.aiops_rows import HOUR, decision, judged_home, put
from tests.support.sre_service import NOON
from tests.support.telemetry import measured


@pytest.fixture(scope="module")
def aiops(tmp_path_factory: pytest.TempPathFactory) -> AIOpsService:
    """A home in which runs found one incident of two services, now over, and one that goes on."""
    return judged_home(tmp_path_factory.mktemp("aiops") / "home")


def test_the_documented_example_runs_as_it_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COGNIFORGE_HOME", str(tmp_path / "home"))
    from cogniforge_pipeline.aiops import MetricType, TelemetryData, get_aiops_service

    aiops = get_aiops_service()
    assert aiops is get_aiops_service()
    telemetry = TelemetryData(
        metric_id=str(uuid.uuid4()),
        service_name="user-service",
        metric_type=MetricType.LATENCY,
        value=150.5,
        timestamp=datetime.now(UTC),
        labels={"environment": "production", "region": "us-east-1"},
        unit="ms",
    )
    aiops.collect_telemetry(telemetry)
    with pytest.raises(CogniforgeError, match="no telemetry of a service 'user-service' was ever ingested"):
        aiops.get_service_health("user-service")
    with pytest.raises(CogniforgeError, match="user-service has no series of type request_rate"):
        aiops.forecast_load("user-service", MetricType.REQUEST_RATE, hours_ahead=24)
    with pytest.raises(CogniforgeError, match="there is no capacity plan for user-service"):
        aiops.generate_capacity_plan("user-service", forecast_horizon_hours=72)
    aiops_metrics = aiops.get_aiops_metrics()
    assert f"{aiops_metrics['total_anomalies']}: {aiops_metrics['resolution_rate']:.2%}" == "0: 100.00%"
    assert aiops_metrics["active_anomalies"] == 0 == aiops_metrics["open_incidents"] == aiops_metrics["healing_actions"]
    assert aiops.get_active_anomalies() == () == aiops.get_incidents() == aiops.get_healing_decisions()


def test_one_measurement_and_many_are_kept(aiops: AIOpsService) -> None:
    aiops.collect_telemetry(measured())
    aiops.collect_telemetry(measured(n) for n in range(1, 4))
    (path,) = (aiops.home.settings.landing / "collected").glob("*.jsonl")
    assert len(path.read_text(encoding="utf-8").splitlines()) == 4


def test_health_is_that_of_the_newest_run_with_the_anomalies_that_go_on(aiops: AIOpsService) -> None:
    web = aiops.get_service_health("web")
    assert (web["health_status"], web["active_anomalies"], web["as_of"]) == ("degraded", 2, NOON + 6 * HOUR)
    assert web["anomaly_ids"] == ["a4", "a3"] and "status" not in web
    assert aiops.get_service_health("db")["anomaly_ids"] == []
    assert aiops.get_service_health("quiet")["health_status"] == "unknown"
    with pytest.raises(CogniforgeError, match="was ever ingested") as refused:
        aiops.get_service_health("nobody")
    assert refused.value.hint == "services: db, quiet, web"


def test_active_anomalies_come_worst_first(aiops: AIOpsService) -> None:
    assert [one.anomaly_id for one in aiops.get_active_anomalies("web")] == ["a4", "a3"]
    assert [one.anomaly_id for one in aiops.get_active_anomalies()] == ["a4", "a3"]
    assert aiops.get_active_anomalies("db") == ()
    assert str(aiops.get_active_anomalies()[0]) == "web latency: spike, critical, open (because)"


def test_the_causes_of_an_anomaly_are_those_of_its_incident(aiops: AIOpsService) -> None:
    causes = aiops.analyze_root_cause("a1")
    assert [(one.rank, one.service, one.path) for one in causes] == [
        (1, "db", ("web", "db")),
        (2, "web", ("web", "web")),
    ]
    assert str(causes[0]) == "1. db (0.90): because"
    assert aiops.analyze_root_cause("a5") == ()
    with pytest.raises(CogniforgeError, match="there is no anomaly"):
        aiops.analyze_root_cause("x'; DROP TABLE aiops.series; --")


def test_incidents_carry_causes_and_decisions(aiops: AIOpsService) -> None:
    second, first = aiops.get_incidents()
    assert (first.incident_id, second.incident_id) == ("i1", "i2")
    assert [one.service for one in first.causes] == ["db", "web"] and first.services == ("db", "web")
    assert [one.state for one in second.decisions] == ["act", "blocked"]
    assert [one.incident_id for one in aiops.get_incidents(open_only=True)] == ["i2"]
    assert [one.incident_id for one in aiops.get_incidents(since=NOON + 3 * HOUR)] == ["i2"]
    assert str(first.decisions[0]) == "restart: act restart on db, cleared (for)"
    assert aiops.get_healing_decisions("i1") == first.decisions and len(aiops.get_healing_decisions()) == 3


def test_figures_are_counted_from_the_tables(aiops: AIOpsService) -> None:
    found = aiops.get_aiops_metrics()
    assert found | {"playbooks": 0, "telemetry_points": 0} == {
        "total_anomalies": 5, "active_anomalies": 2, "resolved_anomalies": 2, "expected_anomalies": 1,
        "resolution_rate": 0.5, "mean_minutes_to_resolution": 90.0, "total_incidents": 2, "open_incidents": 1,
        "healing_actions": 2, "healing_precision": 0.5, "services_by_status": {"degraded": 1, "healthy": 1},
        "services": 3, "series": 3, "playbooks": 0, "telemetry_points": 0,
    }  # fmt: skip
    assert found["playbooks"] == {"restart": {"actions": 2, "judged": 2, "cleared": 1, "precision": 0.5}}


def test_an_approval_is_kept_and_names_an_incident(aiops: AIOpsService) -> None:
    aiops.approve_healing("i2", "restart", who="ada", why="nothing else helps", at=NOON)
    cursor = aiops.home.lake.cursor()
    (row,) = cursor.execute("SELECT incident_id, playbook, who, approved_at FROM aiops.healing_approvals").fetchall()
    assert row == ("i2", "restart", "ada", NOON)
    with pytest.raises(CogniforgeError, match="there is no incident 'i9'"):
        aiops.approve_healing("i9", "restart", who="ada", why="why")
    with pytest.raises(CogniforgeError, match="an approval says who"):
        aiops.approve_healing("i2", "restart", who=" ", why="why")


def test_what_was_expected_and_what_is_planned_is_declared(aiops: AIOpsService) -> None:
    marked = aiops.mark_expected("a1", "the campaign began")
    planned = aiops.add_maintenance(NOON, NOON + HOUR, "new disks", services=["db"], name="disks")
    again = aiops.add_maintenance(NOON, NOON + 2 * HOUR, "new disks", services=["db"], name="disks")
    assert (marked.anomaly, planned.services, again.when != planned.when) == ("a1", ("db",), True)
    cursor = aiops.home.lake.cursor()
    found = cursor.execute(
        "SELECT name, version FROM platform.declarations WHERE kind = 'expectation' AND withdrawn_at IS NULL ORDER BY ALL"
    ).fetchall()
    assert found == [("anomaly-a1", 1), ("disks", 2)]
    with pytest.raises(CogniforgeError, match="there is no anomaly a9"):
        aiops.mark_expected("a9", "why")
    with pytest.raises(CogniforgeError, match="maintenance"):
        aiops.add_maintenance(NOON + HOUR, NOON, "backwards")


def test_actions_and_requests_for_approval_are_told_as_events_while_they_can_be_taken(aiops: AIOpsService) -> None:
    put(
        aiops,
        "aiops.healing_decisions",
        [
            decision("i1", "act", "pending"),
            decision("i2", "await_approval", None, 1),
            decision("i3", "blocked", None),
            {**decision("i4", "act", "cleared"), "as_of": NOON + HOUR},
        ],
    )
    told = healing_events(aiops.home.lake.cursor())
    assert [(one.type, one.subject, one.id) for one in told] == [
        ("healing.action.decided", "db", "i1:restart:2026-03-04T12:00:00+00:00"),
        ("healing.approval.requested", "db", "i2:restart:2026-03-04T13:00:00+00:00"),
    ]
    assert told[0].data == {
        "incident_id": "i1", "playbook": "restart", "action": "restart", "workflow": None, "target": "db", "service": "web",
        "metric": "latency", "parameters": {}, "reasons": ["for"], "verify_by": "2026-03-04T13:00:00+00:00",
    }  # fmt: skip
    aiops.home.events.publish_many(told)
    aiops.home.events.publish_many(told)
