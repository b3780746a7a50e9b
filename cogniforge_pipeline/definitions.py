"""All assets, jobs, schedules and sensors of one home as Dagster definitions.

Belongs here: `build_definitions`, and nothing that is not put together by it.
"""

import dagster as dg

from cogniforge_pipeline import automation
from cogniforge_pipeline.aiops import assets as aiops_assets
from cogniforge_pipeline.aiops import plots as aiops_plots
from cogniforge_pipeline.aiops.model import TOPOLOGY_KIND
from cogniforge_pipeline.automation import DECISIONS, FACTS, INGEST
from cogniforge_pipeline.data_mesh import assets as mesh_assets
from cogniforge_pipeline.executors import executor
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import maintain
from cogniforge_pipeline.metadata import PHASE_TAG
from cogniforge_pipeline.reports import assets as report_assets
from cogniforge_pipeline.settings import Settings, load_settings
from cogniforge_pipeline.sources.declared import SOURCE_KIND
from cogniforge_pipeline.sql_assets import sql_assets

KINDS = (SOURCE_KIND, TOPOLOGY_KIND)
JOBS = {
    INGEST: "Read what is new from all sources.",
    FACTS: "Compute the days that new data touched.",
    DECISIONS: "Decide, and publish what others read.",
}


def open_home(settings: Settings) -> Home:
    """The home of these settings, with every kind of declaration known."""
    return Home(settings, KINDS)


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev`, the webserver and the daemon load: the home that the environment names."""
    return build_definitions(open_home(load_settings()))


def build_definitions(home: Home) -> dg.Definitions:
    """Everything that runs on this home. Raises CogniforgeError when a query or a contract is invalid."""
    made = [
        *aiops_assets.assets(home),
        *mesh_assets.assets(home),
        *sql_assets(home, aiops_plots.PLOTS),
        *report_assets.assets(home),
    ]
    phases: dict[str, list[dg.AssetsDefinition]] = {phase: [] for phase in JOBS}
    for asset in made:
        first = INGEST if asset.op.tags.get(PHASE_TAG) == INGEST else DECISIONS
        phases[FACTS if asset.partitions_def else first].append(asset)
    jobs = [
        dg.define_asset_job(
            phase, dg.AssetSelection.assets(*phases[phase]), description=description, tags={PHASE_TAG: phase}
        )
        for phase, description in JOBS.items()
    ]
    return dg.Definitions(
        assets=made,
        jobs=[*jobs, _maintenance(home)],
        schedules=automation.schedules(home),
        sensors=automation.sensors(home),
        executor=executor(home.settings),
    )


def _maintenance(home: Home) -> dg.JobDefinition:
    @dg.op
    def maintain_lake(context: dg.OpExecutionContext) -> None:
        for step, count in maintain(home.lake).items():
            context.log.info("%s: %d", step, count)

    @dg.job(description="Merge small files, expire old snapshots, delete what no snapshot needs.")
    def maintenance() -> None:
        maintain_lake()

    return maintenance
