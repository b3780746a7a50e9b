"""The same rules for polars frames at the borders of Python code, as a Pandera schema.

Belongs here: expressing the row rules as polars expressions. Does not: foreign keys, SQL and table
rules, which need the lake; the audit checks those. Polars and Pandera are imported inside, they are heavy.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb

from cogniforge_pipeline.contracts.formats import PATTERNS, WITH_DATE
from cogniforge_pipeline.contracts.model import Column, Contract, Rule
from cogniforge_pipeline.sqltext import ident

if TYPE_CHECKING:
    import polars as pl
    from pandera.polars import DataFrameSchema


def pandera_schema(contract: Contract) -> DataFrameSchema:
    """Schema of a polars DataFrame (not a LazyFrame, of which Pandera checks the types only).

    Types must be exactly what DuckDB gives polars for the contract's types; no columns may lack or be added.
    WARN rules become Pandera warnings. `metadata["not_checked"]` names the rules that need the lake.
    """
    import pandera.polars as pa

    in_column: dict[str, list[Any]] = {column.name: [] for column in contract.columns}
    in_frame, not_checked, not_null = [], [], set()
    for rule in contract.rules:
        expression = None if rule.kind == "table" else row_expression(rule, contract)
        if expression is None:
            not_checked.append(rule.name)
        elif rule.test == "not_null" and rule.severity == "ERROR":
            not_null.add(rule.columns[0])
        elif rule.test == "unique":
            in_frame.append(_check(rule, expression))
        else:
            in_column[rule.columns[0]].append(_check(rule, expression))
    types = frame_types(contract)
    columns = {
        column.name: pa.Column(
            _accepted(types[column.name]), in_column[column.name], nullable=column.name not in not_null
        )
        for column in contract.columns
    }
    metadata = {"contract": contract.name, "version": contract.version, "not_checked": not_checked}
    return pa.DataFrameSchema(columns, checks=in_frame, strict=True, metadata=metadata, name=contract.name)


def _accepted(dtype: pl.DataType) -> pl.DataType | None:
    """The type if Pandera knows it; it has no maps, so those are checked by DuckDB alone."""
    from pandera.engines.polars_engine import Engine

    try:
        Engine.dtype(dtype)
    except TypeError:
        return None
    return dtype


def _check(rule: Rule, expression: pl.Expr) -> Any:
    import pandera.polars as pa

    def passes(data: Any) -> pl.LazyFrame:
        judged: pl.LazyFrame = data.lazyframe.select(expression.fill_null(True))
        return judged

    return pa.Check(
        passes,
        name=rule.name,
        error=f"{rule.name}: {rule.description}",
        raise_warning=rule.severity == "WARN",
        ignore_na=rule.test not in ("not_null", "not_missing"),
    )


def frame_types(contract: Contract) -> dict[str, pl.DataType]:
    """The polars type of each column, as DuckDB converts it (TIMESTAMPTZ is Datetime in microseconds,
    UTC)."""
    body = ", ".join(f"CAST(NULL AS {column.type}) AS {ident(column.name)}" for column in contract.columns)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return dict(connection.sql(f"SELECT {body}").pl().schema)


def row_expression(rule: Rule, contract: Contract) -> pl.Expr | None:
    """The rule as an expression that is False for a bad row and null or True for a good one.

    None for rules that need more than the frame: foreign keys and SQL.
    """
    import polars as pl

    column = contract.column(rule.columns[0]) if rule.columns else None
    if column is None:
        return None
    cell, value = pl.col(column.name), rule.value
    match rule.test:
        case "not_null":
            return cell.is_not_nan().fill_null(False) if column.floating else cell.is_not_null()
        case "finite":
            return cell.is_finite()
        case "min":
            return cell.ge(_plain(column, value))
        case "exclusive_min":
            return cell.gt(_plain(column, value))
        case "max":
            return cell.le(_plain(column, value))
        case "exclusive_max":
            return cell.lt(_plain(column, value))
        case "min_length" | "max_length":
            size = cell.str.len_chars() if column.type == "VARCHAR" else cell.list.len()
            return size.ge(value) if rule.test == "min_length" else size.le(value)
        case "unique_items":
            return cell.list.n_unique() == cell.list.len()
        case "multiple_of":
            ratio: pl.Expr = cell / value
            return (ratio - ratio.round()).abs() < 1e-9
        case "pattern":
            return cell.str.contains(rf"\A(?:{value})\z")
        case "format":
            shape = cell.str.contains(rf"\A(?:{PATTERNS[value]})\z")
            day = cell.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
            return cell.is_null() | (shape & day.is_not_null()) if value in WITH_DATE else shape
        case "values":
            return _among(column, value)
        case "not_missing":
            present = cell.is_null() | ~_among(column, [item for item in value if item is not None])
            return cell.is_not_null() & present if None in value else present
        case "unique":
            present = pl.all_horizontal(pl.col(rule.columns).is_not_null())
            return pl.struct(rule.columns).is_first_distinct() | ~present
    return None


def _among(column: Column, values: Sequence[Any]) -> pl.Expr:
    import polars as pl

    if not values:
        return pl.lit(value=False)
    tests = [pl.col(column.name) == _plain(column, value) for value in values]
    return pl.any_horizontal(tests)


def _plain(column: Column, value: Any) -> Any:
    """A timestamp bound of a column without a zone loses its own, which is UTC."""
    if isinstance(value, datetime) and column.type != "TIMESTAMP WITH TIME ZONE":
        return value.astimezone(UTC).replace(tzinfo=None)
    return value
