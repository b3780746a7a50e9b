"""What an execution does next, held against a run in memory: the machine decides, a script says what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.workflow.machine import Machine
from cogniforge_pipeline.workflow.model import WorkflowDefinition
from cogniforge_pipeline.workflow.operations import Operation, Outcome

Script = Callable[[Operation, float], dict[str, Any]]


class Run:
    """Plays an execution: operations end in the order they began, or as `choose` says."""

    def __init__(
        self, definition: dict[str, Any], script: Script, input: Any = None, choose: Callable[[int], int] = lambda _: 0
    ):
        self.machine = Machine(
            WorkflowDefinition.model_validate({"workflow_id": "w", **definition}), "x", input, 1000.0
        )
        self.told: list[tuple[Operation, Outcome]] = []
        clock, flying = 1000.0, []
        for _ in range(10_000):
            flying += self.machine.begin()
            if not flying:
                break
            stopped = [o for o in flying if o.name in self.machine.interrupted and o.kind != "attempt"]
            operation = stopped[0] if stopped else flying[choose(len(flying))]
            flying.remove(operation)
            if operation in stopped:
                outcome: dict[str, Any] = {"ok": False, "interrupted": True}
            elif operation.kind in ("wait", "rest", "compensate_rest"):
                clock = max(clock, operation.due)
                outcome = {"ok": True}
            else:
                clock += 1
                outcome = script(operation, clock)
            full: Any = {"started": clock, "finished": clock, **outcome}
            self.told.append((operation, full))
            self.machine.settle(operation, full)
        assert self.machine.finished

    @property
    def names(self) -> list[str]:
        return [operation.name for operation, _ in self.told]


def fails(*units: str, type: str = "Broken", times: int = 10**6) -> Script:
    left = dict.fromkeys(units, times)

    def script(operation: Operation, clock: float) -> dict[str, Any]:
        if operation.kind == "attempt" and left.get(operation.unit, 0) > 0:
            left[operation.unit] -= 1
            return {"ok": False, "error": {"type": type, "message": "no"}}
        return {"ok": True, "result": f"{operation.unit}!"}

    return script


def steps(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"activity_id": name, "handler": "h", **more} for name in names]


def test_activities_run_one_after_the_other_and_see_earlier_results() -> None:
    activities = [
        *steps("a"),
        {
            "activity_id": "b",
            "handler": "h",
            "input_data": {"was": "{{ results.a }}", "is": "{{ input.n }}", "t": "n={{ input.n }}"},
        },
    ]
    run = Run({"activities": activities}, fails(), {"n": 3})
    assert run.names == ["attempt a 1", "attempt b 1"]
    assert run.told[1][0].input == {"was": "a!", "is": 3, "t": "n=3"}
    assert run.machine.status == "completed"
    assert run.machine.output == {"a": "a!", "b": "b!"}


@pytest.mark.parametrize(
    "given, seen", [(None, {"d": 1}), ({}, {"d": 1}), ({"d": 2}, {"d": 2}), ([], []), (0, 0), (False, False)]
)
def test_an_input_that_is_false_is_an_input(given: Any, seen: Any) -> None:
    run = Run({"activities": steps("a", input_data="{{ input }}"), "input_data": {"d": 1}}, fails(), given)
    assert run.told[0][0].input == seen


def test_retries_wait_longer_each_time_and_end_with_compensation_in_reverse_order() -> None:
    activities = [
        *steps("a", "b", compensation_handler="u"),
        *steps("c", retry_policy={"max_attempts": 3, "initial_interval_seconds": 2}),
    ]
    run = Run({"activities": activities}, fails("c"))
    assert run.names[2:] == [
        "attempt c 1",
        "rest c 1",
        "attempt c 2",
        "rest c 2",
        "attempt c 3",
        "compensate b 1",
        "compensate a 1",
    ]
    waits = [
        o.due - told["finished"] for (_, told), (o, _) in zip(run.told, run.told[1:], strict=False) if o.kind == "rest"
    ]
    assert waits == [2, 4]
    assert run.machine.status == "compensated"
    assert run.machine.stop == {"type": "Broken", "message": "c: no"}


def test_keys_are_the_same_for_all_attempts_and_another_one_for_the_compensation() -> None:
    activities = [
        *steps("a", compensation_handler="u", retry_policy={"max_attempts": 5}),
        *steps("b", retry_policy={"max_attempts": 1}),
    ]
    left = fails("a", times=2)
    run = Run({"activities": activities}, lambda o, c: fails("b")(o, c) if o.unit == "b" else left(o, c))
    assert [o.key for o, _ in run.told if o.kind == "attempt" and o.unit == "a"] == ["x:a"] * 3
    assert [o.key for o, _ in run.told if o.kind == "compensate"] == ["x:a:compensate"]


@pytest.mark.parametrize(
    "policy, error, attempts",
    [
        ({"max_attempts": 4}, {"type": "E", "message": ""}, 4),
        ({"max_attempts": 4, "non_retryable_errors": ["E"]}, {"type": "E", "message": ""}, 1),
        ({"max_attempts": 4}, {"type": "E", "message": "", "final": True}, 1),
    ],
)
def test_a_policy_says_how_often(policy: dict[str, Any], error: Any, attempts: int) -> None:
    run = Run({"activities": steps("a", retry_policy=policy)}, lambda o, c: {"ok": False, "error": error})
    assert sum(o.kind == "attempt" for o, _ in run.told) == attempts
    assert run.machine.status == "failed"


def test_a_graph_begins_what_its_needs_allow() -> None:
    activities = [*steps("a"), *steps("b", "c", needs=["a"]), *steps("d", needs=["b", "c"])]
    run = Run({"activities": activities}, fails(), choose=lambda n: n - 1)
    assert run.names == ["attempt a 1", "attempt c 1", "attempt b 1", "attempt d 1"]


def test_a_failure_waits_for_what_is_in_flight_and_undoes_that_too() -> None:
    activities = steps("a", "b", "c", compensation_handler="u", retry_policy={"max_attempts": 1})
    run = Run({"activities": activities, "parallel_execution": True}, fails("a"))
    assert run.names == ["attempt a 1", "attempt b 1", "attempt c 1", "compensate c 1", "compensate b 1"]


def test_what_timed_out_may_have_happened_and_is_undone() -> None:
    activities = steps("a", compensation_handler="u", retry_policy={"max_attempts": 2})
    run = Run({"activities": activities}, fails("a", type="TimedOut"))
    assert run.names == ["attempt a 1", "rest a 1", "attempt a 2", "compensate a 1"]


def test_a_compensation_has_its_own_retries_and_the_others_are_undone_although_it_fails() -> None:
    undo = {"handler": "u", "retry_policy": {"max_attempts": 2}}
    activities = [*steps("a", "b", compensation=undo), *steps("c", retry_policy={"max_attempts": 1})]

    def script(o: Operation, clock: float) -> dict[str, Any]:
        bad = o.unit == "c" or (o.unit == "b" and o.kind == "compensate")
        return {"ok": False, "error": {"type": "E", "message": ""}} if bad else {"ok": True}

    run = Run({"activities": activities}, script)
    assert run.names[3:] == ["compensate b 1", "compensate_rest b 1", "compensate b 2", "compensate a 1"]
    assert run.machine.status == "compensation_failed"


def test_a_cancellation_seen_by_an_attempt_undoes_it_too() -> None:
    activities = steps("a", "b", "c", compensation_handler="u")
    run = Run({"activities": activities}, lambda o, c: {"ok": True, "stopped": o.unit == "b"})
    assert run.names == ["attempt a 1", "attempt b 1", "compensate b 1", "compensate a 1"]
    assert run.machine.status == "cancelled"


def test_an_execution_that_takes_too_long_is_stopped_and_undone() -> None:
    activities = [*steps("a", compensation_handler="u"), {"activity_id": "w", "wait_seconds": 500}, *steps("b")]
    run = Run({"activities": activities, "timeout_seconds": 100}, fails())
    assert run.names == ["attempt a 1", "wait w 1", "compensate a 1"]
    assert run.told[1][0].due == 1100
    assert run.machine.stop["type"] == "TimedOut"


def test_when_skips_and_a_fallback_recovers() -> None:
    activities = [
        *steps("a", when="input.go"),
        *steps("b", fallback={"why": "{{ error.type }}"}, retry_policy={"max_attempts": 1}),
        *steps("c", input_data={"a": "{{ results.a }}", "b": "{{ results.b.why }}"}),
    ]
    run = Run({"activities": activities}, fails("b"), {"go": False})
    assert run.names == ["attempt b 1", "attempt c 1"]
    assert run.told[1][0].input == {"a": None, "b": "Broken"}
    assert run.machine.status == "completed"


def test_for_each_keeps_the_order_of_items_and_its_limit() -> None:
    activities = [
        *steps("a", for_each="input.list", max_concurrency=2, input_data={"v": "{{ item }}", "n": "{{ index }}"})
    ]
    run = Run(
        {"activities": activities},
        lambda o, c: {"ok": True, "result": o.input["v"] * 2},
        {"list": [1, 2, 3]},
        lambda n: n - 1,
    )
    assert run.names == ["attempt a[1] 1", "attempt a[2] 1", "attempt a[0] 1"]
    assert run.machine.output == {"a": [2, 4, 6]}


@pytest.mark.parametrize(
    "limits, failing, made, reason, status",
    [
        ({}, [0], 1, "too_many_failures", "failed"),
        ({"tolerated_failures": 1}, [1], 4, "all_completed", "completed"),
        ({"tolerated_failures": 1}, [0, 1], 2, "too_many_failures", "failed"),
        ({"tolerated_failure_share": 0.25}, [0, 1], 2, "too_many_failures", "failed"),
        ({"enough_successes": 2}, [0], 3, "enough_successes", "completed"),
        ({"enough_successes": 3}, [0, 1], 4, "too_many_failures", "failed"),
    ],
)
def test_a_group_tolerates_what_it_is_told(
    limits: Any, failing: list[int], made: int, reason: str, status: str
) -> None:
    activities = steps("a", for_each="input", max_concurrency=1, retry_policy={"max_attempts": 1}, **limits)
    run = Run({"activities": activities}, fails(*(f"a[{n}]" for n in failing)), [0, 1, 2, 3])
    assert len(run.told) == made
    assert run.machine.values()["activities"]["a"]["reason"] == reason
    assert run.machine.status == status


def test_branches_are_an_activity_with_their_results_in_order() -> None:
    activities = [
        {"activity_id": "p", "branches": steps("b", "a")},
        *steps("z", input_data={"all": "{{ results.p }}", "one": "{{ results.a }}"}),
    ]
    run = Run({"activities": activities}, fails(), choose=lambda n: n - 1)
    assert run.names == ["attempt p.a 1", "attempt p.b 1", "attempt z 1"]
    assert run.told[2][0].input == {"all": ["p.b!", "p.a!"], "one": "p.a!"}


def test_polling_hands_on_what_it_saw_until_the_condition_holds() -> None:
    activities = steps(
        "a", until={"condition": "result >= `3`", "interval_seconds": 5}, input_data={"n": "{{ previous }}"}
    )
    run = Run({"activities": activities}, lambda o, c: {"ok": True, "result": (o.input["n"] or 0) + 1})
    assert run.names == ["attempt a 1", "rest a 1", "attempt a 2", "rest a 2", "attempt a 3"]
    assert run.machine.output == {"a": 3}


def test_a_signal_is_taken_once() -> None:
    activities = [{"activity_id": n, "signal": {"name": "go", "timeout_seconds": 9}} for n in ("a", "b")]
    run = Run({"activities": activities}, lambda o, c: {"ok": True, "result": o.after, "seq": o.after + 5})
    assert [(o.after, o.due) for o, _ in run.told] == [(0, 1009), (5, 1010)]


def test_an_expression_that_does_not_fit_fails_the_activity_for_good() -> None:
    run = Run({"activities": steps("a", input_data={"n": "{{ sum(input.x) }}"})}, fails(), {"x": "no list"})
    assert run.names == []
    assert run.machine.stop["type"] == "ExpressionError"


@st.composite
def _graphs(draw: st.DrawFn) -> dict[str, Any]:
    names = [f"n{i}" for i in range(draw(st.integers(1, 7)))]
    activities = []
    for place, name in enumerate(names):
        needs = draw(st.lists(st.sampled_from(names[:place]), unique=True)) if place else []
        more = {"compensation_handler": "u"} if draw(st.booleans()) else {}
        policy = {"max_attempts": draw(st.integers(1, 3)), "jitter": draw(st.floats(0, 1))}
        activities.append({"activity_id": name, "handler": "h", "needs": needs, "retry_policy": policy, **more})
    return {"activities": activities, "max_concurrency": draw(st.none() | st.integers(1, 3))}


@settings(max_examples=150, deadline=None)
@given(_graphs(), st.randoms(use_true_random=False), st.floats(0, 0.5))
def test_whatever_happens_needs_are_kept_and_everything_done_is_undone_once_in_reverse(
    definition: Any, random: Any, share: float
) -> None:
    def script(o: Operation, clock: float) -> dict[str, Any]:
        if o.kind == "attempt" and random.random() < share:
            return {"ok": False, "error": {"type": "TimedOut" if random.random() < 0.3 else "E", "message": ""}}
        return {"ok": True, "stopped": random.random() < share / 10}

    run = Run(definition, script, choose=random.randrange)
    done: list[str] = []
    needs = run.machine.definition.needs
    for operation, outcome in run.told:
        if operation.kind == "attempt":
            assert set(needs[operation.unit]) <= set(done)
            if outcome["ok"]:
                done.append(operation.unit)
    undone = [o.unit for o, _ in run.told if o.kind == "compensate"]
    assert len(undone) == len(set(undone))
    if run.machine.status == "completed":
        assert sorted(done) == sorted(needs) and not undone
    else:
        kept = {a["activity_id"] for a in definition["activities"] if "compensation_handler" in a}
        expected = [name for name in reversed(done) if name in kept]
        assert [name for name in undone if name in done] == expected

    again = Machine(run.machine.definition, "x", None, 1000.0)
    begun = {o.name: o for o in again.begin()}
    for operation, outcome in run.told:
        assert begun[operation.name] == operation
        again.settle(begun.pop(operation.name), outcome)
        begun |= {o.name: o for o in again.begin()}
    assert again.finished and again.status == run.machine.status
