"""The parts of an OpenSLO v1 SLO: annotations, window, objectives.

Belongs here: what must hold within one part. Does not: what must hold between parts (`openslo.py`).
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from cogniforge_pipeline.declarations import DeclarationModel
from cogniforge_pipeline.maintenance import parse_maintenance, zone_info
from cogniforge_pipeline.sre.indicators import InlineIndicator
from cogniforge_pipeline.sre.openslo_common import (
    PREFIX,
    Comparison,
    DisplayName,
    FixedShorthand,
    Name,
    Named,
    Number,
    OpenSLOModel,
    Shorthand,
    checked,
)
from cogniforge_pipeline.sre.windows import Window


class Annotations(DeclarationModel):
    """Annotations of an SLO: ours, and any others."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str]

    minimum_events: Annotated[int, Field(ge=0)] = Field(0, alias=f"{PREFIX}minimum-events")
    maintenance: Annotated[str, checked(parse_maintenance)] = Field("", alias=f"{PREFIX}maintenance")
    alerts: Literal["page,ticket", "page", "ticket", "none"] = Field("page,ticket", alias=f"{PREFIX}alerts")
    composite_target: Annotated[Number, Field(ge=0, lt=1)] | None = Field(None, alias=f"{PREFIX}composite-target")

    @model_validator(mode="after")
    def _known(self) -> Self:
        unknown = sorted(key for key in self.__pydantic_extra__ if key.startswith(PREFIX))
        if unknown:
            known = ", ".join(sorted(str(field.alias) for field in type(self).model_fields.values()))
            raise ValueError(f"unknown annotation {unknown[0]}; known are {known}")
        return self


class SLOMetadata(Named):
    """Metadata of an SLO."""

    annotations: Annotations = Field(default_factory=lambda: Annotations.model_validate({}))


class Calendar(OpenSLOModel):
    """When the first period starts, by the wall clock of a time zone."""

    start_time: str
    time_zone: Annotated[str, checked(zone_info)]

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


def _minutes(value: Any) -> Any:
    """OpenSLO's bare number of minutes as a duration."""
    return f"{value}m" if isinstance(value, int) and not isinstance(value, bool) else value


class ObjectiveSpec(OpenSLOModel):
    """One target. With an indicator of its own it is a member of a composite SLO."""

    display_name: DisplayName | None = None
    op: Comparison | None = None
    value: Number | None = None
    target: Annotated[Number, Field(ge=0, lt=1)] | None = None
    target_percent: Annotated[Number, Field(ge=0, lt=100)] | None = None
    time_slice_target: Annotated[Number, Field(gt=0, le=1)] | None = None
    time_slice_window: Annotated[FixedShorthand, BeforeValidator(_minutes)] | None = None
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
