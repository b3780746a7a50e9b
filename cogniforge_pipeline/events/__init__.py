"""The event log: CloudEvents 1.0, appended to one SQLite file that many processes share.

Belongs here: what an event is, publishing, reading and consumers' cursors.
Does not: who reacts to which event, and copying the log into the lake.
"""

from cogniforge_pipeline.events.consumer import Consumer, DeadLetter
from cogniforge_pipeline.events.log import EventLog
from cogniforge_pipeline.events.model import MAX_DATA_BYTES, Event, EventError, NewEvent
from cogniforge_pipeline.events.storage import EventLogError

__all__ = [
    "MAX_DATA_BYTES",
    "Consumer",
    "DeadLetter",
    "Event",
    "EventError",
    "EventLog",
    "EventLogError",
    "NewEvent",
]
