"""`cogniforge place` on files: plans, what-if, conflicts, and bad input that is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from cogniforge_pipeline.cli import app
from cogniforge_pipeline.edge.catalog import EdgeError, builtin
from cogniforge_pipeline.edge.model import PlacementStrategy
from cogniforge_pipeline.edge.place_files import place_files, read_workloads

REGIONS = """region_id,cloud,country,lat,lon,price_factor,carbon_gco2_kwh,capacity_cpu
north,a,SE,59,18,1.0,40,8
south,a,ES,40,-4,1.2,170,8
east,b,PL,52,21,1.5,650,100
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def regions(tmp_path: Path) -> Path:
    return write(tmp_path, "regions.csv", REGIONS)


def place(tmp_path: Path, workloads: str, regions: Path, **more: Any) -> Any:
    return place_files(write(tmp_path, "workloads.yaml", workloads), regions, **more)[0]


def test_the_cheapest_regions_are_chosen_and_the_plan_is_proved(tmp_path: Path, regions: Path) -> None:
    plan = place(
        tmp_path, "{name: api, replicas: 1, resources: {cpu: 4}}", regions, strategy=PlacementStrategy.COST_OPTIMIZED
    )
    found = plan.placement("api")
    assert {found.primary, *found.replicas} == {"north", "south"}
    assert found.usd_per_month == pytest.approx(4 * 30 * 2.2)
    assert plan.gap == 0 and plan.violations == ()
    assert found.alternative.region == "east"
    assert found.alternative.usd_per_month == pytest.approx(120 * (1.5 - {"north": 1.0, "south": 1.2}[found.primary]))


def test_users_decide_where_latency_counts_and_measured_times_beat_distance(tmp_path: Path, regions: Path) -> None:
    text = "{name: api, demand: [{city: warsaw}]}"
    latency = PlacementStrategy.LATENCY_OPTIMIZED
    assert place(tmp_path, text, regions, strategy=latency).placement("api").primary == "east"
    times = write(tmp_path, "rtt.csv", "src,dst,rtt_ms\nwarsaw,north,2\nwarsaw,east,30\n")
    found = place(tmp_path, text, regions, latency=times, strategy=latency).placement("api")
    assert (found.primary, found.latency_ms, found.latency_measured) == ("north", 2, 1)


def test_capacity_moves_the_second_workload_and_the_reason_says_so(tmp_path: Path, regions: Path) -> None:
    text = "[{name: one, resources: {cpu: 8}}, {name: two, resources: {cpu: 8}}]"
    plan = place(tmp_path, text, regions, strategy=PlacementStrategy.COST_OPTIMIZED)
    assert sorted(p.primary for p in plan.placements) == ["north", "south"]
    assert any("north has no cpu left" in p.reason for p in plan.placements)


def test_a_conflict_is_the_smallest_and_names_only_what_contradicts(tmp_path: Path, regions: Path) -> None:
    text = "{name: api, residency: [PL], max_cost_factor: 1.2, max_carbon_gco2_kwh: 700, capabilities: []}"
    conflict = place(tmp_path, text, regions).placement("api").conflict
    assert conflict.kind == "smallest"
    assert {line.split(" (")[0] for line in conflict.constraints} == {
        "api: residency PL", "api: max_cost_factor 1.2", "api: it needs a region",
    }  # fmt: skip


def test_workloads_that_only_fit_apart_are_a_conflict_of_just_those(tmp_path: Path, regions: Path) -> None:
    text = """
- {name: big, resources: {cpu: 8}, residency: [SE]}
- {name: also, resources: {cpu: 1}, residency: [SE]}
- {name: bystander, resources: {cpu: 8}, residency: [ES]}
"""
    plan = place(tmp_path, text, regions)
    (missing,) = plan.unplaced
    assert missing.conflict.kind == "smallest"
    assert "north: capacity of 8 cpu" in missing.conflict.constraints
    assert not any("bystander" in line for line in missing.conflict.constraints)


def test_a_limit_gives_way_where_that_is_allowed_and_is_told(tmp_path: Path, regions: Path) -> None:
    text = "{name: api, residency: [PL], max_cost_factor: 1.2, slack: [cost]}"
    found = place(tmp_path, text, regions).placement("api")
    assert found.primary == "east"
    assert found.gave_way == ("cost in east: 1.5 instead of at most 1.2",)


def test_ties_between_workloads_hold_and_data_keeps_them_close(tmp_path: Path, regions: Path) -> None:
    text = """
- {name: store, residency: [ES]}
- {name: api, affinity: [store]}
- {name: canary, anti_affinity: [api]}
- {name: report, egress: [{to: store, gb_per_month: 10000}]}
"""
    plan = place(tmp_path, text, regions, strategy=PlacementStrategy.COST_OPTIMIZED)
    assert {p.workload: p.primary for p in plan.placements} == {
        "store": "south", "api": "south", "canary": "north", "report": "south",
    }  # fmt: skip


def test_copies_spread_over_clouds_and_countries(tmp_path: Path, regions: Path) -> None:
    text = "{name: api, replicas: 1, spread: {clouds: 2, max_per_cloud: 1}}"
    found = place(tmp_path, text, regions, strategy=PlacementStrategy.COST_OPTIMIZED).placement("api")
    assert {found.primary, *found.replicas} == {"north", "east"}


def test_what_if_compares_two_plans(tmp_path: Path, regions: Path) -> None:
    workloads = write(tmp_path, "w.yaml", "{name: api, resources: {cpu: 2}}")
    run = CliRunner().invoke(
        app,
        ["place", "--workloads", str(workloads), "--regions", str(regions), "--strategy", "cost", "--json",
         "--what-if", "region=north:down"],
    )  # fmt: skip
    told = json.loads(run.stdout)
    assert run.exit_code == 0
    assert told["placements"][0]["primary"] == "north"
    assert told["what_if"]["changes"][0]["primary"] == ["north", "south"]
    assert told["what_if"]["usd_per_month_change"] == pytest.approx(60 * 0.2)


def test_the_command_exits_with_1_when_something_has_no_place(tmp_path: Path, regions: Path) -> None:
    workloads = write(tmp_path, "w.yaml", "{name: api, denied: [a, b]}")
    run = CliRunner().invoke(app, ["place", "--workloads", str(workloads), "--regions", str(regions)])
    assert run.exit_code == 1
    assert "smallest conflict" in run.stdout and "denied a, b" in run.stdout


def test_files_may_be_parquet_and_what_they_leave_out_comes_from_the_catalog(tmp_path: Path) -> None:
    regions = tmp_path / "r.parquet"
    pl.DataFrame({"region_id": ["us-east-1", "westeurope"], "cloud": ["aws", "azure"]}).write_parquet(regions)
    workloads = tmp_path / "w.parquet"
    pl.DataFrame({"name": ["api"], "demand": ["paris:5;berlin:2"], "resources_cpu": [2.0]}).write_parquet(workloads)
    plan, _ = place_files(workloads, regions, strategy=PlacementStrategy.LATENCY_OPTIMIZED)
    assert plan.placement("api").primary == "azure-westeurope"
    assert [region.region_id for region in plan.scores.regions] == ["aws-us-east-1", "azure-westeurope"]


@pytest.mark.parametrize(
    "text, named",
    [
        ("region_id,lat,lon,capacity_cpu\nx,1,2,-5\n", "region x: capacity_cpu is -5"),
        ("region_id,lat,lon\nx,1,2\nx,1,2\n", "the region x twice"),
        ("region_id,lat,lon\nx,nan,2\n", "region x: lat is 'nan'"),
        ("region_id,lat,lon\nx,91,2\n", "region x: lat is 91"),
        ("region_id\nnowhere-1\n", "region nowhere-1: lat is missing"),
        ("region_id,lat,lon,price_factor\nx,1,2,0\n", "region x: price_factor is 0"),
        ("region_id,lat,lon,status\nx,1,2,sleepy\n", "status is 'sleepy'"),
        ("lat,lon\n1,2\n", "no column region_id"),
        ("region_id,lat,lon\n", "has no regions"),
    ],
)
def test_bad_regions_are_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(EdgeError) as caught:
        place(tmp_path, "{name: api}", write(tmp_path, "r.csv", text))
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "text, named",
    [
        ("src,dst,rtt_ms\nnorth,south,nan\n", "row 1 (north to south): rtt_ms is 'nan'"),
        ("src,dst,rtt_ms\nnorth,south,-1\n", "row 1 (north to south): rtt_ms is -1"),
        ("src,dst,rtt_ms\nnorth,atlantis,5\n", "dst is 'atlantis', which is no known region"),
        ("src,dst\nnorth,south\n", "no column rtt_ms"),
    ],
)
def test_bad_times_are_named(tmp_path: Path, regions: Path, text: str, named: str) -> None:
    with pytest.raises(EdgeError) as caught:
        place(tmp_path, "{name: api}", regions, latency=write(tmp_path, "rtt.csv", text))
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "text, named",
    [
        ("[{name: a}, {name: a}]", "two workloads named 'a'"),
        ("{name: a, affinity: [b]}", "workload a: affinity names 'b'"),
        ("[{name: a, affinity: [b]}, {name: b, anti_affinity: [a]}]", "contradict each other"),
        ("{name: a, residency: [DE], denied: [de]}", "residency and denied contradict"),
        ("{name: a, residency: [Atlantis]}", "residency names 'Atlantis'"),
        ("{name: a, denied: [aws-eu-west-99]}", "denied names 'aws-eu-west-99'"),
        ("{name: a, demand: [{city: atlantis}]}", "demand names 'atlantis'"),
        ("{name: a, spread: {clouds: 2}}", "spread.clouds is 2, but there are only 1 copies"),
        ("{name: a, resources: {cpu: -1}}", "resources.cpu"),
        ("{name: a, target_latency_ms: .nan}", "target_latency_ms"),
        ("{name: a, colour: red}", "colour"),
        ("{name: a, demand: [{city: paris, country: FR}]}", "exactly one of city, country"),
        ("[", "not YAML or JSON"),
        ("", "has no workloads"),
    ],
)
def test_bad_workloads_are_named(tmp_path: Path, regions: Path, text: str, named: str) -> None:
    with pytest.raises(EdgeError) as caught:
        place(tmp_path, text, regions)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "change", ["region=nowhere:down", "price=north:zero", "demand=ghost:2", "north down", "region=north:up"]
)
def test_bad_changes_are_named(tmp_path: Path, regions: Path, change: str) -> None:
    workloads = write(tmp_path, "w.yaml", "{name: api}")
    with pytest.raises(EdgeError) as caught:
        place_files(workloads, regions, what_if=[change])
    assert change.partition("=")[2].partition(":")[0] in str(caught.value) or change in str(caught.value)


def test_lists_and_maps_of_a_csv_of_workloads(tmp_path: Path) -> None:
    path = write(tmp_path, "w.csv", "name,residency,resources_cpu,replicas,spread_clouds\napi,DE;FR,4,1,2\n")
    (found,) = read_workloads(path)
    assert (found.residency, found.resources, found.replicas, found.spread.clouds) == (("DE", "FR"), {"cpu": 4}, 1, 2)


def test_the_catalog_says_where_each_fact_comes_from_and_finds_regions_by_their_usual_names() -> None:
    catalog = builtin()
    assert {region.cloud for region in catalog.regions.values()} == {"aws", "azure", "gcp"}
    for region in catalog.regions.values():
        assert region.origins.keys() == {"position", "price", "carbon"}
        assert all(origin.source and origin.as_of for origin in region.origins.values())
    for name in ("aws-us-east-1", "aws:us-east-1", "us-east-1", "us-east-1a", "AWS:US-EAST-1"):
        assert catalog.region(name).region_id == "aws-us-east-1"
    assert catalog.region("gcp:europe-west1-a").region_id == "gcp-europe-west1"
    with pytest.raises(EdgeError, match="did you mean"):
        catalog.region("aws-us-eats-1")
