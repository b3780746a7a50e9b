"""Dagster's part: it finds work, runs workflows as jobs, and tells how executions ended."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from cogniforge_pipeline.home import Home
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.workflow import announcements, assets
from cogniforge_pipeline.workflow.journal import Journal
from cogniforge_pipeline.workflow.model import WORKFLOW_KIND
from cogniforge_pipeline.workflow.service import WorkflowOrchestrationService

WORKFLOW = """\
workflow_id: sum-up
event_triggers: [numbers.came]
activities:
  - activity_id: add
    handler: builtins:sum
    input_data: "{{ input.numbers }}"
    retry_policy: {max_attempts: 1}
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "platform" / "workflows").mkdir(parents=True)
    (tmp_path / "platform" / "workflows" / "sum.yaml").write_text(WORKFLOW, encoding="utf-8")
    return Home(load_settings(tmp_path, {}), (WORKFLOW_KIND,))


def test_a_home_without_workflows_has_no_work_and_no_journal(tmp_path: Path) -> None:
    home = Home(load_settings(tmp_path, {}), (WORKFLOW_KIND,))
    home.settings.platform.mkdir()
    home.events.publish("numbers.came", source="/s")
    assert not assets.has_work(home)
    assert [job.name for job in assets.jobs(home)] == ["workflows"]
    assert not Journal.exists(home.settings)


def test_a_workflow_is_a_job_and_events_are_work_once(home: Home) -> None:
    jobs = {job.name: job for job in assets.jobs(home)}
    assert jobs.keys() == {"workflows", "workflow_sum_up"}
    with dg.DagsterInstance.ephemeral() as instance:
        config = {"ops": {"run_workflow_sum_up": {"config": {"input": {"numbers": [1, 2, 3]}}}}}
        assert jobs["workflow_sum_up"].execute_in_process(config, instance=instance).success
        bad = {"ops": {"run_workflow_sum_up": {"config": {"input": {"numbers": "no"}}}}}
        assert not jobs["workflow_sum_up"].execute_in_process(bad, instance=instance, raise_on_error=False).success
        assert assets.has_work(home)  # the triggers have never been looked at
        assert jobs["workflows"].execute_in_process(instance=instance).success
        assert not assets.has_work(home)
        home.events.publish("numbers.came", {"numbers": [4]}, source="/s")
        (sensor,) = assets.sensors(home)
        asked = sensor(dg.build_sensor_context(instance=instance))
        assert isinstance(asked, dg.RunRequest)
        assert jobs["workflows"].execute_in_process(instance=instance).success
        assert isinstance(sensor(dg.build_sensor_context(instance=instance)), dg.SkipReason)
    service = WorkflowOrchestrationService(home.settings)
    assert [(each.status, each.output) for each in service.list_executions()][::2] == [
        ("completed", {"add": 4}),
        ("completed", {"add": 6}),
    ]


def test_how_executions_ended_is_told_once_and_old_ones_are_no_news() -> None:
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute("CREATE SCHEMA workflow")
        con.execute(
            "CREATE TABLE workflow.executions AS FROM (VALUES "
            "('e1', 'w', 'failed', TIMESTAMPTZ '2026-03-09 10:00:00Z', 1.5, NULL, 'E', 'no'), "
            "('e2', 'w', 'running', NULL, NULL, NULL, NULL, NULL), "
            "('e0', 'w', 'completed', TIMESTAMPTZ '2026-03-01 10:00:00Z', 1.5, NULL, NULL, NULL)) AS rows "
            "(execution_id, workflow_id, status, finished_at, seconds, trigger, error_type, error_message)"
        )
        (event,) = announcements.execution_events(con)
    assert (event.type, event.subject, event.id) == ("workflow.execution.failed", "w", "e1:failed")
    assert event.time == datetime(2026, 3, 9, 10, tzinfo=UTC)
