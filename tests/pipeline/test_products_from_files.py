"""A contract and a source become an asset like any other: its files are read, and what reads the table follows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cogniforge_pipeline.definitions import open_home
from cogniforge_pipeline.runner import instance_of
from cogniforge_pipeline.sensors import INGEST, sensors
from cogniforge_pipeline.settings import load_settings
from tests.pipeline.conftest import Works
from tests.support.table_files import ORDERS, contract

SOURCE = "name: {name}\ntype: table\ntable: {table}\npath: landing/{name}/*\n"
DAILY = """\
  - {name: day, logicalType: timestamp, physicalType: TIMESTAMPTZ, required: true, partitioned: true,
     partitionKeyPosition: 1, description: Day.}
  - {name: total, logicalType: number, physicalType: "DECIMAL(38, 2)", description: Sum.}
"""
DAILY_SQL = """\
SELECT date_trunc('day', ordered_at) AS day, sum(amount) AS total FROM shop.orders
WHERE ordered_at >= $day_start AND ordered_at < $day_end GROUP BY ALL
"""
BEST = "  - {name: total, logicalType: number, physicalType: DOUBLE, required: true, description: Best day.}\n"
AT_MOST_NINE = """\
      - {name: at_most_nine, description: at most 9, type: library, metric: rowCount, mustBeLessOrEqualTo: 9}
"""


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Works]:
    """The orders come from files; a fact and a decision read them."""
    folder = tmp_path / "home"
    write(
        folder, "landing/orders/a.csv", "order_id,ordered_at,amount\n1,2026-03-01,5\n2,2026-03-02,7\n3,2026-03-02,x\n"
    )
    write(folder, "platform/contracts/shop/orders.yaml", contract("shop.orders", ORDERS, rules=AT_MOST_NINE))
    write(folder, "platform/contracts/shop/daily.yaml", contract("shop.daily", DAILY))
    write(folder, "platform/contracts/shop/best.yaml", contract("shop.best", BEST))
    write(folder, "platform/sql/shop/daily.sql", DAILY_SQL)
    write(folder, "platform/sql/shop/best.sql", "SELECT max(total)::DOUBLE AS total FROM shop.daily")
    write(folder, "platform/sources/orders.yaml", SOURCE.format(name="orders", table="shop.orders"))
    home = open_home(load_settings(folder, environ={"COGNIFORGE_DOMAINS": "data_mesh,aiops"}))
    with instance_of(home.settings) as instance:
        yield Works(home, instance)


def test_files_become_a_checked_table_and_what_reads_it_follows_on_the_touched_days(shop: Works) -> None:
    asked = "group:shop or key:platform/declarations"
    report = shop.run(select=asked)
    cursor = shop.home.lake.cursor()
    assert cursor.execute("SELECT day::DATE::VARCHAR, total::INTEGER FROM shop.daily ORDER BY day").fetchall() == [
        ("2026-03-01", 5),
        ("2026-03-02", 7),
    ]
    assert cursor.execute("FROM shop.best").fetchall() == [(7.0,)]
    assert ("shop/orders", "rows_readable", "1 rows are set aside") in report.failed_checks
    landing = shop.home.settings.landing / "orders"
    (landing / "late.csv").write_text("order_id,ordered_at,amount\n4,2026-03-01,10\n")
    (landing / "broken.parquet").write_bytes(b"PAR1")
    report = shop.run(select=asked)
    assert shop.versions("shop.orders") == [(1, ["03-01", "03-02"]), (2, ["03-01"])]
    assert shop.versions("shop.daily") == [(1, ["03-01", "03-02"]), (2, ["03-01"])]
    assert cursor.execute("FROM shop.best").fetchall() == [(15.0,)]
    assert [check for _, check, _ in report.failed_checks] == ["files_readable", "rows_readable"]
    told = [event.data for event in shop.home.events.read(0, limit=100) if "file.refused" in event.type]
    assert [event["item"] for event in told] == ["landing/orders/broken.parquet"]

    before = {name: shop.versions(f"shop.{name}") for name in ("orders", "daily")}
    shop.run(select=asked)
    assert {name: shop.versions(f"shop.{name}") for name in before} == before
    assert shop.last("shop/orders").metadata["unchanged"].value is True
    assert shop.last("shop/orders").metadata["reason"].value == "no new or changed file"


def test_a_broken_table_rule_holds_back_what_reads_the_table_and_nothing_else(shop: Works) -> None:
    lines = "".join(f"{number},2026-03-01,1\n" for number in range(10))
    (shop.home.settings.landing / "orders" / "much.csv").write_text(f"order_id,ordered_at,amount\n{lines}")
    shop.drop_day("2026-03-01")
    result = shop.execute(INGEST)
    assert not result.success
    assert shop.check("shop/orders", "at_most_nine").passed is False
    cursor = shop.home.lake.cursor()
    assert cursor.execute("SELECT count(*) FROM shop.orders").fetchall() == [(0,)]
    assert cursor.execute("SELECT count(*) > 0 FROM aiops.telemetry").fetchall() == [(True,)]


def test_the_graph_shows_the_table_its_checks_and_what_reads_it(shop: Works) -> None:
    graph = shop.definitions.resolve_asset_graph()
    key = dg.AssetKey(["shop", "orders"])
    node = graph.get(key)
    assert dg.AssetKey(["shop", "daily"]) in node.child_keys
    assert node.parent_keys == {dg.AssetKey(["platform", "declarations"])}
    assert node.kinds == {"files", "ducklake"}
    checks = {check.name for check in graph.asset_check_keys if check.asset_key == key}
    assert {"files_readable", "rows_readable", "at_most_nine", "amount_min"} <= checks
    assert key in shop.definitions.resolve_job_def(INGEST).asset_layer.executable_asset_keys


def test_the_landing_sensor_starts_a_run_for_a_table_s_file_and_not_twice(shop: Works) -> None:
    (sensor,) = [each for each in sensors(shop.home) if each.name == "landing"]
    with dg.build_sensor_context(instance=shop.instance) as context:
        assert len(sensor(context).run_requests) == 1
    shop.execute(INGEST)
    with dg.build_sensor_context(instance=shop.instance) as context:
        assert not sensor(context).run_requests


def test_telemetry_does_not_take_a_table_s_files(shop: Works) -> None:
    shop.execute(INGEST)
    found = shop.home.lake.cursor().execute("SELECT DISTINCT source FROM aiops.ingest_ledger").fetchall()
    assert found == [("orders",)]


def test_wrong_sources_are_named_with_file_line_and_next_step_and_stop_no_other(shop: Works) -> None:
    folder = shop.home.settings.home
    write(folder, "platform/contracts/shop/alone.yaml", contract("shop.alone", ORDERS))
    write(folder, "platform/contracts/shop/visits.yaml", contract("shop.visits", ORDERS))
    wrong = {
        "typo": "table: shop.visit",
        "nothing": "table: shop.weather",
        "taken": "table: aiops.series",
        "both": "table: shop.daily",
        "second": "table: shop.orders",
        "column": "table: shop.visits\ncolumns: {ammount: price}",
    }
    documents = "---\n".join(f"name: {n}\ntype: table\npath: landing/{n}/*\n{text}\n" for n, text in wrong.items())
    write(folder, "platform/sources/wrong.yaml", documents)
    home = open_home(load_settings(folder, environ={"COGNIFORGE_DOMAINS": "data_mesh,aiops"}))
    assert sorted(home.products.contracts) == ["shop.best", "shop.daily", "shop.orders"]
    told = [str(problem) for problem in home.platform().problems]
    at = "sources/wrong.yaml"
    assert told == [
        f"{at}:1: table: the table shop.visit has no contract (did you mean shop.visits?)",
        f"{at}:6: table: the table shop.weather has no contract (write contracts/shop/weather.yaml)",
        f"{at}:11: table: the schema aiops is not free (choose another one for your products)",
        f"{at}:16: table: sql/shop/daily.sql makes shop.daily, too (remove one of them)",
        f"{at}:21: table: sources/orders.yaml:1 fills shop.orders, too (name all folders in the `path` of one source)",
        f"{at}:26: columns.ammount: shop.visits has no column 'ammount' (did you mean 'amount'?)",
        "contracts/shop/alone.yaml: nothing makes this table (write sql/shop/alone.sql, or a source of type table with "
        "`table: shop.alone`)",
    ]
