"""What policies find about contracts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogniforge_pipeline.data_mesh.governance import Finding, Subject, evaluate, findings
from cogniforge_pipeline.data_mesh.model import CONTEXT_KIND, GOVERNANCE_KIND, GovernancePolicy, Product, Rules
from cogniforge_pipeline.declarations import declare
from tests.support.tables import PRODUCTS

NOW = datetime(2026, 3, 2, tzinfo=UTC)
ORDERS, VISITS = PRODUCTS["shop.orders"], PRODUCTS["shop.visits"]
ALL_RULES: dict[str, Any] = {
    "require_owner": True,
    "require_description": True,
    "require_contract": True,
    "require_encryption": True,
    "require_tag": ["encryption"],
    "require_classification": True,
    "require_retention": True,
    "max_freshness_seconds": 3600,
}


def policy(rules: dict[str, Any], context: str = "*", **spec: Any) -> GovernancePolicy:
    return declare(GOVERNANCE_KIND, {"name": "p", "context": context, "rules": rules, **spec}).model


def subject(contract: Any, **product: Any) -> Subject:
    return Subject(Product(name=contract.name, **product), contract)


def judged(subject: Subject, rules: dict[str, Any], **spec: Any) -> dict[str, Finding]:
    return {finding.rule: finding for finding in evaluate(subject, [policy(rules, **spec)], NOW)}


def waiver(rule: str, until: datetime, who: str = "ana") -> dict[str, Any]:
    return {"product": "shop.visits", "rule": rule, "until": until.isoformat(), "who": who, "why": "soon"}


def test_a_contract_that_keeps_every_rule_passes_them_all() -> None:
    found = judged(subject(ORDERS), ALL_RULES)
    assert tuple(found) == tuple(Rules.model_fields)
    assert {finding.status for finding in found.values()} == {"passed"}
    assert all(finding.reason and not finding.action for finding in found.values())


def test_a_contract_that_keeps_none_hears_of_each_what_to_do() -> None:
    found = judged(subject(VISITS), {**ALL_RULES, "require_tag": ["gold", "encryption"]})
    failed = {name: finding.reason for name, finding in found.items() if finding.status == "failed"}
    assert failed == {
        "require_owner": "nobody owns it",
        "require_description": "no description of ip_address",
        "require_encryption": "it is not tagged as encrypted",
        "require_tag": "without the tag gold, encryption",
        "require_classification": "no classification of ip_address, phone",
        "require_retention": "it does not say how long rows are kept",
        "max_freshness_seconds": "no freshness is promised, 3600 s are allowed",
    }
    assert all(found[name].action for name in failed)


def test_an_owner_and_a_description_may_stand_in_the_context() -> None:
    rules = {"require_owner": True, "require_description": True}
    told = subject(replace(VISITS, description="", columns=ORDERS.columns), owner="ana", description="Visits")
    assert {finding.status for finding in judged(told, rules).values()} == {"passed"}


def test_a_pattern_of_ones_own_says_which_columns_need_a_classification() -> None:
    rule = {"require_classification": "^visit_id$"}
    assert judged(subject(VISITS), rule)["require_classification"].reason == "no classification of visit_id"


def test_many_columns_are_counted_rather_than_listed() -> None:
    raw = {"schema": [{"properties": [{"name": f"email_{n}"} for n in range(9)]}]}
    reason = judged(subject(replace(VISITS, raw=raw)), {"require_classification": True})[
        "require_classification"
    ].reason
    assert reason.endswith("email_4 and 4 more")


@pytest.mark.parametrize("limit, status", [(3599.9, "failed"), (3600, "passed"), (3601, "passed")])
def test_a_promise_of_freshness_must_be_as_short_as_the_policy_asks(limit: float, status: str) -> None:
    assert judged(subject(ORDERS), {"max_freshness_seconds": limit})["max_freshness_seconds"].status == status


def test_without_a_contract_each_policy_finds_just_that() -> None:
    found = judged(Subject(Product(name="user-profile"), None), ALL_RULES)
    assert [(f.rule, f.status, f.contract_version) for f in found.values()] == [("require_contract", "failed", None)]


@given(st.timedeltas(timedelta(days=-400), timedelta(days=400)))
def test_a_waiver_counts_before_its_end_and_not_from_then_on(left: timedelta) -> None:
    rules = {"require_owner": True}
    finding = judged(subject(VISITS), rules, waivers=[waiver("require_owner", NOW + left)])["require_owner"]
    assert finding.status == ("waived" if left > timedelta(0) else "failed")
    assert ("its waiver ended" in finding.reason) == (left <= timedelta(0))
    assert finding.waiver is not None and finding.waiver.until == NOW + left


def test_of_several_waivers_the_last_to_end_counts() -> None:
    ends = [waiver("require_owner", NOW + timedelta(days=n), who) for n, who in ((-1, "ana"), (2, "bo"), (1, "cy"))]
    finding = judged(subject(VISITS), {"require_owner": True}, waivers=ends)["require_owner"]
    assert finding.waiver is not None
    assert (finding.status, finding.waiver.who) == ("waived", "bo")


def test_a_waiver_for_another_product_or_of_another_policy_lifts_nothing() -> None:
    other = waiver("require_owner", NOW + timedelta(days=1)) | {"product": "shop.orders"}
    lenient = declare(
        GOVERNANCE_KIND,
        {
            "name": "lenient",
            "rules": {"require_owner": True},
            "waivers": [waiver("require_owner", NOW + timedelta(days=1))],
        },
    ).model
    found = evaluate(subject(VISITS), [policy({"require_owner": True}, waivers=[other]), lenient], NOW)
    assert [(f.policy, f.status) for f in found] == [("p", "failed"), ("lenient", "waived")]


def test_a_waiver_of_what_is_kept_is_not_needed() -> None:
    spare = waiver("require_owner", NOW + timedelta(days=1)) | {"product": "shop.orders"}
    finding = judged(subject(ORDERS), {"require_owner": True}, waivers=[spare])["require_owner"]
    assert (finding.status, finding.waiver) == ("passed", None)


def test_a_policy_of_a_context_judges_only_what_the_context_offers() -> None:
    context = declare(
        CONTEXT_KIND, {"context_id": "orders", "domain": "commerce", "data_products": ["shop.orders", "new"]}
    ).model
    found = findings(PRODUCTS, [context], [policy({"require_owner": True}, "orders")], NOW)
    assert [(f.product_id, f.rule) for f in found] == [("new", "require_contract"), ("shop.orders", "require_owner")]


def test_a_policy_for_an_unknown_context_is_not_lost() -> None:
    (finding,) = findings(PRODUCTS, [], [policy({"require_owner": True}, "ordres")], NOW)
    assert (finding.product_id, finding.status) == ("*", "failed")
    assert "'ordres'" in finding.reason


@given(
    st.lists(st.sampled_from(sorted(ALL_RULES)), min_size=1, unique=True),
    st.lists(st.sampled_from(["*", "orders", "lost"]), min_size=1, max_size=4),
)
def test_every_rule_on_every_product_it_is_for_has_exactly_one_finding(rules: list[str], aims: list[str]) -> None:
    context = declare(CONTEXT_KIND, {"context_id": "orders", "domain": "x", "data_products": ["shop.orders"]}).model
    policies = [
        declare(GOVERNANCE_KIND, {"name": f"p{n}", "context": aim, "rules": {r: ALL_RULES[r] for r in rules}}).model
        for n, aim in enumerate(aims)
    ]
    found = findings(PRODUCTS, [context], policies, NOW)
    products = {"*": ["shop.orders", "shop.visits"], "orders": ["shop.orders"], "lost": []}
    wanted = [(product, p.name, r) for p in policies for product in products[p.context] for r in rules]
    wanted += [("*", p.name, "context") for p in policies if p.context == "lost"]
    assert sorted((f.product_id, f.policy, f.rule) for f in found) == sorted(wanted)
