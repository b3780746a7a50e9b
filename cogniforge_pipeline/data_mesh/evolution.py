"""Versions of contracts: which new one is accepted, and keeping every decision.

Belongs here: `data_mesh.contract_versions` and `data_mesh.schema_evolutions`, reading, deciding and writing. Does not:
what differs between two documents, and which step it needs (`compatibility`).

A new version is accepted when it is compatible with the newest one in the contract's mode (in a transitive mode with all
versions) and its number is higher by at least the step that the change needs. The mode is that of the newest version:
nobody loosens it with the change that it would have refused, and to ask for less later takes a major step of its own.

A contract describes rows, so a JSON Schema that does not say otherwise has no further properties
(`documents.as_record`): to add an optional one breaks nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cmp_to_key
from typing import Any, cast

from pydantic import JsonValue

from cogniforge_pipeline import written
from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.data_mesh.compatibility import Difference, Mode, required_bump, step_problem
from cogniforge_pipeline.data_mesh.compatibility.model import MODES, Direction
from cogniforge_pipeline.data_mesh.compatibility.versions import parse_version
from cogniforge_pipeline.data_mesh.documents import as_record, compare_documents, kind_of, plain
from cogniforge_pipeline.data_mesh.service_types import (
    ContractVersion,
    DataContract,
    Origin,
    SchemaEvolution,
    json_text,
)
from cogniforge_pipeline.data_mesh.sla import promises
from cogniforge_pipeline.data_mesh.told import told_contract
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.sqltext import ident, literal

VERSIONS, EVOLUTIONS = "data_mesh.contract_versions", "data_mesh.schema_evolutions"
TOLD = (VERSIONS, EVOLUTIONS)
"""Tables that nothing computes."""
MODE_PROPERTY = "compatibilityMode"
"""The custom property of an ODCS contract that names its mode; BACKWARD without one."""
_LOOSE = "a mode that asks for less needs a new major version, with no other change that breaks"
UNCHANGED = "it is registered already"
_RETOLD = ("mode", "domain", "name", "description", "owners", "consumers", "sla")


class ContractRefused(CogniforgeError):
    """A version of a contract that was not accepted; `evolution` is the decision, which is kept."""

    def __init__(self, evolution: SchemaEvolution) -> None:
        self.evolution = evolution
        super().__init__(
            f"{evolution.contract_id} {evolution.to_version} is refused: {'; '.join(evolution.reasons)}",
            "change what breaks, or give the changed data a contract of its own",
        )


def version_of(contract: DataContract, origin: Origin = "api") -> ContractVersion:
    """The version that a contract of the Python API proposes. Raises CogniforgeError for what makes none."""
    kind = kind_of(contract.schema_definition)
    mode = str(contract.compatibility_mode)
    if mode not in MODES:
        raise CogniforgeError(f"compatibility_mode {mode!r} is unknown", f"use one of {', '.join(MODES)}")
    for name in ("contract_id", "domain", "name", "schema_version"):
        if not str(getattr(contract, name)).strip():
            raise CogniforgeError(f"a contract needs {name}, and this one has none", "give a text that is not empty")
    document: Any = contract.schema_definition
    if kind == "odcs" and str(document.get("version")) != contract.schema_version:
        raise CogniforgeError(
            f"{contract.contract_id}: schema_version is {contract.schema_version}, the ODCS contract says "
            f"{document.get('version')}",
            "make them equal",
        )
    made = ContractVersion(
        contract_id=contract.contract_id,
        version=contract.schema_version,
        kind=kind,
        document=json_text(f"schema_definition of {contract.contract_id}", document),
        mode=cast(Mode, mode),
        domain=str(contract.domain),
        name=contract.name,
        description=contract.description,
        owners=tuple(contract.owners),
        consumers=tuple(contract.consumers),
        sla=json_text(f"sla_guarantees of {contract.contract_id}", dict(contract.sla_guarantees)),
        registered_at=datetime.now(UTC),
        origin=origin,
    )
    if origin == "api":
        promises({made.contract_id: told_contract(made)})  # refuses a promise that nobody could measure
    return made


def version_of_file(contract: Contract, origin: Origin = "file") -> ContractVersion:
    """The version that an ODCS file proposes, under the name of its table. Raises CogniforgeError for an unknown mode."""
    return version_of(
        DataContract(
            contract_id=contract.name,
            domain=str(contract.raw.get("domain") or contract.schema),
            name=contract.name,
            description=contract.description,
            schema_version=contract.version,
            schema_definition=plain(contract.raw),
            compatibility_mode=cast(Mode, contract.custom.get(MODE_PROPERTY, "BACKWARD")),
            owners=[contract.owner] if contract.owner else [],
            sla_guarantees=contract.sla,
        ),
        origin,
    )


def registered(cursor: Connection, contract_id: str | None = None) -> dict[str, list[ContractVersion]]:
    """The versions of one contract, or of all, the oldest first."""
    where = "" if contract_id is None else f"WHERE contract_id = {literal(contract_id)}"
    found = cursor.execute(f"SELECT * FROM {VERSIONS} {where}")
    names = [column[0] for column in found.description or []]
    versions: dict[str, list[ContractVersion]] = {}
    for row in found.fetchall():
        version = ContractVersion.from_row(dict(zip(names, row, strict=True)))
        versions.setdefault(version.contract_id, []).append(version)
    return {name: sorted(each, key=cmp_to_key(_order)) for name, each in versions.items()}


def _order(one: ContractVersion, other: ContractVersion) -> int:
    return -1 if parse_version(one.version).precedes(parse_version(other.version)) else 1


def decide(
    known: Sequence[ContractVersion],
    proposed: ContractVersion,
    *,
    who: str,
    stated_changes: Iterable[Mapping[str, Any]] = (),
) -> SchemaEvolution:
    """The decision on a version, given all earlier ones, the oldest first; nothing is written.

    Raises CogniforgeError for a document that cannot be used, and for a version that is not major.minor.patch.
    """
    parse_version(proposed.version)
    newest = known[-1] if known else None
    document = proposed.content
    made = SchemaEvolution(
        contract_id=proposed.contract_id,
        from_version=newest.version if newest else None,
        to_version=proposed.version,
        mode=newest.mode if newest else proposed.mode,
        accepted=True,
        required_step=None,
        differences=(),
        reasons=("it is the first version",),
        decided_at=datetime.now(UTC),
        who=who,
        stated_changes=tuple(stated_changes),
    )
    if newest is None:
        compare_documents(document, document)  # refuses one that cannot be used
        return made
    same = next((version for version in known if version.version == proposed.version), None)
    loosened = _loosened(newest.mode, proposed.mode)
    if same and same.canonical == proposed.canonical and (same is newest or proposed.origin == "api"):
        if loosened:
            return replace(made, accepted=False, required_step="major", differences=(loosened,), reasons=(_LOOSE,))
        return replace(made, required_step="none", reasons=_retold(same, proposed))
    if newest.kind != proposed.kind:
        compare_documents(document, document)
        reason = f"version {newest.version} is {newest.kind}, this one is {proposed.kind}: they cannot be compared"
        return replace(made, accepted=False, required_step="major", reasons=(reason,))
    earlier = [_rows_of(version) for version in known[:-1] if version.kind == proposed.kind]
    found = compare_documents(_rows_of(newest), _rows_of(proposed), newest.mode, history=earlier)
    differences = (*found.differences, loosened) if loosened else found.differences
    step = "major" if loosened else required_bump(found.differences)
    reasons = [] if found.compatible else [f"{item.message} ({item.rule} at {item.path})" for item in found.breaking]
    wrong = step_problem(newest.version, proposed.version, step)
    if wrong:
        reasons.append(f"{wrong}: {_LOOSE}" if loosened else wrong)
    accepted = not reasons
    if accepted:
        reasons.append(f"compatible in mode {newest.mode}; the change needs a step of {step}")
    return replace(made, accepted=accepted, required_step=step, differences=differences, reasons=tuple(reasons))


def _rows_of(version: ContractVersion) -> Any:
    return version.content if version.kind == "odcs" else as_record(version.content)


def _loosened(old: Mode, new: Mode) -> Difference | None:
    """What to tell of a mode that protects fewer readers than the one before."""
    before, after = _protected(old), _protected(new)
    if before <= after:
        return None
    direction: Direction = "FORWARD" if "FORWARD" in before - after else "BACKWARD"
    return Difference("COMPATIBILITY_MODE_LOOSENED", "#", direction, False, f"the mode {old} becomes {new}")


def _protected(mode: Mode) -> set[str]:
    word, _, transitive = mode.partition("_")
    directions = {"FULL": {"BACKWARD", "FORWARD"}, "NONE": set()}.get(word, {word})
    return directions | {f"{name} of all versions" for name in directions if transitive}


def propose(
    home: Home,
    proposed: ContractVersion,
    *,
    who: str,
    stated_changes: Iterable[Mapping[str, Any]] = (),
    run_id: str = "api",
) -> SchemaEvolution:
    """Decides on a version, writes the decision, and the version when it is accepted; both or neither.

    Proposed again unchanged, nothing is written, nor is the same refusal of a file written twice in a row. With the
    document it has already, a version takes over who owns and uses it, its promises and its mode, and the decision names
    what became different. Raises as `decide`, and LakeError.
    """
    stated = tuple(stated_changes)
    with home.lake.explained():
        known = registered(home.lake.cursor(), proposed.contract_id).get(proposed.contract_id, [])
    decision = decide(known, proposed, who=who, stated_changes=stated)
    if decision.reasons == (UNCHANGED,):
        return decision
    new = False

    def make(cursor: Connection) -> list[dict[str, Any]]:
        nonlocal decision, new
        now = registered(cursor, proposed.contract_id).get(proposed.contract_id, [])
        if now != known:
            decision = decide(now, proposed, who=who, stated_changes=stated)
        told_before = proposed.origin != "api" and not decision.accepted and _told(cursor, decision)
        if told_before or decision.reasons == (UNCHANGED,):
            return []
        moment, new = datetime.now(UTC), True
        decision = replace(decision, decided_at=moment)
        written.append_within(home, cursor, EVOLUTIONS, [decision.to_row()], run_id=run_id)
        same = next((version for version in now if version.version == proposed.version), None)
        row = replace(
            proposed,
            registered_at=same.registered_at if same else moment,
            origin=same.origin if same else proposed.origin,
        ).to_row()
        return [row] if decision.accepted else []

    written.update(home, VERSIONS, make, run_id=run_id)
    if new and decision.from_version:
        _announce(home, decision)
    return decision


def _announce(home: Home, decision: SchemaEvolution) -> None:
    about: JsonValue = {
        "contract_id": decision.contract_id,
        "from_version": decision.from_version,
        "to_version": decision.to_version,
        "mode": decision.mode,
        "reasons": list(decision.reasons),
    }
    word = "accepted" if decision.accepted else "refused"
    home.events.publish(
        f"contract.version.{word}",
        about,
        source="/cogniforge/data_mesh",
        subject=decision.contract_id,
        time=decision.decided_at,
    )


def _told(cursor: Connection, decision: SchemaEvolution) -> bool:
    """Whether the newest decision on the contract is this one."""
    row = decision.to_row()
    names = [name for name in row if name not in ("decided_at", "who")]
    found = cursor.execute(
        f"SELECT {', '.join(map(ident, names))} FROM {EVOLUTIONS} WHERE contract_id = {literal(decision.contract_id)} "
        "ORDER BY decided_at DESC LIMIT 1"
    ).fetchone()
    return found is not None and list(found) == [list(v) if isinstance(v, tuple) else v for v in map(row.get, names)]


def _retold(same: ContractVersion, proposed: ContractVersion) -> tuple[str, ...]:
    """What is told otherwise of a version whose document stays, in words."""
    pairs = ((name, getattr(same, name), getattr(proposed, name)) for name in _RETOLD)
    words = tuple(f"{name} is {_words(new)}, it was {_words(old)}" for name, old, new in pairs if old != new)
    return words or (UNCHANGED,)


def _words(value: object) -> str:
    return (", ".join(value) if isinstance(value, tuple) else str(value)) or "empty"
