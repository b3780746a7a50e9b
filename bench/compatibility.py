"""Schema compatibility: time of a check over the hand-written pairs, and of ODCS's own JSON Schema.

The bars are a median below 2 ms and a worst check below 1 s. `python -m bench.compatibility OLD.json NEW.json` times two
schema files as well, such as those of two ODCS versions; without them the schema of the installed ODCS package is compared
with a changed copy of itself.
"""

from __future__ import annotations

import copy
import json
import statistics
import sys
import time
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from bench.harness import report
from cogniforge_pipeline.data_mesh.compatibility import compare_schemas

PAIRS = Path(__file__).parents[1] / "tests" / "unit" / "data_mesh" / "compatibility_pairs.yaml"
ROUNDS = 15
MEDIAN_BAR, WORST_BAR = 0.002, 1.0


def seconds(old: Any, new: Any, mode: Any = "BACKWARD") -> float:
    """The median time of one check over the rounds."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        compare_schemas(old, new, mode)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def odcs() -> tuple[Any, Any]:
    """Two schemas of data contracts: the files named on the command line, else the installed one and a changed copy."""
    if len(sys.argv) == 3:
        old, new = (json.loads(Path(name).read_text("utf-8")) for name in sys.argv[1:])
        return old, new
    old = json.loads((resources.files("open_data_contract_standard") / "schema.json").read_text("utf-8"))
    new = copy.deepcopy(old)
    new["properties"]["kind"]["enum"].append("Other")
    new["$defs"]["SchemaElement"]["properties"].pop("description")
    new["$defs"]["Team"]["required"] = ["name"]
    return old, new


def main() -> None:
    """Print how long the checks take and whether the bars are met."""
    pairs = yaml.safe_load(PAIRS.read_text("utf-8"))
    times = [seconds(pair["old"], pair["new"]) for pair in pairs]
    median, worst = statistics.median(times), max(times)
    old, new = odcs()
    contract = {mode.lower(): seconds(old, new, mode) for mode in ("BACKWARD", "FORWARD", "FULL")}
    print(f"{len(pairs)} pairs: median {median * 1e3:.3f} ms, worst {worst * 1e3:.3f} ms")
    print("ODCS JSON Schemas:", ", ".join(f"{mode} {value * 1e3:.0f} ms" for mode, value in contract.items()))
    slowest = max(worst, contract["backward"], contract["forward"])
    report(
        "compatibility",
        max(median / MEDIAN_BAR, slowest / WORST_BAR),
        1.0,
        1.0,
        pairs=len(pairs),
        median_ms=round(median * 1e3, 3),
        worst_ms=round(worst * 1e3, 3),
        odcs_ms={mode: round(value * 1e3, 1) for mode, value in contract.items()},
    )


if __name__ == "__main__":
    main()
