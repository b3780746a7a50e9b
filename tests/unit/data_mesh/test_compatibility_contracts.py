"""Contracts of tables compared: types by widening, columns, keys, quality rules, service levels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cogniforge_pipeline.contracts import Contract, load_contract
from cogniforge_pipeline.data_mesh.compatibility.odcs import compare_contracts
from cogniforge_pipeline.data_mesh.compatibility.versions import required_bump

Make = Callable[..., Contract]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def build(
        *columns: dict[str, Any],
        quality: list[dict[str, Any]] | None = None,
        sla: list[dict[str, Any]] | None = None,
        version: str = "1.0.0",
    ) -> Contract:
        document = {
            "apiVersion": "v3.1.0",
            "kind": "DataContract",
            "id": "shop-orders",
            "name": "shop.orders",
            "version": version,
            "status": "active",
            "schema": [{"name": "orders", "properties": list(columns), "quality": quality or []}],
            "slaProperties": sla or [],
        }
        path = tmp_path / "orders.yaml"
        path.write_text(yaml.safe_dump(document))
        return load_contract(path)

    return build


def column(name: str, kind: str = "BIGINT", **more: Any) -> dict[str, Any]:
    return {"name": name, "physicalType": kind, **more}


def told(old: Contract, new: Contract, mode: Any = "BACKWARD") -> tuple[bool, set[tuple[str, str, bool]]]:
    found = compare_contracts(old, new, mode)
    return found.compatible, {(item.rule, item.path, item.breaking) for item in found.differences}


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("INTEGER", "BIGINT", "TYPE_EXTENDED"),
        ("SMALLINT", "INTEGER", "TYPE_EXTENDED"),
        ("UINTEGER", "BIGINT", "TYPE_EXTENDED"),
        ("INTEGER", "DOUBLE", "TYPE_EXTENDED"),
        ("INTEGER", "DECIMAL(12,2)", "TYPE_EXTENDED"),
        ("FLOAT", "DOUBLE", "TYPE_EXTENDED"),
        ("DECIMAL(10,2)", "DECIMAL(12,3)", "TYPE_EXTENDED"),
        ("DECIMAL(10,2)", "DOUBLE", "TYPE_EXTENDED"),
        ("DATE", "TIMESTAMP", "TYPE_EXTENDED"),
        ("INTEGER[]", "BIGINT[]", "TYPE_EXTENDED"),
        ("MAP(VARCHAR, INTEGER)", "MAP(VARCHAR, BIGINT)", "TYPE_EXTENDED"),
        ("STRUCT(a INTEGER)", "STRUCT(a BIGINT, b VARCHAR)", "TYPE_EXTENDED"),
        ("BIGINT", "INTEGER", "TYPE_NARROWED"),
        ("DOUBLE", "FLOAT", "TYPE_NARROWED"),
        ("TIMESTAMP", "DATE", "TYPE_NARROWED"),
        ("DECIMAL(12,2)", "DECIMAL(10,2)", "TYPE_NARROWED"),
        ("BIGINT", "DOUBLE", "TYPE_CHANGED"),
        ("BIGINT", "UBIGINT", "TYPE_CHANGED"),
        ("TIMESTAMP", "TIMESTAMPTZ", "TYPE_CHANGED"),
        ("DECIMAL(10,2)", "DECIMAL(11,4)", "TYPE_CHANGED"),
        ("VARCHAR", "BIGINT", "TYPE_CHANGED"),
        ("INTEGER[3]", "INTEGER[4]", "TYPE_CHANGED"),
    ],
)
def test_a_type_may_widen_and_nothing_else(make: Make, old: str, new: str, rule: str) -> None:
    compatible, differences = told(make(column("a", old)), make(column("a", new)))

    assert differences == {(rule, "#/properties/a", rule != "TYPE_EXTENDED")}
    assert compatible == (rule == "TYPE_EXTENDED")


def test_the_width_of_a_text_may_grow_but_not_shrink(make: Make) -> None:
    narrow, wide, free = (make(column("a", kind)) for kind in ("VARCHAR(10)", "varchar(20)", "VARCHAR"))

    assert told(narrow, wide) == (True, {("MAX_LENGTH_INCREASED", "#/properties/a/maxLength", False)})
    assert told(wide, narrow) == (False, {("MAX_LENGTH_DECREASED", "#/properties/a/maxLength", True)})
    assert told(narrow, free) == (True, {("MAX_LENGTH_REMOVED", "#/properties/a/maxLength", False)})


def test_columns_come_optional_and_do_not_go(make: Make) -> None:
    one = make(column("a"))
    optional = make(column("a"), column("b"))
    required = make(column("a"), column("b", required=True))

    added = "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL"
    assert told(one, optional) == (True, {(added, "#/properties/b", False)})
    assert not told(one, required)[0]
    assert told(optional, one) == (False, {("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", "#/properties/b", True)})
    assert told(optional, required) == (False, {("REQUIRED_ATTRIBUTE_ADDED", "#/required/b", True)})
    assert told(required, optional)[0]
    assert not told(required, optional, "FORWARD")[0]
    assert not told(one, optional, "FULL")[0]


def test_bounds_lists_patterns_and_formats_are_compared_by_rule(make: Make) -> None:
    old = make(
        column("n", logicalTypeOptions={"minimum": 0, "maximum": 9}),
        column("d", "DATE", logicalTypeOptions={"minimum": "2024-01-01"}),
        column("s", "VARCHAR", enum=[{"value": "a"}, {"value": "b"}]),
        column("p", "VARCHAR", logicalTypeOptions={"pattern": "[a-z]+"}),
        column("f", "VARCHAR"),
    )
    new = make(
        column("n", logicalTypeOptions={"minimum": 0, "maximum": 8}),
        column("d", "DATE", logicalTypeOptions={"minimum": "2023-01-01"}),
        column("s", "VARCHAR", enum=[{"value": "a"}, {"value": "b"}, {"value": "c"}]),
        column("p", "VARCHAR", logicalTypeOptions={"pattern": "[a-z0-9]+"}),
        column("f", "VARCHAR", logicalTypeOptions={"format": "uuid"}),
    )

    compatible, differences = told(old, new)

    assert not compatible
    assert differences == {
        ("MAXIMUM_DECREASED", "#/properties/n/maximum", True),
        ("MINIMUM_DECREASED", "#/properties/d/minimum", False),
        ("ENUM_ARRAY_EXTENDED", "#/properties/s/enum", False),
        ("PATTERN_CHANGED", "#/properties/p/pattern", True),
        ("PATTERN_ADDED", "#/properties/f/pattern", True),
    }


def test_a_key_breaks_when_it_is_new_or_covers_fewer_columns(make: Make) -> None:
    free = make(column("a", required=True), column("b", required=True))
    first = make(column("a", primaryKey=True), column("b", required=True))
    both = make(
        column("a", primaryKey=True, primaryKeyPosition=1),
        column("b", primaryKey=True, primaryKeyPosition=2),
    )

    assert told(free, first) == (False, {("PRIMARY_KEY_ADDED", "#/primaryKey", True)})
    assert told(first, free) == (True, {("PRIMARY_KEY_REMOVED", "#/primaryKey", False)})
    assert told(first, both) == (True, {("PRIMARY_KEY_CHANGED", "#/primaryKey", False)})
    assert told(both, first) == (False, {("PRIMARY_KEY_CHANGED", "#/primaryKey", True)})


def test_quality_rules_that_weaken_are_named_and_do_not_break(make: Make) -> None:
    def rule(name: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "metric": "rowCount", "severity": "error", **more}

    old = make(
        column("a"),
        quality=[
            rule("gone", mustBeGreaterThan=0),
            rule("looser", mustBeGreaterThan=100),
            rule("tighter", mustBeBetween=[0, 100]),
            rule("softer", mustBeGreaterThan=1),
            rule("other", mustBeGreaterThan=1),
            rule("same", mustBeGreaterThan=1),
        ],
    )
    new = make(
        column("a"),
        quality=[
            rule("looser", mustBeGreaterThan=50),
            rule("tighter", mustBeBetween=[0, 90]),
            rule("softer", mustBeGreaterThan=1) | {"severity": "warning"},
            rule("other", mustBeLessThan=9),
            rule("same", mustBeGreaterThan=1),
            rule("fresh", mustBeGreaterThan=1),
        ],
    )

    compatible, differences = told(old, new)

    assert compatible
    assert differences == {
        ("QUALITY_RULE_REMOVED", "#/quality/gone", False),
        ("QUALITY_RULE_WEAKENED", "#/quality/looser", False),
        ("QUALITY_RULE_STRENGTHENED", "#/quality/tighter", False),
        ("QUALITY_RULE_WEAKENED", "#/quality/softer", False),
        ("QUALITY_RULE_CHANGED", "#/quality/other", False),
        ("QUALITY_RULE_ADDED", "#/quality/fresh", False),
    }


def test_service_levels_that_weaken_are_named(make: Make) -> None:
    old = make(
        column("a"),
        column("ts", "TIMESTAMPTZ"),
        sla=[
            {"property": "latency", "value": 15, "unit": "min", "element": "orders.ts"},
            {"property": "retention", "value": 30, "unit": "d"},
            {"property": "availability", "value": 99.9},
            {"property": "errorRate", "value": 0.1},
        ],
    )
    new = make(
        column("a"),
        column("ts", "TIMESTAMPTZ"),
        sla=[
            {"property": "latency", "value": 1, "unit": "h", "element": "orders.ts"},
            {"property": "retention", "value": 60, "unit": "d"},
            {"property": "availability", "value": 99.5},
            {"property": "throughput", "value": 5},
        ],
    )

    assert told(old, new) == (
        True,
        {
            ("SLA_WEAKENED", "#/slaProperties/freshness_seconds", False),
            ("SLA_STRENGTHENED", "#/slaProperties/retention_seconds", False),
            ("SLA_WEAKENED", "#/slaProperties/availability", False),
            ("SLA_REMOVED", "#/slaProperties/errorRate", False),
            ("SLA_ADDED", "#/slaProperties/throughput", False),
        },
    )


def test_a_column_that_stops_partitioning_is_named(make: Make) -> None:
    old, new = make(column("d", "DATE", partitioned=True)), make(column("d", "DATE"))

    assert told(old, new) == (True, {("PARTITION_CHANGED", "#/partition", False)})


def test_transitive_modes_look_at_every_version(make: Make) -> None:
    first, second, third = make(column("a", "BIGINT")), make(column("a", "SMALLINT")), make(column("a", "INTEGER"))

    assert compare_contracts(second, third, "BACKWARD", history=[first]).compatible
    found = compare_contracts(second, third, "BACKWARD_TRANSITIVE", history=[first])
    assert not found.compatible
    assert required_bump(found.differences) == "major"


def test_every_contract_of_the_platform_is_equal_to_itself() -> None:
    folder = Path(__file__).parents[3] / "contracts"
    for path in sorted(folder.glob("*/*.yaml")):
        contract = load_contract(path)
        assert compare_contracts(contract, contract, "FULL").differences == ()
