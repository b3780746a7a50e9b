"""What a user declares: workflows in `platform/workflows/*.yaml` and by the Python API.

Belongs here: the declared form and what is wrong with it. Does not: running it.

    workflow_id: order
    timeout_seconds: 3600
    event_triggers:
      - {type: order.placed, filter: "data.total > `0`", input_data: {order: "{{ event.data }}"}}
    activities:                                     # one after the other, unless parallel_execution or needs say else
      - activity_id: reserve
        handler: shop.stock:reserve                 # a Python callable: module:function, or a registered name
        input_data: {sku: "{{ input.order.sku }}"}
        retry_policy: {max_attempts: 5, non_retryable_errors: [OutOfStock]}
        compensation_handler: shop.stock:release
      - activity_id: approve
        approval: {timeout_seconds: 86400}          # until `cogniforge workflow signal <execution> approve`
        when: "input.order.total > `1000`"
      - activity_id: charge
        http: {method: POST, url: "https://pay.example/charges", json: {amount: "{{ input.order.total }}"}}
      - activity_id: label
        command: [/usr/bin/print-label, "{{ results.reserve.id }}"]
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, StringConstraints, model_validator

from cogniforge_pipeline.declarations import DeclarationModel, Kind
from cogniforge_pipeline.workflow import expressions
from cogniforge_pipeline.workflow.expressions import ExpressionError

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{0,99}$")]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


def _expression(text: str) -> str:
    try:
        expressions.check_expression(text)
    except ExpressionError as error:
        raise ValueError(error.message) from None
    return text


def _template(value: JsonValue) -> JsonValue:
    try:
        expressions.check(value)
    except ExpressionError as error:
        raise ValueError(error.message) from None
    return value


Expression = Annotated[str, AfterValidator(_expression)]
Template = Annotated[JsonValue, AfterValidator(_template)]
Text = Annotated[str, AfterValidator(_template)]


class RetryPolicy(DeclarationModel):
    """When an attempt that failed is made again: Temporal's policy, with jitter.

    The wait after attempt n is initial_interval_seconds * backoff_coefficient ** (n - 1), at most
    maximum_interval_seconds, and shortened by up to the share `jitter`. `max_attempts` 0 is without end.
    `non_retryable_errors` are names of error classes.
    """

    max_attempts: Annotated[int, Field(ge=0)] = 3
    initial_interval_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    backoff_coefficient: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 2.0
    maximum_interval_seconds: Seconds = 100.0
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.0
    non_retryable_errors: tuple[str, ...] = ()


class HttpCall(DeclarationModel):
    """A request; an answer of 400 or more is a failure, which is final below 500 except for 408, 425 and 429.

    The idempotency key goes along as the header Idempotency-Key.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] = "POST"
    url: Text
    headers: dict[str, Text] = Field(default_factory=dict)
    json_body: Annotated[Template | None, Field(alias="json")] = None


class SignalWait(DeclarationModel):
    """Waits until a signal of this name was sent; its payload is the result. Signals sent before are kept.

    `heartbeat_seconds` is the longest silence: any signal `<name>.heartbeat` begins it again.
    """

    name: Identifier
    timeout_seconds: Seconds | None = None
    heartbeat_seconds: Seconds | None = None


class Approval(DeclarationModel):
    """Waits for a person: the signal of the activity's name with {"approved": true or false, "by": …, "comment": …}."""

    timeout_seconds: Seconds | None = None


class Polling(DeclarationModel):
    """Makes the activity again until `condition` holds. It sees the newest `result`; the input sees it as `previous`."""

    condition: Expression
    interval_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    backoff_coefficient: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.0
    maximum_interval_seconds: Seconds = 3600.0
    max_attempts: Annotated[int, Field(ge=0)] = 0


_WAYS = ("handler", "command", "http", "workflow")
_KINDS = (*_WAYS, "wait_seconds", "signal", "approval", "branches")


class Action(DeclarationModel):
    """One thing to do: exactly one of a Python callable, a command without a shell, a request, a workflow."""

    handler: Annotated[str, StringConstraints(min_length=1)] | None = None
    command: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    http: HttpCall | None = None
    workflow: Identifier | None = None
    input_data: Template = Field(default_factory=dict)
    retry_policy: RetryPolicy = RetryPolicy()
    start_to_close_seconds: Seconds | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if type(self) is Action:
            _exactly_one(self, _WAYS)
        return self


class WorkflowActivity(Action):
    """A step of a workflow.

    `needs` are the activities that must be done before; None means the one before, or none with parallel_execution.
    A failure for good ends the workflow, unless there is a `fallback`, which is then the result. `for_each` makes the
    activity once for each item of a list, `branches` makes several in its place; both tolerate failures as told.
    """

    activity_id: Identifier
    name: str | None = None
    wait_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | Expression | None = None
    signal: SignalWait | None = None
    approval: Approval | None = None
    branches: Annotated[tuple[WorkflowActivity, ...], Field(min_length=1)] | None = None
    needs: tuple[Identifier, ...] | None = None
    when: Expression | None = None
    for_each: Expression | None = None
    max_concurrency: Count | None = None
    tolerated_failures: Annotated[int, Field(ge=0)] | None = None
    tolerated_failure_share: Annotated[float, Field(ge=0, le=1)] | None = None
    enough_successes: Count | None = None
    until: Polling | None = None
    fallback: Template = None
    heartbeat_seconds: Seconds | None = None
    compensation_handler: str | None = None
    compensation: Action | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        kind = _exactly_one(self, _KINDS)
        if self.compensation is not None and self.compensation_handler is not None:
            raise ValueError("expected compensation_handler or compensation, not both")
        group = self.for_each is not None or self.branches is not None
        if self.branches is not None and self.for_each is not None:
            raise ValueError("expected branches or for_each, not both")
        limits = (self.tolerated_failures, self.tolerated_failure_share, self.enough_successes)
        if not group and any(limit is not None for limit in limits):
            raise ValueError(
                "tolerated_failures, tolerated_failure_share and enough_successes go with for_each or branches"
            )
        if self.branches is not None and any(b.branches or b.for_each or b.needs or b.when for b in self.branches):
            raise ValueError("a branch has no branches, for_each, needs or when: make it a workflow of its own")
        if self.branches is not None and (self.undo or self.until):
            raise ValueError("compensation and until belong to the branches, not to what holds them")
        if self.until is not None and kind not in _WAYS:
            raise ValueError(f"until goes with {', '.join(_WAYS)}, not with {kind}")
        if self.heartbeat_seconds is not None and kind != "handler":
            raise ValueError("heartbeat_seconds goes with handler: nothing else can send heartbeats")
        return self

    @property
    def undo(self) -> Action | None:
        """What compensates this activity."""
        if self.compensation_handler is not None:
            return Action(handler=self.compensation_handler, input_data=None)
        return self.compensation

    @property
    def recovers(self) -> bool:
        """Whether a failure for good is replaced by the fallback, which may be null."""
        return "fallback" in self.model_fields_set


class EventTrigger(DeclarationModel):
    """Starts the workflow for each event whose type fits (`*` stands for any characters) and whose filter holds.

    The filter sees the members of the CloudEvent (type, source, subject, time, data); the input sees it as `event`.
    """

    type: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.*-]+$")]
    source: str | None = None
    filter: Expression | None = None
    input_data: Template = None


class WorkflowDefinition(DeclarationModel):
    """A workflow. Executions that run finish on the definition they started with."""

    workflow_id: Identifier
    name: str | None = None
    description: str | None = None
    activities: Annotated[tuple[WorkflowActivity, ...], Field(min_length=1)]
    event_triggers: tuple[str | EventTrigger, ...] = ()
    parallel_execution: bool = False
    max_concurrency: Count | None = None
    input_data: dict[str, JsonValue] = Field(default_factory=dict)
    timeout_seconds: Seconds | None = None
    output: Template = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        names = [activity.activity_id for activity in self.activities]
        names += [branch.activity_id for activity in self.activities for branch in activity.branches or ()]
        if twice := next((name for place, name in enumerate(names) if name in names[:place]), None):
            raise ValueError(f"the activity {twice!r} is there twice")
        needs = self.needs
        for name, wanted in needs.items():
            if unknown := next((need for need in wanted if need not in needs), None):
                raise ValueError(f"the activity {name!r} needs {unknown!r}, which is not there")
        left = dict(needs)
        while ready := [name for name, wanted in left.items() if not left.keys() & set(wanted)]:
            for name in ready:
                del left[name]
        if left:
            raise ValueError(f"the activities {', '.join(left)} wait for one another")
        return self

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """What each activity waits for, in the order of the activities."""
        found: dict[str, tuple[str, ...]] = {}
        before: tuple[str, ...] = ()
        for activity in self.activities:
            usual = () if self.parallel_execution else before
            found[activity.activity_id] = usual if activity.needs is None else activity.needs
            before = (activity.activity_id,)
        return found

    @property
    def triggers(self) -> tuple[EventTrigger, ...]:
        """The event triggers; a bare type gives the event's data as input."""
        return tuple(EventTrigger(type=each) if isinstance(each, str) else each for each in self.event_triggers)

    def spec(self) -> dict[str, Any]:
        """The declared form as JSON has it, without defaults."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _exactly_one(model: Action, names: tuple[str, ...]) -> str:
    given = [name for name in names if getattr(model, name, None) is not None]
    if len(given) != 1:
        raise ValueError(f"expected exactly one of {', '.join(names)}, got {', '.join(given) or 'none'}")
    return given[0]


WORKFLOW_KIND = Kind(
    "workflow", "workflows", WorkflowDefinition, key=lambda workflow: workflow.workflow_id, companions=(".py", ".pyc")
)
"""`platform/workflows/*.yaml`, with handlers in Python beside them."""
