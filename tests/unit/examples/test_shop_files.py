"""The generated home: what its files hold, and what they declare."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from generate import Summary, generate
from shop_incidents import HERE
from shop_model import DAY, SERVICES

from cogniforge_pipeline.sources.model import SOURCE, FilesSource, OtlpSource


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    home = tmp_path_factory.mktemp("shop")
    return home, generate(home)


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def count(con: duckdb.DuckDBPyConnection, query: str, *paths: Path) -> int:
    row = con.execute(query, [str(path) for path in paths]).fetchone()
    assert row is not None
    return int(row[0])


def parquet(summary: Summary) -> str:
    names = [str(path) for path in summary.files if path.suffix == ".parquet"]
    return f"read_parquet({names!r}, filename = true)"


def contents(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_two_runs_with_the_same_seed_write_the_same_bytes(tmp_path: Path) -> None:
    generate(tmp_path / "a", days=2)
    generate(tmp_path / "b", days=2)
    generate(tmp_path / "c", days=2, seed=8)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


def test_parquet_holds_the_points_and_the_duplicates_the_summary_counts(
    shop: tuple[Path, Summary], con: duckdb.DuckDBPyConnection
) -> None:
    summary = shop[1]
    columns = "ts, service, metric, value, unit, kind, code, quantile, region"
    distinct = count(con, f"SELECT count(*) FROM (SELECT DISTINCT {columns} FROM {parquet(summary)})")
    total = count(con, f"SELECT count(*) FROM {parquet(summary)}")
    assert distinct == summary.points["parquet"]
    assert total - distinct == summary.bad_rows["duplicated"] > 0
    keys = "ts, service, metric, code, quantile"
    assert count(con, f"SELECT count(*) FROM (SELECT DISTINCT {keys} FROM {parquet(summary)})") == distinct
    assert count(con, f"SELECT count(*) FROM {parquet(summary)} WHERE NOT isfinite(value)") == 0


def test_each_parquet_file_holds_the_day_in_its_name(
    shop: tuple[Path, Summary], con: duckdb.DuckDBPyConnection
) -> None:
    strays = f"SELECT count(*) FROM {parquet(shop[1])} WHERE NOT contains(filename, 'dt=' || ts::DATE)"
    assert count(con, strays) == 0
    assert count(con, f"SELECT count(DISTINCT filename) FROM {parquet(shop[1])}") == 21


def test_csv_holds_the_good_and_the_bad_rows_the_summary_counts(
    shop: tuple[Path, Summary], con: duckdb.DuckDBPyConnection
) -> None:
    home, summary = shop
    con.execute(
        """CREATE VIEW rows AS SELECT try_cast(time AS TIMESTAMP) AS ts, try_cast(value AS DOUBLE) AS number
        FROM read_csv(?, all_varchar = true, union_by_name = true)""".replace("?", f"'{home}/telemetry/shipping/*.csv'")
    )
    assert count(con, "SELECT count(*) FROM rows WHERE ts IS NULL") == 0
    bad = {
        "unparsable value": "number IS NULL",
        "time before 1970": "ts < TIMESTAMP '1970-01-01'",
        "time in the far future": "ts > TIMESTAMP '2090-01-01'",
    }
    for reason, condition in bad.items():
        assert count(con, f"SELECT count(*) FROM rows WHERE {condition}") == summary.bad_rows[reason] > 0
    good = " AND ".join(f"NOT coalesce({condition}, false)" for condition in bad.values())
    assert count(con, f"SELECT count(*) FROM rows WHERE {good}") == summary.points["csv"]


def otlp_points(home: Path) -> dict[str, list[dict[str, Any]]]:
    """Data points of the OTLP file by metric, in order of time."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in (home / "telemetry" / "otel" / "recommendation.jsonl").read_text(encoding="utf-8").splitlines():
        for metric in json.loads(line)["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]:
            data = metric.get("gauge") or metric.get("sum") or metric["histogram"]
            found.setdefault(metric["name"], []).extend(data["dataPoints"])
    return found


def test_otlp_lines_hold_the_points_the_summary_counts(shop: tuple[Path, Summary]) -> None:
    home, summary = shop
    points = otlp_points(home)
    assert sum(map(len, points.values())) == summary.points["otlp"]
    assert set(points) == {"requests_total", "request_latency_ms", "cpu_usage", "memory_usage"}


def test_otlp_histograms_agree_with_themselves_and_fall_at_a_restart_only(shop: tuple[Path, Summary]) -> None:
    points = otlp_points(shop[0])["request_latency_ms"]
    assert len(points) == 3 * DAY
    assert all(len(p["bucketCounts"]) == len(p["explicitBounds"]) + 1 for p in points)
    assert all(sum(map(int, p["bucketCounts"])) == int(p["count"]) for p in points)
    falls = [b for a, b in pairwise(points) if int(b["count"]) < int(a["count"])]
    starts = [b for a, b in pairwise(points) if b["startTimeUnixNano"] != a["startTimeUnixNano"]]
    assert falls == starts
    assert [p["startTimeUnixNano"] for p in starts] == [p["timeUnixNano"] for p in starts]
    assert len(starts) == 1


def test_the_half_written_file_cannot_be_read(shop: tuple[Path, Summary], con: duckdb.DuckDBPyConnection) -> None:
    (path,) = shop[1].refused
    with pytest.raises(duckdb.Error):
        con.execute("SELECT count(*) FROM read_parquet(?)", [str(path)])


def test_counters_fall_at_deployments_and_nowhere_else(
    shop: tuple[Path, Summary], con: duckdb.DuckDBPyConnection
) -> None:
    summary = shop[1]
    falls = con.execute(f"""
        SELECT service, code, ts FROM (SELECT DISTINCT service, code, ts, value FROM {parquet(summary)}
            WHERE kind = 'counter')
        QUALIFY value < lag(value) OVER (PARTITION BY service, code ORDER BY ts)
    """).fetchall()
    deployed = {(d.service, int(summary.start.timestamp()) + d.minute * 60) for d in summary.deployments}
    assert {(service, int(ts.timestamp())) for service, _, ts in falls} <= deployed
    in_parquet = {pair for pair in deployed if pair[0] not in ("shipping", "recommendation")}
    assert {(service, int(ts.timestamp())) for service, code, ts in falls if code == "2xx"} == in_parquet


def test_the_home_is_small(shop: tuple[Path, Summary]) -> None:
    home, summary = shop
    assert sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) < 60e6
    assert 1_500_000 < sum(summary.points.values()) < 2_000_000


def test_every_telemetry_file_is_taken_by_exactly_one_declared_source(shop: tuple[Path, Summary]) -> None:
    home, summary = shop
    taken: list[Path] = []
    for declaration in sorted((home / "platform" / "sources").glob("*.yaml")):
        source = SOURCE.validate_python(yaml.safe_load(declaration.read_text(encoding="utf-8")))
        assert isinstance(source, FilesSource | OtlpSource)
        left_out = {path for pattern in source.exclude for path in home.glob(pattern)}
        taken += [path for pattern in source.path for path in home.glob(pattern) if path not in left_out]
    assert sorted(taken) == sorted([*summary.files, *summary.refused])


def test_the_topology_says_what_the_generator_does() -> None:
    declared = yaml.safe_load((HERE / "platform" / "topology.yaml").read_text(encoding="utf-8"))["services"]
    assert {s["name"]: (s["region"], set(s["depends_on"])) for s in declared} == {
        s.name: (s.region, set(s.calls)) for s in SERVICES
    }
    assert len(declared) == 12
    assert len({service["cloud"] for service in declared}) == 3


def test_a_users_own_platform_file_is_kept(tmp_path: Path) -> None:
    assert generate(tmp_path, days=1).kept == ()
    topology = tmp_path / "platform" / "topology.yaml"
    topology.write_text("services: []\n", encoding="utf-8")
    assert generate(tmp_path, days=1).kept == (topology,)
    assert topology.read_text(encoding="utf-8") == "services: []\n"


def test_the_script_makes_a_home_and_says_what_is_in_it(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, HERE / "generate.py", tmp_path / "home", "--days", "1"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "points as parquet" in run.stdout
    assert (tmp_path / "home" / "telemetry" / "shop" / "dt=2026-10-31.parquet").is_file()


@pytest.mark.parametrize(
    ("days", "end"), [(0, datetime(2026, 11, 1, tzinfo=UTC)), (2, datetime(2026, 11, 1, 6, tzinfo=UTC))]
)
def test_impossible_spans_are_refused(tmp_path: Path, days: int, end: datetime) -> None:
    with pytest.raises(ValueError, match="expected"):
        generate(tmp_path, days=days, end=end)
    assert list(tmp_path.iterdir()) == []
