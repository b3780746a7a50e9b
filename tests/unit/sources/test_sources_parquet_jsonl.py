"""Parquet and JSON lines."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from cogniforge_pipeline.sources import SOURCE, reader

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)


def parquet(station, name: str, select: str) -> None:
    station.con.execute(f"COPY ({select}) TO '{station.home / name}' (FORMAT parquet)")


@pytest.mark.parametrize(
    "ts",
    [
        "TIMESTAMPTZ '2026-01-01 00:00:00+00'",
        "TIMESTAMP '2026-01-01'",
        "TIMESTAMP_NS '2026-01-01'",
        "TIMESTAMP_MS '2026-01-01'",
        "DATE '2026-01-01'",
        "'2026-01-01T00:00:00Z'",
        "1767225600",
        "1767225600000::BIGINT",
        "1767225600.0::DOUBLE",
    ],
)
@pytest.mark.parametrize("value", ["3::DOUBLE", "3::INTEGER", "3::DECIMAL(9,2)", "'3'"])
def test_parquet_columns_of_any_sensible_type_are_read(station, ts, value):
    parquet(station, "a.parquet", f"SELECT {ts} AS ts, {value} AS value, 'pay' AS service, 'm' AS metric")
    [point] = station.read(station.files("*.parquet"))
    assert (point["ts"], point["value"], point["position"]) == (MIDNIGHT, 3.0, 1)
    assert point["problem"] is None


def test_local_times_in_parquet_follow_the_declared_zone(station):
    parquet(
        station,
        "a.parquet",
        "SELECT TIMESTAMP '2026-01-01 01:00' AS ts, 1 AS value, 's' AS service, 'm' AS metric",
    )
    [point] = station.read(station.files("*.parquet", timezone="Europe/Berlin"))
    assert point["ts"] == MIDNIGHT


def test_bad_parquet_rows_come_with_their_content(station):
    parquet(
        station,
        "a.parquet",
        "SELECT * FROM (VALUES (TIMESTAMPTZ '2026-01-01', 1.0, 's', 'm'), (NULL, 1.0, 's', 'm'), "
        "(TIMESTAMPTZ '2999-01-01', 1.0, 's', 'm'), (TIMESTAMPTZ '2026-01-01', 'nan'::DOUBLE, 's', 'm'), "
        "(TIMESTAMPTZ '2026-01-01', 1.0, NULL, 'm')) t(ts, value, service, metric)",
    )
    good, *bad = station.read(station.files("*.parquet"))
    assert good["problem"] is None and good["raw"] is None
    assert [p["position"] for p in bad] == [2, 3, 4, 5]
    assert all(p["problem"] and '"metric":"m"' in p["raw"] for p in bad)


def test_labels_in_parquet_may_be_a_map_a_struct_or_json(station):
    for name, labels in [("a", "MAP {'x': '1', 'y': NULL}"), ("b", "{'x': 1}"), ("c", """'{"x": "1"}'""")]:
        parquet(
            station,
            f"{name}.parquet",
            f"SELECT TIMESTAMPTZ '2026-01-01' AS ts, 1.0 AS value, 's' AS service, 'm' AS metric, {labels} AS labels",
        )
    assert [p["labels"] for p in station.read(station.files("*.parquet"))] == [{"x": "1"}] * 3


def test_half_a_parquet_file_is_refused_and_read_when_it_is_whole(station):
    parquet(station, "b.parquet", "SELECT now() AS ts, 1.0 AS value, 's' AS service, 'm' AS metric")
    content = (station.home / "b.parquet").read_bytes()
    (station.home / "b.parquet").unlink()
    station.write("a.parquet", content[: len(content) // 2])
    assert "not a complete Parquet file" in station.refused(station.files("*.parquet")).reason
    assert station.read(station.files("*.parquet")) == [] and station.refusals == []
    station.write("a.parquet", content)
    assert len(station.read(station.files("*.parquet"))) == 1
    parquet(station, "a.parquet", "SELECT now() AS ts, 2.0 AS value, 's' AS service, 'm' AS metric")
    assert "changed since it was ingested" in station.refused(station.files("*.parquet")).reason
    station.write("a.parquet", content[:-9])
    assert "not a complete" in station.refused(station.files("*.parquet")).reason
    station.write("a.parquet", content)
    assert "changed since it was ingested" not in [r.reason for r in station.refusals]


def test_rubbish_between_the_magic_bytes_is_refused(station):
    station.write("a.parquet", b"PAR1" + os.urandom(200) + b"PAR1")
    assert "not readable as Parquet" in station.refused(station.files("*.parquet")).reason


def test_a_path_with_glob_characters_is_one_file(station):
    (station.home / "d[1]").mkdir()
    parquet(station, "d[1]/a*.parquet", "SELECT now() AS ts, 1.0 AS value, 's' AS service, 'm' AS metric")
    assert len(station.read(station.files("**/*.parquet"))) == 1


def test_the_parquet_relation_stays_a_projection(station):
    parquet(station, "a.parquet", "SELECT now() AS ts, 1.0 AS value, 's' AS service, 'm' AS metric FROM range(10)")
    files = reader(SOURCE.validate_python(station.files("*.parquet")), home=station.home, base=station.home)
    [item] = files.plan({}, station.now())
    [(_, plan)] = station.con.execute(f"EXPLAIN {files.relation(station.con, item)}").fetchall()
    assert not {"WINDOW", "JOIN", "regexp", "md5"} & set(plan.split())
    assert "regexp" not in plan and "UNNEST" not in plan and "ORDER_BY" not in plan


def test_json_lines_take_objects_in_any_key_order_and_other_keys_become_labels(station):
    station.write(
        "a.jsonl",
        '{"metric": "m", "value": "2.5", "service": "s", "time": 1767225600000, "unit": "s", '
        '"kind": "delta", "region": "eu", "n": 1, "nothing": null, "deep": {"a": 1}, '
        '"labels": {"host": "h"}}\n'
        '{"ts": "2026-01-01T00:00:00Z", "value": 3, "service": "s", "metric": "m"}\n',
    )
    rich, poor = station.read(station.files("a.jsonl", labels={"env": "p"}))
    assert rich["labels"] == {"region": "eu", "n": "1", "deep": '{"a":1}', "host": "h", "env": "p"}
    assert (rich["ts"], rich["value"], rich["unit"], rich["kind"]) == (MIDNIGHT, 2.5, "s", "delta")
    assert (poor["ts"], poor["value"], poor["labels"]) == (MIDNIGHT, 3.0, {"env": "p"})


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"ts": "2026-01-01"', "not JSON"),
        ("[1, 2]", "not a JSON object"),
        ('"text"', "not a JSON object"),
        ('{"value": 1, "service": "s", "metric": "m"}', "timestamp"),
        ('{"ts": "2026-01-01", "value": {"a": 1}, "service": "s", "metric": "m"}', "not a number"),
        ('{"ts": "2026-01-01", "value": true, "service": "s", "metric": "m"}', "not a number"),
        ('{"ts": "2026-01-01", "value": 1, "metric": "m"}', "service is missing"),
        ('{"ts": "2026-01-01", "value": 1, "service": "s", "metric": "m", "labels": [1]}', "labels"),
        ('{"ts": "2026-01-01", "value": 1, "value": 2, "service": "s", "metric": "m"}', "twice"),
    ],
)
def test_a_bad_json_line_is_a_problem_of_its_own(station, line, problem):
    good = '{"ts": "2026-01-01", "value": 1, "service": "s", "metric": "m"}\n'
    station.write("a.jsonl", good + line + "\n" + good)
    first, bad, last = station.read(station.files("a.jsonl"))
    assert problem in bad["problem"] and (bad["raw"], bad["position"]) == (line, 2)
    assert first["problem"] is None and last["problem"] is None


def test_names_of_json_keys_are_declared_and_chosen_like_columns(station):
    station.write("a.ndjson", '{"@t": "2026-01-01", "a/b": 4, "~x": "r", "rest": 1}\n')
    [point] = station.read(
        station.files(
            "a.ndjson",
            columns={"timestamp": "@t", "value": "a/b"},
            service="s",
            metric="m",
            label_columns=["~x"],
        )
    )
    assert (point["ts"], point["value"], point["labels"]) == (MIDNIGHT, 4.0, {"~x": "r"})
