"""Write, audit, publish: a table, its quarantine, its figures and its entry in the log change together or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from cogniforge_pipeline import publish
from cogniforge_pipeline.contracts import Bounds, Rule
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.publish import MATERIALIZATIONS, QUALITY, AuditFailed, Circumstances, Mode, Publication, write
from cogniforge_pipeline.sqltext import ident, literal
from tests.support.pipeline import HEALTH, Pipeline, at

ROLLUP = "aiops.rollup_5m"
NOON = at("2026-03-01 12:00")


def select(rows: list[dict[str, Any]]) -> str:
    return " UNION ALL ".join(
        "SELECT " + ", ".join(f"{literal(value)} AS {ident(name)}" for name, value in row.items()) for row in rows
    )


def healthy(service: str, **more: Any) -> dict[str, Any]:
    row = {"as_of": NOON, "service": service, "status": "healthy", "active_anomalies": 0, "worst_metric": None}
    row |= {"incident_id": None, "slo_alerts": 0, "slo_budget": None, "dependencies_at_fault": ["db"]}
    return row | {"worst_score": None, "last_seen": NOON, "series": 1, "reason": "fine"} | more


def bucket(ts: datetime, value: float, *, count: int = 1) -> dict[str, Any]:
    figures = dict.fromkeys(("sum", "min", "max", "mean", "p50", "p95", "p99", "first", "last"), value)
    return {"series_id": 1, "ts": ts, "count": count, **figures, "increase": None}


def put(
    work: Pipeline, table: str, rows: list[dict[str, Any]], mode: Mode, *, run: str = "run", **more: Any
) -> Publication:
    cursor = work.home.lake.cursor()
    circumstances = Circumstances(run, expected=more.pop("expected", {}), inputs=more.pop("inputs", {}))
    with publish.stage(cursor, work.home.contracts[table], [select(rows)], mode=mode, run_id=run, **more) as staged:
        return publish.publish(work.home.lake, cursor, [staged], circumstances)[0]


@pytest.fixture
def work(pipeline: Pipeline) -> Pipeline:
    """A home that knows series 1, so that rollups may refer to it."""
    series = {"series_id": 1, "service": "web", "metric": "m", "metric_type": "custom", "unit": None, "kind": "gauge"}
    put(pipeline, "aiops.series", [series | {"labels": {"it's": 'a "label"', "empty": ""}}], Mode.APPEND)
    return pipeline


def test_replace_leaves_only_the_new_rows(work: Pipeline) -> None:
    put(work, HEALTH, [healthy("a"), healthy("b")], Mode.REPLACE)
    second = put(work, HEALTH, [healthy("c")], Mode.REPLACE)
    assert work.rows(HEALTH, "service") == [("c",)]
    assert (second.version, second.rows) == (2, 1)


def test_append_keeps_what_was_there(work: Pipeline) -> None:
    put(work, HEALTH, [healthy("a")], Mode.APPEND)
    put(work, HEALTH, [healthy("b")], Mode.APPEND)
    assert work.rows(HEALTH, "service") == [("a",), ("b",)]


def test_replace_days_changes_those_days_and_no_others(work: Pipeline) -> None:
    days = [date(2026, 3, n) for n in (1, 2, 3)]
    put(work, ROLLUP, [bucket(publish.midnight(day), 1.0) for day in days], Mode.REPLACE_DAYS, days=days)
    last = publish.midnight(days[1]) + timedelta(hours=23, minutes=55)
    put(work, ROLLUP, [bucket(last, 2.0)], Mode.REPLACE_DAYS, days=[days[1]])
    assert work.rows(ROLLUP, "ts, mean") == [
        (publish.midnight(days[0]), 1.0),
        (last, 2.0),
        (publish.midnight(days[2]), 1.0),
    ]


def test_a_bad_row_goes_to_quarantine_with_its_reason_and_the_good_ones_are_published(work: Pipeline) -> None:
    made = put(work, HEALTH, [healthy("a"), healthy("b", status="sleepy")], Mode.REPLACE, run="run-7", source="here")
    assert (made.rows, made.quarantined) == (1, 1)
    assert work.rows(HEALTH, "service") == [("a",)]
    [(row, rules, reason, source, run)] = work.quarantine(HEALTH, "row, rules, reason, source, run_id")
    assert json.loads(row)["service"] == "b"
    assert len(rules) == 1 and "status" in reason
    assert (source, run) == ("here", "run-7")
    [(rate, volume)] = (
        work.home.lake.cursor()
        .execute(f"SELECT error_rate, volume FROM {QUALITY} WHERE product_id = '{HEALTH}'")
        .fetchall()
    )
    assert (rate, volume) == (0.5, 2)


def test_quarantined_rows_go_when_their_table_or_day_is_replaced(work: Pipeline) -> None:
    put(work, HEALTH, [healthy("b", status="sleepy")], Mode.REPLACE)
    put(work, HEALTH, [healthy("b")], Mode.REPLACE)
    assert work.quarantine(HEALTH) == []
    days = [date(2026, 3, 1), date(2026, 3, 2)]
    broken = [bucket(publish.midnight(day), 1.0, count=0) for day in days]
    put(work, ROLLUP, broken, Mode.REPLACE_DAYS, days=days)
    put(work, ROLLUP, [bucket(publish.midnight(days[0]), 1.0)], Mode.REPLACE_DAYS, days=days[:1])
    assert [json.loads(row)["ts"][:10] for (row,) in work.quarantine(ROLLUP, "row")] == ["2026-03-02"]
    assert len(work.rows(ROLLUP)) == 1


def test_a_broken_table_rule_publishes_nothing(work: Pipeline) -> None:
    put(work, HEALTH, [healthy("a"), healthy("b")], Mode.REPLACE)
    before = work.rows(MATERIALIZATIONS)
    contract = work.home.contracts[HEALTH]
    rule = Rule(
        *("two_services", "table", "rowCount", (), "ERROR", "volume", "at least two services"),
        measure="count(*)",
        bounds=Bounds("mustBeGreaterOrEqualTo", 2),
    )
    strict = replace(contract, rules=(*contract.rules, rule))
    query = select([healthy("c")])
    with (
        pytest.raises(AuditFailed, match=rf"{HEALTH} breaks its contract and was not published: two_services"),
        publish.stage(work.home.lake.cursor(), strict, [query], mode=Mode.REPLACE, run_id="r"),
    ):
        pass
    assert work.rows(HEALTH, "service") == [("a",), ("b",)]
    assert work.rows(MATERIALIZATIONS) == before


def test_a_failure_in_the_middle_of_a_commit_leaves_everything_as_it_was(
    work: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(work, HEALTH, [healthy("a")], Mode.REPLACE)
    tables = (HEALTH, MATERIALIZATIONS, QUALITY)
    before = [work.rows(table) for table in tables]

    def fail(*_: Any) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(write, "enter", fail)
    with pytest.raises(RuntimeError, match="killed"):
        put(work, HEALTH, [healthy("b"), healthy("c", status="sleepy")], Mode.REPLACE)
    assert [work.rows(table) for table in tables] == before
    assert work.quarantine(HEALTH) == []


def test_tables_staged_together_are_one_commit(work: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    cursor = work.home.lake.cursor()
    contracts = work.home.contracts
    days = [date(2026, 3, 1)]
    with (
        publish.stage(cursor, contracts[HEALTH], [select([healthy("a")])], mode=Mode.REPLACE, run_id="r") as one,
        publish.stage(
            cursor, contracts[ROLLUP], [select([bucket(NOON, 1.0)])], mode=Mode.REPLACE_DAYS, run_id="r", days=days
        ) as two,
    ):
        made = publish.publish(work.home.lake, cursor, [one, two], Circumstances("r"))
    assert [publication.table for publication in made] == [HEALTH, ROLLUP]
    assert made[0].snapshot == made[1].snapshot > 0
    entries = work.home.lake.cursor().execute(
        f"SELECT DISTINCT published_at FROM {MATERIALIZATIONS} WHERE run_id = 'r'"
    )
    assert len(entries.fetchall()) == 1


def test_a_result_that_is_older_than_the_table_is_refused(work: Pipeline) -> None:
    put(work, HEALTH, [healthy("a")], Mode.REPLACE, expected={HEALTH: 0})
    with pytest.raises(publish.Superseded, match="is at version 1 by now, expected 0"):
        put(work, HEALTH, [healthy("old")], Mode.REPLACE, expected={HEALTH: 0})
    assert work.rows(HEALTH, "service") == [("a",)]


def test_maps_lists_and_quotes_arrive_as_they_were(work: Pipeline) -> None:
    days = [date(2026, 3, 1), date(2026, 3, 3)]
    put(work, ROLLUP, [bucket(NOON, 1.0)], Mode.REPLACE_DAYS, days=days, inputs={"aiops.telemetry": 4, "it's": 2})
    entry = publish.last(work.home.lake.cursor(), ROLLUP)
    assert entry is not None
    assert (entry["inputs"], entry["days"]) == ({"aiops.telemetry": 4, "it's": 2}, days)
    assert work.rows("aiops.series", "labels") == [({"it's": 'a "label"', "empty": ""},)]


def test_a_select_without_a_column_of_the_contract_says_which_table_it_was_for(work: Pipeline) -> None:
    with pytest.raises(CogniforgeError, match=rf"{HEALTH} could not be computed") as caught:
        put(work, HEALTH, [{"service": "a"}], Mode.REPLACE)
    assert "contracts/aiops/service_health.yaml" in str(caught.value)


def test_no_temporary_table_outlives_its_publication(work: Pipeline) -> None:
    cursor = work.home.lake.cursor()
    with publish.stage(
        cursor, work.home.contracts[HEALTH], [select([healthy("a", status="no")])], mode=Mode.REPLACE, run_id="r"
    ) as staged:
        publish.publish(work.home.lake, cursor, [staged], Circumstances("r"))
    left = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'temp'"
    assert cursor.execute(left).fetchall() == []


def test_versions_count_publications_of_each_table(work: Pipeline) -> None:
    for service in ("a", "b", "c"):
        put(work, HEALTH, [healthy(service)], Mode.REPLACE)
    versions = publish.versions(work.home.lake.cursor())
    assert (versions[HEALTH], versions["aiops.series"]) == (3, 1)
    assert [v for (v,) in work.rows(MATERIALIZATIONS, "version") if v] == [1, 1, 2, 3]


def test_days_are_joined_to_spans() -> None:
    days = [date(2026, 3, 3), date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 3)]
    assert publish.spans(days) == [
        (date(2026, 2, 28), date(2026, 3, 2)),
        (date(2026, 3, 3), date(2026, 3, 4)),
    ]
