"""Causal detection of anomalies over many series, with explicit state.

Belongs here: the detector and its public names. Does not: Dagster, tables, episodes.
"""

from cogniforge_pipeline.aiops.detection.detector import Detector
from cogniforge_pipeline.aiops.detection.files import DetectedFile, detect_files
from cogniforge_pipeline.aiops.detection.model import KINDS, Scores, Settings, State
from cogniforge_pipeline.aiops.detection.state import join, load_state, save_state, take

__all__ = [
    "KINDS",
    "DetectedFile",
    "Detector",
    "Scores",
    "Settings",
    "State",
    "detect_files",
    "join",
    "load_state",
    "save_state",
    "take",
]
