"""OpenSLO v1 documents, `platform/slos/*.yaml`: https://github.com/OpenSLO/OpenSLO

Belongs here: the documents as written and what must hold within one. Does not: references between documents
(`objectives.py`), metric sources, indicators and alert policies (modules of these names).

What OpenSLO has no word for stands in annotations of the SLO, as text:

    cogniforge.dev/minimum-events: "100"          below so many events in a window nothing is claimed about it
    cogniforge.dev/maintenance: Sun 02:00-04:00   times that do not count; `maintenance.py` shows all forms
    cogniforge.dev/alerts: page                   which built-in burn alerts: page, ticket, "page,ticket", none
    cogniforge.dev/composite-target: "0.995"      target of a composite; default: the weighted mean of its members
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails

from cogniforge_pipeline.declarations import Declaration, Kind, Problem
from cogniforge_pipeline.sre.alert_policies import AnyPolicy, Condition, Policy, Target
from cogniforge_pipeline.sre.indicators import Indicator, InlineIndicator
from cogniforge_pipeline.sre.openslo_common import (
    Description,
    Metadata,
    Name,
    OpenSLOModel,
    empty_list,
)
from cogniforge_pipeline.sre.openslo_parts import ObjectiveSpec, SLOMetadata, TimeWindow
from cogniforge_pipeline.sre.windows import Window

Method = Literal["Occurrences", "Timeslices", "RatioTimeslices"]


class SLOSpec(OpenSLOModel):
    """Service, indicator, window, budgeting method and objectives. Without a window it is 30 rolling days.

    With indicators at the objectives it is a composite, and has none of its own.
    """

    description: Description | None = None
    service: Name
    indicator: InlineIndicator | None = None
    indicator_ref: Name | None = None
    time_window: Annotated[tuple[TimeWindow, ...], Field(max_length=1), BeforeValidator(empty_list)] = ()
    budgeting_method: Method
    objectives: Annotated[tuple[ObjectiveSpec, ...], Field(min_length=1)]
    alert_policies: Annotated[tuple[AnyPolicy, ...], BeforeValidator(empty_list)] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        members = [objective.is_member for objective in self.objectives]
        own = (self.indicator is not None) + (self.indicator_ref is not None)
        if own == 2:
            raise ValueError("expected indicator or indicatorRef, not both")
        if any(members) and (own or not all(members)):
            raise ValueError("a composite has an indicator or indicatorRef at each of its objectives and none beside")
        if not any(members) and not own:
            raise ValueError("expected indicator or indicatorRef")
        wrong = [
            (("objectives", place, key), message)
            for place, objective in enumerate(self.objectives)
            for key, message in self._wrong(objective)
        ]
        if wrong:
            raise _located(self, wrong)
        return self

    def _wrong(self, objective: ObjectiveSpec) -> list[tuple[str, str]]:
        """What of an objective does not go with the budgeting method, as keys and messages."""
        found = []
        method, window = self.budgeting_method, objective.time_slice_window
        if method != "Occurrences" and window is None:
            found.append(("timeSliceWindow", f"{method} needs timeSliceWindow, such as 1m"))
        if method == "Timeslices" and objective.time_slice_target is None:
            found.append(("timeSliceTarget", "Timeslices needs timeSliceTarget, such as 0.99"))
        if method == "Occurrences" and (window is not None or objective.time_slice_target is not None):
            found.append(("timeSliceWindow", "time slices go with budgetingMethod Timeslices or RatioTimeslices"))
        if window is not None and Window.parse(window).nominal > self.window.nominal:
            found.append(
                ("timeSliceWindow", f"a slice of {window} is longer than the window of {self.window.duration}")
            )
        if method == "RatioTimeslices" and objective.time_slice_target is not None:
            found.append(("timeSliceTarget", "RatioTimeslices averages the slices and has no timeSliceTarget"))
        if objective.composite_weight is not None and not objective.is_member:
            found.append(("compositeWeight", "a weight goes with an indicator or indicatorRef at the same objective"))
        inline = objective.indicator or (None if objective.is_member else self.indicator)
        if inline is not None and inline.spec.threshold_metric and (objective.op is None or objective.value is None):
            found.append(("op", "a thresholdMetric needs op and value at the objective"))
        return found

    @property
    def window(self) -> Window:
        """The budget's window."""
        return self.time_window[0].window() if self.time_window else Window(30, "d")


class ServiceSpec(OpenSLOModel):
    """The spec of a Service."""

    description: Description | None = None


class DataSourceSpec(OpenSLOModel):
    """The spec of a DataSource."""

    description: Description | None = None
    type: Annotated[str, Field(min_length=1)]
    connection_details: dict[str, Any] | None = None


class _Document(OpenSLOModel):
    api_version: Literal["openslo/v1"]


class SLODocument(_Document):
    """kind: SLO."""

    kind: Literal["SLO"]
    metadata: SLOMetadata
    spec: SLOSpec


class SLIDocument(_Document):
    """kind: SLI."""

    kind: Literal["SLI"]
    metadata: Metadata
    spec: Indicator


class ServiceDocument(_Document):
    """kind: Service."""

    kind: Literal["Service"]
    metadata: Metadata
    spec: ServiceSpec


class DataSourceDocument(_Document):
    """kind: DataSource."""

    kind: Literal["DataSource"]
    metadata: Metadata
    spec: DataSourceSpec


class AlertPolicyDocument(_Document):
    """kind: AlertPolicy."""

    kind: Literal["AlertPolicy"]
    metadata: Metadata
    spec: Policy


class AlertConditionDocument(_Document):
    """kind: AlertCondition."""

    kind: Literal["AlertCondition"]
    metadata: Metadata
    spec: Condition


class AlertNotificationTargetDocument(_Document):
    """kind: AlertNotificationTarget."""

    kind: Literal["AlertNotificationTarget"]
    metadata: Metadata
    spec: Target


Document = (
    SLODocument
    | SLIDocument
    | ServiceDocument
    | DataSourceDocument
    | AlertPolicyDocument
    | AlertConditionDocument
    | AlertNotificationTargetDocument
)


class OpenSLO(RootModel[Annotated[Document, Field(discriminator="kind")]]):
    """Any OpenSLO v1 document; `root` is the document."""

    model_config = ConfigDict(frozen=True)


def registry_name(document: OpenSLO) -> str:
    """An SLO goes by its name, any other document by its kind too: `SLI:checkout-errors`."""
    root = document.root
    return root.metadata.name if isinstance(root, SLODocument) else f"{root.kind}:{root.metadata.name}"


def _between(declarations: Sequence[Declaration[OpenSLO]]) -> Sequence[Problem]:
    from cogniforge_pipeline.sre.resolve import resolve  # which reads documents, and so comes after this module

    return resolve(declarations).problems


OPENSLO_KIND = Kind("slo", "slos", OpenSLO, key=registry_name, between=_between)
"""`platform/slos/*.yaml`."""


def _located(model: SLOSpec, wrong: Iterable[tuple[tuple[str | int, ...], str]]) -> ValidationError:
    """One error for each place, so that a user is led to its line."""
    details = [
        InitErrorDetails(type="value_error", loc=loc, input=None, ctx={"error": ValueError(message)})
        for loc, message in wrong
    ]
    return ValidationError.from_exception_data(type(model).__name__, details)
