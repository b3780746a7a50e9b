"""Where an indicator's numbers come from, as the `metricSource` of an OpenSLO document says it.

Belongs here: our own source types and the envelope of all others. Does not: OpenSLO's documents around them.

    type: cogniforge            telemetry of the lake
    spec:
      metric: http_requests_total
      service: checkout         default: the SLO's service; "*" is any
      labels: ['code!~"5.."']   or a mapping of labels and their values: {method: GET}
      measure: value            for thresholdMetric also: histogram, age, timestamp_age

    type: sql                   a SELECT that gives ts, good, total; stands under ratioMetric.raw
    spec: {query: SELECT ...}

    type: recorded              rows of record_sli; stands under ratioMetric.raw
    spec: {measure: percent}    or compliance: one good event for each compliant measurement
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

import duckdb
from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from cogniforge_pipeline.declarations import DeclarationModel
from cogniforge_pipeline.sre.openslo_common import OpenSLOModel
from cogniforge_pipeline.sre.selectors import Matcher, Selector, parse_matcher

Measure = Literal["value", "histogram", "age", "timestamp_age"]
RecordedMeasure = Literal["percent", "compliance"]


class Telemetry(DeclarationModel):
    """Series of the lake. `measure` says what of them is compared with a threshold.

    value: each sample. histogram: the observations, by the bucket that ends at the threshold; `metric` is the
    name without `_bucket`. age: seconds since the newest sample. timestamp_age: seconds since the Unix time
    that is the newest sample's value.
    """

    metric: Annotated[str, Field(min_length=1)]
    service: Annotated[str, Field(min_length=1)] | None = None
    labels: dict[str, str] | tuple[str, ...] = ()
    measure: Measure = "value"

    @field_validator("labels")
    @classmethod
    def _readable(cls, labels: dict[str, str] | tuple[str, ...]) -> dict[str, str] | tuple[str, ...]:
        _matchers(labels)
        return labels

    def selector(self, service: str) -> Selector:
        """The series, where the SLO's service is `service`."""
        chosen = self.service or service
        return Selector(self.metric, None if chosen == "*" else chosen, _matchers(self.labels))


class Sql(DeclarationModel):
    """One SELECT with the columns ts, good and total; `total` counts events, `good` those that were fine."""

    query: str

    @field_validator("query")
    @classmethod
    def _one_select(cls, query: str) -> str:
        try:
            statements = duckdb.extract_statements(query)
        except duckdb.Error as error:
            raise ValueError(f"not SQL: {str(error).strip().splitlines()[0]}") from error
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise ValueError("expected one SELECT that gives ts, good and total")
        return query


class Recorded(DeclarationModel):
    """Measurements by `record_sli`: `percent` counts each as its share of good, `compliance` as good or bad."""

    measure: RecordedMeasure = "percent"


class TelemetrySource(OpenSLOModel):
    """`type: cogniforge`."""

    type: Literal["cogniforge"]
    spec: Telemetry


class SqlSource(OpenSLOModel):
    """`type: sql`."""

    type: Literal["sql"]
    spec: Sql


class RecordedSource(OpenSLOModel):
    """`type: recorded`."""

    type: Literal["recorded"]
    spec: Recorded = Recorded()


class ForeignSource(OpenSLOModel):
    """The source of another system (prometheus, datadog ...): kept as written, not computed here."""

    metric_source_ref: str | None = None
    type: str | None = None
    spec: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if not self.type and not self.metric_source_ref:
            raise ValueError("expected `type: cogniforge`, another type, or metricSourceRef")
        return self


_OURS = {"cogniforge": "TelemetrySource", "sql": "SqlSource", "recorded": "RecordedSource"}


def _source_class(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return _OURS.get(kind.lower() if isinstance(kind, str) else "", "ForeignSource")


MetricSource = Annotated[
    Annotated[TelemetrySource, Tag("TelemetrySource")]
    | Annotated[SqlSource, Tag("SqlSource")]
    | Annotated[RecordedSource, Tag("RecordedSource")]
    | Annotated[ForeignSource, Tag("ForeignSource")],
    Discriminator(_source_class),
]


def _matchers(labels: dict[str, str] | tuple[str, ...]) -> tuple[Matcher, ...]:
    if not isinstance(labels, dict):
        return tuple(parse_matcher(text) for text in labels)
    for name in labels:
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.]*", name):
            raise ValueError(f'expected the name of a label, got {name!r}; matchers such as code!~"5.." go in a list')
    return tuple(Matcher(name, "=", value) for name, value in labels.items())
