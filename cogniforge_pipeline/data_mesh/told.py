"""Contracts that the Python API registered, in the form that judgement of promises and policies takes.

Belongs here: one version of such a contract as a `Contract`. Does not: deciding on a version (`evolution.py`), judging.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.contracts.model import Column
from cogniforge_pipeline.data_mesh.model import BoundedContext
from cogniforge_pipeline.data_mesh.service_types import ContractVersion


def of_products(
    contracts: Mapping[str, Contract], told: Iterable[ContractVersion], contexts: Iterable[BoundedContext]
) -> dict[str, Contract]:
    """The contract of each product, by the product's name: those of files, and the newest versions of the API's.

    A product keeps the contract that its context names for it, else the one of its own name.
    """
    known = {version.contract_id: told_contract(version) for version in told} | dict(contracts)
    named = {p.name: p.contract for context in contexts for p in context.offered if p.contract in known}
    kept = {name: contract for name, contract in known.items() if name in contracts or name not in named.values()}
    return kept | {product: known[contract] for product, contract in named.items() if contract}


def told_contract(version: ContractVersion) -> Contract:
    """A contract without a table: its columns are the properties that the schema names, and it has no rules."""
    properties = _properties(version)
    schema, _, table = version.contract_id.rpartition(".")
    return Contract(
        schema=schema,
        table=table,
        version=version.version,
        status="active",
        description=version.description,
        owner=version.owners[0] if version.owners else "",
        tags=(),
        columns=tuple(
            Column(name=name, type="JSON", required=False, description=str(entry.get("description") or ""))
            for name, entry in properties.items()
        ),
        rules=(),
        partition_column=None,
        sort_by=(),
        time_column=None,
        sla=version.promises,
        custom={},
        path=Path(version.contract_id),
        raw={
            "domain": version.domain,
            "schema": [
                {
                    "properties": [
                        {"name": name, "classification": entry.get("classification") or entry.get("x-classification")}
                        for name, entry in properties.items()
                    ]
                }
            ],
        },
    )


def _properties(version: ContractVersion) -> dict[str, Mapping[str, Any]]:
    content = version.content
    if version.kind == "odcs":
        entries = [entry for table in content.get("schema") or () for entry in table.get("properties") or ()]
        return {str(entry.get("name")): entry for entry in entries}
    found = content.get("properties") if isinstance(content, dict) else None
    return {name: each if isinstance(each, dict) else {} for name, each in (found or {}).items()}
