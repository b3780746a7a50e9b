"""What all OpenSLO documents share: names, metadata, numbers and durations.

Belongs here: the words and their checks. Does not: any kind of document.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

from cogniforge_pipeline.declarations import DeclarationModel
from cogniforge_pipeline.sre.windows import parse_shorthand

PREFIX = "cogniforge.dev/"
"""Of the annotations that are ours."""

Comparison = Literal["lt", "lte", "gt", "gte"]


def checked(check: Callable[[str], object]) -> AfterValidator:
    """Keeps a text as it is once `check` has accepted it."""

    def keep(text: str) -> str:
        check(text)
        return text

    return AfterValidator(keep)


def empty_list(value: Any) -> Any:
    """A key without a value as an empty list."""
    return () if value is None else value


def decimal_of(value: Any) -> Decimal:
    """A number as it is written in decimal. Raises ValueError for all else, and beyond 30 places."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(f"expected a number, got {value!r}")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"expected a number, got {value!r}") from None
    if not number.is_finite():
        raise ValueError(f"expected a finite number, got {value!r}")
    if max(number.adjusted(), -int(number.as_tuple().exponent)) > 30:
        raise ValueError(f"expected at most 30 places before and after the point, got {value!r}")
    return number


def _fixed_length(text: str) -> None:
    if parse_shorthand(text)[1] not in "mhdw":
        raise ValueError(f"expected minutes, hours, days or weeks such as 5m, got {text!r}")


Number = Annotated[Decimal, BeforeValidator(decimal_of)]
"""An exact decimal: 0.999 is 999/1000, never the nearest double."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._|/\\-]*$", max_length=255)]
"""As OpenSLO, and also capital letters and `_`, because services are named as in telemetry."""
Description = Annotated[str, Field(max_length=1050)]
DisplayName = Annotated[str, Field(min_length=1)]
Shorthand = Annotated[str, checked(parse_shorthand)]
FixedShorthand = Annotated[str, checked(_fixed_length)]
"""A duration without months, quarters and years, whose lengths vary."""


class OpenSLOModel(DeclarationModel):
    """Base of OpenSLO's objects: keys are written in camelCase, unknown ones are refused."""

    model_config = ConfigDict(alias_generator=to_camel)


class Named(OpenSLOModel):
    """Metadata without annotations."""

    name: Name
    display_name: DisplayName | None = None
    labels: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)


class Metadata(Named):
    """Metadata of all kinds but SLO."""

    annotations: dict[str, str] = Field(default_factory=dict)

    @field_validator("annotations")
    @classmethod
    def _not_ours(cls, annotations: dict[str, str]) -> dict[str, str]:
        ours = sorted(key for key in annotations if key.startswith(PREFIX))
        if ours:
            raise ValueError(f"{ours[0]} belongs to the metadata of an SLO")
        return annotations
