"""Processes that run workflows and die, and a ledger outside of them that knows every effect.

Belongs here: the handlers, the nursery that forks workers, the ledger and what must hold of it. Does not: which deaths a test
wants.

`python -m tests.support.workflows <home>` is the nursery: it has imported everything, and forks a worker for each line of JSON
on its standard input, `{"id": …, "start": […], "pump": …, "until": […]}`; it answers with a line when that ended.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dbos  # noqa: F401  (so that workers need not import it)

from cogniforge_pipeline.events import EventLog
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.workflow import triggers
from cogniforge_pipeline.workflow.engine import Engine
from cogniforge_pipeline.workflow.handlers import Context, Handlers
from cogniforge_pipeline.workflow.journal import Journal
from cogniforge_pipeline.workflow.model import WorkflowDefinition
from cogniforge_pipeline.workflow.store import Store

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 120
QUICK = {"initial_interval_seconds": 0.05, "backoff_coefficient": 1, "max_attempts": 3}


class Ledger:
    """The world outside: every call is a line, an effect is the first call of a key."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.jsonl"

    def write(self, **line: Any) -> None:
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, (json.dumps(line) + "\n").encode())
        finally:
            os.close(file)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def calls(self, execution: str) -> Counter[str]:
        return Counter(line["key"] for line in self.lines() if line["key"].startswith(f"{execution}:"))

    def effects(self, execution: str) -> list[str]:
        """The activities of an execution in the order of their effects; those undone with a minus."""
        keys = dict.fromkeys(line["key"] for line in self.lines() if line["key"].startswith(f"{execution}:"))
        parts = [key.split(":")[1:] for key in keys]
        return [f"-{part[0]}" if part[1:] else part[0] for part in parts]


def saga(workflow_id: str = "saga", **last: Any) -> dict[str, Any]:
    """Three effects that can be undone; `last` changes the third activity."""
    activities = [
        {"activity_id": name, "handler": "effect", "compensation_handler": "effect", "retry_policy": QUICK,
         "input_data": {"die": "{{ input.die." + name + " }}", "fail": "{{ input.fail." + name + " }}"}}
        for name in "abc"
    ]  # fmt: skip
    activities[2] |= last
    return {"workflow_id": workflow_id, "activities": activities}


def effect_handler(folder: Path) -> Any:
    ledger = Ledger(folder)

    def effect(given: Mapping[str, Any], context: Context) -> int:
        """Writes to the ledger; dies once where it is told to, and fails as often as it is told to."""
        undoing = context.key.endswith(":compensate")
        die = given["die"] or ""
        if undoing == die.startswith("undo ") and die.endswith("before"):
            kill_once(folder, context.key)
        if given["fail"] and not undoing and (given["fail"] == "always" or context.attempt <= given["fail"]):
            raise ConnectionError("told to fail")
        ledger.write(key=context.key, pid=os.getpid(), given=given)
        if undoing == die.startswith("undo ") and die.endswith("after"):
            kill_once(folder, context.key)
        if die == "slowly":
            time.sleep(0.5)
        return context.attempt

    return effect


def kill_once(folder: Path, name: str) -> None:
    """Ends this process as `kill -9` does, the first time that it is asked for under a name."""
    mark = folder / f"died-{name.replace(':', '.')}"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def work(home: Path, order: Mapping[str, Any]) -> None:
    """What a worker does: starts what it is told to, and works until that has ended, or for ever."""
    settings = load_settings(home, dict(os.environ))
    handlers = Handlers()
    handlers.register("effect", effect_handler(home))
    definitions = {
        spec["workflow_id"]: WorkflowDefinition.model_validate(spec) for spec in order.get("definitions", [])
    }
    engine = Engine(Store(settings), handlers, definitions.__getitem__)
    engine.launch()
    if seen := order.get("die_at"):
        threading.Thread(target=_die_when, args=(Journal(engine.store), *seen), daemon=True).start()
    for spec, given, execution_id in order.get("start", []):
        engine.start(WorkflowDefinition.model_validate(spec), given, execution_id, queued=order.get("queued", False))
    if order.get("pump"):
        log = EventLog(settings.events)

        def start(each: triggers.Start) -> None:
            engine.start(each.definition, each.input, each.execution_id, queued=True, trigger=each.trigger)
            if order["pump"] == "die":
                os.kill(os.getpid(), signal.SIGKILL)

        triggers.pump(log, lambda: definitions, start, engine.store.flush)
    for execution_id in order.get("until", []):
        assert engine.outcome(execution_id, PATIENCE) is not None
    engine.close()


def _die_when(journal: Journal, execution_id: str, kind: str, unit: str, after: float) -> None:
    """Dies so many seconds after an operation's outcome is in the journal."""
    while not any((o.outcome["kind"], o.outcome["unit"]) == (kind, unit) for o in journal.operations([execution_id])):
        time.sleep(0.01)
    time.sleep(after)
    os.kill(os.getpid(), signal.SIGKILL)


class Nursery:
    """Forks workers on one home."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "tests.support.workflows", str(home)]
        self.process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self.pids: dict[int, int] = {}
        self.ended: dict[int, int] = {}
        self._count = 0

    def begin(self, **order: Any) -> int:
        """Forks a worker; gives its number."""
        assert self.process.stdin is not None
        self._count += 1
        print(json.dumps({**order, "number": self._count}), file=self.process.stdin, flush=True)
        while self._count not in self.pids:
            self._read()
        return self._count

    def end(self, number: int) -> int:
        """Waits for a worker; gives its exit code, negative for a signal."""
        while number not in self.ended:
            self._read()
        return self.ended[number]

    def run(self, **order: Any) -> int:
        return self.end(self.begin(**order))

    def kill(self, number: int) -> None:
        os.kill(self.pids[number], signal.SIGKILL)

    def _read(self) -> None:
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        (self.pids if told["what"] == "pid" else self.ended)[told["number"]] = told["value"]


@contextmanager
def nursery(home: Path, **environment: str) -> Iterator[Nursery]:
    (home / "state").mkdir(parents=True, exist_ok=True)
    made = Nursery(home, environment)
    try:
        yield made
    finally:
        for number, pid in made.pids.items():
            if number not in made.ended:
                os.kill(pid, signal.SIGKILL)
        assert made.process.stdin is not None
        made.process.stdin.close()
        made.process.wait(30)


def _serve(home: Path) -> None:
    lock = threading.Lock()

    def tell(**line: Any) -> None:
        with lock:
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()

    def attend(number: int, pid: int) -> None:
        tell(what="end", number=number, value=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    for line in sys.stdin:
        order = json.loads(line)
        with lock:
            pid = os.fork()
        if pid == 0:
            os.dup2(2, 1)
            code = 1
            try:
                work(home, order)
                code = 0
            finally:
                os._exit(code)
        tell(what="pid", number=order["number"], value=pid)
        threading.Thread(target=attend, args=(order["number"], pid)).start()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
