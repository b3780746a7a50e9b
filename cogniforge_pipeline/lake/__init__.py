"""The DuckLake: connecting to it, committing to it, and keeping it small."""

from cogniforge_pipeline.lake.connect import CATALOG, Snapshot, extension_path, load_extension
from cogniforge_pipeline.lake.errors import COMMIT_LOCK, LOCK_TIMEOUT_SECONDS, LakeError, explain
from cogniforge_pipeline.lake.lake import Commit, Lake
from cogniforge_pipeline.lake.locks import Connection
from cogniforge_pipeline.lake.maintenance import maintain

__all__ = [
    "CATALOG",
    "COMMIT_LOCK",
    "LOCK_TIMEOUT_SECONDS",
    "Commit",
    "Connection",
    "Lake",
    "LakeError",
    "Snapshot",
    "explain",
    "extension_path",
    "load_extension",
    "maintain",
]
