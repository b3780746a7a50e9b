"""`cogniforge sql` shows the lake's tables in several forms and does nothing else."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

Cli = Callable[..., Any]
HEALTH = "SELECT service, status FROM aiops.service_health ORDER BY service"


def tree(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_table_is_shown(cli: Cli, finished_home: Path) -> None:
    answer = cli("sql", "--home", finished_home, HEALTH)
    assert answer.code == 0
    lines = [line for line in answer.out.splitlines() if "│" in line]
    assert [cell.strip() for cell in lines[0].split("│")[1:3]] == ["api", "healthy"]
    assert [cell.strip() for cell in lines[1].split("│")[1:3]] == ["web", "critical"]


def test_null_and_markup_in_values_are_shown_as_they_are(cli: Cli, finished_home: Path) -> None:
    answer = cli("sql", "--home", finished_home, "SELECT NULL AS a, '[red]x[/]' AS b, 0.1::DOUBLE + 0.2::DOUBLE AS c")
    assert "NULL" in answer.out and "[red]x[/]" in answer.out and "0.3 " in answer.out


def test_a_long_table_says_that_it_was_cut(cli: Cli, finished_home: Path) -> None:
    answer = cli("sql", "--home", finished_home, "FROM range(500)")
    assert answer.out.splitlines()[-1] == "the first 200 rows; --format csv gives all"
    assert "│ 199   │" in answer.out and "│ 200   │" not in answer.out


def test_csv_can_be_read_by_others(cli: Cli, finished_home: Path) -> None:
    answer = cli("sql", "--home", finished_home, "-f", "csv", f"SELECT *, 'a,\"b' AS odd FROM ({HEALTH})")
    assert list(csv.reader(io.StringIO(answer.out))) == [
        ["service", "status", "odd"],
        ["api", "healthy", 'a,"b'],
        ["web", "critical", 'a,"b'],
    ]


def test_csv_writes_lists_and_maps_as_text(cli: Cli, finished_home: Path) -> None:
    answer = cli("sql", "--home", finished_home, "-f", "csv", "SELECT [1, NULL] AS l, {a: 1} AS s, MAP {'k': 'v'} AS m")
    [names, values] = csv.reader(io.StringIO(answer.out))
    assert names == ["l", "s", "m"]
    assert values[0] == "[1, None]" and "'k': 'v'" in values[2]


def test_json_can_be_read_by_others(cli: Cli, finished_home: Path) -> None:
    answer = cli("sql", "--home", finished_home, "-f", "json", HEALTH)
    assert json.loads(answer.out) == [
        {"service": "api", "status": "healthy"},
        {"service": "web", "status": "critical"},
    ]


def test_parquet_needs_a_file_and_is_written_to_it(cli: Cli, finished_home: Path, tmp_path: Path) -> None:
    refused = cli("sql", "--home", finished_home, "-f", "parquet", HEALTH)
    assert refused.code == 1 and "add --output" in refused.err
    target = tmp_path / "rows.parquet"
    assert cli("sql", "--home", finished_home, "-f", "parquet", "-o", target, HEALTH).code == 0
    with duckdb.connect() as con:
        assert con.execute(f"FROM '{target}'").fetchall() == [("api", "healthy"), ("web", "critical")]


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_file_that_cannot_be_written_is_an_error(cli: Cli, finished_home: Path, tmp_path: Path, form: str) -> None:
    answer = cli("sql", "--home", finished_home, "-f", form, "-o", tmp_path / "no" / "rows", HEALTH)
    assert answer.code == 1 and "cannot be written" in answer.err


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_type_that_a_form_does_not_know_is_an_error_with_a_way_out(cli: Cli, finished_home: Path, form: str) -> None:
    answer = cli("sql", "--home", finished_home, "-f", form, "SELECT INTERVAL 1 DAY AS i")
    assert answer.code == 1 and "cast it to VARCHAR" in answer.err


def test_an_unknown_form_is_refused(cli: Cli, finished_home: Path) -> None:
    answer = cli("sql", "--home", finished_home, "-f", "xml", HEALTH)
    assert answer.code == 1 and "expected one of table, csv, json, parquet" in answer.err


def test_the_past_is_asked_by_snapshot_or_time(cli: Cli, finished_home: Path) -> None:
    def count(*at: object) -> int:
        answer = cli("sql", "--home", finished_home, "-f", "csv", *at, "SELECT count(*) FROM aiops.telemetry")
        assert answer.code == 0, answer.err
        return int(answer.out.split()[1])

    snapshots = "SELECT max(snapshot_id), max(snapshot_time) FROM ducklake_snapshots('lake')"
    [newest] = json.loads(cli("sql", "--home", finished_home, "-f", "json", snapshots).out)
    number, moment = newest.values()
    assert count() == count("--at", number) == count("--at", "2099-01-01T00:00:00Z") == 1728
    assert count("--at", moment) == 1728
    made = "SELECT min(snapshot) FROM (SELECT snapshot_id AS snapshot, changes FROM ducklake_snapshots('lake')) "
    made += "WHERE changes::VARCHAR LIKE '%inserted%'"
    [[first]] = [list(row.values()) for row in json.loads(cli("sql", "--home", finished_home, "-f", "json", made).out)]
    assert count("--at", first - 1) == 0


@pytest.mark.parametrize("at", ["999999", "1999-01-01", "1999-01-01T00:00:00+02:00"])
def test_a_snapshot_that_is_not_there_is_an_error(cli: Cli, finished_home: Path, at: str) -> None:
    answer = cli("sql", "--home", finished_home, "--at", at, "SELECT 1")
    assert answer.code == 1 and "no such snapshot" in answer.err and "ducklake_snapshots" in answer.err


def test_what_is_neither_snapshot_nor_time_is_refused(cli: Cli, finished_home: Path) -> None:
    answer = cli("sql", "--home", finished_home, "--at", "yesterday", "SELECT 1")
    assert answer.code == 1 and "expected a snapshot's id or a time" in answer.err


WRITING = [
    "COPY (SELECT 1) TO '{home}/lake/data/evil.csv'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{home}/lake/data/evil.csv'",
    "EXPLAIN (ANALYZE) COPY (SELECT 1) TO '{home}/lake/data/evil.csv'",
    "/* x */ EXPLAIN /* y */ ANALYZE COPY (SELECT 1) TO '{home}/lake/data/evil.csv'",
    "INSERT INTO aiops.series SELECT * FROM aiops.series",
    "EXPLAIN ANALYZE DELETE FROM aiops.series",
    "DELETE FROM aiops.series",
    "DROP TABLE aiops.series",
    "CREATE TABLE memory.main.x AS SELECT 1",
    "CREATE TEMP TABLE x AS SELECT 1",
    "ATTACH '{home}/evil.duckdb'",
    "SELECT 1; DROP TABLE aiops.series",
    "SELECT 1; SELECT 2",
    "SET memory_limit = '1GB'",
    "PRAGMA enable_profiling",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CALL ducklake_expire_snapshots('lake', older_than => now())",
    "FROM ducklake_expire_snapshots('lake', older_than => now())",
    "FROM ducklake_merge_adjacent_files('lake')",
    "FROM \"DuckLake_Merge_Adjacent_Files\" /* ( */ ('lake')",
    "FROM lake.merge_adjacent_files()",
    "SELECT (SELECT count(*) FROM ducklake_cleanup_old_files('lake', cleanup_all => true))",
    "SUMMARIZE FROM ducklake_delete_orphaned_files('lake', cleanup_all => true)",
    "FROM query('FROM ducklake_flush_inlined_data(''lake'')')",
    "FROM checkpoint('lake')",
    "FROM enable_logging(storage_path => '{home}/lake/data')",
    "",
    "  -- nothing\n",
]
READING = [
    "FROM read_csv('/etc/passwd')",
    "FROM read_text('/etc/passwd')",
    "FROM read_blob('{home}/state/events.sqlite')",
    "SELECT 'é', * FROM read_text('/etc/passwd')",
    "FROM '/etc/passwd'",
    "FROM glob('/etc/*')",
    "FROM sniff_csv('/etc/passwd')",
    "FROM read_text('{home}/lake/data/../../platform/README.md')",
    "FROM read_parquet('http://127.0.0.1:9/x.parquet')",
    "FROM sqlite_scan('{home}/state/events.sqlite', 'events')",
    "FROM duckdb_secrets()",
    "FROM which_secret('s3://x', 's3')",
]


@pytest.mark.parametrize("query", [*WRITING, *READING])
def test_nothing_is_written_and_nothing_outside_the_lake_is_read(cli: Cli, finished_home: Path, query: str) -> None:
    before = tree(finished_home / "lake" / "data")
    answer = cli("sql", "--home", finished_home, query.format(home=finished_home))
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("error: ")
    assert tree(finished_home / "lake" / "data") == before
    assert not (finished_home / "evil.duckdb").exists()


@pytest.mark.parametrize(
    "query",
    [
        "SHOW ALL TABLES",
        "DESCRIBE aiops.series",
        "SUMMARIZE aiops.service_health",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT count(*) FROM aiops.telemetry",
        "WITH a AS (SELECT 1 AS x) SELECT * FROM a;",
        "FROM aiops.series LIMIT 1 -- the end",
        "VALUES (1)",
        "SELECT 'read_csv(', unnest([1, 2])",
        "FROM ducklake_table_info('lake')",
    ],
)
def test_reading_statements_of_all_kinds_work(cli: Cli, finished_home: Path, query: str) -> None:
    answer = cli("sql", "--home", finished_home, query)
    assert answer.code == 0, answer.err
    assert "│" in answer.out


def test_a_mistake_in_the_query_is_told_in_duckdbs_words(cli: Cli, finished_home: Path) -> None:
    answer = cli("sql", "--home", finished_home, "SELECT nope FROM aiops.telemetry")
    assert answer.code == 1 and '"nope" not found' in answer.err and "SHOW ALL TABLES" in answer.err
    failing = cli("sql", "--home", finished_home, "SELECT error('late') FROM range(3000) WHERE range = 2999")
    assert failing.code == 1 and "late" in failing.err


def test_a_home_without_a_lake_and_no_home_at_all_are_told_apart(cli: Cli, tmp_path: Path) -> None:
    assert cli("init", tmp_path / "new").code == 0
    no_lake = cli("sql", "--home", tmp_path / "new", "SELECT 1")
    assert no_lake.code == 1 and "there is no lake" in no_lake.err and "cogniforge run" in no_lake.err
    no_home = cli("sql", "--home", tmp_path / "none", "SELECT 1")
    assert no_home.code == 1 and "there is no home" in no_home.err and "cogniforge init" in no_home.err
    assert not (tmp_path / "none").exists()
    assert not (tmp_path / "new" / "lake").exists()
