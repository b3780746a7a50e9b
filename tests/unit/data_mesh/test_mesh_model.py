"""Contexts and policies of governance as they are declared, and what is wrong between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline.data_mesh.model import CONTEXT_KIND, GOVERNANCE_KIND, BoundedContext, GovernancePolicy
from cogniforge_pipeline.declarations import DeclarationsInvalid, declare, load_platform

WAIVER = {
    "product": "shop.orders",
    "rule": "require_owner",
    "until": "2027-01-01T00:00:00Z",
    "who": "ana",
    "why": "the team is being founded",
}


def context(context_id: str = "orders", **spec: Any) -> BoundedContext:
    return declare(CONTEXT_KIND, {"context_id": context_id, "domain": "commerce", **spec}).model


def policy(**spec: Any) -> GovernancePolicy:
    return declare(GOVERNANCE_KIND, {"name": "basics", "rules": {"require_owner": True}, **spec}).model


def files(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        path = folder / "contexts" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_files_declare_contexts_and_policies(tmp_path: Path) -> None:
    files(
        tmp_path,
        orders="""\
context_id: orders
domain: commerce
data_products: [shop.visits, shop.orders]
products:
  - {name: shop.orders, tier: 1, owner: team-orders, output_ports: [parquet]}
downstream_contexts: [analytics]
governance_policies: {require_encryption: true}
""",
        analytics="context_id: analytics\ndomain: insight\nupstream_contexts: [orders]\n",
    )
    (tmp_path / "governance").mkdir()
    (tmp_path / "governance" / "privacy.yaml").write_text(
        "name: privacy\nrules: {require_classification: '(?i)mail', max_freshness_seconds: 60}\n"
    )
    platform = load_platform(tmp_path, [CONTEXT_KIND, GOVERNANCE_KIND]).check()
    orders = next(d.model for d in platform.of(CONTEXT_KIND) if d.name == "orders")
    assert [(p.name, p.tier, p.owner) for p in orders.offered] == [
        ("shop.orders", 1, "team-orders"),
        ("shop.visits", 3, None),
    ]
    (privacy,) = (d.model for d in platform.of(GOVERNANCE_KIND))
    assert privacy.context == "*"
    assert privacy.rules.asked == ("require_classification", "max_freshness_seconds")


def test_a_contexts_own_rules_are_a_policy_that_no_declared_one_can_be_taken_for() -> None:
    own = context(governance_policies={"require_encryption": True}).policy
    assert own is not None
    assert (own.context, own.rules.asked) == ("orders", ("require_encryption",))
    with pytest.raises(DeclarationsInvalid, match="name"):
        policy(name=own.name)


@pytest.mark.parametrize("rules", [{}, {"require_encryption": False}])
def test_a_context_that_asks_nothing_has_no_policy(rules: dict[str, Any]) -> None:
    assert context(governance_policies=rules).policy is None


@pytest.mark.parametrize("key", ["upstream_contexts", "downstream_contexts"])
def test_a_context_that_names_an_unknown_one_is_a_problem_of_its_file(tmp_path: Path, key: str) -> None:
    texts = {
        "orders": "context_id: orders\ndomain: commerce\n",
        "web": f"context_id: web\ndomain: sales\n{key}: [orders, ordres]\n",
    }
    platform = load_platform(files(tmp_path, **texts), [CONTEXT_KIND])
    (problem,) = platform.problems
    assert (problem.path, problem.line, problem.where) == ("contexts/web.yaml", 1, f"{key}[1]")
    assert "'ordres', which is not declared" in str(problem)
    assert "orders, web" in str(problem)


def test_a_product_that_two_contexts_offer_is_a_problem_of_the_second(tmp_path: Path) -> None:
    texts = {
        "a": "context_id: a\ndomain: x\ndata_products: [shop.orders]\n",
        "b": "context_id: b\ndomain: x\nproducts: [{name: shop.orders}]\n",
    }
    (problem,) = load_platform(files(tmp_path, **texts), [CONTEXT_KIND]).problems
    assert problem.path == "contexts/b.yaml"
    assert "shop.orders is a product of 'a' and of 'b'" in str(problem)


@pytest.mark.parametrize(
    "spec, message",
    [
        ({"data_products": ["a", "a"]}, "data_products names 'a' twice"),
        ({"products": [{"name": "a"}, {"name": "a"}]}, "products names 'a' twice"),
        ({"upstream_contexts": ["orders"]}, "names the context itself"),
        ({"products": [{"name": "a", "tier": 6}]}, "tier"),
        ({"governance_policies": {"require_encrpytion": True}}, "require_encryption"),
        ({"data_products": ["../etc"]}, "data_products"),
        ({"owner": " "}, "owner"),
    ],
)
def test_a_context_that_makes_no_sense_is_refused(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(DeclarationsInvalid, match=message):
        context(**spec)


@pytest.mark.parametrize(
    "spec, message",
    [
        ({"rules": {}}, "at least one rule"),
        ({"rules": {"require_owner": False}}, "at least one rule"),
        ({"rules": {"require_classification": "(mail"}}, "regular expression"),
        ({"rules": {"max_freshness_seconds": 0}}, "max_freshness_seconds"),
        ({"waivers": [{**WAIVER, "rule": "require_retention"}]}, "which this policy does not ask for"),
        ({"waivers": [{**WAIVER, "rule": "require_everything"}]}, "rule"),
        ({"waivers": [{**WAIVER, "until": "2027-01-01T00:00:00"}]}, "until"),
        ({"waivers": [{**WAIVER, "why": ""}]}, "why"),
        ({"waivers": [{key: WAIVER[key] for key in WAIVER if key != "who"}]}, "who"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(DeclarationsInvalid, match=message):
        policy(**spec)


@pytest.mark.parametrize("name", ["email", "user_email", "e_mail", "first_name", "DOB", "ip_address", "iban"])
def test_the_usual_names_of_personal_data_are_known(name: str) -> None:
    assert policy(rules={"require_classification": True}).rules.personal.search(name)


@pytest.mark.parametrize("name", ["service_name", "mailbox", "ts", "table_name", "telephony", "shipping", "state"])
def test_other_names_are_not_taken_for_personal_data(name: str) -> None:
    assert not policy(rules={"require_classification": True}).rules.personal.search(name)
