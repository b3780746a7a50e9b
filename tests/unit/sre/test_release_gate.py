"""May a service deploy, and why not: the decision, its table, and the commands."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogniforge_pipeline.contracts import Contract, audit, good_rows
from cogniforge_pipeline.declarations import declare
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.registry import record
from cogniforge_pipeline.sqltext import ident, literal
from cogniforge_pipeline.sre.budget_policy import BUDGET_POLICY_KIND, CATEGORIES, BudgetPolicy, policy_for
from cogniforge_pipeline.sre.release_gate import (
    NORMAL,
    Budget,
    FiringAlert,
    Gate,
    Incident,
    Override,
    decide,
    may_deploy,
    with_overrides,
)
from cogniforge_pipeline.sre.release_gates import GATES, OVERRIDES, gate_of, record_override, release_gates_selects
from tests.support.pipeline import CONTRACTS, Pipeline, at
from tests.unit.cli.conftest import Cli, cli  # noqa: F401

NOW = at("2026-03-03 12:00")
HOUR = timedelta(hours=1)
BUILT_IN = policy_for("shop", [])


def policy(*steps: dict[str, Any]) -> Any:
    spec = {"name": "strict", "services": "*", "steps": list(steps)}
    return policy_for("shop", [BudgetPolicy.model_validate(spec)])


def budget(consumed: float | None, *shares: float, slo_id: str = "checkout") -> Budget:
    return Budget(slo_id, consumed, tuple(Incident(NOW - 5 * HOUR, NOW - 4 * HOUR, share) for share in shares))


def override(category: str = "p0", *, begins: float = -1, ends: float = 1, service: str = "shop") -> Override:
    return Override(service, category, "ada", "payments are down", NOW + begins * HOUR, NOW + ends * HOUR)


def gate(*budgets: Budget, alerts: Any = (), by: Any = BUILT_IN, overrides: Any = ()) -> Gate:
    return decide("shop", budgets, alerts, by, overrides, NOW)


def test_with_budget_left_anything_may_deploy_and_the_reason_says_how_much() -> None:
    found = gate(budget(0.4), budget(0.9, slo_id="latency"))
    assert found.allowed and may_deploy(found) and may_deploy(found, "p0")
    assert found.reasons == ("latency: 10.0% of its error budget is left, the least of the service's SLOs",)
    assert (found.worst_slo_id, found.budget_remaining) == ("latency", pytest.approx(0.1))
    assert found.allowed_changes == (NORMAL, "p0", "security")


def test_a_spent_budget_stops_all_but_p0_and_security_changes() -> None:
    found = gate(budget(1.25), budget(0.1, slo_id="latency"))
    assert not found.allowed and not may_deploy(found)
    assert may_deploy(found, "p0") and may_deploy(found, "security")
    assert found.reasons == (
        "checkout: 125.0% of its error budget is consumed; built-in freezes changes from 100% of it on",
    )
    assert found.actions == ("stop all changes but p0 and security ones until what froze them is over",)
    assert found.budget_remaining == pytest.approx(-0.25)


def test_the_budget_is_spent_at_exactly_the_whole_of_it() -> None:
    assert not gate(budget(1.0)).allowed
    assert gate(budget(0.9999)).allowed


@pytest.mark.parametrize("consumed", [None, float("nan")])
def test_a_budget_that_is_not_known_stops_nothing_and_is_said(consumed: float | None) -> None:
    found = gate(budget(consumed))
    assert found.allowed and found.budget_remaining is None and found.worst_slo_id is None
    assert found.reasons == ("checkout: its budget is not known: no events in its window; that stops nothing",)
    assert gate().reasons == ("no SLO of the service has a budget; that stops nothing",)


def test_an_incident_above_a_fifth_of_the_budget_asks_for_a_postmortem_and_stops_nothing() -> None:
    found = gate(budget(0.5, 0.31, 0.2))
    assert found.allowed
    assert found.actions == (
        "write a postmortem of the incident of 2026-03-03 07:00 UTC (checkout) with at least one P0 action item",
    )
    assert "spent 31.0% of the error budget" in found.reasons[0]


def test_a_declared_policy_warns_before_it_freezes_and_does_not_warn_beside_a_freeze() -> None:
    steps = policy({"when": {"consumed": 1}, "action": "freeze"}, {"when": {"consumed": 0.8}, "action": "warn"})
    warned = gate(budget(0.85), by=steps)
    assert warned.allowed and "strict warns from 80% of it on" in warned.reasons[0]
    assert warned.actions == ("spare the error budget of checkout",)
    frozen = gate(budget(1.1), by=steps)
    assert not frozen.allowed and len(frozen.reasons) == 1 and "freezes" in frozen.reasons[0]


def test_a_firing_page_alert_freezes_where_the_policy_says_so_and_a_ticket_does_not() -> None:
    page, ticket = (
        FiringAlert("checkout", name, severity, NOW - HOUR)
        for name, severity in (("page-1h", "page"), ("ticket-3d", "ticket"))
    )
    steps = policy({"when": {"alert": "page"}, "action": "freeze"})
    found = gate(budget(0.2), alerts=[page, ticket], by=steps)
    assert not found.allowed and found.page_alerts == 1
    assert found.reasons == (
        "checkout: the page alert page-1h fires since 2026-03-03 11:00 UTC; strict freezes changes while it does",
    )
    assert gate(budget(0.2), alerts=[ticket], by=steps).allowed
    counted = gate(budget(0.2), alerts=[page])
    assert counted.allowed and counted.page_alerts == 1


def test_two_freezes_let_through_only_what_both_allow() -> None:
    steps = policy(
        {"when": {"consumed": 1}, "action": "freeze", "allow": ["p0", "security"]},
        {"when": {"incident_share": 0.5}, "action": "freeze", "allow": ["security"]},
    )
    found = gate(budget(1.5, 0.9), by=steps)
    assert found.allowed_changes == ("security",)
    assert may_deploy(found, "security") and not may_deploy(found, "p0")


def test_an_override_opens_the_gate_while_it_lasts_and_is_told_with_who_and_why() -> None:
    found = gate(budget(2.0), overrides=[override()])
    assert found.allowed and may_deploy(found) and found.frozen
    assert found.reasons[-1] == "overridden as p0 by ada until 2026-03-03 13:00 UTC: payments are down"
    row = found.to_row()
    assert (row["override_by"], row["override_reason"]) == ("ada", "payments are down")
    assert row["override_until"] == NOW + HOUR


@pytest.mark.parametrize(
    "made",
    [override(ends=0), override(begins=0.1, ends=2), override(service="web")],
    ids=["over", "not yet", "of another service"],
)
def test_an_override_that_is_not_in_force_does_not_count(made: Override) -> None:
    found = gate(budget(2.0), overrides=[made])
    assert not found.allowed and found == gate(budget(2.0))


def test_an_override_of_a_kind_that_the_policy_does_not_allow_does_not_count_and_is_told() -> None:
    steps = policy({"when": {"consumed": 1}, "action": "freeze", "allow": ["security"]})
    found = gate(budget(2.0), by=steps, overrides=[override("p0")])
    assert not found.allowed and found.override is None
    assert found.reasons[-1].endswith("(does not count: strict lets no p0 change through)")
    assert gate(budget(2.0), by=steps, overrides=[override("p0"), override("security")]).allowed


def test_an_override_ends_without_a_new_decision() -> None:
    made = [override()]
    open_gate = gate(budget(2.0), overrides=made)
    assert with_overrides(open_gate, made, NOW + HOUR) == gate(budget(2.0))


def test_a_change_of_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected one of normal, p0, security"):
        may_deploy(gate(budget(0.1)), "urgent")


consumption = st.one_of(st.none(), st.floats(0, 5))
budgets = st.lists(st.builds(Budget, st.sampled_from("abc"), consumption), max_size=3)
steps = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"when": st.fixed_dictionaries({"consumed": st.floats(0.01, 3)})},
            optional={"allow": st.lists(st.sampled_from(CATEGORIES), max_size=2)},
        ).map(lambda step: {**step, "action": "freeze"}),
        st.builds(lambda limit: {"when": {"consumed": limit}, "action": "warn"}, st.floats(0.01, 3)),
    ),
    min_size=1,
    max_size=4,
    unique_by=str,
)
overrides = st.lists(
    st.builds(
        lambda category, begins, length: override(category, begins=begins, ends=begins + length),
        st.sampled_from(CATEGORIES),
        st.floats(-5, 5),
        st.floats(0.1, 5),
    ),
    max_size=3,
)


@given(budgets, steps, overrides)
def test_a_gate_is_closed_exactly_when_a_freeze_is_reached_that_nothing_in_force_lifts(
    known: list[Budget], declared: list[dict[str, Any]], made: list[Override]
) -> None:
    by = policy(*declared)
    found = gate(*known, by=by, overrides=made)
    reached = [
        step
        for step in by.steps
        for one in known
        if step.action == "freeze" and one.consumed is not None and one.consumed >= (step.when.consumed or 0)
    ]
    through = {category for category in CATEGORIES if all(category in step.allowed for step in reached)}
    lifted = any(o.category in through for o in made if o.created_at <= NOW < o.until)
    assert found.frozen == bool(reached)
    assert found.allowed == (not reached or lifted)
    assert set(found.allowed_changes) == (through if reached else {NORMAL, *CATEGORIES})
    assert found.reasons and all(found.reasons)


@given(budgets, steps, st.floats(0, 3), st.integers(0, 2))
def test_spending_more_never_opens_a_gate(
    known: list[Budget], declared: list[dict[str, Any]], more: float, place: int
) -> None:
    worse = [
        Budget(one.slo_id, one.consumed + more if n == place and one.consumed is not None else one.consumed)
        for n, one in enumerate(known)
    ]
    before, after = gate(*known, by=policy(*declared)), gate(*worse, by=policy(*declared))
    assert set(after.allowed_changes) <= set(before.allowed_changes)
    assert after.allowed <= before.allowed


def insert(work: Pipeline, table: str, **row: Any) -> None:
    """A row of a decision table, with values for the columns that must not be empty."""
    contract: Contract = CONTRACTS[table]
    blank = {"BOOLEAN": "true", "VARCHAR": "'x'", "TIMESTAMPTZ": literal(NOW), "TIMESTAMP WITH TIME ZONE": literal(NOW)}
    values = {c.name: blank.get(c.type, "[]" if c.type.endswith("[]") else "1") for c in contract.columns if c.required}
    values |= {name: value if name == "incidents" else literal(value) for name, value in row.items()}
    columns = ", ".join(map(ident, values))
    work.home.lake.cursor().execute(f"INSERT INTO {table} ({columns}) VALUES ({', '.join(values.values())})")


def decided(work: Pipeline, as_of: datetime = NOW) -> dict[str, dict[str, Any]]:
    """Writes the gates at `as_of` in place of those before, and gives them by service."""
    cursor = work.home.lake.cursor()
    cursor.execute(f"DELETE FROM {GATES}")
    for select in release_gates_selects(cursor, as_of):
        contract = CONTRACTS[GATES]
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE made AS {select}")
        assert not audit(cursor, contract, "temp.made").blocking
        assert (
            len(cursor.execute(good_rows(contract, "temp.made")).fetchall())
            == cursor.execute("SELECT count(*) FROM temp.made").fetchall()[0][0]
        )
        cursor.execute(f"INSERT INTO {GATES} BY NAME FROM temp.made")
    found = cursor.execute(f"SELECT * FROM {GATES} ORDER BY service")
    names = [column[0] for column in found.description or []]
    return {row[1]: dict(zip(names, row, strict=True)) for row in found.fetchall()}


@pytest.fixture
def spent(pipeline: Pipeline) -> Pipeline:
    """shop has spent its budget in one incident, web has some left, api has no data, ml cannot be computed."""
    for service in ("shop", "web", "api", "ml"):
        insert(pipeline, "sre.slos", slo_id=f"{service}-slo", service=service)
    pipeline.home.lake.cursor().execute(
        "UPDATE sre.slos SET not_computable = 'not computable here: metric source datadog' WHERE service = 'ml'"
    )
    incident = f"[{{'started_at': {literal(NOW - HOUR)}, 'ended_at': {literal(NOW)}, 'bad': 9.0, 'share': 0.9}}]"
    insert(
        pipeline, "sre.error_budgets", slo_id="shop-slo", service="shop", consumed=1.1, as_of=NOW, incidents=incident
    )
    insert(pipeline, "sre.error_budgets", slo_id="web-slo", service="web", consumed=0.25, as_of=NOW, incidents="[]")
    insert(pipeline, "sre.error_budgets", slo_id="api-slo", service="api", consumed=None, as_of=NOW, incidents="[]")
    insert(
        pipeline, "sre.alerts", slo_id="web-slo", service="web", alert="page-1h", severity="page", fired_at=NOW - HOUR
    )
    insert(
        pipeline, "sre.alerts", slo_id="shop-slo", service="shop", alert="page-1h", severity="page",
        fired_at=NOW - 3 * HOUR, cleared_at=NOW - HOUR,
    )  # fmt: skip
    return pipeline


def test_the_table_has_a_gate_for_each_service_with_an_slo(spent: Pipeline) -> None:
    gates = decided(spent)
    assert {service: row["allowed"] for service, row in gates.items()} == {
        "api": True,
        "ml": True,
        "shop": False,
        "web": True,
    }
    assert (gates["shop"]["budget_remaining"], gates["shop"]["worst_slo_id"]) == (pytest.approx(-0.1), "shop-slo")
    assert any("postmortem" in action for action in gates["shop"]["actions"])
    assert (gates["web"]["page_alerts"], gates["shop"]["page_alerts"]) == (1, 0)
    assert gates["api"]["reasons"] == ["api-slo: its budget is not known: no events in its window; that stops nothing"]
    assert "datadog" in gates["ml"]["reasons"][0]
    assert {row["policy"] for row in gates.values()} == {"built-in"}


def test_without_slos_there_is_no_gate(pipeline: Pipeline) -> None:
    assert release_gates_selects(pipeline.home.lake.cursor(), NOW) == []


def test_parts_of_a_composite_do_not_close_the_gate_by_themselves(pipeline: Pipeline) -> None:
    members = '[{"slo_id": "all:a", "weight": 1.0}]'
    insert(pipeline, "sre.slos", slo_id="all:a", service="shop")
    insert(pipeline, "sre.slos", slo_id="all", service="shop", members=members)
    insert(pipeline, "sre.error_budgets", slo_id="all:a", service="shop", consumed=3.0, as_of=NOW, incidents="[]")
    insert(pipeline, "sre.error_budgets", slo_id="all", service="shop", consumed=0.5, as_of=NOW, incidents="[]")
    assert decided(pipeline)["shop"]["allowed"] is True


def test_declared_policies_decide(spent: Pipeline) -> None:
    spec = {
        "name": "calm",
        "services": ["web"],
        "steps": [{"when": {"alert": "page"}, "action": "freeze", "allow": []}],
    }
    record(spent.home, [declare(BUDGET_POLICY_KIND, spec)], run_id="r")
    gates = decided(spent)
    assert (gates["web"]["allowed"], gates["web"]["policy"], gates["web"]["allowed_changes"]) == (False, "calm", [])
    assert gates["shop"]["policy"] == "built-in"


def test_a_recorded_override_opens_the_gate_of_its_time_and_not_later(spent: Pipeline) -> None:
    record_override(spent.home, "shop", category="p0", who="ada", why="it's on fire", lasts=HOUR, at=NOW)
    row = decided(spent)["shop"]
    assert (row["allowed"], row["override_by"], row["override_reason"]) == (True, "ada", "it's on fire")
    cursor = spent.home.lake.cursor()
    assert gate_of(cursor, "shop", NOW).allowed
    assert not gate_of(cursor, "shop", NOW + HOUR).allowed
    later = decided(spent, NOW + HOUR)["shop"]
    assert (later["allowed"], later["override_by"]) == (False, None)


@pytest.mark.parametrize(
    "wrong", [{"category": "p1"}, {"who": " "}, {"why": ""}, {"lasts": timedelta(0)}, {"lasts": timedelta(days=8)}]
)
def test_an_override_without_its_facts_is_refused(pipeline: Pipeline, wrong: dict[str, Any]) -> None:
    given: dict[str, Any] = {"category": "p0", "who": "ada", "why": "fire", "lasts": HOUR} | wrong
    with pytest.raises(CogniforgeError):
        record_override(pipeline.home, "shop", **given)
    assert pipeline.rows(OVERRIDES) == []


def test_the_command_answers_by_its_exit_code_and_in_words(
    spent: Pipeline,
    cli: Cli,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decided(spent)
    home = ("--home", spent.folder)
    answer = cli("slo", "gate", "shop", *home)
    assert answer.code == 1 and "may not deploy" in answer.out and "110.0%" in answer.out
    assert cli("slo", "gate", "shop", *home, "--change-type", "security").code == 0
    assert cli("slo", "gate", "shop", *home, "--change-type", "urgent").code == 2
    told = cli("slo", "gate", "web", *home, "--json")
    assert told.code == 0 and json.loads(told.out)["allowed"] is True
    unknown = cli("slo", "gate", "sohp", *home)
    assert unknown.code == 1 and "api, ml, shop, web" in unknown.err


def test_an_override_by_command_counts_at_once(spent: Pipeline, cli: Cli) -> None:  # noqa: F811
    decided(spent)
    home = ("--home", spent.folder)
    made = cli("slo", "override", "shop", "--category", "p0", "--by", "ada", "--why", "fire", "--hours", "2", *home)
    assert made.code == 0, made.err
    told = json.loads(cli("slo", "gate", "shop", *home, "--json").out)
    assert (told["allowed"], told["may_deploy"], told["override_by"]) == (True, True, "ada")
    ((who, why, lasts),) = spent.rows(OVERRIDES, "who, why, until - created_at")
    assert (who, why, lasts) == ("ada", "fire", 2 * HOUR)
    assert datetime.now(UTC) < datetime.fromisoformat(told["override_until"])


def test_an_override_for_a_service_without_a_gate_says_so(pipeline: Pipeline, cli: Cli) -> None:  # noqa: F811
    asked = ("slo", "override", "shop", "--category", "p0", "--by", "ada", "--why", "fire", "--home", pipeline.folder)
    assert "no release gate was decided for 'shop' yet" in cli(*asked).out


def test_an_override_that_cannot_count_says_so(spent: Pipeline, cli: Cli) -> None:  # noqa: F811
    spec = {"name": "hard", "services": "*", "steps": [{"when": {"consumed": 1}, "action": "freeze", "allow": []}]}
    record(spent.home, [declare(BUDGET_POLICY_KIND, spec)], run_id="r")
    decided(spent)
    asked = ("slo", "override", "shop", "--category", "p0", "--by", "ada", "--why", "fire", "--home", spent.folder)
    assert "it does not count: hard lets no p0 change through" in cli(*asked).out


def test_a_home_that_is_not_there_is_an_error(cli: Cli, tmp_path: Path) -> None:  # noqa: F811
    answer = cli("slo", "gate", "shop", "--home", tmp_path / "none")
    assert answer.code == 1 and "there is no home" in answer.err
