"""Service level indicators as OpenSLO v1 documents write them: how to tell good from bad.

Belongs here: the spec of an SLI. Does not: targets, and the sources themselves.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from cogniforge_pipeline.sre.metric_sources import (
    ForeignSource,
    MetricSource,
    RecordedSource,
    SqlSource,
    TelemetrySource,
)
from cogniforge_pipeline.sre.openslo_common import Description, Metadata, OpenSLOModel


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
