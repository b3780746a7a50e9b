"""The Python API as its users write it: objectives, measurements, and whether a service may deploy."""

from __future__ import annotations

import json
import multiprocessing
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline.declarations import DeclarationsInvalid, load_platform
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.registry import record
from cogniforge_pipeline.sre.openslo import OPENSLO_KIND
from cogniforge_pipeline.sre.release_gates import record_override
from cogniforge_pipeline.sre.service import SREService
from tests.support.sre_service import NOON, budget, decide, gate, open_service


@pytest.fixture(scope="module")
def sre(tmp_path_factory: pytest.TempPathFactory) -> SREService:
    """One service for all tests of this file; each has an observed service of its own name."""
    return open_service(tmp_path_factory.mktemp("sre") / "home")


def rows(sre: SREService, query: str) -> list[tuple[Any, ...]]:
    return sre.home.lake.cursor().execute(query).fetchall()


def slo(service: str, target: float = 99.0, **changed: Any) -> Any:
    from cogniforge_pipeline.sre import SLO

    return SLO(
        **{"slo_id": f"{service}-slo", "service_name": service, "name": service, "target_percentage": target, **changed}
    )


def sli(service: str, value: float, ts: datetime | None = None, compliant: bool = True) -> Any:
    from cogniforge_pipeline.sre import SLI

    return SLI(str(uuid.uuid4()), f"{service}-slo", value, 99.0, compliant, ts or datetime.now(UTC))


def test_the_documented_example_runs_as_it_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COGNIFORGE_HOME", str(tmp_path / "home"))
    from cogniforge_pipeline.sre import SLI, SLO, DeploymentStrategy, get_sre_service

    sre_service = get_sre_service()
    assert sre_service is get_sre_service()
    sre_service.create_slo(
        SLO(
            slo_id="user-api-availability",
            service_name="user-api",
            name="User API Availability",
            description="99.9% availability over 30 days",
            target_percentage=99.9,
            measurement_window_days=30,
            sli_type="availability",
        )
    )
    sre_service.record_sli(
        SLI(
            sli_id=str(uuid.uuid4()),
            slo_id="user-api-availability",
            measured_value=99.95,
            target_value=99.9,
            compliant=True,
        )
    )
    risk = sre_service.assess_deployment_risk(
        deployment_id="deploy-123", service_name="user-api", strategy=DeploymentStrategy.CANARY
    )
    assert 0 < risk.risk_score < 1
    assert "canary" in risk.recommendation
    assert risk.features["budget_remaining"] == pytest.approx(0.5)
    canary = sre_service.start_canary_deployment(
        service_name="user-api",
        canary_percentage=10.0,
        duration_minutes=30,
        success_criteria={"error_rate": 0.01, "p99_latency_ms": 200},
    )
    result = sre_service.update_canary_metrics(canary.deployment_id, {"error_rate": 0.005, "p99_latency_ms": 150})
    assert str(result).startswith("continue: ")
    status = sre_service.get_service_sre_status("user-api")
    assert status["deployment_allowed"] is True
    assert status["reasons"] == [
        "user-api-availability: 50.0% of its error budget is left, the least of the service's SLOs"
    ]
    assert [(entry["slo_id"], entry["target_percentage"]) for entry in status["slos"]] == [
        ("user-api-availability", 99.9)
    ]
    assert [(entry["basis"], entry["bad"]) for entry in status["budgets"]] == [("records", pytest.approx(0.0005))]
    assert status["alerts"] == [] and status["gate"]["allowed"] is True


def test_an_slo_goes_to_the_registry_once_and_again_when_it_changes(sre: SREService) -> None:
    for target in (99.0, 99.0, 99.5):
        sre.create_slo(slo("versions", target))
    found = rows(
        sre, "SELECT version, origin, withdrawn_at IS NULL, spec FROM platform.declarations "
        "WHERE name = 'versions-slo' ORDER BY version"
    )  # fmt: skip
    assert [row[:3] for row in found] == [(1, "api", False), (2, "api", True)]
    assert [json.loads(row[3])["spec"]["objectives"][0]["targetPercent"] for row in found] == [99.0, 99.5]


def test_an_slo_that_a_file_declares_is_not_replaced(sre: SREService, tmp_path: Path) -> None:
    file = tmp_path / "slos" / "mine.yaml"
    file.parent.mkdir()
    file.write_text(json.dumps(slo("filed").to_openslo()))
    record(sre.home, load_platform(tmp_path, (OPENSLO_KIND,)), run_id="run")
    with pytest.raises(DeclarationsInvalid, match="this file wins"):
        sre.create_slo(slo("filed", 99.9))
    sre.record_sli(sli("filed", 99.9))
    (found,) = sre.get_service_sre_status("filed")["slos"]
    assert found["target_percentage"] == 99.0
    record(sre.home, load_platform(tmp_path / "none", (OPENSLO_KIND,)), run_id="run")


def test_a_name_that_openslo_does_not_allow_is_refused(sre: SREService) -> None:
    with pytest.raises(DeclarationsInvalid, match=r"metadata\.name"):
        sre.create_slo(slo("no spaces please"))


def test_a_measurement_needs_its_slo_a_percentage_and_a_new_id(sre: SREService) -> None:
    with pytest.raises(CogniforgeError, match="there is no SLO 'nobody-slo'"):
        sre.record_sli(sli("nobody", 99.0))
    sre.create_slo(slo("measured"))
    with pytest.raises(CogniforgeError, match="expected a percentage from 0 to 100, got 101"):
        sre.record_sli(sli("measured", 99.0), sli("measured", 101))
    once = sli("measured", 99.0)
    sre.record_sli(once)
    with pytest.raises(CogniforgeError, match="is there already"):
        sre.record_sli(once)
    assert rows(sre, "SELECT count(*) FROM sre.sli_records WHERE slo_id = 'measured-slo'") == [(1,)]


def test_an_slo_of_telemetry_takes_no_measurements(sre: SREService, tmp_path: Path) -> None:
    document = slo("counted").to_openslo()
    source = {"metricSource": {"type": "cogniforge", "spec": {"metric": "requests_total"}}}
    document["spec"]["indicator"]["spec"] = {"ratioMetric": {"counter": True, "good": source, "total": source}}
    file = tmp_path / "slos" / "counted.yaml"
    file.parent.mkdir()
    file.write_text(json.dumps(document))
    record(sre.home, load_platform(tmp_path, (OPENSLO_KIND,)), run_id="run")
    with pytest.raises(CogniforgeError, match="is not measured by recorded measurements"):
        sre.record_sli(sli("counted", 99.0))
    record(sre.home, load_platform(tmp_path / "none", (OPENSLO_KIND,)), run_id="run")


def test_without_any_budget_a_deployment_is_allowed_and_the_reason_says_so(sre: SREService) -> None:
    sre.create_slo(slo("silent"))
    for service in ("silent", "unheard-of"):
        status = sre.get_service_sre_status(service)
        assert status["deployment_allowed"] is True
        assert status["reasons"][0] == "no error budget is known"


def test_recorded_measurements_close_the_gate_before_any_run(sre: SREService) -> None:
    sre.create_slo(slo("spent"))
    now = datetime.now(UTC)
    sre.record_sli(sli("spent", 100.0, now - timedelta(days=31)), *(sli("spent", 99.5) for _ in range(4)))
    assert sre.get_service_sre_status("spent")["deployment_allowed"] is True
    sre.record_sli(sli("spent", 90.0, compliant=False))
    status = sre.get_service_sre_status("spent")
    assert status["deployment_allowed"] is False
    assert "spent-slo: 240.0% of its error budget is consumed" in status["reasons"][0]
    assert status["gate"]["allowed_changes"] == ["p0", "security"]
    assert status["budgets"][0]["total"] == 5


def test_other_types_count_the_measurements_that_comply(sre: SREService) -> None:
    sre.create_slo(slo("latency", 80.0, sli_type="latency"))
    sre.record_sli(*(sli("latency", 5000.0, compliant=n > 0) for n in range(10)))
    (found,) = sre.get_service_sre_status("latency")["budgets"]
    assert (found["good"], found["bad"], found["remaining"]) == (9, 1, pytest.approx(0.5))


def test_the_gate_of_the_newest_run_decides(sre: SREService) -> None:
    decide(sre, "sre.error_budgets", [budget("shut", 0.5), budget("open", -1.0), budget("none", None)])
    decide(sre, "sre.release_gates", [gate("shut", False), gate("open", True)])
    shut, opened = sre.get_service_sre_status("shut"), sre.get_service_sre_status("open")
    assert shut["deployment_allowed"] is False and opened["deployment_allowed"] is True
    assert shut["reasons"] == ["the gate's own reason", "decided for 2026-03-04 12:00 UTC"]
    assert shut["gate"]["policy"] == "built-in"
    assert [entry["basis"] for entry in opened["budgets"]] == ["run"]
    assert sre.get_service_sre_status("none")["reasons"][0] == "no error budget is known"


def test_measurements_after_the_run_close_its_gate_until_it_is_overridden(sre: SREService) -> None:
    sre.create_slo(slo("later"))
    sre.record_sli(sli("later", 100.0, NOON - timedelta(hours=1)))
    decide(sre, "sre.error_budgets", [budget("later", 1.0)])
    decide(sre, "sre.release_gates", [gate("later", True)])
    before = sre.get_service_sre_status("later")
    assert before["budgets"][0]["basis"] == "run" and before["deployment_allowed"] is True
    sre.record_sli(sli("later", 50.0, compliant=False))
    after = sre.get_service_sre_status("later")
    assert after["budgets"][0]["basis"] == "records" and after["deployment_allowed"] is False
    record_override(sre.home, "later", category="p0", who="ann", why="the fix", lasts=timedelta(hours=1))
    lifted = sre.get_service_sre_status("later")
    assert lifted["deployment_allowed"] is True and lifted["gate"]["override_by"] == "ann"
    assert "ann" in lifted["reasons"][-1]


def test_an_override_that_has_ended_opens_nothing(sre: SREService) -> None:
    long_ago = {"override_by": "ann", "override_reason": "p0", "override_until": NOON + timedelta(hours=1)}
    decide(sre, "sre.release_gates", [gate("was-lifted", True, allowed_changes=["p0", "security"], **long_ago)])
    assert sre.get_service_sre_status("was-lifted")["deployment_allowed"] is False


def test_only_alerts_that_still_fire_are_told(sre: SREService) -> None:
    alert = {
        "slo_id": "alerted-slo", "service": "alerted", "alert": "page-1h", "severity": "page", "long_window": "1h",
        "short_window": "5m", "factor": 14.4, "fired_at": NOON, "peak_burn_rate": 20.0, "budget_spent_at_fire": 0.02,
        "budget_spent": 0.1,
    }  # fmt: skip
    ended = {**alert, "fired_at": NOON - timedelta(days=1), "cleared_at": NOON - timedelta(hours=20)}
    decide(sre, "sre.alerts", [alert, ended, {**alert, "service": "other", "slo_id": "other"}])
    (told,) = sre.get_service_sre_status("alerted")["alerts"]
    assert told["alert"] == "page-1h" and told["fired_at"] == NOON and told["cleared_at"] is None


def _measure(folder: Path, writer: int) -> None:
    service = open_service(folder)
    service.create_slo(slo("busy"))
    for _ in range(2):
        service.record_sli(sli("busy", 99.0))


def test_threads_and_processes_share_a_home(sre: SREService) -> None:
    folder = sre.home.settings.home
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_measure, args=(folder, n)) for n in range(2)]
    for process in processes:
        process.start()
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda n: _measure(folder, n), range(2)))
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    (found,) = sre.get_service_sre_status("busy")["budgets"]
    assert (found["total"], found["remaining"]) == (8, pytest.approx(0.0))
    assert rows(sre, "SELECT count(*) FROM platform.declarations WHERE name = 'busy-slo'") == [(1,)]
