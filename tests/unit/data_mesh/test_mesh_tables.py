"""The tables of the mesh in a real lake: computed when something is new, and told to others once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline import registry, written
from cogniforge_pipeline.contracts import Audit, Contract
from cogniforge_pipeline.data_mesh.announcements import ANNOUNCERS
from cogniforge_pipeline.data_mesh.evolution import VERSIONS
from cogniforge_pipeline.data_mesh.model import CONTEXT_KIND, GOVERNANCE_KIND
from cogniforge_pipeline.data_mesh.plots import PLOTS
from cogniforge_pipeline.data_mesh.tables import FINDINGS, LINEAGE, PRODUCTS, SLA, TRENDS, computed
from cogniforge_pipeline.declarations import Declaration, declare
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.increments import Request, materialize_recipe
from cogniforge_pipeline.publish import MATERIALIZATIONS, QUALITY, Publication
from cogniforge_pipeline.registry import REGISTRY
from cogniforge_pipeline.settings import load_settings
from tests.support.tables import CONTRACTS
from tests.support.tables import PRODUCTS as SHOP

ORDERS = "shop.orders"
HOUR = timedelta(hours=1)


class Mesh:
    """A home of one product and the mesh, with a clock that the test turns."""

    def __init__(self, folder: Path) -> None:
        self.ahead = timedelta(0)
        kinds = (CONTEXT_KIND, GOVERNANCE_KIND)
        tables = computed(lambda: self.home.contracts, lambda: (), lambda: datetime.now(UTC) + self.ahead)
        self.home = Home(load_settings(folder, environ={}), kinds, tables, ANNOUNCERS)
        names = (REGISTRY, VERSIONS, MATERIALIZATIONS, QUALITY, *(table.name for table in tables))
        self.contracts: dict[str, Contract] = {ORDERS: SHOP[ORDERS], **{name: CONTRACTS[name] for name in names}}
        self.home.contracts, self.home.views = self.contracts, {}

    def order(self, number: int, age: timedelta = timedelta(0)) -> None:
        row = {"order_id": str(number), "ordered_at": datetime.now(UTC) - age}
        written.append(self.home, ORDERS, [row], run_id="api")

    def declare(self, *declarations: Declaration[Any]) -> None:
        registry.record(self.home, declarations, run_id="api")

    def materialize(self, table: str, *, only_changed: bool = True) -> bool:
        """Whether there was something to do."""
        recipe = self.home.recipe(table, self.home.lake.cursor())
        request = Request("r", only_changed=only_changed)
        contract = self.home.contracts[table]
        outcome = materialize_recipe(self.home.lake, contract, recipe, self.home.facts(recipe), request)
        if outcome.publication:
            self.home.announce(table)
        return outcome.publication is not None

    def materialize_all(self) -> set[str]:
        return {table for table in self.home.computed if self.materialize(table)}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.home.lake.cursor().execute(query).fetchall()

    def events(self, kind: str) -> list[Any]:
        return [event for event in self.home.events.read(0) if event.type == kind]


@pytest.fixture
def mesh(tmp_path: Path) -> Mesh:
    return Mesh(tmp_path / "home")


def policy(**spec: Any) -> Declaration[Any]:
    return declare(GOVERNANCE_KIND, {"name": "basics", "rules": {"require_tag": ["gold"]}, **spec})


def waiver(until: datetime) -> dict[str, str]:
    return {"product": ORDERS, "rule": "require_tag", "until": until.isoformat(), "who": "ana", "why": "soon"}


def test_without_anything_new_the_tables_rest_although_each_of_them_adds_to_the_logs(mesh: Mesh) -> None:
    mesh.order(1)
    mesh.materialize_all()
    assert mesh.materialize_all() == set()
    mesh.order(2)
    assert mesh.materialize_all() >= {TRENDS, SLA}
    assert mesh.materialize_all() == set()


def test_silence_alone_breaks_a_promise_and_is_told_once(mesh: Mesh) -> None:
    mesh.order(1)
    mesh.materialize(SLA)
    status = f"SELECT status FROM {SLA} WHERE sla = 'freshness'"
    assert mesh.rows(status) == [("ok",)]

    mesh.ahead = timedelta(minutes=59)
    assert not mesh.materialize(SLA)
    mesh.ahead = timedelta(hours=2)
    assert mesh.materialize(SLA)
    assert mesh.rows(status) == [("breached",)]
    mesh.ahead = timedelta(hours=3)
    assert mesh.materialize(SLA, only_changed=False)
    (breached,) = mesh.events("data_product.sla.breached")
    assert (breached.subject, breached.data["sla"], breached.data["promised"]) == (ORDERS, "freshness", 3600)
    assert not mesh.events("data_product.sla.restored")


def test_a_new_row_restores_freshness_and_is_told_once(mesh: Mesh) -> None:
    mesh.order(1, age=timedelta(days=2))
    mesh.materialize(SLA)
    mesh.order(2)
    mesh.materialize(SLA)
    mesh.ahead = timedelta(seconds=30)
    mesh.order(3)
    mesh.materialize(SLA)
    (breached,), (restored,) = (mesh.events(f"data_product.sla.{what}") for what in ("breached", "restored"))
    assert breached.time < restored.time
    assert restored.data["started_at"] == breached.data["started_at"]
    chart = PLOTS[SLA](mesh.home.lake.cursor(), Publication(SLA, 1, 0, 3, 0, (), Audit(3, 0, {}, (), {}))).to_dict()
    (values,) = chart["datasets"].values()
    assert [(value["product_id"], value["sla"]) for value in values] == [(ORDERS, "freshness")]


def test_breaches_of_long_ago_are_no_news(mesh: Mesh) -> None:
    mesh.order(1, age=timedelta(days=2))
    mesh.order(2)
    mesh.ahead = timedelta(days=8)
    mesh.materialize(SLA)
    assert len(mesh.rows(f"SELECT unnest(breaches) FROM {SLA} WHERE sla = 'freshness'")) == 2
    assert mesh.events("data_product.sla.breached") == mesh.events("data_product.sla.restored") == []


def test_a_failed_finding_is_told_once_until_its_waiver_ends(mesh: Mesh) -> None:
    ends = datetime.now(UTC) + HOUR
    mesh.declare(policy(waivers=[waiver(ends)]))
    mesh.materialize(FINDINGS)
    status = f"SELECT status FROM {FINDINGS} WHERE product_id = '{ORDERS}'"
    assert mesh.rows(status) == [("waived",)]
    told = {event.subject for event in mesh.events("governance.finding.failed")}
    assert ORDERS not in told

    assert not mesh.materialize(FINDINGS)
    mesh.ahead = 2 * HOUR
    assert mesh.materialize(FINDINGS)
    assert mesh.rows(status) == [("failed",)]
    mesh.ahead = 3 * HOUR
    mesh.declare(declare(CONTEXT_KIND, {"context_id": "shop", "domain": "commerce"}))
    assert mesh.materialize(FINDINGS)
    assert len([e for e in mesh.events("governance.finding.failed") if e.subject == ORDERS]) == 1


def test_a_policy_that_is_withdrawn_leaves_no_findings(mesh: Mesh) -> None:
    mesh.declare(policy())
    mesh.materialize(FINDINGS)
    assert mesh.rows(f"SELECT count(*) FROM {FINDINGS}") == [(len(mesh.contracts),)]
    mesh.home.lake.cursor().execute(f"UPDATE {REGISTRY} SET withdrawn_at = now()")
    assert mesh.materialize(FINDINGS)
    assert mesh.rows(f"SELECT count(*) FROM {FINDINGS}") == [(0,)]
    assert not mesh.materialize(FINDINGS)


def test_the_lineage_of_a_written_table_is_told_by_the_log(mesh: Mesh) -> None:
    mesh.order(1)
    mesh.materialize_all()
    edges = mesh.rows(f"SELECT input_table, output_table FROM {LINEAGE} WHERE kind = 'table' ORDER BY ALL")
    assert (QUALITY, TRENDS) in edges
    assert (ORDERS, TRENDS) not in edges
    assert mesh.rows(f"SELECT context_id FROM {PRODUCTS} WHERE product_id = '{ORDERS}'") == [(None,)]
