"""Rankings and decisions on a lake: rows in, rows out, and what is not done again."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cogniforge_pipeline.aiops import cause_tables
from cogniforge_pipeline.publish import MATERIALIZATIONS
from cogniforge_pipeline.registry import record
from tests.support.pipeline import Pipeline, at, csv
from tests.support.sre_service import decide

BEGIN, TROUBLE, NOW = at("2026-03-01 00:00"), at("2026-03-05 10:00"), at("2026-03-05 12:00")
TOPOLOGY = """
services:
  - {name: web, depends_on: [api]}
  - {name: api, depends_on: [stock, cart]}
  - {name: stock}
  - {name: cart}
"""
PLAYBOOK = """
name: roll-back-what-was-deployed
symptom: {metrics: [latency], direction: up}
cause: {changed: true, min_score: 0.2}
action: {kind: rollback}
"""


def anomaly(number: int, service: str, series_id: int, **changed: Any) -> dict[str, Any]:
    row = {
        "anomaly_id": f"a{number}", "series_id": series_id, "service": service, "metric": "latency", "kind": "level_shift",
        "direction": "up", "severity": "critical", "status": "open", "started_at": TROUBLE, "ended_at": None,
        "peak_at": TROUBLE, "peak_score": 3.0, "value": 400.0, "expected": 100.0, "impact": 1.0,
        "weight": 1.0, "points": 5, "alerts": 1,
        "incident_id": "i1", "reason": "because",
    }  # fmt: skip
    return {**row, **changed}


def incident(**changed: Any) -> dict[str, Any]:
    row = {
        "incident_id": "i1", "started_at": TROUBLE, "ended_at": None, "status": "open", "severity": "critical",
        "services": ["web", "api", "stock"], "anomaly_ids": ["a0", "a1", "a2"], "first_service": "stock",
        "first_metric": "latency", "worst_service": "web", "worst_metric": "latency", "kinds": ["level_shift"],
        "title": "latency", "reason": "because",
    }  # fmt: skip
    return {**row, **changed}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Four days and a half of four services; stock slows down, and with it who calls it; an open incident of three."""
    pipeline = Pipeline(tmp_path_factory.mktemp("shop"))
    platform = pipeline.folder / "platform"
    (platform / "topology.yaml").write_text(TOPOLOGY, encoding="utf-8")
    (platform / "playbooks").mkdir()
    (platform / "playbooks/rollback.yaml").write_text(PLAYBOOK, encoding="utf-8")
    rng = np.random.default_rng(3)
    points = []
    for name, later in (("web", 5), ("api", 0), ("stock", 0), ("cart", None)):
        for n in range(int((NOW - BEGIN) / timedelta(minutes=5))):
            ts = BEGIN + timedelta(minutes=5 * n)
            slow = later is not None and ts >= TROUBLE + timedelta(minutes=later)
            level = (100 + 30 * np.sin(n / 288 * 2 * np.pi)) * (4 if slow else 1)
            points.append((ts, name, "latency", float(level * rng.normal(1, 0.03))))
            points.append((ts, name, "cpu_usage", float(30 * rng.normal(1, 0.05))))
    pipeline.drop("points.csv", csv(points))
    pipeline.ingest()
    pipeline.compute("aiops.rollup_5m")
    record(pipeline.home, pipeline.home.platform(), run_id="declare")
    ids = dict(pipeline.rows("aiops.series", "service || ' ' || metric, series_id"))
    rows = [anomaly(n, name, ids[f"{name} latency"]) for n, name in enumerate(("stock", "api", "web"))]
    decide(pipeline, "aiops.anomalies", rows)  # type: ignore[arg-type]
    decide(pipeline, "aiops.incidents", [incident()])  # type: ignore[arg-type]
    return pipeline


def rank(shop: Pipeline, as_of: datetime = NOW) -> list[dict[str, Any]]:
    shop.compute("aiops.root_causes", as_of=as_of)
    columns = "rank, service, metric, path, graph, target_service, changes, score, reason, evidence"
    names = columns.split(", ")
    return [dict(zip(names, row, strict=True)) for row in shop.rows("aiops.root_causes", columns)]


def test_the_cause_comes_first_with_its_evidence(shop: Pipeline) -> None:
    found = rank(shop)
    assert found[0] | {"score": 0, "reason": "", "evidence": ""} == {
        "rank": 1, "service": "stock", "metric": "latency", "path": ["web", "api", "stock"], "graph": "declared",
        "target_service": "web", "changes": [], "score": 0, "reason": "", "evidence": "",
    }  # fmt: skip
    assert found[0]["score"] > 2 * found[1]["score"] and "its change equals 100% of the target's" in found[0]["reason"]


def test_only_what_changed_is_ranked_again(shop: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rank(shop)
    ranked = []
    monkeypatch.setattr(cause_tables, "explain", lambda *args: ranked.append(args) or pytest.fail("ranked again"))
    closed = [incident(), incident(incident_id="i0", anomaly_ids=[])]
    decide(shop, "aiops.incidents", closed)  # type: ignore[arg-type]
    assert rank(shop) == before and not ranked
    monkeypatch.undo()
    decide(shop, "aiops.incidents", [incident(ended_at=at("2026-03-05 11:00"))])  # type: ignore[arg-type]
    again = rank(shop)
    assert again[0]["service"] == "stock" and again[0]["evidence"] != before[0]["evidence"]
    decide(shop, "aiops.incidents", [incident()])  # type: ignore[arg-type]


def test_an_earlier_moment_looks_at_what_was_known_then(shop: Pipeline) -> None:
    early = rank(shop, at("2026-03-05 10:20"))
    assert early and shop.rows("aiops.root_causes", "max(window_end)") == [(at("2026-03-05 10:20"),)]
    assert rank(shop, at("2026-03-05 09:00")) == []


def test_a_deployment_makes_a_playbook_act_and_the_decision_stays_when_it_is_forgotten(shop: Pipeline) -> None:
    deployed = {
        "deployment_id": "d1", "service": "stock", "version": "5.2.0", "strategy": "rolling", "status": "in_progress",
        "change_type": "normal", "started_at": at("2026-03-05 09:55"),
    }  # fmt: skip
    decide(shop, "sre.deployments", [deployed])  # type: ignore[arg-type]
    found = rank(shop)
    assert found[0]["changes"] == ["deployment 5.2.0 at 2026-03-05 09:55 UTC"]
    assert "deployment 5.2.0 5 min before" in found[0]["reason"]
    shop.compute("aiops.healing_decisions", as_of=at("2026-03-05 10:30"))
    columns = "decided_at, state, action, target, service, outcome"
    told = shop.rows("aiops.healing_decisions", columns)
    assert told == [(TROUBLE, "act", "rollback", "stock", "stock", "not_cleared"),
                    (TROUBLE + timedelta(minutes=30), "act", "rollback", "stock", "stock", "pending")]  # fmt: skip
    decide(shop, "sre.deployments", [{**deployed, "status": "planned", "started_at": None}])  # type: ignore[arg-type]
    rank(shop)
    shop.compute("aiops.healing_decisions", as_of=NOW)
    assert shop.rows("aiops.healing_decisions", columns)[0] == told[0]
    (entry,) = shop.rows(MATERIALIZATIONS, "max(as_of) FILTER (table_name = 'aiops.healing_decisions')")
    assert entry == (NOW,)


def test_without_playbooks_nothing_is_decided(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path)
    assert pipeline.compute("aiops.healing_decisions", as_of=NOW).plan.reason == "nothing is declared for it"
