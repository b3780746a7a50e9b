"""The Python API: workloads are placed and declared, failovers decided, recorded and told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cogniforge_pipeline.edge import EdgeError, FailoverPolicy, PlacementStrategy, get_edge_multicloud_service
from cogniforge_pipeline.edge.service import EdgeMulticloudService
from cogniforge_pipeline.settings import load_settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def service(tmp_path: Path) -> EdgeMulticloudService:
    return get_edge_multicloud_service(load_settings(tmp_path, environ={}))


def test_a_workload_is_placed_fails_over_and_returns(service: EdgeMulticloudService) -> None:
    placed = service.place_workload(
        "user-api",
        {
            "capabilities": ["compute", "storage"],
            "demand": [{"city": "berlin"}, {"city": "paris"}],
            "target_latency_ms": 50,
            "max_cost_factor": 1.2,
            "replicas": 1,
        },
        PlacementStrategy.LATENCY_OPTIMIZED,
    )
    assert placed.primary_region and placed.expected_latency_ms and placed.expected_latency_ms <= 50
    assert len(placed.replica_regions) == 1
    assert placed.edge.share == 1 and len(placed.edge_locations) <= 3
    drill = service.trigger_failover("user-api", placed.primary_region, "drill", drill=True, at=NOW)
    assert (drill.status, drill.action, drill.to_region) == ("drilled", "take_over", placed.replica_regions[0])
    failover = service.trigger_failover(
        "user-api", placed.primary_region, "Region outage detected", outage_at=NOW - timedelta(seconds=40), at=NOW
    )
    assert (failover.status, failover.to_region) == ("planned", placed.replica_regions[0])
    again = service.trigger_failover("user-api", placed.primary_region, "again", at=NOW + timedelta(minutes=1))
    assert again.status == "refused" and "cool-down" in again.decision
    done = service.complete_failover(failover.failover_id, at=NOW + timedelta(seconds=20), rpo_s=3)
    assert (done.status, done.rto_s, done.rpo_s) == ("completed", 60, 3)
    back = service.fail_back(failover.failover_id)
    assert (back.action, back.to_region) == ("fail_back", placed.primary_region)
    metrics = service.get_metrics()
    assert metrics["total_regions"] == 120 and metrics["edge_locations"] > 300 and metrics["workloads"] == 1
    assert metrics["failovers_by_status"] == {"completed": 1, "drilled": 1, "planned": 1, "refused": 1}
    kinds = [event.type for event in service.home.events.read()]
    assert kinds == [
        "failover.drilled", "failover.planned", "failover.refused", "failover.completed", "failover.planned",
    ]  # fmt: skip


def test_the_safety_rule_and_the_rate_limit_refuse(service: EdgeMulticloudService) -> None:
    placed = service.place_workload("api", {"residency": ["DE", "FR"]}, "cost")
    assert placed.primary_region
    rule = FailoverPolicy(alive=1.0)
    refused = service.trigger_failover("api", placed.primary_region, "outage", at=NOW, policy=rule)
    assert refused.to_region is None and "safety rule" in refused.decision
    limited = service.trigger_failover("api", placed.primary_region, "outage", at=NOW, policy=FailoverPolicy(most=0))
    assert "rate limit" in limited.decision


def test_residency_is_never_broken_for_a_failover(service: EdgeMulticloudService) -> None:
    service.place_workload("api", {"residency": ["aws-eu-west-1"]})
    refused = service.trigger_failover("api", "aws-eu-west-1", "outage", at=NOW, policy=FailoverPolicy(alive=0))
    assert refused.status == "refused" and "no live region is eligible" in refused.decision


def test_what_is_wrong_is_named(service: EdgeMulticloudService) -> None:
    with pytest.raises(EdgeError, match="colour"):
        service.place_workload("api", {"colour": "red"})
    with pytest.raises(EdgeError, match="strategy"):
        service.place_workload("api", {}, "fastest")
    with pytest.raises(EdgeError, match="no workload 'ghost'"):
        service.trigger_failover("ghost", "aws-us-east-1", "outage")
    placed = service.place_workload("api", {"residency": ["DE"]})
    with pytest.raises(EdgeError, match="not in aws-us-east-1"):
        service.trigger_failover("api", "us-east-1", "outage")
    with pytest.raises(EdgeError, match="no failover"):
        service.complete_failover("nothing")
    assert placed.primary_region
