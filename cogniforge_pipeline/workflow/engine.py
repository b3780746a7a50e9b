"""Executions on DBOS: it journals what came of each operation, so that an execution goes on wherever it was cut off.

Belongs here: one engine of a process, the loop of an execution, starting, and taking over from workers that died. Does not:
deciding (`machine.py`), doing (`perform.py`), or reading the journal (`journal.py`).

An operation is a step of DBOS. Once its outcome is in the journal it is never done again; one that was under way when the
process died is, with the same idempotency key. Where several are in flight, which of them ended first is a step too.
"""

from __future__ import annotations

import contextvars
import hashlib
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import lru_cache
from typing import Any, cast

from pydantic import JsonValue

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.workflow.handlers import Handlers
from cogniforge_pipeline.workflow.machine import CANCEL, Machine
from cogniforge_pipeline.workflow.mailbox import Closing, Mailbox, Mailboxes
from cogniforge_pipeline.workflow.model import WorkflowDefinition
from cogniforge_pipeline.workflow.operations import Operation, Outcome
from cogniforge_pipeline.workflow.perform import perform
from cogniforge_pipeline.workflow.store import Store, StoreError

APPLICATION = "cogniforge"
VERSION = "1"
"""Of the loop below: executions of another one are not touched. What a user changes is in their definitions."""
QUEUE = "workflows"
QUEUE_SECONDS = 0.1
TAKE_OVER_SECONDS = 1.0
PARALLEL = 64
CLOSE_SECONDS = 5.0
KEPT_DEFINITIONS = 256

_log = logging.getLogger(__name__)

Definitions = Callable[[str], WorkflowDefinition]
"""A definition by its name. Raises CogniforgeError."""


class ChildFailed(Exception):
    """A workflow that is part of another one did not complete."""


class Engine:
    """The worker of this process. There is at most one at a time: DBOS is one for a process."""

    def __init__(self, store: Store, handlers: Handlers, definitions: Definitions) -> None:
        self.settings = store.settings
        self.handlers = handlers
        self.definitions = definitions
        self.worker = uuid.uuid4().hex
        self.store = store
        self._boxes = Mailboxes(self.store)
        self._direct: set[str] = set()
        self._specs: dict[int, tuple[WorkflowDefinition, dict[str, Any], str]] = {}
        self._known: dict[str, WorkflowDefinition] = {}
        self._stop = threading.Event()
        self._active: set[str] = set()
        self._idle = threading.Condition()

    def launch(self) -> None:
        """Begins to work: own executions, queued ones, and those whose worker died."""
        from dbos import DBOS, DBOSConfig
        from dbos._serialization import DBOSPortableJSON

        with _starting:
            if _running:
                raise CogniforgeError(
                    f"this process works on the workflows of {_running[0].settings.home} already",
                    "close that service first",
                )
            self._program = _program()
            self.store.live(self.worker)
            config: DBOSConfig = {
                "name": APPLICATION,
                "system_database_url": self.store.url,
                "system_database_engine": self.store.engine,
                "serializer": DBOSPortableJSON,
                "application_version": VERSION,
                "executor_id": self.worker,
                "log_level": "CRITICAL",
                "console_log_level": "CRITICAL",
                "use_listen_notify": False,
            }
            if not logging.getLogger("dbos").handlers:  # else it takes today's stderr, which may be closed tomorrow
                logging.getLogger("dbos").addHandler(logging.NullHandler())
            try:
                DBOS(config=config)
                DBOS.launch()
            except Exception as error:
                DBOS.destroy()
                self.store.close()
                reason = self.settings.redact(str(error.__cause__ or error)).splitlines()[0]
                raise StoreError(f"the journal of workflows cannot be used: {reason}") from None
            DBOS.register_queue(QUEUE, polling_interval_sec=QUEUE_SECONDS, on_conflict="always_update")
            _running.append(self)
        threading.Thread(target=self._take_over, name="workflow-take-over", daemon=True).start()

    def close(self) -> None:
        """Stops working. Executions under way stay as the journal has them; the next worker goes on with them."""
        from dbos import DBOS

        with _starting:
            if self not in _running:
                return
            self._stop.set()
            self._boxes.close()
            with self._idle:
                self._idle.wait_for(lambda: not self._active, CLOSE_SECONDS)
            DBOS.destroy()
            self.store.close()
            _running.remove(self)

    def start(
        self,
        definition: WorkflowDefinition,
        input: JsonValue,
        execution_id: str,
        *,
        queued: bool = False,
        parent: str | None = None,
        trigger: str | None = None,
    ) -> Callable[[], dict[str, Any]]:
        """Starts an execution, or does nothing where one of this id was started before, here or elsewhere.

        A queued one is taken by any worker, another one by this process. It is in the journal when this returns; what comes
        back waits for what it comes to.
        """
        from dbos import DBOS, SetWorkflowID

        spec, version = self._spec(definition)
        about: dict[str, Any] = {"started": time.time(), "definition": version}
        about |= {name: value for name, value in (("parent", parent), ("trigger", trigger)) if value}
        if not queued:
            self._direct.add(execution_id)
            self._boxes.open(execution_id, fresh=True)
        with SetWorkflowID(execution_id):
            if queued:
                handle = DBOS.enqueue_workflow(QUEUE, self._program, spec, input, about)
            else:
                handle = DBOS.start_workflow(self._program, spec, input, about)
        return lambda: cast(dict[str, Any], handle.get_result(polling_interval_sec=0.05))

    def run(
        self, execution_id: str, spec: Mapping[str, Any], input: JsonValue, about: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The whole execution, from its beginning, with what the journal knows already."""
        self._active.add(execution_id)
        box = self._boxes.open(execution_id, fresh=execution_id in self._direct)
        try:
            machine = Machine(self._definition(spec, about["definition"]), execution_id, input, about["started"])
            _Loop(self, machine, box).run()
        finally:
            self._boxes.drop(execution_id)
            self._direct.discard(execution_id)
            with self._idle:
                self._active.discard(execution_id)
                self._idle.notify_all()
        return {
            "status": machine.status,
            "output": machine.output if machine.stop is None else None,
            "error": machine.stop,
            "finished": machine.clock,
        }

    def _spec(self, definition: WorkflowDefinition) -> tuple[dict[str, Any], str]:
        """The definition as the journal keeps it, and what tells it from others; made once for each."""
        known = self._specs.get(id(definition))
        if known is None or known[0] is not definition:
            spec = definition.spec()
            if len(self._specs) >= KEPT_DEFINITIONS:
                self._specs.clear()
            version = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()
            known = self._specs[id(definition)] = definition, spec, version
            self._known[version] = definition
        return known[1], known[2]

    def _definition(self, spec: Mapping[str, Any], version: str) -> WorkflowDefinition:
        if version not in self._known:
            self._known[version] = WorkflowDefinition.model_validate(spec)
        return self._known[version]

    def perform(self, operation: Operation, execution_id: str, box: Mailbox) -> Outcome:
        """One operation, as a step of DBOS."""
        return perform(operation, execution_id, box, self.handlers, self.settings.commands, self._child)

    def outcome(self, execution_id: str, seconds: float | None = None) -> dict[str, Any] | None:
        """What an execution came to; None when it has not ended after so many seconds."""
        from dbos import DBOS

        deadline = None if seconds is None else time.monotonic() + seconds
        pause = 0.02
        while True:
            status = DBOS.get_workflow_status(execution_id)
            if status is not None and status.status == "SUCCESS":
                return cast(dict[str, Any], status.output)
            if status is not None and status.status not in ("PENDING", "ENQUEUED", "DELAYED"):
                return {
                    "status": "failed",
                    "output": None,
                    "error": {"type": status.status, "message": str(status.error)},
                }
            if self._stop.is_set() or (deadline is not None and time.monotonic() >= deadline):
                return None
            time.sleep(pause if deadline is None else min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(pause * 1.5, 0.5)

    @property
    def idle(self) -> bool:
        """Whether nothing runs in this process."""
        return not self._active

    def _child(self, workflow: str, operation: Operation, box: Mailbox) -> JsonValue:
        execution_id = f"{operation.key.replace(':', '.')}.{operation.attempt}"
        definition = self.definitions(workflow)
        parent = operation.key.split(":")[0]
        contextvars.Context().run(self.start, definition, operation.input, execution_id, parent=parent)
        cancelled = False
        while (came := contextvars.Context().run(self.outcome, execution_id, 0.1)) is None:
            box.interrupted(operation.name)
            if box.cancelled and not cancelled and operation.kind == "attempt":
                cancelled = True
                self.store.send(execution_id, CANCEL, None, "cancel")
        if came["status"] != "completed":
            error = came["error"] or {}
            raise ChildFailed(f"{workflow} {came['status']}: {error.get('type')}: {error.get('message')}")
        output: JsonValue = came["output"]
        return output

    def _take_over(self) -> None:
        """Queues the executions of dead workers again, over and over."""
        while True:
            try:
                self.take_over()
            except Exception as error:  # the database may be away for a moment
                _log.warning("executions of dead workers are not taken over: %s", self.settings.redact(str(error)))
            if self._stop.wait(TAKE_OVER_SECONDS):
                return

    def take_over(self) -> int:
        """Queues the executions of dead workers again; gives their number."""
        import sqlalchemy as sa

        database = _system_database()
        table = database.tables.workflow_status
        with database.engine.connect() as connection:
            rows = connection.execute(
                sa.select(table.c.executor_id, table.c.workflow_uuid).where(
                    table.c.status == "PENDING",
                    table.c.executor_id != self.worker,
                    table.c.application_version == VERSION,
                )
            ).fetchall()
        dead = set(self.store.dead({row[0] for row in rows}))
        return sum(database.reenqueue_for_recovery(row[1], [row[0]], QUEUE) for row in rows if row[0] in dead)


class _Loop:
    """One execution's turns: begin what the machine asks for, tell it what came of it."""

    def __init__(self, engine: Engine, machine: Machine, box: Mailbox) -> None:
        self.engine = engine
        self.machine = machine
        self.box = box
        self.flying: dict[str, tuple[Operation, Future[Outcome]]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def run(self) -> None:
        from dbos import DBOS

        machine, execution_id = self.machine, self.machine.execution_id
        try:
            while True:
                begun = machine.begin()
                if len(begun) == 1 and not self.flying:
                    (operation,) = begun
                    outcome = DBOS.run_step(
                        {"name": operation.name}, self.engine.perform, operation, execution_id, self.box
                    )
                    machine.settle(operation, outcome)
                    continue
                for operation in begun:
                    self._launch(operation)
                if not self.flying:
                    return
                name = next(iter(self.flying))
                if len(self.flying) > 1:
                    name = DBOS.run_step({"name": "first"}, self._first)
                operation, future = self.flying.pop(name)
                machine.settle(operation, future.result())
                self.box.interrupt(machine.interrupted)
        finally:
            if self._pool is not None:
                self._pool.shutdown(wait=False)

    def _launch(self, operation: Operation) -> None:
        from dbos import DBOS

        if self._pool is None:
            self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="workflow")
        step, context = DBOS.reserve_step(), contextvars.copy_context()

        def run() -> Outcome:
            return step.run(
                {"name": operation.name}, self.engine.perform, operation, self.machine.execution_id, self.box
            )

        future: Future[Outcome] = self._pool.submit(context.run, run)
        self.flying[operation.name] = operation, future

    def _first(self) -> str:
        done, _ = wait([future for _, future in self.flying.values()], return_when=FIRST_COMPLETED)
        return next(name for name, (_, future) in self.flying.items() if future in done)


_running: list[Engine] = []
"""The engine that was launched in this process, if there is one."""
_starting = threading.RLock()


def _system_database() -> Any:
    from dbos import _dbos

    return _dbos._get_dbos_instance()._sys_db


@lru_cache(maxsize=1)
def _program() -> Callable[..., Any]:
    """The one workflow of DBOS: it interprets the definition that it is given."""
    from dbos import DBOS

    @DBOS.workflow(name="execution")
    def execution(spec: dict[str, Any], input: JsonValue, about: dict[str, Any]) -> dict[str, Any]:
        execution_id = DBOS.workflow_id
        if not _running or execution_id is None:
            raise Closing
        return _running[0].run(execution_id, spec, input, about)

    return execution
