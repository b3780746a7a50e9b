"""Every `sql/<schema>/<table>.sql`, rows in and rows out, as `tests/sql/<schema>/<table>.yaml` says.

Belongs here: the one harness. A file is a list of cases:

    - name: what a reader of the table would say
      params: {day_start: 2026-03-01, day_end: 2026-03-02}     # and as_of, as the query uses them; times are UTC
      given: {aiops.telemetry: [{ts: 2026-03-01T00:00:00Z, series_id: 1, value: 2}]}   # what is left out is NULL
      expect: [{ts: 2026-03-01T00:00:00Z, mean: 2}]            # all rows by the contract's key; other columns are free
      approx: 1e-9                                             # relative error of numbers; 0 unless given
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from cogniforge_pipeline import contracts, publish
from cogniforge_pipeline.contracts import Contract, load_contracts
from cogniforge_pipeline.queries import Query, load_queries
from cogniforge_pipeline.settings import packaged
from cogniforge_pipeline.sqltext import ident, literal, qualified

FOLDER = Path(__file__).parent
LEAST_CASES = 3

CONTRACTS = load_contracts(packaged("contracts"))
QUERIES = load_queries(packaged("sql"))


def _cases() -> list[Any]:
    found = []
    for path in sorted(FOLDER.glob("*/*.yaml")):
        table = f"{path.parent.name}.{path.stem}"
        for case in yaml.safe_load(path.read_text(encoding="utf-8")):
            found.append(pytest.param(table, case, id=f"{table}: {case['name']}"))
    return found


def _aware(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


def _moment(value: date | datetime) -> datetime:
    return _aware(value) if isinstance(value, datetime) else publish.midnight(value)


def _needed(query: Query, given: Mapping[str, Any]) -> list[Contract]:
    """The query's inputs, and every table that the result's foreign keys name."""
    contract = CONTRACTS[query.name]
    named = {column.references.rpartition(".")[0] for column in contract.columns if column.references}
    named |= {value.rpartition(".")[0] for rule in contract.rules for value in _references(rule.value)}
    return [CONTRACTS[name] for name in sorted({*query.inputs, *named, *given} & CONTRACTS.keys())]


def _references(value: Any) -> list[str]:
    return [part for part in value if isinstance(part, str) and part.count(".") == 2] if isinstance(value, tuple) else []


def _fill(con: duckdb.DuckDBPyConnection, contract: Contract, rows: list[dict[str, Any]]) -> None:
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {ident(contract.schema)}")
    columns = ", ".join(f"{ident(column.name)} {column.type}" for column in contract.columns)
    con.execute(f"CREATE TABLE {qualified(contract.name)} ({columns})")
    for row in rows:
        names = ", ".join(map(ident, row))
        values = ", ".join(literal(_aware(value)) for value in row.values())
        con.execute(f"INSERT INTO {qualified(contract.name)} ({names}) SELECT {values}")


def compute(query: Query, given: Mapping[str, list[dict[str, Any]]], params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The query's rows, ordered by the contract's key, after they passed the contract's audit."""
    contract = CONTRACTS[query.name]
    values = {name: _moment(value) for name, value in params.items()}
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        for table in _needed(query, given):
            if table.name != query.name:
                _fill(con, table, given.get(table.name, []))
        con.execute(f"CREATE TABLE result AS {query.bind(**values)}")
        audit = contracts.audit(con, contract, "result", as_of=values.get("as_of"))
        assert not [result.message for result in audit.results if not result.passed]
        order = ", ".join(ident(name) for name in contract.primary_key or contract.sort_by)
        found = con.execute(f"SELECT * FROM result ORDER BY {order}")
        names = [column[0] for column in found.description or []]
        assert set(names) == {column.name for column in contract.columns}
        return [{n: _aware(v) for n, v in zip(names, row, strict=True)} for row in found.fetchall()]


@pytest.mark.parametrize("table, case", _cases())
def test_a_query_gives_the_rows_that_its_cases_expect(table: str, case: dict[str, Any]) -> None:
    assert case.keys() <= {"name", "params", "given", "expect", "approx"}
    rows = compute(QUERIES[table], case.get("given", {}), case.get("params", {}))
    expected = [{name: _aware(value) for name, value in row.items()} for row in case["expect"]]
    if tolerance := float(case.get("approx", 0)):
        expected = [
            {n: pytest.approx(v, rel=tolerance) if isinstance(v, float) else v for n, v in row.items()}
            for row in expected
        ]
    shown = [
        {name: row[name] for name in (expected[i] if i < len(expected) else row)} for i, row in enumerate(rows)
    ]
    assert shown == expected


@pytest.mark.parametrize("table", sorted(QUERIES))
def test_a_query_has_a_contract_and_at_least_three_cases(table: str) -> None:
    path = FOLDER / f"{table.replace('.', '/')}.yaml"
    assert table in CONTRACTS, f"contracts/{table.replace('.', '/')}.yaml is missing"
    assert path.exists(), f"tests/sql/{table.replace('.', '/')}.yaml is missing"
    cases = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert len({case["name"] for case in cases}) >= LEAST_CASES


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_cases_belong_to_a_query(path: Path) -> None:
    assert f"{path.parent.name}.{path.stem}" in QUERIES


@pytest.mark.parametrize("table", sorted(QUERIES))
def test_a_query_on_empty_tables_gives_no_rows_or_rows_that_keep_the_contract(table: str) -> None:
    query = QUERIES[table]
    params = {"day_start": date(2026, 3, 1), "day_end": date(2026, 3, 2), "as_of": datetime(2026, 3, 2, tzinfo=UTC)}
    compute(query, {}, {name: params[name] for name in query.parameters})
