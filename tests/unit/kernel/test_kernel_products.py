"""A user's contract and SQL file are a table like any other; a wrong one harms nobody else."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from cogniforge_pipeline.definitions import build_definitions, open_home
from cogniforge_pipeline.runner import run
from cogniforge_pipeline.settings import load_settings
from tests.support.pipeline import at, csv

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: shop-busiest
name: shop.{name}
version: 1.0.0
status: active
team: {{name: shop}}
schema:
  - name: {name}
    physicalType: table
    description: How much each service measured.
    properties:
      - {{name: service, logicalType: string, physicalType: VARCHAR, primaryKey: true, required: true, description: Name.}}
      - name: points
        logicalType: integer
        physicalType: BIGINT
        required: true
        logicalTypeOptions: {{minimum: {minimum}}}
        description: Points.
"""
SELECT = "SELECT s.service, count(*) AS points FROM aiops.rollup_5m AS r JOIN aiops.series AS s USING (series_id) GROUP BY ALL"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "landing").mkdir()
    (tmp_path / "platform").mkdir()
    points = [(at("2026-03-01 00:10"), "web", "lat", 1.0), (at("2026-03-01 00:20"), "web", "lat", 1.0)]
    (tmp_path / "landing" / "a.csv").write_text(csv([*points, (at("2026-03-01 00:10"), "api", "lat", 1.0)]))
    return tmp_path


def add(folder: Path, name: str, *, contract: str | None = None, query: str | None = SELECT, minimum: int = 0) -> None:
    for place, text in (
        (f"contracts/shop/{name}.yaml", CONTRACT.format(name=name, minimum=minimum) if contract is None else contract),
        (f"sql/shop/{name}.sql", query),
    ):
        if text is not None:
            path = folder / "platform" / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def test_a_contract_and_a_query_become_a_checked_table_and_bad_rows_are_set_aside(folder: Path) -> None:
    add(folder, "busiest", minimum=2)
    home = open_home(load_settings(folder, environ={}))
    report = run(home)
    assert report.success
    cursor = home.lake.cursor()
    assert cursor.execute("FROM shop.busiest").fetchall() == [("web", 2)]
    assert cursor.execute("SELECT row->>'service' FROM quarantine.shop__busiest").fetchall() == [("api",)]
    assert ("shop/busiest", "points_min") in [(asset, check) for asset, check, _ in report.failed_checks]


def test_wrong_products_are_named_with_file_and_hint_and_stop_no_other(folder: Path) -> None:
    add(folder, "good")
    add(folder, "typo", query="SELECT * FROM aiops.rolup_5m")
    add(folder, "broken", contract="name: [")
    told_mode = "customProperties:\n- {property: compatibilityMode, value: BACKWRD}\nschema:"
    add(folder, "mode", contract=CONTRACT.format(name="mode", minimum=0).replace("schema:", told_mode))
    add(folder, "egg", query="SELECT service, points FROM shop.hen")
    add(folder, "hen", query="SELECT service, points FROM shop.egg")
    (folder / "platform" / "contracts" / "shop" / "alone.yaml").write_text(CONTRACT.format(name="alone", minimum=0))
    (folder / "platform" / "sql" / "aiops").mkdir()
    (folder / "platform" / "sql" / "aiops" / "series.sql").write_text(SELECT)
    home = open_home(load_settings(folder, environ={}))
    assert list(home.products.contracts) == ["shop.good"]
    told = "\n".join(str(problem) for problem in home.platform().problems)
    for expected in (
        "sql/shop/typo.sql: it reads aiops.rolup_5m, which no asset makes (did you mean aiops.rollup_5m?)",
        "contracts/shop/broken.yaml:1:8: a value is missing (close what '[' or '{' opened, or add the value)",
        "contracts/shop/mode.yaml:9: compatibilityMode 'BACKWRD' is unknown (did you mean BACKWARD? use one of NONE, ",
        "contracts/shop/alone.yaml: nothing makes this table",
        "sql/aiops/series.sql: the schema aiops is not free",
        "tables that are made of each other",
    ):
        assert expected in told, told
    assert run(home, select="group:shop").success


@pytest.mark.parametrize(
    ("said", "owners", "tags"),
    [
        ("", [], set()),
        ("team: {name: shop}\ntags: [personal data!, 'a/b:c', '!']\n", ["team:shop"], {"personal-data", "a-b-c"}),
        ("team: {name: 'Ana <ana@x.com>'}\n", ["team:Ana <ana@x.com>"], set()),
        ("team: {name: ana@example.com}\n", ["ana@example.com"], set()),
        (f"tags: [{'x' * 80}]\n", [], {"x" * 63}),
    ],
)
def test_whoever_owns_it_and_however_it_is_tagged_the_definitions_load(
    folder: Path, said: str, owners: list[str], tags: set[str]
) -> None:
    add(folder, "busiest", contract=CONTRACT.format(name="busiest", minimum=0).replace("team: {name: shop}\n", said))
    graph = build_definitions(open_home(load_settings(folder, environ={}))).resolve_asset_graph()
    node = graph.get(dg.AssetKey(["shop", "busiest"]))
    assert list(node.owners) == owners
    assert {tag.removeprefix("cogniforge/") for tag in node.tags if tag.startswith("cogniforge/")} == tags
