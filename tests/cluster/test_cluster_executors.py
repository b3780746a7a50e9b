"""Which executor runs the steps is a setting, and changes no table."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable

import dagster as dg
import pytest
from polars.testing import assert_frame_equal

from cogniforge_pipeline.contracts import load_contracts
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.executors import executor
from cogniforge_pipeline.lake import Lake
from cogniforge_pipeline.settings import load_settings, packaged
from tests.cluster.conftest import Computed, Place

PACKAGES = {"celery": "dagster_celery", "k8s": "dagster_k8s"}
SCORES = "aiops/anomaly_scores"


def chosen(name: str, config: object = None) -> dg.ExecutorDefinition:
    variables = {"COGNIFORGE_EXECUTOR": name, "COGNIFORGE_EXECUTOR_CONFIG": json.dumps(config or {})}
    return executor(load_settings("/nowhere", variables))


def config_of(definition: dg.ExecutorDefinition, given: dict[str, object]) -> dict[str, object]:
    """What the executor itself gets when a run's configuration says `given`."""
    done = definition.apply_config_mapping({"config": given})
    assert done.success, done.errors
    return dict(done.value["config"])


def test_several_processes_compute_the_tables_that_one_computes(
    computed: Computed, copied: Callable[..., Place]
) -> None:
    place = copied(COGNIFORGE_EXECUTOR="multiprocess", COGNIFORGE_EXECUTOR_CONFIG='{"max_concurrent": 2}')
    written = place.command("run", "--verbose", "--select", f'+key:"{SCORES}"')
    assert "Launching subprocess" in written
    contracts = load_contracts(packaged("contracts"))
    for name in ("aiops.telemetry", "aiops.series", "aiops.rollup_5m", "aiops.anomaly_scores"):
        order = ", ".join(contracts[name].sort_by)
        several, one = (
            Lake(of.settings, read_only=True).cursor().execute(f"SELECT * FROM {name} ORDER BY {order}").pl()
            for of in (place, computed.embedded)
        )
        assert several.height > 0
        assert_frame_equal(several, one, rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_an_executor_without_its_package_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, PACKAGES[name], None)
    with pytest.raises(CogniforgeError, match=f"dagster-{name}") as caught:
        chosen(name)
    assert "cogniforge-pipeline[cluster]" in str(caught.value)


def test_an_unknown_executor_and_a_broken_configuration_are_refused() -> None:
    with pytest.raises(CogniforgeError, match="expected one of in_process, multiprocess, celery, k8s, got 'threads'"):
        chosen("threads")
    with pytest.raises(CogniforgeError, match="expected a JSON object"):
        load_settings("/nowhere", {"COGNIFORGE_EXECUTOR_CONFIG": "max_concurrent: 2"})


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("in_process", {}),
        ("multiprocess", {"max_concurrent": 2}),
        ("celery", {"broker": "redis://127.0.0.1/1", "backend": "redis://127.0.0.1/2"}),
        ("k8s", {"job_image": "shop:1", "load_incluster_config": False}),
    ],
)
def test_an_executor_takes_its_configuration_from_the_setting_and_the_run_wins(
    name: str, config: dict[str, object]
) -> None:
    if name in PACKAGES and not importlib.util.find_spec(PACKAGES[name]):
        pytest.skip(f"{PACKAGES[name]} is not installed")
    definition = chosen(name, config)
    assert definition.name == name
    assert config_of(definition, {}).items() >= config.items()
    assert config_of(definition, {"retries": {"disabled": {}}})["retries"] == {"disabled": {}}
    for key in config:
        asked = True if key == "load_incluster_config" else 1 if key == "max_concurrent" else "other"
        assert config_of(definition, {key: asked})[key] == asked
