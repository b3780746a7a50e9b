"""The log of decisions through time: what playbooks say whenever something changes, and what came of it.

Belongs here: which moments to decide at, and what is new to tell. Does not: one decision (`decide.py`), one outcome
(`verify.py`), tables.

What was decided stays, for somebody may have acted on it. A run decides for the moments since the run before, at which
something may change, and for its own: a symptom is old enough for a playbook or clears, a person agrees, an action is due
to have helped, a cool-down is over, or an hour in which no more was allowed.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cogniforge_pipeline.aiops.healing.decide import Decision, Incident, Suspect, Symptom, decide
from cogniforge_pipeline.aiops.healing.model import Playbook
from cogniforge_pipeline.aiops.healing.verify import ActionTaken, Episode, Outcome, Record, track_record, verify


@dataclass(frozen=True)
class Spell:
    """A symptom and when it cleared; None while it goes on."""

    symptom: Symptom
    ended_at: datetime | None


@dataclass(frozen=True)
class History:
    """An incident with all symptoms that it had, and its suspects as they are known now."""

    incident_id: str
    spells: tuple[Spell, ...]
    suspects: tuple[Suspect, ...] = ()

    def at(self, moment: datetime) -> Incident:
        """What was wrong at that moment."""
        alive = (one.symptom for one in self.spells if _alive(one, moment))
        return Incident(self.incident_id, tuple(alive), self.suspects)


@dataclass(frozen=True)
class Approval:
    """A person agreed to what a playbook asks for in one incident."""

    incident_id: str
    playbook: str
    at: datetime


@dataclass(frozen=True)
class Entry:
    """A decision in the log. `precision` is that of the playbook's `judged` earlier actions; `outcome` is of an action."""

    decision: Decision
    as_of: datetime
    precision: float | None = None
    judged: int = 0
    outcome: Outcome | None = None

    @property
    def key(self) -> tuple[str, str, datetime]:
        return self.decision.incident_id, self.decision.playbook, self.decision.decided_at

    @property
    def awaited(self) -> bool:
        """Whether it is an action whose outcome is not known yet."""
        return self.decision.state == "act" and (self.outcome is None or self.outcome.state == "pending")


@dataclass(frozen=True)
class World:
    """What decisions look at besides incidents and playbooks: as in `decide` and `verify`."""

    dependents: Mapping[str, Collection[str]]
    tiers: Mapping[str, int]
    approvals: Sequence[Approval] = ()
    episodes: Sequence[Episode] = ()
    measured_until: Mapping[str, datetime] | None = None


def advance(
    recorded: Sequence[Entry],
    histories: Sequence[History],
    playbooks: Sequence[Playbook],
    world: World,
    *,
    since: datetime | None,
    as_of: datetime,
) -> list[Entry]:
    """The entries that are new at `as_of`, and those of `recorded` whose outcome is another one now.

    Decides for the moments after `since` (None: from the first symptom on). An entry is made for an action, and when
    what a playbook says to an incident is another thing than before; a playbook that does not fit says nothing. While
    an action's outcome is awaited, nothing else is decided for its incident. An action counts as taken when it is
    decided. Entries of `recorded` after `as_of` count for nothing.
    """
    return _Log(recorded, histories, playbooks, world, since, as_of).run()


class _Log:
    def __init__(
        self,
        recorded: Sequence[Entry],
        histories: Sequence[History],
        playbooks: Sequence[Playbook],
        world: World,
        since: datetime | None,
        as_of: datetime,
    ) -> None:
        known = [entry for entry in recorded if entry.decision.decided_at <= as_of]
        self.known = sorted(known, key=lambda entry: entry.decision.decided_at)
        self.taken_keys = {entry.key for entry in recorded}
        self.histories = sorted(
            histories, key=lambda one: (min(s.symptom.started_at for s in one.spells), one.incident_id)
        )
        self.playbooks = {playbook.name: playbook for playbook in playbooks}
        self.world, self.since, self.as_of = world, since, as_of
        self.episodes: dict[tuple[str, str], list[Episode]] = {}
        for episode in world.episodes:
            self.episodes.setdefault((episode.service, episode.metric), []).append(episode)
        self.changed: dict[tuple[str, str, datetime], Entry] = {}
        self.said = {(e.decision.incident_id, e.decision.playbook): e.decision.state for e in self.known}
        self.moments: list[datetime] = []

    def run(self) -> list[Entry]:
        self._plan()
        done = None
        while self.moments:
            moment = heapq.heappop(self.moments)
            if moment == done:
                continue
            done = moment
            self._judge(moment)
            for history in self.histories:
                self._decide(history, moment)
        return [self.changed[key] for key in sorted(self.changed, key=lambda key: (key[2], key[0], key[1]))]

    def _plan(self) -> None:
        """The moments that are known beforehand."""
        ages = {timedelta(minutes=playbook.symptom.for_minutes) for playbook in self.playbooks.values()}
        for history in self.histories:
            for spell in history.spells:
                for age in ages:
                    self._at(spell.symptom.started_at + age)
                if spell.ended_at:
                    self._at(spell.ended_at)
        for approval in self.world.approvals:
            self._at(approval.at)
        for entry in self.known:
            self._due(entry)
        heapq.heappush(self.moments, self.as_of)

    def _at(self, moment: datetime) -> None:
        if (self.since is None or moment > self.since) and moment <= self.as_of:
            heapq.heappush(self.moments, moment)

    def _due(self, entry: Entry) -> None:
        """After an action: when it should have helped, and when the playbook may act again."""
        playbook = self.playbooks.get(entry.decision.playbook)
        if entry.decision.state == "act":
            if entry.decision.verify_by:
                self._at(entry.decision.verify_by)
            if playbook:
                self._at(entry.decision.decided_at + timedelta(minutes=playbook.guard.cool_down_minutes))
                self._at(entry.decision.decided_at + timedelta(hours=1))

    def _judge(self, moment: datetime) -> None:
        """Outcomes that are known at the moment."""
        until = None if self.world.measured_until is None else dict(self.world.measured_until)
        for place, entry in enumerate(self.known):
            action = _action(entry.decision) if entry.awaited else None
            if action is None or action.at > moment:
                continue
            own = self.episodes.get((action.service, action.metric), [])
            (outcome,) = verify([action], own, as_of=moment, measured_until=until)
            if outcome.state != "pending" or entry.outcome is None:
                self.known[place] = self.changed[entry.key] = replace(entry, outcome=outcome)

    def _decide(self, history: History, moment: datetime) -> None:
        incident = history.at(moment)
        if not incident.symptoms:
            return
        if any(entry.awaited and entry.decision.incident_id == incident.id for entry in self.known):
            return
        outcomes = [entry.outcome for entry in self.known if entry.outcome and entry.outcome.judged_at <= moment]
        records: dict[str, Record] = {record.playbook: record for record in track_record(outcomes)}
        decisions = decide(
            [incident],
            list(self.playbooks.values()),
            as_of=moment,
            taken=[action for entry in self.known if (action := _action(entry.decision))],
            outcomes=outcomes,
            dependents=self.world.dependents,
            tiers=self.world.tiers,
            approved={(one.incident_id, one.playbook) for one in self.world.approvals if one.at <= moment},
        )
        for decision in decisions:
            pair = (decision.incident_id, decision.playbook)
            if decision.state == "not_applicable" or (
                decision.state != "act" and self.said.get(pair) == decision.state
            ):
                continue
            record = records.get(decision.playbook)
            entry = Entry(decision, self.as_of, record.precision if record else None, record.judged if record else 0)
            if entry.key in self.taken_keys:
                continue
            if action := _action(decision):
                own = self.episodes.get((action.service, action.metric), [])
                (outcome,) = verify([action], own, as_of=moment)
                entry = replace(entry, outcome=outcome)
            self.said[pair] = decision.state
            self.known.append(entry)
            self.taken_keys.add(entry.key)
            self.changed[entry.key] = entry
            self._due(entry)


def _alive(spell: Spell, moment: datetime) -> bool:
    return spell.symptom.started_at <= moment and (spell.ended_at is None or spell.ended_at > moment)


def _action(decision: Decision) -> ActionTaken | None:
    """What was done when the decision was to act."""
    if decision.state != "act" or not (decision.target and decision.service and decision.metric and decision.verify_by):
        return None
    return ActionTaken(
        decision.incident_id,
        decision.playbook,
        decision.target,
        decision.service,
        decision.metric,
        decision.decided_at,
        (decision.verify_by - decision.decided_at) / timedelta(minutes=1),
    )
