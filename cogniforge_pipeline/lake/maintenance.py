"""Keeping the lake small.

Belongs here: merging, expiring and deleting files. Does not: when that is done.
"""

from __future__ import annotations

from datetime import timedelta

import duckdb

from cogniforge_pipeline.lake.connect import CATALOG
from cogniforge_pipeline.lake.errors import explain
from cogniforge_pipeline.lake.lake import Lake
from cogniforge_pipeline.sqltext import literal


def maintain(lake: Lake, *, keep_days: int = 30, grace: timedelta = timedelta(days=1)) -> dict[str, int]:
    """Merges small files, expires snapshots older than `keep_days`, and deletes files that no snapshot needs.

    Returns how many files each step touched. A file is deleted once it has been of no use for `grace`, so that a reader
    at work keeps it; so are files that a killed writer left. Commits of others wait for one step at most.
    """
    cursor = lake.cursor()
    done: dict[str, int] = {}
    name = literal(CATALOG)
    kept = f"now() - INTERVAL {int(grace.total_seconds())} SECOND"
    steps = {
        "inlined_flushed": f"CALL ducklake_flush_inlined_data({name})",
        "files_merged": f"CALL ducklake_merge_adjacent_files({name})",
        "snapshots_expired": f"CALL ducklake_expire_snapshots({name}, older_than => now() - INTERVAL {keep_days} DAY)",
        "files_cleaned": f"CALL ducklake_cleanup_old_files({name}, older_than => {kept})",
        "orphans_deleted": f"CALL ducklake_delete_orphaned_files({name}, older_than => {kept})",
    }
    for step, statement in steps.items():
        with lake.exclusive():
            try:
                done[step] = len(cursor.execute(statement).fetchall())
            except duckdb.Error as error:
                raise explain(error, lake.settings) from error
    return done
