"""Rules that follow from how a column is declared: required, unique, options, enum, references.

Belongs here: the row tests and their SQL. Does not: the `quality` entries (quality.py), running them
(audit.py). A predicate is FALSE for a bad row; NULL passes every test but not_null.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

from cogniforge_pipeline.contracts.formats import DOCUMENTATION, PATTERNS, WITH_DATE
from cogniforge_pipeline.contracts.model import Column, Dimension, Rule, Severity
from cogniforge_pipeline.contracts.sqlcheck import check_pattern
from cogniforge_pipeline.contracts.yaml_text import Spot
from cogniforge_pipeline.sqltext import ident, literal

_BOUNDS = {
    "minimum": ("min", "at least"),
    "exclusiveMinimum": ("exclusive_min", "above"),
    "maximum": ("max", "at most"),
    "exclusiveMaximum": ("exclusive_max", "below"),
}
_LENGTHS = {
    "minLength": ("min_length", "at least {} characters"),
    "maxLength": ("max_length", "at most {} characters"),
    "minItems": ("min_length", "at least {} items"),
    "maxItems": ("max_length", "at most {} items"),
}
_DOCUMENTATION = {"timezone", "defaultTimezone", "required", "minProperties", "maxProperties", "dimensions"}
_OPERATORS = {
    "min": ">=",
    "exclusive_min": ">",
    "max": "<=",
    "exclusive_max": "<",
    "min_length": ">=",
    "max_length": "<=",
}


def predicate(test: str, columns: Sequence[Column], value: Any = None) -> str:
    """SQL of one row test. Patterns are RE2 and must match the whole text (`regexp_full_match`).

    For `foreign_key` the value is (`schema.table`, referenced column names); the table is read from the
    default catalog. A missing text is one of a list for `not_missing`. Raises ValueError for an unknown test.
    """
    column, name = columns[0], ident(columns[0].name)
    match test:
        case "not_null":
            return f"({name} IS NOT NULL AND NOT isnan({name}))" if column.floating else f"{name} IS NOT NULL"
        case "finite":
            return f"isfinite({name})"
        case "min" | "exclusive_min" | "max" | "exclusive_max":
            return f"{name} {_OPERATORS[test]} {_typed_literal(column, value)}"
        case "min_length" | "max_length":
            return f"len({name}) {_OPERATORS[test]} {literal(value)}"
        case "unique_items":
            return f"list_unique({name}) + least(len({name}) - list_count({name}), 1) = len({name})"  # NULL is an item
        case "multiple_of":
            return f"abs({name} / {literal(value)} - round({name} / {literal(value)})) < 1e-9"
        case "pattern":
            return f"regexp_full_match({name}, {literal(value)})"
        case "format":
            shape = f"regexp_full_match({name}, {literal(PATTERNS[value])})"
            exists = f" AND TRY_CAST(left({name}, 10) AS DATE) IS NOT NULL"
            return f"({name} IS NULL OR ({shape}{exists}))" if value in WITH_DATE else shape
        case "values":
            return f"{name} IN ({', '.join(_typed_literal(column, item) for item in value)})"
        case "not_missing":
            listed = ", ".join(_typed_literal(column, item) for item in value if item is not None)
            other = f"({name} IS NULL OR {name} NOT IN ({listed}))" if listed else "TRUE"
            return f"({name} IS NOT NULL AND {other})" if None in value else other
        case "foreign_key":
            return _foreign_key([ident(item.name) for item in columns], *value)
    raise ValueError(f"no row test is called {test!r}")


def _foreign_key(names: list[str], table: str, targets: Sequence[str]) -> str:
    wanted = [f"referred.{ident(target)}" for target in targets]
    source = f"{'.'.join(map(ident, table.split('.')))} AS referred"
    known = " AND ".join(f"{item} IS NOT NULL" for item in wanted)
    missing = " OR ".join(f"{name} IS NULL" for name in names)
    left = names[0] if len(names) == 1 else f"({', '.join(names)})"
    right = wanted[0] if len(names) == 1 else f"({', '.join(wanted)})"
    return f"({missing} OR {left} IN (SELECT {right} FROM {source} WHERE {known}))"


def row_rule(
    name: str,
    test: str,
    columns: Sequence[Column],
    description: str,
    *,
    value: Any = None,
    dimension: Dimension = "accuracy",
    severity: Severity = "ERROR",
) -> Rule:
    """A row rule of a named test, with its predicate filled in (`unique` has none)."""
    sql = "" if test == "unique" else predicate(test, columns, value)
    names = tuple(column.name for column in columns)
    return Rule(name, "row", test, names, severity, dimension, description, value=value, predicate=sql)


def column_rules(column: Column, spot: Spot) -> Iterator[Rule]:
    """The rules one column declares, except its uniqueness. All are ERROR. Raises ContractError at `spot`."""
    name = column.name
    if column.required:
        text = f"{name} must not be missing" + (" or NaN" if column.floating else "")
        yield row_rule(f"{name}_not_null", "not_null", [column], text, dimension="completeness")
    if column.custom.get("finite", "").lower() == "true":
        if not column.floating:
            spot.fail(f"finite is for DOUBLE and FLOAT, {name} is {column.type}", "remove the property")
        yield row_rule(f"{name}_finite", "finite", [column], f"{name} must be finite")
    if column.enum:
        values = tuple(typed(column, value, spot.at("enum")) for value in column.enum)
        yield values_rule(f"{name}_values", column, values)
    for option, value in column.options.items():
        yield from _option_rule(column, option, value, spot.at("logicalTypeOptions", option))
    if column.references:
        table, _, target = column.references.rpartition(".")
        yield foreign_key_rule([column], table, [target])


def values_rule(name: str, column: Column, values: tuple[Any, ...], severity: Severity = "ERROR") -> Rule:
    """The rule that a column holds one of the listed values, or NULL."""
    text = f"{column.name} must be one of {', '.join(map(str, values))}"
    return row_rule(name, "values", [column], text, value=values, severity=severity)


def foreign_key_rule(columns: Sequence[Column], table: str, targets: Sequence[str]) -> Rule:
    """The rule that the columns name a row of `table` (`schema.table`), or hold a NULL."""
    names = [column.name for column in columns]
    text = f"{', '.join(names)} must exist in {table} ({', '.join(targets)})"
    slug = f"{'_'.join(names)}_in_{table.replace('.', '_')}"
    return row_rule(slug, "foreign_key", columns, text, value=(table, tuple(targets)), dimension="consistency")


def unique_rule(columns: Sequence[Column], *, primary: bool = False, severity: Severity = "ERROR") -> Rule:
    """The rule that no two rows agree in all `columns`; rows with a NULL among them pass."""
    names = [column.name for column in columns]
    text = f"{', '.join(names)} must be unique, this is an extra row"
    value = "primary key" if primary else None
    slug = f"unique_{'_'.join(names)}"
    return row_rule(slug, "unique", columns, text, value=value, dimension="uniqueness", severity=severity)


def pattern_rule(name: str, column: Column, pattern: Any, spot: Spot, severity: Severity = "ERROR") -> Rule:
    """The rule that the whole text matches an RE2 pattern. Raises ContractError for one that RE2 cannot
    read."""
    if column.type != "VARCHAR" or not isinstance(pattern, str):
        spot.fail(f"a pattern is a text for a VARCHAR column, {column.name} is {column.type}", "correct one")
    try:
        check_pattern(pattern)
    except ValueError as error:
        spot.fail(
            f"pattern {pattern!r} is not one RE2 can read: {error}",
            "RE2 has no look-around and no back references; see github.com/google/re2/wiki/Syntax",
        )
    text = f"{column.name} must match {pattern}"
    return row_rule(name, "pattern", [column], text, value=pattern, severity=severity)


def _option_rule(column: Column, option: str, value: Any, spot: Spot) -> Iterator[Rule]:
    name = column.name
    if option in _BOUNDS:
        test, words = _BOUNDS[option]
        bound = typed(column, value, spot)
        yield row_rule(f"{name}_{test}", test, [column], f"{name} must be {words} {bound}", value=bound)
    elif option in _LENGTHS:
        test, words = _LENGTHS[option]
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            spot.fail(f"{option} expects a whole number from 0, found {value!r}", "correct the number")
        if option.endswith("Length") != (column.type == "VARCHAR"):
            spot.fail(f"{option} does not fit {name}, which is {column.type}", "remove it or change the type")
        text = f"{name} must have {words.format(value)}"
        yield row_rule(f"{name}_{test}", test, [column], text, value=value)
    elif option == "pattern":
        yield pattern_rule(f"{name}_pattern", column, value, spot)
    elif option == "multipleOf":
        if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
            spot.fail(f"multipleOf expects a number above 0, found {value!r}", "correct the number")
        text = f"{name} must be a multiple of {value}"
        yield row_rule(f"{name}_multiple_of", "multiple_of", [column], text, value=value)
    elif option == "uniqueItems":
        if value is True:
            text = f"{name} must not repeat an item"
            yield row_rule(f"{name}_unique_items", "unique_items", [column], text)
    elif option == "format":
        if column.type == "VARCHAR" and value in PATTERNS:
            text = f"{name} must be written as {value}"
            yield row_rule(f"{name}_format", "format", [column], text, value=value)
        elif column.type == "VARCHAR" and value not in DOCUMENTATION:
            spot.fail(f"format {value!r} is unknown", f"use one of {', '.join(PATTERNS)}, or a pattern")
    elif option not in _DOCUMENTATION:
        known = ", ".join([*_BOUNDS, *_LENGTHS, "pattern", "format", "multipleOf", "uniqueItems"])
        spot.fail(f"logicalTypeOptions has no option {option!r}", f"use one of {known}")


def typed(column: Column, value: Any, spot: Spot) -> Any:
    """A YAML value as the column's Python value: naive timestamps are UTC. Raises ContractError when it does
    not fit."""
    expected = ""
    try:
        if column.type == "DATE":
            expected = "a date such as 2024-01-31"
            return value if type(value) is date else date.fromisoformat(value)
        if column.temporal:
            expected = "a timestamp such as 2024-01-31T00:00:00Z"
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError):
        spot.fail(f"{column.name} expects {expected}, found {value!r}", "correct the value")
    if column.type == "VARCHAR":
        expected, fits = "a text", isinstance(value, str)
    elif column.type == "BOOLEAN":
        expected, fits = "true or false", isinstance(value, bool)
    else:
        expected, fits = "a number", isinstance(value, int | float) and not isinstance(value, bool)
    if not fits:
        spot.fail(
            f"{column.name} is {column.type} and expects {expected}, found {value!r}",
            "correct the value; YAML reads yes, no, on, off and dates as such unless they are quoted",
        )
    return value


def _typed_literal(column: Column, value: Any) -> str:
    if isinstance(value, datetime) and column.type != "TIMESTAMP WITH TIME ZONE":
        return f"CAST({literal(value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' '))} AS {column.type})"
    return literal(value)
