"""From files to published telemetry: every row is ingested once or set aside with a reason, and the ledger says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from cogniforge_pipeline.sources import LANDING, staging
from cogniforge_pipeline.sources import ingest as ingest_module
from tests.support.pipeline import Pipeline, Point, at, csv

TELEMETRY, SERIES, LEDGER = "aiops.telemetry", "aiops.series", "aiops.ingest_ledger"
COUNTS = "item, status, rows_read, rows_ingested, rows_quarantined"
TWIN = "a point of this series at this time is already there"


def minute(number: int, value: float = 1.0, service: str = "web") -> Point:
    return (at(f"2026-03-01 10:{number:02}"), service, "cpu", value)


def parquet(work: Pipeline, name: str, rows: str) -> Path:
    """A Parquet file of `SELECT ... AS timestamp, service, metric, value`, put into landing/ when it is complete."""
    path = work.folder / f"{name}.making"
    with duckdb.connect() as con:
        con.execute(f"COPY ({rows}) TO '{path}' (FORMAT parquet)")
    target = work.folder / "landing" / name
    path.rename(target)
    return target


def accounted(work: Pipeline) -> None:
    """What the ledger says is what lies in the lake and in quarantine."""
    [(read, ingested, aside)] = (
        work.home.lake.cursor()
        .execute(
            f"SELECT sum(rows_read), sum(rows_ingested), sum(rows_quarantined) FROM {LEDGER} WHERE status = 'ingested'"
        )
        .fetchall()
    )
    assert ingested == len(work.rows(TELEMETRY))
    assert aside == len(work.quarantine(TELEMETRY))
    assert read == ingested + aside


def test_points_series_and_ledger_are_published_together(pipeline: Pipeline) -> None:
    pipeline.drop("a.csv", csv([minute(0), minute(1, 2.5), minute(1, service="api")]))
    totals = pipeline.ingest()
    assert totals.rows(TELEMETRY) == len(pipeline.rows(TELEMETRY)) == 3
    assert pipeline.rows(SERIES, "service, metric, kind") == [("api", "cpu", "gauge"), ("web", "cpu", "gauge")]
    assert pipeline.rows(LEDGER, COUNTS) == [("a.csv", "ingested", 3, 3, 0)]
    assert pipeline.rows(LEDGER, "first_ts, last_ts") == [(at("2026-03-01 10:00"), at("2026-03-01 10:01"))]
    accounted(pipeline)


def test_a_file_is_read_once_and_a_grown_one_from_where_it_was(pipeline: Pipeline) -> None:
    path = pipeline.drop("a.csv", csv([minute(0)]))
    pipeline.ingest()
    assert pipeline.ingest().items == 0
    with path.open("a") as file:
        file.write(csv([minute(1), minute(2)]).split("\n", 1)[1])
    pipeline.ingest()
    assert pipeline.rows(LEDGER, COUNTS) == [("a.csv", "ingested", 1, 1, 0), ("a.csv", "ingested", 2, 2, 0)]
    assert len(pipeline.rows(TELEMETRY)) == 3
    accounted(pipeline)


def test_a_point_that_comes_twice_in_a_file_or_a_batch_is_kept_once(pipeline: Pipeline) -> None:
    pipeline.drop("a.csv", csv([minute(0, 1.0), minute(0, 2.0), minute(1)]))
    pipeline.drop("b.csv", csv([minute(1, 9.0), minute(2)]))
    totals = pipeline.ingest()
    assert totals.quarantined == 2
    assert pipeline.rows(TELEMETRY, "ts, value") == [
        (at("2026-03-01 10:00"), 1.0),
        (at("2026-03-01 10:01"), 1.0),
        (at("2026-03-01 10:02"), 1.0),
    ]
    aside = pipeline.quarantine(TELEMETRY, "source, reason, json_extract(row, '$.value')::DOUBLE")
    assert aside == [("a.csv:3", TWIN, 2.0), ("b.csv:2", TWIN, 9.0)]
    assert pipeline.rows(LEDGER, COUNTS) == [("a.csv", "ingested", 3, 2, 1), ("b.csv", "ingested", 2, 1, 1)]
    accounted(pipeline)


def test_a_point_that_the_lake_holds_already_is_set_aside(pipeline: Pipeline) -> None:
    pipeline.drop("a.csv", csv([minute(0), minute(1)]))
    pipeline.ingest()
    pipeline.drop("b.csv", csv([minute(1, 7.0), minute(2)]))
    pipeline.ingest()
    assert pipeline.rows(TELEMETRY, "value") == [(1.0,), (1.0,), (1.0,)]
    assert pipeline.quarantine(TELEMETRY, "source, reason, run_id") == [("b.csv:2", TWIN, "ingest-2")]
    accounted(pipeline)


def test_the_same_time_of_another_series_is_no_duplicate(pipeline: Pipeline) -> None:
    rows = "timestamp,service,metric,value,pod\n"
    rows += "".join(f"2026-03-01T10:00:00Z,web,cpu,1,{pod}\n" for pod in ("a", "b", ""))
    pipeline.drop("a.csv", rows)
    assert pipeline.ingest().quarantined == 0
    assert len(pipeline.rows(SERIES)) == 3
    assert pipeline.rows(SERIES, "labels")[0] == ({},)


def test_bad_rows_are_set_aside_with_their_place_and_the_others_are_ingested(pipeline: Pipeline) -> None:
    head = "timestamp,service,metric,value\n"
    bad = "yesterday,web,cpu,1\n2026-03-01T10:00:00Z,web,cpu,many\n2026-03-01T10:00:00Z,,cpu,1\n1969-01-01T00:00:00Z,web,cpu,1\n"
    pipeline.drop("a.csv", head + "2026-03-01T10:00:00Z,web,cpu,1\n" + bad + "2026-03-01T10:01:00Z,web,cpu,inf\n")
    pipeline.ingest()
    assert pipeline.quarantine(TELEMETRY, "source, reason") == [
        ("a.csv:3", "the timestamp is missing or cannot be read"),
        ("a.csv:4", "the value is missing or not a number"),
        ("a.csv:5", "the service is missing"),
        ("a.csv:6", "the timestamp is before 1970"),
        ("a.csv:7", "the value is not finite"),
    ]
    accounted(pipeline)


def test_a_refused_file_is_told_once_and_stops_no_other(pipeline: Pipeline) -> None:
    pipeline.drop("broken.parquet", b"PAR1 not really")
    pipeline.drop("good.csv", csv([minute(0)]))
    first = pipeline.ingest()
    second = pipeline.ingest()
    assert [refusal.item for refusal in first.refused] == ["broken.parquet"]
    assert (second.items, second.refused) == (0, [])
    refused = pipeline.rows(LEDGER, "item, status, reason, hint, rows_read")
    assert len(refused) == 2
    assert refused[0][:2] == ("broken.parquet", "refused")
    assert "not a complete Parquet file" in refused[0][2] and refused[0][3]
    assert len(pipeline.rows(TELEMETRY)) == 1


def test_a_refused_file_that_is_mended_is_ingested(pipeline: Pipeline) -> None:
    pipeline.drop("a.parquet", b"PAR1 not really")
    pipeline.ingest()
    (pipeline.folder / "landing" / "a.parquet").unlink()
    parquet(
        pipeline,
        "a.parquet",
        "SELECT TIMESTAMPTZ '2026-03-01 10:00:00+00' AS timestamp, 'web' AS service, 'cpu' AS metric, 1.0 AS value",
    )
    pipeline.ingest()
    assert len(pipeline.rows(TELEMETRY)) == 1
    accounted(pipeline)


def test_an_item_with_too_many_new_series_is_refused_whole(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "MAX_NEW_SERIES", 3)
    pipeline.drop("many.csv", csv(minute(0, service=f"s{n}") for n in range(4)))
    pipeline.drop("some.csv", csv(minute(0, service=f"t{n}") for n in range(3)))
    totals = pipeline.ingest()
    [refusal] = totals.refused
    assert refusal.item == "many.csv"
    assert refusal.reason == "the item would create 4 new series, more than 3"
    assert refusal.hint and "label" in refusal.hint
    assert pipeline.rows(SERIES, "service") == [("t0",), ("t1",), ("t2",)]
    assert len(pipeline.rows(TELEMETRY)) == 3


def test_known_series_do_not_count_as_new(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "MAX_NEW_SERIES", 3)
    for number in range(2):
        pipeline.drop(f"{number}.csv", csv(minute(number, service=f"s{n}") for n in range(3 * number, 3 * number + 3)))
        pipeline.ingest()
    pipeline.drop("again.csv", csv(minute(30, service=f"s{n}") for n in range(6)))
    assert pipeline.ingest().refused == []
    assert len(pipeline.rows(TELEMETRY)) == 12


MIXED = (
    "SELECT TIMESTAMPTZ '2026-03-01 10:00:00+00' + INTERVAL 1 MINUTE * (n % 50) AS timestamp, 'web' AS service, "
    "CASE WHEN n % 17 = 3 THEN '' ELSE 'cpu' END AS metric, n::DOUBLE AS value FROM range(60) AS t (n)"
)


@pytest.mark.parametrize("held", [False, True], ids=["into an empty lake", "over points that the lake holds"])
def test_a_large_parquet_file_is_read_as_a_small_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    found: list[dict[str, Any]] = []
    for way, limit in (("staged", 1 << 40), ("direct", 1)):
        monkeypatch.setattr(staging, "LARGE_BYTES", limit)
        monkeypatch.setattr(ingest_module, "LARGE_BYTES", limit)
        work = Pipeline(tmp_path / way)
        if held:
            work.drop("held.csv", csv([minute(5), minute(6)]))
            work.ingest()
        parquet(work, "large.parquet", MIXED)
        totals = work.ingest()
        accounted(work)
        found.append(
            {
                "times": work.rows(TELEMETRY, "ts, series_id"),
                "series": work.rows(SERIES),
                "aside": totals.quarantined,
                "problems": [row for row in work.quarantine(TELEMETRY, "reason, source, row") if "metric" in row[0]],
                "ledger": work.rows(LEDGER, COUNTS),
            }
        )
    assert found[0] == found[1]
    assert found[0]["aside"] == 4 + 8 + (2 if held else 0)
    assert len(found[0]["problems"]) == 4


def test_a_large_file_with_too_many_series_is_refused_and_the_next_one_is_read(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "MAX_NEW_SERIES", 3)
    monkeypatch.setattr(staging, "LARGE_BYTES", 1)
    monkeypatch.setattr(ingest_module, "LARGE_BYTES", 1)
    parquet(pipeline, "a.parquet", MIXED.replace("'web'", "'s' || n"))
    parquet(pipeline, "b.parquet", MIXED)
    totals = pipeline.ingest()
    assert [refusal.item for refusal in totals.refused] == ["a.parquet"]
    assert pipeline.rows(SERIES, "service") == [("web",)]
    accounted(pipeline)


def test_many_files_are_published_in_batches(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_module, "BATCH_ITEMS", 2)
    for number in range(5):
        pipeline.drop(f"{number}.csv", csv([minute(number)]))
    told: list[tuple[str, int, int]] = []
    totals = ingest_module.ingest(
        pipeline.home.lake,
        pipeline.home.contracts,
        [LANDING],
        run_id="r",
        progress=lambda *news: told.append(news),
    )
    assert totals.items == 5
    assert len(totals.publications[TELEMETRY]) == 3
    assert told == [("landing", 2, 2), ("landing", 4, 4), ("landing", 5, 5)]
    accounted(pipeline)
