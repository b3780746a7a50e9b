"""The rules of a contract as expectations of Great Expectations, and the rows to judge by them.

Belongs here: translating rules, and a sample as a frame. Does not: the pages (`data_docs.py`), or the audit, whose word
counts: an expectation shows a rule to readers, a publication is judged by `contracts.audit` alone.

Rules that Great Expectations has no expectation for (foreign keys, SQL, times, nested values, most table rules) are
judged by DuckDB. Their verdict comes with the sample as a column that is NULL where the rule holds, and holds the values
that break it elsewhere; the expectation is that this column is NULL.

Great Expectations takes many seconds to import, so everything that needs it is imported inside.
"""

from __future__ import annotations

import html
import re
import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cogniforge_pipeline import contracts
from cogniforge_pipeline.contracts import Audit, Bounds, Contract, Rule
from cogniforge_pipeline.contracts.audit import SHAPE
from cogniforge_pipeline.contracts.formats import PATTERNS, WITH_DATE
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.sqltext import ident, literal

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.expectations.expectation import Expectation

ROWS = 10_000
"""So many rows of a table are judged at most."""
SEED = 20_260_301
"""The same rows give the same sample."""

_INTEGERS = {f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")}
_NUMBERS = _INTEGERS | {"DOUBLE", "FLOAT"}
_KEPT = _NUMBERS | {"VARCHAR", "BOOLEAN", "TIMESTAMP WITH TIME ZONE"}
_ONLY_RE2 = re.compile(r"\[\[:|\\[pPQEzC]")
"""What Python's `re` reads otherwise than RE2, or not at all."""

_DIFFERENCES = {
    "unique": "Great Expectations counts every row of a repeated key, the audit counts the extra rows: all but one of them.",
    "max": "The audit lets no NaN pass here, Great Expectations takes it for missing.",
    "exclusive_max": "The audit lets no NaN pass here, Great Expectations takes it for missing.",
}
_COMPUTED = "Judged by DuckDB as in the audit; the values that break it are shown."
_FIGURE = "Measured by DuckDB on all rows, not on the sample; an empty table is not shown as broken."


def expectations(contract: Contract, *, whole: bool = True) -> list[Expectation]:
    """One expectation for each rule of a contract, and one for its columns, in the contract's order.

    `whole` says that the frame to judge is all there is, so that its rows may be counted. `meta["rule"]` names the rule;
    where `meta["computed"]` is true, the frame needs the column of `rule_column`, which `sample` adds. Severity ERROR is
    `critical`, WARN is `warning`.
    """
    known: Any = import_module("great_expectations.expectations")
    columns = {"column_set": [column.name for column in contract.columns], "exact_match": False}
    found: list[Expectation] = [known.ExpectTableColumnsToMatchSet(**columns, **_about(SHAPE, False))]
    for rule in contract.rules:
        kind, values = _kind(rule, contract, whole)
        found.append(getattr(known, kind)(**values, **_about(rule, computed(rule, contract, whole=whole))))
    return found


def rule_column(rule: str) -> str:
    """The name of the column that holds DuckDB's verdict on a rule."""
    return f"rule {rule}"


def computed(rule: Rule, contract: Contract, *, whole: bool = True) -> bool:
    """Whether a rule is judged by DuckDB, because Great Expectations cannot, or would judge otherwise."""
    if rule.kind == "table":
        return rule.test != "rowCount" or not whole or _between(rule.bounds) is None
    if rule.test == "unique":
        return False
    column = contract.column(rule.columns[0]) if rule.columns else None
    if column is None:
        return True
    match rule.test:
        case "not_null":
            return False
        case "min" | "exclusive_min" | "max" | "exclusive_max":
            return column.type not in _NUMBERS
        case "min_length" | "max_length":
            return column.type != "VARCHAR"
        case "values":
            return column.type not in _NUMBERS | {"VARCHAR"}
        case "pattern":
            return not _readable(rule.value)
        case "format":
            return rule.value in WITH_DATE
        case _:
            return True


def sample(cursor: Connection, contract: Contract, relation: str, rows: int) -> pd.DataFrame:
    """At most ROWS of the `rows` rows of a relation (SQL for FROM), with the columns of rules that DuckDB judges.

    Rows are chosen by a seeded hash of the primary key, so that rows of one key come together or not at all. Nested
    values, dates and other types that pandas has no good one for come as text.
    """
    import pandas as pd
    import pyarrow as pa

    whole = rows <= ROWS
    chosen = [rule for rule in contract.rules if computed(rule, contract, whole=whole)]
    figures = [rule for rule in chosen if rule.kind == "table"]
    audit = contracts.audit(cursor, contract, relation) if figures else None
    columns = [f"{_shown(column.name, column.type)} AS {ident(column.name)}" for column in contract.columns]
    columns += [f"{_verdict(rule, audit)} AS {ident(rule_column(rule.name))}" for rule in chosen]
    key = ", ".join(map(ident, contract.primary_key)) or "judged"
    limit = "" if whole else f"ORDER BY hash({key}, {SEED}) LIMIT {ROWS}"
    found = cursor.execute(f"SELECT {', '.join(columns)} FROM (SELECT * FROM {relation} AS judged {limit})")
    # a column of integers with a NULL would come as floats, which no longer tell large identifiers apart
    integers = {getattr(pa, name.lower())(): getattr(pd, f"{name}Dtype")() for name in _PANDAS_INTEGERS}
    frame: pd.DataFrame = found.to_arrow_table().to_pandas(types_mapper=integers.get)
    return frame


_PANDAS_INTEGERS = [f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]


def _shown(name: str, kind: str) -> str:
    if kind in _KEPT:
        return ident(name)
    nested = kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION"))
    return f"CAST({f'to_json({ident(name)})' if nested else ident(name)} AS VARCHAR)"


def _verdict(rule: Rule, audit: Audit | None) -> str:
    if rule.kind == "row":
        values = ", ".join(f"{literal(name)}: {ident(name)}" for name in rule.columns)
        broken = f"CAST(to_json({{{values}}}) AS VARCHAR)" if values else "'broken'"
        return f"CASE WHEN NOT ({rule.predicate}) THEN {broken} END"
    result = next(each for each in audit.results if each.rule.name == rule.name) if audit else None
    if result is None or result.passed:
        return "CAST(NULL AS VARCHAR)"
    return f"CASE WHEN row_number() OVER () = 1 THEN {literal(f'observed {result.observed}')} END"


def _kind(rule: Rule, contract: Contract, whole: bool) -> tuple[str, dict[str, Any]]:
    """The class of a rule's expectation, and its arguments."""
    if computed(rule, contract, whole=whole):
        return "ExpectColumnValuesToBeNull", {"column": rule_column(rule.name)}
    if rule.kind == "table":
        return "ExpectTableRowCountToBeBetween", dict(_between(rule.bounds) or {})
    name, value = rule.columns[0], rule.value
    match rule.test:
        case "unique" if len(rule.columns) > 1:
            columns = {"column_list": list(rule.columns), "ignore_row_if": "any_value_is_missing"}
            return "ExpectCompoundColumnsToBeUnique", columns
        case "unique":
            return "ExpectColumnValuesToBeUnique", {"column": name}
        case "not_null":
            return "ExpectColumnValuesToNotBeNull", {"column": name}
        case "min" | "exclusive_min" | "max" | "exclusive_max":
            end = rule.test.removeprefix("exclusive_")
            bound = {f"{end}_value": value, f"strict_{end}": rule.test != end}
            return "ExpectColumnValuesToBeBetween", {"column": name, **bound}
        case "min_length" | "max_length":
            return "ExpectColumnValueLengthsToBeBetween", {"column": name, f"{rule.test[:3]}_value": value}
        case "values":
            return "ExpectColumnValuesToBeInSet", {"column": name, "value_set": list(value)}
        case "pattern" | "format":
            pattern = PATTERNS[value] if rule.test == "format" else value
            return "ExpectColumnValuesToMatchRegex", {"column": name, "regex": _whole_text(pattern)}
    raise AssertionError(f"{rule.test} is not computed, and has no expectation")


def _about(rule: Rule, is_computed: bool) -> dict[str, Any]:
    """What a page says of a rule. Great Expectations puts a description into a page as it is, so it is escaped here."""
    note = "" if is_computed else _DIFFERENCES.get(rule.test, "")
    text = f"{rule.name}: {rule.description}." + (f" {note}" if note else "")
    if is_computed:
        note = _FIGURE if rule.kind == "table" else _COMPUTED
    about: dict[str, Any] = {
        "description": html.escape(text),
        "meta": {"rule": rule.name, "test": rule.test, "computed": is_computed},
        "severity": "critical" if rule.severity == "ERROR" else "warning",
    }
    return about | ({"notes": [note]} if note else {})


def _between(bounds: Bounds | None) -> Mapping[str, int] | None:
    """The numbers of rows that keep the bounds, or None where those are not one range of whole numbers."""
    if bounds is None:
        return None
    low, high = bounds.value if bounds.operator == "mustBeBetween" else (bounds.value, bounds.value)
    if not all(isinstance(number, int) for number in (low, high)):
        return None
    ranges = {
        "mustBe": {"min_value": low, "max_value": high},
        "mustBeBetween": {"min_value": low, "max_value": high},
        "mustBeGreaterThan": {"min_value": low + 1},
        "mustBeGreaterOrEqualTo": {"min_value": low},
        "mustBeLessThan": {"max_value": high - 1},
        "mustBeLessOrEqualTo": {"max_value": high},
    }
    return ranges.get(bounds.operator)


def _readable(pattern: str) -> bool:
    """Whether Python reads a pattern of RE2: by the versions of pandas and pyarrow one or the other judges it."""
    if _ONLY_RE2.search(pattern):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            re.compile(_whole_text(pattern))
        except (re.error, Warning):
            return False
    return True


def _whole_text(pattern: str) -> str:
    return rf"\A(?:{pattern})\Z"
