"""The tables of the mesh that follow from what is declared, promised and logged: which statements make them.

Belongs here: recipes, each a few lines around a topic. Does not: the topics (`governance.py`, `lineage.py`, `sla.py`,
`trends.py`), Dagster, or the logs themselves (`publish`).

The logs grow with every publication, also with those of these tables, so they cannot say whether something is new.
What a table of the mesh depends on instead are the versions of all tables that are not of the mesh.

Service levels and waivers end by the clock, not by telemetry: data of 2014 does not keep a promise of today. A recipe's
digest tells what the clock has changed, so a table is computed again when a promise breaks by silence alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from hashlib import sha256
from typing import Any

from cogniforge_pipeline.contracts import Contract, load_contracts
from cogniforge_pipeline.data_mesh.evolution import VERSIONS, registered
from cogniforge_pipeline.data_mesh.governance import findings, subjects
from cogniforge_pipeline.data_mesh.lineage import Edge, column_edges, table_edges
from cogniforge_pipeline.data_mesh.model import CONTEXT_KIND, GOVERNANCE_KIND, BoundedContext
from cogniforge_pipeline.data_mesh.sla import overdue_sql, promises, sla_status_sql
from cogniforge_pipeline.data_mesh.told import of_products
from cogniforge_pipeline.data_mesh.trends import quality_trends_sql
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import MATERIALIZATIONS, QUALITY
from cogniforge_pipeline.queries import Query, load_queries
from cogniforge_pipeline.recipes import Computed, Written
from cogniforge_pipeline.registry import REGISTRY, declared
from cogniforge_pipeline.settings import packaged
from cogniforge_pipeline.sqltext import ident, literal

CONTEXTS, PRODUCTS, FINDINGS = "data_mesh.contexts", "data_mesh.products", "data_mesh.governance_findings"
TRENDS, SLA, LINEAGE = "data_mesh.quality_trends", "data_mesh.sla_status", "data_mesh.lineage"
AFTER_ALL = (MATERIALIZATIONS, QUALITY, TRENDS, SLA, LINEAGE)
"""What tells of all publications of a run, and so comes after them."""

Contracts = Mapping[str, Contract]


@dataclass(frozen=True)
class Mesh:
    """What the recipes look at besides the lake: all contracts, all queries and views, and the clock."""

    contracts: Callable[[], Contracts]
    queries: Callable[[], Sequence[Query]]
    clock: Callable[[], datetime]

    def contexts(self, cursor: Connection) -> list[BoundedContext]:
        return [declaration.model for declaration in declared(cursor, CONTEXT_KIND)]

    def kept(self, cursor: Connection) -> dict[str, Contract]:
        """The contract of each product, also of those that only the Python API knows."""
        told = (versions[-1] for versions in registered(cursor).values() if versions[-1].origin == "api")
        return of_products(self.contracts(), told, self.contexts(cursor))

    def logged(self) -> tuple[str, ...]:
        """The logs, which have a version where the Python API adds to them, and the tables that are not of the mesh."""
        others = (name for name, contract in self.contracts().items() if contract.schema != "data_mesh")
        return (QUALITY, MATERIALIZATIONS, *others)

    @cached_property
    def column_edges(self) -> list[Edge]:
        """Read once: to follow every column takes a second."""
        shown = [*self.queries(), Query(TRENDS, quality_trends_sql(), ())]
        return column_edges(shown, self.contracts())


@cache
def packaged_contracts() -> Contracts:
    """The contracts of this program's own tables."""
    return load_contracts(packaged("contracts"))


@cache
def packaged_queries() -> Sequence[Query]:
    """The queries and the views of this program."""
    return (*load_queries(packaged("sql")).values(), *load_queries(packaged("sql") / "views").values())


def computed(
    contracts: Callable[[], Contracts] = packaged_contracts,
    queries: Callable[[], Sequence[Query]] = packaged_queries,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[Computed]:
    """All of them; `clock` gives aware times."""
    mesh = Mesh(contracts, queries, clock)
    return [
        Computed(CONTEXTS, (REGISTRY,), lambda cursor: _contexts(mesh, cursor)),
        Computed(PRODUCTS, (REGISTRY, VERSIONS), lambda cursor: _products(mesh, cursor)),
        Computed(FINDINGS, (REGISTRY, VERSIONS), lambda cursor: _findings(mesh, cursor)),
        Computed(TRENDS, (QUALITY, MATERIALIZATIONS), lambda _: _trends(mesh)),
        Computed(SLA, (QUALITY, MATERIALIZATIONS, VERSIONS), lambda cursor: _sla(mesh, cursor)),
        Computed(LINEAGE, (MATERIALIZATIONS,), lambda cursor: _lineage(mesh, cursor)),
    ]


def _contexts(mesh: Mesh, cursor: Connection) -> Written:
    rows: list[dict[str, Any]] = [
        {
            "context_id": context.context_id,
            "domain": context.domain,
            "name": context.name or context.context_id,
            "description": context.description or "",
            "owner": context.owner,
            "data_products": [product.name for product in context.offered],
            "upstream_contexts": list(context.upstream_contexts),
            "downstream_contexts": list(context.downstream_contexts),
            "governance_policies": json.dumps(context.governance_policies.model_dump(exclude_defaults=True)),
        }
        for context in mesh.contexts(cursor)
    ]
    return _fixed(CONTEXTS, rows)


def _products(mesh: Mesh, cursor: Connection) -> Written:
    contexts = {context.context_id: context for context in mesh.contexts(cursor)}
    rows: list[dict[str, Any]] = [
        {
            "product_id": subject.product.name,
            "context_id": subject.context_id,
            "domain": _domain(contexts.get(subject.context_id or ""), subject.contract),
            "tier": subject.product.tier,
            "owner": subject.owner or None,
            "description": subject.description,
            "input_ports": list(subject.product.input_ports),
            "output_ports": list(subject.product.output_ports),
            "contract_version": subject.contract.version if subject.contract else None,
            "status": subject.contract.status if subject.contract else None,
            "columns": len(subject.contract.columns) if subject.contract else None,
            "tags": list(subject.contract.tags) if subject.contract else [],
            "freshness_seconds": subject.contract.freshness_seconds if subject.contract else None,
        }
        for subject in subjects(mesh.kept(cursor), contexts.values())
    ]
    return _fixed(PRODUCTS, rows)


def _domain(context: BoundedContext | None, contract: Contract | None) -> str | None:
    if context:
        return context.domain
    return str(contract.raw.get("domain") or contract.schema) if contract else None


def _findings(mesh: Mesh, cursor: Connection) -> Written:
    contexts = mesh.contexts(cursor)
    policies = [declaration.model for declaration in declared(cursor, GOVERNANCE_KIND)]
    now = mesh.clock()
    found = findings(mesh.kept(cursor), contexts, policies, now)
    select = _rows([finding.to_row(now) for finding in found]) if found else None
    digest = _digest(*(repr(finding) for finding in found))
    return Written(FINDINGS, (REGISTRY,), digest, lambda *_: [select] if select else [], idle=not found, timeless=True)


def _trends(mesh: Mesh) -> Written:
    select = quality_trends_sql()
    return Written(TRENDS, mesh.logged(), _digest(select), lambda *_: [select], timeless=True)


def _sla(mesh: Mesh, cursor: Connection) -> Written:
    promised = promises(mesh.kept(cursor))
    if not promised:
        return Written(SLA, (), "", lambda *_: [], idle=True)
    now = mesh.clock()
    states = cursor.execute(overdue_sql(promised, now)).fetchall()
    return Written(
        SLA,
        mesh.logged(),
        _digest(sla_status_sql(promised, datetime(2024, 5, 1, tzinfo=UTC)), *map(repr, states)),
        lambda *_: [sla_status_sql(promised, now)],
        timeless=True,
    )


def _lineage(mesh: Mesh, cursor: Connection) -> Written:
    inputs = _table_inputs(mesh, cursor)
    shapes = (f"{c.name}:{[(column.name, column.type) for column in c.columns]}" for c in mesh.contracts().values())
    return Written(
        LINEAGE,
        (),
        _digest(repr(sorted(inputs.items())), *(query.digest for query in mesh.queries()), *sorted(shapes)),
        lambda *_: [_rows([edge.to_row() for edge in (*table_edges(inputs), *mesh.column_edges)])],
        timeless=True,
    )


def _table_inputs(mesh: Mesh, cursor: Connection) -> dict[str, tuple[str, ...]]:
    """What the queries and views read, and what the last publication of every other table has read."""
    rows = cursor.execute(
        f"SELECT table_name, map_keys(arg_max(inputs, version)) FROM {MATERIALIZATIONS} GROUP BY table_name"
    ).fetchall()
    own = {table.name: table.inputs for table in computed()}
    return {name: tuple(read) for name, read in rows} | own | {query.name: query.inputs for query in mesh.queries()}


def _fixed(name: str, rows: Sequence[Mapping[str, Any]]) -> Written:
    """A recipe of rows that follow from the registry and are known already."""
    select = _rows(rows) if rows else None
    return Written(
        name,
        (REGISTRY,),
        _digest(select or ""),
        lambda *_: [select] if select else [],
        idle=not select,
        timeless=True,
    )


def _rows(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(rows[0])
    values = ", ".join(f"({', '.join(_value(row[name]) for name in columns)})" for row in rows)
    return f"SELECT * FROM (VALUES {values}) AS made({', '.join(map(ident, columns))})"


def _value(value: Any) -> str:
    return "CAST([] AS VARCHAR[])" if value == [] else literal(value)


def _digest(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:16]
