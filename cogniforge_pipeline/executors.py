"""Which executor runs the steps, by setting.

Belongs here: the choice and its extras. Does not: resource limits of one process (`lake.py`).
"""

from __future__ import annotations

import importlib

import dagster as dg

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.settings import Settings

_EXTRAS = {
    "celery": ("dagster_celery", "celery_executor"),
    "k8s": ("dagster_k8s", "k8s_job_executor"),
}


def executor(settings: Settings) -> dg.ExecutorDefinition:
    """The executor of the settings: in process by default, for small steps cost less than a process.

    Raises CogniforgeError when the executor's package is not installed.
    """
    if settings.executor == "in_process":
        return dg.in_process_executor
    if settings.executor == "multiprocess":
        return dg.multiprocess_executor
    module, name = _EXTRAS[settings.executor]
    try:
        found: dg.ExecutorDefinition = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise CogniforgeError(
            f"the executor {settings.executor} needs the package {module.replace('_', '-')}",
            "pip install 'cogniforge-pipeline[cluster]'",
        ) from error
    return found
