"""Dagster's part in workflows: the journal as an asset, a job for each workflow, and a sensor that finds work.

Belongs here: thin wiring. Does not: running workflows (`service.py`), or the tables made from the journal (`tables.py`).

Dagster starts and shows; executions live in their own journal, so a run that is killed loses nothing.
"""

import json
from typing import Any

import dagster as dg

from cogniforge_pipeline import metadata, outcomes
from cogniforge_pipeline.automation import look_hourly
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.workflow.journal import Journal
from cogniforge_pipeline.workflow.model import WORKFLOW_KIND, WorkflowDefinition
from cogniforge_pipeline.workflow.projection import JOURNAL, project_journal
from cogniforge_pipeline.workflow.store import Store
from cogniforge_pipeline.workflow.triggers import CONSUMER

WORK = "workflows"
SECONDS = 5


def assets(home: Home) -> list[dg.AssetsDefinition]:
    """The journal."""
    contract = home.contracts[JOURNAL]

    @dg.multi_asset(
        name="workflow__journal",
        specs=[metadata.spec(home, contract, kinds=("python", "sqlite"), automation=look_hourly())],
        can_subset=True,
        check_specs=metadata.checks(contract),
    )
    def workflow__journal(context: dg.AssetExecutionContext) -> outcomes.Step:
        yield from outcomes.results(context, home, contract, project_journal(home, run_id=context.run.run_id), None)

    return [workflow__journal]


def jobs(home: Home) -> list[dg.JobDefinition]:
    """One for each workflow of a file, and one that works on whatever waits."""
    workflows = [each.model for each in home.platform().of(WORKFLOW_KIND)] if _declares(home) else []
    return [_work(home), *(_job(home, workflow) for workflow in workflows)]


def sensors(home: Home) -> list[dg.SensorDefinition]:
    """Starts work where there is some."""

    @dg.sensor(
        name="workflow_work",
        job_name=WORK,
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Events start the workflows that wait for them; executions whose worker died go on.",
    )
    def workflow_work(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if not has_work(home):
            return dg.SkipReason("no execution waits, and no event that could start one")
        busy = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
        if context.instance.get_runs(dg.RunsFilter(job_name=WORK, statuses=busy), limit=1):
            return dg.SkipReason("a run works on it")
        return dg.RunRequest()

    return [workflow_work]


def has_work(home: Home) -> bool:
    """Whether a worker would find anything to do. Costs next to nothing where no workflow is declared."""
    if Journal.exists(home.settings):
        store = Store(home.settings)
        try:
            if Journal(store).left_alone():
                return True
        finally:
            store.close()
    if CONSUMER not in home.events.consumers():
        return _declares(home) and any(each.model.event_triggers for each in home.platform().of(WORKFLOW_KIND))
    return home.events.consumer(CONSUMER).cursor < home.events.last_seq()


def _declares(home: Home) -> bool:
    folder = home.settings.platform / "workflows"
    return folder.is_dir() and any(folder.iterdir()) and WORKFLOW_KIND in home.kinds


def _work(home: Home) -> dg.JobDefinition:
    @dg.op
    def work_on_workflows(context: dg.OpExecutionContext) -> None:
        from cogniforge_pipeline.workflow.service import WorkflowOrchestrationService

        service = WorkflowOrchestrationService(home.settings)
        try:
            context.log.info("events started %d executions", service.work(drain=True))
        finally:
            service.close()

    @dg.job(name=WORK, description="Start what events ask for, and work on executions until none is left.")
    def workflows() -> None:
        work_on_workflows()

    return workflows


def _job(home: Home, workflow: WorkflowDefinition) -> dg.JobDefinition:
    name = f"workflow_{workflow.workflow_id.replace('-', '_')}"

    @dg.op(name=f"run_{name}", config_schema={"input": dg.Field(dict, default_value={}, is_required=False)})
    def run(context: dg.OpExecutionContext) -> None:
        from cogniforge_pipeline.workflow.service import WorkflowOrchestrationService

        service = WorkflowOrchestrationService(home.settings)
        try:
            _execute(context, service, workflow.workflow_id)
        finally:
            service.close()

    return dg.GraphDefinition(name=name, node_defs=[run]).to_job(
        name=name,
        description=workflow.description or workflow.name or f"The workflow {workflow.workflow_id}.",
        tags={"cogniforge/workflow": workflow.workflow_id},
    )


def _execute(context: dg.OpExecutionContext, service: Any, workflow_id: str) -> None:
    """The run's id is the idempotency key: a run that is started again goes on with the same execution."""
    key = context.run.root_run_id or context.run.run_id
    ended = service.execute_workflow(workflow_id, context.op_config["input"], idempotency_key=key)
    for outcome in service.history(ended.execution_id):
        context.log.info("%s", json.dumps(outcome))
    context.add_output_metadata({"execution_id": ended.execution_id, "status": ended.status})
    if ended.status != "completed":
        raise CogniforgeError(f"{ended.execution_id} is {ended.status}: {(ended.error or {}).get('message')}")
