"""Measurements of the Python API: what is refused, and that nothing that was taken is lost or comes twice."""

from __future__ import annotations

import json
import math
import multiprocessing
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline.aiops import collect
from cogniforge_pipeline.aiops.collect import Collector
from cogniforge_pipeline.aiops.telemetry import MetricType, TelemetryRefused
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.sources.semantics import METRIC_TYPES
from tests.support.pipeline import Pipeline
from tests.support.telemetry import NOON, append, measured


def lines(landing: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted((landing / "collected").glob("*.jsonl"))
        for line in path.open()
        if line.strip()
    ]


def test_a_measurement_becomes_a_point_of_its_series(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path)
    Collector(tmp_path / "landing").append(
        [measured(), measured(1, metric_name="db_latency", metric_type="custom", kind="counter", unit=None, labels={})]
    )
    assert pipeline.ingest().rows("aiops.telemetry") == 2
    assert pipeline.rows("aiops.points", "service, metric, metric_type, value, unit, labels, kind, ts") == [
        ("user-service", "db_latency", "custom", 151.5, None, {}, "counter", NOON + timedelta(seconds=1)),
        ("user-service", "latency", "latency", 150.5, "ms", {"region": "eu"}, "gauge", NOON),
    ]
    assert pipeline.ingest().items == 0


def test_what_is_appended_later_is_read_once_and_repeated_points_are_set_aside(tmp_path: Path) -> None:
    pipeline, collector = Pipeline(tmp_path), Collector(tmp_path / "landing")
    for n in range(3):
        collector.append([measured(n)])
        assert pipeline.ingest().rows("aiops.telemetry") == 1
    collector.append([measured(2), measured(3)])
    totals = pipeline.ingest()
    assert (totals.rows("aiops.telemetry"), totals.quarantined) == (1, 1)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"value": math.nan}, "value: expected a finite number, got nan"),
        ({"value": True}, "value: expected a finite number, got True"),
        ({"value": "12"}, "value: expected a finite number, got '12'"),
        ({"timestamp": datetime(2026, 3, 4)}, "timestamp: expected a datetime with a time zone"),
        ({"timestamp": datetime(1969, 1, 1, tzinfo=UTC)}, "timestamp: expected a time from 1970 to a day from now"),
        ({"timestamp": datetime(2999, 1, 1, tzinfo=UTC)}, "timestamp: expected a time from 1970 to a day from now"),
        ({"service_name": " "}, "service_name: expected a text that is not empty"),
        ({"service_name": "a\nb"}, "without control characters"),
        ({"metric_name": 7}, "metric_name: expected a text"),
        ({"metric_type": "speed"}, "metric_type: expected one of latency, request_rate"),
        ({"kind": "total"}, "kind: expected one of gauge, counter, delta, got 'total'"),
        ({"labels": {"region": 3}}, r"labels\['region'\]: expected a text"),
        ({"labels": [("a", "b")]}, "labels: expected a mapping"),
        ({"unit": "\ud800"}, "unit: expected a text"),
    ],
)
def test_a_measurement_that_is_none_is_refused_with_all_others_of_the_call(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(TelemetryRefused, match=message) as refused:
        Collector(tmp_path).append([measured(), measured(1, **changed)])
    assert "measurement m1" in str(refused.value)
    assert not (tmp_path / "collected").exists()


def test_metric_types_are_those_of_the_lake() -> None:
    assert tuple(MetricType) == METRIC_TYPES


def _in_processes(landing: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=append, args=(landing, worker, 20, 5)) for worker in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0


def _in_threads(landing: Path) -> None:
    collector = Collector(landing)
    workers = [
        threading.Thread(
            target=lambda worker=worker: [collector.append([measured(n, f"s{worker}")]) for n in range(100)]
        )
        for worker in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


@pytest.mark.parametrize("work", [_in_processes, _in_threads])
def test_many_writers_lose_nothing_and_share_a_file(tmp_path: Path, work: Callable[[Path], None]) -> None:
    work(tmp_path)
    found = lines(tmp_path)
    assert len(found) == 300 == len({(row["service"], row["timestamp"]) for row in found})
    assert len(list((tmp_path / "collected").glob("*.jsonl"))) <= 3


def test_half_a_line_of_a_killed_writer_spoils_no_other(tmp_path: Path) -> None:
    pipeline, collector = Pipeline(tmp_path), Collector(tmp_path / "landing")
    collector.append([measured()])
    (path,) = (tmp_path / "landing/collected").glob("*.jsonl")
    with path.open("a") as file:
        file.write('{"timestamp":"2026-03-')
    Collector(tmp_path / "landing").append([measured(1), measured(2)])
    totals = pipeline.ingest()
    assert (totals.rows("aiops.telemetry"), totals.quarantined) == (3, 1)


def test_a_full_file_and_one_that_was_deleted_are_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, collector = Pipeline(tmp_path), Collector(tmp_path / "landing")
    monkeypatch.setattr(collect, "MAX_BYTES", 1)
    collector.append([measured()])
    collector.append([measured(1)])
    assert pipeline.ingest().rows("aiops.telemetry") == 2
    files = list((tmp_path / "landing/collected").glob("*.jsonl"))
    assert len(files) == 2
    monkeypatch.undo()
    for path in files:
        path.unlink()
    collector.append([measured(2)])
    totals = pipeline.ingest()
    assert totals.rows("aiops.telemetry") == 1 and not totals.refused


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "collected").write_text("in the way", encoding="utf-8")
    with pytest.raises(CogniforgeError, match="measurements could not be written"):
        Collector(tmp_path).append([measured()])


def test_no_measurement_writes_nothing(tmp_path: Path) -> None:
    Collector(tmp_path).append([])
    assert not (tmp_path / "collected").exists()
