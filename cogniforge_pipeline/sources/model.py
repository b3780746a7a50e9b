"""What a user declares in `platform/sources/*.yaml`: where telemetry and the rows of their own tables come from.

Belongs here: the declared types and the checks on their values. Does not: reading, and finding files.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    field_validator,
    model_validator,
)

from cogniforge_pipeline.sources.points import Kind
from cogniforge_pipeline.sources.semantics import MetricType

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9_-]{0,62})$")]
Template = Annotated[str, Field(min_length=1)]
FileFormat = Literal["csv", "jsonl", "parquet"]

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_duration(value: Any) -> Any:
    """`90s`, `1h30m`, `250ms`, `7d` (Prometheus' spelling) or a number of seconds -> timedelta; other types
    pass.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return value
    if not isinstance(value, str):
        return timedelta(seconds=value)
    if not re.fullmatch(r"(\d+(ms|s|m|h|d|w))+", value):
        raise ValueError(f"expected a duration such as 15s, 5m or 1h30m, got {value!r}")
    return timedelta(seconds=sum(int(n) * _SECONDS[u] for n, u in re.findall(r"(\d+)(ms|s|m|h|d|w)", value)))


Duration = Annotated[timedelta, BeforeValidator(parse_duration), Field(gt=timedelta(0))]


def as_list(value: Any) -> Any:
    """One text -> a list of it."""
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(as_list)]


class Declared(BaseModel):
    """Base of what a user declares: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BaseSource(Declared):
    """What all sources have: a name."""

    name: Slug
    description: str | None = None


class Labelled(Declared):
    """A source of points, each of which carries these labels."""

    labels: dict[str, str] = Field(default_factory=dict)


class PathSource(BaseSource):
    """A source that reads files: globs relative to the home (`**` goes down folders), and exclusions."""

    path: Texts = Field(min_length=1)
    exclude: Texts = ()

    @field_validator("path", "exclude")
    @classmethod
    def _globs_stay_inside(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            parts = PurePosixPath(pattern).parts
            wild = next((i for i, part in enumerate(parts) if re.search(r"[*?\[]", part)), len(parts))
            if ".." in parts[wild:] or "\0" in pattern:
                raise ValueError(f"{pattern!r} goes up (`..`) after its first wildcard; write the folder out instead")
            if parts[:1] == ("landing",) and ".." in parts:
                raise ValueError(f"{pattern!r} leads out of landing/")
        return patterns


class RecordSource(PathSource):
    """A source of files with columns. The format follows from a file's ending unless it is said.

    `timezone` counts for times without an offset. Times are ISO 8601 or epoch numbers (seconds, ms, us or ns told apart
    by their size) unless `timestamp_format` (strptime) or `timestamp_unit` is given.
    """

    format: FileFormat | None = None
    timezone: str = "UTC"
    timestamp_format: str | None = None
    timestamp_unit: Literal["s", "ms", "us", "ns"] | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"expected an IANA time zone such as Europe/Berlin, got {zone!r}") from error
        return zone

    @model_validator(mode="after")
    def _one_way_to_tell_the_time(self) -> Self:
        if self.timestamp_format and self.timestamp_unit:
            raise ValueError("timestamp_format is for texts and timestamp_unit for numbers; give one of them")
        return self


class Columns(Declared):
    """Names in the file of the columns that have a meaning.

    Those left out are looked for under their usual name.
    """

    timestamp: str | None = None
    value: str | None = None
    service: str | None = None
    metric: str | None = None
    unit: str | None = None
    kind: str | None = None
    metric_type: str | None = None
    labels: str | None = None


class FilesSource(RecordSource, Labelled):
    """CSV, JSON lines or Parquet. One file (or what was appended to it) is one item.

    `service` and `metric` are templates over the path: `{parent}` (folder name), `{stem}` (file name without
    endings), `{name}`, `{path}`, and the named groups of `path_pattern`, a regular expression searched in the
    path. They fill in where the file has no such column or it is empty. With `values` each of these columns
    is one metric, named like the column unless `metric` says otherwise (there `{column}` is its name); an
    empty cell is then no point. `label_columns` names the columns that become labels; by default all that
    have no other meaning.
    """

    type: Literal["files"]
    columns: Columns = Columns()
    values: tuple[str, ...] = ()
    label_columns: Texts | None = None
    service: Template | None = None
    metric: Template | None = None
    unit: str | None = None
    kind: Kind | None = None
    metric_type: MetricType | None = None
    path_pattern: str | None = None

    @field_validator("path_pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.values and (self.columns.value or self.columns.metric):
            raise ValueError("values names many value columns; columns.value and columns.metric do not go with it")
        known = {"parent", "stem", "name", "path"} | set(re.compile(self.path_pattern or "").groupindex)
        for field, more in (("service", set()), ("metric", {"column"} if self.values else set())):
            template = getattr(self, field) or ""
            unknown = set(re.findall(r"\{([^{}]*)\}", template)) - known - more
            if unknown:
                raise ValueError(f"{field}: {template!r} uses {sorted(unknown)}; known here are {sorted(known | more)}")
        return self


class TableSource(RecordSource):
    """Files that fill a table of the user's own: `platform/contracts/<schema>/<table>.yaml` says its columns and rules.

    `columns` maps a column of the contract to its name in the files, where they differ. With mode `append` each file
    gives rows of its own, and a changed file gives them anew in place of those it gave before; a file that is removed
    leaves its rows. With mode `replace` the newest file, by its time of modification, is the whole table.
    """

    type: Literal["table"]
    table: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]
    columns: dict[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    mode: Literal["append", "replace"] = "append"


class OtlpSource(PathSource, Labelled):
    """OTLP/JSON as the OpenTelemetry Collector's file exporter writes it: one export request on each line.

    `service` stands in for resources without `service.name`.
    """

    type: Literal["otlp"]
    service: str | None = None


class PrometheusSource(BaseSource, Labelled):
    """A Prometheus-compatible server, read with `query_range`.

    `queries` maps a name to an expression; the metric is the series' `__name__`, else that name. `matchers`
    is a list of series selectors. `delay` is how far behind now to stay (default one step), `lookback` how
    far back the first read goes. `${NAME}` in `bearer_token` and in header values is taken from the
    environment when a request is made.
    """

    type: Literal["prometheus"]
    url: str
    queries: dict[Annotated[str, Field(min_length=1)], Annotated[str, Field(min_length=1)]] = Field(
        default_factory=dict
    )
    matchers: Texts = ()
    step: Duration = timedelta(seconds=60)
    lookback: Duration = timedelta(hours=1)
    delay: Duration | None = None
    timeout: Duration = timedelta(seconds=30)
    service_label: str = "job"
    service: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    bearer_token: Annotated[str, Field(pattern=r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$")] | None = None

    @field_validator("url")
    @classmethod
    def _plain_http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected an http:// or https:// address with a host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("expected an address without user, password and query; put credentials into headers")
        return url.rstrip("/")

    @field_validator("step")
    @classmethod
    def _whole_milliseconds(cls, step: timedelta) -> timedelta:
        if step < timedelta(milliseconds=1):
            raise ValueError("expected a step of at least 1ms")
        return step

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not self.queries and not self.matchers:
            raise ValueError("expected queries (a name and an expression) or matchers (series selectors)")
        clash = set(self.queries) & set(self.matchers)
        if clash:
            raise ValueError(f"the same name in queries and matchers: {sorted(clash)}")
        return self

    def expressions(self) -> dict[str, str]:
        """All that is asked: name -> PromQL. A matcher is its own name."""
        return {**self.queries, **{matcher: matcher for matcher in self.matchers}}


class HostSource(BaseSource, Labelled):
    """This machine, one sample for each plan. `service` is the host's name unless given."""

    type: Literal["host"]
    service: str | None = None
    per_core: bool = False


Source = Annotated[FilesSource | OtlpSource | PrometheusSource | HostSource, Field(discriminator="type")]
"""A source of telemetry."""
SOURCE: TypeAdapter[Source] = TypeAdapter(Source)
"""Validates one declaration: `SOURCE.validate_python(mapping)`; raises pydantic.ValidationError."""
AnySource = Annotated[
    FilesSource | TableSource | OtlpSource | PrometheusSource | HostSource, Field(discriminator="type")
]
"""What a file of `platform/sources` may declare."""

LANDING_OTLP = OtlpSource(
    name="landing-otlp",
    type="otlp",
    description="OTLP/JSON files dropped into landing/",
    path=(
        "landing/**/*.otlp.jsonl",
        "landing/**/*.otlp.json",
        "landing/**/otlp/*.json",
        "landing/**/otlp/*.jsonl",
    ),
)
LANDING = FilesSource(
    name="landing",
    type="files",
    description="Files dropped into landing/ that no declared source takes",
    path=("landing/**",),
    exclude=LANDING_OTLP.path,
)
