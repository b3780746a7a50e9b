"""What came of an action: did its symptom clear in time, and how often does a playbook help.

Belongs here: outcomes and track records. Does not: deciding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cogniforge_pipeline.errors import CogniforgeError

OutcomeState = Literal["cleared", "relapsed", "not_cleared", "already_clear", "unknown", "pending"]
_HELPED: tuple[OutcomeState, ...] = ("cleared",)
_FAILED: tuple[OutcomeState, ...] = ("relapsed", "not_cleared")
_Z = 1.959964


@dataclass(frozen=True)
class ActionTaken:
    """An action that was taken on `target` so that `metric` of `service` clears within `clears_within_minutes`."""

    incident_id: str
    playbook: str
    target: str
    service: str
    metric: str
    at: datetime
    clears_within_minutes: float

    @property
    def verify_by(self) -> datetime:
        """The end of the window in which the symptom must clear."""
        return self.at + timedelta(minutes=self.clears_within_minutes)


@dataclass(frozen=True)
class Episode:
    """One anomaly of a metric; `ended_at` is None while it goes on."""

    service: str
    metric: str
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Outcome:
    """What came of an action.

    cleared: the symptom ended within the window and did not come back in it. relapsed: it ended and came back.
    not_cleared: it went on to the end of the window. already_clear: it was over before the action. unknown: the
    service told nothing until the end of the window. pending: the window is not over. Only the first three count.
    """

    incident_id: str
    playbook: str
    target: str
    at: datetime
    state: OutcomeState
    cleared_after_minutes: float | None
    judged_at: datetime
    reason: str


@dataclass(frozen=True)
class Record:
    """How often a playbook helped: cleared of judged, with a 95 % interval (Wilson); None when nothing was judged."""

    playbook: str
    taken: int
    judged: int
    cleared: int
    precision: float | None
    low: float | None
    high: float | None
    median_minutes: float | None


def verify(
    taken: Sequence[ActionTaken],
    episodes: Sequence[Episode],
    *,
    as_of: datetime,
    measured_until: dict[str, datetime] | None = None,
) -> tuple[Outcome, ...]:
    """The outcome of each action as known at `as_of`; actions after it are left out.

    `episodes` are the anomalies of the services; what they tell from after `as_of` is not used. `measured_until` is the
    newest telemetry of each service: an end of an episode that comes from silence is no success. That a symptom
    cleared after an action does not prove that the action cleared it; precision says how often it goes well.
    Raises CogniforgeError for a naive `as_of`.
    """
    if as_of.tzinfo is None:
        raise CogniforgeError(f"as_of {as_of.isoformat()} has no time zone", "give it in UTC")
    return tuple(
        _outcome(
            action,
            [one for one in episodes if (one.service, one.metric) == (action.service, action.metric)],
            as_of,
            None if measured_until is None else measured_until.get(action.service),
            measured_until is not None,
        )
        for action in taken
        if action.at <= as_of
    )


def track_record(outcomes: Sequence[Outcome]) -> tuple[Record, ...]:
    """How often each playbook helped, by name."""
    found = []
    for playbook in sorted({outcome.playbook for outcome in outcomes}):
        own = [outcome for outcome in outcomes if outcome.playbook == playbook]
        helped = [outcome.cleared_after_minutes or 0.0 for outcome in own if outcome.state in _HELPED]
        judged = len(helped) + sum(outcome.state in _FAILED for outcome in own)
        low, high = _wilson(len(helped), judged) if judged else (None, None)
        found.append(
            Record(
                playbook=playbook,
                taken=len(own),
                judged=judged,
                cleared=len(helped),
                precision=len(helped) / judged if judged else None,
                low=low,
                high=high,
                median_minutes=sorted(helped)[len(helped) // 2] if helped else None,
            )
        )
    return tuple(found)


def _outcome(
    action: ActionTaken, episodes: Sequence[Episode], as_of: datetime, measured: datetime | None, asked: bool
) -> Outcome:
    end = min(as_of, action.verify_by)
    over = as_of >= action.verify_by
    open_then = [
        one for one in episodes if one.started_at <= action.at and (one.ended_at is None or one.ended_at > action.at)
    ]
    later = [one for one in episodes if action.at < one.started_at <= end]
    ends = [one.ended_at for one in open_then]
    ended = [moment for moment in ends if moment is not None and moment <= end]
    after = max(ended) if ended and len(ended) == len(ends) else None

    def told(state: OutcomeState, reason: str) -> Outcome:
        minutes = None if after is None else (after - action.at) / timedelta(minutes=1)
        at = action.verify_by if over and state != "pending" else as_of
        return Outcome(action.incident_id, action.playbook, action.target, action.at, state, minutes, at, reason)

    name = f"{action.service} {action.metric}"
    if not open_then:
        return told("already_clear", f"{name} had cleared before the action")
    if not over:
        return told("pending", f"the window ends {action.verify_by.isoformat()}")
    if asked and (measured is None or measured < action.verify_by):
        return told("unknown", f"{action.service} told nothing until the end of the window")
    if after is None:
        return told("not_cleared", f"{name} went on for {action.clears_within_minutes:g} min")
    if any(one.started_at > after for one in later):
        return told("relapsed", f"{name} cleared and came back within the window")
    return told("cleared", f"{name} cleared after {(after - action.at) / timedelta(minutes=1):.0f} min")


def _wilson(cleared: int, judged: int) -> tuple[float, float]:
    share, square = cleared / judged, _Z**2
    middle = (share + square / (2 * judged)) / (1 + square / judged)
    half = _Z * math.sqrt(share * (1 - share) / judged + square / (4 * judged**2)) / (1 + square / judged)
    return max(0.0, middle - half), min(1.0, middle + half)
