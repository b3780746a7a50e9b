"""The rows a table may keep and the rows that go to quarantine, as SELECT statements.

Belongs here: dividing a relation by the ERROR row rules. Does not: counting (audit.py), running the
statements.

Of rows that agree in a unique key, one is good: among those that break no other ERROR row rule, the first by
the contract's sort columns and then by all other columns, so that the choice never depends on the physical
order. `relation` is SQL for a FROM clause, written by the caller: a quoted table name, or a SELECT in
parentheses. A predicate may use window functions, which look at all rows of the relation.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from cogniforge_pipeline.contracts.model import Contract, Rule
from cogniforge_pipeline.sqltext import ident, literal


def good_rows(contract: Contract, relation: str, *, broken: Container[str] | None = None) -> str:
    """SELECT of the rows that pass all ERROR row rules, with the contract's columns in its order.

    `broken` are the names of the rules that have bad rows (`Audit.broken`); the others are left out, which
    saves the sort that a unique key costs. None applies every rule.
    """
    tests, keys = _split(contract, broken)
    columns = ", ".join(ident(column.name) for column in contract.columns)
    if tests:
        relation = f"(SELECT {columns}, {_all_good(tests)} AS {_mark(0)} FROM {relation})"
    where = f" WHERE {_mark(0)}" if tests else ""
    qualify = f" QUALIFY {' AND '.join(_first(contract, rule, '') for rule in keys)}" if keys else ""
    return f"SELECT {columns} FROM {relation}{where}{qualify}"


def bad_rows(
    contract: Contract, relation: str, *, source: str, run_id: str, broken: Container[str] | None = None
) -> str:
    """SELECT of all other rows in the shape of the quarantine table, with the rules each one broke.

    `source` and `run_id` are written to every row, `quarantined_at` is the time of the transaction.
    `broken` as in `good_rows`; both must get the same.
    """
    tests, keys = _split(contract, broken)
    names = [ident(column.name) for column in contract.columns]
    marks = [f"({rule.predicate})" for rule in tests] if tests or keys else ["TRUE"]
    judged = "".join(f", {mark} AS {_mark(number)}" for number, mark in enumerate(marks))
    relation = f"(SELECT {', '.join(names)}{judged} FROM {relation})"
    if keys:
        passed = " AND ".join(f"{_mark(number)} IS NOT FALSE" for number in range(len(tests))) or "TRUE"
        marks += [_first(contract, rule, f"({passed}) DESC, ") for rule in keys]
        unique = "".join(f", {mark} AS {_mark(number)}" for number, mark in enumerate(marks) if number >= len(tests))
        relation = f"(SELECT *{unique} FROM {relation})"
    failed = " OR ".join(f"NOT {_mark(number)}" for number in range(len(marks)))
    return (
        f'SELECT {row_json(names)} AS "row", {_texts([rule.name for rule in tests + keys])} AS rules, '
        f"array_to_string({_texts([rule.description for rule in tests + keys])}, '; ') AS reason, "
        f"{literal(contract.version)} AS contract_version, {literal(source)} AS source, "
        f"{literal(run_id)} AS run_id, now() AS quarantined_at "
        f"FROM {relation} WHERE {failed}"
    )


def _split(contract: Contract, broken: Container[str] | None) -> tuple[list[Rule], list[Rule]]:
    rules = [
        rule
        for rule in contract.rules
        if rule.kind == "row" and rule.severity == "ERROR" and (broken is None or rule.name in broken)
    ]
    return [r for r in rules if r.test != "unique"], [r for r in rules if r.test == "unique"]


def _all_good(tests: Sequence[Rule]) -> str:
    return " AND ".join(f"({rule.predicate}) IS NOT FALSE" for rule in tests)


def _first(contract: Contract, rule: Rule, before: str) -> str:
    """TRUE for the row of a key that is kept, and where the key has a NULL."""
    order = dict.fromkeys((*contract.sort_by, *(column.name for column in contract.columns)))
    rest = [ident(name) for name in order if name not in rule.columns]
    key = [ident(name) for name in rule.columns]
    by = f"{before}{', '.join(rest or key)}"
    exempt = " OR ".join(f"{name} IS NULL" for name in key)
    return f"({exempt} OR row_number() OVER (PARTITION BY {', '.join(key)} ORDER BY {by}) = 1)"


def _mark(number: int) -> str:
    return ident(f"rule:{number}")


def row_json(names: Sequence[str]) -> str:
    """A row as the quarantine has it; `names` are quoted columns."""
    return f"CAST(to_json(struct_pack({', '.join(f'{name} := {name}' for name in names)})) AS VARCHAR)"


def _texts(texts: Sequence[str]) -> str:
    """List of the texts whose marks are FALSE."""
    cases = [f"CASE WHEN NOT {_mark(number)} THEN {literal(text)} END" for number, text in enumerate(texts)]
    return f"list_filter([{', '.join(cases)}]::VARCHAR[], lambda x: x IS NOT NULL)"
