"""Contracts of files against the registry: the check before a merge, what a run registers, and the gate before a table is
made.

Belongs here: which files there are, and what becomes of each. Does not: deciding on a version (`evolution.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cogniforge_pipeline import written
from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.data_mesh.compatibility import Difference
from cogniforge_pipeline.data_mesh.evolution import (
    EVOLUTIONS,
    UNCHANGED,
    VERSIONS,
    ContractRefused,
    decide,
    propose,
    registered,
    version_of_file,
)
from cogniforge_pipeline.data_mesh.service_types import ContractVersion, SchemaEvolution
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import Connection, Lake
from cogniforge_pipeline.products import read_contract
from cogniforge_pipeline.settings import Settings
from cogniforge_pipeline.sqltext import literal

ENDED = ("deprecated", "retired")
"""The states of an ODCS contract whose file may go."""
WHO = "run"


def admit(home: Home, contract: Contract, run_id: str) -> None:
    """Registers the version of a user's contract that is about to make its table. Raises ContractRefused, so that what
    breaks a promise never reaches the table.
    """
    decision = propose(home, version_of_file(contract), who=WHO, run_id=run_id)
    if not decision.accepted:
        raise ContractRefused(decision)


def register(home: Home, run_id: str) -> list[str]:
    """Registers all contracts of files, the package's own and the user's, and returns what is wrong with the latter.

    What is registered already costs no write, and all that is new is one. Raises LakeError.
    """
    with home.lake.explained():
        known = registered(home.lake.cursor())
    problems = []
    first: list[tuple[ContractVersion, SchemaEvolution]] = []
    for name, contract in home.contracts.items():
        theirs = name in home.products.contracts
        try:
            proposed = version_of_file(contract, "file" if theirs else "package")
            decision = decide(known.get(name, ()), proposed, who=WHO)
            if name not in known:
                first.append((proposed, decision))
            elif decision.reasons != (UNCHANGED,):
                decision = propose(home, proposed, who=WHO, run_id=run_id)
        except CogniforgeError as error:
            if not theirs:
                raise
            problems.append(f"{_place(name)}.yaml: {error.message}")
            continue
        if theirs and not decision.accepted:
            problems.append(f"{_place(name)}.yaml: {decision.to_version} is refused: {'; '.join(decision.reasons)}")
    _write_first(home, first, run_id)
    problems += [f"{_place(name)}.yaml: {reason}" for name, _, reason in _gone(known, home.settings)]
    return problems


def _write_first(home: Home, first: list[tuple[ContractVersion, SchemaEvolution]], run_id: str) -> None:
    def make(cursor: Connection) -> list[dict[str, Any]]:
        now = registered(cursor)
        new = [(version, decision) for version, decision in first if version.contract_id not in now]
        if new:
            rows = [decision.to_row() for _, decision in new]
            written.append_within(home, cursor, EVOLUTIONS, rows, run_id=run_id)
        return [version.to_row() for version, _ in new]

    if first:
        written.update(home, VERSIONS, make, run_id=run_id)


def _place(name: str) -> str:
    return f"contracts/{name.replace('.', '/')}"


def _files(settings: Settings) -> list[Path]:
    return sorted((settings.platform / "contracts").rglob("*.y*ml"))


def _gone(
    versions: Mapping[str, list[ContractVersion]], settings: Settings
) -> Iterator[tuple[str, ContractVersion, str]]:
    """Contracts that files registered and that no file tells any more, unless they had ended."""
    root = settings.platform / "contracts"
    there = {".".join(path.relative_to(root).with_suffix("").parts) for path in _files(settings)}
    for name, each in sorted(versions.items()):
        newest = each[-1]
        if newest.origin == "file" and name not in there and newest.content.get("status") not in ENDED:
            yield name, newest, f"{name} was registered and has no file any more: set its status to deprecated first"


@dataclass(frozen=True)
class Review:
    """What would become of one file of the platform folder; `path` is relative to it."""

    path: str
    verdict: Literal["unchanged", "accepted", "refused"]
    to_version: str | None
    reasons: tuple[str, ...]
    from_version: str | None = None
    differences: tuple[Difference, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values, with the differences as `Difference.to_dict` gives them."""
        return {
            "path": self.path,
            "verdict": self.verdict,
            "from_version": self.from_version,
            "to_version": self.to_version,
            "reasons": list(self.reasons),
            "differences": [item.to_dict() for item in self.differences],
        }


def check_files(settings: Settings) -> list[Review]:
    """How the registry would decide on each contract of the platform folder, in order of path; nothing is written.

    A file that cannot be used is refused, and so is one that was registered and is gone, unless its contract was
    deprecated or retired. Raises LakeError where the lake cannot be read.
    """
    lake = Lake(settings, read_only=True)
    try:
        with lake.explained():
            cursor = lake.cursor()
            schema, _, table = VERSIONS.partition(".")
            known = cursor.execute(
                "SELECT 1 FROM duckdb_tables() WHERE database_name = current_catalog() "
                f"AND schema_name = {literal(schema)} AND table_name = {literal(table)}"
            ).fetchone()
            versions = registered(cursor) if known else {}
    finally:
        lake.close()
    reviews = []
    for path in _files(settings):
        shown = path.relative_to(settings.platform).as_posix()
        version: str | None = None
        try:
            proposed = version_of_file(read_contract(path))
            version = proposed.version
            decision = decide(versions.get(proposed.contract_id, []), proposed, who="")
        except CogniforgeError as error:
            hint = f" ({error.hint})" if error.hint else ""
            reviews.append(Review(shown, "refused", version, (error.message.replace(str(path), shown) + hint,)))
            continue
        accepted: Literal["unchanged", "accepted"] = "unchanged" if decision.reasons == (UNCHANGED,) else "accepted"
        reviews.append(
            Review(
                shown,
                accepted if decision.accepted else "refused",
                decision.to_version,
                decision.reasons,
                decision.from_version,
                decision.differences,
            )
        )
    for name, newest, reason in _gone(versions, settings):
        reviews.append(Review(f"{_place(name)}.yaml", "refused", None, (reason,), newest.version))
    return reviews
