"""The workflows that the cases of AWS's durable execution conformance suite ask for, in our words, and what is not covered.

Belongs here: one definition for each case. Does not: running them (`workflow_conformance.py`), or inputs and expectations, which
come from the cases' own files. `${NAME}` is a case's variable; a workflow called child is a context of the case's execution,
one called target is another function.
"""

from __future__ import annotations

from typing import Any

ONCE = {"max_attempts": 1}
QUICK = {"initial_interval_seconds": 1, "backoff_coefficient": 1}


def step(name: str, value: Any, handler: str = "echo", **more: Any) -> dict[str, Any]:
    return {"activity_id": name, "handler": handler, "input_data": value, "retry_policy": ONCE, **more}


def pause(name: str, seconds: float, **more: Any) -> dict[str, Any]:
    return {"activity_id": name, "wait_seconds": seconds, **more}


def callback(name: str, seconds: float | None = None, *, signal: str = "${CB_NAME}", **more: Any) -> dict[str, Any]:
    beat = more.pop("heartbeat", None)
    wait = {"name": signal, "timeout_seconds": seconds, "heartbeat_seconds": beat}
    return {"activity_id": name, "signal": {key: value for key, value in wait.items() if value is not None}, **more}


def call(name: str, workflow: str, value: Any = "{{ input }}", **more: Any) -> dict[str, Any]:
    return {"activity_id": name, "workflow": workflow, "input_data": value, "retry_policy": ONCE, **more}


def flow(
    *activities: dict[str, Any], output: Any = None, child: Any = None, target: Any = None, **more: Any
) -> dict[str, Any]:
    made = {"main": {"activities": list(activities), **({} if output is None else {"output": output}), **more}}
    return made | {name: spec["main"] for name, spec in (("child", child), ("target", target)) if spec}


def batch(made: dict[str, Any], *more: dict[str, Any], **limits: Any) -> dict[str, Any]:
    """A group whose handler tells how it went."""
    told = {
        "completionReason": "{{ activities.p.reason == 'all_completed' && 'ALL_COMPLETED' || 'FAILURE_TOLERANCE_EXCEEDED' }}",
        "status": "{{ activities.p.failed > `0` && 'FAILED' || 'SUCCEEDED' }}",
        "successCount": "{{ activities.p.completed }}",
        "failureCount": "{{ activities.p.failed }}",
        "totalCount": "{{ sum([activities.p.completed, activities.p.failed]) }}",
    }
    group = {"activity_id": "p", "max_concurrency": 1, "fallback": None, **made, **limits}
    return flow(group, *more, output=told)


def branches(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"activity_id": "p", "branches": list(parts), "max_concurrency": 1, **more}


def items(expression: str, value: Any, handler: str = "echo", **more: Any) -> dict[str, Any]:
    return {**step("p", value, handler), "for_each": expression, "max_concurrency": 1, **more}


P = "{{ results.p }}"
ECHO = flow(step("e", "{{ input }}"), output="{{ results.e }}")
BROKEN = flow(step("e", None, "fail"))
WORDS = items('`["r0", "r1", "r2"]`', "{{ item }}")
SOME_FAIL = "{{ item }}"  # the handler `maybe` fails for false

CASES: dict[str, dict[str, Any]] = {
    "1-1": flow(step("s", "{{ input }}", "greet"), output="{{ results.s }}"),
    "1-12": flow(step("s", None, "fail", retry_policy={**QUICK, "max_attempts": 4})),
    "1-15": flow(step("s", None, "once", retry_policy={**QUICK, "max_attempts": 2})),
    "1-16": flow(step("s", None, "once", retry_policy={**QUICK, "non_retryable_errors": ["TransientError"]})),
    "1-4": flow(step("s", {"user": "{{ input }}", "count": "{{ input.tags | length(@) }}"}), output="{{ results.s }}"),
    "1-8": flow(step("s", "computed"), pause("w", 1), output="{{ results.s }}"),
    "1-9": flow(step("s", "cached_value"), pause("w", 1), output="{{ results.s }}"),
    "2-1": flow(pause("w", 1)),
    "2-3": flow(pause("v", 1), pause("w", 1), output={"completedWaits": 2}),
    "2-4": flow(pause("w", 60)),
    "3-3": flow(
        call("c", "child"), output="{{ results.c }}",
        child=flow(step("a", "{{ input }}"), step("b", "{{ results.a }}"), output="{{ results.b }}"),
    ),
    "3-4": flow(call("c", "child"), child=BROKEN),
    "3-9": flow(call("c", "child"), pause("w", 1), output="{{ results.c }}", child=ECHO),
    "3-11": flow(call("c", "child"), pause("w", 1), child=flow(step("s", "small"), output="x" * 300_000)),
    "3-15": flow(step("c", None, "fail")),
    "3-16": flow(step("c", None), output="{{ results.c }}"),
    "4-2": flow(callback("c", signal="approval"), output="{{ results.c }}"),
    "4-3": flow(callback("c", 5)),
    "4-8": flow(callback("c", 5), step("s", 1), parallel_execution=True),
    "4-9": flow(callback("c"), pause("w", 5), parallel_execution=True, output="{{ results.c }}"),
    "4-12": flow(callback("c"), pause("w", 2), output="{{ results.c }}"),
    "4-18": flow(callback("a", signal="${CB_NAME_A}"), callback("b", signal="${CB_NAME_B}"), parallel_execution=True),
    "4-19": flow(callback("a", signal="${CB_NAME_A}"), callback("b", signal="${CB_NAME_B}"), parallel_execution=True),
    "5-1": flow(call("i", "target"), output="{{ results.i }}", target=ECHO),
    "5-3": flow(call("i", "target"), output="{{ results.i }}", target=ECHO),
    "5-5": flow(call("i", "target"), target=BROKEN),
    "5-6": flow(call("i", "target", fallback="fallback"), target=BROKEN),
    "5-7": flow(call("i", "target", "y" * 250_000), target=ECHO),
    "5-9": flow(call("i", "target"), pause("w", 1), target=ECHO),
    "5-10": flow(call("i", "target", fallback=None), pause("w", 1), target=BROKEN),
    "5-11": flow(step("s", 1), call("i", "target", "{{ results.s }}"), target=ECHO),
    "5-13": flow(call("c", "child"), child=flow(call("i", "target"), output="{{ results.i }}"), target=ECHO),
    "5-14": flow(call("i", "target"), call("j", "target"), target=ECHO),
    "6-1": flow(step("p", "{{ previous }}", "count", until={"condition": "result >= input"}), output=P),
    "6-2": flow(step("p", 5, until={"condition": "result >= `5`"}), output=P),
    "6-3": flow(step("p", "{{ previous }}", "count", until={"condition": "result >= `2`"}), output=P),
    "6-7": flow(step("p", None, "fail", until={"condition": "result"})),
    "6-9": flow(step("p", "{{ previous }}", "job", until={"condition": "result.status == 'DONE'"}), output=P),
    "6-10": flow(step("p", None, until={"condition": "`true`"}), output=P),
    "7-1": flow(step("s", 1), callback("c"), output="{{ results.c }}"),
    "7-2": flow(step("s", 1), callback("c", signal="approval"), output="{{ results.c }}"),
    "7-4": flow(step("s", 1), callback("c")),
    "7-5": flow(step("s", 1), callback("c", 3)),
    "7-6": flow(step("s", 1), callback("c", fallback="recovered"), output="{{ results.c }}"),
    "7-9": flow(step("s", 1), callback("c", signal="first"), step("t", 1), callback("d", signal="second")),
    "7-11": flow(step("s", 1), callback("c"), output="{{ results.c.status }}"),
    "7-12": flow(step("s", 1), callback("c", heartbeat=5)),
    "7-14": flow(step("s", 1), callback("c", 3, fallback="timed-out-handled"), output="{{ results.c }}"),
    "7-15": flow(step("s", 1), callback("c"), output="{{ results.c }}"),
    "8-1": flow(branches(step("a", "task-1"), step("b", "task-2")), output=P),
    "8-2": flow(branches(step("a", "alpha"), step("b", "beta")), output=P),
    "8-3": flow(branches(step("first", "one"), step("second", "two")), output=P),
    "8-4": flow(branches(step("a", "hello"), step("b", 42), step("c", {"k": "v"})), output=P),
    "8-6": batch(branches(step("a", "ok"), step("b", None, "fail"), step("c", 1))),
    "8-7": flow(branches(step("a", None, "fail"), step("b", 1))),
    "8-9": batch(branches(step("a", 1), step("b", None, "fail"), step("c", 1)), tolerated_failures=1),
    "8-10": batch(branches(step("a", None, "fail"), step("b", None, "fail"), step("c", 1)), tolerated_failures=1),
    "8-11": flow(branches(step("a", "r0"), step("b", "r1"), step("c", "r2"), max_concurrency=2), output=P),
    "8-12": flow(branches(step("a", "fa"), step("b", "fb")), output=P),
    "8-13": batch(
        branches(step("a", None, "fail"), step("b", None, "fail"), step("c", 1), step("d", 1)), tolerated_failure_share=0.25
    ),
    "8-14": flow(branches(step("a", "b0"), call("b", "child")), output=P, child=flow(pause("w", 2), output="b1")),
    "8-16": batch(branches(*(step(name, None, "fail") for name in "abc")), tolerated_failures=3),
    "8-21": flow(
        branches(call("a", "child")), output=P, child=flow(branches(step("i", "i1"), step("j", "i2")), output=P)
    ),
    "9-1": flow(items("input", "{{ item }}", "greet"), output=P),
    "9-4": flow(items("input", "{{ item }}"), output=P),
    "9-6": flow(items("`[false, true]`", SOME_FAIL, "maybe")),
    "9-8": batch(items("`[true, false, true]`", SOME_FAIL, "maybe"), tolerated_failures=1),
    "9-9": batch(items("`[false, false, true]`", SOME_FAIL, "maybe"), tolerated_failures=1),
    "9-11": flow({**WORDS, "max_concurrency": 2}, output=P),
    "9-15": flow(
        {**call("p", "child", "{{ item }}"), "for_each": "`[0, 1]`", "max_concurrency": 1},
        output=P,
        child=flow(pause("w", 1, when="input == `1`"), step("s", "r{{ input }}"), output="{{ results.s }}"),
    ),
    "9-18": batch(items("`[true, false]`", SOME_FAIL, "maybe"), pause("w", 1), tolerated_failures=1),
}  # fmt: skip

SERIALIZER = "values are JSON: a workflow has no serializers of its own"
AT_ONCE = "a failure ends the timer beside it at once; there it counts only when the handler asks for it"
PLUGIN = "there are no plugins inside the loop: what happens is told by the journal's tables and by events"
UNCOVERED: dict[str, str] = {
    "1-6": SERIALIZER,
    "3-12": "the process dies in the middle: that is tests/faults/test_faults_workflow.py",
    "4-10": AT_ONCE,
    "4-11": AT_ONCE,
    "4-15": SERIALIZER,
    "4-16": SERIALIZER,
    "5-8": "there are no tenants",
    "5-15": SERIALIZER,
    "9-13": "items are named by their index",
    "9-19": SERIALIZER,
    "9-20": SERIALIZER,
} | {f"10-{number}": PLUGIN for number in (1, 3, 4, 5, 7, 8, 9, 10, 12, 14, 20, 23)}
