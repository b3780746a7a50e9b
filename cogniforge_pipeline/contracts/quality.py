"""Rules that the `quality` entries of a contract state: library metrics and SQL.

Belongs here: from one ODCS quality entry to one Rule. Does not: running it (audit.py).

Which kind a rule is follows from its bound:
- a library metric that must be exactly 0 rows names its offenders, so it is a row rule;
- any other bound is a table rule on the count, or on the share when `unit` is percent;
- `type: sql` with a SELECT is a table rule on the one value it returns; `${table}` or `${object}` stands for
  the table, `${column}` or `${property}` for the column (the `$` may be left out);
- `type: sql` with a boolean expression over the columns and `mustBe: true` is a row rule;
- `type: text` is documentation. `type: custom` belongs to another engine and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from open_data_contract_standard.model import DataQuality

from cogniforge_pipeline.contracts.model import Bounds, Column, Dimension, Rule, Severity
from cogniforge_pipeline.contracts.rules import pattern_rule, row_rule, typed, unique_rule, values_rule
from cogniforge_pipeline.contracts.sqlcheck import check_expression, check_query
from cogniforge_pipeline.contracts.yaml_text import Spot
from cogniforge_pipeline.sqltext import ident

_OPERATORS = (
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
)
_METRICS = ("rowCount", "nullValues", "missingValues", "invalidValues", "duplicateValues")
_ERROR = {"error", "critical", "fatal", "blocker", "high"}
_WARN = {"warn", "warning", "info", "medium", "low", "minor"}
_DIMENSIONS: dict[str, Dimension] = {
    "accuracy": "accuracy",
    "conformity": "accuracy",
    "completeness": "completeness",
    "coverage": "volume",
    "consistency": "consistency",
    "timeliness": "timeliness",
    "uniqueness": "uniqueness",
}
_DEFAULTS: dict[str, Dimension] = {
    "rowCount": "volume",
    "nullValues": "completeness",
    "missingValues": "completeness",
    "invalidValues": "accuracy",
    "duplicateValues": "uniqueness",
}
TABLE = re.compile(r"\$?\{(?:table|object)\}")
_SELECT = re.compile(r"(?:select|with|from)\b", re.IGNORECASE)
_COLUMN = re.compile(r"\$?\{(?:column|property)\}")


def quality_rule(entry: DataQuality, column: Column | None, columns: Mapping[str, Column], spot: Spot) -> Rule | None:
    """The rule of one entry, at the level of a column or (column None) of the table; None for a text.

    Raises ContractError at `spot` for what this platform cannot check.
    """
    if entry.type == "text":
        return None
    if entry.type == "sql":
        rule = _sql_rule(entry, column, columns, spot)
    elif entry.type in (None, "library"):
        rule = _library_rule(entry, column, columns, spot)
    else:
        spot.at("type").fail(
            f"quality type {entry.type!r} is not checked here",
            "write it as type library or sql, or as type text to keep it as documentation",
        )
    changes: dict[str, Any] = {"severity": _severity(entry, spot)}
    if entry.name or entry.id:
        changes["name"] = re.sub(r"[^a-z0-9]+", "_", (entry.name or entry.id or "").lower()).strip("_")
    if entry.description:
        changes["description"] = " ".join(entry.description.split())
    if entry.dimension:
        if entry.dimension not in _DIMENSIONS:
            known = ", ".join(_DIMENSIONS)
            spot.at("dimension").fail(f"dimension {entry.dimension!r} is unknown", f"use one of {known}")
        changes["dimension"] = _DIMENSIONS[entry.dimension]
    return replace(rule, **changes)


def _library_rule(entry: DataQuality, column: Column | None, columns: Mapping[str, Column], spot: Spot) -> Rule:
    metric = entry.metric or entry.rule
    if metric not in _METRICS:
        spot.fail(f"quality metric {metric!r} is unknown", f"use one of {', '.join(_METRICS)}, or type sql")
    bounds = _bounds(entry, spot)
    if bounds is None:
        spot.fail(f"{metric} has no bound", f"add one of {', '.join(_OPERATORS)}")
    if entry.unit not in (None, "rows", "percent"):
        spot.at("unit").fail(f"unit {entry.unit!r} is unknown", "use rows or percent")
    percent = entry.unit == "percent"
    arguments = entry.arguments or {}
    if metric == "rowCount":
        if percent:
            spot.at("unit").fail("rowCount has no percent", "use rows")
        return _table_rule("row_count", metric, (), "rows", "count(*)", bounds)
    row = _counted(metric, column, columns, arguments, spot)
    if bounds == Bounds("mustBe", 0):
        return row
    names = "_".join(row.columns)
    words = {
        "nullValues": "missing values",
        "missingValues": "missing values",
        "invalidValues": "invalid values",
        "duplicateValues": "extra rows",
    }[metric]
    measure = f"count(*) FILTER (NOT ({row.predicate}))" if row.predicate else ""
    slug = f"{names}_{re.sub('[A-Z]', lambda m: '_' + m.group().lower(), metric)}"
    subject = f"{words} of {', '.join(row.columns)}" + (" in percent" if percent else "")
    rule = _table_rule(slug, metric, row.columns, subject, measure, bounds)
    return replace(rule, percent=percent, value=row.value)


def _counted(
    metric: str,
    column: Column | None,
    columns: Mapping[str, Column],
    arguments: Mapping[str, Any],
    spot: Spot,
) -> Rule:
    """The row rule whose offenders a library metric counts."""
    wanted = {
        "nullValues": (),
        "missingValues": ("missingValues",),
        "invalidValues": ("validValues", "pattern"),
        "duplicateValues": ("properties",),
    }[metric]
    for key in arguments:
        if key not in wanted:
            known = ", ".join(wanted) or "none"
            spot.at("arguments", key).fail(f"{metric} has no argument {key!r}", f"its arguments: {known}")
    if metric == "duplicateValues":
        names = arguments.get("properties") or ([column.name] if column else None)
        if not isinstance(names, list) or not all(name in columns for name in names):
            spot.fail(
                f"duplicateValues expects columns of this table, found {names!r}",
                "list them under arguments: properties: [...]",
            )
        return unique_rule([columns[name] for name in names])
    if column is None:
        spot.fail(f"{metric} is about one column", "move the entry to the quality of that column")
    name = column.name
    if metric == "nullValues":
        text = f"{name} must not be missing"
        return row_rule(f"{name}_null_values", "not_null", [column], text, dimension="completeness")
    if metric == "missingValues":
        place = spot.at("arguments", "missingValues")
        listed = _listed(arguments.get("missingValues", [None]), place)
        values = tuple(None if item is None else typed(column, item, place) for item in listed)
        text = f"{name} must not be missing ({', '.join('NULL' if v is None else repr(v) for v in values)})"
        return row_rule(f"{name}_missing_values", "not_missing", [column], text, value=values, dimension="completeness")
    if len(arguments) != 1:
        spot.fail("invalidValues expects one of its arguments", "state either validValues or pattern")
    if "pattern" in arguments:
        return pattern_rule(f"{name}_invalid_values", column, arguments["pattern"], spot.at("arguments", "pattern"))
    place = spot.at("arguments", "validValues")
    values = tuple(typed(column, item, place) for item in _listed(arguments["validValues"], place))
    return values_rule(f"{name}_invalid_values", column, values)


def _listed(value: Any, spot: Spot) -> list[Any]:
    if not isinstance(value, list) or not value:
        spot.fail(f"expected a list of values, found {value!r}", "write it as [a, b]")
    return value


def _sql_rule(entry: DataQuality, column: Column | None, columns: Mapping[str, Column], spot: Spot) -> Rule:
    place = spot.at("query")
    if not entry.query or not entry.query.strip():
        spot.fail("quality of type sql has no query", "add a SELECT or a boolean expression as query")
    text = entry.query.strip().rstrip(";").strip()
    if _COLUMN.search(text):
        if column is None:
            place.fail("this query is about the table, ${column} has no meaning", "name the column")
        text = _COLUMN.sub(lambda _: ident(column.name), text)
    bounds = _bounds(entry, spot)
    everything = list(columns.values())
    words = {word.lower() for word in re.findall(r"\w+", text)}
    names = (column.name,) if column else tuple(name for name in columns if name.lower() in words)
    slug = "_".join(names) or "table"
    if not _SELECT.match(text):
        if bounds not in (None, Bounds("mustBe", True)):
            spot.fail("an expression must be true for every row", "bound it with mustBe: true, or write a SELECT")
        _checked(lambda: check_expression(text, everything), place)
        return Rule(f"{slug}_sql", "row", "sql", names, "ERROR", "consistency", text, predicate=f"({text})")
    if bounds is None:
        spot.fail("the value of the query has no bound", f"add one of {', '.join(_OPERATORS)}")
    if not TABLE.search(text):
        place.fail("the query does not read the table it checks", "write FROM ${table}")
    _checked(lambda: check_query(TABLE.sub("checked", text), everything), place)
    return _table_rule(f"{slug}_sql", "sql", names, f"the value of {text}", text, bounds)


def _checked(check: Callable[[], None], place: Spot) -> None:
    try:
        check()
    except ValueError as error:
        place.fail(f"the SQL cannot be used: {error}", "correct it; it is DuckDB SQL over the columns above")


def _table_rule(name: str, test: str, columns: tuple[str, ...], subject: str, measure: str, bounds: Bounds) -> Rule:
    dimension = _DEFAULTS.get(test, "consistency")
    text = f"{subject} {bounds}"
    return Rule(name, "table", test, columns, "ERROR", dimension, text, measure=measure, bounds=bounds)


def _bounds(entry: DataQuality, spot: Spot) -> Bounds | None:
    stated = [name for name in _OPERATORS if name in entry.model_fields_set]
    if len(stated) > 1:
        spot.fail(f"{', '.join(stated)} are stated together", "keep one bound, mustBeBetween holds two")
    return Bounds(stated[0], getattr(entry, stated[0])) if stated else None


def _severity(entry: DataQuality, spot: Spot) -> Severity:
    word = (entry.severity or "error").lower()
    if word not in _ERROR | _WARN:
        known = ", ".join(sorted(_ERROR | _WARN))
        spot.at("severity").fail(f"severity {entry.severity!r} is unknown", f"use one of {known}")
    return "ERROR" if word in _ERROR else "WARN"
