"""The Dagster asset of what is exported after every run.

Belongs here: thin wiring. Does not: copying (`export.py`).
"""

from collections.abc import Collection

import dagster as dg

from cogniforge_pipeline.automation import decide_eagerly
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.reports.export import exported, publish_duckdb


def assets(home: Home, made: Collection[str]) -> list[dg.AssetsDefinition]:
    """The published DuckDB file, which waits for those of its tables that assets make; `made` are their names."""

    @dg.multi_asset(
        name="reports__duckdb",
        specs=[
            dg.AssetSpec(
                ["reports", "duckdb"],
                deps=[contract.key for contract in exported(home) if contract.name in made],
                description="All decision tables in one plain DuckDB file, for tools that open one.",
                group_name="reports",
                owners=["team:platform"],
                kinds={"duckdb"},
                automation_condition=decide_eagerly(),
            )
        ],
    )
    def reports__duckdb() -> dg.MaterializeResult[None]:
        path = publish_duckdb(home)
        return dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(str(path)), "bytes": path.stat().st_size})

    return [reports__duckdb]
