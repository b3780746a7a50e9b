"""CSV files: columns, times, labels, and rows that are not right."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest

HEADER = "timestamp,value,service,metric\n"
GOOD = "2026-01-01 00:00:00,1.5,pay,latency_ms\n"


def test_a_csv_in_landing_needs_no_more_than_the_usual_columns(station):
    station.write("landing/a.csv", HEADER + GOOD)
    [point] = station.read(station.files("landing/*.csv"))
    assert point["ts"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert (point["value"], point["service"], point["metric"]) == (1.5, "pay", "latency_ms")
    assert (point["kind"], point["labels"], point["position"]) == ("gauge", {}, 2)
    assert (point["problem"], point["raw"]) == (None, None)


def test_what_was_read_is_not_read_again(station):
    station.write("a.csv", HEADER + GOOD)
    assert len(station.read(station.files("*.csv"))) == 1
    station.later(3600)
    assert station.read(station.files("*.csv")) == []
    assert station.refusals == []


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("yesterday,1,pay,m", "timestamp"),
        (",1,pay,m", "timestamp"),
        ("2026-02-30 00:00:00,1,pay,m", "timestamp"),
        ("2999-01-01,1,pay,m", "in the future"),
        ("infinity,1,pay,m", "in the future"),
        ("0014-01-01,1,pay,m", "before 1970"),
        ("2026-01-01,much,pay,m", "not a number"),
        ("2026-01-01,,pay,m", "not a number"),
        ("2026-01-01,NaN,pay,m", "not finite"),
        ("2026-01-01,1e999,pay,m", "not finite"),
        ("2026-01-01,1,,m", "service is missing"),
        ("2026-01-01,1,pay,  ", "metric is missing"),
        ("2026-01-01,1,pay", "expected 4 fields, found 3"),
        ("2026-01-01,1,pay,m,more", "expected 4 fields, found 5"),
        ('2026-01-01,1,"pay,m', "quotes"),
        ('2026-01-01,1,p"a"y,m', "quotes"),
        ("timestamp,value,service,metric", "header line again"),
    ],
)
def test_a_bad_row_keeps_its_text_and_place_and_the_rows_around_it_are_read(station, row, problem):
    station.write("a.csv", HEADER + GOOD + row + "\n" + GOOD.replace("1.5", "2"))
    first, bad, last = station.read(station.files("a.csv"))
    assert (first["value"], last["value"]) == (1.5, 2)
    assert first["problem"] is None and last["problem"] is None
    assert problem in bad["problem"]
    assert (bad["raw"], bad["position"]) == (row, 3)


def test_quotes_delimiters_blank_lines_and_windows_line_ends_are_understood(station):
    station.write(
        "a.csv",
        "\ufeffts;value;service;metric;note\r\n"
        '2026-01-01;1;"a;b";"say ""hi""";\r\n\r\n"2026-01-02"; 2 ;c; m ;plain\r\n',
    )
    one, two = station.read(station.files("a.csv"))
    assert (one["service"], one["metric"], one["labels"]) == ("a;b", 'say "hi"', {})
    assert (two["value"], two["metric"], two["labels"], two["position"]) == (2.0, "m", {"note": "plain"}, 4)


def test_other_columns_become_labels_and_those_of_the_source_stand_behind(station):
    station.write(
        "a.csv",
        'timestamp,value,service,metric,region,labels\n2026-01-01,1,s,m,eu,"{""host"": ""h1"", ""n"": 5}"\n'
        "2026-01-01,1,s,m,,\n2026-01-01,1,s,m,us,oops\n",
    )
    rich, poor, bad = station.read(station.files("a.csv", labels={"region": "none", "env": "prod"}))
    assert rich["labels"] == {"region": "eu", "env": "prod", "host": "h1", "n": "5"}
    assert poor["labels"] == {"region": "none", "env": "prod"}
    assert "labels" in bad["problem"]


def test_label_columns_can_be_chosen(station):
    station.write("a.csv", "ts,value,service,metric,region,comment\n2026-01-01,1,s,m,eu,long text\n")
    [point] = station.read(station.files("a.csv", label_columns="region"))
    assert point["labels"] == {"region": "eu"}


def test_service_and_metric_come_from_the_path(station):
    station.write("data/shop-eu/cpu.load.csv", "time,v\n2026-01-01,1\n")
    [point] = station.read(
        station.files(
            "data/**/*.csv",
            columns={"timestamp": "time", "value": "v"},
            path_pattern=r"^(?P<team>[a-z]+)-(?P<region>[a-z]+)/",
            service="{team}",
            metric="{parent}.{stem}@{region}",
            unit="percent",
            kind="counter",
            metric_type="cpu_usage",
        )
    )
    assert (point["service"], point["metric"]) == ("shop", "shop-eu.cpu@eu")
    assert (point["unit"], point["kind"], point["metric_type"]) == ("%", "counter", "cpu_usage")


def test_a_path_that_the_pattern_does_not_fit_is_refused(station):
    station.write("a.csv", "ts,value\n2026-01-01,1\n")
    declared = station.files("*.csv", path_pattern=r"(?P<team>\d+)", service="{team}", metric="m")
    assert "path_pattern" in station.refused(declared).reason


def test_a_wide_file_has_one_metric_for_each_value_column_and_no_point_for_an_empty_cell(station):
    station.write("a.csv", "ts,host,cpu,mem\n2026-01-01,h1,1,2\n2026-01-02,h1,,3\nbroken\n2026-01-03,h1,x,4\n")
    points = station.read(station.files("a.csv", values=["cpu", "mem"], service="s", metric="host.{column}"))
    good = [(p["metric"], p["value"], p["position"]) for p in points if not p["problem"]]
    assert good == [("host.cpu", 1, 2), ("host.mem", 2, 2), ("host.mem", 3, 3), ("host.mem", 4, 5)]
    assert all(p["labels"] == {"host": "h1"} for p in points if not p["problem"])
    assert [(p["position"], p["raw"]) for p in points if p["problem"]] == [
        (4, "broken"),
        (5, "2026-01-03,h1,x,4"),
    ]


@pytest.mark.parametrize(
    ("text", "more", "expected"),
    [
        ("2026-07-01 12:00:00", {"timezone": "Europe/Berlin"}, "2026-07-01T10:00:00"),
        ("2026-07-01 12:00:00+05:30", {"timezone": "Europe/Berlin"}, "2026-07-01T06:30:00"),
        ("2026-07-01T12:00:00Z", {"timezone": "Europe/Berlin"}, "2026-07-01T12:00:00"),
        ("2026-07-01", {"timezone": "Europe/Berlin"}, "2026-06-30T22:00:00"),
        ("2026-07-01 12:00:00 -0700", {}, "2026-07-01T19:00:00"),
        ("1767225600", {}, "2026-01-01T00:00:00"),
        ("1767225600.5", {}, "2026-01-01T00:00:00.500000"),
        ("1767225600123", {}, "2026-01-01T00:00:00.123000"),
        ("1767225600123456", {}, "2026-01-01T00:00:00.123456"),
        ("1767225600123456789", {}, "2026-01-01T00:00:00.123456"),
        ("86400", {"timestamp_unit": "s"}, "1970-01-02T00:00:00"),
        ("86400000", {"timestamp_unit": "ms"}, "1970-01-02T00:00:00"),
        ("31/12/2025 23:00", {"timestamp_format": "%d/%m/%Y %H:%M"}, "2025-12-31T23:00:00"),
        (
            "31/12/2025 23:00",
            {"timestamp_format": "%d/%m/%Y %H:%M", "timezone": "America/New_York"},
            "2026-01-01T04:00:00",
        ),
    ],
)
def test_times_are_read_as_declared(station, text, more, expected):
    station.write("a.csv", f"ts,value,service,metric\n{text},1,s,m\n")
    [point] = station.read(station.files("a.csv", **more))
    assert point["ts"] == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_a_compact_date_is_not_taken_for_seconds(station):
    station.write("a.csv", "ts,value,service,metric\n20140101,1,s,m\n")
    [point] = station.read(station.files("a.csv"))
    assert "timestamp" in point["problem"]


def test_kind_unit_and_type_can_be_columns_and_unknown_ones_are_problems(station):
    station.write(
        "a.csv",
        "ts,value,service,metric,unit,kind,metric_type\n"
        "2026-01-01,1,s,m,bytes,Counter,latency\n2026-01-01,1,s,m,,,\n"
        "2026-01-01,1,s,m,,pile,\n2026-01-01,1,s,m,,,odd\n",
    )
    full, empty, kind, metric_type = station.read(station.files("a.csv"))
    assert (full["unit"], full["kind"], full["metric_type"]) == ("bytes", "counter", "latency")
    assert (empty["unit"], empty["kind"], empty["metric_type"]) == (None, "gauge", None)
    assert "kind" in kind["problem"] and "metric_type" in metric_type["problem"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("ts,value,value,service,metric\n", "come twice: value"),
        ("when,value,service,metric\n2026-01-01,1,s,m\n", "no column 'timestamp'"),
        ("2026-01-01 00:00:00,1.5\n2026-01-01 00:05:00,1\n", "no column 'timestamp'"),
        ("ts,value,metric\n2026-01-01,1,m\n", "service"),
        (b"\xff\xfet\0s\0", "UTF-16"),
        ("ts,value\n2026-01-01,1\n".encode("utf-16-le"), "UTF-16LE"),
        ("ts,value,service,metric\n2026-01-01,1,caf\u00e9,m\n".encode("latin-1"), "not UTF-8 at byte 40"),
        (bytes(range(256)) * 20, "binary"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0", "binary"),
        ("ts,value\r2026-01-01,1\r", "carriage return"),
    ],
)
def test_a_file_that_cannot_be_read_as_a_whole_is_refused_once_with_the_reason(station, content, reason):
    station.write("a.csv", content)
    station.later(120)
    assert reason in station.refused(station.files("a.csv")).reason
    assert station.read(station.files("a.csv")) == []
    assert station.refusals == []


def test_an_empty_file_counts_as_read(station):
    station.write("a.csv", "")
    assert station.read(station.files("a.csv")) == []
    assert (len(station.items), station.refusals) == (1, [])
    station.write("a.csv", HEADER + GOOD)
    assert len(station.read(station.files("a.csv"))) == 1


def test_a_compressed_file_is_read_and_a_cut_one_refused_until_it_is_whole(station):
    packed = gzip.compress((HEADER + GOOD * 1000).encode())
    station.write("a.csv.gz", packed[:-20])
    assert "incomplete compressed" in station.refused(station.files("*.gz")).reason
    station.write("a.csv.gz", packed)
    assert len(station.read(station.files("*.gz"))) == 1000
    station.write("a.csv.gz", gzip.compress((HEADER + GOOD).encode()))
    assert "changed since it was ingested" in station.refused(station.files("*.gz")).reason


def test_names_in_a_header_and_a_path_never_become_sql(station):
    name = "it's; \"drop\" {table}'--"
    station.write(f"{name}/a.csv", "ts,value,x'); DROP TABLE t; --\n2026-01-01,1,'; SELECT\n")
    [point] = station.read(station.files("**/*.csv", service="{parent}", metric="m'"))
    assert (point["service"], point["metric"]) == (name, "m'")
    assert point["labels"] == {"x'); DROP TABLE t; --": "'; SELECT"}
