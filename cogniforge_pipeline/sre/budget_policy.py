"""Error budget policies, `platform/error_budget_policies/*.yaml`: what follows when a budget is spent.

Belongs here: the declared form, the built-in policy, and which policy a service has. Does not: applying it
(`release_gate.py`).

    name: payments
    services: [checkout, billing]        # or "*": all services that no other policy names
    steps:
      - when: {consumed: 1.0}            # at least this share of an SLO's budget is spent
        action: freeze
        allow: [p0, security]            # changes that may go on; this is the default
      - when: {consumed: 0.8}
        action: warn
      - when: {incident_share: 0.2}      # one incident spent more than this share of the budget
        action: postmortem               # with at least one P0 action item
      - when: {alert: page}              # an alert of this severity fires: page, ticket
        action: freeze
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cogniforge_pipeline.declarations import DeclarationModel, Kind
from cogniforge_pipeline.sre.openslo_common import Name

Category = Literal["p0", "security"]
CATEGORIES: tuple[Category, ...] = ("p0", "security")
"""Changes that the policies of the Google SRE Workbook let through a freeze."""

Share = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class When(DeclarationModel):
    """Exactly one condition; a share of 1 is the whole budget of an SLO's window."""

    consumed: Share | None = None
    incident_share: Share | None = None
    alert: Literal["page", "ticket"] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1 or getattr(self, next(iter(self.model_fields_set))) is None:
            raise ValueError("expected exactly one of consumed, incident_share and alert")
        return self


class Step(DeclarationModel):
    """What follows from a condition. `freeze` stops all changes but those in `allow`; the others stop nothing."""

    when: When
    action: Literal["freeze", "warn", "postmortem"]
    allow: tuple[Category, ...] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.allow is not None and self.action != "freeze":
            raise ValueError(f"allow goes with action freeze, not with {self.action}")
        if self.action == "postmortem" and self.when.incident_share is None:
            raise ValueError("a postmortem is about one incident: its condition is incident_share")
        return self

    @property
    def allowed(self) -> tuple[Category, ...]:
        """The changes that a freeze lets through."""
        return CATEGORIES if self.allow is None else self.allow


class BudgetPolicy(DeclarationModel):
    """A policy as it is declared."""

    name: Name
    description: str | None = None
    services: Literal["*"] | Annotated[tuple[Name, ...], Field(min_length=1)]
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_step_once(self) -> Self:
        twice = next((step for place, step in enumerate(self.steps) if step in self.steps[:place]), None)
        if twice is not None:
            raise ValueError(f"the step {twice.model_dump(exclude_none=True)} is there twice")
        return self


BUDGET_POLICY_KIND = Kind("error_budget_policy", "error_budget_policies", BudgetPolicy)
"""`platform/error_budget_policies/*.yaml`."""

DEFAULT = BudgetPolicy.model_validate(
    {
        "name": "built-in",
        "description": "The example of the Google SRE Workbook, over each SLO's own window instead of four weeks.",
        "services": "*",
        "steps": [
            {"when": {"consumed": 1.0}, "action": "freeze", "allow": CATEGORIES},
            {"when": {"incident_share": 0.2}, "action": "postmortem"},
        ],
    }
)
"""For services that no policy is declared for."""


@dataclass(frozen=True)
class PolicyInForce:
    """The policy of one service: its name, or names, and all steps that count."""

    name: str
    steps: tuple[Step, ...]


def policy_for(service: str, policies: Iterable[BudgetPolicy]) -> PolicyInForce:
    """The policies that name the service, else those of "*", else the built-in one.

    Of several all steps count, so that none is weakened by another.
    """
    policies = sorted(policies, key=lambda policy: policy.name)
    naming = [policy for policy in policies if policy.services != "*" and service in policy.services]
    chosen = naming or [policy for policy in policies if policy.services == "*"] or [DEFAULT]
    steps = dict.fromkeys(step for policy in chosen for step in policy.steps)
    return PolicyInForce(" and ".join(policy.name for policy in chosen), tuple(steps))
