"""A home gives the same tables with its catalog in PostgreSQL and its data in S3, and every command works there."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from cogniforge_pipeline import sql_shell
from cogniforge_pipeline.contracts import Contract, load_contracts
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.lake import Lake, LakeError, maintain
from cogniforge_pipeline.settings import Settings, packaged
from cogniforge_pipeline.sqltext import literal
from tests.cluster.conftest import Computed, Place
from tests.support import postgres, s3
from tests.support.postgres import Postgres

CONTRACTS = load_contracts(packaged("contracts"))
OF_THE_RUN = {"run_id", "freshness_seconds", "timeliness"}
"""Columns that differ between two runs of the same data; moments between the first run's start and now do, too."""


def read(settings: Settings, contract: Contract) -> pl.DataFrame:
    cursor = Lake(settings, read_only=True).cursor()
    order = ", ".join(f'"{name}"' for name in contract.sort_by) or "ALL"
    return cursor.execute(f"SELECT * FROM {contract.name} ORDER BY {order}").pl()


def wall_clock(frame: pl.DataFrame, since: datetime) -> set[str]:
    moments = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    known = [name for name in moments if frame[name].drop_nulls().len()]
    return {name for name in known if frame[name].drop_nulls().is_between(since, datetime.now(UTC)).all()}


@pytest.mark.parametrize("name", sorted(CONTRACTS))
def test_a_table_is_equal_in_an_embedded_lake_and_in_postgresql_and_s3(name: str, computed: Computed) -> None:
    embedded, cluster = (read(place.settings, CONTRACTS[name]) for place in (computed.embedded, computed.cluster))
    skipped = OF_THE_RUN | {"observed", "breaches", "fresh_until"} | wall_clock(embedded, computed.since)
    compared = [column for column in embedded.columns if column not in skipped]
    assert compared
    assert_frame_equal(embedded.select(compared), cluster.select(compared), rel_tol=1e-9, abs_tol=1e-12)


def test_the_tables_that_are_compared_have_rows(computed: Computed) -> None:
    rows = {
        name: read(computed.cluster.settings, CONTRACTS[name]).height for name in ("aiops.telemetry", "aiops.series")
    }
    assert rows["aiops.telemetry"] > 100_000
    assert rows["aiops.series"] > 50
    for name in ("aiops.rollup_5m", "aiops.anomaly_scores", "aiops.service_health", "platform.declarations"):
        assert read(computed.cluster.settings, CONTRACTS[name]).height > 0, name


def test_the_catalog_lies_in_postgresql_and_the_data_in_s3(computed: Computed, pg: Postgres) -> None:
    assert int(pg.ask("shop", "SELECT count(*) FROM ducklake_data_file")) > 0
    assert pg.ask("shop", "SELECT value FROM ducklake_metadata WHERE key = 'data_path'") == f"s3://{s3.BUCKET}/shop/"
    assert not (computed.cluster.home / "lake").exists()


def state(place: Place) -> list[tuple[int, int]]:
    cursor = Lake(place.settings, read_only=True).cursor()
    return cursor.execute(
        "SELECT count(*), (SELECT max(snapshot_id) FROM ducklake_snapshots('lake')) FROM data_mesh.materializations"
    ).fetchall()


def test_a_second_run_with_nothing_new_publishes_nothing_and_maintenance_changes_no_row(computed: Computed) -> None:
    computed.cluster.command("run")  # what the last step of the first run told becomes rows of data_mesh.events
    before = state(computed.cluster)
    computed.cluster.command("run")
    assert state(computed.cluster) == before
    telemetry = read(computed.cluster.settings, CONTRACTS["aiops.telemetry"])
    assert maintain(Lake(computed.cluster.settings), keep_days=1)["files_merged"] > 0
    assert_frame_equal(read(computed.cluster.settings, CONTRACTS["aiops.telemetry"]), telemetry)


def test_sql_reads_the_lake_now_and_as_it_was_at_a_snapshot(computed: Computed) -> None:
    place = computed.cluster

    def count(*more: str) -> list[dict[str, int]]:
        return list(json.loads(place.command("sql", "SELECT count(*) AS n FROM aiops.telemetry", "-f", "json", *more)))

    now = read(place.settings, CONTRACTS["aiops.telemetry"]).height
    (made,) = (
        sql_shell.connect(place.settings)
        .execute(
            "SELECT min(begin_snapshot) FROM __ducklake_metadata_lake.ducklake_table WHERE table_name = 'telemetry'"
        )
        .fetchall()
    )
    assert count() == [{"n": now}]
    assert count("--at", str(made[0])) == [{"n": 0}]
    with pytest.raises(LakeError, match="no such snapshot"):
        sql_shell.connect(place.settings, "2020-01-01")


def test_sql_reaches_no_other_file_host_or_statement(computed: Computed, store: s3.S3, pg: Postgres) -> None:
    settings = computed.cluster.settings
    outside = f"s3://{s3.BUCKET}/other/x.parquet"
    free = Lake(settings).cursor()
    free.execute(f"COPY (SELECT 42 AS n) TO '{outside}'")
    assert free.execute(f"FROM '{outside}'").fetchall() == [(42,)]
    locked = sql_shell.connect(settings)
    account = f"{settings.catalog.removeprefix('postgres:')} password={postgres.PASSWORD}"
    for query in (
        f"FROM '{outside}'",
        f"FROM read_parquet('{outside}')",
        "FROM read_text('/etc/passwd')",
        f"FROM read_text('http://127.0.0.1:{store.port}/')",
        f"FROM 'http://127.0.0.1:{store.port}/x.parquet'",
        f"FROM postgres_scan({literal(account)}, 'public', 'ducklake_metadata')",
        "FROM postgres_query('__ducklake_metadata_lake', 'SELECT 1')",
        "FROM postgres_execute('__ducklake_metadata_lake', 'COMMIT; CREATE TABLE left_behind (i int)')",
        "ATTACH ':memory:' AS other",
        "SET s3_endpoint = 'elsewhere'",
    ):
        with pytest.raises(CogniforgeError, match=r"refused|disabled by configuration|only reads"):
            sql_shell.read(locked, query).fetchall()
    assert sql_shell.read(locked, "SELECT count(*) > 0 FROM aiops.telemetry").fetchall() == [(True,)]
    assert pg.ask("shop", "SELECT count(*) FROM pg_tables WHERE tablename = 'left_behind'") == "0"


def test_export_writes_the_decisions_and_doctor_finds_the_lake(computed: Computed) -> None:
    place = computed.cluster
    place.command("export", "--table", "aiops.rollup_5m")
    written = pl.read_parquet(place.home / "reports" / "parquet" / "aiops" / "rollup_5m.parquet")
    assert written.height == read(place.settings, CONTRACTS["aiops.rollup_5m"]).height
    with duckdb.connect(str(place.home / "reports" / "cogniforge.duckdb"), read_only=True) as published:
        assert published.execute("SELECT count(*) > 0 FROM aiops.service_health").fetchall() == [(True,)]
    found = place.command("doctor")
    assert f"lake s3://{s3.BUCKET}/shop" in found
    assert "postgres-scanner" in found and "httpfs" in found
    assert not [secret for secret in (postgres.PASSWORD, s3.KEY, s3.SECRET) if secret in found]


def test_a_wrong_data_address_is_explained(computed: Computed) -> None:
    moved = replace(computed.cluster.settings, data=f"s3://{s3.BUCKET}/elsewhere")
    with pytest.raises(LakeError, match="COGNIFORGE_DATA"):
        Lake(moved)
