"""Loading the definitions in a new process, beside a bare `import dagster`; the bar is 3 s."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

from bench.harness import report

LIMIT_SECONDS = 3.0
LOAD = "from cogniforge_pipeline.definitions import defs; defs()"
BARE = "import dagster"


def seconds(code: str, home: str) -> float:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env={**kept, "COGNIFORGE_HOME": home})
    return time.perf_counter() - start


def main() -> None:
    """Five rounds of each in turn, after one that warms the file cache and leaves the bytecode, as Python does by default."""
    with tempfile.TemporaryDirectory() as home:
        rounds = [(seconds(LOAD, home), seconds(BARE, home)) for _ in range(6)][1:]
    load, bare = (statistics.median(column) for column in zip(*rounds, strict=True))
    report("startup", load, bare, LIMIT_SECONDS / bare, limit_seconds=LIMIT_SECONDS)


if __name__ == "__main__":
    main()
