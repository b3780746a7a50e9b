"""A file dropped into landing/ reaches the decisions by itself, late rows too, and then nothing more happens."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from typing import Any

from tests.support.webserver import command, environment, wait_for
from tests.ui.conftest import points

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
LOOK_SECONDS = 16
"""Longer than it takes until every sensor has looked once."""


def ask(ui, query: str) -> list[dict[str, Any]]:
    """Rows from another process, as a user would ask."""
    done = subprocess.run(
        command("sql", "--home", ui.home, "--format", "json", query),
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def quiet(ui) -> bool:
    return all(run["status"] in ("SUCCESS", "FAILURE", "CANCELED") for run in ui.runs())


def settled(ui, *, looks: int) -> list[dict[str, Any]]:
    """All runs, once so many looks launched none; those that the clock starts do not count."""
    seen, since = -1, time.monotonic()

    def still() -> bool:
        nonlocal seen, since
        count = len([run for run in ui.runs() if "dagster/schedule_name" not in run["tags"]])
        if count != seen or not quiet(ui):
            seen, since = count, time.monotonic()
        return time.monotonic() - since > looks * LOOK_SECONDS

    wait_for(still, seconds=240, what="silence", say=lambda: "\n".join(map(str, ui.runs())))
    return ui.runs()


def test_a_late_file_is_read_its_days_computed_and_decided_upon_and_then_all_is_quiet(ui):
    before = {run["runId"] for run in settled(ui, looks=1)}
    made = ask(ui, "SELECT table_name, max(version) AS version FROM data_mesh.materializations GROUP BY ALL")
    versions = {row["table_name"]: row["version"] for row in made}
    (ui.home / "landing" / "late.csv").write_text(points(1, "shop", first=5))
    after = [run for run in settled(ui, looks=2) if run["runId"] not in before]
    assert {run["status"] for run in after} == {"SUCCESS"}, after
    facts = [run for run in after if run["jobName"] == "facts"]
    assert [(run["tags"][START], run["tags"][END]) for run in facts] == [("2026-03-02", "2026-03-04")]
    read = [run for run in after if run["jobName"] == "ingest" and "dagster/schedule_name" not in run["tags"]]
    assert len(read) == 1
    published = ask(ui, "SELECT table_name, version, map_keys(inputs) AS inputs, days FROM data_mesh.materializations")
    new = [row for row in published if row["version"] > versions.get(row["table_name"], 0)]
    assert any(row["table_name"] == "aiops.service_health" for row in new)
    times = Counter(row["table_name"] for row in new)
    for row in new:
        if row["inputs"]:
            news = sum(times[name] for name in row["inputs"])
            assert times[row["table_name"]] <= news, f"{row['table_name']} was made more often than its inputs were"
    days = {row["table_name"]: [str(day)[:10] for day in row["days"]] for row in new if row["days"]}
    assert days["aiops.telemetry"] == ["2026-03-02"]
    assert days["aiops.rollup_5m"] == ["2026-03-02", "2026-03-03"], "its counters look back one day"
    assert days["aiops.anomaly_scores"] == ["2026-03-02", "2026-03-03", "2026-03-04"]
    assert {row["service"] for row in ask(ui, "FROM aiops.service_health")} == {"api", "shop", "web"}
