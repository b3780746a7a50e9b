"""A result that was computed from older input never replaces one from newer input, and no day is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from cogniforge_pipeline import publish
from cogniforge_pipeline.data_mesh.projection import EVENTS, project_events
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.increments import Plan, Request, fact_spans, materialize_recipe, plan_days, plan_decision
from cogniforge_pipeline.increments import code_version as code_of
from cogniforge_pipeline.increments import materialize as materialize_with
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import Circumstances, Mode, Superseded
from cogniforge_pipeline.queries import Query
from cogniforge_pipeline.sources import landing_sources
from cogniforge_pipeline.sources.ingest import Staging, ingest
from tests.support.faults import (
    FIRST,
    HEALTH,
    POINTS_PER_FILE,
    ROLLUP,
    TELEMETRY,
    add_file,
    check_published,
    materialize,
    one_pass,
)


def read_landing(home: Home) -> None:
    ingest(home.lake, home.contracts, landing_sources([]), run_id="test")


def rows_of(home: Home, table: str) -> int:
    row = home.lake.cursor().execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row
    return int(row[0])


def entries(home: Home, table: str) -> list[tuple[object, ...]]:
    return (
        home.lake.cursor()
        .execute(
            f"SELECT version, inputs['{TELEMETRY}'], days, as_of FROM {publish.MATERIALIZATIONS} "
            f"WHERE table_name = '{table}' ORDER BY version"
        )
        .fetchall()
    )


def slow(home: Home, table: str, meanwhile: Sequence[object], request: Request) -> None:
    """Materializes a table; after the first plan, and before the publication, the rest of the world goes on."""
    query, contract = home.queries[table], home.contracts[table]
    facts = home.facts(query)
    code = code_of(contract, query.digest)
    left = list(meanwhile)

    def plan(cursor: Connection) -> Plan:
        if contract.partition_column:
            return plan_days(cursor, table, facts, lookback=query.lookback, code=code, request=request)
        return plan_decision(cursor, table, list(facts), code=code, request=request)

    def selects(_: Connection, plan: Plan) -> list[str]:
        bound = _bound(query, plan)
        while left:
            left.pop(0)()  # type: ignore[operator]
        return bound

    materialize_with(home.lake, contract, plan, selects, code=code, request=request)


def _bound(query: Query, plan: Plan) -> list[str]:
    if not plan.days:
        return [query.bind(as_of=plan.as_of)]
    return [
        query.bind(day_start=publish.midnight(day), day_end=publish.midnight(day + timedelta(1))) for day in plan.days
    ]


def test_a_publication_that_expects_an_older_version_changes_nothing(home: Home) -> None:
    cursor, contract = home.lake.cursor(), home.contracts[HEALTH]
    before = cursor.execute(f"FROM {HEALTH}").fetchall()
    stale = Circumstances("late", expected={HEALTH: publish.versions(cursor)[HEALTH] - 1})
    with (
        publish.stage(cursor, contract, [f"FROM {HEALTH} LIMIT 0"], mode=Mode.REPLACE, run_id="late") as staged,
        pytest.raises(Superseded),
    ):
        publish.publish(home.lake, cursor, [staged], stale)
    assert cursor.execute(f"FROM {HEALTH}").fetchall() == before


def test_a_fact_computed_from_older_telemetry_gives_way_to_one_from_newer(home: Home, folder: Path) -> None:
    def newer() -> None:
        add_file(folder, 4)
        read_landing(home)
        materialize(home, ROLLUP, run_id="faster")

    slow(home, ROLLUP, [newer], Request("slower", home.as_of(), only_changed=False))
    assert rows_of(home, ROLLUP) == 2 * 24
    versions = [int(str(entry[1])) for entry in entries(home, ROLLUP)]
    assert versions == sorted(versions)
    check_published(home.settings)


def test_a_decision_never_goes_back_to_an_older_moment(home: Home, folder: Path) -> None:
    def newer() -> None:
        add_file(folder, 1)
        one_pass(home)

    slow(home, HEALTH, [newer], Request("slower", home.as_of(), only_changed=False, newest=home.as_of))
    moments = [entry[3] for entry in entries(home, HEALTH)]
    assert moments == sorted(moments, key=str)
    assert moments[-1] == home.as_of() >= FIRST + timedelta(days=1)
    check_published(home.settings)


def test_a_request_made_before_newer_telemetry_decides_for_the_newer_moment(home: Home, folder: Path) -> None:
    late = Request("late", home.as_of(), newest=home.as_of)
    add_file(folder, 1)
    one_pass(home)
    query = home.queries[HEALTH]
    outcome = materialize_recipe(home.lake, home.contracts[HEALTH], query, home.facts(query), late)
    assert outcome.publication is None
    asked = replace(late, newest=None)
    assert materialize_recipe(home.lake, home.contracts[HEALTH], query, home.facts(query), asked).publication
    assert entries(home, HEALTH)[-1][3] == late.as_of, "a moment that was asked for is decided, also when it is past"


def test_a_day_that_arrives_while_a_run_computes_others_is_computed_by_the_next(home: Home, folder: Path) -> None:
    add_file(folder, 4)
    read_landing(home)
    [span] = fact_spans(home)
    assert span == (FIRST.date(), FIRST.date() + timedelta(1))
    add_file(folder, 2)
    read_landing(home)
    query = home.queries[ROLLUP]
    request = Request("first", home.as_of(), first=span[0], after=span[1])
    outcome = materialize_recipe(home.lake, home.contracts[ROLLUP], query, home.facts(query), request)
    assert outcome.plan.days == (FIRST.date(),)
    assert fact_spans(home)[-1][1] > date(2024, 3, 3)
    materialize(home, ROLLUP)
    assert rows_of(home, ROLLUP) == 3 * 24
    assert not due(home, ROLLUP)


def test_a_new_definition_reaches_the_days_that_its_first_run_left_out(home: Home, folder: Path) -> None:
    add_file(folder, 1)
    one_pass(home)
    query = replace(home.queries[ROLLUP], text=home.queries[ROLLUP].text + "\n-- another definition")
    home.queries[ROLLUP] = query
    first = Request("first", home.as_of(), first=FIRST.date(), after=FIRST.date() + timedelta(1))
    materialize_recipe(home.lake, home.contracts[ROLLUP], query, home.facts(query), first)
    assert due(home, ROLLUP) == (FIRST.date() + timedelta(1),)


def due(home: Home, table: str) -> tuple[date, ...]:
    query, contract = home.queries[table], home.contracts[table]
    return plan_days(
        home.lake.cursor(),
        table,
        home.facts(query),
        lookback=query.lookback,
        code=code_of(contract, query.digest),
        request=Request("look"),
    ).days


def test_a_file_that_another_process_read_meanwhile_is_read_once(
    home: Home, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_file(folder, 1)
    settle = Staging.settle

    def beaten(staging: Staging) -> None:
        monkeypatch.setattr(Staging, "settle", settle)
        read_landing(home)
        settle(staging)

    monkeypatch.setattr(Staging, "settle", beaten)
    read_landing(home)
    assert rows_of(home, TELEMETRY) == 2 * POINTS_PER_FILE
    assert rows_of(home, "quarantine.aiops__telemetry") == 0
    check_published(home.settings)


def test_events_projected_by_two_at_once_are_there_once_each(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.events.publish("test.first", source="/tests")
    stage = publish.stage

    def beaten(*arguments: object, **named: object) -> object:
        monkeypatch.setattr(publish, "stage", stage)
        project_events(home, run_id="faster")
        home.events.publish("test.second", source="/tests")
        return stage(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(publish, "stage", beaten)
    project_events(home, run_id="slower")
    found = home.lake.cursor().execute(f"SELECT seq FROM {EVENTS} ORDER BY seq").fetchall()
    assert [seq for (seq,) in found] == [event.seq for event in home.events.read()]
