"""The tables of SLOs in a real lake: telemetry in, facts and decisions out, and only what changed computed again."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline import increments, registry
from cogniforge_pipeline.declarations import declare
from cogniforge_pipeline.increments import Outcome, fact_spans
from cogniforge_pipeline.sre.openslo import OPENSLO_KIND
from tests.support.pipeline import Pipeline, Point, at, csv

SLI, RATES, MINUTES, QUARTERS = "sre.sli_1m", "sre.burn_rates", "sre.alert_minutes", "sre.sli_15m"
SLO_FACTS = (SLI, RATES, MINUTES, QUARTERS)
DECISIONS = ("sre.slos", "sre.alerts", "sre.error_budgets", "sre.slo_reports")
STEP = timedelta(minutes=2)


def slo(name: str, indicator: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """99 % over 30 days; by default errors_total of requests_total."""
    ratio = {part: source(metric) for part, metric in (("bad", "errors_total"), ("total", "requests_total"))}
    body: dict[str, Any] = {
        "service": "web",
        "indicator": {"metadata": {"name": "errors"}, "spec": indicator or {"ratioMetric": ratio}},
        "timeWindow": [{"duration": "30d", "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"target": 0.99}],
    }
    return {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": {"name": name}, "spec": body | spec}


def source(metric: str, **spec: Any) -> dict[str, Any]:
    return {"metricSource": {"type": "cogniforge", "spec": {"metric": metric, **spec}}}


def select(query: str) -> dict[str, Any]:
    return {"ratioMetric": {"rawType": "success", "raw": {"metricSource": {"type": "sql", "spec": {"query": query}}}}}


def declare_slos(work: Pipeline, *documents: dict[str, Any]) -> None:
    registry.record(work.home, [declare(OPENSLO_KIND, document) for document in documents], run_id="declare")


def facts(work: Pipeline) -> dict[str, Outcome]:
    return {table: work.compute(table) for table in SLO_FACTS}


def decide(work: Pipeline, as_of: datetime) -> None:
    for table in DECISIONS:
        work.compute(table, as_of=as_of)


def everything(work: Pipeline) -> dict[str, list[tuple[Any, ...]]]:
    return {table: work.rows(table) for table in (*SLO_FACTS, *DECISIONS)}


def scrapes(first: datetime, after: datetime, trouble: Iterable[datetime] = ()) -> list[Point]:
    """Samples every two minutes: 100 requests each, of which 50 failed at the moments of `trouble`.

    What the counters hold follows from the time alone, so that files may be cut anywhere.
    """
    bad = sorted(trouble)
    found: list[Point] = []
    moment = first
    while moment < after:
        steps = (moment - at("2026-03-01 00:00")) // STEP
        found.append((moment, "web", "requests_total", 100.0 * steps))
        found.append((moment, "web", "errors_total", 50.0 * sum(one <= moment for one in bad)))
        moment += STEP
    return found


def minutes(first: str, last: str) -> list[datetime]:
    """Every second minute from the first to the last one."""
    start, steps = at(first), (at(last) - at(first)) // STEP
    return [start + STEP * n for n in range(steps + 1)]


TROUBLE = minutes("2026-03-01 22:02", "2026-03-02 01:00")
"""90 scrapes with 50 errors each, over midnight."""
LATE = (at("2026-03-01 08:00"), at("2026-03-01 10:00"))


def in_time() -> list[Point]:
    """Two days without two hours of the first morning, and an hour of 20 March."""
    whole = scrapes(at("2026-03-01 00:00"), at("2026-03-03 00:00"), TROUBLE)
    return [p for p in whole if not LATE[0] <= p[0] < LATE[1]] + scrapes(
        at("2026-03-20 10:00"), at("2026-03-20 11:00"), TROUBLE
    )


LATE_POINTS = [p for p in scrapes(*LATE, TROUBLE) if p[0] < LATE[1]]


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with all facts computed of what came in time."""
    made = Pipeline(tmp_path_factory.mktemp("slos") / "home")
    declare_slos(made, slo("web"))
    made.drop("first.csv", csv(in_time(), kind="counter"))
    made.ingest()
    facts(made)
    return made.folder


@pytest.fixture
def work(computed: Path, tmp_path: Path) -> Pipeline:
    """A copy of it, to work on."""
    return Pipeline(Path(shutil.copytree(computed, tmp_path / "home")))


def test_telemetry_becomes_budgets_alerts_and_reports(work: Pipeline) -> None:
    decide(work, at("2026-03-02 12:00"))
    # 36 hours of 30 scrapes of 100 requests, and the 90 scrapes in trouble had 50 errors each
    ((total, bad, consumed, status),) = work.rows("sre.error_budgets", "total, bad, consumed, status")
    assert (total, bad, status) == (108000, 4500, "exhausted")
    assert consumed == pytest.approx(4500 / 108000 / 0.01)
    found = work.rows("sre.slo_reports", "period_start, period_end, total, bad, is_met, is_complete")
    assert found == [(at("2026-03-01 00:00"), at("2026-04-01 00:00"), 108000, 4500, False, False)]
    # The hour has 30 scrapes: 9 * 50 of 3000 are more than 14.4 %. The last 5 minutes are clean when the growth from
    # 00:58 to 01:00 is no longer within them as a whole.
    alerts = work.rows("sre.alerts", "alert, severity, fired_at, cleared_at")
    assert alerts[0] == ("page-1h", "page", at("2026-03-01 22:18"), at("2026-03-02 01:04"))
    assert [row[0] for row in alerts] == ["page-1h", "page-6h", "ticket-1d", "ticket-3d"]


def test_scrapes_that_end_before_midnight_leave_no_hole_there(work: Pipeline) -> None:
    moments = [ts for (ts,) in work.rows(RATES, "ts")]
    # the first sample is where counting starts, the second one is of 00:02; the last one of each day is of 23:58
    two_days = [at("2026-03-01 00:02") + timedelta(minutes=n) for n in range(2 * 1440 - 2)]
    assert [ts for ts in moments if ts < at("2026-03-03 00:00")] == two_days
    # an hour of 20 March is measured, and nothing is claimed about the rest of that day
    assert moments[-1] == at("2026-03-20 10:58")
    assert len(moments) == len(two_days) + 10 * 60 + 59


def test_after_late_data_the_days_that_look_back_on_it_are_as_if_computed_from_scratch(
    work: Pipeline, tmp_path: Path
) -> None:
    before = work.rows(SLI)
    work.drop("late.csv", csv(LATE_POINTS, kind="counter"))
    work.ingest()
    assert fact_spans(work.home) == [(date(2026, 3, 1), date(2026, 3, 22))]
    again = facts(work)
    # a day's data may reach two days further, and its last minute is told in the next day
    near = (date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3))
    assert {table: outcome.plan.days for table, outcome in again.items()} == {
        SLI: near,
        RATES: (*near, date(2026, 3, 20), date(2026, 3, 21)),  # looks back 30 days
        MINUTES: near,
        QUARTERS: near,
    }
    assert [outcome.publication for outcome in facts(work).values()] == [None] * 4
    assert before != work.rows(SLI)
    scratch = Pipeline(tmp_path / "scratch")
    declare_slos(scratch, slo("web"))
    scratch.drop("all.csv", csv(in_time() + LATE_POINTS, kind="counter"))
    scratch.ingest()
    facts(scratch)
    for home in (work, scratch):
        decide(home, at("2026-03-20 10:58"))
    assert everything(work) == everything(scratch)


def test_a_late_sample_reaches_the_growth_at_midnight_a_day_later(pipeline: Pipeline) -> None:
    samples = [
        (at("2026-03-01 23:59") + timedelta(seconds=30), "web", "requests_total", 100.0),
        (at("2026-03-02 12:00"), "web", "another_total", 1.0),
        (at("2026-03-02 23:59") + timedelta(seconds=15), "web", "requests_total", 170.0),
        (at("2026-03-03 00:01"), "web", "requests_total", 175.0),
    ]
    declare_slos(pipeline, slo("web"))
    pipeline.drop("first.csv", csv(samples[1:], kind="counter"))
    pipeline.ingest()
    pipeline.compute(SLI)
    assert pipeline.rows(SLI, "total") == [(0,), (5,)]
    pipeline.drop("late.csv", csv(samples[:1], kind="counter"))
    pipeline.ingest()
    pipeline.compute(SLI)
    assert pipeline.rows(SLI, "ts, total")[-2:] == [(at("2026-03-03 00:00"), 70), (at("2026-03-03 00:01"), 5)]


def test_what_happened_in_the_last_minute_of_a_day_counts_though_nothing_comes_the_day_after(
    pipeline: Pipeline,
) -> None:
    declare_slos(pipeline, slo("web"))
    samples = [
        (at("2026-03-01 23:59"), "web", "requests_total", 100.0),
        (at("2026-03-01 23:59") + timedelta(seconds=30), "web", "requests_total", 115.0),
    ]
    pipeline.drop("first.csv", csv(samples, kind="counter"))
    pipeline.ingest()
    facts(pipeline)
    assert pipeline.rows(SLI, "ts, total")[-1] == (at("2026-03-02 00:00"), 15)


def test_days_computed_one_by_one_as_they_come_are_as_computed_together(work: Pipeline, tmp_path: Path) -> None:
    alone = Pipeline(tmp_path / "alone")
    declare_slos(alone, slo("web"))
    for day in (1, 2, 20):
        alone.drop(f"{day}.csv", csv([point for point in in_time() if point[0].day == day], kind="counter"))
        alone.ingest()
        facts(alone)
    for table in SLO_FACTS:
        assert alone.rows(table) == work.rows(table)


def test_the_number_of_days_that_one_statement_computes_does_not_matter(
    work: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {table: work.rows(table) for table in SLO_FACTS}
    monkeypatch.setattr(increments, "CHUNK_DAYS", 1)
    for table in SLO_FACTS:
        assert work.compute(table, only_changed=False).plan.days
    assert {table: work.rows(table) for table in SLO_FACTS} == before


def test_another_slo_computes_the_facts_again_and_another_description_does_not(work: Pipeline) -> None:
    declare_slos(work, slo("web", description="Requests that do not fail."))
    assert work.compute("sre.slos", as_of=at("2026-03-02 12:00")).publication is not None
    assert work.rows("sre.slos", "description") == [("Requests that do not fail.",)]
    assert [outcome.publication for outcome in facts(work).values()] == [None] * 4
    declare_slos(work, slo("strict", objectives=[{"target": 0.999}]))
    again = facts(work)
    assert {again[table].plan.reason for table in (SLI, RATES, MINUTES)} == {"the definition changed"}
    assert len(again[SLI].plan.days) == 5, "the three days with data, and those whose first minute they end in"
    assert {name for (name,) in work.rows(SLI, "slo_id")} == {"web", "strict"}
    assert work.rows(QUARTERS, "slo_id") != []


def test_another_target_leaves_the_events_as_they_are(work: Pipeline) -> None:
    declare_slos(work, slo("web", objectives=[{"target": 0.9}]))
    again = facts(work)
    assert {table: outcome.publication is None for table, outcome in again.items()} == {
        SLI: True,
        RATES: False,
        MINUTES: False,
        QUARTERS: True,
    }


def test_a_raw_ratio_that_is_no_share_is_set_aside_with_its_reason(pipeline: Pipeline) -> None:
    raw = {"ratioMetric": {"rawType": "success", "raw": source("up_ratio")}}
    declare_slos(pipeline, slo("ratio", raw))
    values = {0: 0.5, 1: 1.5, 2: 1.0}
    start = at("2026-03-01 10:00")
    pipeline.drop("up.csv", csv([(start + timedelta(minutes=n), "web", "up_ratio", v) for n, v in values.items()]))
    pipeline.ingest()
    made = facts(pipeline)
    assert pipeline.rows(SLI, "ts, good, bad, total") == [(start, 0.5, 0.5, 1), (start + timedelta(minutes=2), 1, 0, 1)]
    ((reason, row),) = pipeline.quarantine(SLI, "reason, row")
    assert "good" in reason
    assert "10:01:00" in row
    publication = made[SLI].publication
    assert publication is not None
    assert publication.quarantined == 1
    assert made[QUARTERS].publication is not None


def test_slos_that_cannot_be_computed_leave_the_others_and_say_why(work: Pipeline) -> None:
    before = everything(work)
    declare_slos(
        work,
        slo("missing", select("SELECT ts, good, total FROM aiops.no_such_table")),
        slo("text", select("SELECT ts, 'many' AS good, 1 AS total FROM aiops.telemetry")),
        slo("aside", select("SELECT received_at AS ts, 1 AS good, 1 AS total FROM quarantine.aiops__telemetry")),
        slo("foreign", {"ratioMetric": {p: {"metricSource": {"type": "Datadog"}} for p in ("good", "total")}}),
    )
    facts(work)
    assert {table: work.rows(table) for table in SLO_FACTS} == {table: before[table] for table in SLO_FACTS}
    decide(work, at("2026-03-02 12:00"))
    assert [row[0] for row in work.rows("sre.error_budgets", "slo_id")] == ["web"]
    said = dict(work.rows("sre.slos", "slo_id, not_computable"))
    assert said.pop("web") is None
    assert "no_such_table" in said["missing"]
    assert "VARCHAR" in said["text"]
    assert "quarantine.aiops__telemetry" in said["aside"]
    assert "Datadog" in said["foreign"]


def test_an_slo_may_read_another_fact_and_follows_it(work: Pipeline) -> None:
    query = "SELECT ts, 1 AS good, count AS total FROM aiops.rollup_5m"
    work.compute("aiops.rollup_5m")
    declare_slos(work, slo("web"), slo("buckets", select(query)))
    assert len(work.compute(SLI).plan.days) == 5
    work.drop("new.csv", csv(scrapes(at("2026-03-21 10:00"), at("2026-03-21 10:10")), kind="counter"))
    work.ingest()
    work.compute("aiops.rollup_5m")
    assert work.compute(SLI).plan.days == (date(2026, 3, 21), date(2026, 3, 22))
    totals = work.rows(SLI, "slo_id, sum(total) OVER (PARTITION BY slo_id)")
    # buckets count samples of two series: two days less two hours, an hour, and ten minutes
    assert dict(totals)["buckets"] == 2 * 30 * 47 + 2 * 5


def test_withdrawn_slos_leave_the_facts(work: Pipeline) -> None:
    cursor = work.home.lake.cursor()
    cursor.execute("UPDATE platform.declarations SET withdrawn_at = now()")
    made = facts(work)
    assert made[SLI].plan.reason == "the definition changed"
    assert [work.rows(table) for table in SLO_FACTS] == [[], [], [], []]
    decide(work, at("2026-03-02 12:00"))
    assert [work.rows(table) for table in DECISIONS] == [[], [], [], []]
