"""The Dagster assets of what is exported after every run, and of what is built when somebody asks for it.

Belongs here: thin wiring. Does not: copying (`export.py`), or building (`data_docs.py`).
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


def on_request(home: Home, made: Collection[str]) -> list[dg.AssetsDefinition]:
    """Data Docs, which no run, schedule or sensor makes unasked: Great Expectations alone takes many seconds to import."""

    @dg.multi_asset(
        name="reports__data_docs",
        specs=[
            dg.AssetSpec(
                ["reports", "data_docs"],
                deps=[contract.key for name, contract in sorted(home.contracts.items()) if name in made],
                description="Data Docs of Great Expectations: each contract, and how rows keep it. Made on request only.",
                group_name="reports",
                owners=["team:platform"],
                kinds={"html", "greatexpectations"},
            )
        ],
    )
    def reports__data_docs() -> dg.MaterializeResult[None]:
        from cogniforge_pipeline.reports.data_docs import build

        page, verdicts = build(home)
        broken = {verdict.table: ", ".join(verdict.broken) for verdict in verdicts if verdict.broken}
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.url(page.as_uri()),
                "tables": len(verdicts),
                "broken": dg.MetadataValue.json(broken),
            }
        )

    return [reports__data_docs]
