"""Versions of contracts: what is accepted, what is refused, and what is kept of both."""

from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline.contracts import load_contract
from cogniforge_pipeline.data_mesh import ContractRefused, DataContract, SchemaError
from cogniforge_pipeline.data_mesh.evolution import propose, version_of_file
from cogniforge_pipeline.data_mesh.service import DataMeshService
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.settings import load_settings

TEXT, WHOLE = {"type": "string"}, {"type": "integer"}


def open_service(folder: Path) -> DataMeshService:
    """The service of the home in `folder`, not shared with anybody."""
    return DataMeshService(load_settings(folder, environ={}))


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> DataMeshService:
    """One service for all tests of this file; each has contracts of its own."""
    return open_service(tmp_path_factory.mktemp("mesh") / "home")


def schema(*required: str, **properties: Any) -> dict[str, Any]:
    """A closed object; each property a text unless told otherwise."""
    found = dict.fromkeys(required, TEXT) | properties
    return {"type": "object", "required": list(required), "properties": found, "additionalProperties": False}


def contract(contract_id: str, definition: Any, version: str = "1.0.0", mode: str = "BACKWARD", **changed: Any) -> Any:
    return DataContract(
        **{
            "contract_id": contract_id,
            "domain": "commerce",
            "name": contract_id,
            "description": "",
            "schema_version": version,
            "schema_definition": definition,
            "compatibility_mode": mode,
            **changed,
        }
    )


def rows(mesh: DataMeshService, query: str) -> list[tuple[Any, ...]]:
    return mesh.home.lake.cursor().execute(query).fetchall()


def versions(mesh: DataMeshService, contract_id: str) -> list[str]:
    table = "data_mesh.contract_versions"
    return [row[0] for row in rows(mesh, f"SELECT version FROM {table} WHERE contract_id = '{contract_id}' ORDER BY 1")]


def decisions(mesh: DataMeshService, contract_id: str) -> list[tuple[Any, ...]]:
    return rows(
        mesh,
        "SELECT from_version, to_version, accepted, required_step FROM data_mesh.schema_evolutions "
        f"WHERE contract_id = '{contract_id}' ORDER BY decided_at",
    )


def test_a_compatible_version_is_accepted_and_both_are_kept(mesh: DataMeshService) -> None:
    mesh.create_data_contract(
        contract(
            "grows", schema("id"), owners=["ana"], consumers=["ben", "eve"], sla_guarantees={"freshness_seconds": 60}
        )
    )
    found = mesh.evolve_contract_schema(
        "grows", schema("id", phone=TEXT), "1.1.0", [{"type": "field_added"}], who="ana"
    )
    assert found.accepted and found.breaking == () and found.from_version == "1.0.0"
    assert decisions(mesh, "grows") == [(None, "1.0.0", True, None), ("1.0.0", "1.1.0", True, "minor")]
    kept = rows(
        mesh, "SELECT version, kind, document, mode, owners, consumers, sla, origin FROM data_mesh.contract_versions "
        "WHERE contract_id = 'grows' ORDER BY version"
    )  # fmt: skip
    same = ("BACKWARD", ["ana"], ["ben", "eve"], '{"freshness_seconds": 60}', "api")
    assert [(row[0], row[1], row[3:]) for row in kept] == [
        ("1.0.0", "json_schema", same),
        ("1.1.0", "json_schema", same),
    ]
    assert [json.loads(row[2]) for row in kept] == [schema("id"), schema("id", phone=TEXT)]
    (told,) = rows(
        mesh, "SELECT who, stated_changes, differences FROM data_mesh.schema_evolutions "
        "WHERE contract_id = 'grows' AND to_version = '1.1.0'"
    )  # fmt: skip
    assert told[:2] == ("ana", '[{"type": "field_added"}]')
    (difference,) = json.loads(told[2])
    assert set(difference) == {"rule", "path", "direction", "breaking", "message"} and not difference["breaking"]


def test_a_breaking_version_is_refused_and_the_decision_says_why(mesh: DataMeshService) -> None:
    mesh.create_data_contract(contract("breaks", schema("id", name=TEXT)))
    found = mesh.evolve_contract_schema("breaks", schema("id", name=WHOLE), "2.0.0")
    assert not found.accepted and "#/properties/name" in found.reasons[0] and "TYPE_CHANGED" in found.reasons[0]
    assert versions(mesh, "breaks") == ["1.0.0"]
    assert decisions(mesh, "breaks")[1:] == [("1.0.0", "2.0.0", False, "major")]
    with pytest.raises(ContractRefused, match="TYPE_CHANGED") as refused:
        mesh.create_data_contract(contract("breaks", schema("id", name=WHOLE), "2.0.0"))
    assert refused.value.evolution.required_step == "major"
    assert len(decisions(mesh, "breaks")) == 3


@pytest.mark.parametrize(
    ("mode", "definition", "version", "accepted"),
    [
        ("BACKWARD", schema("id", name=TEXT, phone=TEXT), "1.0.1", False),
        ("BACKWARD", schema("id", name=TEXT, phone=TEXT), "1.0.0", False),
        ("BACKWARD", schema("id", name=TEXT, phone=TEXT), "0.9.0", False),
        ("BACKWARD", schema("id", name=TEXT, phone=TEXT), "2.0.0", True),
        ("BACKWARD", schema("id", "name"), "2.0.0", False),
        ("FORWARD", schema("id", "name"), "1.1.0", True),
        ("FULL", schema("id", "name"), "2.0.0", False),
        ("NONE", schema("id", "name"), "1.1.0", False),
        ("NONE", schema("id", "name"), "2.0.0", True),
    ],
)
def test_the_mode_and_the_step_of_the_version_both_decide(
    mesh: DataMeshService, mode: str, definition: dict[str, Any], version: str, accepted: bool
) -> None:
    name = f"{mode}-{version}-{len(definition['properties'])}"
    mesh.create_data_contract(contract(name, schema("id", name=TEXT), mode=mode))
    found = mesh.evolve_contract_schema(name, definition, version)
    assert (found.accepted, found.mode, found.to_version) == (accepted, mode, version)
    assert versions(mesh, name) == sorted({"1.0.0", version} if accepted else {"1.0.0"})


def test_a_transitive_mode_asks_every_earlier_version(mesh: DataMeshService) -> None:
    back, forth = schema("id", name=TEXT), schema("id", name={"type": ["string", "null"]})
    for mode, last in (("FORWARD", True), ("FORWARD_TRANSITIVE", False)):
        mesh.create_data_contract(contract(mode, back, mode="NONE"))
        assert mesh.evolve_contract_schema(mode, forth, "2.0.0").accepted
        mesh.create_data_contract(contract(mode, forth, "2.0.0", mode=mode))
        found = mesh.evolve_contract_schema(mode, {**forth, "title": "same for a reader of 2.0.0"}, "2.1.0")
        assert found.accepted is last
    assert "version 1 of 2" in found.reasons[0]


def test_the_mode_of_the_newest_version_decides_not_that_of_the_proposal(mesh: DataMeshService) -> None:
    mesh.create_data_contract(contract("strict", schema("id")))
    with pytest.raises(ContractRefused):
        mesh.create_data_contract(contract("strict", schema("id", "name"), "2.0.0", "NONE"))
    for version in ("1.0.0", "1.1.0"):
        with pytest.raises(ContractRefused, match="needs a new major version") as refused:
            mesh.create_data_contract(contract("strict", schema("id"), version, "NONE"))
        assert [item.rule for item in refused.value.evolution.differences] == ["COMPATIBILITY_MODE_LOOSENED"]
    mesh.create_data_contract(contract("strict", schema("id"), "2.0.0", "NONE"))
    mesh.create_data_contract(contract("strict", schema("id", "name"), "3.0.0", "NONE"))
    assert versions(mesh, "strict") == ["1.0.0", "2.0.0", "3.0.0"]
    mesh.create_data_contract(contract("strict", schema("id", "name"), "3.0.0", "FULL_TRANSITIVE"))
    with pytest.raises(ContractRefused, match="needs a new major version"):
        mesh.create_data_contract(contract("strict", schema("id", "name"), "3.0.0", "FULL"))


def test_what_is_registered_already_changes_nothing(mesh: DataMeshService) -> None:
    first = contract("again", schema("id"))
    mesh.create_data_contract(first)
    mesh.evolve_contract_schema("again", schema("id", phone=TEXT), "1.1.0")
    before = rows(mesh, "SELECT * FROM data_mesh.contract_versions WHERE contract_id = 'again' ORDER BY version")
    mesh.create_data_contract(first)
    assert mesh.evolve_contract_schema("again", schema("id", phone=TEXT), "1.1.0").accepted
    assert len(decisions(mesh, "again")) == 2
    assert (
        rows(mesh, "SELECT * FROM data_mesh.contract_versions WHERE contract_id = 'again' ORDER BY version") == before
    )


def test_new_owners_of_a_version_leave_its_time_of_registration(mesh: DataMeshService) -> None:
    at = "SELECT registered_at, owners FROM data_mesh.contract_versions WHERE contract_id = 'owned'"
    mesh.create_data_contract(contract("owned", schema("id"), owners=["ana"]))
    (before,) = rows(mesh, at)
    mesh.create_data_contract(contract("owned", schema("id"), owners=["ben"]))
    assert rows(mesh, at) == [(before[0], ["ben"])]
    assert len(decisions(mesh, "owned")) == 2


def test_another_schema_under_a_registered_version_is_refused(mesh: DataMeshService) -> None:
    mesh.create_data_contract(contract("swapped", schema("id")))
    with pytest.raises(ContractRefused, match=r"1\.0\.0"):
        mesh.create_data_contract(contract("swapped", schema("id", phone=TEXT)))
    (kept,) = rows(mesh, "SELECT document FROM data_mesh.contract_versions WHERE contract_id = 'swapped'")
    assert json.loads(kept[0]) == schema("id")


def test_documents_that_differ_only_for_json_are_not_taken_for_equal(mesh: DataMeshService) -> None:
    mesh.create_data_contract(contract("json", {"const": 1}))
    mesh.create_data_contract(contract("json", {"const": 1, "title": "x"}, "1.0.1"))
    with pytest.raises(ContractRefused, match="does not follow"):
        mesh.create_data_contract(contract("json", {"title": "x", "const": True}, "1.0.1"))
    mesh.create_data_contract(contract("json", {"title": "x", "const": 1}, "1.0.1"))
    assert len(decisions(mesh, "json")) == 3


def test_what_makes_no_contract_is_an_error_and_no_decision(mesh: DataMeshService) -> None:
    mesh.create_data_contract(contract("valid", schema("id")))
    with pytest.raises(CogniforgeError, match="there is no contract 'nothing'"):
        mesh.evolve_contract_schema("nothing", schema("id"), "1.1.0")
    with pytest.raises(SchemaError):
        mesh.evolve_contract_schema("valid", {"type": "txet"}, "1.1.0")
    for wrong, message in (
        (contract("bad", {"$ref": "#/$defs/gone"}), "leads nowhere"),
        (contract("bad", schema("id"), "one"), "one"),
        (contract("bad", schema("id"), "1.0"), r"1\.0"),
        (contract("bad", schema("id"), mode="BACKWARDS"), "BACKWARDS"),
        (contract(" ", schema("id")), "needs contract_id"),
        (contract("bad", {"const": object()}), "values that JSON can hold"),
        (contract("bad", ["id"]), "expected a JSON Schema or an ODCS contract"),
    ):
        with pytest.raises(CogniforgeError, match=message):
            mesh.create_data_contract(wrong)
    assert versions(mesh, "bad") == [] and decisions(mesh, "bad") == []
    assert len(decisions(mesh, "valid")) == 1


def odcs(version: str, kind: str) -> dict[str, Any]:
    columns = [
        {"name": "order_id", "physicalType": "BIGINT", "primaryKey": True},
        {"name": "amount", "physicalType": kind},
    ]
    return {
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "refunds", "name": "shop.refunds", "version": version,
        "status": "active", "schema": [{"name": "refunds", "physicalType": "table", "properties": columns}],
    }  # fmt: skip


def test_a_contract_of_a_table_evolves_by_the_widening_of_its_types(mesh: DataMeshService) -> None:
    mesh.create_data_contract(contract("table", odcs("1.0.0", "INTEGER")))
    assert mesh.evolve_contract_schema("table", odcs("1.1.0", "BIGINT"), "1.1.0").accepted
    refused = mesh.evolve_contract_schema("table", odcs("2.0.0", "SMALLINT"), "2.0.0")
    assert [(item.rule, item.path) for item in refused.breaking] == [("TYPE_NARROWED", "#/properties/amount")]
    other = mesh.evolve_contract_schema("table", schema("order_id"), "2.0.0")
    assert not other.accepted and "cannot be compared" in other.reasons[0]
    with pytest.raises(CogniforgeError, match=r"schema_version is 1\.2\.0, the ODCS contract says 1\.1\.0"):
        mesh.evolve_contract_schema("table", odcs("1.1.0", "BIGINT"), "1.2.0")
    assert rows(mesh, "SELECT DISTINCT kind FROM data_mesh.contract_versions WHERE contract_id = 'table'") == [
        ("odcs",)
    ]
    assert versions(mesh, "table") == ["1.0.0", "1.1.0"]


def test_a_file_that_is_refused_again_and_again_is_told_of_once(mesh: DataMeshService, tmp_path: Path) -> None:
    path = tmp_path / "refunds.yaml"
    told = []
    for version, kind in (("1.0.0", "BIGINT"), *[("2.0.0", "INTEGER")] * 3, ("2.0.0", "VARCHAR"), ("2.0.0", "INTEGER")):
        path.write_text(json.dumps(odcs(version, kind)))
        propose(mesh.home, version_of_file(load_contract(path)), who="run")
        told.append(len(decisions(mesh, "shop.refunds")))
    assert told == [1, 2, 2, 2, 3, 4]
    assert versions(mesh, "shop.refunds") == ["1.0.0"]


def test_what_a_file_says_of_itself_is_registered_with_it(mesh: DataMeshService, tmp_path: Path) -> None:
    path = tmp_path / "refunds.yaml"
    document = odcs("1.0.0", "BIGINT") | {"name": "shop.told", "domain": "money", "team": {"name": "team-orders"}}
    document["schema"][0]["name"] = "told"
    document["customProperties"] = [{"property": "compatibilityMode", "value": "FULL_TRANSITIVE"}]
    path.write_text(json.dumps(document))
    propose(mesh.home, version_of_file(load_contract(path)), who="run")
    (found,) = rows(
        mesh, "SELECT mode, domain, owners, origin, kind FROM data_mesh.contract_versions WHERE contract_id = 'shop.told'"
    )  # fmt: skip
    assert found == ("FULL_TRANSITIVE", "money", ["team-orders"], "file", "odcs")


def _propose(folder: Path, writer: int) -> None:
    service = open_service(folder)
    for number in range(2):
        service.evolve_contract_schema(
            "raced", schema("id", **{f"by{writer}": TEXT}), f"1.{number + 1}.0", who=str(writer)
        )


def test_of_versions_proposed_at_once_one_wins_and_all_decisions_are_kept(mesh: DataMeshService) -> None:
    mesh.create_data_contract(contract("raced", schema("id")))
    folder = mesh.home.settings.home
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_propose, args=(folder, 0))
    process.start()
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda n: _propose(folder, n), (1, 2)))
    process.join(120)
    assert process.exitcode == 0
    accepted = [row for row in decisions(mesh, "raced") if row[2]]
    assert len(decisions(mesh, "raced")) == 1 + 3 * 2
    assert versions(mesh, "raced") == sorted(row[1] for row in accepted)
    assert all(earlier[1] == later[0] for earlier, later in zip(accepted, accepted[1:], strict=False))


def test_rows_of_a_contract_have_no_further_properties_unless_it_says_so(mesh: DataMeshService) -> None:
    """As a table has no further columns: an optional property may come, and none may go."""
    said_nothing = {
        "type": "object",
        "required": ["id"],
        "properties": {"id": TEXT, "place": {"properties": {"x": TEXT}}},
    }
    mesh.create_data_contract(contract("rows", said_nothing))
    grown = {**said_nothing, "properties": {**said_nothing["properties"], "phone": TEXT}}
    assert mesh.evolve_contract_schema("rows", grown, "1.1.0").accepted
    deeper = {**grown, "properties": {**grown["properties"], "place": {"properties": {"x": TEXT, "y": TEXT}}}}
    assert mesh.evolve_contract_schema("rows", deeper, "1.2.0").accepted
    refused = mesh.evolve_contract_schema("rows", said_nothing, "2.0.0")
    assert [item.rule for item in refused.breaking][:1] == ["PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"]
    opened = {**said_nothing, "additionalProperties": True}
    mesh.create_data_contract(contract("opened", opened))
    found = mesh.evolve_contract_schema("opened", {**grown, "additionalProperties": True}, "1.1.0")
    assert [item.rule for item in found.breaking] == ["PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"]
