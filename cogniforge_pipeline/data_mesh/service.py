"""The Python API of the domain: contexts and their products, contracts and their versions, measured quality.

Belongs here: one method for each thing that a user does, in the words of the API. Does not: deciding on a version
(`evolution.py`), or what a run computes from what is told here.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Mapping
from typing import Any

from cogniforge_pipeline import written
from cogniforge_pipeline.data_mesh.evolution import (
    EVOLUTIONS,
    VERSIONS,
    ContractRefused,
    propose,
    registered,
    version_of,
)
from cogniforge_pipeline.data_mesh.interchange import Exported, Format, export_contract
from cogniforge_pipeline.data_mesh.model import CONTEXT_KIND, GOVERNANCE_KIND, BoundedContext
from cogniforge_pipeline.data_mesh.service_types import (
    DataContract,
    DataProduct,
    DataQualityMetrics,
    SchemaEvolution,
)
from cogniforge_pipeline.declarations import Declaration, DeclarationsInvalid, declare
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import QUALITY
from cogniforge_pipeline.registry import declared, record
from cogniforge_pipeline.services import Service, shared
from cogniforge_pipeline.settings import Settings

RUN_ID = "api"


class DataMeshService(Service):
    """Works on one home. Whatever a method writes is on disk when it returns; threads and processes may share a home.

    Every method raises LakeError where the lake cannot be read or written, and CogniforgeError for what it is given.
    """

    kinds = (CONTEXT_KIND, GOVERNANCE_KIND)

    def register_bounded_context(self, context: BoundedContext) -> BoundedContext:
        """Declares a context in place of what was told of it before, its products too; unchanged, it stays as it is.

        Neighbours may be declared later. Raises CogniforgeError for a product that another context offers, and
        DeclarationsInvalid where a file declares the same context.
        """

        def wanted(cursor: Connection) -> Iterable[Declaration[Any]]:
            _refuse_claimed(context, declared(cursor, CONTEXT_KIND))
            return [declare(CONTEXT_KIND, context)]

        changes, _ = record(self.home, wanted, run_id=RUN_ID)
        if changes.problems:
            raise DeclarationsInvalid(changes.problems)
        return context

    def register_data_product(self, product: DataProduct) -> DataProduct:
        """Adds a product to what its context offers, or tells it anew.

        Raises CogniforgeError for an unknown context and a product of another one, and DeclarationsInvalid for values
        that a product cannot have, and where a file declares the context.
        """

        def wanted(cursor: Connection) -> Iterable[Declaration[Any]]:
            contexts = declared(cursor, CONTEXT_KIND)
            context = next((each for each in contexts if each.name == product.context_id), None)
            if context is None:
                known = ", ".join(each.name for each in contexts) or "none"
                raise CogniforgeError(
                    f"there is no bounded context {product.context_id!r}",
                    f"create it first with register_bounded_context; known: {known}",
                )
            others = [each for each in context.spec.get("products", ()) if each["name"] != product.product_id]
            products = sorted([*others, product.declared()], key=lambda entry: str(entry["name"]))
            made = declare(CONTEXT_KIND, {**context.spec, "products": products})
            _refuse_claimed(made.model, contexts)
            return [made]

        changes, _ = record(self.home, wanted, run_id=RUN_ID)
        if changes.problems:
            raise DeclarationsInvalid(changes.problems)
        return product

    create_data_product = register_data_product

    def create_data_contract(self, contract: DataContract) -> DataContract:
        """Registers a contract's first version; unchanged, it stays as it is.

        With the schema that the version has, it tells anew who owns and uses the contract, its promises and its mode.
        A version that is not there yet is a proposal as in `evolve_contract_schema`. Raises ContractRefused when it is
        not accepted, and CogniforgeError for a schema that cannot be used.
        """
        decision = propose(self.home, version_of(contract), who=_account(), run_id=RUN_ID)
        if not decision.accepted:
            raise ContractRefused(decision)
        return contract

    def evolve_contract_schema(
        self,
        contract_id: str,
        new_schema: Mapping[str, Any] | bool,
        new_version: str,
        changes: Iterable[Mapping[str, Any]] = (),
        *,
        who: str | None = None,
    ) -> SchemaEvolution:
        """Proposes the next version of a contract. `accepted` says whether it was registered, `reasons` why or why not.

        What counts is what differs between the schemas, in the contract's mode; `changes` are kept with the decision and
        decide nothing. Everything else stays as in the newest version. Raises CogniforgeError for an unknown contract and
        a schema that cannot be used; that is no decision.
        """
        with self.home.lake.explained():
            known = registered(self.home.lake.cursor(), contract_id).get(contract_id)
        if not known:
            raise CogniforgeError(f"there is no contract {contract_id!r}", "create it first with create_data_contract")
        newest = known[-1]
        proposed = version_of(
            DataContract(
                contract_id,
                newest.domain,
                newest.name,
                newest.description,
                new_version,
                new_schema,
                newest.mode,
                newest.owners,
                newest.consumers,
                newest.promises,
            )
        )
        return propose(self.home, proposed, who=who or _account(), stated_changes=changes, run_id=RUN_ID)

    def export_contract(self, contract_id: str, version: str | None = None, format: Format = "odcs") -> Exported:
        """A registered version, by default the newest, as an ODCS contract (`odcs`) or as the JSON Schema of a row
        (`json-schema`); its `notes` say what of it the format cannot.

        Raises CogniforgeError for an unknown contract or version, and for what cannot be told in the format.
        """
        with self.home.lake.explained():
            known = registered(self.home.lake.cursor(), contract_id).get(contract_id)
        if not known:
            raise CogniforgeError(f"there is no contract {contract_id!r}", "create it first with create_data_contract")
        return export_contract(known, version, format)

    def record_quality_metrics(self, *metrics: DataQualityMetrics) -> None:
        """Writes quality that was measured elsewhere, all or none; several at once are much faster.

        Raises CogniforgeError for a share outside 0 to 1, a time without a zone, and a table of this lake, whose quality
        every publication measures.
        """
        for item in metrics:
            if item.product_id in self.home.contracts:
                raise CogniforgeError(
                    f"{item.product_id} is a table of this lake: its quality is measured whenever it is published",
                    f"read it from {QUALITY}",
                )
        written.append(self.home, QUALITY, [item.to_row(RUN_ID) for item in metrics], run_id=RUN_ID)

    def get_mesh_metrics(self) -> dict[str, int]:
        """How much there is: bounded_contexts, data_products (of contexts), data_contracts, contract_versions,
        schema_evolutions (decisions), refused_evolutions, quality_metrics and measured_products.
        """
        with self.home.lake.explained():
            cursor = self.home.lake.cursor()
            contexts = [each.model for each in declared(cursor, CONTEXT_KIND)]
            counts = cursor.execute(
                f"""
SELECT *
FROM (SELECT count(DISTINCT contract_id) AS data_contracts, count(*) AS contract_versions FROM {VERSIONS}),
    (SELECT count(*) AS schema_evolutions, count(*) FILTER (NOT accepted) AS refused_evolutions FROM {EVOLUTIONS}),
    (SELECT count(*) AS quality_metrics, count(DISTINCT product_id) AS measured_products FROM {QUALITY})"""
            )
            names = [column[0] for column in counts.description or []]
            (row,) = counts.fetchall()
        products = {product.name for context in contexts for product in context.offered}
        return {
            "bounded_contexts": len(contexts),
            "data_products": len(products),
            **dict(zip(names, row, strict=True)),
        }


def get_data_mesh_service(settings: Settings | None = None) -> DataMeshService:
    """This process's service for these settings, by default for the home that COGNIFORGE_HOME names; made if absent."""
    return shared(DataMeshService, settings)


def _refuse_claimed(context: BoundedContext, contexts: Iterable[Declaration[BoundedContext]]) -> None:
    offered = {product.name for product in context.offered}
    for other in contexts:
        twice = sorted(offered & {product.name for product in other.model.offered})
        if twice and other.name != context.context_id:
            raise CogniforgeError(
                f"{twice[0]} is a product of the context {other.name!r}",
                "a product belongs to one context: remove it from the other",
            )


def _account() -> str:
    """The name of the user's account, for the log of decisions."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
