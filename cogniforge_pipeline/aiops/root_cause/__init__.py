"""Root causes: which nodes of a dependency graph best explain what is wrong at one of them.

Belongs here: public names. Does not: tables, commands.
"""

from cogniforge_pipeline.aiops.root_cause.graph import Graph, read_graph
from cogniforge_pipeline.aiops.root_cause.incidents import Change, Explained, RankedCause, Symptom, explain
from cogniforge_pipeline.aiops.root_cause.learnt import LearntEdge, learn_edges
from cogniforge_pipeline.aiops.root_cause.metrics import Column, Metrics, metrics_from_frame, read_metrics
from cogniforge_pipeline.aiops.root_cause.ranking import Cause, RootCauses, find_root_causes, rank_causes
from cogniforge_pipeline.aiops.root_cause.rollups import Series, Window, assemble
from cogniforge_pipeline.aiops.root_cause.unusual import tail_scores

__all__ = [
    "Cause",
    "Change",
    "Column",
    "Explained",
    "Graph",
    "LearntEdge",
    "Metrics",
    "RankedCause",
    "RootCauses",
    "Series",
    "Symptom",
    "Window",
    "assemble",
    "explain",
    "find_root_causes",
    "learn_edges",
    "metrics_from_frame",
    "rank_causes",
    "read_graph",
    "read_metrics",
    "tail_scores",
]
