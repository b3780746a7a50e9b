"""Edges of tables and of columns."""

from __future__ import annotations

from typing import Any

import pytest

from cogniforge_pipeline.data_mesh.lineage import Edge, column_edges, table_edges
from cogniforge_pipeline.data_mesh.tables import packaged_queries
from cogniforge_pipeline.queries import Query
from tests.support.tables import CONTRACTS


def columns(text: str) -> set[tuple[str, str | None, str | None]]:
    found = column_edges([Query("aiops.service_health", text, ())], CONTRACTS)
    assert {edge.output_table for edge in found} <= {"aiops.service_health"}
    return {(edge.input_table, edge.input_column, edge.output_column) for edge in found}


def test_each_table_has_one_edge_from_each_that_it_reads() -> None:
    found = table_edges({"a.b": ["c.d", "e.f", "c.d"], "g.h": []})
    assert found == [Edge("c.d", "a.b"), Edge("e.f", "a.b")]
    assert found[0].to_row() == {
        "input_table": "c.d",
        "input_column": None,
        "output_table": "a.b",
        "output_column": None,
        "kind": "table",
    }


def test_a_column_is_followed_through_names_common_tables_and_expressions() -> None:
    text = """
WITH worst AS (
    SELECT r.series_id, max(r.mean) AS top
    FROM aiops.rollup_5m AS r
    GROUP BY ALL
)
SELECT s.service, CASE WHEN top > 1 THEN s.metric ELSE 'none' END AS reason
FROM worst
JOIN aiops.series AS s USING (series_id)
"""
    assert columns(text) == {
        ("aiops.series", "service", "service"),
        ("aiops.series", "metric", "reason"),
        ("aiops.rollup_5m", "mean", "reason"),
    }


def test_both_sides_of_a_union_are_followed() -> None:
    text = "SELECT service FROM aiops.series UNION ALL SELECT service FROM sre.slos"
    assert columns(text) == {
        ("aiops.series", "service", "service"),
        ("sre.slos", "service", "service"),
    }


def test_what_only_filters_and_what_is_a_parameter_or_a_count_has_no_edge() -> None:
    text = "SELECT $as_of AS as_of, service, count(*) AS series FROM aiops.series WHERE kind = 'gauge' GROUP BY service"
    assert columns(text) == {("aiops.series", "service", "service")}


@pytest.mark.parametrize(
    "branch, followed",
    [
        ("SELECT * FROM range(3) AS r(n)", {("aiops.series", "service", "service")}),
        ("SELECT * FROM (PIVOT sre.slos ON service USING count(*)) AS p", set()),
    ],
)
def test_what_cannot_be_followed_costs_no_more_than_its_own_edges(branch: str, followed: set[Any]) -> None:
    text = f"""
WITH pairs AS (SELECT service, metric FROM aiops.series UNION ALL {branch})
SELECT s.service, p.metric AS reason FROM pairs AS p JOIN aiops.series AS s ON true
"""
    assert columns(text) == followed


def test_a_query_without_a_contract_has_no_edges_of_columns() -> None:
    assert column_edges([Query("mine.unknown", "SELECT service FROM aiops.series", ())], CONTRACTS) == []


def test_the_columns_of_every_query_here_lead_to_tables_that_it_reads() -> None:
    queries = {query.name: query for query in packaged_queries() if query.name in CONTRACTS}
    found = column_edges(queries.values(), CONTRACTS)
    assert {edge.output_table for edge in found} == set(queries)
    for edge in found:
        assert edge.input_table in queries[edge.output_table].inputs
        assert edge.input_column in {column.name for column in CONTRACTS[edge.input_table].columns}
        assert edge.output_column in {column.name for column in CONTRACTS[edge.output_table].columns}
