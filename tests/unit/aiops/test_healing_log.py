"""The log of healing decisions: when something is decided, and that what was decided stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.aiops.healing.decide import Suspect, Symptom
from cogniforge_pipeline.aiops.healing.log import Approval, Entry, History, Spell, World, advance
from cogniforge_pipeline.aiops.healing.model import Playbook
from cogniforge_pipeline.aiops.healing.verify import Episode

T0 = datetime(2026, 3, 2, 10, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def playbook(name: str = "restart", **changed: Any) -> Playbook:
    spec = {
        "name": name,
        "symptom": {"for_minutes": 5},
        "cause": {"min_score": 0.1},
        "action": {"kind": "restart"},
        "guard": {"cool_down_minutes": 30, "max_per_hour": 100},
        "clears_within_minutes": 20,
    }
    return Playbook.model_validate({**spec, **changed})


def history(start: float, end: float | None, name: str = "i1", service: str = "web") -> History:
    symptom = Symptom(service, "latency", "spike", "up", "critical", at(start))
    spell = Spell(symptom, None if end is None else at(end))
    return History(name, (spell,), (Suspect(service, "cpu", 1, 0.9),))


def world(histories: Sequence[History], **changed: Any) -> World:
    episodes = [
        Episode(spell.symptom.service, spell.symptom.metric, spell.symptom.started_at, spell.ended_at)
        for one in histories
        for spell in one.spells
    ]
    return World(**{"dependents": {}, "tiers": {}, "episodes": episodes, **changed})


def told(entries: Sequence[Entry]) -> list[tuple[float, str, str, str | None]]:
    return [
        (
            (entry.decision.decided_at - T0) / timedelta(minutes=1),
            entry.decision.playbook,
            entry.decision.state,
            entry.outcome.state if entry.outcome else None,
        )
        for entry in entries
    ]


def once(histories: Sequence[History], playbooks: Sequence[Playbook], as_of: float, **changed: Any) -> list[Entry]:
    return advance([], histories, playbooks, world(histories, **changed), since=None, as_of=at(as_of))


def test_it_acts_when_the_symptom_is_old_enough_and_again_when_it_did_not_help() -> None:
    entries = once([history(0, 70)], [playbook()], 200)
    assert told(entries) == [
        (5, "restart", "act", "not_cleared"),
        (25, "restart", "blocked", None),
        (35, "restart", "act", "not_cleared"),
        (55, "restart", "blocked", None),
        (65, "restart", "act", "cleared"),
    ]
    assert entries[0].precision is None and (entries[2].precision, entries[2].judged) == (0.0, 1)


def test_a_symptom_that_clears_earlier_is_left_alone() -> None:
    assert once([history(0, 4)], [playbook()], 200) == []


def test_of_two_playbooks_one_acts_and_the_other_waits_until_the_outcome_is_known() -> None:
    books = [playbook("a", priority=1), playbook("b", priority=2, guard={"cool_down_minutes": 300})]
    assert told(once([history(0, 26)], books, 100)) == [
        (5, "a", "act", "not_cleared"),
        (5, "b", "superseded", None),
        (25, "a", "blocked", None),
        (25, "b", "act", "cleared"),
    ]


def test_an_approval_lets_a_playbook_act_from_then_on() -> None:
    book = playbook(guard={"approval": True})
    approvals = [Approval("i1", "restart", at(12))]
    entries = once([history(0, 20)], [book], 100, approvals=approvals)
    assert told(entries) == [(5, "restart", "await_approval", None), (12, "restart", "act", "cleared")]


def test_silence_is_no_success() -> None:
    silent = once([history(0, 10)], [playbook()], 100, measured_until={"web": at(15)})
    assert told(silent) == [(5, "restart", "act", "unknown")]


def test_what_was_decided_stays_whatever_is_known_of_causes_now() -> None:
    first = once([history(0, None)], [playbook()], 10)
    assert told(first) == [(5, "restart", "act", "pending")]
    changed = History("i1", history(0, None).spells, (Suspect("db", "cpu", 1, 0.9),))
    later = advance(first, [changed], [playbook()], world([changed]), since=at(10), as_of=at(40))
    assert [(entry.decision.target, state) for entry, (_, _, state, _) in zip(later, told(later), strict=True)] == [
        ("web", "act"),
        ("db", "act"),
    ]
    assert later[0].key == first[0].key and later[0].outcome is not None and later[0].outcome.state == "not_cleared"


def test_a_symptom_that_is_known_late_is_decided_on_when_it_is_known() -> None:
    assert told(
        advance([], [history(0, None)], [playbook()], world([history(0, None)]), since=at(30), as_of=at(40))
    ) == [(40, "restart", "act", "pending")]


def test_an_earlier_moment_can_be_asked_again_and_later_decisions_count_for_nothing() -> None:
    everything = once([history(0, 70)], [playbook()], 200)
    again = advance(everything, [history(0, 70)], [playbook()], world([history(0, 70)]), since=None, as_of=at(30))
    assert [entry for entry in again if entry.key not in {old.key for old in everything}] == []


def test_nothing_new_at_the_same_moment() -> None:
    first = once([history(0, 70)], [playbook()], 100)
    assert advance(first, [history(0, 70)], [playbook()], world([history(0, 70)]), since=at(100), as_of=at(100)) == []


spells = st.lists(
    st.tuples(st.integers(0, 200), st.integers(1, 120), st.sampled_from(["web", "api", "db"])), min_size=1, max_size=4
)


@settings(max_examples=40, deadline=None)
@given(spells, st.lists(st.integers(1, 399), max_size=6))
def test_many_runs_tell_what_one_run_tells_where_causes_stay(
    found: list[tuple[int, int, str]], stops: list[int]
) -> None:
    """In steps or at once: the same actions at the same moments, with the same outcomes."""
    histories = [history(start, start + lasts, f"i{n}", service) for n, (start, lasts, service) in enumerate(found)]
    at_once = once(histories, [playbook()], 400)
    log: dict[tuple[str, str, datetime], Entry] = {}
    since = None
    for stop in [*sorted(set(stops)), 400]:
        known = [  # at a stop nobody knows when a spell that goes on will end
            History(
                one.incident_id,
                tuple(
                    Spell(s.symptom, s.ended_at if s.ended_at and s.ended_at <= at(stop) else None) for s in one.spells
                ),
                one.suspects,
            )
            for one in histories
        ]
        for entry in advance(list(log.values()), known, [playbook()], world(known), since=since, as_of=at(stop)):
            log[entry.key] = entry
        since = at(stop)
    acts = [(e.key, e.outcome.state if e.outcome else None) for e in at_once if e.decision.state == "act"]
    stepped = [(e.key, e.outcome.state if e.outcome else None) for e in log.values() if e.decision.state == "act"]
    assert sorted(stepped) == sorted(acts)
