"""Alerting as OpenSLO v1 documents write it: policies, conditions and whom to tell.

Belongs here: the specs of AlertPolicy, AlertCondition and AlertNotificationTarget. Does not: when an alert fires.
`notificationTargets` and the `alertWhen` switches may be left out: alerts are rows of a table in any case.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from cogniforge_pipeline.sre.openslo_common import (
    Comparison,
    Description,
    FixedShorthand,
    Metadata,
    Name,
    Number,
    OpenSLOModel,
    empty_list,
)


class ConditionDetails(OpenSLOModel):
    """A burn rate over `lookbackWindow` that holds for `alertAfter`."""

    kind: Literal["burnrate"]
    op: Comparison
    threshold: Annotated[Number, Field(ge=0)]
    lookback_window: FixedShorthand
    alert_after: FixedShorthand | None = None


class Condition(OpenSLOModel):
    """The spec of an AlertCondition."""

    description: Description | None = None
    severity: Annotated[str, Field(min_length=1)]
    condition: ConditionDetails


class InlineCondition(OpenSLOModel):
    """An AlertCondition within a policy."""

    kind: Literal["AlertCondition"]
    metadata: Metadata
    spec: Condition


class ConditionRef(OpenSLOModel):
    """An AlertCondition by name."""

    condition_ref: Name


class Target(OpenSLOModel):
    """The spec of an AlertNotificationTarget."""

    description: Description | None = None
    target: Annotated[str, Field(min_length=1)]


class InlineTarget(OpenSLOModel):
    """An AlertNotificationTarget within a policy."""

    kind: Literal["AlertNotificationTarget"]
    metadata: Metadata
    spec: Target


class TargetRef(OpenSLOModel):
    """An AlertNotificationTarget by name."""

    target_ref: Name


def _form(inline: str, reference: str) -> Discriminator:
    """Tells an object written in place, which says its kind, from a reference and from a bare name."""

    def form(value: Any) -> str:
        if isinstance(value, str):
            return "name"
        return inline if (value.get("kind") if isinstance(value, dict) else hasattr(value, "kind")) else reference

    return Discriminator(form)


AnyCondition = Annotated[
    Annotated[InlineCondition, Tag("InlineCondition")] | Annotated[ConditionRef, Tag("ConditionRef")],
    _form("InlineCondition", "ConditionRef"),
]
AnyTarget = Annotated[
    Annotated[InlineTarget, Tag("InlineTarget")] | Annotated[TargetRef, Tag("TargetRef")],
    _form("InlineTarget", "TargetRef"),
]


class Policy(OpenSLOModel):
    """The spec of an AlertPolicy; it has one condition."""

    description: Description | None = None
    alert_when_no_data: bool = False
    alert_when_resolved: bool = False
    alert_when_breaching: bool = True
    conditions: Annotated[tuple[AnyCondition, ...], Field(min_length=1, max_length=1)]
    notification_targets: Annotated[tuple[AnyTarget, ...], BeforeValidator(empty_list)] = ()


class InlinePolicy(OpenSLOModel):
    """An AlertPolicy within an SLO."""

    kind: Literal["AlertPolicy"]
    metadata: Metadata
    spec: Policy


class PolicyRef(OpenSLOModel):
    """An AlertPolicy by name."""

    alert_policy_ref: Name


AnyPolicy = Annotated[
    Annotated[Name, Tag("name")]
    | Annotated[InlinePolicy, Tag("InlinePolicy")]
    | Annotated[PolicyRef, Tag("PolicyRef")],
    _form("InlinePolicy", "PolicyRef"),
]
