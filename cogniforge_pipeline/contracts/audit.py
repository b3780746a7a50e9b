"""Checking a relation against its contract: one statement, one pass, all figures.

Belongs here: counting what breaks the rules, and the quality figures. Does not: dividing good from bad rows
(split.py), storing figures, deciding what a broken rule does to a run.

`relation` is SQL for a FROM clause, written by the caller: a quoted table name, or a SELECT in parentheses.
Give a table when the rows are costly to compute: each unique key and each SQL table rule reads it once more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from cogniforge_pipeline.contracts.model import Bounds, Contract, Rule
from cogniforge_pipeline.contracts.quality import TABLE
from cogniforge_pipeline.contracts.split import bad_rows, good_rows
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.sqltext import ident

__all__ = ["Audit", "RuleResult", "audit", "bad_rows", "good_rows"]

_UNIQUE = ("unique", "duplicateValues")
_WINDOW = re.compile(r"\bover\b", re.IGNORECASE)
"""What a window function has and another predicate may have: one with it is judged among all rows."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"}
_INTEGERS |= {f"U{name}" for name in _INTEGERS}
SHAPE = Rule(
    "columns",
    "table",
    "shape",
    (),
    "ERROR",
    "consistency",
    "the table has the contract's columns and types",
    bounds=Bounds("mustBe", 0),
)
"""The rule that every contract has without saying so."""


@dataclass(frozen=True)
class RuleResult:
    """What one rule gave. `failing` counts bad rows (0 for a table rule), `observed` is the compared
    figure."""

    rule: Rule
    passed: bool
    failing: int
    observed: Any
    message: str


@dataclass(frozen=True)
class Audit:
    """All that one audit saw.

    `figures` has completeness (share of required cells that hold a value), accuracy and consistency (shares
    of rows that break no row rule of that dimension), timeliness (1 when the newest row is as fresh as
    promised, else promised / actual age), freshness_seconds, volume (rows) and error_rate (share of rows that
    break an ERROR row rule). Shares of an empty table are 1, its error rate 0. Timeliness and freshness are
    None where there is no promise, no time column, no row or no `as_of`; freshness is negative when the
    newest row lies after `as_of`.
    """

    rows: int
    bad_rows: int
    figures: Mapping[str, float | int | None]
    results: tuple[RuleResult, ...]
    null_counts: Mapping[str, int]
    first_time: datetime | None = None
    last_time: datetime | None = None

    @property
    def blocking(self) -> tuple[RuleResult, ...]:
        """Broken ERROR table rules: the table must not be published."""
        return tuple(r for r in self.results if not r.passed and r.rule.kind == "table" and r.rule.severity == "ERROR")

    @property
    def row_failures(self) -> bool:
        """True when some row breaks an ERROR row rule and must go to quarantine."""
        return any(not r.passed and r.rule.kind == "row" and r.rule.severity == "ERROR" for r in self.results)

    @property
    def warnings(self) -> tuple[RuleResult, ...]:
        """Broken WARN rules of both kinds, to report."""
        return tuple(r for r in self.results if not r.passed and r.rule.severity == "WARN")

    @property
    def broken(self) -> frozenset[str]:
        """Names of the rules that do not hold; `good_rows` and `bad_rows` take it to do no needless work."""
        return frozenset(r.rule.name for r in self.results if not r.passed)


def audit(
    con: duckdb.DuckDBPyConnection,
    contract: Contract,
    relation: str,
    *,
    as_of: datetime | None = None,
    ordered: bool = False,
) -> Audit:
    """Check `relation` against all rules of the contract.

    `as_of` (aware) is the moment freshness is measured at. `ordered` says that the relation is a table whose rows were
    inserted in the order of the contract's sort columns: a key of those columns is then checked by comparing
    neighbours, 40 times cheaper than grouping; should the order not hold, or a key be NULL, the rows are grouped.

    Tables that foreign keys name are read from the default catalog. A wrong shape ends the audit: its result is the one
    blocking rule `columns`. Raises CogniforgeError when the rules cannot be run, for instance because a referenced table
    does not exist.
    """
    try:
        differences = shape_differences(con, contract, relation)
        if differences:
            count = _row(con, f"SELECT count(*) AS n FROM {relation}")["n"]
            figures = dict.fromkeys(_FIGURES) | {"volume": count}
            message = "; ".join(differences)
            return Audit(count, 0, figures, (RuleResult(SHAPE, False, 0, len(differences), message),), {})
        seen = _row(con, _statement(contract, relation, ordered))
        for rule in contract.rules:
            if rule.test in _UNIQUE and seen[rule.name] is None:
                seen[rule.name] = _row(con, f"SELECT {_extra_rows(rule.columns, relation)} AS n FROM {relation}")["n"]
        seen["all:error"] += _extra_among_good(con, contract, relation, seen)
    except duckdb.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise CogniforgeError(
            f"{contract.path}: the rules of {contract.name} cannot be run: {reason}",
            "materialize the tables that its foreign keys name first; else correct the contract's SQL",
        ) from error
    return _judge(contract, seen, as_of)


def _extra_among_good(
    con: duckdb.DuckDBPyConnection, contract: Contract, relation: str, seen: Mapping[str, Any]
) -> int:
    """How many rows break a unique key and no other rule; only broken rules are looked at again."""
    broken = [rule for rule in _row_rules(contract, "ERROR") if seen[rule.name]]
    keys = [rule for rule in broken if rule.test == "unique"]
    if not keys:
        return 0
    if len(broken) == 1:
        return int(seen[keys[0].name])
    others = {rule.name for rule in broken if rule.test != "unique"}
    if len(keys) == 1 and not any(_WINDOW.search(rule.predicate) for rule in broken):
        by, name = ", ".join(map(ident, keys[0].columns)), ident("audit:doubtful")
        repeated = f"SELECT {by} FROM {relation} GROUP BY {by} HAVING count(*) > 1"
        doubtful = f"SELECT * FROM {relation} SEMI JOIN ({repeated}) AS repeated USING ({by})"
        good = good_rows(contract, name, broken=others)
        extra = f"SELECT count(*) - 1 AS n FROM ({good}) GROUP BY {by}"
        statement = f"WITH {name} AS MATERIALIZED ({doubtful}) SELECT coalesce(sum(n), 0) AS n FROM ({extra})"
        return int(_row(con, statement)["n"])
    good = good_rows(contract, relation, broken=others)
    kept = good_rows(contract, relation, broken={rule.name for rule in broken})
    counts = f"(SELECT count(*) FROM ({good})) - (SELECT count(*) FROM ({kept}))"
    return int(_row(con, f"SELECT {counts} AS n")["n"])


def shape_differences(con: duckdb.DuckDBPyConnection, contract: Contract, relation: str) -> list[str]:
    """In words: columns that lack, that the contract does not know, or whose type would lose values."""
    found = {name: str(kind) for name, kind, *_ in con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
    wanted = {column.name: column.type for column in contract.columns}
    words = [f"column {name} {kind} is missing" for name, kind in wanted.items() if name not in found]
    words += [f"column {name} is not in the contract" for name in found if name not in wanted]
    pairs = [(n, found[n], kind) for n, kind in wanted.items() if n in found and found[n] != kind]
    pairs = [(n, a, b) for n, a, b in pairs if not (a in _INTEGERS and b in _INTEGERS)]
    if pairs:
        tests = ", ".join(f"can_cast_implicitly(CAST(NULL AS {a}), CAST(NULL AS {b}))" for _, a, b in pairs)
        fits = con.execute(f"SELECT {tests}").fetchall()[0]
        words += [
            f"column {n} is {a}, the contract says {b}" for (n, a, b), ok in zip(pairs, fits, strict=True) if not ok
        ]
    return words


_FIGURES = (
    "completeness",
    "accuracy",
    "consistency",
    "timeliness",
    "freshness_seconds",
    "volume",
    "error_rate",
)


def _row(con: duckdb.DuckDBPyConnection, statement: str) -> dict[str, Any]:
    cursor = con.execute(statement)
    values = cursor.fetchall()[0]
    return dict(zip((item[0] for item in cursor.description), values, strict=True))


def _row_rules(contract: Contract, severity: str | None = None) -> list[Rule]:
    return [r for r in contract.rules if r.kind == "row" and severity in (None, r.severity)]


def _statement(contract: Contract, relation: str, ordered: bool) -> str:
    """The one statement. The inner SELECT judges each row once, the outer one only counts."""
    tests = [rule for rule in _row_rules(contract) if rule.test != "unique"]
    marks = {rule.name: ident(f"rule:{rule.name}") for rule in tests}
    judged = "".join(f", ({rule.predicate}) AS {marks[rule.name]}" for rule in tests)
    wanted = {"all:rows": "count(*)"}
    if contract.time_column:
        time = ident(contract.time_column)
        for end in ("min", "max"):
            wanted[f"all:{end}"] = f"epoch_us({end}({time}) FILTER (WHERE isfinite({time})))"
    for column in contract.columns:
        wanted[f"nulls:{column.name}"] = f"count(*) - count({ident(column.name)})"
    for rule in tests:
        wanted[rule.name] = f"count(*) FILTER (NOT {marks[rule.name]})"
    groups: dict[str, list[Rule]] = {"all:error": [rule for rule in tests if rule.severity == "ERROR"]}
    for dimension in ("accuracy", "consistency"):
        groups[f"all:{dimension}"] = [rule for rule in tests if rule.dimension == dimension]
    for name, members in groups.items():
        every = " AND ".join(marks[rule.name] for rule in members)
        wanted[name] = f"count(*) FILTER (NOT ({every}))" if members else "0"
    for rule in contract.rules:
        if rule.test in _UNIQUE:
            leading = contract.sort_by[: len(rule.columns)]
            neighbours = ordered and set(leading) == set(rule.columns)
            wanted[rule.name] = (
                _equal_neighbours(leading, relation) if neighbours else _extra_rows(rule.columns, relation)
            )
        elif rule.kind == "table":
            wanted[rule.name] = f"({TABLE.sub(lambda _: relation, rule.measure)})"
    body = ", ".join(f"{sql} AS {ident(name)}" for name, sql in wanted.items())
    return f"SELECT {body} FROM (SELECT *{judged} FROM {relation})"


def _extra_rows(columns: Sequence[str], relation: str) -> str:
    """Rows beyond the first of each key, as an expression over `relation`.

    Counting the groups beats count(DISTINCT) and HAVING on 20 million rows.
    """
    keys = [ident(name) for name in columns]
    present = " AND ".join(f"{key} IS NOT NULL" for key in keys)
    groups = f"SELECT 1 FROM {relation} WHERE {present} GROUP BY {', '.join(keys)}"
    return f"count(*) FILTER ({present}) - (SELECT count(*) FROM ({groups}))"


def _equal_neighbours(columns: Sequence[str], relation: str) -> str:
    """Rows that agree with the row before in every column; NULL when one sorts below it or a key is NULL."""
    keys = [ident(name) for name in columns]
    before = [ident(f"before:{name}") for name in columns]
    lags = ", ".join(f"lag({key}) OVER () AS {b}" for key, b in zip(keys, before, strict=True))
    pairs = list(zip(keys, before, strict=True))
    equal = " AND ".join(f"{key} = {b}" for key, b in pairs)
    smaller = [
        " AND ".join([*(f"{k} = {b}" for k, b in pairs[:n]), f"{pairs[n][0]} < {pairs[n][1]}"])
        for n in range(len(pairs))
    ]
    below = " OR ".join([*(f"({test})" for test in smaller), *(f"{key} IS NULL" for key in keys)])
    return (
        f"(SELECT CASE WHEN count_if({below}) = 0 THEN count_if({equal}) END "
        f"FROM (SELECT {', '.join(keys)}, {lags} FROM {relation}))"
    )


def _judge(contract: Contract, seen: Mapping[str, Any], as_of: datetime | None) -> Audit:
    rows: int = seen["all:rows"]
    results = [_result(rule, seen[rule.name], rows) for rule in contract.rules]
    times = [seen.get(f"all:{end}") for end in ("min", "max")]
    first, last = (None if time is None else _EPOCH + timedelta(microseconds=time) for time in times)
    freshness = (as_of - last).total_seconds() if as_of and last else None
    promised, timeliness = contract.freshness_seconds, None
    if promised is not None and freshness is not None:
        timeliness = 1.0 if freshness <= promised else promised / freshness
    required: dict[str, int] = {}
    for rule in _row_rules(contract):
        if rule.dimension == "completeness":
            required[rule.columns[0]] = max(required.get(rule.columns[0], 0), seen[rule.name])
    figures: dict[str, float | int | None] = {
        "completeness": 1 - sum(required.values()) / (rows * len(required)) if rows and required else 1.0,
        "accuracy": 1 - seen["all:accuracy"] / rows if rows else 1.0,
        "consistency": 1 - seen["all:consistency"] / rows if rows else 1.0,
        "timeliness": timeliness,
        "freshness_seconds": freshness,
        "volume": rows,
        "error_rate": seen["all:error"] / rows if rows else 0.0,
    }
    nulls = {column.name: seen[f"nulls:{column.name}"] for column in contract.columns}
    return Audit(rows, seen["all:error"], figures, tuple(results), nulls, first, last)


def _result(rule: Rule, observed: Any, rows: int) -> RuleResult:
    if rule.bounds is None:
        message = f"{observed} of {rows} rows: {rule.description}" if observed else rule.description
        return RuleResult(rule, not observed, observed, observed, message)
    if rule.percent:
        observed = 100 * observed / rows if rows else 0.0
    passed = rule.bounds.hold(observed)
    return RuleResult(rule, passed, 0, observed, f"{rule.description}, observed {observed}")
