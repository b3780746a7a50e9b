"""This host, the 58 public series of the Numenta benchmark, and what names and units say."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.sources import SOURCE, reader
from cogniforge_pipeline.sources.semantics import (
    METRIC_TYPES,
    infer_metric_type,
    metric_type_sql,
    normalise_unit,
    unit_from_name,
    unit_sql,
)

NAB = Path(__file__).parents[3] / ".." / "shared" / "data" / "aiops" / "nab"


def test_one_plan_is_one_sample_of_this_host(station):
    points = station.read({"name": "host", "type": "host", "service": "laptop", "labels": {"room": "1"}})
    assert len(station.items) == 1 and all(p["problem"] is None for p in points)
    assert {p["service"] for p in points} == {"laptop"} and {p["ts"] for p in points} <= {points[0]["ts"]}
    by_metric = {p["metric"]: p for p in points}
    assert 0 <= by_metric["system.cpu.utilization"]["value"] <= 1
    assert 0 < by_metric["system.memory.utilization"]["value"] <= 1
    assert by_metric["system.cpu.time"]["kind"] == "counter"
    assert by_metric["system.memory.usage"]["unit"] == "By"
    assert all(p["labels"]["room"] == "1" for p in points)
    assert not any("cpu" in p["labels"] for p in points)
    assert len({(p["metric"], tuple(sorted(p["labels"].items()))) for p in points}) == len(points)


def test_the_next_plan_samples_again_and_cores_can_be_told_apart(station):
    source = {"name": "host", "type": "host", "per_core": True}
    first = station.read(source)
    station.later(60)
    second = station.read(source)
    assert (second[0]["ts"] - first[0]["ts"]).total_seconds() >= 60
    assert any(p["metric"] == "system.cpu.core.utilization" and p["labels"] == {"cpu": "0"} for p in second)


def test_ten_lines_are_enough_for_all_files_of_the_numenta_benchmark(station):
    if not NAB.is_dir():
        pytest.skip("the shared data is not here")
    declared = yaml.safe_load(f"""
        name: nab
        type: files
        path: "{NAB.resolve()}/**/*.csv"
        format: csv
        columns: {{timestamp: timestamp, value: value}}
        service: "{{parent}}"
        metric: "{{stem}}"
        timezone: UTC
    """)
    files = reader(SOURCE.validate_python(declared), home=station.home, base=station.home)
    figures = "count(*), count(problem), count(DISTINCT metric)"
    counts = [
        station.con.execute(f"SELECT {figures} FROM ({files.relation(station.con, item)})").fetchone()
        for item in files.plan({}, station.now())
    ]
    assert len(counts) == 58
    assert [sum(column) for column in zip(*counts, strict=True)] == [365_558, 0, 58]


@pytest.mark.parametrize(
    ("metric", "unit", "expected"),
    [
        ("ec2_cpu_utilization_24ae8d", None, "cpu_usage"),
        ("CPUUtilization", "%", "cpu_usage"),
        ("elb_request_count_8c0756", None, "request_rate"),
        ("ec2_request_latency_system_failure", None, "latency"),
        ("machine_temperature_system_failure", None, "custom"),
        ("ec2_disk_write_bytes_c0d644", None, "disk_usage"),
        ("ec2_network_in_257a54", None, "network"),
        ("http_request_duration_seconds_bucket", "1", "latency"),
        ("http_request_duration_seconds_count", "1", "request_rate"),
        ("http_requests_total", None, "request_rate"),
        ("http_5xx_total", None, "error_rate"),
        ("checkout.errors", None, "error_rate"),
        ("up", None, "availability"),
        ("jvm.memory.used", "By", "memory_usage"),
        ("queue_length", None, "saturation"),
        ("node_load1", None, "saturation"),
        ("speed_6005", "ms", "latency"),
        ("speed_6005", "By/s", "throughput"),
        ("Twitter_volume_AAPL", None, "custom"),
    ],
)
def test_a_metrics_name_or_unit_tells_its_type(metric, unit, expected):
    assert infer_metric_type(metric, unit) == expected
    assert expected in METRIC_TYPES


NAMES = ("cpu", "CPU", "latency", "duration", "count", "errors", "mem", "up", "x", "Load1", "5xx", "é")
WORDS = st.lists(st.sampled_from(NAMES), max_size=4)


@settings(deadline=None)
@given(words=WORDS, unit=st.sampled_from([None, "", "s", "By/s", "{request}/s", "%"]))
def test_python_and_sql_tell_the_same_type(words, unit):
    metric = "_".join(words)
    [(found,)] = duckdb.execute(
        f"SELECT {metric_type_sql('m', 'u')} FROM (SELECT ? AS m, ? AS u)", [metric, unit]
    ).fetchall()
    assert found == infer_metric_type(metric, unit)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("bytes", "By"),
        ("By", "By"),
        ("Seconds", "s"),
        ("milliseconds", "ms"),
        (" percent ", "%"),
        ("count", "1"),
        ("Bytes/Second", "By/s"),
        ("furlong", "furlong"),
        ("{call}", "{call}"),
        ("", None),
        (None, None),
    ],
)
def test_units_have_one_spelling_in_python_and_in_sql(unit, expected):
    assert normalise_unit(unit) == expected
    assert duckdb.execute(f"SELECT {unit_sql('u')} FROM (SELECT ?::VARCHAR AS u)", [unit]).fetchall() == [(expected,)]


def test_the_unit_in_a_prometheus_name_is_understood():
    names = ("a_seconds", "a_bytes_total", "a_seconds_sum", "a_seconds_bucket", "a_ratio", "a")
    assert [unit_from_name(name) for name in names] == ["s", "By", "s", "1", "1", None]
