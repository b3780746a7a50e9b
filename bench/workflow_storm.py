"""200 sagas under a storm of 50 kills, held against a ledger of effects.

Belongs here: the storm and what must hold after it. Does not: the workers (`tests/support/workflows.py`).

A saga does a, b and c, each of which can be undone; every third one fails for good at c and is undone. Workers are killed at
random moments. After the storm nothing may be lost, done twice under its key, or undone out of order.

    python -m bench.workflow_storm [sagas] [kills]
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

from bench.harness import report
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.workflow.journal import Journal
from cogniforge_pipeline.workflow.store import Store
from tests.support.workflows import Ledger, nursery, saga

SEED = 20260301
LONGEST = 0.15
"""Seconds from the first effect of a worker to its death, at most."""


def main(sagas: int = 200, kills: int = 50) -> bool:
    chance = random.Random(SEED)
    ids = [f"saga{number}" for number in range(sagas)]
    failing = set(ids[::3])
    begun = time.time()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with nursery(home) as workers:
            start = [[saga(), {"die": {}, "fail": {"c": "always"} if each in failing else {}}, each] for each in ids]
            waiting = list(start)
            for number in range(kills):
                share, waiting = waiting[: max(1, sagas // kills)], waiting[max(1, sagas // kills) :]
                worker = workers.begin(start=share, queued=True, until=["for ever"])
                _wait_for_work(home, len(Ledger(home).lines()))
                time.sleep(chance.uniform(0, LONGEST))
                workers.kill(worker)
                workers.end(worker)
                if number % 10 == 9:
                    print(f"{number + 1} kills, {time.time() - begun:.0f} s", flush=True)
            both = [workers.begin(start=start, queued=True, until=ids) for _ in range(2)]
            codes = [workers.end(each) for each in both]
        ledger, store = Ledger(home), Store(load_settings(home, {}))
        status = {each.execution_id: each.status for each in Journal(store).executions(limit=10**6)}
        store.close()
        lines = ledger.lines()
        keys: dict[str, list[str]] = {}
        for key in dict.fromkeys(line["key"] for line in lines):
            execution, *parts = key.split(":")
            keys.setdefault(execution, []).append(f"-{parts[0]}" if parts[1:] else parts[0])
    undone = ["a", "b", "-b", "-a"]
    wrong = [each for each in ids if keys.get(each) != (undone if each in failing else ["a", "b", "c"])]
    wrong += [each for each in ids if status.get(each) != ("compensated" if each in failing else "completed")]
    again = len(lines) - sum(map(len, keys.values()))
    for each in wrong[:10]:
        print(each, status.get(each), keys.get(each))
    return report(
        "workflow_storm", len(wrong), 1, 0, sagas=sagas, kills=kills, effects=sum(map(len, keys.values())),
        calls_repeated_in_flight=again, workers_ended_well=codes == [0, 0], seconds=round(time.time() - begun),
    ) and codes == [0, 0]  # fmt: skip


def _wait_for_work(home: Path, lines: int) -> None:
    end = time.monotonic() + 10  # of a worker that finds everything done
    while len(Ledger(home).lines()) == lines and time.monotonic() < end:
        time.sleep(0.005)


if __name__ == "__main__":
    sys.exit(0 if main(*map(int, sys.argv[1:])) else 1)
