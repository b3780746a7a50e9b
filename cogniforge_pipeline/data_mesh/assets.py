"""Dagster assets of the mesh: the registry of declarations, the events in the lake, the logs of every publication.

Belongs here: thin wiring. Does not: reading declarations, or computing quality figures (`contracts`).
"""

import dagster as dg

from cogniforge_pipeline import metadata, outcomes
from cogniforge_pipeline.automation import look_hourly
from cogniforge_pipeline.data_mesh.plots import PLOTS
from cogniforge_pipeline.data_mesh.projection import EVENTS, project_events
from cogniforge_pipeline.data_mesh.registration import register
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.publish import MATERIALIZATIONS, QUALITY
from cogniforge_pipeline.registry import REGISTRY, record
from cogniforge_pipeline.written_assets import shown_asset


def assets(home: Home) -> list[dg.AssetsDefinition]:
    """The registry, the events and the logs."""
    return [_registry(home), _events(home), _log(home, MATERIALIZATIONS), _log(home, QUALITY)]


def _registry(home: Home) -> dg.AssetsDefinition:
    contract = home.contracts[REGISTRY]

    @dg.multi_asset(
        name="platform__declarations",
        specs=[metadata.spec(home, contract, kinds=("python", "yaml"))],
        can_subset=True,
        check_specs=[
            *metadata.checks(contract),
            dg.AssetCheckSpec(
                "files_valid", asset=contract.key, description="every file of the platform folder is valid"
            ),
        ],
    )
    def platform__declarations(context: dg.AssetExecutionContext) -> outcomes.Step:
        platform = home.platform()
        changes, publication = record(home, platform, run_id=context.run.run_id)
        problems = [str(problem) for problem in (*platform.problems, *changes.problems)]
        if home.gate:
            problems += register(home, context.run.run_id)
        for problem in problems:
            home.events.publish("declaration.invalid", {"problem": problem}, source="/cogniforge/platform", id=problem)
        yield dg.AssetCheckResult(
            asset_key=contract.key,
            check_name="files_valid",
            passed=not problems,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"problems": dg.MetadataValue.md("\n".join(f"- {text}" for text in problems) or "none")},
        )
        yield from outcomes.results(context, home, contract, publication, None)

    return platform__declarations


def _events(home: Home) -> dg.AssetsDefinition:
    contract = home.contracts[EVENTS]

    @dg.multi_asset(
        name="data_mesh__events",
        specs=[metadata.spec(home, contract, kinds=("python", "sqlite"), automation=look_hourly())],
        can_subset=True,
        check_specs=metadata.checks(contract),
    )
    def data_mesh__events(context: dg.AssetExecutionContext) -> outcomes.Step:
        yield from outcomes.results(context, home, contract, project_events(home, run_id=context.run.run_id), None)

    return data_mesh__events


def _log(home: Home, table: str) -> dg.AssetsDefinition:
    time = next(column.name for column in home.contracts[table].columns if column.temporal)
    return shown_asset(home, table, since=time, plot=PLOTS.get(table))
