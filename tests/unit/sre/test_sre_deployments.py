"""Deployments as they are told of, and their risk from what was known before: never from what came later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cogniforge_pipeline import written
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.sre import DeploymentStrategy
from cogniforge_pipeline.sre.service import SREService
from tests.support.sre_service import NOON, budget, decide, health, open_service

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def sre(tmp_path_factory: pytest.TempPathFactory) -> SREService:
    """One service for all tests of this file; each has an observed service of its own name."""
    return open_service(tmp_path_factory.mktemp("sre") / "home")


def rows(sre: SREService, query: str) -> list[tuple[Any, ...]]:
    return sre.home.lake.cursor().execute(query).fetchall()


def history(sre: SREService, service: str, count: int, known_after: timedelta = -HOUR) -> None:
    """Past deployments, of which those of 1,000 lines fail and those of 10 do not, as they were assessed."""
    deployments, assessments = [], []
    for n in range(count):
        start, large = NOON - timedelta(days=count - n), n % 2 == 0
        failed = large != (n % 15 == 0)
        name = f"{service}-{n}"
        deployments.append(
            {
                "deployment_id": name, "service": service, "strategy": "rolling", "change_type": "normal",
                "status": "failed" if failed else "succeeded", "started_at": start, "finished_at": start + HOUR,
            }
        )  # fmt: skip
        known = start + known_after
        assessments.append(
            {
                "deployment_id": name, "service": service, "known_at": known, "assessed_at": max(known, start),
                "probability": 0.1, "recommendation": "go", "advised_strategy": "rolling", "contributions": [],
                "basis": "prior", "strategy": "rolling", "lines_changed": 1000 if large else 10, "off_hours": 0,
                "unknown": [],
            }
        )  # fmt: skip
    written.append(sre.home, "sre.deployments", deployments, run_id="r")
    written.append(sre.home, "sre.deployment_risk", assessments, run_id="r")


def forget(sre: SREService) -> None:
    """Leaves the home without deployments, so that tests learn nothing from each other."""
    cursor = sre.home.lake.cursor()
    with sre.home.lake.transaction(cursor):
        cursor.execute("DELETE FROM sre.deployments")
        cursor.execute("DELETE FROM sre.deployment_risk")


def test_a_deployment_is_told_of_in_parts(sre: SREService) -> None:
    planned = sre.record_deployment("shop", DeploymentStrategy.BLUE_GREEN, status="planned", lines_changed=120)
    assert planned.started_at is None and planned.deployment_id.startswith("deploy-")
    begun = sre.record_deployment("shop", deployment_id=planned.deployment_id, status="in_progress", version="2.1")
    assert begun.strategy is DeploymentStrategy.BLUE_GREEN and begun.lines_changed == 120
    assert begun.started_at is not None
    ended = sre.finish_deployment(planned.deployment_id, "rolled_back", finished_at=begun.started_at + HOUR)
    later = sre.finish_deployment(planned.deployment_id, "failed")
    assert later.finished_at == ended.finished_at
    columns = "strategy, status, version, lines_changed, change_type, finished_at - started_at"
    assert rows(sre, f"SELECT {columns} FROM sre.deployments WHERE service = 'shop'") == [
        ("blue_green", "failed", "2.1", 120, "normal", HOUR)
    ]


def test_what_cannot_be_is_refused(sre: SREService) -> None:
    with pytest.raises(CogniforgeError, match="there is no deployment nothing"):
        sre.finish_deployment("nothing")
    with pytest.raises(CogniforgeError, match="status: expected one of succeeded, failed, rolled_back, got 'planned'"):
        sre.finish_deployment("nothing", "planned")
    with pytest.raises(CogniforgeError, match=r"strategy: expected one of .*, got 'slowly'"):
        sre.record_deployment("odd", "slowly")
    with pytest.raises(CogniforgeError, match=r"strategy: expected one of .*, got 'slowly'"):
        sre.assess_deployment_risk("odd", "odd", "slowly")
    with pytest.raises(CogniforgeError, match="change_type: expected one of normal, p0, security, got 'big'"):
        sre.record_deployment("odd", change_type="big")
    with pytest.raises(CogniforgeError, match="a deployment does not end before it starts"):
        sre.record_deployment("odd", started_at=NOON, finished_at=NOON - HOUR, status="failed")
    mine = sre.record_deployment("mine")
    for other in (lambda: sre.record_deployment("other", deployment_id=mine.deployment_id),
                  lambda: sre.assess_deployment_risk(mine.deployment_id, "other")):  # fmt: skip
        with pytest.raises(CogniforgeError, match="is of mine, not of other"):
            other()
    assert rows(sre, "SELECT count(*) FROM sre.deployments WHERE service IN ('odd', 'other')") == [(0,)]


def test_features_are_those_known_before_the_deployment(sre: SREService) -> None:
    for n, status in enumerate(["failed", "succeeded", "succeeded", "rolled_back", "failed"]):
        start = NOON + n * HOUR
        sre.record_deployment(
            "api", deployment_id=f"api-{n}", status=status, started_at=start, finished_at=start + HOUR / 2
        )
    decide(sre, "sre.error_budgets", [budget("api", 0.4), budget("api", -0.2, slo_id="api-other")])
    decide(sre, "aiops.service_health", [health("api", 3)])
    known = sre.assess_deployment_risk("now", "api", "canary", lines_changed=5, at=NOON + 3 * HOUR)
    assert known.features == {
        "strategy": "canary",
        "lines_changed": 5,
        "files_changed": None,
        "recent_failure_rate": pytest.approx(1 / 3),
        "budget_remaining": pytest.approx(-0.2),
        "active_anomalies": 3,
        "off_hours": 0,
    }
    assert known.unknown == ("files_changed",)
    assert known.advised_strategy == "hold" and "the error budget is spent" in known.recommendation
    before = sre.assess_deployment_risk("then", "api", at=NOON - HOUR)
    later = ("recent_failure_rate", "budget_remaining", "active_anomalies")
    assert [before.features[name] for name in later] == [None] * 3
    assert set(later) < set(before.unknown)


def test_a_recorded_deployment_gives_its_size_its_strategy_and_its_start(sre: SREService) -> None:
    sre.record_deployment(
        "sized", "recreate", deployment_id="sized", lines_changed=900, files_changed=40, started_at=NOON
    )
    risk = sre.assess_deployment_risk("sized", "sized")
    assert risk.known_at == NOON and risk.assessed_at > NOON
    assert [risk.features[name] for name in ("strategy", "lines_changed", "files_changed")] == ["recreate", 900, 40]
    assert (
        sre.assess_deployment_risk("small", "sized", "recreate", lines_changed=1, at=NOON).risk_score < risk.risk_score
    )


def test_an_assessment_is_kept_with_its_reasons(sre: SREService) -> None:
    risk = sre.assess_deployment_risk("kept", "kept", "recreate", lines_changed=4000, files_changed=90)
    (row,) = rows(
        sre,
        "SELECT probability, advised_strategy, lines_changed, recent_failure_rate, contributions[1], unknown, basis "
        "FROM sre.deployment_risk WHERE deployment_id = 'kept'",
    )
    first = risk.contributions[0]
    assert row[:4] == (risk.risk_score, risk.advised_strategy, 4000, None)
    assert row[4] == {
        "feature": first.feature, "value": str(first.value), "usual": str(first.usual),
        "log_odds": first.log_odds, "words": first.words,
    }  # fmt: skip
    assert first.feature == "lines_changed"
    assert row[5] == list(risk.unknown) and row[6] == risk.basis


def test_the_model_is_learnt_from_enough_history_and_else_is_the_prior(sre: SREService) -> None:
    forget(sre)
    assert sre.assess_deployment_risk("first", "learn", lines_changed=1000).basis.startswith("prior (0 deployments")
    history(sre, "learn", 120)
    large = sre.assess_deployment_risk("large", "learn", "rolling", lines_changed=1000)
    small = sre.assess_deployment_risk("small", "learn", "rolling", lines_changed=10)
    assert large.basis == small.basis == "learnt from 120 deployments, 60 failed"
    assert large.risk_score > 0.6 and small.risk_score < 0.4


def test_what_was_only_known_after_the_start_teaches_nothing(sre: SREService) -> None:
    forget(sre)
    history(sre, "late", 120, known_after=HOUR / 2)
    assert sre.assess_deployment_risk("d", "late").basis.startswith("prior (0 deployments")


def test_a_model_of_the_past_knows_only_what_had_ended_then(sre: SREService) -> None:
    forget(sre)
    history(sre, "past", 120)
    then = sre.assess_deployment_risk("d", "past", at=NOON - timedelta(days=60) + HOUR / 2)
    assert then.basis.startswith("prior (60 deployments with ")
    assert sre.assess_deployment_risk("d", "past", at=datetime.now(UTC)).basis.startswith("learnt from 120 ")
