"""Which executor runs the steps, by setting.

Belongs here: the choice, its extra, and the configuration that is right for this package. Does not: resource limits of
one process (`lake.py`).

`in_process` and `multiprocess` need nothing. The two others come with `pip install 'cogniforge-pipeline[cluster]'`, and
need a catalog in PostgreSQL, data in S3, and the home on a volume that all machines share:

- `celery`: a broker, and workers that have this package and the same COGNIFORGE_* and AWS_* variables
  (`dagster-celery worker start -A dagster_celery.app`). The default broker is RabbitMQ at DAGSTER_CELERY_BROKER_HOST;
  another one: COGNIFORGE_EXECUTOR_CONFIG='{"broker": {"env": "BROKER"}, "backend": {"env": "BACKEND"}}', the same for
  the workers' own configuration file.
- `k8s`: Dagster's K8sRunLauncher with an image that has this package. Each step is a Job with the launcher's image,
  volumes and variables. COGNIFORGE_CATALOG_PASSWORD and the AWS keys belong into a Kubernetes Secret that the
  launcher's `env_secrets` names, the other COGNIFORGE_* and AWS_* variables into its `env_vars`.

Each takes Dagster's own configuration of it in COGNIFORGE_EXECUTOR_CONFIG, and in the run configuration, which wins.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import dagster as dg

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.settings import Settings

_EXTRAS = {
    "celery": ("dagster_celery", "celery_executor"),
    "k8s": ("dagster_k8s", "k8s_job_executor"),
}
_PRELOADED = {"forkserver": {"preload_modules": ["cogniforge_pipeline.definitions"]}}
"""Importing Dagster costs seconds: once for the run, not once for each step."""


def executor(settings: Settings) -> dg.ExecutorDefinition:
    """The executor of the settings: in process by default, for small steps cost less than a process.

    Raises CogniforgeError when the executor's package is not installed.
    """
    if settings.executor == "in_process":
        return _configured(dg.in_process_executor, settings.executor_config)
    if settings.executor == "multiprocess":
        return _configured(dg.multiprocess_executor, {"start_method": _PRELOADED, **settings.executor_config})
    module, name = _EXTRAS[settings.executor]
    try:
        found: dg.ExecutorDefinition = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise CogniforgeError(
            f"the executor {settings.executor} needs the package {module.replace('_', '-')}",
            "pip install 'cogniforge-pipeline[cluster]'",
        ) from error
    return _configured(found, settings.executor_config)


def _configured(found: dg.ExecutorDefinition, base: Mapping[str, Any]) -> dg.ExecutorDefinition:
    """The executor with `base` under what a run's configuration says.

    The outer schema takes anything, for the executor's own would fill in its defaults there and hide `base`.
    """
    anything = dg.Field(dict, is_required=False)
    return found.configured(lambda config: {**base, **config}, name=found.name, config_schema=anything)
