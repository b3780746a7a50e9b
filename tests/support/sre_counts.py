"""Made-up telemetry in DuckDB and objectives over it, for tests of SLO arithmetic.

Belongs here: tables as `aiops.series` and `aiops.telemetry`, objectives by metric name. Does not: what is expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.sre.objectives import Objective
from cogniforge_pipeline.sre.resolve import resolve_documents
from cogniforge_pipeline.sre.sli import minute_counts_sql

START = datetime(2024, 5, 1, tzinfo=UTC)
Points = Iterable[tuple[float, float]]
"""Minutes after START, and values."""


def minute(number: float) -> datetime:
    """So many minutes after START."""
    return START + timedelta(minutes=number)


def telemetry(series: Mapping[str, Points], *, kind: str = "counter", more: Mapping[str, str] | None = None) -> Any:
    """A connection with the series; a name is a metric, or metric:instance. `more` are other kinds by name."""
    cursor = duckdb.connect()
    cursor.execute(
        "SET TimeZone='UTC'; CREATE SCHEMA aiops; "
        "CREATE TABLE aiops.series (series_id BIGINT, service VARCHAR, metric VARCHAR, labels MAP(VARCHAR, VARCHAR), "
        "kind VARCHAR); CREATE TABLE aiops.telemetry (ts TIMESTAMPTZ, series_id BIGINT, value DOUBLE)"
    )
    for number, (name, points) in enumerate(series.items()):
        metric, _, instance = name.partition(":")
        labels = literal({"instance": instance})
        row = f"{number}, 'shop', {literal(metric)}, {labels}, {literal((more or {}).get(name, kind))}"
        cursor.execute(f"INSERT INTO aiops.series VALUES ({row})")
        rows = [f"({literal(minute(at))}, {number}, {literal(float(value))})" for at, value in points]
        if rows:
            cursor.execute(f"INSERT INTO aiops.telemetry VALUES {', '.join(rows)}")
    return cursor


def source(metric: str, **spec: Any) -> dict[str, Any]:
    """A metric source of our own telemetry, as OpenSLO writes it."""
    return {"metricSource": {"type": "cogniforge", "spec": {"metric": metric, **spec}}}


BAD_RATIO: dict[str, Any] = {"ratioMetric": {"bad": source("errors"), "total": source("requests")}}


def objectives(
    indicator: dict[str, Any] | None = None,
    *parts: dict[str, Any],
    name: str = "slo",
    method: str = "Occurrences",
    target: float = 0.9,
    window: str = "30d",
    **annotations: str,
) -> tuple[Objective, ...]:
    """The objectives of one SLO; `parts` are its objectives in OpenSLO, by default one of `target`."""
    spec: dict[str, Any] = {
        "service": "shop",
        "timeWindow": [{"duration": window, "isRolling": True}],
        "budgetingMethod": method,
        "objectives": list(parts) or [{"target": target}],
    }
    if indicator is not None:
        spec["indicator"] = {"metadata": {"name": "sli"}, "spec": indicator}
    notes = {f"cogniforge.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    metadata = {"name": name, "annotations": notes}
    return resolve_documents([{"apiVersion": "openslo/v1", "kind": "SLO", "metadata": metadata, "spec": spec}])


def counted(
    cursor: Any, found: tuple[Objective, ...], first: float, last: float, slo_id: str = "slo", **options: Any
) -> dict[int, tuple[float, float, float]]:
    """good, bad, total of an SLO by minutes after START, for minutes in (first, last]."""
    sql = minute_counts_sql(found, minute(first), minute(last), **options)
    rows = cursor.execute(f"SELECT minute, good, bad, total FROM ({sql}) WHERE slo_id = {literal(slo_id)}").fetchall()
    return {round((at - START) / timedelta(minutes=1)): (good, bad, total) for at, good, bad, total in rows}
