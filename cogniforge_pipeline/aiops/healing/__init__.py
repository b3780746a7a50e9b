"""Healing: which action a playbook asks for, whether it may be taken, and whether it helped.

Belongs here: public names. Does not: taking the action, which workflows do.
"""

from cogniforge_pipeline.aiops.healing.decide import Decision, Incident, Suspect, Symptom, decide
from cogniforge_pipeline.aiops.healing.log import Approval, Entry, History, Spell, World, advance
from cogniforge_pipeline.aiops.healing.model import (
    PLAYBOOK_KIND,
    Action,
    CausePattern,
    GuardRails,
    Playbook,
    SymptomPattern,
)
from cogniforge_pipeline.aiops.healing.verify import ActionTaken, Episode, Outcome, Record, track_record, verify

__all__ = [
    "PLAYBOOK_KIND",
    "Action",
    "ActionTaken",
    "Approval",
    "CausePattern",
    "Decision",
    "Entry",
    "Episode",
    "GuardRails",
    "History",
    "Incident",
    "Outcome",
    "Playbook",
    "Record",
    "Spell",
    "Suspect",
    "Symptom",
    "SymptomPattern",
    "World",
    "advance",
    "decide",
    "track_record",
    "verify",
]
