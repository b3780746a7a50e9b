"""A user's contract changes while the pipeline works: accepted changes reach the table in place, refused ones never do."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from typer.testing import CliRunner

from cogniforge_pipeline.data_mesh.commands import app
from cogniforge_pipeline.definitions import open_home
from cogniforge_pipeline.lake import Lake, Snapshot
from cogniforge_pipeline.runner import Report, run
from cogniforge_pipeline.settings import Settings, load_settings
from tests.support.pipeline import at, csv

PRODUCT = "shop.busiest"
HEAD = """\
apiVersion: v3.1.0
kind: DataContract
id: shop-busiest
name: shop.busiest
version: {version}
status: active
team: {{name: shop}}
schema:
  - name: busiest
    physicalType: table
    description: How much each service measured.
    properties:
      - {{name: service, logicalType: string, physicalType: VARCHAR, primaryKey: true, required: true, description: Name.}}
"""
POINTS = "      - {{name: points, logicalType: integer, physicalType: {kind}, required: true, description: Points.}}\n"
NEWEST = "      - {name: newest, logicalType: timestamp, physicalType: TIMESTAMPTZ, description: Newest of them.}\n"
SELECT = "SELECT s.service{columns} FROM aiops.rollup_5m AS r JOIN aiops.series AS s USING (series_id) GROUP BY ALL"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("evolving") / "home"
    (folder / "landing").mkdir(parents=True)
    points = [(at("2026-03-01 00:10"), "web", "lat", 1.0), (at("2026-03-01 00:20"), "api", "lat", 1.0)]
    (folder / "landing" / "a.csv").write_text(csv(points))
    return load_settings(folder, environ={"COGNIFORGE_DOMAINS": "data_mesh,aiops"})


def declare(settings: Settings, version: str, *, points: str | None = "INTEGER", newest: bool = False) -> None:
    text = HEAD.format(version=version) + (POINTS.format(kind=points) if points else "") + (NEWEST if newest else "")
    columns = (f", count(*)::{points} AS points" if points else "") + (", max(r.ts) AS newest" if newest else "")
    for place, content in (("contracts/shop/busiest.yaml", text), ("sql/shop/busiest.sql", SELECT)):
        path = settings.platform / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.replace("{columns}", columns))


def work(settings: Settings) -> Report:
    return run(open_home(settings), select="key:shop/busiest or key:platform/declarations")


def rows(settings: Settings, query: str, snapshot: int | None = None) -> list[tuple[Any, ...]]:
    lake = Lake(settings, read_only=True, snapshot=Snapshot(snapshot) if snapshot else None)
    try:
        return lake.cursor().execute(query).fetchall()
    finally:
        lake.close()


def columns(settings: Settings, snapshot: int | None = None) -> dict[str, str]:
    return {name: kind for name, kind, *_ in rows(settings, f"DESCRIBE {PRODUCT}", snapshot)}


def check(settings: Settings) -> tuple[int, str]:
    answer = CliRunner().invoke(app, ["check", "--home", str(settings.home)])
    return answer.exit_code, answer.output


def test_accepted_changes_alter_the_table_in_place_and_refused_ones_never_reach_it(settings: Settings) -> None:
    declare(settings, "1.0.0")
    assert run(open_home(settings)).success
    [[first]] = rows(settings, "SELECT max(snapshot_id) FROM ducklake_snapshots('lake')")
    assert check(settings)[0] == 0

    reader = Lake(settings, read_only=True, snapshot=Snapshot(first))
    stop, seen, wrong = threading.Event(), [], []

    def read() -> None:
        cursor = reader.cursor()
        while not stop.is_set():
            try:
                seen.append(cursor.execute(f"SELECT * FROM {PRODUCT} ORDER BY ALL").fetchall())
            except Exception as error:
                wrong.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        declare(settings, "1.1.0", points="BIGINT", newest=True)
        assert check(settings)[0] == 0
        assert work(settings).success
        assert columns(settings) == {
            "service": "VARCHAR",
            "points": "BIGINT",
            "newest": "TIMESTAMP WITH TIME ZONE",
        }
        assert rows(settings, f"SELECT service, points, newest IS NOT NULL FROM {PRODUCT} ORDER BY ALL") == [
            ("api", 1, True),
            ("web", 1, True),
        ]
    finally:
        stop.set()
        thread.join()
        reader.close()
    assert not wrong and seen and set(map(tuple, seen)) == {(("api", 1), ("web", 1))}
    assert columns(settings, first) == {"service": "VARCHAR", "points": "INTEGER"}

    declare(settings, "1.2.0", points=None, newest=True)
    code, told = check(settings)
    assert code == 1 and "contracts/shop/busiest.yaml" in told and "points" in told
    report = work(settings)
    assert [step for step, _ in report.failed_steps] == ["shop__busiest"]
    assert "1.2.0 is refused" in report.failed_steps[0][1] and "points" in report.failed_steps[0][1]
    assert ("platform/declarations", "files_valid") in [(asset, name) for asset, name, _ in report.failed_checks]
    assert list(columns(settings)) == ["service", "points", "newest"], "the table is as it was"

    kept = rows(
        settings,
        "SELECT from_version, to_version, accepted, differences FROM data_mesh.schema_evolutions "
        f"WHERE contract_id = '{PRODUCT}' ORDER BY decided_at",
    )
    assert [row[:3] for row in kept] == [
        (None, "1.0.0", True),
        ("1.0.0", "1.1.0", True),
        ("1.1.0", "1.2.0", False),
    ], "every decision once, however often a file is read"
    assert [item["breaking"] for item in json.loads(kept[2][3])].count(True) >= 1
    events = open_home(settings).events.read(types=["contract.version.accepted", "contract.version.refused"])
    assert [(event.type, event.subject) for event in events] == [
        ("contract.version.accepted", PRODUCT),
        ("contract.version.refused", PRODUCT),
    ]


def test_every_contract_of_the_package_is_registered(settings: Settings) -> None:
    home = open_home(settings)
    found = dict(
        rows(settings, "SELECT contract_id, version FROM data_mesh.contract_versions WHERE origin = 'package'")
    )
    ours = {name: contract.version for name, contract in home.contracts.items() if name != PRODUCT}
    assert found == ours
