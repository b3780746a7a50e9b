"""A real Prometheus over a past that a test made up: counters into blocks by promtool, read by `query_range`.

Belongs here: the file for promtool, the server's life, answers as rows. Does not: what is asked.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from tests.support.prometheus import BINARY, free_port

PROMTOOL = shutil.which("promtool")
INSTALLED = bool(BINARY and PROMTOOL)

Answer = dict[tuple[tuple[str, str], ...], dict[int, float]]
"""Series, as their sorted labels, and their values by Unix second. NaN is kept."""


def write_openmetrics(cursor: duckdb.DuckDBPyConnection, samples: str, path: Path) -> None:
    """The relation `samples` (metric ending in _total, labels as text such as `slo="a"`, ts, value) as a file."""
    cursor.execute(
        f"""
        COPY (
            SELECT line FROM (
                SELECT DISTINCT metric, '' AS labels, -1 AS moment,
                    '# TYPE ' || regexp_replace(metric, '_total$', '') || ' counter' AS line FROM {samples}
                UNION ALL
                SELECT metric, labels, epoch(ts) AS moment,
                    metric || '{{' || labels || '}} ' || value || ' ' || printf('%.3f', epoch(ts)) FROM {samples}
                UNION ALL SELECT NULL, NULL, NULL, '# EOF'
            ) ORDER BY metric NULLS LAST, labels, moment
        ) TO '{path}' (FORMAT csv, HEADER false, DELIMITER '\x01', QUOTE '', ESCAPE '')
        """
    )


class Backfilled:
    """A running server; `url` is its address."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query_range_bytes(self, expression: str, start: int, end: int, step: int) -> bytes:
        """The raw answer; times are Unix seconds, both ends are asked for."""
        query = urllib.parse.urlencode({"query": expression, "start": start, "end": end, "step": step})
        with urllib.request.urlopen(f"{self.url}/api/v1/query_range?{query}", timeout=280) as answer:
            body: bytes = answer.read()
        return body

    def query_range(self, expression: str, start: int, end: int, step: int = 60) -> Answer:
        """What the server answers, asked for in pieces of at most 10,000 steps."""
        found: Answer = {}
        for first in range(start, end + 1, 10_000 * step):
            last = min(end, first + 9_999 * step)
            for series in json.loads(self.query_range_bytes(expression, first, last, step))["data"]["result"]:
                values = found.setdefault(tuple(sorted(series["metric"].items())), {})
                values.update((int(at), float(value)) for at, value in series["values"])
        return found


@contextmanager
def backfilled_prometheus(folder: Path, openmetrics: Path) -> Iterator[Backfilled]:
    """Prometheus on 127.0.0.1 over the samples of a file that `write_openmetrics` wrote; ended afterwards."""
    assert BINARY and PROMTOOL, "Prometheus is not installed"
    data = folder / "data"
    made = subprocess.run(
        # large blocks, as a server makes of its own in time; promtool reads the file once for each block
        [PROMTOOL, "tsdb", "create-blocks-from", "--max-block-duration=500h", "openmetrics", "-q", openmetrics, data],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    config = folder / "prometheus.yml"
    config.write_text("global: {scrape_interval: 1h}\n")
    port = free_port()
    command = [
        BINARY,
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--query.timeout=5m",
        "--query.max-samples=500000000",
        "--log.level=error",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/-/ready", folder / "log")
        yield Backfilled(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_ready(url: str, log: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"Prometheus was not ready in {seconds} seconds: {log.read_text()[-2000:]}")
