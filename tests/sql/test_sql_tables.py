"""Every table that a recipe computes, rows in and rows out, as `tests/sql/<schema>/<table>.yaml` says.

Belongs here: the one harness. A file is a list of cases:

    - name: what a reader of the table would say
      params: {day_start: 2026-03-01, day_end: 2026-03-02}     # and as_of, as the query uses them; times are UTC
      slos: [{apiVersion: openslo/v1, …}]                      # what is declared, for tables of SLOs
      declares: {topology: [{services: […]}]}                  # what else is declared, by kind
      given: {aiops.telemetry: [{ts: 2026-03-01T00:00:00Z, series_id: 1, value: 2}]}   # what is left out is NULL
      expect: [{ts: 2026-03-01T00:00:00Z, mean: 2}]            # all rows by the contract's key; other columns are free
      approx: 1e-9                                             # relative error of numbers; 0 unless given
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from cogniforge_pipeline.registry import REGISTRY
from tests.support.tables import CONTRACTS, TABLES, aware, compute, declared, others_declared

FOLDER = Path(__file__).parent
LEAST_CASES = 3


def _cases() -> list[Any]:
    found = []
    for path in sorted(FOLDER.glob("*/*.yaml")):
        table = f"{path.parent.name}.{path.stem}"
        for case in yaml.safe_load(path.read_text(encoding="utf-8")):
            found.append(pytest.param(table, case, id=f"{table}: {case['name']}"))
    return found


@pytest.mark.parametrize("table, case", _cases())
def test_a_table_has_the_rows_that_its_cases_expect(table: str, case: dict[str, Any]) -> None:
    assert case.keys() <= {"name", "params", "slos", "declares", "given", "expect", "approx"}
    registry = declared(*case.get("slos", [])) + others_declared(case.get("declares", {}))
    given = {REGISTRY: registry, **case.get("given", {})}
    rows = compute(table, given, case.get("params", {}))
    expected = [{name: aware(value) for name, value in row.items()} for row in case["expect"]]
    if tolerance := float(case.get("approx", 0)):
        expected = [
            {n: pytest.approx(v, rel=tolerance) if isinstance(v, float) else v for n, v in row.items()}
            for row in expected
        ]
    shown = [{name: row[name] for name in (expected[i] if i < len(expected) else row)} for i, row in enumerate(rows)]
    assert shown == expected


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_a_contract_and_at_least_three_cases(table: str) -> None:
    path = FOLDER / f"{table.replace('.', '/')}.yaml"
    assert table in CONTRACTS, f"contracts/{table.replace('.', '/')}.yaml is missing"
    assert path.exists(), f"tests/sql/{table.replace('.', '/')}.yaml is missing"
    cases = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert len({case["name"] for case in cases}) >= LEAST_CASES


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_cases_belong_to_a_table(path: Path) -> None:
    assert f"{path.parent.name}.{path.stem}" in TABLES


@pytest.mark.parametrize("table", TABLES)
def test_a_table_made_of_empty_tables_has_no_rows_or_rows_that_keep_the_contract(table: str) -> None:
    if CONTRACTS[table].partition_column:
        compute(table, {}, {"day_start": date(2026, 3, 1), "day_end": date(2026, 3, 2)})
    else:
        compute(table, {}, {"as_of": datetime(2026, 3, 2, tzinfo=UTC)})
