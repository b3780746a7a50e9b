"""The command `cogniforge root-cause`, and the files it reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cogniforge_pipeline.aiops.root_cause import read_graph, read_metrics
from cogniforge_pipeline.cli import app
from cogniforge_pipeline.errors import CogniforgeError

EDGES = {("web", "cart"), ("web", "db"), ("cart", "db")}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        ",web,cart,db\nweb,0,1.0,1.0\ncart,0,0,1\ndb,0.0,,0\n",
        "caller,callee\nweb,cart\nweb,db\ncart,db\n",
        "to,weight,from\ncart,1,web\ndb,1,web\ndb,1,cart\n",
        "web,cart\nweb,db\ncart,db\n",
        '{"web": ["cart", "db"], "cart": ["db"], "db": []}',
        '{"web": {"cart": 1, "db": 1}, "cart": {"db": 1, "web": 0}, "db": {}}',
        '[["web", "cart"], ["web", "db"], ["cart", "db"]]',
        '{"nodes": [{"id": "web"}], "links": [{"source": "web", "target": "cart"}, {"source": "web", "target": "db"},'
        ' {"source": "cart", "target": "db"}]}',
    ],
)
def test_a_graph_is_read_in_each_of_its_forms(tmp_path: Path, text: str) -> None:
    graph = read_graph(write(tmp_path / "graph", text))
    assert graph.edges == EDGES and graph.nodes == {"web", "cart", "db"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b,c\n1,2,3\n", "no pair"),
        (",a,b\na,0,x\nb,0,0\n", "'x' in row 'a' is no number"),
        ('{"a": 3}', "what 'a' calls is no list"),
        ('[["a"]]', "no pair"),
        ("[", "Expecting value"),
    ],
)
def test_a_graph_that_is_none_is_refused_with_the_forms(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CogniforgeError, match=message):
        read_graph(write(tmp_path / "graph", text))


def test_node_names_may_hold_colons_and_rows_are_sorted_by_time(tmp_path: Path) -> None:
    found = read_metrics(
        write(
            tmp_path / "m.csv",
            "ts,db::sql:latency:p99,web:latency\n2024-01-01T00:01:00Z,2,\n2024-01-01T00:00:00Z,1,5\n",
        )
    )
    assert [tuple(column) for column in found.columns] == [("db::sql", "latency", "p99"), ("web", "latency", "")]
    assert found.values[:, 0].tolist() == [1, 2] and np.isnan(found.values[1, 1])
    assert found.times is not None and found.times.tolist() == [1704067200, 1704067260]


@pytest.mark.parametrize(
    "time", ["2024-01-01 00:00:00", "2024-01-01T00:00:00", "2024-01-01T01:00:00+01:00", "1704067200.0"]
)
def test_times_are_utc_in_each_of_their_forms(tmp_path: Path, time: str) -> None:
    times = read_metrics(write(tmp_path / "m.csv", f"time,web:latency:p50\n{time},1\n")).times
    assert times is not None and times.tolist() == [1704067200]


@pytest.mark.parametrize("names", [("service", "metric", "statistic", "unix_timestamp,,\n"), ("", "", "", "")])
def test_three_header_rows_are_read_as_one_name(tmp_path: Path, names: tuple[str, ...]) -> None:
    node, metric, stat, time = names
    text = f"{node},web,db::sql\n{metric},latency,requests\n{stat},p99,Sum\n{time}100,0.5,7\n400,,8\n"
    found = read_metrics(write(tmp_path / "m.csv", text))
    assert [str(column) for column in found.columns] == ["web:latency:p99", "db::sql:requests:Sum"]
    assert found.values.shape == (2, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("ts,latency\n1,2\n", "'latency' is no metric's column"),
        ("ts,web:latency:p50\n", "there are no rows"),
        ("ts,web:latency:p50\n1,fast\n", "'fast' in column web:latency:p50 is no number"),
        ("ts,web:latency:p50,web:latency:p50\n1,2,3\n", "is there twice"),
        ("ts,web:latency:p50\nnoon,2\n", "no time"),
        ("ts,web:latency:p50\n1,2,3\n", "cannot read|but rows have 3"),
    ],
)
def test_a_file_that_is_no_metrics_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CogniforgeError, match=message):
        read_metrics(write(tmp_path / "m.csv", text))


@pytest.fixture
def incident(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(1)
    for name, points, extra in (("normal", 100, 0.0), ("abnormal", 10, 1.0)):
        db = rng.gamma(50, 0.002, points)
        db[points // 2 :] += extra
        rows = [f"{60 * i},{0.1 + value},{value}" for i, value in enumerate(db)]
        write(tmp_path / f"{name}.csv", "\n".join(["ts,web:latency:mean,db:latency:mean", *rows]))
    write(tmp_path / "graph.csv", "caller,callee\nweb,db\n")
    return [
        "root-cause",
        *("--normal", str(tmp_path / "normal.csv"), "--abnormal", str(tmp_path / "abnormal.csv")),
        *("--graph", str(tmp_path / "graph.csv"), "--target", "web:latency"),
    ]


def test_the_command_prints_ranked_causes_as_json(incident: list[str]) -> None:
    result = CliRunner().invoke(app, [*incident, "--json"])
    assert result.exit_code == 0
    found = json.loads(result.output)
    assert found["target"] == "web:latency:mean" and found["graph"] == "declared"
    assert [(cause["rank"], cause["node"]) for cause in found["causes"]] == [(1, "db"), (2, "web")]
    assert found["causes"][0]["path"] == ["web", "db"] and found["causes"][0]["share_explained"] > 0.9


def test_the_command_prints_a_table_with_the_reason(incident: list[str]) -> None:
    result = CliRunner().invoke(app, incident)
    assert result.exit_code == 0
    assert "db: latency mean is at" in result.output and "path web → db" in result.output
