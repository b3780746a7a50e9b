"""Events that start workflows.

Belongs here: which event starts what, and doing so once. Does not: publishing events, or running workflows.

The id of an execution follows from the workflow and the event's source and id, and the cursor moves on only after all that
an event starts is in the journal. So an event that is delivered again, by two workers or after a crash, starts nothing twice.
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from cogniforge_pipeline.events import Event, EventLog
from cogniforge_pipeline.workflow import expressions
from cogniforge_pipeline.workflow.expressions import ExpressionError
from cogniforge_pipeline.workflow.model import EventTrigger, WorkflowDefinition

CONSUMER = "workflow.triggers"
BATCH = 200


@dataclass(frozen=True)
class Start:
    """One execution that an event asks for."""

    definition: WorkflowDefinition
    input: JsonValue
    execution_id: str
    trigger: str


def execution_id(workflow_id: str, key: str) -> str:
    """The id of the one execution of a workflow under an idempotency key."""
    return f"{workflow_id}-{hashlib.sha256(key.encode()).hexdigest()[:24]}"


def starts(event: Event, definitions: Iterable[WorkflowDefinition]) -> Iterator[Start]:
    """The executions that an event asks for, one at most of each workflow. Raises ExpressionError."""
    values = {**event.to_cloudevent(), "event": event.to_cloudevent()}
    for definition in definitions:
        for trigger in definition.triggers:
            if not _fits(trigger, event, values):
                continue
            given = event.data if trigger.input_data is None else expressions.render(trigger.input_data, values)
            told = f"{event.source} {event.id}"
            yield Start(definition, given, execution_id(definition.workflow_id, told), told)
            break


def pump(
    log: EventLog,
    definitions: Callable[[], Mapping[str, WorkflowDefinition]],
    start: Callable[[Start], object],
    flush: Callable[[], None],
) -> int:
    """Starts what the events since the last time ask for; gives the number of starts.

    An event whose data does not fit a filter or input becomes a dead letter of CONSUMER and stops nothing.
    """
    consumer = log.consumer(CONSUMER)
    begun = 0
    while events := consumer.poll(BATCH):
        known = [definition for definition in definitions().values() if definition.event_triggers]
        for event in events:
            for definition in known:
                try:
                    wanted = list(starts(event, [definition]))
                except ExpressionError as error:
                    consumer.bury(event, f"{definition.workflow_id}: {error.message}")
                    continue
                for each in wanted:
                    start(each)
                    begun += 1
        if begun:
            flush()
        consumer.commit(events[-1].seq)
    return begun


def _fits(trigger: EventTrigger, event: Event, values: Mapping[str, object]) -> bool:
    if not fnmatch.fnmatchcase(event.type, trigger.type) or trigger.source not in (None, event.source):
        return False
    return trigger.filter is None or expressions.truth(expressions.evaluate(trigger.filter, values))
