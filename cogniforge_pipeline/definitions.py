"""All assets, jobs, schedules and sensors of one home as Dagster definitions.

Belongs here: `build_definitions`, and nothing that is not put together by it.
"""

from collections.abc import Sequence
from dataclasses import replace

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from cogniforge_pipeline import sensors
from cogniforge_pipeline.aiops import assets as aiops_assets
from cogniforge_pipeline.data_mesh import assets as mesh_assets
from cogniforge_pipeline.data_mesh import registration
from cogniforge_pipeline.data_mesh import tables as mesh_tables
from cogniforge_pipeline.data_mesh.openlineage import column_origins
from cogniforge_pipeline.domains import DOMAINS, domains_of, plots_of
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
from cogniforge_pipeline.written_assets import written_assets

KINDS = (SOURCE_KIND, *(kind for domain in DOMAINS for kind in domain.kinds))


def open_home(settings: Settings) -> Home:
    """The home of these settings, with every kind of declaration known, also of domains that it is without."""
    chosen = domains_of(settings)
    names = tuple(domain.name for domain in chosen)
    home = Home(
        replace(settings, domains=names),
        KINDS,
        [table for domain in chosen for table in domain.computed(lambda: home)],
        {table: tell for domain in chosen for table, tell in domain.announcers.items()},
        registration.admit if "data_mesh" in names else None,
        lambda query: column_origins(query, home.contracts, settings.state),
    )
    return home


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev`, the webserver and the daemon load: the home that the environment names."""
    return build_definitions(open_home(load_settings()))


def build_definitions(home: Home) -> dg.Definitions:
    """Everything that runs on this home. Raises CogniforgeError when a query or a contract is invalid."""
    domains = domains_of(home.settings)
    read = [*source_assets(home), *(asset for domain in domains for asset in domain.readers(home))]
    made = [
        *aiops_assets.assets(home),
        *mesh_assets.assets(home),
        *read,
        *sql_assets(home, plots_of(domains)),
        *written_assets(home, [table for domain in domains for table in domain.told]),
    ]
    tables = {_table(key) for asset in made for key in asset.keys}
    made += report_assets.assets(home, tables)
    by_day = [asset for asset in made if asset.partitions_def]
    inputs = [asset for asset in made if asset.op.name in ("aiops__ingest", "platform__declarations")] + read
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
