"""Workflows: activities with retries and compensation whose executions outlive the process that runs them.

Belongs here: the public names, each loaded when it is first asked for, so that the import stays light. Does not: code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cogniforge_pipeline.lazy import exports

if TYPE_CHECKING:
    from cogniforge_pipeline.workflow.handlers import Context, NonRetryableError, StoppedError
    from cogniforge_pipeline.workflow.journal import WorkflowExecution
    from cogniforge_pipeline.workflow.model import EventTrigger, RetryPolicy, WorkflowActivity, WorkflowDefinition
    from cogniforge_pipeline.workflow.service import WorkflowOrchestrationService, get_workflow_orchestration_service

__all__ = [
    "Context",
    "EventTrigger",
    "NonRetryableError",
    "RetryPolicy",
    "StoppedError",
    "WorkflowActivity",
    "WorkflowDefinition",
    "WorkflowExecution",
    "WorkflowOrchestrationService",
    "get_workflow_orchestration_service",
]
__getattr__, __dir__ = exports(
    __name__,
    {
        "handlers": ("Context", "NonRetryableError", "StoppedError"),
        "journal": ("WorkflowExecution",),
        "model": ("EventTrigger", "RetryPolicy", "WorkflowActivity", "WorkflowDefinition"),
        "service": ("WorkflowOrchestrationService", "get_workflow_orchestration_service"),
    },
)
