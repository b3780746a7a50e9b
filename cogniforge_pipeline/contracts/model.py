"""What a contract is once it is read: columns, rules and promises, as plain frozen values.

Belongs here: the types every other module of this package works on. Does not: reading files, SQL, frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["row", "table"]
Severity = Literal["ERROR", "WARN"]
Dimension = Literal["completeness", "accuracy", "consistency", "timeliness", "uniqueness", "volume"]
MODE_PROPERTY = "compatibilityMode"
"""The custom property of a contract that names its mode: who has to go on reading when its version changes."""
MODES = (
    "NONE",
    "BACKWARD",
    "FORWARD",
    "FULL",
    "BACKWARD_TRANSITIVE",
    "FORWARD_TRANSITIVE",
    "FULL_TRANSITIVE",
)


@dataclass(frozen=True)
class Bounds:
    """One ODCS comparison (`mustBe`, `mustBeLessThan`, `mustBeBetween` …) and the value it compares with."""

    operator: str
    value: Any

    def hold(self, observed: Any) -> bool:
        """True when the observed figure keeps the bounds. An observed None breaks every one but mustNotBe."""
        if observed is None:
            return self.operator == "mustNotBe"
        match self.operator:
            case "mustBe":
                return bool(observed == self.value)
            case "mustNotBe":
                return bool(observed != self.value)
            case "mustBeGreaterThan":
                return bool(observed > self.value)
            case "mustBeGreaterOrEqualTo":
                return bool(observed >= self.value)
            case "mustBeLessThan":
                return bool(observed < self.value)
            case "mustBeLessOrEqualTo":
                return bool(observed <= self.value)
            case "mustBeBetween":
                return bool(self.value[0] <= observed <= self.value[1])
            case "mustNotBeBetween":
                return not self.value[0] <= observed <= self.value[1]
        raise ValueError(f"not an ODCS comparison: {self.operator}")

    def __str__(self) -> str:
        words = {
            "mustBe": "must be {}",
            "mustNotBe": "must not be {}",
            "mustBeGreaterThan": "must be above {}",
            "mustBeGreaterOrEqualTo": "must be at least {}",
            "mustBeLessThan": "must be below {}",
            "mustBeLessOrEqualTo": "must be at most {}",
            "mustBeBetween": "must be between {} and {}",
            "mustNotBeBetween": "must not be between {} and {}",
        }[self.operator]
        return words.format(*self.value) if self.operator.endswith("Between") else words.format(self.value)


@dataclass(frozen=True)
class Rule:
    """One thing that must hold.

    A row rule judges each row by `predicate`: SQL over the column names, the row is bad only when it is
    FALSE, so NULL passes. A `unique` row rule has no predicate: among the rows with equal, non-NULL `columns`
    one is good and the others are bad. A table rule compares one figure, `measure`, with `bounds`.
    """

    name: str
    kind: Kind
    test: str
    columns: tuple[str, ...]
    severity: Severity
    dimension: Dimension
    description: str
    value: Any = None
    predicate: str = ""
    measure: str = ""
    percent: bool = False
    bounds: Bounds | None = None


@dataclass(frozen=True)
class Column:
    """One column. `type` is DuckDB's own spelling of the declared physicalType, as DESCRIBE prints it.

    `options` are the ODCS logicalTypeOptions, `enum` the allowed values, `references` is
    `schema.table.column`.
    """

    name: str
    type: str
    required: bool = False
    primary_key: bool = False
    description: str = ""
    references: str | None = None
    enum: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    custom: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    @property
    def floating(self) -> bool:
        """True for DOUBLE and FLOAT, whose NaN counts as missing."""
        return self.type in ("DOUBLE", "FLOAT")

    @property
    def temporal(self) -> bool:
        """True for a date or a timestamp of any precision."""
        return self.type == "DATE" or self.type.startswith("TIMESTAMP")


@dataclass(frozen=True)
class Contract:
    """One table's contract. `sla` holds durations in seconds under `<property>_seconds`, other promises as
    written.

    `freshness_seconds` in `sla` is the ODCS `latency` (or `freshness`) of `time_column`.
    """

    schema: str
    table: str
    version: str
    status: str
    description: str
    owner: str
    tags: tuple[str, ...]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]
    partition_column: str | None
    sort_by: tuple[str, ...]
    time_column: str | None
    sla: Mapping[str, Any]
    custom: Mapping[str, str]
    path: Path
    raw: Mapping[str, Any]

    @property
    def name(self) -> str:
        """`schema.table`."""
        return f"{self.schema}.{self.table}"

    @property
    def key(self) -> list[str]:
        """`["schema", "table"]`, the parts of the asset key."""
        return [self.schema, self.table]

    @property
    def freshness_seconds(self) -> float | None:
        """The greatest allowed age of the newest row in seconds, or None without such a promise."""
        value = self.sla.get("freshness_seconds")
        return None if value is None else float(value)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Names of the primary key's columns, in the order of their positions."""
        for rule in self.rules:
            if rule.test == "unique" and rule.value == "primary key":
                return rule.columns
        return ()

    def column(self, name: str) -> Column:
        """The column of that name. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)
