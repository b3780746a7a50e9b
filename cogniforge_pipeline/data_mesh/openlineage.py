"""The mesh's part of an OpenLineage event: which columns a query's columns are computed from.

Belongs here: remembering that between runs. Does not: finding it out (`lineage.py`), or the events, which also tables of
other domains send (`cogniforge_pipeline.openlineage`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.data_mesh.lineage import column_edges
from cogniforge_pipeline.queries import Query

FILE = "column_lineage.json"

Origins = list[tuple[str, str, str]]


def column_origins(query: Query, contracts: Mapping[str, Contract], folder: Path) -> Origins:
    """Each column of a query, with a table and the column of it that may decide its values.

    To follow the columns takes most of a second in a new process, so the answer is kept in `folder` for as long as the
    query and the columns of all tables stay. A file that cannot be read or written only costs that time again.
    """
    file = folder / FILE
    shapes = sorted(f"{c.name}:{[(column.name, column.type) for column in c.columns]}" for c in contracts.values())
    key = sha256("\n".join([query.digest, *shapes]).encode()).hexdigest()
    known: dict[str, tuple[str, Origins]] = {}
    with suppress(OSError, ValueError):
        known = json.loads(file.read_text())
    if known.get(query.name, ("",))[0] == key:
        return [(column, table, origin) for column, table, origin in known[query.name][1]]
    found = [
        (edge.output_column, edge.input_table, edge.input_column)
        for edge in column_edges([query], contracts)
        if edge.output_column and edge.input_column
    ]
    with suppress(OSError):
        draft = file.with_name(f".{FILE}.{os.getpid()}")
        draft.write_text(json.dumps({**known, query.name: (key, found)}))
        draft.replace(file)
    return found
