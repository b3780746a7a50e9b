"""AWS's durable execution conformance cases, run from their files on the real engine.

Belongs here: running a case and holding its result and history against what its file expects. Does not: the workflows
(`workflow_cases.py`).

A case passes when the execution ends as expected, with the expected result where one is given, and when the operations that
ended, by kind and outcome, are those of the expected history: steps, waits, callbacks and invocations that have no operation
inside. What their history says of Lambda's invocations has no counterpart here.

    python -m bench.workflow_conformance [folder of test-requirements]
"""

from __future__ import annotations

import json
import random
import re
import string
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from bench.harness import report
from bench.workflow_cases import CASES, UNCOVERED
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.workflow.engine import Engine
from cogniforge_pipeline.workflow.handlers import Context, Handlers
from cogniforge_pipeline.workflow.journal import Journal
from cogniforge_pipeline.workflow.model import WorkflowDefinition
from cogniforge_pipeline.workflow.store import Store

DATA = Path(__file__).parents[2] / "shared" / "data" / "workflow" / "aws_durable" / "test-requirements"
PATIENCE = 180
BAR = 0.75
STATUS = {"SUCCEEDED": {"completed"}, "FAILED": {"failed", "compensated"}}
KINDS = {"Step": "step", "Context": "step", "Wait": "wait", "Callback": "callback", "ChainedInvoke": "invoke"}
OUTCOMES = {"Succeeded": "ok", "Failed": "failed", "TimedOut": "timed out"}


class TransientError(Exception):
    """What the cases call it."""


def handlers() -> Handlers:
    made = Handlers()

    def fail(_: Any) -> None:
        raise ValueError("told to fail")

    def once(_: Any, context: Context) -> str:
        if context.attempt == 1:
            raise TransientError("the first time")
        return "recovered"

    def maybe(given: Any) -> Any:
        if not given:
            raise ValueError("told to fail")
        return given

    def job(state: Any) -> dict[str, Any]:
        attempts = (state or {"attempts": 0})["attempts"] + 1
        return {"status": "DONE" if attempts >= 2 else "PENDING", "attempts": attempts}

    for name, handler in {"fail": fail, "once": once, "maybe": maybe, "job": job}.items():
        made.register(name, handler)
    made.register("echo", lambda given: given)
    made.register("greet", lambda given: f"Hello, {given}!")
    made.register("count", lambda state: (state or 0) + 1)
    return made


def filled(value: Any, variables: dict[str, str]) -> Any:
    """The value with `${NAME}` replaced."""
    text = json.dumps(value)
    for name, given in variables.items():
        text = text.replace("${" + name + "}", given)
    return json.loads(text)


def variables_of(case: dict[str, Any], chance: random.Random) -> dict[str, str]:
    def made(text: Any) -> str:
        sizes = re.fullmatch(r"\$\{GEN_STR:(\d+)\}", str(text))
        return "".join(chance.choices(string.ascii_letters, k=int(sizes[1]))) if sizes else str(text)

    return {name: made(text) for name, text in (case.get("Variables") or {}).items()}


def expected_operations(case: dict[str, Any]) -> Counter[tuple[str, str]]:
    events = case.get("ExpectedExecutionHistory") or []
    parents = {event.get("ParentId") for event in events}
    found: Counter[tuple[str, str]] = Counter()
    for event in events:
        match = re.fullmatch(
            r"(Step|Context|Wait|Callback|ChainedInvoke)(Succeeded|Failed|TimedOut)", event["EventType"]
        )
        if match and event.get("Id") not in parents and event.get("SubType") not in ("Map", "Parallel"):
            found[KINDS[match[1]], OUTCOMES[match[2]]] += 1
    return found


def made_operations(journal: Journal, execution_id: str) -> Counter[tuple[str, str]]:
    """Those of the execution, and of its children that are contexts of it."""
    found: Counter[tuple[str, str]] = Counter()
    execution = journal.get(execution_id)
    activities = {a["activity_id"]: a for a in execution.definition["activities"]}
    activities |= {b["activity_id"]: b for a in execution.definition["activities"] for b in a.get("branches", [])}
    for recorded in journal.operations([execution_id]):
        outcome = recorded.outcome
        if outcome["kind"] in ("rest", "compensate_rest") or outcome.get("interrupted"):
            continue
        name = re.sub(r"\[.*", "", outcome["unit"].rpartition(".")[2])
        workflow = activities[name].get("workflow") or ""
        kind = {"attempt": "step", "signal": "callback"}.get(outcome["kind"], outcome["kind"])
        if workflow.startswith("child"):
            child = f"{execution_id}.{outcome['unit']}.{outcome['attempt']}"
            found += made_operations(journal, child)
            continue
        late = not outcome["ok"] and outcome["error"]["type"] in ("TimedOut", "HeartbeatTimeout")
        told = "ok" if outcome["ok"] else "timed out" if late else "failed"
        found["invoke" if workflow else kind, told] += 1
    return found


def act(store: Store, case: dict[str, Any], spec: dict[str, Any], execution_id: str, variables: dict[str, str]) -> None:
    """The external system of a case."""
    waiting = [activity["signal"]["name"] for activity in spec["activities"] if "signal" in activity]
    begun = time.time()
    for place, action in enumerate(filled(case.get("CallbackActions") or [], variables)):
        delay = action.get("Delay", 0)
        time.sleep(max(0.0, begun + delay - time.time()) if action["CallbackName"] != "*" else delay)
        name = waiting[place] if action["CallbackName"] == "*" else action["CallbackName"]
        payload = action.get("Payload")
        if action["Operation"] == "failure":
            payload = {"failed": {"type": payload["ErrorType"], "message": payload["ErrorMessage"]}}
        elif action["Operation"] == "heartbeat":
            name, payload = f"{name}.heartbeat", None
        store.send(execution_id, name, payload)


def judge(journal: Journal, case: dict[str, Any], execution_id: str, variables: dict[str, str]) -> str:
    """What is wrong, or nothing."""
    execution = journal.get(execution_id)
    wanted = filled(case.get("ExpectedResult") or {}, variables)
    if "ExecutionStatus" in wanted and execution.status not in STATUS[wanted["ExecutionStatus"]]:
        return f"expected {wanted['ExecutionStatus']}, got {execution.status}: {execution.error}"
    shown = execution.output
    if isinstance(wanted.get("Result"), dict) and isinstance(shown, dict):
        shown = {name: value for name, value in shown.items() if name in wanted["Result"]}
    if "Result" in wanted and shown != wanted["Result"]:
        return f"expected {wanted['Result']!r}, got {execution.output!r}"
    expected, made = expected_operations(case), made_operations(journal, execution_id)
    if expected and expected != made:
        return f"expected the operations {dict(expected)}, got {dict(made)}"
    return ""


def main(folder: Path = DATA) -> bool:
    paths = {path.stem: path for path in sorted(folder.glob("*/*.yaml"))}
    chance = random.Random(7)
    if strange := paths.keys() ^ (CASES.keys() | UNCOVERED.keys()):
        raise SystemExit(f"cases that are neither covered nor listed, or are not there: {sorted(strange)}")
    verdicts: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as home:
        store = Store(load_settings(home, {}))
        known: dict[str, WorkflowDefinition] = {}
        engine = Engine(store, handlers(), known.__getitem__)
        engine.launch()
        journal = Journal(store)
        running = []
        for name in CASES:
            case = yaml.safe_load(paths[name].read_text(encoding="utf-8"))
            variables = variables_of(case, chance)
            specs = filled(CASES[name], variables)
            text = json.dumps(specs).replace('"workflow": "child"', f'"workflow": "child-{name}"')
            specs = json.loads(text.replace('"workflow": "target"', f'"workflow": "target-{name}"'))
            for part, spec in specs.items():
                known[f"{part}-{name}"] = WorkflowDefinition.model_validate({"workflow_id": f"{part}-{name}", **spec})
            execution_id = f"case-{name}"
            engine.start(known[f"main-{name}"], filled(case.get("Input"), variables), execution_id)
            thread = threading.Thread(target=act, args=(store, case, specs["main"], execution_id, variables))
            thread.start()
            running.append((name, case, execution_id, variables, thread))
        for name, case, execution_id, variables, thread in running:
            ended = engine.outcome(execution_id, PATIENCE)
            thread.join()
            verdicts[name] = judge(journal, case, execution_id, variables) if ended else "did not end"
        engine.close()
    for name, wrong in verdicts.items():
        if wrong:
            print(f"{name}: {wrong}")
    for name, reason in UNCOVERED.items():
        print(f"{name} is not covered: {reason}")
    passed = sum(not wrong for wrong in verdicts.values())
    return report(
        "workflow_conformance", passed, len(paths), BAR, at_least=True, covered=len(CASES), failed=len(CASES) - passed
    ) and passed == len(CASES)


if __name__ == "__main__":
    sys.exit(0 if main(*map(Path, sys.argv[1:2])) else 1)
