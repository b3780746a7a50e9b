"""The user's own data products: a contract, and what makes the rows, become a table with no Python.

    platform/contracts/<schema>/<table>.yaml     ODCS v3
    platform/sql/<schema>/<table>.sql            as the files of `sql/`, see `queries.py`; or
    platform/sources/*.yaml                      a source of type `table` that names the table: its rows come from files

Belongs here: reading them, and what keeps a product out. Does not: making the table (`increments.py`,
`sources/landed.py`), comparing a contract with its earlier versions.

One wrong product never keeps out another one, nor any table of the package.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TypeVar

import yaml

from cogniforge_pipeline.contracts import Contract, ContractError, load_contract
from cogniforge_pipeline.declarations import Declaration, Problem, load_platform
from cogniforge_pipeline.declarations.document import parse_yaml
from cogniforge_pipeline.declarations.validate import did_you_mean
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.queries import Query, QueryInvalid, check_inputs, load_query
from cogniforge_pipeline.sources.declared import SOURCE_KIND, DeclaredSource
from cogniforge_pipeline.sources.model import TableSource
from cogniforge_pipeline.sqltext import RESERVED_SCHEMAS

T = TypeVar("T", Contract, Query)


@dataclass(frozen=True)
class Products:
    """The products that can be made, by table name, and what is wrong with the others."""

    contracts: Mapping[str, Contract]
    queries: Mapping[str, Query]
    sources: Mapping[str, TableSource]
    problems: tuple[Problem, ...]


def load_products(platform: Path, known: Mapping[str, Contract]) -> Products:
    """All products of a platform folder. `known` are the package's contracts, whose schemas are taken."""
    problems: list[Problem] = []
    taken = {contract.schema for contract in known.values()} | RESERVED_SCHEMAS
    contracts = dict(_read(platform, "contracts", (".yaml", ".yml"), read_contract, taken, problems))
    queries = dict(_read(platform, "sql", (".sql",), load_query, taken, problems))
    for name in sorted(queries.keys() - contracts.keys()):
        place = name.replace(".", "/")
        if not (platform / "contracts" / f"{place}.yaml").exists():  # a wrong one was told of
            problems.append(Problem(f"sql/{place}.sql", "it has no contract", f"write contracts/{place}.yaml"))
        del queries[name]
    declared = load_platform(platform, [SOURCE_KIND]).of(SOURCE_KIND)
    sources = _fillers(platform, declared, contracts, taken, problems)
    named = {source.table for source in (d.model.root for d in declared) if isinstance(source, TableSource)}
    for name in sorted(contracts.keys() - queries.keys() - sources.keys()):
        place = name.replace(".", "/")
        if name not in named and not (platform / "sql" / f"{place}.sql").exists():
            hint = f"write sql/{place}.sql, or a source of type table with `table: {name}`"
            problems.append(Problem(f"contracts/{place}.yaml", "nothing makes this table", hint))
        del contracts[name]
    while wrong := next(_unusable(queries, {*known, *contracts}), None):
        name, problem = wrong
        problems.append(problem)
        del queries[name], contracts[name]
    return Products(contracts, queries, sources, tuple(problems))


def read_contract(path: Path) -> Contract:
    """One contract of a user, as `load_contract`; broken YAML is told as in all other files, with line and column.

    Raises ContractError.
    """
    try:
        return load_contract(path)
    except ContractError as error:
        if isinstance(error.__cause__, yaml.YAMLError):
            for problem in parse_yaml(path.read_text(encoding="utf-8"), str(path))[1]:
                raise ContractError(str(replace(problem, hint=None)), problem.hint) from error
        raise


def _read(
    platform: Path,
    folder: str,
    suffixes: tuple[str, ...],
    load: Callable[[Path], T],
    taken: set[str],
    problems: list[Problem],
) -> Iterator[tuple[str, T]]:
    root = platform / folder
    for path in sorted(path for path in root.rglob("*") if path.is_file() and not path.name.startswith(".")):
        shown = path.relative_to(platform).as_posix()
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        if path.suffix not in suffixes or not re.fullmatch(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*", name):
            hint = f"expected {folder}/<schema>/<table>{suffixes[0]} in lower-case letters, digits and _"
            problems.append(Problem(shown, "its place names no table", hint))
        elif name.partition(".")[0] in taken:
            schema = name.partition(".")[0]
            problems.append(Problem(shown, f"the schema {schema} is not free", "choose another one for your products"))
        else:
            try:
                found = load(path)
            except (ContractError, QueryInvalid) as error:
                problems.append(_problem(shown, path, error))
                continue
            if found.name == name:
                yield name, found
            else:
                problems.append(Problem(shown, f"it is named {found.name}, its path says {name}", "make them equal"))


def _fillers(
    platform: Path,
    declared: Iterable[Declaration[DeclaredSource]],
    contracts: Mapping[str, Contract],
    taken: Collection[str],
    problems: list[Problem],
) -> dict[str, TableSource]:
    """The sources that fill a table, by table."""
    fillers: dict[str, TableSource] = {}
    places: dict[str, str] = {}
    for declaration in declared:
        source = declaration.model.root
        if not isinstance(source, TableSource):
            continue
        name, place = source.table, source.table.replace(".", "/")
        schema = name.partition(".")[0]
        columns = {column.name for column in contracts[name].columns} if name in contracts else set()
        wrong: list[tuple[str, str, str]] = []
        if schema in taken:
            wrong.append((f"the schema {schema} is not free", "choose another one for your products", "table"))
        elif name not in contracts:
            if not (platform / "contracts" / f"{place}.yaml").exists():  # a wrong one was told of
                near = difflib.get_close_matches(name, contracts, 1, cutoff=0.8)
                hint = f"did you mean {near[0]}?" if near else f"write contracts/{place}.yaml"
                wrong.append((f"the table {name} has no contract", hint, "table"))
        elif (platform / "sql" / f"{place}.sql").exists():
            wrong.append((f"sql/{place}.sql makes {name}, too", "remove one of them", "table"))
        elif name in places:
            hint = "name all folders in the `path` of one source"
            wrong.append((f"{places[name]} fills {name}, too", hint, "table"))
        else:
            wrong += [
                (f"{name} has no column {column!r}", did_you_mean(column, columns, "columns"), f"columns.{column}")
                for column in sorted(source.columns.keys() - columns)
            ]
        if wrong:
            shown = declaration.path or ""
            problems += [Problem(shown, message, hint, declaration.line, where=at) for message, hint, at in wrong]
        elif name in contracts:
            fillers[name] = source
            places[name] = f"{declaration.path}:{declaration.line}"
    return fillers


def _unusable(queries: Mapping[str, Query], known: set[str]) -> Iterator[tuple[str, Problem]]:
    for name, query in queries.items():
        place = f"sql/{name.replace('.', '/')}.sql"
        try:
            check_inputs(query, known)
        except QueryInvalid as error:
            yield name, Problem(place, f"it{error.message.removeprefix(place)}", error.hint)
    order = TopologicalSorter({name: [i for i in query.inputs if i in queries] for name, query in queries.items()})
    try:
        order.prepare()
    except CycleError as error:
        circle = error.args[1]
        name = min(circle)
        message = f"tables that are made of each other: {' <- '.join(circle)}"
        yield name, Problem(f"sql/{name.replace('.', '/')}.sql", message, "let one of them read something else")


def _problem(shown: str, path: Path, error: CogniforgeError) -> Problem:
    """The error of a file, with the place in words that the user knows."""
    place = re.match(rf"{re.escape(str(path))}(?::(\d+))?(?::(\d+))?: ", error.message)
    line, column = (int(part) if part else None for part in (place.groups() if place else (None, None)))
    return Problem(shown, error.message[place.end() :] if place else error.message, error.hint, line, column)
