"""The tables of AIOps that Python computes.

Belongs here: which they are, and what they read. Does not: how (`anomaly_scores.py`, `anomalies.py`, `cause_tables.py`,
`decision_tables.py`, `forecast_tables.py`, `capacity_tables.py`), or Dagster.
"""

from __future__ import annotations

from cogniforge_pipeline.aiops import (
    anomalies,
    anomaly_scores,
    capacity_tables,
    cause_tables,
    decision_tables,
    forecast_tables,
)
from cogniforge_pipeline.recipes import Computed


def computed() -> list[Computed]:
    """All of them."""
    return [
        Computed(
            anomaly_scores.SCORES,
            anomaly_scores.INPUTS,
            anomaly_scores.scores_recipe,
            (anomaly_scores.POINTS, anomaly_scores.STATES),
        ),
        Computed(anomalies.ANOMALIES, anomalies.INPUTS, anomalies.anomalies_recipe, (anomalies.INCIDENTS,)),
        *cause_tables.computed(),
        *decision_tables.computed(),
        *forecast_tables.computed(),
        *capacity_tables.computed(),
    ]
