"""Canaries that run: each look is kept, the verdict rests on all of them, and it is told once."""

from __future__ import annotations

import json
import math
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.sre import CanaryError, Counts, Criterion, Means
from cogniforge_pipeline.sre.service import SREService
from cogniforge_pipeline.sre.service_types import metrics_from_json, metrics_to_json
from tests.support.sre_service import NOON, open_service

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def sre(tmp_path_factory: pytest.TempPathFactory) -> SREService:
    """One service for all tests of this file."""
    return open_service(tmp_path_factory.mktemp("sre") / "home")


def rows(sre: SREService, query: str) -> list[tuple[Any, ...]]:
    return sre.home.lake.cursor().execute(query).fetchall()


def start(sre: SREService, criteria: dict[str, Any], minutes: float = 10) -> str:
    return sre.start_canary_deployment("api", 10.0, minutes, criteria, started_at=NOON).deployment_id


def events(sre: SREService, canary: str) -> list[tuple[str, datetime]]:
    return [
        (event.type, event.time)
        for event in sre.home.events.read(types=["canary.*"])
        if isinstance(event.data, dict) and event.data["deployment_id"] == canary
    ]


COUNT = st.integers(0, 10**12)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.builds(Counts, COUNT, COUNT, st.none() | COUNT, st.none() | COUNT)
MEANS = st.builds(Means, COUNT, NUMBER, NUMBER, st.none() | COUNT, st.none() | NUMBER, st.none() | NUMBER)


@given(st.dictionaries(st.text(), st.none() | NUMBER | COUNTS | MEANS))
def test_what_was_measured_comes_back_as_it_was(metrics: dict[str, Any]) -> None:
    assert metrics_from_json(metrics_to_json(metrics)) == metrics


def test_a_canary_that_keeps_its_limits_is_promoted_at_its_end(sre: SREService) -> None:
    canary = start(sre, {"error_rate": 0.01, "p99_latency_ms": 200}, minutes=3)
    values = {"error_rate": 0.005, "p99_latency_ms": 150.0}
    for minute in (1, 2):
        assert sre.update_canary_metrics(canary, values, at=NOON + minute * MINUTE).action == "continue"
    done = sre.update_canary_metrics(canary, values, at=NOON + 3 * MINUTE)
    assert (done.action, done.looks, done.decided_at) == ("promote", 3, NOON + 3 * MINUTE)
    query = (
        f"SELECT action, looks, percentage, decided_at = changed_at FROM sre.canaries WHERE deployment_id = '{canary}'"
    )
    assert rows(sre, query) == [("promote", 3, 10.0, True)]
    assert events(sre, canary) == [("canary.promote", NOON + 3 * MINUTE)]


def test_a_broken_limit_rolls_back_for_good_and_is_told_once(sre: SREService) -> None:
    canary = start(sre, {"error_rate": 0.01})
    for minute, rate in enumerate((0.005, 0.02, 0.001), 1):
        found = sre.update_canary_metrics(canary, {"error_rate": rate}, at=NOON + minute * MINUTE)
    assert found.action == "rollback" and found.decided_at == found.changed_at == NOON + 2 * MINUTE
    assert "1 of 3 looks broke it" in found.reasons[0] and "1 of 3" in str(found)
    assert events(sre, canary) == [("canary.rollback", NOON + 2 * MINUTE)]


def test_silence_makes_it_inconclusive_until_data_comes_again(sre: SREService) -> None:
    canary = start(sre, {"error_rate": 0.01}, minutes=30)
    sre.update_canary_metrics(canary, {"error_rate": 0.0}, at=NOON + MINUTE)
    silent = sre.get_canary_status(canary, at=NOON + 9 * MINUTE)
    assert silent.action == "inconclusive" and "no data for 8 minutes" in silent.reasons[0]
    assert sre.update_canary_metrics(canary, {"error_rate": math.nan}, at=NOON + 10 * MINUTE).action == "inconclusive"
    again = sre.update_canary_metrics(canary, {"error_rate": 0.0}, at=NOON + 11 * MINUTE)
    assert again.action == "continue" and again.decided_at is None
    assert sre.get_canary_status(canary, at=NOON + 20 * MINUTE).action == "inconclusive"
    assert events(sre, canary) == [
        ("canary.inconclusive", NOON + 9 * MINUTE),
        ("canary.inconclusive", NOON + 20 * MINUTE),
    ]


def test_without_data_nothing_is_promoted(sre: SREService) -> None:
    canary = start(sre, {"error_rate": 0.01}, minutes=3)
    assert sre.get_canary_status(canary, at=NOON + 30 * MINUTE).action == "inconclusive"


def test_counts_and_means_keep_their_baselines(sre: SREService) -> None:
    criteria = {"errors": Criterion(), "latency": {"limit": 200.0, "min_events": 50}}
    canary = start(sre, criteria)
    looks = [
        {"errors": Counts(1, 400, 1, 400), "latency": Means(40, 150.0, 20.0)},
        {"errors": {"bad": 120, "total": 400, "baseline_bad": 1, "baseline_total": 400}, "latency": None},
    ]
    assert sre.update_canary_metrics(canary, looks[0], at=NOON + MINUTE).action == "continue"
    found = sre.update_canary_metrics(canary, looks[1], at=NOON + 2 * MINUTE)
    assert (
        found.action == "rollback" and "121 bad of 800" in found.reasons[0] and "baseline 2 of 800" in found.reasons[0]
    )
    kept = rows(sre, f"SELECT metrics FROM sre.canary_looks WHERE deployment_id = '{canary}' ORDER BY ts")
    assert [json.loads(text) for (text,) in kept] == [
        {
            "errors": {"bad": 1, "total": 400, "baseline_bad": 1, "baseline_total": 400},
            "latency": {"count": 40, "mean": 150.0, "variance": 20.0},
        },
        {"errors": looks[1]["errors"], "latency": None},
    ]


@pytest.mark.parametrize(
    ("metrics", "at", "message"),
    [
        ({"error_rate": "low"}, 1, "a value is a finite number"),
        ({"error_rate": math.inf}, 1, "a value is a finite number"),
        ({"error_rate": Counts(5, 2)}, 1, "counts need 0 <= bad <= total"),
        ({"error_rate": {"bad": 5}}, 1, "expected a number, bad and total, or count, mean and variance"),
        ({"error_rate": Means(5, 1.0, 1.0)}, 2, "looks mix bare numbers, Counts and Means"),
        ({"error_rate": 0.1}, 1, "two looks at"),
        ({"error_rate": 0.1}, -1, "from before the canary began"),
    ],
)
def test_an_impossible_look_is_refused_and_not_kept(
    sre: SREService, metrics: dict[str, Any], at: int, message: str
) -> None:
    canary = start(sre, {"error_rate": 0.01})
    sre.update_canary_metrics(canary, {"error_rate": 0.0}, at=NOON + MINUTE)
    with pytest.raises(CogniforgeError, match=message):
        sre.update_canary_metrics(canary, metrics, at=NOON + at * MINUTE)
    assert rows(sre, f"SELECT count(*) FROM sre.canary_looks WHERE deployment_id = '{canary}'") == [(1,)]
    assert sre.get_canary_status(canary, at=NOON + 2 * MINUTE).action == "continue"


def test_a_canary_that_cannot_be_judged_is_not_started(sre: SREService) -> None:
    with pytest.raises(CanaryError, match="at least one success criterion"):
        start(sre, {})
    with pytest.raises(CanaryError, match="expected a finite number as limit, got 'low'"):
        start(sre, {"error_rate": "low"})
    with pytest.raises(CanaryError, match="a criterion has no maximum"):
        start(sre, {"error_rate": {"maximum": 1}})
    with pytest.raises(CanaryError, match="duration"):
        start(sre, {"error_rate": 0.01}, minutes=0)
    with pytest.raises(CogniforgeError, match="percentage"):
        sre.start_canary_deployment("api", 150.0, 5, {"error_rate": 0.01})
    with pytest.raises(CanaryError, match="there is no canary nothing"):
        sre.update_canary_metrics("nothing", {"error_rate": 0.01})
    sre.start_canary_deployment("api", 5.0, 5, {"error_rate": 0.01}, deployment_id="taken")
    with pytest.raises(CogniforgeError, match="taken is there already"):
        sre.start_canary_deployment("api", 5.0, 5, {"error_rate": 0.01}, deployment_id="taken")


def _look(folder: Path, canary: str, first: int) -> None:
    service = open_service(folder)
    for n in range(3):
        at = NOON + (first + n) * MINUTE
        service.update_canary_metrics(canary, {"error_rate": 0.5 if first + n == 6 else 0.0}, at=at)


def test_looks_of_many_writers_all_count(sre: SREService) -> None:
    canary = start(sre, {"error_rate": 0.01}, minutes=60)
    folder = sre.home.settings.home
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_look, args=(folder, canary, 1 + 3 * n)) for n in range(2)]
    for process in processes:
        process.start()
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda n: _look(folder, canary, 7 + 3 * n), range(2)))
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    (found,) = rows(sre, f"SELECT action, looks, decided_at FROM sre.canaries WHERE deployment_id = '{canary}'")
    assert found[:2] == ("rollback", 12) and found[2] == NOON + 6 * MINUTE
    assert [kind for kind, _ in events(sre, canary)][-1] == "canary.rollback"
