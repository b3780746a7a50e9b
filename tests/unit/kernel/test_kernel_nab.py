"""All files of the Numenta Anomaly Benchmark through the whole pipeline, from one source of ten lines."""

from __future__ import annotations

import time
from datetime import UTC
from pathlib import Path

import pytest

from cogniforge_pipeline import runner
from cogniforge_pipeline.definitions import open_home
from cogniforge_pipeline.settings import load_settings

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
"""Times that come twice or more often in one file: an hour of local time at a change of the clocks in five of the files,
and single ones in four others."""


@pytest.mark.skipif(not NAB.is_dir(), reason="the shared benchmark data is not here")
def test_all_of_nab_is_ingested_scored_and_judged_as_at_its_own_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "platform" / "sources").mkdir(parents=True)
    (tmp_path / "platform" / "sources" / "nab.yaml").write_text(SOURCE, encoding="utf-8")
    home = open_home(load_settings(tmp_path, environ={}))
    started = time.perf_counter()
    report = runner.run(home)
    took = time.perf_counter() - started
    assert report.failed_steps == []
    cursor = home.lake.cursor()

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
    assert one("SELECT count(*) FROM aiops.anomaly_scores") == one("SELECT count(*) FROM aiops.rollup_5m")
    newest = cursor.execute("SELECT max(ts) FROM aiops.telemetry").fetchall()[0][0].astimezone(UTC)
    assert cursor.execute("SELECT DISTINCT as_of FROM aiops.service_health").fetchall() == [(newest,)]
    assert newest.year == 2015
    with capsys.disabled():
        print(f"\nNAB: {POINTS:,} points of 58 files, {REPEATED} of them repeated, in {took:.1f} s")  # noqa: T201
