"""Whatever lies in a file, it is read, told as a problem or refused; it never breaks the reading."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab'\"\\{}", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "key", "value"]), inner),
    max_leaves=6,
)
FIELDS = (
    *(
        "resourceMetrics",
        "resource",
        "attributes",
        "scopeMetrics",
        "metrics",
        "gauge",
        "histogram",
        "dataPoints",
    ),
    *(
        "timeUnixNano",
        "asInt",
        "bucketCounts",
        "explicitBounds",
        "count",
        "scale",
        "positive",
        "name",
        "value",
    ),
)
ANY_FILE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def blank(line: str) -> bool:
    return all(unicodedata.category(character) == "Zs" for character in line.rstrip("\r"))


def read(station, declared, name, content):
    station.ledger.clear()
    station.write(name, content)
    station.later(61)
    return station.read(declared)


@ANY_FILE
@given(lines=st.lists(TEXT, max_size=6))
def test_any_text_in_a_csv_is_accounted_for_line_by_line(station, lines):
    content = "ts,value,service,metric\n" + "\n".join(lines)
    points = read(station, station.files("a.csv"), "a.csv", content)
    expected = {n for n, line in enumerate(content.split("\n"), 1) if n > 1 and not blank(line)}
    assert {p["position"] for p in points} == expected
    assert all(p["problem"] and p["raw"] is not None for p in points)


@ANY_FILE
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(station, content):
    for name in ("a.csv", "a.jsonl", "a.parquet", "a.csv.gz"):
        points = read(station, station.files(name), name, content)
        assert all(p["problem"] for p in points)


@ANY_FILE
@given(row=st.dictionaries(st.sampled_from(["ts", "value", "service", "metric", "labels", "x"]), JSON))
def test_any_json_object_is_one_point_or_one_problem(station, row):
    assert len(read(station, station.files("a.jsonl"), "a.jsonl", json.dumps(row))) == 1


@ANY_FILE
@given(
    where=st.sampled_from(FIELDS),
    what=JSON,
)
def test_any_value_anywhere_in_otlp_leaves_the_other_lines_alone(station, where, what):
    def change(node):
        if isinstance(node, dict):
            return {key: what if key == where else change(value) for key, value in node.items()}
        return [change(item) for item in node] if isinstance(node, list) else node

    attributes = [{"key": "service.name", "value": {"stringValue": "s"}}]
    point = {"timeUnixNano": "1767225600000000000", "asInt": "1", "count": "1", "attributes": []}
    point |= {
        "bucketCounts": ["1", "0"],
        "explicitBounds": [1],
        "scale": 1,
        "positive": {"bucketCounts": ["1"]},
    }
    metrics = [
        {"name": form, form: {"dataPoints": [point], "aggregationTemporality": 2}}
        for form in ("gauge", "histogram", "exponentialHistogram")
    ]
    good = {"resourceMetrics": [{"resource": {"attributes": attributes}, "scopeMetrics": [{"metrics": metrics}]}]}
    declared = {"name": "otlp", "type": "otlp", "path": "*.jsonl"}
    lines = [json.dumps(good), json.dumps(change(good)), json.dumps(good)]
    points = read(station, declared, "a.jsonl", "\n".join(lines) + "\n")
    whole = [[p["metric"] for p in points if p["position"] == n and not p["problem"]] for n in (1, 3)]
    assert whole[0] == whole[1] and len(whole[0]) == 8
