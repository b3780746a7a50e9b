"""One frame, one contract, three engines: the one-pass SQL, the contract's Pandera schema and Great Expectations.

Their figures agree rule by rule. Where a definition differs, both numbers stand in the test: of rows that share a key the
SQL and Pandera count those beyond the first, Great Expectations counts all of them; NaN is above every limit for the SQL and
Pandera, and missing for Great Expectations (a column that is required refuses it in all three).
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest

from cogniforge_pipeline.contracts import Contract, audit, load_contract, pandera_schema
from cogniforge_pipeline.reports.expectations import expectations, sample

ROWS = 5_000
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: orders
name: shop.orders
version: 1.0.0
status: active
schema:
  - name: orders
    quality:
      - {metric: duplicateValues, arguments: {properties: [shop, receipt]}, mustBe: 0}
    properties:
      - {name: id, physicalType: BIGINT, unique: true}
      - {name: shop, physicalType: VARCHAR, required: true}
      - {name: receipt, physicalType: INTEGER, required: true}
      - {name: email, physicalType: VARCHAR, logicalTypeOptions: {format: email}}
      - {name: code, physicalType: VARCHAR, required: true, logicalTypeOptions: {pattern: '[A-Z]{2}-[0-9]{3}'}}
      - {name: status, physicalType: VARCHAR, enum: [{value: new}, {value: paid}, {value: sent}]}
      - {name: price, physicalType: DOUBLE, required: true, logicalTypeOptions: {minimum: 0, exclusiveMaximum: 100}}
      - {name: amount, physicalType: INTEGER, logicalTypeOptions: {exclusiveMinimum: 0, maximum: 12}}
      - {name: note, physicalType: VARCHAR, logicalTypeOptions: {minLength: 2, maxLength: 8}}
      - {name: due, physicalType: DATE, logicalTypeOptions: {minimum: 2024-01-01}}
      - name: source
        physicalType: VARCHAR
        quality: [{metric: missingValues, arguments: {missingValues: ['n/a', '']}, mustBe: 0}]
"""


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    path: Path = tmp_path_factory.mktemp("engines") / "orders.yaml"
    path.write_text(CONTRACT, encoding="utf-8")
    return load_contract(path)


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """Orders of which some break each rule: nulls, bad formats, values out of range, shared keys."""
    random = np.random.default_rng(20240229)

    def pick(usual: Any, *others: Any) -> list[Any]:
        """Mostly what `usual` gives for a row's number, at times one of the others."""
        values = [*others, *[usual] * (60 - len(others))]
        return [v(n) if callable(v) else v for n, v in enumerate(values[i] for i in random.integers(0, 60, ROWS))]

    ids: list[int | None] = list(range(ROWS))
    ids[10:13] = [7, 7, 7]
    ids[100], ids[200:204] = 99, [None] * 4
    columns: dict[str, tuple[list[Any], Any]] = {
        "id": (ids, pl.Int64),
        "shop": (pick(lambda n: f"shop {n % 7}", None), pl.String),
        "receipt": (pick(lambda n: n // 7, 1, 2, None), pl.Int32),
        "email": (pick(lambda n: f"user{n}@example.org", "user", "a@b", "x y@example.org", "", None), pl.String),
        "code": (pick(lambda n: f"AB-{n % 900 + 100}", "AB-12", "ab-123", "xAB-123", "AB-1234", None), pl.String),
        "status": (pick("paid", "new", "sent", "lost", "Paid", None), pl.String),
        "price": (pick(lambda n: n % 99 + 0.5, -0.01, 0.0, 100.0, 99.99, 1e9, math.nan, None), pl.Float64),
        "amount": (pick(lambda n: n % 12 + 1, 0, -3, 13, None), pl.Int32),
        "note": (pick("a note", "", "é", "ab", "12345678", "123456789", None), pl.String),
        "due": (pick(lambda n: date(2024, 1, 1) + timedelta(days=n % 300), date(2023, 12, 31), None), pl.Date),
        "source": (pick("web", "n/a", "", None), pl.String),
    }
    return pl.DataFrame({name: pl.Series(name, values, dtype) for name, (values, dtype) in columns.items()})


@pytest.fixture(scope="module")
def by_sql(contract: Contract, frame: pl.DataFrame) -> dict[str, int]:
    """Bad rows by rule, from the one-pass statement."""
    with duckdb.connect() as con:
        con.register("orders", frame)
        return {r.rule.name: r.failing for r in audit(con, contract, "orders", as_of=datetime.now(UTC)).results}


@pytest.fixture(scope="module")
def by_pandera(contract: Contract, frame: pl.DataFrame) -> dict[str, int]:
    """Failure cases by rule; a column that must not be null is a property of the column, not a check."""
    from pandera.errors import SchemaErrors

    with pytest.raises(SchemaErrors) as failed:
        pandera_schema(contract).validate(frame, lazy=True)
    counts = failed.value.failure_cases.group_by("column", "check").len().rows()
    return {
        f"{column}_not_null" if check == "not_nullable" else check.partition(":")[0]: n for column, check, n in counts
    }


@pytest.fixture(scope="module")
def by_expectations(contract: Contract, frame: pl.DataFrame) -> dict[str, int]:
    """Unexpected values by rule, from the contract's suite; `own …` are rules that the suite leaves to DuckDB."""
    with pytest.MonkeyPatch.context() as environment, duckdb.connect() as con:
        environment.setenv("GX_ANALYTICS_ENABLED", "False")
        import great_expectations as gx
        from great_expectations import expectations as gxe

        con.register("orders", frame)
        context = gx.get_context(mode="ephemeral")
        batch = (
            context.data_sources.add_pandas("orders")
            .add_dataframe_asset("orders")
            .add_batch_definition_whole_dataframe("all")
            .get_batch({"dataframe": sample(con, contract, "orders", frame.height)})
        )
        own = [
            gxe.ExpectColumnValuesToNotBeInSet(
                column="source", value_set=["n/a", ""], meta={"rule": "own source_missing_values"}
            ),
            gxe.ExpectColumnValuesToMatchRegex(column="due", regex=r"\A202[4-9]-", meta={"rule": "own due_min"}),
        ]
        suite = gx.ExpectationSuite("orders", [*expectations(contract), *own])
        results = batch.validate(suite).results
    uncounted = [each for each in results if "unexpected_count" not in each.result]
    assert [each.success for each in uncounted] == [True], uncounted  # the names of the columns
    counted = [each for each in results if each not in uncounted]
    return {each.expectation_config.meta["rule"]: each.result["unexpected_count"] for each in counted}


def test_every_rule_is_broken_by_some_rows(contract: Contract, by_sql: dict[str, int]) -> None:
    assert len(by_sql) == len(contract.rules) == 17
    assert all(0 < failing < ROWS / 5 for failing in by_sql.values()), by_sql


def test_pandera_counts_as_the_one_pass_does(by_sql: dict[str, int], by_pandera: dict[str, int]) -> None:
    assert by_pandera == by_sql


def test_great_expectations_counts_as_the_one_pass_does_but_for_shared_keys_and_nan(
    frame: pl.DataFrame, by_sql: dict[str, int], by_expectations: dict[str, int]
) -> None:
    pairs = frame.select("shop", "receipt").drop_nulls()
    extra, members = pairs.height - pairs.n_unique(), int(pairs.is_duplicated().sum())
    nans = int(frame["price"].is_nan().sum())
    differ = {
        name: (by_sql[name.removeprefix("own ")], n)
        for name, n in by_expectations.items()
        if n != by_sql[name.removeprefix("own ")]
    }
    assert differ == {
        "unique_id": (4, 6),
        "unique_shop_receipt": (extra, members),
        "price_exclusive_max": (by_sql["price_exclusive_max"], by_sql["price_exclusive_max"] - nans),
    }
    assert nans and extra < members and len(by_expectations) == len(by_sql) + 2
