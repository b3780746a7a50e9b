"""Every table that a recipe computes as a Dagster asset, with no wiring: SQL files and what the domains write.

Belongs here: the asset of a recipe. Does not: reading the file (`queries.py`) or deciding what to compute
(`increments.py`).
"""

from collections.abc import Mapping

import dagster as dg

from cogniforge_pipeline import metadata, outcomes
from cogniforge_pipeline.automation import decide_eagerly
from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.increments import Outcome, code_version, materialize_recipe
from cogniforge_pipeline.queries import Query, QueryInvalid, check_inputs
from cogniforge_pipeline.recipes import Computed


def sql_assets(home: Home, plots: Mapping[str, outcomes.Plot]) -> list[dg.AssetsDefinition]:
    """One asset for each query and each computed table; `plots` by table name.

    Raises QueryInvalid for a query that reads a table nobody makes, or that has no contract.
    """
    for query in home.queries.values():
        check_inputs(query, home.contracts)
        if query.name not in home.contracts:
            place = query.name.replace(".", "/")
            raise QueryInvalid(f"sql/{place}.sql has no contract", f"write contracts/{place}.yaml")
    made: list[Query | Computed] = [*home.queries.values(), *home.computed.values()]
    return [_asset(home, table, home.contracts[table.name], plots) for table in made]


def _asset(
    home: Home, table: Query | Computed, contract: Contract, plots: Mapping[str, outcomes.Plot]
) -> dg.AssetsDefinition:
    by_day = contract.partition_column is not None
    is_query = isinstance(table, Query)
    beside = [home.contracts[name] for name in (() if isinstance(table, Query) else table.beside)]

    @dg.multi_asset(
        name=table.name.replace(".", "__"),
        specs=[
            metadata.spec(
                home,
                made,
                inputs=[name for name in table.inputs if home.fills(name)],
                kinds=("duckdb", "sql") if is_query else ("duckdb", "python"),
                code_version=code_version(contract, table.digest) if isinstance(table, Query) else None,
                automation=None if by_day else decide_eagerly(),
                by_day=by_day,
            )
            for made in (contract, *beside)
        ],
        can_subset=not beside,
        check_specs=[check for made in (contract, *beside) for check in metadata.checks(made)],
        backfill_policy=dg.BackfillPolicy.single_run() if by_day else None,
    )
    def asset(context: dg.AssetExecutionContext) -> outcomes.Step:
        wanted = metadata.request(context, home)

        def work() -> Outcome:
            home.admit(table.name, wanted.run_id)
            recipe = home.recipe(table.name, home.lake.cursor())
            outcome = materialize_recipe(home.lake, contract, recipe, home.facts(recipe), wanted, home.contracts)
            if outcome.publication:
                for made in (table.name, *(other.table for other in outcome.beside)):
                    home.announce(made)
            return outcome

        yield from outcomes.report(context, home, (contract, *beside), work, plots=plots)

    return asset
