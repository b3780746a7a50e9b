"""The Python API of the domain: definitions, handlers, executions, signals and the events that start them.

Belongs here: one method for each thing that a user does. Does not: how it is done.
"""

from __future__ import annotations

import sys
import threading
import time
import uuid
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pydantic import JsonValue

from cogniforge_pipeline.declarations import DeclarationsInvalid, declare
from cogniforge_pipeline.declarations.validate import did_you_mean
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.registry import declared, record
from cogniforge_pipeline.services import Service, shared
from cogniforge_pipeline.settings import Settings
from cogniforge_pipeline.workflow import triggers
from cogniforge_pipeline.workflow.engine import Engine
from cogniforge_pipeline.workflow.handlers import Handler, Handlers
from cogniforge_pipeline.workflow.journal import Journal, WorkflowExecution
from cogniforge_pipeline.workflow.machine import CANCEL
from cogniforge_pipeline.workflow.model import WORKFLOW_KIND, WorkflowDefinition
from cogniforge_pipeline.workflow.store import Store

RUN_ID = "api"
SOURCE = "/cogniforge/api"
FRESH_SECONDS = 1.0
DRAINED_LOOKS = 20
"""How long definitions are kept before they are read again."""


class WorkflowOrchestrationService(Service):
    """Works on one home; threads may share it. This process is a worker from the first execution on, until `close`.

    Every method raises CogniforgeError for what it is given, and StoreError where the journal cannot be used.
    """

    kinds = (WORKFLOW_KIND,)
    domain = "workflow"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.handlers = Handlers()
        self._lock = threading.RLock()
        self._definitions: dict[str, WorkflowDefinition] = {}
        self._read_at = 0.0
        if (own := str(settings.platform / "workflows")) not in sys.path:
            sys.path.append(own)  # so that `handlers:function` is found beside the workflows that name it

    def register_workflow(self, workflow: WorkflowDefinition | Mapping[str, Any]) -> WorkflowDefinition:
        """Declares a workflow, or the next version of it; executions under way finish on theirs.

        Raises DeclarationsInvalid, also where a file declares the same workflow.
        """
        declaration = declare(WORKFLOW_KIND, workflow)
        changes, _ = record(self.home, [declaration], run_id=RUN_ID)
        if changes.problems:
            raise DeclarationsInvalid(changes.problems)
        with self._lock:
            self._definitions[declaration.name] = declaration.model
        if declaration.model.event_triggers:
            self._begin(self.home.events.last_seq())
        return declaration.model

    def register_handler(self, name: str, handler: Handler) -> None:
        """A callable `(input)` or `(input, context)` for activities that name it; it gives JSON.

        It may be called again for one activity, after a crash or a retry: `context.key` is then the same.
        """
        self.handlers.register(name, handler)

    def execute_workflow(
        self,
        workflow_id: str,
        input_data: JsonValue = None,
        *,
        idempotency_key: str | None = None,
        timeout_seconds: float | None = None,
    ) -> WorkflowExecution:
        """Runs a workflow here, and gives how it stands when it ended, or after `timeout_seconds`.

        A second call with the same key starts nothing and gives the first one's execution. Raises CogniforgeError where
        a handler is not known.
        """
        definition, execution_id = self._wanted(workflow_id, idempotency_key)
        result = self._engine.start(definition, input_data, execution_id)
        if timeout_seconds is None:
            result()
        else:
            self._engine.outcome(execution_id, timeout_seconds)
        return self.get_execution(execution_id)

    def start_workflow(
        self,
        workflow_id: str,
        input_data: JsonValue = None,
        *,
        idempotency_key: str | None = None,
        queued: bool = False,
    ) -> str:
        """As `execute_workflow`, without waiting: gives the execution's id once it is safe on disk.

        A queued one is run by any worker, another one by this process.
        """
        definition, execution_id = self._wanted(workflow_id, idempotency_key, here=not queued)
        self._engine.start(definition, input_data, execution_id, queued=queued)
        self._store.flush()
        return execution_id

    def get_execution(self, execution_id: str) -> WorkflowExecution:
        """How an execution stands. Raises CogniforgeError where there is none."""
        return self.journal.get(execution_id)

    def list_executions(self, limit: int = 100) -> list[WorkflowExecution]:
        """The newest executions first."""
        return self.journal.executions(limit=limit)

    def history(self, execution_id: str) -> list[dict[str, Any]]:
        """What came of each operation of an execution so far, in order."""
        return [each.outcome for each in self.journal.operations([execution_id])]

    def wait(self, execution_id: str, timeout_seconds: float | None = None) -> WorkflowExecution:
        """Waits for an execution to end. Raises CogniforgeError where there is none."""
        self.get_execution(execution_id)
        self._engine.outcome(execution_id, timeout_seconds)
        return self.get_execution(execution_id)

    def signal(self, execution_id: str, name: str, payload: JsonValue = None, *, signal_id: str | None = None) -> None:
        """Sends a signal to an execution that has not ended; one with a known id is sent once. It is kept until taken.

        An approval is a signal of the activity's name with {"approved": true or false, "by": …}.
        """
        execution = self.get_execution(execution_id)
        if execution.done:
            raise CogniforgeError(f"the execution {execution_id!r} has ended: it is {execution.status}")
        self._store.send(execution_id, name, payload, signal_id)

    def cancel(self, execution_id: str) -> None:
        """Asks an execution to end: what runs is told to stop, and what was done is undone."""
        self.signal(execution_id, CANCEL, signal_id=CANCEL)

    def retry(self, execution_id: str) -> str:
        """Starts an execution that ended without completing again, on today's definition; gives the new one's id."""
        ended = self.get_execution(execution_id)
        if not ended.done or ended.status == "completed":
            raise CogniforgeError(f"the execution {execution_id!r} is {ended.status}: there is nothing to do again")
        return self.start_workflow(ended.workflow_id, ended.input, idempotency_key=f"retry of {execution_id}")

    def publish_event(
        self,
        event_type: str,
        payload: JsonValue = None,
        *,
        source: str = SOURCE,
        subject: str | None = None,
        event_id: str | None = None,
    ) -> str:
        """Publishes an event, starts the workflows that it triggers, and gives its id; both are on disk then."""
        event = self.home.events.publish(event_type, payload, source=source, subject=subject, id=event_id)
        self.start_triggered(event.seq - 1)
        return event.id

    def start_triggered(self, after: int | None = None) -> int:
        """Starts what the events since the last time ask for; gives the number of starts. Any worker runs them.

        The very first time counts events after the seq `after`, by default none: what was before is no news.
        """
        if not any(definition.event_triggers for definition in self.definitions().values()):
            return 0
        self._begin(self.home.events.last_seq() if after is None else after)
        with self._lock:
            return triggers.pump(
                self.home.events,
                self.definitions,
                lambda each: self._engine.start(
                    each.definition, each.input, each.execution_id, queued=True, trigger=each.trigger
                ),
                self._store.flush,
            )

    def get_metrics(self) -> dict[str, Any]:
        """Numbers: workflows, running_workflows, queued_workflows, total_executions, and how the newest 1000 ended."""
        counts = self.journal.counts()
        newest = self.journal.executions(limit=1000)
        by_status = {
            status: sum(each.status == status for each in newest) for status in {each.status for each in newest}
        }
        ended = [each for each in newest if each.done]
        return {
            "registered_workflows": len(self.definitions()),
            "running_workflows": counts["running"],
            "queued_workflows": counts["queued"],
            "total_executions": sum(counts.values()),
            "by_status": by_status,
            "success_rate": sum(each.status == "completed" for each in ended) / len(ended) if ended else None,
        }

    def definitions(self) -> dict[str, WorkflowDefinition]:
        """The workflows in force: those of files, and those that the API registered."""
        with self._lock:
            if time.monotonic() - self._read_at > FRESH_SECONDS:
                with self.home.lake.explained():
                    told = {each.name: each.model for each in declared(self.home.lake.cursor(), WORKFLOW_KIND)}
                files = {each.name: each.model for each in self.home.platform().of(WORKFLOW_KIND)}
                self._definitions, self._read_at = told | files, time.monotonic()
            return dict(self._definitions)

    def _begin(self, seq: int) -> None:
        if triggers.CONSUMER not in self.home.events.consumers():
            self.home.events.consumer(triggers.CONSUMER).commit(seq)

    def close(self) -> None:
        """Stops working on executions; another worker goes on with those under way."""
        if engine := self.__dict__.pop("_engine", None):
            engine.close()

    def work(self, *, drain: bool = False, pause_seconds: float = 0.1, stop: threading.Event | None = None) -> int:
        """Works on executions of any process, and starts those that events ask for, until `stop` is set.

        With `drain`, until nothing is queued and nothing runs in this process. Gives the number of executions that events
        started.
        """
        begun, calm, stop = 0, 0, stop or threading.Event()
        _ = self._engine
        while not stop.is_set():
            begun += self.start_triggered()
            if drain:
                calm = calm + 1 if self._engine.idle else 0
                if calm > DRAINED_LOOKS and not self.journal.counts()["queued"]:
                    return begun
            stop.wait(pause_seconds)
        return begun

    @cached_property
    def _engine(self) -> Engine:
        engine = Engine(self._store, self.handlers, self._definition)
        engine.launch()
        return engine

    @cached_property
    def _store(self) -> Store:
        return Store(self.home.settings)

    @cached_property
    def journal(self) -> Journal:
        """The journal, to read."""
        return Journal(self._store)

    def _wanted(self, workflow_id: str, key: str | None, here: bool = True) -> tuple[WorkflowDefinition, str]:
        definition = self._definition(workflow_id)
        if here:
            for activity in (each for a in definition.activities for each in (a, *(a.branches or ()))):
                for action in (activity, activity.undo):
                    if action and action.handler and self.handlers.find(action.handler) is None:
                        raise CogniforgeError(
                            f"{workflow_id}: the handler {action.handler!r} of {activity.activity_id} is not registered here",
                            "call register_handler first, or name it module:function",
                        )
        made = uuid.uuid4().hex if key is None else triggers.execution_id(workflow_id, key)
        return definition, made if key is not None else f"{workflow_id}-{made}"

    def _definition(self, workflow_id: str) -> WorkflowDefinition:
        known = self._definitions if workflow_id in self._definitions else self.definitions()
        if workflow_id not in known:
            raise CogniforgeError(
                f"there is no workflow {workflow_id!r}", did_you_mean(workflow_id, known, "workflows")
            )
        return known[workflow_id]


def get_workflow_orchestration_service(settings: Settings | None = None) -> WorkflowOrchestrationService:
    """This process's service for these settings, by default for the home that COGNIFORGE_HOME names; made if absent."""
    return shared(WorkflowOrchestrationService, settings)
