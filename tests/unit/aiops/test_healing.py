"""Healing decisions: what fits, what holds an action back, and whether it helped."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cogniforge_pipeline.aiops.healing import (
    PLAYBOOK_KIND,
    ActionTaken,
    Decision,
    Episode,
    Incident,
    Outcome,
    Playbook,
    Suspect,
    Symptom,
    decide,
    track_record,
    verify,
)
from cogniforge_pipeline.declarations import load_platform
from cogniforge_pipeline.errors import CogniforgeError

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
SLOW = Symptom("web", "latency", "level_shift", "up", "critical", NOW - timedelta(minutes=20))
LEAK = Suspect("cart", "memory_usage", 1, 0.6)
INCIDENT = Incident("i1", (SLOW,), (LEAK, Suspect("db", "saturation", 2, 0.3, changed=True)))


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def playbook(name: str = "restart-leaking", **changes: Any) -> Playbook:
    base: dict[str, object] = {
        "name": name,
        "symptom": {"metrics": ["latency"], "kinds": ["level_shift", "drift"], "direction": "up", "for_minutes": 10},
        "cause": {"metrics": ["memory*"], "where": "dependency"},
        "action": {"kind": "restart", "parameters": {"grace_seconds": 30}},
    }
    return Playbook.model_validate(base | changes)


def one(rule: Playbook, incident: Incident = INCIDENT, **known: object) -> Decision:
    (found,) = decide([incident], [rule], as_of=NOW, **known)  # type: ignore[arg-type]
    return found


def acted(minutes_ago: float, target: str = "cart", rule: str = "restart-leaking") -> ActionTaken:
    return ActionTaken("earlier", rule, target, "web", "latency", ago(minutes_ago), 30)


def test_a_playbook_that_fits_acts_on_the_cause_and_says_why() -> None:
    found = one(playbook())
    assert (found.state, found.action, found.target) == ("act", "restart", "cart")
    assert (found.service, found.metric) == ("web", "latency")
    assert found.verify_by == NOW + timedelta(minutes=30) and found.against == ()
    assert found.reasons == (
        "web latency: level_shift up, critical, since 20 min",
        "cause cart memory_usage: rank 1, 0.60",
    )


def test_an_action_on_the_symptom_needs_no_cause() -> None:
    found = one(playbook(cause=None, action={"kind": "scale_out", "on": "symptom"}), Incident("i1", (SLOW,)))
    assert (found.state, found.target) == ("act", "web")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"enabled": False}, "disabled"),
        ({"symptom": {"services": ["pay*"]}}, "not among services pay*"),
        ({"symptom": {"metrics": ["cpu_usage"]}}, "and metrics cpu_usage"),
        ({"symptom": {"kinds": ["spike"]}}, "is a level_shift, not spike"),
        ({"symptom": {"direction": "down"}}, "went up, not down"),
        ({"symptom": {"for_minutes": 60}}, "lasts less than 60 min"),
        ({"cause": {"metrics": ["cpu*"]}}, "cause cart memory_usage is not among"),
        ({"cause": {"where": "self"}}, "cause cart is another service"),
        ({"cause": {"min_score": 0.9}}, "scores 0.60, below 0.9"),
        ({"cause": {"changed": True}}, "cart did not change recently"),
    ],
)
def test_a_playbook_that_does_not_fit_says_why_not(changes: dict[str, Any], why: str) -> None:
    found = one(playbook(**changes))
    assert (found.state, found.target) == ("not_applicable", None)
    assert any(why in reason for reason in found.against), found.against


def test_a_mild_symptom_and_an_unknown_cause_are_told() -> None:
    mild = Incident("i1", (replace(SLOW, severity="info"),), (LEAK,))
    assert "only info, below warning" in one(playbook(), mild).against[0]
    assert "no cause of rank 1" in one(playbook(), Incident("i1", (SLOW,))).against[0]
    assert one(playbook(), Incident("i1", ())).against == ("the incident has no symptom",)


def test_a_cause_of_a_lower_rank_counts_where_the_playbook_allows_it() -> None:
    found = one(playbook(cause={"services": ["db"], "within_rank": 2, "changed": True}, action={"kind": "rollback"}))
    assert (found.state, found.target) == ("act", "db") and "changed recently" in found.reasons[1]


def test_the_gravest_symptom_is_the_one_that_must_clear() -> None:
    other = Symptom("api", "latency", "drift", "up", "warning", ago(60))
    assert one(playbook(), Incident("i1", (other, SLOW), (LEAK,))).service == "web"


def test_cool_down_blocks_the_same_service_only_and_only_so_long() -> None:
    rule = playbook(guard={"cool_down_minutes": 30})
    found = one(rule, taken=[acted(29)])
    assert found.state == "blocked" and "acted on 29 min ago, 30 are asked" in found.against[0]
    assert one(rule, taken=[acted(30)]).state == "act"
    assert one(rule, taken=[acted(5, target="db")]).state == "act"


def test_the_maximum_per_hour_counts_all_services() -> None:
    rule = playbook(guard={"cool_down_minutes": 0, "max_per_hour": 2})
    assert one(rule, taken=[acted(5, "a"), acted(50, "b")]).against == (
        "maximum: 2 actions within the hour, 2 are allowed",
    )
    assert one(rule, taken=[acted(5, "a"), acted(60, "b")]).state == "act"


def test_the_blast_radius_counts_what_depends_on_the_target() -> None:
    dependents = {"cart": ["web", "api"]}
    assert one(playbook(guard={"blast_radius": 3}), dependents=dependents).state == "act"
    found = one(playbook(guard={"blast_radius": 2}), dependents=dependents)
    assert found.state == "blocked" and "3 services, 2 are allowed" in found.against[0]


def test_another_playbooks_action_on_the_target_is_awaited() -> None:
    action = acted(10, rule="scale")
    assert "its outcome is awaited" in one(playbook(), taken=[action]).against[0]
    cleared = Outcome("earlier", "scale", "cart", action.at, "cleared", 3.0, ago(1), "")
    assert one(playbook(), taken=[action], outcomes=[cleared]).state == "act"


def test_all_guard_rails_that_hold_are_told() -> None:
    rule = playbook(guard={"max_per_hour": 1, "blast_radius": 1, "approval": True})
    found = one(rule, taken=[acted(5)], dependents={"cart": ["web"]})
    assert found.state == "blocked"
    assert [reason.partition(":")[0] for reason in found.against] == [
        "cool-down",
        "maximum",
        "blast radius",
        "approval",
    ]


def test_approval_is_awaited_and_lets_the_action_through() -> None:
    asked = playbook(guard={"approval": True})
    assert one(asked).state == "await_approval"
    assert one(asked, approved=[("i1", "restart-leaking")]).state == "act"
    assert one(asked, approved=[("i2", "restart-leaking")]).state == "await_approval"
    tiered = playbook(guard={"approval_tiers": [1, 2]})
    assert one(tiered, tiers={"cart": 2}).against == ("approval: cart is of tier 2",)
    assert one(tiered, tiers={"cart": 3}).state == "act"


def outcomes(rule: str, cleared: int, failed: int) -> list[Outcome]:
    states = ["cleared"] * cleared + ["not_cleared"] * failed
    return [
        Outcome(f"o{number}", rule, "x", ago(600 + number), state, None, ago(500), "")  # type: ignore[arg-type]
        for number, state in enumerate(states)
    ]


def test_a_playbook_that_seldom_helped_needs_a_person() -> None:
    found = one(playbook(), outcomes=outcomes("restart-leaking", 1, 4))
    assert found.state == "await_approval" and "helped in 20% of 5 cases" in found.against[0]
    assert one(playbook(), outcomes=outcomes("restart-leaking", 0, 4)).state == "act"
    assert one(playbook(), outcomes=outcomes("restart-leaking", 3, 2)).state == "act"


def test_only_the_first_playbook_that_may_acts() -> None:
    rules = [
        playbook("c-late", priority=50),
        playbook("a-blocked", priority=1, guard={"blast_radius": 1}),
        playbook("b-asks", priority=2, guard={"approval": True}),
        playbook("b-first", priority=10),
    ]
    found = decide([INCIDENT], rules, as_of=NOW, dependents={"cart": ["web"]})
    assert [(one.playbook, one.state) for one in found] == [
        ("a-blocked", "blocked"),
        ("b-asks", "superseded"),
        ("b-first", "act"),
        ("c-late", "superseded"),
    ]
    assert found[3].against == ("b-first goes first",)


def test_two_incidents_with_one_cause_lead_to_one_action() -> None:
    again = Incident("i2", (replace(SLOW, service="api"),), (LEAK,))
    found = decide([INCIDENT, again], [playbook()], as_of=NOW)
    assert [one.state for one in found] == ["act", "blocked"] and "cool-down" in found[1].against[0]


def test_the_past_can_be_asked_again() -> None:
    later = [ActionTaken("i", "restart-leaking", "cart", "web", "latency", NOW + timedelta(minutes=1), 30)]
    bad = [replace(one, judged_at=NOW + timedelta(days=1)) for one in outcomes("restart-leaking", 0, 9)]
    assert one(playbook(), taken=later, outcomes=bad) == one(playbook())


def test_wrong_input_is_refused() -> None:
    with pytest.raises(CogniforgeError, match="no time zone"):
        decide([INCIDENT], [playbook()], as_of=NOW.replace(tzinfo=None))
    with pytest.raises(CogniforgeError, match="two playbooks are named 'a'"):
        decide([INCIDENT], [playbook("a"), playbook("a")], as_of=NOW)
    with pytest.raises(CogniforgeError, match="no time zone"):
        verify([], [], as_of=NOW.replace(tzinfo=None))


@pytest.mark.parametrize(
    "changes",
    [
        {"cause": None},
        {"action": {"kind": "workflow"}},
        {"action": {"kind": "reboot_everything"}},
        {"guard": {"max_per_hour": 0}},
        {"guard": {"cooldown": 3}},
        {"symptom": {"services": []}},
        {"clears_within_minutes": 0},
    ],
)
def test_a_playbook_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        playbook(**changes)


def test_playbooks_are_read_from_the_platform_folder(tmp_path: Path) -> None:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "memory.yaml").write_text(
        """name: restart-leaking
symptom: {metrics: [latency], kinds: [drift], direction: up}
cause: {metrics: ["memory*"], changed: false}
action: {kind: restart}
guard: {cool_down_minutes: 60, approval_tiers: [1]}
""",
        encoding="utf-8",
    )
    (found,) = load_platform(tmp_path, [PLAYBOOK_KIND]).check().of(PLAYBOOK_KIND)
    assert found.name == "restart-leaking" and found.model.guard.approval_tiers == (1,)


ACTION = acted(60)


def outcome(*spans: tuple[float, float | None], as_of: datetime = NOW, measured: datetime | None = NOW) -> Outcome:
    episodes = [Episode("web", "latency", ago(start), None if end is None else ago(end)) for start, end in spans]
    episodes.append(Episode("web", "error_rate", ago(500), None))
    (found,) = verify([ACTION], episodes, as_of=as_of, measured_until={} if measured is None else {"web": measured})
    return found


def test_a_symptom_that_ends_within_the_window_has_cleared() -> None:
    found = outcome((80, 50))
    assert (found.state, found.cleared_after_minutes) == ("cleared", 10)
    assert found.judged_at == ACTION.verify_by


@pytest.mark.parametrize(
    ("spans", "state"),
    [
        ([(80, None)], "not_cleared"),
        ([(80, 29)], "not_cleared"),
        ([(80, 30)], "cleared"),
        ([(80, 50), (40, 35)], "relapsed"),
        ([(80, 50), (20, None)], "cleared"),
        ([(80, 61)], "already_clear"),
        ([], "already_clear"),
        ([(80, 50), (70, None)], "not_cleared"),
    ],
)
def test_what_came_of_an_action(spans: list[tuple[float, float | None]], state: str) -> None:
    assert outcome(*spans).state == state


def test_an_end_that_comes_from_silence_is_no_success() -> None:
    assert outcome((80, 50), measured=ago(45)).state == "unknown"
    assert outcome((80, 50), measured=None).state == "unknown"


def test_nothing_is_judged_before_the_window_is_over() -> None:
    assert outcome((80, 50), as_of=ago(31)).state == "pending"
    assert outcome((80, 20), as_of=ago(40)).state == "pending"
    assert verify([ACTION], [], as_of=ago(61)) == ()


def test_the_track_record_counts_what_was_judged() -> None:
    mixed = [
        *outcomes("a", 3, 1),
        replace(outcomes("a", 1, 0)[0], state="relapsed"),
        replace(outcomes("a", 1, 0)[0], state="unknown"),
        replace(outcomes("b", 1, 0)[0], state="pending"),
    ]
    first, second = track_record(mixed)
    assert (first.taken, first.judged, first.cleared, first.precision) == (6, 5, 3, 0.6)
    assert first.low == pytest.approx(0.2307, abs=1e-3) and first.high == pytest.approx(0.8824, abs=1e-3)
    assert (second.judged, second.precision, second.low) == (0, None, None)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 200), st.sampled_from(["cart", "db"]), st.sampled_from(["p1", "p2"])), max_size=6),
    st.integers(1, 3),
    st.integers(1, 4),
)
def test_guard_rails_hold_whatever_was_done_before(
    history: list[tuple[float, str, str]], most: int, incidents: int
) -> None:
    taken = [acted(minutes, target, rule) for minutes, target, rule in history]
    rules = [
        playbook(name, guard={"max_per_hour": most, "cool_down_minutes": 15}, cause={"within_rank": 1})
        for name in ("p1", "p2")
    ]
    many = [
        Incident(f"i{number}", (SLOW,), (replace(LEAK, service=("cart", "db")[number % 2]),))
        for number in range(incidents)
    ]
    found = decide(many, rules, as_of=NOW, taken=taken)
    assert len(found) == len(many) * len(rules)
    for rule in ("p1", "p2"):
        acts = [one for one in found if one.playbook == rule and one.state == "act"]
        before = sum(action.playbook == rule and NOW - action.at < timedelta(hours=1) for action in taken)
        assert not acts or before + len(acts) <= most
    acting = [one for one in found if one.state == "act"]
    assert len({one.target for one in acting}) == len(acting)
    assert len({one.incident_id for one in acting}) == len(acting)
    assert all(one.against for one in found if one.state != "act")
