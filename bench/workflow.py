"""Two-step workflows and events, against bare DBOS on the same database in the same run.

Belongs here: throughput serial on SQLite and concurrent on PostgreSQL, the cost next to DBOS alone, events a second, and the time
from an event to the first activity that it starts. Does not: what is right (`tests/faults`, `workflow_storm.py`).

The bare candidate runs two steps that do the same, with the same connection settings: WAL and synchronous = NORMAL on SQLite.

    python -m bench.workflow [--postgres]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.harness import report
from cogniforge_pipeline.events import EventLog, NewEvent
from cogniforge_pipeline.settings import Settings, load_settings
from cogniforge_pipeline.workflow import triggers
from cogniforge_pipeline.workflow.engine import Engine
from cogniforge_pipeline.workflow.handlers import Handlers
from cogniforge_pipeline.workflow.model import WorkflowDefinition
from cogniforge_pipeline.workflow.store import Store

ROUNDS, SERIAL, CONCURRENT = 6, 25, 100
COST_BAR = 1.3
TWO_STEPS = WorkflowDefinition.model_validate(
    {
        "workflow_id": "two",
        "event_triggers": ["two.wanted"],
        "activities": [
            {"activity_id": "a", "handler": "more", "input_data": "{{ input.n }}"},
            {"activity_id": "b", "handler": "more", "input_data": "{{ results.a }}"},
        ],
    }
)


def bare() -> Any:
    from dbos import DBOS

    @DBOS.step(name="more")
    def more(number: int) -> int:
        return number + 1

    @DBOS.workflow(name="bare")
    def two(number: int) -> int:
        return more(more(number))

    return two


def measure(settings: Settings, postgres: bool) -> tuple[dict[str, float], dict[str, float], float]:
    """Workflows a second and processor seconds for each of ours and bare, and the median trigger latency."""
    two, seen = bare(), []
    made = Handlers()
    made.register("more", lambda number: seen.append(time.time()) or number + 1)
    engine = Engine(Store(settings), made, {}.__getitem__)
    engine.launch()

    def ours(_: int) -> None:
        came = engine.start(TWO_STEPS, {"n": 1}, uuid.uuid4().hex)()
        assert came["output"] == {"a": 2, "b": 3}

    def theirs(_: int) -> None:
        from dbos import DBOS

        assert DBOS.start_workflow(two, 1).get_result() == 3

    count = CONCURRENT if postgres else SERIAL
    wall: dict[str, list[float]] = {"ours": [], "bare": []}
    cpu: dict[str, list[float]] = {"ours": [], "bare": []}
    with ThreadPoolExecutor(32 if postgres else 1) as pool:
        for number in range(ROUNDS + 1):
            for name, run in (("ours", ours), ("bare", theirs))[:: 1 if number % 2 else -1]:
                begun, used = time.perf_counter(), time.process_time()
                list(pool.map(run, range(count)))
                if number:
                    wall[name].append((time.perf_counter() - begun) / count)
                    cpu[name].append((time.process_time() - used) / count)
    latency = trigger_latency(engine, settings, seen)
    engine.close()
    return (
        {n: statistics.median(v) for n, v in wall.items()},
        {n: statistics.median(v) for n, v in cpu.items()},
        latency,
    )


def trigger_latency(engine: Engine, settings: Settings, seen: list[float]) -> float:
    log = EventLog(settings.events)
    waits = []
    for number in range(15):
        seen.clear()
        begun = time.time()
        log.publish("two.wanted", {"n": number}, source="/bench")
        triggers.pump(
            log,
            lambda: {"two": TWO_STEPS},
            lambda each: engine.start(each.definition, each.input, each.execution_id, queued=True),
            engine.store.flush,
        )
        while not seen:
            time.sleep(0.001)
        waits.append(seen[0] - begun)
    return statistics.median(waits)


def events_per_second(folder: Path) -> tuple[float, float]:
    """Durable events a second, by the clock and by the processor's time."""
    log = EventLog(folder / "many.sqlite")
    rates, by_cpu = [], []
    for number in range(5):
        batch = [NewEvent("a.b", "/bench", {"n": n}, id=f"{number}-{n}") for n in range(20_000)]
        begun, used = time.perf_counter(), time.process_time()
        assert log.append_many(batch) == len(batch)
        rates.append(len(batch) / (time.perf_counter() - begun))
        by_cpu.append(len(batch) / (time.process_time() - used))
    return statistics.median(rates), statistics.median(by_cpu)


def tell(settings: Settings, postgres: bool, **more: Any) -> bool:
    wall, cpu, latency = measure(settings, postgres)
    return report(
        "workflow",
        wall["ours"],
        wall["bare"],
        COST_BAR,
        database="postgresql" if postgres else "sqlite",
        workflows_per_second=round(1 / wall["ours"], 1),
        bare_per_second=round(1 / wall["bare"], 1),
        needed_per_second=300 if postgres else 100,
        cpu_ratio=round(cpu["ours"] / cpu["bare"], 3),
        cpu_milliseconds=round(cpu["ours"] * 1000, 2),
        trigger_latency_seconds=round(latency, 3),
        **more,
    )


def main(postgres: bool) -> bool:
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "state").mkdir()
        if not postgres:
            rate, by_cpu = map(round, events_per_second(Path(home)))
            events = {"events_per_second": rate, "events_per_cpu_second": by_cpu, "events_needed": 20_000}
            return tell(load_settings(home, {}), False, **events)
        from tests.support.postgres import running_postgres

        with running_postgres() as server:
            url = server.create("workflows")
            return tell(load_settings(home, {"COGNIFORGE_WORKFLOWS": url}), True)


if __name__ == "__main__":
    sys.exit(0 if main("--postgres" in sys.argv) else 1)
