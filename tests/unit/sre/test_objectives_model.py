from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import Any

import pytest

from cogniforge_pipeline.declarations import DeclarationsInvalid
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.sre.model import SLI, SLO, DeploymentStrategy
from cogniforge_pipeline.sre.objectives import RecordedRows

AVAILABILITY = SLO(
    slo_id="user-api-availability",
    service_name="user-api",
    name="User API Availability",
    description="99.9% availability over 30 days",
    target_percentage=99.9,
    measurement_window_days=30,
    sli_type="availability",
)


def test_an_slo_of_the_python_api_becomes_an_objective_over_recorded_rows() -> None:
    found = AVAILABILITY.to_objective()

    assert (found.slo_id, found.service, found.target) == ("user-api-availability", "user-api", Fraction(999, 1000))
    assert (found.display_name, found.description) == ("User API Availability", "99.9% availability over 30 days")
    assert (found.window.duration, found.source) == ("30d", RecordedRows("percent"))


def test_measurements_that_are_no_percentage_count_by_their_compliance() -> None:
    latency = SLO("checkout-latency", "checkout", "Checkout is fast", sli_type="latency")
    slow = SLI("1", "checkout-latency", measured_value=250, target_value=200, compliant=False)

    assert latency.to_objective().source == RecordedRows("compliance")
    assert slow.good(percent=False) == 0
    assert SLI("2", "user-api-availability", 99.95, 99.9, True).good(percent=True) == 0.9995


@pytest.mark.parametrize(
    "values", [{"target_percentage": 100}, {"target_percentage": -1}, {"measurement_window_days": 0}]
)
def test_an_slo_that_leaves_no_budget_or_no_time_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(CogniforgeError, match="expected a"):
        SLO("x", "web", "X", **values)


def test_an_id_that_openslo_does_not_allow_is_refused_with_the_reason() -> None:
    with pytest.raises(DeclarationsInvalid, match=r"metadata\.name"):
        SLO("user api", "web", "X").to_objective()


def test_a_measurement_needs_a_time_zone_and_a_possible_percentage() -> None:
    with pytest.raises(CogniforgeError, match="time zone"):
        SLI("1", "x", 1, 1, True, datetime(2024, 1, 1))
    with pytest.raises(CogniforgeError, match="from 0 to 100"):
        SLI("1", "x", 250, 1, True).good(percent=True)


def test_strategies_have_the_names_users_write() -> None:
    assert [strategy.value for strategy in DeploymentStrategy] == ["canary", "blue_green", "rolling", "recreate"]
