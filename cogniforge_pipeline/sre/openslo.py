"""OpenSLO v1 documents, `platform/slos/*.yaml`: https://github.com/OpenSLO/OpenSLO

Belongs here: the documents as written and what must hold within one. Does not: references between documents
(`objectives.py`), and metric sources (`metric_sources.py`).

Two things differ from the specification: a name may have capital letters and `_`, because services are named as
in telemetry; and `notificationTargets` and the `alertWhen` switches may be left out. What OpenSLO has no word for
stands in annotations of the SLO, always as text:

    cogniforge.dev/minimum-events: "100"          below so many events in a window nothing is claimed about it
    cogniforge.dev/maintenance: Sun 02:00-04:00   times that do not count; `maintenance.py` shows all forms
    cogniforge.dev/composite-target: "0.995"      target of a composite; default: the weighted mean of its members
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from cogniforge_pipeline.declarations import DeclarationModel, Kind
from cogniforge_pipeline.sre.maintenance import parse_maintenance
from cogniforge_pipeline.sre.metric_sources import (
    ForeignSource,
    MetricSource,
    Number,
    OpenSLOModel,
    RecordedSource,
    SqlSource,
    TelemetrySource,
)
from cogniforge_pipeline.sre.windows import Window, parse_shorthand, zone_info

PREFIX = "cogniforge.dev/"
Comparison = Literal["lt", "lte", "gt", "gte"]
Method = Literal["Occurrences", "Timeslices", "RatioTimeslices"]


def _checked(check: Any) -> AfterValidator:
    """Keep a text as it is once `check` accepts it."""

    def keep(text: str) -> str:
        check(text)
        return text

    return AfterValidator(keep)


def _empty_list(value: Any) -> Any:
    return () if value is None else value


def _fixed_length(text: str) -> None:
    if parse_shorthand(text)[1] not in "mhdw":
        raise ValueError(f"expected minutes, hours, days or weeks such as 5m, got {text!r}")


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._|/\\-]*$", max_length=255)]
Description = Annotated[str, Field(max_length=1050)]
DisplayName = Annotated[str, Field(min_length=1)]
Shorthand = Annotated[str, _checked(parse_shorthand)]
FixedShorthand = Annotated[str, _checked(_fixed_length)]


class Metadata(OpenSLOModel):
    """Name, display name, labels and annotations."""

    name: Name
    display_name: DisplayName | None = None
    labels: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)

    @field_validator("annotations")
    @classmethod
    def _not_ours(cls, annotations: dict[str, str]) -> dict[str, str]:
        ours = sorted(key for key in annotations if key.startswith(PREFIX))
        if ours:
            raise ValueError(f"{ours[0]} belongs to the metadata of an SLO")
        return annotations


class Annotations(DeclarationModel):
    """Annotations of an SLO: ours, and any others."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str]

    minimum_events: Annotated[int, Field(ge=0)] = Field(0, alias=f"{PREFIX}minimum-events")
    maintenance: Annotated[str, _checked(parse_maintenance)] = Field("", alias=f"{PREFIX}maintenance")
    composite_target: Annotated[Number, Field(gt=0, lt=1)] | None = Field(None, alias=f"{PREFIX}composite-target")

    @model_validator(mode="after")
    def _known(self) -> Self:
        unknown = sorted(key for key in self.__pydantic_extra__ if key.startswith(PREFIX))
        if unknown:
            known = ", ".join(sorted(str(field.alias) for field in type(self).model_fields.values()))
            raise ValueError(f"unknown annotation {unknown[0]}; known are {known}")
        return self


class SLOMetadata(OpenSLOModel):
    """Metadata of an SLO."""

    name: Name
    display_name: DisplayName | None = None
    labels: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    annotations: Annotations = Field(default_factory=lambda: Annotations.model_validate({}))


class Metric(OpenSLOModel):
    """One query."""

    metric_source: MetricSource


class RatioMetric(OpenSLOModel):
    """good / total, bad / total, or a raw ratio. `counter` false: values are counts by themselves, not running sums."""

    counter: bool = True
    good: Metric | None = None
    bad: Metric | None = None
    total: Metric | None = None
    raw: Metric | None = None
    raw_type: Literal["success", "failure"] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        counted = [metric for metric in (self.good, self.bad, self.total) if metric is not None]
        if self.raw is None:
            if self.raw_type is not None or len(counted) != 2 or self.total is None:
                raise ValueError("expected good and total, or bad and total, or raw with rawType")
        elif counted:
            raise ValueError("raw is a whole ratio and does not go with good, bad or total")
        elif self.raw_type is None and isinstance(self.raw.metric_source, ForeignSource | TelemetrySource):
            raise ValueError("raw needs rawType: success (good / total) or failure (bad / total)")
        elif self.raw_type == "failure" and isinstance(self.raw.metric_source, SqlSource | RecordedSource):
            raise ValueError("this source gives good and total, so its rawType is success")
        if any(isinstance(metric.metric_source, SqlSource | RecordedSource) for metric in counted):
            raise ValueError("a source of type sql or recorded gives good and total at once: put it under raw")
        if len({isinstance(metric.metric_source, ForeignSource) for metric in counted}) > 1:
            raise ValueError("one of good, bad and total is computed here and the other is not")
        for metric in [*counted, *([self.raw] if self.raw else [])]:
            source = metric.metric_source
            if isinstance(source, TelemetrySource) and source.spec.measure != "value":
                raise ValueError(f"measure {source.spec.measure} belongs to thresholdMetric")
        return self


class Indicator(OpenSLOModel):
    """The spec of an SLI: how to tell good from bad."""

    description: Description | None = None
    threshold_metric: Metric | None = None
    ratio_metric: RatioMetric | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.threshold_metric is None) == (self.ratio_metric is None):
            raise ValueError("expected either thresholdMetric or ratioMetric")
        if self.threshold_metric and isinstance(self.threshold_metric.metric_source, SqlSource | RecordedSource):
            raise ValueError("a source of type sql or recorded gives good and total: put it under ratioMetric.raw")
        return self


class InlineIndicator(OpenSLOModel):
    """An SLI within an SLO."""

    metadata: Metadata
    spec: Indicator


class Calendar(OpenSLOModel):
    """When the first period starts, by the wall clock of a time zone."""

    start_time: str
    time_zone: Annotated[str, _checked(zone_info)]

    @field_validator("start_time")
    @classmethod
    def _local(cls, text: str) -> str:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", text):
            raise ValueError(f"expected a local time such as 2024-01-01 00:00:00, got {text!r}")
        datetime.fromisoformat(text)
        return text


class TimeWindow(OpenSLOModel):
    """Rolling, or aligned to the calendar."""

    duration: Shorthand
    is_rolling: bool | None = None
    calendar: Calendar | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if bool(self.is_rolling) == (self.calendar is not None):
            raise ValueError("expected either isRolling: true or a calendar with startTime and timeZone")
        self.window()
        return self

    def window(self) -> Window:
        """The window as a value."""
        if self.calendar is None:
            return Window.parse(self.duration)
        start = datetime.fromisoformat(self.calendar.start_time)
        return Window.parse(self.duration, start, self.calendar.time_zone)


class ObjectiveSpec(OpenSLOModel):
    """One target. With an indicator of its own it is a member of a composite SLO."""

    display_name: DisplayName | None = None
    op: Comparison | None = None
    value: Number | None = None
    target: Annotated[Number, Field(ge=0, lt=1)] | None = None
    target_percent: Annotated[Number, Field(ge=0, lt=100)] | None = None
    time_slice_target: Annotated[Number, Field(gt=0, le=1)] | None = None
    time_slice_window: Annotated[int, Field(gt=0)] | FixedShorthand | None = None
    indicator: InlineIndicator | None = None
    indicator_ref: Name | None = None
    composite_weight: Annotated[Number, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.target is None) == (self.target_percent is None):
            raise ValueError("expected either target (0.999) or targetPercent (99.9)")
        if self.indicator is not None and self.indicator_ref is not None:
            raise ValueError("expected indicator or indicatorRef, not both")
        return self

    @property
    def is_member(self) -> bool:
        """Whether it has an indicator of its own."""
        return self.indicator is not None or self.indicator_ref is not None


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
