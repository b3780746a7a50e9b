"""The event log as the lake's table `data_mesh.events`.

Belongs here: copying new events once each. Does not: publishing events.
"""

from __future__ import annotations

import json

from cogniforge_pipeline import publish
from cogniforge_pipeline.events import Event
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.publish import Circumstances, Mode, Publication
from cogniforge_pipeline.sqltext import literal

EVENTS = "data_mesh.events"
BATCH = 5_000


def project_events(home: Home, *, run_id: str) -> Publication | None:
    """Appends the events that the lake does not have yet, in batches; returns the last publication, or None.

    The lake's own highest `seq` is the cursor, so an event is neither lost nor repeated. When another process was faster
    the batch is read again after its events, which may be older than the newest one.
    """
    contract = home.contracts[EVENTS]
    cursor = home.lake.cursor()
    last: Publication | None = None
    with home.lake.explained():
        while True:
            version = publish.versions(cursor).get(EVENTS, 0)
            row = cursor.execute(f"SELECT coalesce(max(seq), 0) FROM {EVENTS}").fetchone()
            events = list(home.events.read(int(row[0]) if row else 0, limit=BATCH))
            if not events:
                return last
            select = (
                "SELECT * FROM (VALUES " + ", ".join(map(_values, events)) + ") "
                "AS events (seq, id, source, type, subject, time, data)"
            )
            circumstances = Circumstances(run_id, expected={EVENTS: version})
            with publish.stage(cursor, contract, [select], mode=Mode.APPEND, run_id=run_id) as staged:
                try:
                    last = publish.publish(home.lake, cursor, [staged], circumstances)[0]
                except publish.Superseded:
                    continue


def _values(event: Event) -> str:
    data = json.dumps(event.data, ensure_ascii=False, separators=(",", ":"))
    values = (event.seq, event.id, event.source, event.type, event.subject, event.time, data)
    return f"({', '.join(literal(value) for value in values)})"
