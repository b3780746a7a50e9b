"""Which domains a home has: those that are named, else those that something is declared for."""

from __future__ import annotations

from pathlib import Path

from cogniforge_pipeline.definitions import open_home
from cogniforge_pipeline.domains import domains_of
from cogniforge_pipeline.gitops.service import get_gitops_service
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.starter import make_home

ALWAYS = {"data_mesh", "aiops", "sre"}


def names(folder: Path, **environ: str) -> set[str]:
    return {domain.name for domain in domains_of(load_settings(folder, environ))}


def test_what_nothing_is_declared_for_is_left_out(tmp_path: Path) -> None:
    make_home(tmp_path)
    assert names(tmp_path) == ALWAYS, "the starter's examples are comments"
    (tmp_path / "platform" / "policies" / "probes.yaml").write_text("starter: probes\nenforcement_mode: WARN\n")
    assert names(tmp_path) == {*ALWAYS, "gitops"}


def test_a_domain_whose_python_api_was_opened_stays(tmp_path: Path) -> None:
    assert names(tmp_path) == ALWAYS
    get_gitops_service(load_settings(tmp_path, {}))
    assert names(tmp_path) == {*ALWAYS, "gitops"}


def test_named_domains_are_all_there_are_and_the_rollup_is_always_there(tmp_path: Path) -> None:
    assert names(tmp_path, COGNIFORGE_DOMAINS="sre") == {"sre"}
    home = open_home(load_settings(tmp_path, {"COGNIFORGE_DOMAINS": "sre"}))
    assert "aiops.rollup_5m" in home.queries and "aiops.service_health" not in home.queries
    assert home.computed.keys() >= {"sre.alerts"} and "data_mesh.lineage" not in home.computed
    assert "aiops.anomaly_scores" in home.contracts, "its table is there, empty"
