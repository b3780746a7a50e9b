"""OTLP/JSON metrics as the OpenTelemetry Collector's file exporter writes them: one export request on each
line.

Belongs here: the shapes of OTLP and what its metrics are as points. Does not: finding files and following
them. Formulas and identities: the OpenTelemetry metrics data model.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import duckdb

from cogniforge_pipeline.sources.lines import Lines, lay_out
from cogniforge_pipeline.sources.model import OtlpSource
from cogniforge_pipeline.sources.paths import PathReader
from cogniforge_pipeline.sources.points import (
    POINT_COLUMNS,
    Item,
    name_problem,
    time_problem,
    value_problem,
)
from cogniforge_pipeline.sources.records import labels_sql
from cogniforge_pipeline.sqltext import literal

_ATTRIBUTES = [{"key": "VARCHAR", "value": "JSON"}]
_BUCKETS = {"offset": "BIGINT", "bucketCounts": ["VARCHAR"]}
_POINT = {
    "attributes": _ATTRIBUTES,
    "timeUnixNano": "VARCHAR",
    "flags": "VARCHAR",
    "asDouble": "VARCHAR",
    "asInt": "VARCHAR",
    "count": "VARCHAR",
    "sum": "VARCHAR",
    "min": "VARCHAR",
    "max": "VARCHAR",
    "bucketCounts": ["VARCHAR"],
    "explicitBounds": ["VARCHAR"],
    "scale": "BIGINT",
    "zeroCount": "VARCHAR",
    "zeroThreshold": "VARCHAR",
    "positive": _BUCKETS,
    "negative": _BUCKETS,
    "quantileValues": [{"quantile": "VARCHAR", "value": "VARCHAR"}],
}
_DATA = {"dataPoints": [_POINT], "aggregationTemporality": "VARCHAR", "isMonotonic": "BOOLEAN"}
_FORMS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_METRIC = {"name": "VARCHAR", "unit": "VARCHAR", **dict.fromkeys(_FORMS, _DATA)}
_RESOURCE = {
    "resource": {"attributes": _ATTRIBUTES},
    "scopeMetrics": [{"metrics": [_METRIC]}],
}


class OtlpReader(PathReader):
    """Reads a declared `otlp` source."""

    def __init__(self, source: OtlpSource, *, home: Path, base: Path) -> None:
        super().__init__(source, home=home, base=base)
        self._source = source

    def relation(self, con: duckdb.DuckDBPyConnection, item: Item) -> str:  # noqa: ARG002
        """SELECT of the item's points. Raises RefusedItem for a file that is not UTF-8 text."""
        lines = lay_out(self._path(item), item, self._scratch.fresh(), header=False)
        columns = ", ".join(POINT_COLUMNS)
        samples = _samples_of_points(_judged_points(self._source, lines, self._time()))
        return f"SELECT {columns} FROM ({samples}) UNION ALL {_broken_lines(lines)}"


def _broken_lines(lines: Lines) -> str:
    problem = (
        "CASE WHEN NOT json_valid(line) THEN 'not JSON' "
        "WHEN json_type(line, '/resourceMetrics') IS DISTINCT FROM 'ARRAY' "
        "THEN 'no list resourceMetrics: not an OTLP metrics request' END"
    )
    nothing = {name: f"CAST(NULL AS {kind}) AS {name}" for name, kind in POINT_COLUMNS.items()}
    columns = nothing | {"position": "position", "problem": "problem", "raw": "line AS raw"}
    checked = f"SELECT position, line, {problem} AS problem FROM ({lines.relation()})"
    return f"SELECT {', '.join(columns.values())} FROM ({checked}) WHERE problem IS NOT NULL"


def _datapoints(source: OtlpSource, lines: Lines) -> str:
    """SELECT of datapoints `p`, each with its metric's name, form and temporality and its resource's service,
    labels.

    Datapoints flagged as having no recorded value are left out. A metric without any known form keeps one
    row.
    """
    valid = f"SELECT position, CASE WHEN json_valid(line) THEN CAST(line AS JSON) END AS doc FROM ({lines.relation()})"
    shape = literal(json.dumps([_RESOURCE]))
    resources = (
        f"SELECT position, unnest(from_json(json_extract(doc, '/resourceMetrics'), {shape})) AS r FROM ({valid})"
    )
    scopes = f"SELECT position, r.resource.attributes AS resource, unnest(r.scopeMetrics) AS s FROM ({resources})"
    service = _text("(list_filter(resource, lambda a: a.key = 'service.name')[1]).value")
    metrics = (
        f"SELECT position, nullif(coalesce({service}, {literal(source.service)}), '') AS service, "
        f"{_attributes('resource', 'service.name')} AS resource_labels, unnest(s.metrics) AS m FROM "
        f"({scopes})"
    )
    form = " ".join(f"WHEN m.{form} IS NOT NULL THEN '{form}'" for form in _FORMS)
    forms = (
        "SELECT position, service, resource_labels, m.name AS name, nullif(m.unit, '') AS unit, "
        f"CASE {form} END AS form, coalesce({', '.join(f'm.{form}' for form in _FORMS)}) AS data FROM "
        f"({metrics})"
    )
    temporality = (
        "CASE WHEN upper(data.aggregationTemporality) IN ('1', 'AGGREGATION_TEMPORALITY_DELTA') THEN 'delta' "
        "WHEN upper(data.aggregationTemporality) IN ('2', 'AGGREGATION_TEMPORALITY_CUMULATIVE') "
        "THEN 'cumulative' END"
    )
    points = (
        f"SELECT * EXCLUDE (data), coalesce(data.isMonotonic, FALSE) AS monotonic, {temporality} AS "
        f"temporality, "
        f"unnest(CASE WHEN form IS NULL THEN [NULL] ELSE data.dataPoints END) AS p FROM ({forms})"
    )
    return f"SELECT * FROM ({points}) WHERE coalesce(try_cast(p.flags AS BIGINT), 0) & 1 = 0"


def _judged_points(source: OtlpSource, lines: Lines, now: datetime) -> str:
    """Datapoints with `ts`, `labels`, buckets, and in `found` what makes all of a datapoint unusable."""
    nanos = "nullif(try_cast(p.timeUnixNano AS HUGEINT), 0)"
    constant = labels_sql(source.labels, {}, ())
    read = (
        f"SELECT *, TRY(make_timestamptz(CAST({nanos} // 1000 AS BIGINT))) AS ts, {_bounds_and_counts()}, "
        f"{_attributes('p.attributes')} AS own_labels "
        f"FROM ({_datapoints(source, lines)})"
    )
    labels = (
        "CASE WHEN resource_labels IS NOT NULL AND own_labels IS NOT NULL "
        f"THEN map_concat({constant}, resource_labels, own_labels) END"
    )
    found = (
        "CASE WHEN form IS NULL "
        "THEN 'a metric without gauge, sum, histogram, exponentialHistogram and summary' "
        "WHEN form IN ('sum', 'histogram', 'exponentialHistogram') AND temporality IS NULL "
        "THEN 'the aggregation temporality is missing' "
        "WHEN form = 'histogram' AND len(counts) > 0 AND len(counts) <> len(bounds) + 1 "
        "THEN 'the bucket counts do not fit the bounds' "
        "WHEN list_contains(list_transform(counts, lambda c: c IS NULL), TRUE) "
        "THEN 'a bucket count is not a number' "
        "WHEN labels IS NULL THEN 'an attribute comes twice or has no key' "
        f"{time_problem(now)}{name_problem(metric='name')}END"
    )
    return f"SELECT *, {found} AS found FROM (SELECT *, {labels} AS labels FROM ({read}))"


def _samples_of_points(judged: str) -> str:
    """The points of each datapoint, with `problem` and `raw` (the datapoint, or a bad value)."""
    raw = "CAST(json_merge_patch('{}', to_json({'name': name, 'dataPoint': p})) AS VARCHAR)"
    samples = (
        "SELECT position, ts, service, name, unit, labels, found, "
        f"CASE WHEN found IS NOT NULL THEN {raw} END AS datapoint, unnest({_samples()}) AS sample FROM "
        f"({judged})"
    )
    points = (
        "SELECT ts, sample.value AS value, service, name || sample.suffix AS metric, "
        "CAST(NULL AS VARCHAR) AS metric_type, "
        "CASE WHEN sample.suffix IN ('_bucket', '_count') THEN '1' ELSE unit END AS unit, "
        "CASE WHEN sample.key IS NULL THEN labels "
        "ELSE map_concat(labels, MAP {sample.key: sample.label}) END AS labels, "
        "sample.kind AS kind, position, datapoint, "
        f"CASE WHEN found IS NOT NULL THEN found {value_problem('sample.value')}END AS problem FROM "
        f"({samples})"
    )
    bad_value = "CAST(to_json({'metric': metric, 'ts': ts, 'value': CAST(value AS VARCHAR)}) AS VARCHAR)"
    return f"SELECT *, CASE WHEN problem IS NOT NULL THEN coalesce(datapoint, {bad_value}) END AS raw FROM ({points})"


def _numbers(texts: str) -> str:
    return f"list_transform(coalesce({texts}, []), lambda c: try_cast(c AS DOUBLE))"


def _bounds_and_counts() -> str:
    """Upper bounds and counts of all buckets, lowest first; the bucket up to +Inf of an exponential one is
    its count.

    With base = 2^(2^-scale), bucket i of the positive range ends at base^(i+1), bucket i of the negative at
    -base^i. The zero bucket ends at the zero threshold.
    """

    def range_bounds(side: str, sign: str, shift: int) -> str:
        power = f"pow(2, (coalesce(p.{side}.offset, 0) + i - 1 + {shift}) * pow(2, -coalesce(p.scale, 0)))"
        return f"list_transform(range(1, len(coalesce(p.{side}.bucketCounts, [])) + 1), lambda i: {sign}{power})"

    exponential_bounds = (
        f"list_concat(list_reverse({range_bounds('negative', '-', 0)}), "
        f"[coalesce(try_cast(p.zeroThreshold AS DOUBLE), 0)], {range_bounds('positive', '', 1)})"
    )
    exponential_counts = (
        f"list_concat(list_reverse({_numbers('p.negative.bucketCounts')}), "
        f"[coalesce(try_cast(p.zeroCount AS DOUBLE), 0)], {_numbers('p.positive.bucketCounts')})"
    )
    explicit = f"CASE WHEN form = 'histogram' THEN {_numbers('p.{}')} END"
    return (
        f"CASE WHEN form = 'exponentialHistogram' THEN TRY({exponential_bounds}) "
        f"ELSE {explicit.format('explicitBounds')} END AS bounds, "
        f"CASE WHEN form = 'exponentialHistogram' THEN {exponential_counts} "
        f"ELSE {explicit.format('bucketCounts')} END AS counts"
    )


def _samples() -> str:
    """List of what one datapoint is as points: suffix of the name, a further label, value and kind."""

    def sample(suffix: str, value: str, kind: str, key: str = "NULL", label: str = "NULL") -> str:
        return (
            f"{{'suffix': '{suffix}', 'key': {key}, 'label': {label}, "
            f"'value': CAST({value} AS DOUBLE), 'kind': {kind}}}"
        )

    def number(field: str) -> str:
        return f"try_cast(p.{field} AS DOUBLE)"

    def optional(field: str, kind: str) -> str:
        return f"CASE WHEN p.{field} IS NULL THEN [] ELSE [{sample('_' + field, number(field), kind)}] END"

    kind = "CASE temporality WHEN 'delta' THEN 'delta' ELSE 'counter' END"
    single = sample("", f"coalesce({number('asDouble')}, {number('asInt')})", "'gauge'")
    summed = sample(
        "",
        f"coalesce({number('asDouble')}, {number('asInt')})",
        "CASE WHEN temporality = 'delta' THEN 'delta' WHEN monotonic THEN 'counter' ELSE 'gauge' END",
    )
    bucket = sample("_bucket", "list_sum(counts[1:i])", kind, "'le'", "CAST(bounds[i] AS VARCHAR)")
    buckets = f"list_transform(range(1, least(len(bounds), len(counts)) + 1), lambda i: {bucket})"
    last = sample("_bucket", f"coalesce({number('count')}, list_sum(counts))", kind, "'le'", "'+Inf'")
    counted = f"[{sample('_count', number('count'), kind)}]"
    histogram = (
        f"list_concat({buckets}, [{last}], {counted}, {optional('sum', kind)}, "
        f"""{optional("min", "'gauge'")}, {optional("max", "'gauge'")})"""
    )
    quantile = sample(
        "",
        "try_cast(q.value AS DOUBLE)",
        "'gauge'",
        "'quantile'",
        "CAST(try_cast(q.quantile AS DOUBLE) AS VARCHAR)",
    )
    summary = (
        f"list_concat(list_transform(coalesce(p.quantileValues, []), lambda q: {quantile}), "
        f"""[{sample("_count", number("count"), "'counter'")}], {optional("sum", "'counter'")})"""
    )
    return (
        f"CASE WHEN found IS NOT NULL THEN [{sample('', 'NULL', 'NULL')}] WHEN form = 'gauge' THEN "
        f"[{single}] "
        f"WHEN form = 'sum' THEN [{summed}] WHEN form = 'summary' THEN {summary} ELSE {histogram} END"
    )


def _text(value: str) -> str:
    """An AnyValue (JSON) as text: scalars as they are, lists and key-value lists as JSON."""
    element = (
        "coalesce(json_extract({0}, '/stringValue'), CAST(json_extract_string({0}, '/intValue') AS JSON), "
        "json_extract({0}, '/doubleValue'), json_extract({0}, '/boolValue'), json_extract({0}, "
        "'/bytesValue'), {0})"
    )
    scalars = ("stringValue", "intValue", "doubleValue", "boolValue", "bytesValue")
    texts = ", ".join(f"json_extract_string({value}, '/{name}')" for name in scalars)
    items = f"""from_json(json_extract({value}, '/arrayValue/values'), '["JSON"]')"""
    array = f"list_transform({items}, lambda e: {element.format('e')})"
    pairs = f"from_json(json_extract({value}, '/kvlistValue/values'), {literal(json.dumps(_ATTRIBUTES))})"
    entries = f"list_transform({pairs}, lambda e: {{'k': e.key, 'v': {element.format('e.value')}}})"
    return (
        f"coalesce({texts}, CAST(to_json({array}) AS VARCHAR), "
        f"CAST(TRY(to_json(map_from_entries({entries}))) AS VARCHAR))"
    )


def _attributes(attributes: str, without: str | None = None) -> str:
    """Attributes as a map of texts; empty ones are left out. NULL when a key comes twice."""
    entries = f"list_transform(coalesce({attributes}, []), lambda a: {{'k': a.key, 'v': {_text('a.value')}}})"
    kept = "nullif(a.v, '') IS NOT NULL" + (f" AND a.k <> {literal(without)}" if without else "")
    return f"TRY(map_from_entries(list_filter({entries}, lambda a: {kept})))"
