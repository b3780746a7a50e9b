"""What a home is made of, compared with definitions.yaml beside this file, so that no change of it goes unseen.

When a change is meant, write the file again: `python -m tests.pipeline.test_definitions_snapshot`
"""

from __future__ import annotations

import difflib
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from cogniforge_pipeline.definitions import build_definitions, open_home
from cogniforge_pipeline.settings import DOMAINS, load_settings
from tests.support.webserver import environment

KEPT = Path(__file__).with_name("definitions.yaml")
UPDATE = "python -m tests.pipeline.test_definitions_snapshot"
HEAVY = {"altair", "great_expectations", "openlineage", "pandas", "pandera", "polars", "pyarrow", "sklearn", "sqlglot"}
HEAVY |= {"statsmodels"}


def described(definitions: dg.Definitions) -> dict[str, Any]:
    """Assets, jobs, sensors and schedules with what a user would notice of them."""
    graph = definitions.resolve_asset_graph()
    repository = definitions.get_repository_def()
    return {
        "assets": {key.to_user_string(): _asset(graph, key) for key in sorted(graph.get_all_asset_keys())},
        "jobs": {
            job.name: sorted(key.to_user_string() for key in job.asset_layer.executable_asset_keys)
            for job in sorted(definitions.resolve_all_job_defs(), key=lambda job: job.name)
            if not job.name.startswith("__")
        },
        "sensors": {
            sensor.name: {
                "kind": sensor.sensor_type.value.lower(),
                "runs": [target.job_name for target in sensor.targets],
            }
            for sensor in sorted(repository.sensor_defs, key=lambda sensor: sensor.name)
        },
        "schedules": {
            schedule.name: {"cron": schedule.cron_schedule, "runs": schedule.job_name}
            for schedule in sorted(repository.schedule_defs, key=lambda schedule: schedule.name)
        },
    }


def _asset(graph: dg.AssetGraph, key: dg.AssetKey) -> dict[str, Any]:
    node = graph.get(key)
    checks = [graph.get_check_spec(check) for check in node.check_keys]
    found = {
        "group": node.group_name,
        "kinds": sorted(node.kinds),
        "owners": list(node.owners),
        "reads": sorted(parent.to_user_string() for parent in node.parent_keys),
        "partitions": "UTC days" if node.partitions_def else None,
        "made": node.automation_condition.get_label() if node.automation_condition else None,
        "checks": sorted(check.name for check in checks if not check.blocking),
        "blocking checks": sorted(check.name for check in checks if check.blocking),
    }
    return {name: value for name, value in found.items() if value}


def text_of(home: Path) -> str:
    """The description as YAML."""
    every = {"COGNIFORGE_DOMAINS": ",".join(DOMAINS)}
    definitions = build_definitions(open_home(load_settings(home, environ=every)))
    return yaml.safe_dump(described(definitions), sort_keys=False, width=110)


def test_the_definitions_are_those_that_were_agreed_upon(tmp_path):
    now = text_of(tmp_path)
    changed = difflib.unified_diff(KEPT.read_text().splitlines(), now.splitlines(), "agreed upon", "now", lineterm="")
    assert not (lines := list(changed)), "\n".join(
        ["the definitions changed; when that is meant, write their description again:", f"  {UPDATE}", *lines]
    )


def test_loading_the_definitions_imports_no_heavy_library_and_makes_no_file(tmp_path):
    script = (
        "import sys; from cogniforge_pipeline.definitions import defs; defs().get_repository_def(); "
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        env={**environment(), "COGNIFORGE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"
    assert not (tmp_path / "home").exists()


if __name__ == "__main__":
    KEPT.write_text(text_of(Path.cwd() / ".cogniforge"))
    print(f"{KEPT} written")  # noqa: T201
