"""All files of the Numenta Anomaly Benchmark through the whole pipeline, from one source of ten lines."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.pipeline import HEALTH, Pipeline

NAB = (Path(__file__).parents[3] / ".." / "shared" / "data" / "aiops" / "nab").resolve()
SOURCE = f"""\
name: nab
type: files
path: "{NAB}/**/*.csv"
service: "{{parent}}"
metric: "{{stem}}"
"""
POINTS = 365_558
REPEATED = 49
"""Times that come again in one file: an hour of local time when the clocks were changed (11 in each of three files), 12 in
machine_temperature_system_failure, and one in each of four others."""


@pytest.mark.skipif(not NAB.is_dir(), reason="the shared benchmark data is not here")
def test_all_of_nab_is_ingested_scored_and_judged_as_at_its_own_time(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    declared = pipeline.folder / "platform" / "sources" / "nab.yaml"
    declared.parent.mkdir()
    declared.write_text(SOURCE, encoding="utf-8")
    started = time.perf_counter()
    pipeline.ingest()
    pipeline.facts()
    newest = pipeline.home.as_of()
    pipeline.compute("aiops.anomalies", as_of=newest)
    pipeline.compute(HEALTH, as_of=newest)
    took = time.perf_counter() - started
    cursor = pipeline.home.lake.cursor()

    def one(query: str) -> object:
        row = cursor.execute(query).fetchone()
        assert row
        return row[0]

    assert one("SELECT count(*) FROM aiops.ingest_ledger WHERE status = 'ingested'") == 58
    assert one("SELECT sum(rows_read) FROM aiops.ingest_ledger") == POINTS
    assert one("SELECT count(*) FROM aiops.telemetry") == POINTS - REPEATED
    assert cursor.execute("SELECT rules, count(*) FROM quarantine.aiops__telemetry GROUP BY ALL").fetchall() == [
        (["unique_series_id_ts"], REPEATED)
    ]
    assert one("SELECT sum(count) FROM aiops.rollup_5m") == POINTS - REPEATED
    judged = (
        "SELECT series_id, ts, lead(ts) OVER (PARTITION BY series_id ORDER BY ts) AS later FROM aiops.anomaly_scores"
    )
    assert (
        one(
            f"SELECT count(*) FROM aiops.rollup_5m AS r WHERE NOT EXISTS (FROM ({judged}) AS s WHERE s.series_id = r.series_id "
            "AND s.ts <= r.ts AND r.ts < coalesce(s.later, s.ts + INTERVAL 6 HOUR))"
        )
        == 0
    )
    assert one("SELECT count(*) FROM aiops.anomaly_scores WHERE is_anomaly") > 58
    assert one("SELECT count(DISTINCT anomaly_id) FROM aiops.anomalies") == one("SELECT count(*) FROM aiops.anomalies")
    assert newest == one("SELECT max(ts) FROM aiops.telemetry")
    assert newest.year == 2015
    assert pipeline.rows(HEALTH, "DISTINCT as_of") == [(newest,)]
    with capsys.disabled():
        print(f"\nNAB: {POINTS:,} points of 58 files, {REPEATED} of them repeated, in {took:.1f} s")  # noqa: T201
