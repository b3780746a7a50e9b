"""Cost follows new data: what is computed again and why, and that the result is the same as computing everything."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cogniforge_pipeline import increments, publish
from cogniforge_pipeline.contracts.model import Bounds, Rule
from cogniforge_pipeline.increments import all_spans, chunks, fact_spans, plan_days
from cogniforge_pipeline.publish import MATERIALIZATIONS, AuditFailed
from tests.support.pipeline import FACTS, HEALTH, Pipeline, Point, at, csv

ROLLUP, SCORES = FACTS


def day(number: int) -> date:
    return date(2026, 3, number)


def points(*days: int, value: float = 1.0) -> list[Point]:
    return [(at(f"2026-03-{n:02} 10:00"), "web", "cpu", value) for n in days]


@pytest.fixture
def work(pipeline: Pipeline) -> Pipeline:
    """Points of 1, 2, 3 and 20 March; both facts computed."""
    pipeline.drop("first.csv", csv(points(1, 2, 3, 20)))
    pipeline.ingest()
    pipeline.facts()
    return pipeline


def test_the_first_time_every_day_with_points_is_computed(pipeline: Pipeline) -> None:
    pipeline.drop("first.csv", csv(points(1, 2, 20)))
    pipeline.ingest()
    made = pipeline.facts()
    assert made[ROLLUP].plan.reason == "first time"
    assert made[ROLLUP].plan.days == made[SCORES].plan.days == (day(1), day(2), day(20))


def test_without_news_nothing_is_computed_or_published(work: Pipeline) -> None:
    before = work.rows(MATERIALIZATIONS)
    work.ingest()
    assert [outcome.publication for outcome in work.facts().values()] == [None, None]
    assert fact_spans(work.home) == []
    assert work.rows(MATERIALIZATIONS) == before


def test_a_late_point_touches_its_day_and_those_that_look_back_on_it(work: Pipeline) -> None:
    work.drop("late.csv", csv([(at("2026-03-02 09:00"), "web", "cpu", 5.0)]))
    work.ingest()
    assert fact_spans(work.home) == [(day(2), day(21))]
    made = work.facts()
    assert made[ROLLUP].plan.days == (day(2), day(3))
    assert made[SCORES].plan.days == (day(2), day(3), day(20))
    assert made[ROLLUP].plan.reason == "days that new data touched"


def test_what_looks_back_on_all_days_is_computed_from_the_first_new_one_on(work: Pipeline) -> None:
    work.drop("late.csv", csv(points(6, 7)))
    work.ingest()
    made = work.facts()
    assert made[ROLLUP].plan.days == (day(6), day(7))
    assert made[SCORES].plan.days == (day(6), day(7), day(20))


def test_a_run_over_some_days_first_computes_the_changed_ones_that_they_look_back_on(work: Pipeline) -> None:
    work.drop("late.csv", csv(points(6, 7, 8)))
    work.ingest()
    work.compute(ROLLUP)
    assert work.compute(SCORES, first=day(7), after=day(8)).plan.days == (day(6), day(7))
    assert work.compute(SCORES).plan.days == (day(8), day(20))


def test_what_is_published_beside_a_table_is_so_in_the_same_snapshot_or_not_at_all(work: Pipeline) -> None:
    made = work.compute(SCORES, only_changed=False)
    assert made.publication is not None
    assert {p.table for p in made.beside} == {"aiops.anomaly_points", "aiops.detector_states"}
    assert {p.snapshot for p in made.beside} == {made.publication.snapshot}
    before = [work.rows(table) for table in (SCORES, "aiops.detector_states")]
    broken = Rule(
        "empty", "table", "rowCount", (), "ERROR", "consistency", "the table is empty", measure="count(*)",
        bounds=Bounds("mustBe", -1),
    )  # fmt: skip
    contract = work.home.contracts["aiops.detector_states"]
    work.home.contracts["aiops.detector_states"] = replace(contract, rules=(*contract.rules, broken))
    with pytest.raises(AuditFailed, match="detector_states breaks its contract"):
        work.compute(SCORES, only_changed=False)
    assert [work.rows(table) for table in (SCORES, "aiops.detector_states")] == before


def test_the_span_covers_what_a_fact_of_facts_will_have_to_do(work: Pipeline) -> None:
    work.drop("late.csv", csv(points(6)))
    work.ingest()
    assert fact_spans(work.home) == [(day(6), day(21))]


def test_a_run_over_some_days_leaves_the_other_changed_days_due(work: Pipeline) -> None:
    work.drop("late.csv", csv(points(8, 10)))
    work.ingest()
    assert work.compute(ROLLUP, first=day(8), after=day(9)).plan.days == (day(8),)
    assert work.compute(ROLLUP).plan.days == (day(10),)
    assert work.compute(ROLLUP).publication is None


def test_a_first_run_over_some_days_leaves_the_others_due(pipeline: Pipeline) -> None:
    pipeline.drop("first.csv", csv(points(1, 2, 3)))
    pipeline.ingest()
    pipeline.compute(ROLLUP, first=day(2), after=day(3))
    assert pipeline.compute(ROLLUP).plan.days == (day(1), day(3))


def test_another_definition_computes_every_day(work: Pipeline) -> None:
    query = work.home.queries[ROLLUP]
    work.home.queries[ROLLUP] = replace(query, text=query.text + " -- changed\n")
    again = work.compute(ROLLUP)
    assert (again.plan.reason, again.plan.days) == ("the definition changed", (day(1), day(2), day(3), day(20)))


def test_another_version_of_the_contract_computes_every_day(work: Pipeline) -> None:
    work.home.contracts[ROLLUP] = replace(work.home.contracts[ROLLUP], version="2.0.0")
    assert len(work.compute(ROLLUP).plan.days) == 4


def test_unchanged_days_are_computed_when_asked_for(work: Pipeline) -> None:
    again = work.compute(ROLLUP, only_changed=False, first=day(2), after=day(4))
    assert (again.plan.reason, again.plan.days) == ("asked for", (day(2), day(3)))
    assert len(work.rows(ROLLUP)) == 4


def test_a_day_without_points_is_never_computed(work: Pipeline) -> None:
    assert work.compute(ROLLUP, only_changed=False, first=day(4), after=day(20)).publication is None


def test_all_days_that_facts_ever_had_are_known(work: Pipeline, tmp_path: Path) -> None:
    assert all_spans(work.home) == [(day(1), day(21))]
    assert all_spans(Pipeline(tmp_path / "empty").home) == []


def test_a_single_point_of_years_ago_does_not_make_a_run_of_years(work: Pipeline) -> None:
    work.drop("late.csv", csv([(at("2005-07-01 10:00"), "web", "cpu", 1.0), *points(6)]))
    work.ingest()
    assert fact_spans(work.home) == [(date(2005, 7, 1), date(2005, 7, 2)), (day(1), day(21))]
    work.facts()
    assert all_spans(work.home) == [(date(2005, 7, 1), date(2005, 7, 2)), (day(1), day(21))]


def test_a_decision_is_made_again_for_another_moment_input_or_definition_only(work: Pipeline) -> None:
    noon = at("2026-03-20 12:00")
    assert work.compute(HEALTH, as_of=noon).plan.reason == "first time"
    assert work.compute(HEALTH, as_of=noon).publication is None
    assert work.compute(HEALTH, as_of=at("2026-03-20 13:00")).plan.reason == "another as_of"
    assert work.compute(HEALTH, as_of=noon).plan.reason == "another as_of"
    work.drop("more.csv", csv(points(21)))
    work.ingest()
    work.facts()
    assert work.compute(HEALTH, as_of=noon).plan.reason == "an input changed"
    query = work.home.queries[HEALTH]
    work.home.queries[HEALTH] = replace(query, text=query.text + " -- changed\n")
    assert work.compute(HEALTH, as_of=noon).plan.reason == "the definition changed"
    assert work.compute(HEALTH, as_of=noon, only_changed=False).plan.reason == "asked for"


def test_a_result_that_another_process_overtook_is_computed_again(
    work: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.drop("more.csv", csv(points(21)))
    work.ingest()
    query = work.home.queries[ROLLUP]
    calls = []

    def plan_and_be_overtaken(*args: object, **named: object) -> increments.Plan:
        plan = plan_days(*args, **named)  # type: ignore[arg-type]
        calls.append(plan)
        if len(calls) == 1:
            work.compute(ROLLUP, only_changed=False)
        return plan

    monkeypatch.setattr(increments, "plan_days", plan_and_be_overtaken)
    done = work.compute(ROLLUP)
    assert query.name == ROLLUP and len(calls) == 3
    assert done.publication is None
    assert [row[0].day for row in work.rows(ROLLUP, "ts")] == [1, 2, 3, 20, 21]


def test_long_stretches_are_computed_in_pieces(monkeypatch: pytest.MonkeyPatch, work: Pipeline) -> None:
    expected = work.rows(SCORES)
    monkeypatch.setattr(increments, "CHUNK_DAYS", 2)
    work.facts(only_changed=False)
    assert work.rows(SCORES) == expected


@given(st.sets(st.dates(date(2026, 1, 1), date(2026, 12, 31)), max_size=80))
def test_pieces_cover_exactly_the_days(days: set[date]) -> None:
    found = chunks(tuple(sorted(days)))
    covered = [first + timedelta(n) for first, after in found for n in range((after - first).days)]
    assert covered == sorted(days)
    assert all(0 < (after - first).days <= increments.CHUNK_DAYS for first, after in found)


def measured(start: datetime) -> Iterator[tuple[Point, str]]:
    """Two-hourly points of a gauge and a counter with resets over six days."""
    steady = random.Random(7)
    total = 0.0
    for n in range(6 * 12):
        ts = start + timedelta(hours=2 * n)
        total = 0.0 if steady.random() < 0.02 else total + steady.randrange(9)
        yield (ts, "api", "requests_total", total), "counter"
        yield (ts, "web", "cpu", 50 + steady.gauss(0, 5)), "gauge"


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(order=st.randoms(use_true_random=False), cuts=st.sets(st.integers(1, 11), min_size=1, max_size=2))
def test_in_whatever_order_points_arrive_the_result_is_that_of_a_full_refresh(
    tmp_path_factory: pytest.TempPathFactory, order: random.Random, cuts: set[int]
) -> None:
    work = Pipeline(tmp_path_factory.mktemp("arrivals") / "home")
    start = publish.midnight(day(1))
    arrived = list(measured(start))
    pieces = (
        [arrived[n::12] for n in range(12)]
        if order.random() < 0.5
        else [arrived[12 * n : 12 * n + 12] for n in range(12)]
    )
    order.shuffle(pieces)
    for number, (first, after) in enumerate(zip([0, *sorted(cuts)], [*sorted(cuts), 12], strict=True)):
        chosen = [point for piece in pieces[first:after] for point in piece]
        order.shuffle(chosen)
        for kind in ("gauge", "counter"):
            work.drop(f"{number}-{kind}.csv", csv((p for p, k in chosen if k == kind), kind=kind))
        work.ingest()
        work.facts()
        work.compute(HEALTH, as_of=start + timedelta(days=5))
    tables = ("aiops.telemetry", *FACTS, HEALTH)
    incremental = [work.rows(table) for table in tables]
    assert len(incremental[0]) == len(arrived)
    work.facts(only_changed=False)
    work.compute(HEALTH, as_of=start + timedelta(days=5), only_changed=False)
    assert [work.rows(table) for table in tables] == incremental
