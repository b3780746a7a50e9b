"""The tables of anomalies that Python computes.

Belongs here: which they are, and what they read. Does not: how (`anomaly_scores.py`), or Dagster.
"""

from __future__ import annotations

from cogniforge_pipeline.aiops import anomaly_scores
from cogniforge_pipeline.recipes import Computed


def computed() -> list[Computed]:
    """All of them."""
    return [
        Computed(
            anomaly_scores.SCORES,
            anomaly_scores.INPUTS,
            anomaly_scores.scores_recipe,
            (anomaly_scores.POINTS, anomaly_scores.STATES),
        )
    ]
