"""What starts runs by itself: schedules, sensors, and when they hold back.

Belongs here: the decision to start a run. Does not: which assets a job holds (`definitions.py`), or what a run finds to
do (`increments.py`).

Ingest is started by files and by the clock, facts by the days that ingest touched, decisions by the facts. Every run is
tagged with its phase, whoever starts it, so that a sensor sees the runs of the command line, too.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import dagster as dg
import psutil

from cogniforge_pipeline import metadata
from cogniforge_pipeline.domains import domains_of
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.increments import fact_spans
from cogniforge_pipeline.metadata import PHASE_TAG
from cogniforge_pipeline.sources import Reader, reader
from cogniforge_pipeline.sources.declared import sources_of
from cogniforge_pipeline.sources.ingest import ledger_of
from cogniforge_pipeline.sources.table_reader import TableReader

INGEST, FACTS, DECISIONS, REPORTS = "ingest", "facts", "decisions", "reports"
DOCS = "docs"
"""Made on request only."""
SECONDS = 5
DECISION_SECONDS = 15
"""Sensors look often; decisions less so, for facts that are about to be computed should be there first."""

_WAITING = (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING)
_WORKING = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)


def schedules(home: Home) -> list[dg.ScheduleDefinition]:
    """What the clock starts."""

    @dg.schedule(
        name="ingest_every_5_minutes",
        job_name=INGEST,
        cron_schedule="*/5 * * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Sources that cannot call, such as Prometheus, this host and git repositories, are asked every 5 minutes.",
    )
    def ingest_every_5_minutes() -> dg.RunRequest | dg.SkipReason:
        return dg.RunRequest() if _news(home) else dg.SkipReason("no source has anything new")

    return [
        ingest_every_5_minutes,
        dg.ScheduleDefinition(
            name="maintenance_every_night",
            job_name="maintenance",
            cron_schedule="17 3 * * *",
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Small files cost reading time; old snapshots cost disk.",
        ),
    ]


def sensors(home: Home) -> list[dg.SensorDefinition]:
    """What a change starts."""
    return [
        _landing(home),
        _changed_days(home),
        _failures(home),
        dg.AutomationConditionSensorDefinition(
            "decide_eagerly",
            target=dg.AssetSelection.all(),
            run_tags={PHASE_TAG: DECISIONS, metadata.CHANGED_TAG: "true"},
            minimum_interval_seconds=DECISION_SECONDS,
            default_status=dg.DefaultSensorStatus.RUNNING,
            description="Decisions are made again when what they read was published.",
        ),
    ]


def _landing(home: Home) -> dg.SensorDefinition:
    @dg.sensor(
        name="landing",
        job_name=INGEST,
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="A file dropped into landing/ and a change of platform/ are read at once.",
    )
    def landing(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        state = _state(home)
        if state == context.cursor:
            return dg.SkipReason("nothing new in landing/ and platform/")
        if context.cursor is None and not _news(home):
            return dg.SensorResult(skip_reason="all that is there was read before", cursor=state)
        return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=state)

    return landing


def _state(home: Home) -> str:
    """Changes when a file comes, goes or is written; a moved file may be older than those that are there."""
    digest = hashlib.sha256()
    for folder in (home.settings.landing, home.settings.platform):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                status = path.stat()
                digest.update(f"{path}\0{status.st_mtime_ns}\0{status.st_size}\0".encode())
    return digest.hexdigest()


def _news(home: Home) -> bool:
    """Whether a run would find anything to read. What a repository or cluster has, only reading it tells."""
    cursor = home.lake.cursor()
    if any(domain.may_have_news(cursor) for domain in domains_of(home.settings)):
        return True
    root = home.settings.home
    readers: list[tuple[str, Reader | TableReader]] = [
        (source.name, reader(source, home=root, base=root)) for source in sources_of(home.platform())
    ]
    readers += [
        (source.name, TableReader(source, home.contracts[table], home=root, base=root))
        for table, source in home.products.sources.items()
    ]
    plans = (each.plan(ledger_of(cursor, name), datetime.now(UTC)) for name, each in readers)
    return any(next(iter(plan), None) is not None for plan in plans)


def _changed_days(home: Home) -> dg.SensorDefinition:
    @dg.sensor(
        name="changed_days",
        job_name=FACTS,
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Days that new or late telemetry touched are computed again; days far apart in runs of their own.",
    )
    def changed_days(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        state = _published(home)
        if state == context.cursor:
            return dg.SkipReason("nothing was published since the last look")
        if busy := at_work(context.instance):
            return dg.SkipReason(f"waiting for the run {busy.run_id} ({busy.tags[PHASE_TAG]})")
        requests = [dg.RunRequest(tags=metadata.range_tags(span, only_changed=True)) for span in fact_spans(home)]
        if not requests:
            return dg.SensorResult(skip_reason="no day changed", cursor=state)
        return dg.SensorResult(run_requests=requests, cursor=state)

    return changed_days


def _published(home: Home) -> str:
    """Changes when anything is published or a query is another one; and once an hour, so that days that could not be
    computed are tried again, but not all the time."""
    snapshot = home.lake.snapshot_id(home.lake.cursor())
    queries = hashlib.sha256("".join(sorted(query.digest for query in home.queries.values())).encode()).hexdigest()
    return f"snapshot {snapshot}, queries {queries[:16]}, {datetime.now(UTC):%Y-%m-%d %H}h"


def at_work(instance: dg.DagsterInstance) -> dg.DagsterRun | None:
    """A run of any phase that waits or works, if there is one.

    A run whose process is gone (killed, or the machine was switched off) is marked as failed first: nobody else would,
    and everything that waits for it would wait forever.
    """
    phases = {PHASE_TAG: [INGEST, FACTS, DECISIONS, REPORTS]}
    for run in instance.get_runs(dg.RunsFilter(statuses=[*_WORKING, *_WAITING], tags=phases)):
        if run.status not in _WORKING or _alive(instance, run):
            return run
        instance.report_run_failed(run, "the process of this run is gone; the tables stay as last published")
    return None


def _alive(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the process that started to execute the run still is; on a cluster its launcher knows, not we."""
    if not isinstance(instance.run_launcher, dg.DefaultRunLauncher):
        return True
    for record in instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_START).records:
        entry = record.event_log_entry
        event = entry.dagster_event
        if event and event.pid:
            try:
                return psutil.Process(event.pid).create_time() <= entry.timestamp
            except psutil.NoSuchProcess:
                return False
    return True


def _failures(home: Home) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name="run_failures",
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="A failed run becomes an event.",
    )
    def run_failures(context: dg.RunFailureSensorContext) -> None:
        metadata.announce_failure(home, context.dagster_run, context.failure_event.message)

    return run_failures
