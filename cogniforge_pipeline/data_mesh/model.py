"""What a user declares for the mesh: bounded contexts with their products, and policies of governance.

Belongs here: the declared forms and what can be wrong between them. Does not: evaluating a policy (`governance.py`), or
the contracts of products (`contracts`).

    # platform/contexts/orders.yaml
    context_id: orders
    domain: commerce
    owner: team-orders
    data_products: [shop.refunds]         # names alone …
    products:                             # … or with what a reader wants to know of them
      - {name: shop.orders, tier: 1, owner: team-orders, description: Paid orders, output_ports: [parquet]}
    upstream_contexts: [payments]
    governance_policies: {require_owner: true}       # rules for this context's products only

    # platform/governance/privacy.yaml
    name: privacy
    context: "*"                          # or the id of one context
    rules:
      require_tag: [encryption]
      require_classification: '(?i)e-?mail|phone'    # true: names that usually hold personal data
      max_freshness_seconds: 3600
    waivers:
      - {product: shop.orders, rule: require_tag, until: 2027-01-01T00:00:00Z, who: ana, why: new disks in December}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from cogniforge_pipeline.declarations import Declaration, DeclarationModel, Kind, Problem
from cogniforge_pipeline.declarations.model import API

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Text = Annotated[str, Field(pattern=r"\S")]

PERSONAL = (
    r"(?i)(^|_)(e?mail|phone|mobile|birth(day|date)?|dob|ssn|passport|iban|address|street|zip|postcode|"
    r"(first|last|middle|full|sur|given|family)_?name|gender|ip_?addr(ess)?)(_|$)"
)
"""Names of columns that usually hold personal data, for `require_classification: true`."""


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"expected a regular expression, got {value!r}: {error}") from None
    return value


class Rules(DeclarationModel):
    """What a policy asks of each product. A rule that is left out, or false, asks nothing."""

    require_owner: bool = False
    require_description: bool = False
    require_contract: bool = False
    require_encryption: bool = False
    require_tag: tuple[Text, ...] = ()
    require_classification: bool | Annotated[str, Field(min_length=1), AfterValidator(_pattern)] = False
    require_retention: bool = False
    max_freshness_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @property
    def asked(self) -> tuple[str, ...]:
        """The names of the rules that ask for something, in the order of this class."""
        return tuple(name for name in type(self).model_fields if getattr(self, name))

    @property
    def personal(self) -> re.Pattern[str]:
        """What the names of columns that need a classification match."""
        asked = self.require_classification
        return re.compile(asked if isinstance(asked, str) else PERSONAL)


Rule = Literal[
    "require_owner",
    "require_description",
    "require_contract",
    "require_encryption",
    "require_tag",
    "require_classification",
    "require_retention",
    "max_freshness_seconds",
]


class Waiver(DeclarationModel):
    """One product need not keep one rule of the policy that says so, until a moment with a time zone."""

    product: Name
    rule: Rule
    until: AwareDatetime
    who: Text
    why: Text


class GovernancePolicy(DeclarationModel):
    """Rules for the products of one context, or of all ("*", also products of no context).

    Waivers stand in the policy whose rule they lift, so a context cannot lift a rule of the whole platform.
    """

    name: Name
    context: Literal["*"] | Name = "*"
    description: str | None = None
    rules: Rules
    waivers: tuple[Waiver, ...] = ()

    @model_validator(mode="after")
    def _waives_its_own_rules(self) -> Self:
        if not self.rules.asked:
            raise ValueError("expected at least one rule that asks for something")
        idle = next((waiver for waiver in self.waivers if waiver.rule not in self.rules.asked), None)
        if idle:
            raise ValueError(f"the waiver for {idle.product!r} lifts {idle.rule}, which this policy does not ask for")
        return self


class Product(DeclarationModel):
    """A data product: `name` is its table (`schema.table`), tier 1 the most important.

    `owner` and `description` come before those of its contract, which is the one of its own name unless it names
    another. Ports say how data comes in and how others get it.
    """

    name: Name
    tier: Annotated[int, Field(ge=1, le=5)] = 3
    owner: Text | None = None
    description: Text | None = None
    input_ports: tuple[Text, ...] = ()
    output_ports: tuple[Text, ...] = ()
    contract: Name | None = None


class BoundedContext(DeclarationModel):
    """A part of the business with its own language, and the products that it offers to others."""

    context_id: Name
    domain: Text
    name: Text | None = None
    description: str | None = None
    owner: Text | None = None
    data_products: tuple[Name, ...] = ()
    products: tuple[Product, ...] = ()
    upstream_contexts: tuple[Name, ...] = ()
    downstream_contexts: tuple[Name, ...] = ()
    governance_policies: Rules = Rules()

    @model_validator(mode="after")
    def _names_are_told_once(self) -> Self:
        for key, names in (
            ("data_products", self.data_products),
            ("products", tuple(product.name for product in self.products)),
            ("upstream_contexts", self.upstream_contexts),
            ("downstream_contexts", self.downstream_contexts),
        ):
            twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
            if twice:
                raise ValueError(f"{key} names {twice!r} twice")
            if self.context_id in names and key.endswith("contexts"):
                raise ValueError(f"{key} names the context itself, {self.context_id!r}")
        return self

    @property
    def offered(self) -> tuple[Product, ...]:
        """All its products in order of name; one that is only named has tier 3."""
        told = {product.name: product for product in self.products}
        named = {name: Product(name=name) for name in self.data_products}
        return tuple(product for _, product in sorted((named | told).items()))

    @property
    def policy(self) -> GovernancePolicy | None:
        """Its `governance_policies` as a policy, under a name that no declared one has; None when it asks for nothing."""
        if not self.governance_policies.asked:
            return None
        name = f"context {self.context_id}"
        return GovernancePolicy.model_construct(name=name, context=self.context_id, rules=self.governance_policies)


def _between_contexts(declared: Sequence[Declaration[BoundedContext]]) -> list[Problem]:
    return [*_unknown_neighbours(declared), *_claimed_twice(declared)]


def _unknown_neighbours(declared: Sequence[Declaration[BoundedContext]]) -> Iterator[Problem]:
    known = {declaration.name for declaration in declared}
    for declaration in declared:
        for key in ("upstream_contexts", "downstream_contexts"):
            for place, name in enumerate(getattr(declaration.model, key)):
                if name not in known:
                    yield Problem(
                        declaration.path or API,
                        f"context {declaration.name!r} names {name!r}, which is not declared",
                        f"declare it in contexts/, or name one of {', '.join(sorted(known))}",
                        line=declaration.line,
                        where=f"{key}[{place}]",
                    )


def _claimed_twice(declared: Sequence[Declaration[BoundedContext]]) -> Iterator[Problem]:
    owner: dict[str, str] = {}
    for declaration in declared:
        for product in declaration.model.offered:
            first = owner.setdefault(product.name, declaration.name)
            if first != declaration.name:
                yield Problem(
                    declaration.path or API,
                    f"{product.name} is a product of {first!r} and of {declaration.name!r}",
                    "a product belongs to one context: remove it from the other",
                    line=declaration.line,
                )


CONTEXT_KIND = Kind(
    "bounded_context",
    "contexts",
    BoundedContext,
    key=lambda context: context.context_id,
    between=_between_contexts,
)
"""`platform/contexts/*.yaml`."""

GOVERNANCE_KIND = Kind("governance_policy", "governance", GovernancePolicy)
"""`platform/governance/*.yaml`."""
