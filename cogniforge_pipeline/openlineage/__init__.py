"""OpenLineage: every attempt to publish a table as events that catalogues such as Marquez and DataHub read.

Belongs here: the public names. `events` says what an event holds, `emitter` where it goes. Does not: finding the columns
that a column is computed from (`data_mesh`), or telling of attempts (`publish`).

The client's library takes half a second to import and is imported with the first event: a process that publishes nothing
never pays for it.
"""

from cogniforge_pipeline.openlineage.emitter import Emitter
from cogniforge_pipeline.openlineage.events import ColumnOrigins, Source, run_events

__all__ = ["ColumnOrigins", "Emitter", "Source", "run_events"]
