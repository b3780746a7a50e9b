"""What starts runs by itself starts them once, for what changed, and holds back while others work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg

from cogniforge_pipeline.metadata import CHANGED_TAG, PHASE_TAG
from cogniforge_pipeline.sensors import DECISIONS, FACTS, INGEST

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


class Tick:
    """One look of a sensor of the works; the cursor goes on from look to look."""

    def __init__(self, works, name: str) -> None:
        self.works, self.name, self.cursor = works, name, None

    def __call__(self) -> list[dg.RunRequest]:
        sensor = self.works.definitions.resolve_sensor_def(self.name)
        data = sensor.evaluate_tick(
            dg.build_sensor_context(self.works.instance, self.cursor, definitions=self.works.definitions)
        )
        self.cursor = data.cursor
        return list(data.run_requests or [])


def unfinished(works, phase: str, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    """A run of a phase as another process would have it in the instance."""
    job = works.definitions.resolve_job_def(phase)
    return works.instance.create_run_for_job(job, status=status, tags={PHASE_TAG: phase})


def started_by(works, run: dg.DagsterRun, process: int) -> None:
    event = dg.DagsterEvent(event_type_value="PIPELINE_START", job_name=run.job_name, pid=process)
    works.instance.report_dagster_event(event, run.run_id)


def test_changed_days_asks_for_one_run_over_the_days_that_were_touched_and_then_is_quiet(works):
    look = Tick(works, "changed_days")
    for day in ("2026-03-01", "2026-03-02", "2026-03-03"):
        works.drop_day(day)
    works.execute(INGEST)
    (first,) = look()
    assert (first.tags[START], first.tags[END], first.tags[CHANGED_TAG]) == ("2026-03-01", "2026-03-03", "true")
    assert works.execute(FACTS, **first.tags).success
    assert look() == []
    works.drop_day("2026-03-02", name="late.csv", minutes=45)
    works.execute(INGEST)
    (late,) = look()
    assert (late.tags[START], late.tags[END]) == ("2026-03-02", "2026-03-03")
    assert look() == [], "nothing new was published since it asked"
    assert works.execute(FACTS, **late.tags).success
    assert look() == []
    assert works.versions("aiops.rollup_5m") == [(1, ["03-01", "03-02", "03-03"]), (2, ["03-02", "03-03"])]
    assert look() == []


def test_changed_days_waits_for_every_run_that_is_about_to_work_or_at_work(works):
    works.drop_day("2026-03-01")
    works.execute(INGEST)
    look = Tick(works, "changed_days")
    for phase in (INGEST, FACTS, DECISIONS):
        for status in (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED):
            run = unfinished(works, phase, status)
            assert look() == [], f"{phase} is {status}"
            works.instance.report_run_failed(run)
    assert len(look()) == 1


def test_a_run_of_the_command_line_is_seen_by_its_phase(works):
    works.drop_day("2026-03-01")
    works.run()
    seen = {run.job_name: run.tags[PHASE_TAG] for run in works.instance.get_runs()}
    assert seen == {"ingest": "ingest", "facts": "facts", "decisions": "decisions", "reports": "reports"}


def test_a_run_whose_process_was_killed_does_not_hold_up_the_others(works):
    works.drop_day("2026-03-01")
    works.execute(INGEST)
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    dead = unfinished(works, FACTS, dg.DagsterRunStatus.STARTED)
    started_by(works, dead, int(gone.stdout))
    assert len(Tick(works, "changed_days")()) == 1
    assert works.instance.get_run_by_id(dead.run_id).status is dg.DagsterRunStatus.FAILURE
    alive = unfinished(works, FACTS, dg.DagsterRunStatus.STARTED)
    started_by(works, alive, os.getpid())
    assert Tick(works, "changed_days")() == []
    assert works.instance.get_run_by_id(alive.run_id).status is dg.DagsterRunStatus.STARTED


def test_landing_does_not_ask_for_what_the_command_line_has_read(works):
    works.drop_day("2026-03-01")
    works.run()
    look = Tick(works, "landing")
    assert look() == []
    works.drop_day("2026-03-02")
    assert len(look()) == 1
    assert len(Tick(works, "landing")()) == 1, "the first look of a home finds what nobody has read"


def test_landing_asks_for_a_run_when_a_file_comes_goes_or_is_written_and_only_then(works):
    look = Tick(works, "landing")
    look()
    landing: Path = works.home.settings.landing
    assert look() == []
    works.drop_day("2026-03-01")
    assert len(look()) == 1
    assert look() == []
    older = landing / "2026-02-28.csv"
    works.drop_day("2026-02-28")
    os.utime(older, (0, 0))
    assert len(look()) == 1, "a file that was moved here keeps its old time"
    older.unlink()
    assert len(look()) == 1
    (works.home.settings.platform / "topology.yaml").write_text("services: []\n")
    assert len(look()) == 1
    assert look() == []


def test_the_clock_starts_an_ingestion_only_when_a_source_has_something_new(works):
    def due() -> bool:
        schedule = works.definitions.resolve_schedule_def("ingest_every_5_minutes")
        return bool(schedule.evaluate_tick(dg.build_schedule_context(instance=works.instance)).run_requests)

    assert not due()
    works.drop_day("2026-03-01")
    assert due()
    works.execute(INGEST)
    assert not due()
    sources = works.home.settings.platform / "sources"
    sources.mkdir()
    (sources / "host.yaml").write_text("name: host\ntype: host\n")
    assert due(), "this host always has something to tell"


def test_a_failed_run_becomes_one_event_however_often_it_is_told(works):
    run = unfinished(works, FACTS, dg.DagsterRunStatus.STARTED)
    works.instance.report_run_failed(run, "the disk is full")
    sensor = works.definitions.resolve_sensor_def("run_failures")
    event = works.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)[0].dagster_event
    for _ in range(2):
        sensor(
            dg.build_run_status_sensor_context(
                "run_failures", event, works.instance, works.instance.get_run_by_id(run.run_id)
            ).for_run_failure()
        )
    told = [event for event in works.home.events.read(0, limit=10) if event.type.endswith("run.failed")]
    assert [(event.data["job"], event.data["message"]) for event in told] == [("facts", "the disk is full")]
