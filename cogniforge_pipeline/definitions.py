"""All assets, jobs, schedules and sensors of one home as Dagster definitions.

Belongs here: `build_definitions`, and nothing that is not put together by it.
"""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from cogniforge_pipeline import sensors
from cogniforge_pipeline.aiops import announcements as aiops_announcements
from cogniforge_pipeline.aiops import assets as aiops_assets
from cogniforge_pipeline.aiops import (
    capacity_tables,
    cause_plots,
    decision_tables,
    forecast_plots,
    healing_announcements,
)
from cogniforge_pipeline.aiops import plots as aiops_plots
from cogniforge_pipeline.aiops import tables as aiops_tables
from cogniforge_pipeline.aiops.expectations import EXPECTATION_KIND
from cogniforge_pipeline.aiops.healing.model import PLAYBOOK_KIND
from cogniforge_pipeline.aiops.model import TOPOLOGY_KIND
from cogniforge_pipeline.aiops.planning_model import CAPACITY_KIND, FORECASTING_KIND
from cogniforge_pipeline.data_mesh import announcements as mesh_announcements
from cogniforge_pipeline.data_mesh import assets as mesh_assets
from cogniforge_pipeline.data_mesh import evolution, registration
from cogniforge_pipeline.data_mesh import plots as mesh_plots
from cogniforge_pipeline.data_mesh import tables as mesh_tables
from cogniforge_pipeline.data_mesh.model import CONTEXT_KIND, GOVERNANCE_KIND
from cogniforge_pipeline.data_mesh.openlineage import column_origins
from cogniforge_pipeline.executors import executor
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import maintain
from cogniforge_pipeline.metadata import PHASE_TAG
from cogniforge_pipeline.reports import assets as report_assets
from cogniforge_pipeline.sensors import DECISIONS, DOCS, FACTS, INGEST, REPORTS
from cogniforge_pipeline.settings import Settings, load_settings
from cogniforge_pipeline.source_assets import source_assets
from cogniforge_pipeline.sources.declared import SOURCE_KIND
from cogniforge_pipeline.sql_assets import sql_assets
from cogniforge_pipeline.sre import announcements as sre_announcements
from cogniforge_pipeline.sre import plots as sre_plots
from cogniforge_pipeline.sre import tables as sre_tables
from cogniforge_pipeline.sre.budget_policy import BUDGET_POLICY_KIND
from cogniforge_pipeline.sre.openslo import OPENSLO_KIND
from cogniforge_pipeline.written_assets import written_assets

KINDS = (
    SOURCE_KIND,
    TOPOLOGY_KIND,
    EXPECTATION_KIND,
    PLAYBOOK_KIND,
    OPENSLO_KIND,
    BUDGET_POLICY_KIND,
    CONTEXT_KIND,
    GOVERNANCE_KIND,
    FORECASTING_KIND,
    CAPACITY_KIND,
)


def open_home(settings: Settings) -> Home:
    """The home of these settings, with every kind of declaration known."""
    mesh = mesh_tables.computed(lambda: home.contracts, lambda: (*home.queries.values(), *home.views.values()))
    announcers = {
        **aiops_announcements.ANNOUNCERS,
        **healing_announcements.ANNOUNCERS,
        **capacity_tables.ANNOUNCERS,
        **sre_announcements.ANNOUNCERS,
        **mesh_announcements.ANNOUNCERS,
    }
    home = Home(
        settings,
        KINDS,
        [*aiops_tables.computed(), *sre_tables.computed(), *mesh],
        announcers,
        registration.admit,
        lambda query: column_origins(query, home.contracts, settings.state),
    )
    return home


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev`, the webserver and the daemon load: the home that the environment names."""
    return build_definitions(open_home(load_settings()))


def build_definitions(home: Home) -> dg.Definitions:
    """Everything that runs on this home. Raises CogniforgeError when a query or a contract is invalid."""
    filled = source_assets(home)
    made = [
        *aiops_assets.assets(home),
        *mesh_assets.assets(home),
        *filled,
        *sql_assets(
            home,
            {
                **aiops_plots.PLOTS,
                **cause_plots.PLOTS,
                **forecast_plots.PLOTS,
                **sre_plots.PLOTS,
                **mesh_plots.PLOTS,
            },
        ),
        *written_assets(home, (*decision_tables.TOLD, *sre_tables.TOLD, *evolution.TOLD)),
    ]
    tables = {_table(key) for asset in made for key in asset.keys}
    made += report_assets.assets(home, tables)
    by_day = [asset for asset in made if asset.partitions_def]
    inputs = [asset for asset in made if asset.op.name in ("aiops__ingest", "platform__declarations")] + filled
    events = [asset for asset in made if asset.op.name == "data_mesh__events"]
    last = (*mesh_tables.AFTER_ALL, "reports.duckdb")
    reports = [asset for asset in made if not {_table(key) for key in asset.keys}.isdisjoint(last)]
    rest = [asset for asset in made if asset not in (*by_day, *inputs, *reports)]
    on_request = report_assets.on_request(home, tables)
    jobs = [
        _job(INGEST, [*inputs, *events], "Read what is new from all sources, and what was told since."),
        _job(FACTS, by_day, "Compute the days that new data touched."),
        _job(DECISIONS, rest, "Decide."),
        _job(REPORTS, reports, "Measure what was published, and copy it for others to read."),
        _job(DOCS, on_request, "Build Data Docs; nothing starts this by itself."),
    ]
    return dg.Definitions(
        assets=[*made, *on_request],
        jobs=[*jobs, _maintenance(home)],
        schedules=sensors.schedules(home),
        sensors=sensors.sensors(home),
        executor=executor(home.settings),
        loggers={"console": _console()},
    )


def _table(key: dg.AssetKey) -> str:
    return ".".join(key.path)


def _job(phase: str, assets: Sequence[dg.AssetsDefinition], description: str) -> UnresolvedAssetJobDefinition:
    return dg.define_asset_job(
        phase, dg.AssetSelection.assets(*assets), description=description, tags={PHASE_TAG: phase}
    )


def _console() -> dg.LoggerDefinition:
    """Errors only, unless a run asks for more: everything else is in the UI."""
    level = {"log_level": dg.Field(str, default_value="ERROR")}
    return dg.colored_console_logger.configured(lambda config: config, config_schema=level)


def _maintenance(home: Home) -> dg.JobDefinition:
    @dg.op
    def maintain_lake(context: dg.OpExecutionContext) -> None:
        for step, count in maintain(home.lake).items():
            context.log.info("%s: %d", step, count)

    @dg.job(description="Merge small files, expire old snapshots, delete what no snapshot needs.")
    def maintenance() -> None:
        maintain_lake()

    return maintenance
