"""Capacity plans: golden examples worked out by hand, and what must hold for any demand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cogniforge_pipeline.aiops.capacity import (
    CapacityPlan,
    CapacityPolicy,
    Demand,
    Resource,
    Scaling,
    demand_from_forecast,
    demand_from_history,
    erlang_c,
    fit_scaling,
    idle_share_of_cores,
    plan_capacity,
    square_root_units,
    units_for_wait,
)
from cogniforge_pipeline.errors import CogniforgeError

HEADROOMS = ["square_root", "erlang_c", "cores", "utilisation"]
USL = Scaling("usl", 100.0, 0.0, 0.05, 0.001)


def policy(headroom: str = "square_root", **more: object) -> CapacityPolicy:
    target = {"utilisation_target": 0.7} if headroom == "utilisation" else {}
    return CapacityPolicy.model_validate({"headroom": headroom, **target, **more})


def steady(amount: float, days: float = 30.0) -> Demand:
    return Demand(np.full(100, amount), days, "forecast", np.full(10, amount), 1.0)


def plan(amount: float, units: int, rules: CapacityPolicy | None = None, days: float = 30.0) -> CapacityPlan:
    return plan_capacity([Resource("cpu", steady(amount, days))], units, rules)


def test_erlang_c_gives_textbook_values() -> None:
    assert erlang_c(1, 0.5) == pytest.approx(0.5)  # M/M/1 waits with its utilisation
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)
    assert erlang_c(3, 2.0) == pytest.approx(4 / 9)
    assert erlang_c(3, 3.0) == 1 and erlang_c(0, 0.0) == 1 and erlang_c(2, 0.0) == 0
    assert erlang_c(10_000, 9_900.0) < 0.4  # no overflow


@given(st.floats(0, 500), st.floats(0.01, 0.99))
@settings(max_examples=60, deadline=None)
def test_units_for_a_wait_are_the_fewest(load: float, chance: float) -> None:
    units = units_for_wait(load, chance)
    assert erlang_c(units, load) <= chance
    assert units == 1 or erlang_c(units - 1, load) > chance


def test_headroom_formulas_by_hand() -> None:
    assert square_root_units(100.0) == 110
    assert square_root_units(100.0, 2.0) == 120
    assert square_root_units(0.0) == 1
    assert idle_share_of_cores(1) == pytest.approx(0.712)
    assert idle_share_of_cores(16) == pytest.approx(0.712 / 16**0.448)
    for cores in (2, 8, 64):  # the fit stands for a wait of about .3 whatever the size
        assert erlang_c(cores, cores * (1 - idle_share_of_cores(cores))) == pytest.approx(0.29, abs=0.03)


def test_a_plan_worked_out_by_hand() -> None:
    # p90 is 80, plus 25 % is 100 busy units; square-root staffing adds 10.
    found = plan(80.0, 90, policy(margin=0.25))
    assert (found.units_needed, found.units_now) == (110, 90)
    assert found.utilisation_now == pytest.approx(100 / 90)
    assert found.utilisation_planned == pytest.approx(100 / 110)
    assert found.headroom == pytest.approx(10 / 110)
    assert found.breach_probability == 0 and found.hours_to_exhaustion is None
    assert found.reason.startswith("add 20: cpu needs 110 of 90 units")
    # VPA's bounds after 30 days: p50 * 1.25 * (1 + .001/30)^-2 and p95 * 1.25 * (1 + 1/30).
    assert found.units_lower == math.ceil(99.99334 + math.sqrt(99.99334))
    assert found.units_upper == math.ceil(103.3333 + math.sqrt(103.3333))
    # Each load of 80 needs 80 * 110/100 = 88 units, 2 fewer than there are.
    assert found.regret_over == pytest.approx(2**1.2) and found.regret_under == 0
    assert found.units_least_regret == 88


def test_too_little_costs_a_quarter_more_than_too_much() -> None:
    few, many = plan(80.0, 78, policy(margin=0.25)), plan(80.0, 98, policy(margin=0.25))
    assert few.regret_under == pytest.approx(1.25 * 10**1.2)
    assert many.regret_over == pytest.approx(10**1.2)


def test_each_headroom_by_hand() -> None:
    by = {name: plan(10.0, 10, policy(name, margin=0.0)) for name in HEADROOMS}
    assert by["square_root"].units_needed == 14  # 10 + 3.16
    assert by["utilisation"].units_needed == 15  # 10 / .7 = 14.3
    assert by["cores"].units_needed == 17  # 10 / (1 - .3826) = 16.2
    assert by["erlang_c"].units_needed == units_for_wait(10.0, 0.1) == 16
    assert "0.712" in by["cores"].formula and "sqrt" in by["square_root"].formula


def test_the_resource_that_needs_most_units_is_the_bottleneck() -> None:
    resources = [
        Resource("cpu", steady(3.0)),
        Resource("memory", steady(64.0), Scaling(rate_per_unit=8.0)),
        Resource("connections", steady(100.0), Scaling(rate_per_unit=50.0)),
    ]
    found = plan_capacity(resources, 4, policy(margin=0.0))
    assert found.bottleneck == "memory" and found.demand_p90 == 64
    assert found.units_needed == 11  # 8 + 2.83


def test_short_history_widens_the_bounds() -> None:
    short, long = plan(50.0, 60, days=0.5), plan(50.0, 60, days=90)
    assert short.units_upper > 2 * long.units_upper and short.units_needed == long.units_needed
    assert short.units_lower <= long.units_lower
    assert "only 0.5 days of history" in short.reason


def test_exhaustion_is_where_the_course_crosses_what_there_is() -> None:
    course = np.array([10.0, 20.0, 30.0, 40.0])
    found = plan_capacity([Resource("cpu", Demand(np.full(50, 10.0), 30, "forecast", course, 6.0))], 25)
    assert found.hours_to_exhaustion == pytest.approx(15.0)  # half way between the second step, 12 h, and the third
    assert plan(30.0, 25).hours_to_exhaustion == 0
    assert "already" in plan(30.0, 25).reason


def test_a_history_that_grows_runs_out_in_time() -> None:
    hours = np.arange(24 * 10)
    growing = 10 + hours // 24 + np.tile(np.sin(np.arange(24) / 24 * 2 * np.pi), 10)
    demand = demand_from_history(growing, 1.0)
    assert demand.history_days == 10 and demand.source == "history"
    found = plan_capacity([Resource("cpu", demand)], 25)
    assert found.hours_to_exhaustion is not None
    assert found.hours_to_exhaustion == pytest.approx(24 * 5, abs=24)  # the 10th day's p90 is about 20, a day adds 1


def test_a_history_without_trend_does_not_run_out() -> None:
    demand = demand_from_history(np.tile([5.0, 9.0, 7.0, np.nan], 50), 6.0)
    assert plan_capacity([Resource("cpu", demand)], 10).hours_to_exhaustion is None


def test_a_forecast_gives_its_own_quantiles_back() -> None:
    demand = demand_from_forecast({0.025: [2.0], 0.1: [4.0], 0.5: [10.0], 0.9: [16.0], 0.975: [18.0]}, 1.0, 30)
    for level, amount in ((0.1, 4.0), (0.5, 10.0), (0.9, 16.0)):
        assert demand.quantile(level) == pytest.approx(amount, abs=0.2)
    assert demand.exceeds(16.0) == pytest.approx(0.1, abs=0.011)
    assert demand.course.tolist() == [16.0]


def test_demand_beyond_the_peak_of_the_scaling_law_is_said_to_be_unservable() -> None:
    most = USL.demand_at(USL.peak)
    found = plan_capacity([Resource("rate", steady(1.2 * most), USL)], 20)
    assert not found.servable and "more units do not help" in found.reason
    assert found.units_needed >= USL.peak
    assert math.isinf(USL.load_of(1.2 * most))


def test_a_maximum_is_kept_and_told() -> None:
    found = plan(80.0, 20, policy(max_units=50))
    assert found.units_needed == 50 and "held at max_units 50" in found.reason
    assert plan(0.0, 5, policy(min_units=2)).units_needed == 2


@given(st.floats(0.01, 29))
def test_the_scaling_law_and_its_inverse_agree_below_the_peak(load: float) -> None:
    assert USL.load_of(USL.demand_at(load)) == pytest.approx(load, rel=1e-6)


def history(law: Scaling, noise: float, points: int = 400, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    load = rng.uniform(1, 25, points)
    return np.array([law.demand_at(each) for each in load]) * rng.normal(1, noise, points), load


def test_the_scaling_law_is_found_again() -> None:
    found = fit_scaling(*history(USL, 0.03))
    assert found.kind == "usl" and found.trusted
    assert found.contention == pytest.approx(0.05, abs=0.02)
    assert found.coherency == pytest.approx(0.001, abs=0.0005)
    assert found.demand_at(30) == pytest.approx(USL.demand_at(30), rel=0.1)


def test_a_linear_service_is_taken_as_linear_with_its_idle_load() -> None:
    found = fit_scaling(*history(Scaling("linear", 40.0, idle_load=0.5), 0.03))
    assert found.kind == "linear" and found.trusted
    assert found.rate_per_unit == pytest.approx(40, rel=0.05) and found.idle_load == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize(
    ("demand", "load", "why"),
    [
        (np.linspace(10, 20, 10), np.linspace(1, 2, 10), "10 points"),
        (np.linspace(10, 11, 100), np.linspace(1, 1.1, 100), "a factor of 2"),
        (np.random.default_rng(1).uniform(1, 100, 200), np.random.default_rng(2).uniform(1, 100, 200), "too much"),
    ],
)
def test_a_fit_that_deserves_no_trust_says_why(demand: np.ndarray, load: np.ndarray, why: str) -> None:
    found = fit_scaling(demand, load)
    assert not found.trusted and why in found.reason
    assert "doubtful" in plan_capacity([Resource("rate", steady(15.0), found)], 3).reason


def test_far_beyond_the_largest_load_the_fit_is_not_trusted() -> None:
    law = fit_scaling(*history(Scaling("linear", 40.0), 0.02))
    assert law.trusted
    assert not plan_capacity([Resource("rate", steady(40.0 * 60), law)], 70).scaling_trusted


@pytest.mark.parametrize(
    "call",
    [
        lambda: demand_from_history([1.0] * 19, 1.0),
        lambda: demand_from_history([-1.0] * 30, 1.0),
        lambda: demand_from_forecast({0.5: [1.0]}, 1.0, 1),
        lambda: demand_from_forecast({0.5: [1.0], 0.9: [1.0, 2.0]}, 1.0, 1),
        lambda: demand_from_forecast({0.5: [1.0], 0.9: [math.nan]}, 1.0, 1),
        lambda: fit_scaling([1, 2], [1, 2]),
        lambda: fit_scaling([1, 2, 3], [1, 2]),
        lambda: plan_capacity([], 3),
        lambda: plan(1.0, 0),
        lambda: erlang_c(-1, 1.0),
        lambda: units_for_wait(1.0, 0.0),
        lambda: idle_share_of_cores(0),
    ],
)
def test_what_makes_no_sense_is_refused(call: object) -> None:
    with pytest.raises(CogniforgeError):
        call()  # type: ignore[operator]


@pytest.mark.parametrize(
    "values",
    [
        {"headroom": "utilisation"},
        {"utilisation_target": 0.5},
        {"min_units": 4, "max_units": 3},
        {"quantile": 0.2},
        {"buffer": 1},
    ],
)
def test_a_policy_that_does_not_fit_together_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CapacityPolicy.model_validate(values)


amounts = st.lists(st.floats(0, 1000), min_size=20, max_size=60)
laws = st.sampled_from([Scaling(), Scaling("linear", 5.0, 0.3), USL, Scaling("usl", 20.0, 0.0, 0.2, 0.0)])


def demanded(values: list[float], days: float = 10.0) -> Demand:
    array = np.array(values)
    return Demand(np.sort(array), days, "forecast", array, 1.0)


@settings(max_examples=60, deadline=None)
@given(amounts, laws, st.sampled_from(HEADROOMS), st.floats(1, 3), st.floats(0, 100), st.integers(1, 50))
def test_more_demand_never_needs_fewer_units(
    values: list[float], law: Scaling, headroom: str, factor: float, more: float, units: int
) -> None:
    rules = policy(headroom)
    less = plan_capacity([Resource("r", demanded(values), law)], units, rules)
    grown = plan_capacity([Resource("r", demanded([value * factor + more for value in values]), law)], units, rules)
    assert grown.units_needed >= less.units_needed
    assert grown.units_lower >= less.units_lower and grown.units_upper >= less.units_upper
    assert grown.breach_probability >= less.breach_probability - 1e-9 or more == 0


@settings(max_examples=60, deadline=None)
@given(amounts, laws, st.integers(1, 200), st.integers(0, 200))
def test_breach_probability_is_a_chance_and_falls_with_units(
    values: list[float], law: Scaling, units: int, more: int
) -> None:
    resource = Resource("r", demanded(values), law)
    few, many = plan_capacity([resource], units), plan_capacity([resource], units + more)
    assert 0 <= many.breach_probability <= few.breach_probability <= 1
    assert many.regret_over >= few.regret_over >= 0 and 0 <= many.regret_under <= few.regret_under
    if few.hours_to_exhaustion is None:
        assert many.hours_to_exhaustion is None


@settings(max_examples=60, deadline=None)
@given(amounts, laws, st.sampled_from(HEADROOMS))
def test_no_number_of_units_is_regretted_less_than_the_one_given(
    values: list[float], law: Scaling, headroom: str
) -> None:
    resource = Resource("r", demanded(values), law)
    best = plan_capacity([resource], 1, policy(headroom)).units_least_regret

    def regret(units: int) -> float:
        found = plan_capacity([resource], units, policy(headroom))
        return found.regret_over + found.regret_under

    assert all(regret(best) <= regret(units) + 1e-9 for units in (best - 1, best + 1, 2 * best) if units >= 1)


@settings(max_examples=60, deadline=None)
@given(amounts, laws, st.sampled_from(HEADROOMS), st.integers(1, 100))
def test_bounds_hold_what_is_needed_and_numbers_are_finite(
    values: list[float], law: Scaling, headroom: str, units: int
) -> None:
    found = plan_capacity([Resource("r", demanded(values), law)], units, policy(headroom))
    assert 1 <= found.units_lower <= found.units_needed <= found.units_upper
    assert 0 <= found.headroom <= 1
    for value in vars(found).values():
        assert not isinstance(value, float) or math.isfinite(value)
