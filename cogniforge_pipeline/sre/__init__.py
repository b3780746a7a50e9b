"""SRE: objectives and error budgets, canaries, the risk of deployments.

Belongs here: the public names, each loaded when it is first asked for, so that the import stays light. Does not: code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cogniforge_pipeline.lazy import exports

if TYPE_CHECKING:
    from cogniforge_pipeline.sre.canary import CanaryError, MetricJudgement, judge_metric
    from cogniforge_pipeline.sre.canary_evidence import Counts, Criterion, Evidence, Means
    from cogniforge_pipeline.sre.canary_looks import Look, Verdict, judge_canary
    from cogniforge_pipeline.sre.canary_score import CanaryScore, score_canary
    from cogniforge_pipeline.sre.model import SLI, SLO, DeploymentStrategy
    from cogniforge_pipeline.sre.risk import Assessment, Contribution, RiskModel, fit_risk
    from cogniforge_pipeline.sre.risk_learn import RiskError
    from cogniforge_pipeline.sre.service import SREService, get_sre_service
    from cogniforge_pipeline.sre.service_types import Canary, Deployment, DeploymentRisk

__all__ = [
    "SLI",
    "SLO",
    "Assessment",
    "Canary",
    "CanaryError",
    "CanaryScore",
    "Contribution",
    "Counts",
    "Criterion",
    "Deployment",
    "DeploymentRisk",
    "DeploymentStrategy",
    "Evidence",
    "Look",
    "Means",
    "MetricJudgement",
    "RiskError",
    "RiskModel",
    "SREService",
    "Verdict",
    "fit_risk",
    "get_sre_service",
    "judge_canary",
    "judge_metric",
    "score_canary",
]

__getattr__, __dir__ = exports(
    __name__,
    {
        "canary": ("CanaryError", "MetricJudgement", "judge_metric"),
        "canary_evidence": ("Counts", "Criterion", "Evidence", "Means"),
        "canary_looks": ("Look", "Verdict", "judge_canary"),
        "canary_score": ("CanaryScore", "score_canary"),
        "model": ("SLI", "SLO", "DeploymentStrategy"),
        "risk": ("Assessment", "Contribution", "RiskModel", "fit_risk"),
        "risk_learn": ("RiskError",),
        "service": ("SREService", "get_sre_service"),
        "service_types": ("Canary", "Deployment", "DeploymentRisk"),
    },
)
