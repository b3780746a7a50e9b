"""Every `sql/<schema>/<table>.sql` as a Dagster asset, with no wiring.

Belongs here: the asset of a query. Does not: reading the file (`queries.py`) or deciding what to compute
(`increments.py`).
"""

from collections.abc import Mapping

import dagster as dg

from cogniforge_pipeline import metadata, outcomes
from cogniforge_pipeline.automation import decide_eagerly
from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.increments import code_version, materialize_query
from cogniforge_pipeline.queries import Query, QueryInvalid, check_inputs


def sql_assets(home: Home, plots: Mapping[str, outcomes.Plot]) -> list[dg.AssetsDefinition]:
    """One asset for each query; `plots` by table name.

    Raises QueryInvalid for a query that reads a table nobody makes, or that has no contract.
    """
    for query in home.queries.values():
        check_inputs(query, home.contracts)
        if query.name not in home.contracts:
            place = query.name.replace(".", "/")
            raise QueryInvalid(f"sql/{place}.sql has no contract", f"write contracts/{place}.yaml")
    return [_asset(home, query, home.contracts[query.name], plots.get(query.name)) for query in home.queries.values()]


def _asset(home: Home, query: Query, contract: Contract, plot: outcomes.Plot | None) -> dg.AssetsDefinition:
    by_day = contract.partition_column is not None
    facts = home.facts(query)

    @dg.multi_asset(
        name=query.name.replace(".", "__"),
        specs=[
            metadata.spec(
                home,
                contract,
                inputs=query.inputs,
                kinds=("duckdb", "sql"),
                code_version=code_version(contract, query.digest),
                automation=None if by_day else decide_eagerly(),
                by_day=by_day,
            )
        ],
        can_subset=True,
        check_specs=metadata.checks(contract),
        backfill_policy=dg.BackfillPolicy.single_run() if by_day else None,
    )
    def asset(context: dg.AssetExecutionContext) -> outcomes.Step:
        wanted = metadata.request(context, home)
        yield from outcomes.report(
            context,
            home,
            contract,
            lambda: materialize_query(home.lake, contract, query, facts, wanted),
            plot=plot,
        )

    return asset
