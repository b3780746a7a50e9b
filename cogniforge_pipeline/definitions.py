"""All assets, jobs, schedules and sensors of one home as Dagster definitions.

Belongs here: `build_definitions`, and nothing that is not put together by it.
"""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from cogniforge_pipeline import metadata
from cogniforge_pipeline.aiops import assets as aiops_assets
from cogniforge_pipeline.aiops import plots as aiops_plots
from cogniforge_pipeline.aiops.model import TOPOLOGY_KIND
from cogniforge_pipeline.data_mesh import assets as mesh_assets
from cogniforge_pipeline.executors import executor
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.increments import fact_span
from cogniforge_pipeline.lake import maintain
from cogniforge_pipeline.reports import assets as report_assets
from cogniforge_pipeline.settings import Settings, load_settings
from cogniforge_pipeline.sources.declared import SOURCE_KIND
from cogniforge_pipeline.sql_assets import sql_assets

KINDS = (SOURCE_KIND, TOPOLOGY_KIND)
INGEST, FACTS, DECISIONS = "ingest", "facts", "decisions"


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
    by_day = [asset for asset in made if asset.partitions_def is not None]
    ingest = [asset for asset in made if asset.op.name in ("aiops__ingest", "platform__declarations")]
    rest = [asset for asset in made if asset not in by_day and asset not in ingest]
    jobs = [
        dg.define_asset_job(
            INGEST, dg.AssetSelection.assets(*ingest), description="Read what is new from all sources."
        ),
        dg.define_asset_job(
            FACTS, dg.AssetSelection.assets(*by_day), description="Compute the days that new data touched."
        ),
        dg.define_asset_job(
            DECISIONS, dg.AssetSelection.assets(*rest), description="Decide, and publish what others read."
        ),
    ]
    return dg.Definitions(
        assets=made,
        jobs=[*jobs, _maintenance(home)],
        schedules=[
            dg.ScheduleDefinition(
                name="ingest_every_5_minutes",
                job_name=INGEST,
                cron_schedule="*/5 * * * *",
                default_status=dg.DefaultScheduleStatus.RUNNING,
                description="Sources that cannot call, such as Prometheus and this host, are asked every 5 minutes.",
            ),
            dg.ScheduleDefinition(
                name="maintenance_every_night",
                job_name="maintenance",
                cron_schedule="17 3 * * *",
                default_status=dg.DefaultScheduleStatus.RUNNING,
                description="Small files cost reading time; old snapshots cost disk.",
            ),
        ],
        sensors=[
            _landing(home),
            _changed_days(home),
            _failures(home),
            dg.AutomationConditionSensorDefinition(
                "decide_eagerly",
                target=dg.AssetSelection.all(),
                default_status=dg.DefaultSensorStatus.RUNNING,
            ),
        ],
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


def _landing(home: Home) -> dg.SensorDefinition:
    @dg.sensor(
        name="landing",
        job_name=INGEST,
        minimum_interval_seconds=15,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="A file dropped into landing/ is read at once.",
    )
    def landing(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        newest = max(_changes(home.settings.landing), default=(0, ""))
        cursor = f"{newest[0]}:{newest[1]}"
        if not newest[0] or cursor == context.cursor:
            return dg.SkipReason("nothing new in landing/")
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=cursor)], cursor=cursor)

    return landing


def _changes(folder: Path) -> Iterator[tuple[int, str]]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            yield path.stat().st_mtime_ns, path.relative_to(folder).as_posix()


def _changed_days(home: Home) -> dg.SensorDefinition:
    @dg.sensor(
        name="changed_days",
        job_name=FACTS,
        minimum_interval_seconds=15,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Days that new or late telemetry touched are computed again, in one run.",
    )
    def changed_days(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        span = fact_span(home)
        if span is None:
            yield dg.SkipReason("no day changed")
            return
        busy = context.instance.get_runs(
            dg.RunsFilter(
                job_name=FACTS, statuses=[dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTED], tags={}
            ),
            limit=1,
        )
        if busy:
            yield dg.SkipReason("the days are being computed")
            return
        yield dg.RunRequest(tags=metadata.range_tags(span, only_changed=True))

    return changed_days


def _failures(home: Home) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name="run_failures",
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="A failed run becomes an event.",
    )
    def run_failures(context: dg.RunFailureSensorContext) -> None:
        metadata.announce_failure(home, context.dagster_run, context.failure_event.message)

    return run_failures
