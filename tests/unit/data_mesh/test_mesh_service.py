"""The Python API of the mesh as its users write it: contexts, products, contracts, measured quality."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline.data_mesh.service import DataMeshService
from cogniforge_pipeline.declarations import DeclarationsInvalid, load_platform
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.registry import record
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.written import RowRefused


def open_service(folder: Path) -> DataMeshService:
    """The service of the home in `folder`, not shared with anybody."""
    return DataMeshService(load_settings(folder, environ={}))


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> DataMeshService:
    """One service for all tests of this file; each uses names of its own."""
    return open_service(tmp_path_factory.mktemp("mesh") / "home")


def rows(mesh: DataMeshService, query: str) -> list[tuple[Any, ...]]:
    return mesh.home.lake.cursor().execute(query).fetchall()


def context(context_id: str, **spec: Any) -> Any:
    from cogniforge_pipeline.data_mesh import BoundedContext

    return BoundedContext(**{"context_id": context_id, "domain": "commerce", **spec})


def product(product_id: str, context_id: str, **spec: Any) -> Any:
    from cogniforge_pipeline.data_mesh import DataProduct

    return DataProduct(product_id, context_id, **spec)


def metrics(product_id: str, **changed: Any) -> Any:
    from cogniforge_pipeline.data_mesh import DataQualityMetrics

    figures = {
        "timestamp": datetime.now(UTC), "completeness": 0.98, "accuracy": 0.99, "consistency": 0.97, "timeliness": 0.95,
        "freshness_seconds": 45, "volume": 100000, "error_rate": 0.01,
    }  # fmt: skip
    return DataQualityMetrics(**{"product_id": product_id, **figures, **changed})


def offered(mesh: DataMeshService, context_id: str) -> list[tuple[str, int]]:
    from cogniforge_pipeline.data_mesh.model import CONTEXT_KIND
    from cogniforge_pipeline.registry import declared

    found = {each.name: each.model for each in declared(mesh.home.lake.cursor(), CONTEXT_KIND)}
    return [(item.name, item.tier) for item in found[context_id].offered]


def test_the_documented_example_runs_as_it_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COGNIFORGE_HOME", str(tmp_path / "home"))
    from cogniforge_pipeline.data_mesh import (
        BoundedContext,
        DataContract,
        DataDomainType,
        DataQualityMetrics,
        SchemaCompatibility,
        get_data_mesh_service,
    )

    data_mesh = get_data_mesh_service()
    assert data_mesh is get_data_mesh_service()
    data_mesh.register_bounded_context(
        BoundedContext(
            context_id="user-management-ctx",
            domain=DataDomainType.USER_MANAGEMENT,
            name="User Management Context",
            description="Handles all user-related data",
            data_products=["user-profile-product"],
            upstream_contexts=[],
            downstream_contexts=["analytics-ctx"],
            governance_policies={"require_encryption": True},
        )
    )
    properties = {
        "user_id": {"type": "string"},
        "email": {"type": "string", "format": "email"},
        "name": {"type": "string"},
    }
    schema = {"type": "object", "required": ["user_id", "email", "name"], "properties": properties}
    data_mesh.create_data_contract(
        DataContract(
            contract_id="user-profile-v1",
            domain=DataDomainType.USER_MANAGEMENT,
            name="User Profile Contract",
            description="User profile data schema",
            schema_version="1.0.0",
            schema_definition=schema,
            compatibility_mode=SchemaCompatibility.BACKWARD,
            owners=["user-team"],
            consumers=["analytics-team", "notification-team"],
            sla_guarantees={"freshness_seconds": 60, "availability": 0.999},
        )
    )
    evolution = data_mesh.evolve_contract_schema(
        contract_id="user-profile-v1",
        new_schema={**schema, "properties": {**properties, "phone": {"type": "string"}}},
        new_version="1.1.0",
        changes=[{"type": "field_added", "field": "phone", "optional": True}],
    )
    assert evolution.accepted, evolution.reasons
    assert [item.rule for item in evolution.differences] == ["OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL"]
    data_mesh.record_quality_metrics(
        DataQualityMetrics(
            product_id="user-profile-product",
            timestamp=datetime.now(UTC),
            completeness=0.98,
            accuracy=0.99,
            consistency=0.97,
            timeliness=0.95,
            freshness_seconds=45,
            volume=100000,
            error_rate=0.01,
        )
    )
    mesh_metrics = data_mesh.get_mesh_metrics()
    assert (mesh_metrics["bounded_contexts"], mesh_metrics["data_products"], mesh_metrics["data_contracts"]) == (
        1,
        1,
        1,
    )
    assert (mesh_metrics["schema_evolutions"], mesh_metrics["refused_evolutions"]) == (2, 0)


def test_a_context_is_registered_once_and_again_when_it_changes(mesh: DataMeshService) -> None:
    for owner in ("ana", "ana", "ben"):
        mesh.register_bounded_context(context("versions", owner=owner))
    found = rows(
        mesh, "SELECT version, withdrawn_at IS NULL FROM platform.declarations WHERE name = 'versions' ORDER BY version"
    )
    assert found == [(1, False), (2, True)]


def test_a_product_belongs_to_one_context(mesh: DataMeshService) -> None:
    mesh.register_bounded_context(context("first", data_products=["shared.visits"]))
    mesh.register_bounded_context(context("second"))
    with pytest.raises(CogniforgeError, match=r"shared\.visits is a product of the context 'first'"):
        mesh.register_bounded_context(context("second", data_products=["shared.visits"]))
    with pytest.raises(CogniforgeError, match=r"shared\.visits is a product of the context 'first'"):
        mesh.register_data_product(product("shared.visits", "second"))
    assert offered(mesh, "second") == []


def test_a_product_is_added_to_its_context_and_told_anew(mesh: DataMeshService) -> None:
    mesh.register_bounded_context(context("orders", data_products=["shop.visits"], owner="team"))
    mesh.register_data_product(product("shop.orders", "orders", owner="ana", output_ports=["parquet"]))
    mesh.create_data_product(product("shop.orders", "orders", tier=1))
    mesh.register_data_product(product("shop.visits", "orders", tier=2))
    assert offered(mesh, "orders") == [("shop.orders", 1), ("shop.visits", 2)]
    before = rows(mesh, "SELECT max(version) FROM platform.declarations WHERE name = 'orders'")
    mesh.register_data_product(product("shop.orders", "orders", tier=1))
    assert rows(mesh, "SELECT max(version) FROM platform.declarations WHERE name = 'orders'") == before


def test_a_product_needs_a_context_and_values_that_make_sense(mesh: DataMeshService) -> None:
    with pytest.raises(CogniforgeError, match="there is no bounded context 'nowhere'"):
        mesh.register_data_product(product("shop.lost", "nowhere"))
    mesh.register_bounded_context(context("strict"))
    with pytest.raises(DeclarationsInvalid, match="tier"):
        mesh.register_data_product(product("shop.lost", "strict", tier=9))


def test_a_context_that_a_file_declares_is_not_replaced(tmp_path: Path) -> None:
    from cogniforge_pipeline.data_mesh.model import CONTEXT_KIND

    mesh = open_service(tmp_path / "home")
    file = tmp_path / "contexts" / "mine.yaml"
    file.parent.mkdir()
    file.write_text("context_id: filed\ndomain: commerce\n")
    record(mesh.home, load_platform(tmp_path, (CONTEXT_KIND,)), run_id="run")
    with pytest.raises(DeclarationsInvalid, match="this file wins"):
        mesh.register_bounded_context(context("filed", owner="ana"))
    with pytest.raises(DeclarationsInvalid, match="this file wins"):
        mesh.register_data_product(product("shop.orders", "filed"))


def test_measured_quality_becomes_rows_beside_those_of_publications(mesh: DataMeshService) -> None:
    mesh.record_quality_metrics(metrics("web-clicks"), metrics("web-clicks", timeliness=None, freshness_seconds=None))
    mesh.record_quality_metrics(metrics("web-clicks", contract_version="1.2.0"))
    found = rows(
        mesh,
        "SELECT completeness, timeliness, volume, contract_version, run_id, version FROM data_mesh.quality_metrics "
        "WHERE product_id = 'web-clicks' ORDER BY contract_version NULLS FIRST, timeliness NULLS FIRST",
    )
    assert found == [
        (0.98, None, 100000, None, "api", None),
        (0.98, 0.95, 100000, None, "api", None),
        (0.98, 0.95, 100000, "1.2.0", "api", None),
    ]


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"completeness": 1.2}, "completeness is a share from 0 to 1, got 1.2"),
        ({"error_rate": float("nan")}, "error_rate is a share"),
        ({"freshness_seconds": float("inf")}, "freshness_seconds must be finite"),
        ({"timestamp": datetime(2026, 1, 1)}, "has no time zone"),
        ({"product_id": "data_mesh.materializations"}, "its quality is measured whenever it is published"),
    ],
)
def test_figures_that_make_no_sense_are_refused_with_all_of_their_call(
    mesh: DataMeshService, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(CogniforgeError, match=message):
        mesh.record_quality_metrics(metrics("refused"), metrics(**{"product_id": "refused", **changed}))
    assert rows(mesh, "SELECT * FROM data_mesh.quality_metrics WHERE product_id = 'refused'") == []


def test_a_negative_volume_breaks_the_tables_contract(mesh: DataMeshService) -> None:
    with pytest.raises(RowRefused, match="volume"):
        mesh.record_quality_metrics(metrics("negative", volume=-1))


def _add(folder: Path, writer: int) -> None:
    service = open_service(folder)
    for number in range(3):
        service.register_data_product(product(f"busy.p{writer}x{number}", "busy"))


def test_products_that_processes_and_threads_add_at_once_are_all_there(mesh: DataMeshService) -> None:
    mesh.register_bounded_context(context("busy"))
    folder = mesh.home.settings.home
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_add, args=(folder, n)) for n in range(2)]
    for process in processes:
        process.start()
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda n: _add(folder, n), (2, 3)))
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert offered(mesh, "busy") == [(f"busy.p{writer}x{number}", 3) for writer in range(4) for number in range(3)]
