"""OTLP/JSON as the Collector writes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NANOS = "1767225600000000000"
MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
DECLARED = {"name": "otlp", "type": "otlp", "path": "*.jsonl"}


def attributes(**values: Any) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def request(*metrics: dict[str, Any], service: str | None = "shop", **resource: Any) -> str:
    known = [{"key": "service.name", "value": {"stringValue": service}}] if service else []
    return (
        json.dumps(
            {
                "resourceMetrics": [
                    {
                        "resource": {"attributes": known + attributes(**resource)},
                        "scopeMetrics": [{"scope": {"name": "x"}, "metrics": list(metrics)}],
                        "schemaUrl": "https://example.org",
                    }
                ]
            }
        )
        + "\n"
    )


def gauge(**point: Any) -> dict[str, Any]:
    return {"name": "g", "unit": "By", "gauge": {"dataPoints": [{"timeUnixNano": NANOS, **point}]}}


def read(station, *lines: str) -> list[dict[str, Any]]:
    station.ledger.clear()
    station.write("a.jsonl", "".join(lines))
    return station.read(DECLARED)


def test_a_gauge_has_the_service_of_its_resource_and_labels_of_both_with_the_point_winning(station):
    line = request(
        gauge(asInt="7", attributes=attributes(zone={"stringValue": "point"}, n={"intValue": "5"})),
        zone={"stringValue": "resource"},
        host={"stringValue": "h1"},
    )
    [point] = read(station, line)
    assert (point["ts"], point["value"], point["service"], point["metric"]) == (MIDNIGHT, 7.0, "shop", "g")
    assert (point["unit"], point["kind"], point["position"]) == ("By", "gauge", 1)
    assert point["labels"] == {"zone": "point", "host": "h1", "n": "5"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"stringValue": "a b"}, "a b"),
        ({"intValue": "-3"}, "-3"),
        ({"intValue": 3}, "3"),
        ({"doubleValue": 1.5}, "1.5"),
        ({"boolValue": True}, "true"),
        ({"bytesValue": "AAE="}, "AAE="),
        (
            {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "2"}, {"boolValue": False}]}},
            '["a",2,false]',
        ),
        ({"kvlistValue": {"values": [{"key": "k", "value": {"doubleValue": 0.5}}]}}, '{"k":0.5}'),
    ],
)
def test_attribute_values_of_every_kind_become_text(station, value, text):
    [point] = read(station, request(gauge(asDouble=1), x=value))
    assert point["labels"] == {"x": text}


@pytest.mark.parametrize("time", [NANOS, int(NANOS)])
@pytest.mark.parametrize("number", [{"asInt": "7"}, {"asInt": 7}, {"asDouble": 7.0}])
def test_numbers_may_be_texts_or_numbers(station, time, number):
    [point] = read(station, request(gauge(**number) | {"gauge": {"dataPoints": [{"timeUnixNano": time, **number}]}}))
    assert (point["ts"], point["value"]) == (MIDNIGHT, 7.0)


@pytest.mark.parametrize(
    ("temporality", "monotonic", "kind"),
    [
        (2, True, "counter"),
        ("AGGREGATION_TEMPORALITY_CUMULATIVE", True, "counter"),
        (1, True, "delta"),
        ("AGGREGATION_TEMPORALITY_DELTA", False, "delta"),
        (2, False, "gauge"),
    ],
)
def test_a_sum_is_a_counter_a_delta_or_a_gauge(station, temporality, monotonic, kind):
    data = {"dataPoints": [{"timeUnixNano": NANOS, "asDouble": 3}], "aggregationTemporality": temporality}
    [point] = read(station, request({"name": "s", "sum": data | {"isMonotonic": monotonic}}))
    assert (point["kind"], point["value"]) == (kind, 3.0)


def histogram(temporality: Any = 2, **point: Any) -> dict[str, Any]:
    data = {"aggregationTemporality": temporality, "dataPoints": [{"timeUnixNano": NANOS, **point}]}
    return {"name": "h", "unit": "s", "histogram": data}


def buckets(points: list[dict[str, Any]]) -> list[tuple[str, float]]:
    return [(p["labels"]["le"], p["value"]) for p in points if p["metric"].endswith("_bucket")]


def others(points: list[dict[str, Any]]) -> dict[str, tuple[float, str, str | None]]:
    return {p["metric"]: (p["value"], p["kind"], p["unit"]) for p in points if not p["metric"].endswith("_bucket")}


def test_a_histogram_becomes_cumulative_buckets_sum_count_and_extremes(station):
    points = read(
        station,
        request(histogram(count="6", sum=12.5, min=0.1, max=9, bucketCounts=["1", "2", 3], explicitBounds=[0.5, 5])),
    )
    assert buckets(points) == [("0.5", 1), ("5.0", 3), ("+Inf", 6)]
    assert others(points) == {
        "h_count": (6, "counter", "1"),
        "h_sum": (12.5, "counter", "s"),
        "h_min": (0.1, "gauge", "s"),
        "h_max": (9, "gauge", "s"),
    }


def test_a_delta_histogram_without_buckets_and_sum_has_its_count(station):
    points = read(station, request(histogram(1, count="6")))
    assert buckets(points) == [("+Inf", 6)]
    assert others(points) == {"h_count": (6, "delta", "1")}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(counts=st.lists(st.integers(0, 10**6), min_size=1, max_size=12))
def test_buckets_are_the_running_total_and_end_at_the_count(station, counts):
    bounds = [0.25 * 2**i for i in range(len(counts) - 1)]
    points = read(
        station,
        request(histogram(count=str(sum(counts)), bucketCounts=list(map(str, counts)), explicitBounds=bounds)),
    )
    found = buckets(points)
    assert [value for _, value in found] == list(accumulate(counts))
    assert [float(le) for le, _ in found] == [*bounds, float("inf")]


def exponential(**point: Any) -> dict[str, Any]:
    data = {"aggregationTemporality": 2, "dataPoints": [{"timeUnixNano": NANOS, **point}]}
    return {"name": "e", "exponentialHistogram": data}


def test_an_exponential_histogram_has_bounds_from_its_scale(station):
    points = read(
        station,
        request(
            exponential(
                count="10",
                scale=0,
                zeroCount="1",
                positive={"offset": 1, "bucketCounts": ["2", "3"]},
                negative={"offset": 0, "bucketCounts": ["1", "3"]},
            )
        ),
    )
    assert buckets(points) == [("-2.0", 3), ("-1.0", 4), ("0.0", 5), ("4.0", 7), ("8.0", 10), ("+Inf", 10)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scale=st.integers(-3, 8),
    offset=st.integers(-20, 20),
    positive=st.lists(st.integers(0, 99), max_size=8),
    negative=st.lists(st.integers(0, 99), max_size=8),
    zero=st.integers(0, 9),
)
def test_exponential_buckets_rise_end_at_the_count_and_bound_like_the_data_model(
    station, scale, offset, positive, negative, zero
):
    total = sum(positive) + sum(negative) + zero
    points = read(
        station,
        request(
            exponential(
                count=str(total),
                scale=scale,
                zeroCount=str(zero),
                positive={"offset": offset, "bucketCounts": list(map(str, positive))},
                negative={"offset": offset, "bucketCounts": list(map(str, negative))},
            )
        ),
    )
    bounds = [float(le) for le, _ in buckets(points)]
    values = [value for _, value in buckets(points)]
    assert bounds == sorted(set(bounds)) and values == sorted(values) and values[-1] == total
    base = 2 ** (2**-scale)
    above = [bound for bound in bounds if 0 < bound < float("inf")]
    assert above == pytest.approx([base ** (offset + i + 1) for i in range(len(positive))])
    assert [-b for b in bounds if b < 0][::-1] == pytest.approx([base ** (offset + i) for i in range(len(negative))])


def test_a_summary_has_its_quantiles(station):
    data = {
        "timeUnixNano": NANOS,
        "count": "4",
        "sum": 2,
        "quantileValues": [{"quantile": 0.5, "value": 0.4}],
    }
    points = read(station, request({"name": "q", "summary": {"dataPoints": [data]}}))
    assert [(p["metric"], p["labels"], p["value"], p["kind"]) for p in points] == [
        ("q", {"quantile": "0.5"}, 0.4, "gauge"),
        ("q_count", {}, 4.0, "counter"),
        ("q_sum", {}, 2.0, "counter"),
    ]


def test_a_point_flagged_as_not_recorded_is_a_gap(station):
    assert read(station, request(gauge(flags=1), gauge(flags="1", asInt="0"))) == []
    assert len(read(station, request(gauge(flags=0, asInt="0")))) == 1


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"resourceMetrics": [{"reso\n', "not JSON"),
        ('{"resourceSpans": []}\n', "no list resourceMetrics"),
        ('{"resourceMetrics": {"a": 1}}\n', "no list resourceMetrics"),
        ("[]\n", "no list resourceMetrics"),
        (request(gauge(asInt="1"), service=None), "service is missing"),
        (request({"gauge": {"dataPoints": [{"timeUnixNano": NANOS, "asInt": 1}]}}), "metric is missing"),
        (request({"name": "n"}), "a metric without gauge"),
        (request(gauge(asInt="1", timeUnixNano="0")), "timestamp is missing"),
        (request(gauge(asInt="1", timeUnixNano="9" * 19)), "in the future"),
        (request(gauge(asDouble="NaN")), "not finite"),
        (request(gauge()), "not a number"),
        (request(gauge(asInt=1, attributes=attributes(a={"intValue": 1}) * 2)), "attribute comes twice"),
        (request({"name": "s", "sum": {"dataPoints": [{"timeUnixNano": NANOS, "asInt": 1}]}}), "temporality"),
        (
            request(histogram(count="3", bucketCounts=["1", "2"], explicitBounds=[1, 2])),
            "do not fit the bounds",
        ),
        (request(histogram(count="3", bucketCounts=["x", "2"], explicitBounds=[1])), "count is not a number"),
    ],
)
def test_what_is_wrong_is_a_problem_with_its_line_and_the_rest_is_read(station, line, problem):
    good = request(gauge(asInt="1"))
    points = read(station, good, line, good)
    assert [p["position"] for p in points if not p["problem"]] == [1, 3]
    [bad] = [p for p in points if p["problem"]]
    assert problem in bad["problem"]
    assert bad["position"] == 2 and bad["raw"]


def test_an_unnamed_service_can_be_declared(station):
    station.write("a.jsonl", request(gauge(asInt="1"), service=None))
    [point] = station.read(DECLARED | {"service": "edge", "labels": {"env": "p"}})
    assert (point["service"], point["labels"]) == ("edge", {"env": "p"})


def test_requests_appended_to_the_file_are_followed(station):
    path = station.write("a.jsonl", request(gauge(asInt="1")) + request(gauge(asInt="2"))[:50])
    assert [p["value"] for p in station.read(DECLARED)] == [1]
    with path.open("a") as file:
        file.write(request(gauge(asInt="2"))[50:])
    assert [(p["value"], p["position"]) for p in station.read(DECLARED)] == [(2, 2)]
