"""A second `cogniforge run` of the example shop with nothing new, beside the first; the bar is 15 s."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.harness import report

LIMIT_SECONDS = 15.0
GENERATE = Path(__file__).parent.parent / "examples" / "shop" / "generate.py"


def main() -> None:
    """Generates the shop, then runs the command line twice."""
    with tempfile.TemporaryDirectory() as home:
        subprocess.run([sys.executable, str(GENERATE), home], check=True, stdout=subprocess.DEVNULL)
        took = []
        for _ in range(2):
            start = time.perf_counter()
            command = [sys.executable, "-m", "cogniforge_pipeline.cli", "run", "--home", home]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            took.append(time.perf_counter() - start)
        first, second = took
        report("rerun", second, first, LIMIT_SECONDS / first, limit_seconds=LIMIT_SECONDS)


if __name__ == "__main__":
    main()
