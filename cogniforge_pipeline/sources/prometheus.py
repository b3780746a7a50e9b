"""A Prometheus-compatible server as telemetry: windows of `query_range`, each instant read once.

Belongs here: windows, what the answers mean as points, kinds from the server's metadata. Does not: HTTP
itself.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from cogniforge_pipeline.scratch import Scratch
from cogniforge_pipeline.sources.growth import whole_number
from cogniforge_pipeline.sources.http_api import HttpApi
from cogniforge_pipeline.sources.model import PrometheusSource
from cogniforge_pipeline.sources.points import (
    INGESTED,
    POINT_COLUMNS,
    Item,
    Kind,
    Ledger,
    LedgerEntry,
    Refusal,
    RefusedItem,
    name_problem,
    time_problem,
    value_problem,
)
from cogniforge_pipeline.sources.records import labels_sql
from cogniforge_pipeline.sources.semantics import normalise_unit, unit_from_name
from cogniforge_pipeline.sqltext import literal

POINTS_PER_REQUEST = 11_000
"""Prometheus refuses a range query that gives more points for a series."""

_REQUESTS_PER_ITEM = 24
_ANSWER = {
    "warnings": ["VARCHAR"],
    "infos": ["VARCHAR"],
    "data": {
        "resultType": "VARCHAR",
        "result": [{"metric": "MAP(VARCHAR, VARCHAR)", "values": [["VARCHAR"]], "histograms": "JSON"}],
    },
}
_FAMILY = re.compile(r"_(bucket|count|sum|total|created)$")


class PrometheusReader:
    """Reads a declared `prometheus` source.

    Each query is an item; a window that failed is tried again, whole.
    """

    def __init__(self, source: PrometheusSource, environ: Mapping[str, str] = os.environ) -> None:
        self.notices: list[str] = []
        self._source = source
        self._api = HttpApi(source, environ)
        self._now: datetime | None = None
        self._scratch = Scratch()
        self._metadata: dict[str, Any] | None = None

    def plan(self, ledger: Ledger, now: datetime) -> Iterator[Item | Refusal]:
        """For each query the half-open window from where the last one ended, in multiples of the step."""
        self._now, self._metadata = now, None
        for name in self._source.expressions():
            start, end = next_window(self._source, ledger.get(name), now)
            if start < end:
                window = f"{_instant(start)}/{_instant(end)}"
                yield Item(self._source.name, name, window, {"start": start, "end": end}, 0)

    def relation(self, con: duckdb.DuckDBPyConnection, item: Item) -> str:
        """SELECT of the window's points. Raises RefusedItem with the server's words when it refuses or fails.

        NaN is a gap, not a point; `notices` says how many there were, and what the server warned of.
        """
        self.notices = []
        start, end = whole_number(item.cursor, "start"), whole_number(item.cursor, "end")
        answers = self._ask(self._source.expressions()[item.item], start, end)
        self._look_over(con, answers)
        names = [str(row[0]) for row in con.execute(f"SELECT DISTINCT metric FROM ({answers})").fetchall()]
        kinds, units = self._describe([name for name in names if name != "None"])
        return self._points(answers, item.item, kinds, units)

    def _ask(self, expression: str, start: int, end: int) -> str:
        """Fetches the window in requests the server accepts; SELECT of `metric`, `labels` and `values`."""
        folder = self._scratch.fresh()
        step = self._source.step // timedelta(milliseconds=1)
        for first in range(start, end, step * POINTS_PER_REQUEST):
            last = min(first + step * POINTS_PER_REQUEST, end) - step
            form: dict[str, str | float] = {
                "query": expression,
                "start": first / 1000,
                "end": last / 1000,
                "step": step / 1000,
            }
            self._api.fetch("query_range", folder / f"{first:015d}.json", form)
        answer = f"from_json(content, {literal(json.dumps(_ANSWER))})"
        files = literal(str(folder / "*.json"))
        return (
            "SELECT answer.warnings AS warnings, answer.infos AS infos, answer.data.resultType AS "
            "kind_of_result, "
            "series.metric AS labels, series.metric['__name__'] AS metric, "
            "coalesce(series.values, []) AS samples, series.histograms AS histograms "
            f"FROM (SELECT *, unnest(CASE WHEN len(answer.data.result) > 0 THEN answer.data.result ELSE "
            f"[NULL] END) "
            f"AS series FROM (SELECT {answer} AS answer FROM read_text({files})))"
        )

    def _look_over(self, con: duckdb.DuckDBPyConnection, answers: str) -> None:
        gaps, native, results, said = con.execute(
            "SELECT sum(len(list_filter(samples, lambda v: v[2] = 'NaN'))), count(histograms), "
            "list(DISTINCT kind_of_result), list_distinct(flatten(list(list_concat(warnings, infos)))) "
            f"FROM ({answers})"
        ).fetchone() or (0, 0, [], [])
        if set(results or []) != {"matrix"}:
            found = ", ".join(map(str, results or ["nothing"]))
            raise RefusedItem(
                f"expected a matrix from query_range, got {found}", "is it a Prometheus-compatible server?"
            )
        if gaps:
            self.notices.append(f"{gaps} values were NaN and count as gaps")
        if native:
            self.notices.append(f"{native} series have native histograms, which are not read")
        self.notices += [f"the server says: {text}" for text in said or []]

    def _describe(self, names: list[str]) -> tuple[dict[str, Kind], dict[str, str]]:
        metadata = self._metadata
        if names and metadata is None:
            try:
                metadata = self._metadata = self._api.metadata()
            except RefusedItem as error:
                self.notices.append(f"no metadata, kinds are told by the names: {error.message}")
        kinds = {name: kind_of(name, metadata) for name in names}
        units = {name: unit for name in names if (unit := _unit_of(name, metadata))}
        return kinds, units

    def _points(self, answers: str, query: str, kinds: Mapping[str, Kind], units: Mapping[str, str]) -> str:
        source = self._source
        not_labels = literal(["__name__", source.service_label])
        entries = f"list_filter(map_entries(labels), lambda e: NOT list_contains({not_labels}, e.key))"
        series = (
            f"SELECT coalesce(nullif(labels[{literal(source.service_label)}], ''), "
            f"{literal(source.service)}) AS service, "
            f"coalesce(metric, {literal(query)}) AS metric, CAST(NULL AS VARCHAR) AS metric_type, "
            f"{_lookup(kinds)}[metric] AS known_kind, {_lookup(units)}[metric] AS unit, "
            f"map_concat({labels_sql(source.labels, {}, ())}, map_from_entries({entries})) AS labels, "
            f"unnest(samples) AS v FROM ({answers})"
        )
        rows = (
            "SELECT make_timestamptz(CAST(round(CAST(v[1] AS DOUBLE) * 1000) AS BIGINT) * 1000) AS ts, "
            "try_cast(v[2] AS DOUBLE) AS value, service, metric, metric_type, unit, labels, "
            "coalesce(known_kind, 'gauge') AS kind, row_number() OVER () AS position, v "
            f"FROM ({series}) WHERE v[2] <> 'NaN'"
        )
        branches = f"{time_problem(self._now or datetime.now(UTC))}{value_problem()}{name_problem()}"
        columns = ", ".join(name for name in POINT_COLUMNS if name != "raw")
        raw = "CAST(to_json({'metric': metric, 'labels': labels, 'value': v}) AS VARCHAR)"
        checked = f"SELECT *, CASE {branches}END AS problem FROM ({rows})"
        return f"SELECT {columns}, CASE WHEN problem IS NOT NULL THEN {raw} END AS raw FROM ({checked})"


def next_window(source: PrometheusSource, entry: LedgerEntry | None, now: datetime) -> tuple[int, int]:
    """The next half-open window [start, end) in ms since 1970, both multiples of the step; empty when start
    >= end.

    It begins where the last ingested one ended, or where the refused one began; at first `lookback` ago.
    """
    step = source.step // timedelta(milliseconds=1)
    delay = (source.delay if source.delay is not None else source.step) // timedelta(milliseconds=1)
    last = (round(now.timestamp() * 1000) - delay) // step * step
    if entry is None:
        start = last - source.lookback // timedelta(milliseconds=1) // step * step
    else:
        start = whole_number(entry.cursor, "end" if entry.status == INGESTED else "start")
        start = -(-start // step) * step
    return start, min(last + step, start + step * POINTS_PER_REQUEST * _REQUESTS_PER_ITEM)


def kind_of(name: str, metadata: Mapping[str, Any] | None) -> Kind:
    """Counter or gauge. `metadata` maps names to what the server knows of them; None when it tells nothing.

    Parts of histograms and summaries are counters. Without metadata the endings of Prometheus' naming rules
    decide.
    """
    if metadata is None:
        return "counter" if _FAMILY.search(name) and not name.endswith("_created") else "gauge"
    family = _FAMILY.sub("", name)
    part = name[len(family) :]
    if _type(metadata, name) == "counter" or (name.endswith("_total") and _type(metadata, name) != "gauge"):
        return "counter"
    if part in ("_bucket", "_count", "_sum") and _type(metadata, family) in ("histogram", "summary"):
        return "counter"
    return "gauge"


def _type(metadata: Mapping[str, Any], name: str) -> str:
    entries = metadata.get(name) or [{}]
    return str(entries[0].get("type", ""))


def _unit_of(name: str, metadata: Mapping[str, Any] | None) -> str | None:
    entries = (metadata or {}).get(_FAMILY.sub("", name)) or (metadata or {}).get(name) or [{}]
    told = normalise_unit(entries[0].get("unit")) if not name.endswith(("_bucket", "_count")) else None
    return told or unit_from_name(name)


def _lookup(values: Mapping[str, str]) -> str:
    return f"CAST({literal(dict(values))} AS MAP(VARCHAR, VARCHAR))"


def _instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat().replace("+00:00", "Z")
