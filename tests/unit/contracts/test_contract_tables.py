"""The platform's own contracts load, and their statements run on a real DuckLake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cogniforge_pipeline.contracts import (
    Contract,
    alter_table,
    audit,
    bad_rows,
    create_table,
    good_rows,
    load_contracts,
    pandera_schema,
    quarantine_table,
)
from cogniforge_pipeline.contracts.sqlcheck import canonical_type
from cogniforge_pipeline.sqltext import qualified

FOLDER = Path(__file__).parents[3] / "contracts"
CONTRACTS = load_contracts(FOLDER)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckLake with every table of the platform."""
    folder = tmp_path_factory.mktemp("lake")
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        for name in ("ducklake", "sqlite_scanner"):
            files = distribution(f"duckdb-extension-{name.replace('_', '-')}").files or []
            (extension,) = [file for file in files if file.name.endswith(".duckdb_extension")]
            con.execute(f"LOAD '{extension.locate()}'")
        con.execute(f"ATTACH 'ducklake:sqlite:{folder}/catalog.sqlite' AS lake (DATA_PATH '{folder}/data')")
        con.execute("USE lake")
        con.execute("BEGIN")
        for contract in CONTRACTS.values():
            for statement in create_table(contract) + quarantine_table(contract):
                con.execute(statement)
        con.execute("COMMIT")
        yield con


def test_every_file_of_the_folder_is_a_contract() -> None:
    assert len(CONTRACTS) == len(list(FOLDER.rglob("*.yaml"))) > 0


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_table_and_column_is_described_and_owned(name: str) -> None:
    contract = CONTRACTS[name]
    assert contract.owner
    assert contract.description
    assert [c.name for c in contract.columns if len(c.description) < 10] == []


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_table_is_as_its_contract_says(lake: duckdb.DuckDBPyConnection, name: str) -> None:
    contract = CONTRACTS[name]
    found = lake.execute(f"DESCRIBE {qualified(name)}").fetchall()
    assert [(row[0], row[1]) for row in found] == [(c.name, c.type) for c in contract.columns]
    comments = lake.execute(
        "SELECT column_name, comment FROM duckdb_columns() WHERE database_name = 'lake' AND schema_name = ? "
        "AND table_name = ? ORDER BY column_index",
        contract.key,
    ).fetchall()
    assert comments == [(c.name, c.description) for c in contract.columns]


@pytest.mark.parametrize("name", CONTRACTS)
def test_an_empty_table_passes_and_can_be_split(lake: duckdb.DuckDBPyConnection, name: str) -> None:
    contract = CONTRACTS[name]
    seen = audit(lake, contract, qualified(name))
    assert (seen.rows, seen.bad_rows, seen.blocking) == (0, 0, ())
    assert lake.execute(good_rows(contract, qualified(name))).fetchall() == []
    refused = bad_rows(contract, qualified(name), source="test", run_id="r")
    lake.execute(f"INSERT INTO quarantine.{contract.schema}__{contract.table} BY NAME {refused}")
    assert list(pandera_schema(contract).columns) == [column.name for column in contract.columns]


def test_a_refused_row_reaches_the_quarantine_of_its_table(lake: duckdb.DuckDBPyConnection) -> None:
    contract = CONTRACTS["aiops.anomaly_scores"]
    lake.execute(
        "CREATE OR REPLACE TEMP TABLE staged AS SELECT 404::BIGINT AS series_id, now() AS ts, "
        "1::DOUBLE AS value, 1::DOUBLE AS expected, 0::DOUBLE AS lower, 2::DOUBLE AS upper, "
        "-1::DOUBLE AS score, FALSE AS is_anomaly, NULL::VARCHAR AS kind"
    )
    seen = audit(lake, contract, "temp.staged")
    refused = bad_rows(contract, "temp.staged", source="a.csv", run_id="r1", broken=seen.broken)
    lake.execute(f"INSERT INTO quarantine.aiops__anomaly_scores BY NAME {refused}")
    found = lake.execute(
        "SELECT rules, row->>'series_id', source FROM quarantine.aiops__anomaly_scores WHERE run_id = 'r1'"
    ).fetchall()
    assert found == [(["series_id_in_aiops_series", "score_min"], "404", "a.csv")]


def test_a_partitioned_table_writes_one_folder_for_each_day(lake: duckdb.DuckDBPyConnection) -> None:
    lake.execute("CALL lake.set_option('data_inlining_row_limit', 0)")
    lake.execute(
        "INSERT INTO aiops.anomaly_scores "
        "SELECT 1, TIMESTAMPTZ '2024-01-01 23:00:00+00' + i * INTERVAL 1 HOUR, 1, 1, 0, 2, 0, false, NULL "
        "FROM range(3) t(i)"
    )
    files = lake.execute("SELECT data_file FROM ducklake_list_files('lake', 'anomaly_scores', schema => 'aiops')")
    days = sorted(Path(row[0]).parent.name for row in files.fetchall())
    assert days == ["day=1", "day=2"]


def test_statements_can_be_run_again(lake: duckdb.DuckDBPyConnection) -> None:
    lake.execute("BEGIN")
    for statement in create_table(CONTRACTS["aiops.series"]):
        lake.execute(statement)
    lake.execute("COMMIT")


def test_a_column_that_is_no_date_partitions_by_its_value(make_contract: Any) -> None:
    contract = make_contract("- {name: region, physicalType: VARCHAR, partitioned: true}")
    assert 'ALTER TABLE "lake"."shop"."orders" SET PARTITIONED BY ("region")' in create_table(contract)


def _changing(*columns: tuple[str, str]) -> Contract:
    contract = CONTRACTS["aiops.series"]
    made = tuple(replace(contract.columns[0], name=name, type=canonical_type(kind)) for name, kind in columns)
    return replace(contract, columns=made, table=f"changing_{len(columns)}", partition_column=None)


def _shape(lake: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    return {name: kind for name, kind, *_ in lake.execute(f"DESCRIBE {table}").fetchall()}


@pytest.mark.parametrize(
    ("old", "new", "value", "kept"),
    [
        ("INTEGER", "BIGINT", "7", 7),
        ("FLOAT", "DOUBLE", "0.5", 0.5),
        ("INTEGER", "DOUBLE", "7", 7.0),
        ("DECIMAL(10,2)", "DECIMAL(12,2)", "1.25", Decimal("1.25")),
        ("UTINYINT", "INTEGER", "200", 200),
        ("INTEGER", "VARCHAR", "7", "7"),
        ("VARCHAR", "INTEGER", "'seven'", None),
        ("STRUCT(a INTEGER)", "STRUCT(a BIGINT, b VARCHAR)", "{'a': 1}", {"a": 1, "b": None}),
        ("INTEGER[]", "BIGINT[]", "[1, 2]", [1, 2]),
    ],
)
def test_a_changed_contract_alters_the_table_and_keeps_its_rows_and_older_snapshots(
    lake: duckdb.DuckDBPyConnection, old: str, new: str, value: str, kept: Any
) -> None:
    before = _changing(("key", "INTEGER"), ("next_0", old), ("gone", "VARCHAR"))
    target = "aiops.changing_3"
    lake.execute(f"DROP TABLE IF EXISTS {target}")
    for statement in create_table(before):
        lake.execute(statement)
    lake.execute(f"INSERT INTO {target} VALUES (1, {value}, 'x')")
    [[snapshot]] = lake.execute("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')").fetchall()
    after = replace(_changing(("key", "INTEGER"), ("next_0", new), ("added", "DATE")), table=before.table)
    lake.execute("BEGIN")
    for statement in alter_table(after, _shape(lake, target)):
        lake.execute(statement)
    lake.execute("COMMIT")
    assert _shape(lake, target) == {column.name: column.type for column in after.columns}
    assert alter_table(after, _shape(lake, target)) == []
    assert lake.execute(f"SELECT key, next_0, added FROM {target}").fetchall() == [(1, kept, None)]
    assert lake.execute(f"SELECT gone FROM {target} AT (VERSION => {snapshot})").fetchall() == [("x",)]
