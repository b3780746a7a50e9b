"""What a user declares for healing: playbooks.

Belongs here: the declared types. Does not: deciding.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cogniforge_pipeline.declarations import DeclarationModel, Kind

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Glob = Annotated[str, Field(min_length=1, max_length=256)]
Minutes = Annotated[float, Field(ge=0, le=7 * 24 * 60)]
Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")


class SymptomPattern(DeclarationModel):
    """Which symptoms a playbook answers; names are globs (`*`, `?`, `[ab]`), and one that fits is enough.

    `kinds` are kinds of anomalies, such as spike, level_shift, drift, flat_line or missing; without any, all fit.
    """

    services: Annotated[tuple[Glob, ...], Field(min_length=1)] = ("*",)
    metrics: Annotated[tuple[Glob, ...], Field(min_length=1)] = ("*",)
    kinds: tuple[Name, ...] = ()
    direction: Literal["up", "down"] | None = None
    min_severity: Severity = "warning"
    for_minutes: Minutes = 0


class CausePattern(DeclarationModel):
    """Which ranked cause the incident must have: among the first `within_rank`, with at least `min_score`.

    `where`: the service that shows the symptom (`self`), another one (`dependency`), or either. With `changed`, the
    cause must have been deployed or drifted recently; with false, it must not.
    """

    services: Annotated[tuple[Glob, ...], Field(min_length=1)] = ("*",)
    metrics: Annotated[tuple[Glob, ...], Field(min_length=1)] = ("*",)
    where: Literal["self", "dependency"] | None = None
    within_rank: Annotated[int, Field(ge=1, le=10)] = 1
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.1
    changed: bool | None = None


class Action(DeclarationModel):
    """What is to be done to the service with the symptom, or to its cause; `workflow` is what carries it out."""

    kind: Literal["restart", "scale_out", "scale_in", "rollback", "failover", "throttle", "clear_cache", "workflow"]
    on: Literal["symptom", "cause"] = "cause"
    workflow: Name | None = None
    parameters: dict[str, str | int | float | bool] = Field(default_factory=dict)


class GuardRails(DeclarationModel):
    """When an action must not be taken although it fits.

    `cool_down_minutes` part two actions of the playbook on one service. `max_per_hour` counts its actions on all.
    `blast_radius` is the most services that may depend on the one acted upon, directly or not, itself included.
    `approval`: a person must agree to it, to all or to services of the tiers in `approval_tiers`. A playbook whose
    actions helped less often than `min_precision` (of at least 5) needs approval too.
    """

    cool_down_minutes: Minutes = 30
    max_per_hour: Annotated[int, Field(ge=1, le=1000)] = 3
    blast_radius: Annotated[int, Field(ge=1)] | None = None
    approval: bool = False
    approval_tiers: tuple[Annotated[int, Field(ge=1, le=5)], ...] = ()
    min_precision: Annotated[float, Field(ge=0, le=1)] = 0.5


class Playbook(DeclarationModel):
    """One rule: a symptom, its cause, the action and its guard rails; the lowest `priority` that may act goes first.

    The symptom must clear within `clears_within_minutes` after the action, or it did not help.
    """

    name: Name
    description: str | None = None
    enabled: bool = True
    priority: Annotated[int, Field(ge=0, le=1000)] = 100
    symptom: SymptomPattern = SymptomPattern()
    cause: CausePattern | None = None
    action: Action
    guard: GuardRails = GuardRails()
    clears_within_minutes: Annotated[float, Field(gt=0, le=7 * 24 * 60)] = 30

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.action.on == "cause" and self.cause is None:
            raise ValueError("an action on the cause needs a cause pattern, or `on: symptom`")
        if self.action.kind == "workflow" and self.action.workflow is None:
            raise ValueError("an action of kind workflow names its workflow")
        return self


PLAYBOOK_KIND = Kind("playbook", "playbooks", Playbook)
