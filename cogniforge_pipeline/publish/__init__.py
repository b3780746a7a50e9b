"""Write, audit, publish: the only way that rows become a table of the lake.

Belongs here: staging a result, checking it against its contract, setting bad rows aside, committing tables together
with their quarantine, their quality figures and their entry in the log of materializations, and telling of every attempt
(OpenLineage hears it). Does not: computing a result, deciding which days to compute (`increments.py`), or Dagster.

The log `data_mesh.materializations` gives each table a version that grows by one with every publication. A publication
names the versions that it read; when another process has published the same table in between, it is refused with
`Superseded` and the caller computes again. So two runs at once never overwrite newer rows with older ones.

"""

from cogniforge_pipeline.publish.attempt import Attempt, tell
from cogniforge_pipeline.publish.days import midnight, spans
from cogniforge_pipeline.publish.log import MATERIALIZATIONS, QUALITY, Circumstances, last, versions
from cogniforge_pipeline.publish.stage import AuditFailed, Mode, Staged, Staging, Superseded, stage
from cogniforge_pipeline.publish.write import (
    ATTEMPTS,
    Publication,
    commit,
    prepare,
    publish,
    quarantine_of,
)

__all__ = [
    "ATTEMPTS",
    "MATERIALIZATIONS",
    "QUALITY",
    "Attempt",
    "AuditFailed",
    "Circumstances",
    "Mode",
    "Publication",
    "Staged",
    "Staging",
    "Superseded",
    "commit",
    "last",
    "midnight",
    "prepare",
    "publish",
    "quarantine_of",
    "spans",
    "stage",
    "tell",
    "versions",
]
