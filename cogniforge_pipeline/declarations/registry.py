"""The history of declarations: what to write to `platform.declarations` when files or the API change.

Belongs here: the rows of the registry and how they follow from what is declared now. Does not: the lake.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal, TypedDict, cast

from cogniforge_pipeline.declarations.model import API, Declaration, Platform, Problem
from cogniforge_pipeline.declarations.nodes import canonical_json

Origin = Literal["file", "api"]


class RegistryRow(TypedDict):
    """A row of `platform.declarations`: one version of one declaration. Times are aware and in UTC."""

    kind: str
    name: str
    version: int
    origin: Origin
    path: str | None
    line: int | None
    spec: str
    spec_hash: str
    declared_at: datetime
    withdrawn_at: datetime | None


@dataclass(frozen=True)
class Changes:
    """What to write, all in one transaction; a row is identified by kind, name and version.

    `append`: new rows. `withdraw`: rows that get the `withdrawn_at` they carry here. `moved`: rows of which
    only `path` and `line` change. `problems`: declarations by the API that a file overrules.
    """

    append: tuple[RegistryRow, ...] = ()
    withdraw: tuple[RegistryRow, ...] = ()
    moved: tuple[RegistryRow, ...] = ()
    problems: tuple[Problem, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.append or self.withdraw or self.moved)


def changes(
    current_rows: Sequence[Mapping[str, Any]],
    declared: Platform | Iterable[Declaration[Any]],
    *,
    origin: Origin,
    now: datetime,
) -> Changes:
    """The rows that bring the registry from `current_rows` (all, withdrawn ones too) to what is declared.

    A changed spec withdraws the open version and appends the next; an equal one changes nothing. With origin
    "file", `declared` is a whole Platform, and what its files no longer declare is withdrawn, except what
    stood in a file that has problems now, and kinds that were not looked for. With origin "api", it is any
    declarations, and nothing else is touched. Where both declare the same kind and name the file wins, and a
    problem says so. `now` must have a time zone. Raises TypeError or ValueError for other arguments.
    """
    if now.tzinfo is None:
        raise ValueError(f"expected a time with a time zone, got {now}")
    if (origin == "file") != isinstance(declared, Platform):
        raise TypeError("origin 'file' takes a Platform, origin 'api' takes declarations")
    wanted = list(declared.declarations if isinstance(declared, Platform) else declared)
    now = now.astimezone(UTC)
    versions: dict[tuple[str, str], int] = {}
    open_rows: dict[tuple[str, str], RegistryRow] = {}
    for row in current_rows:
        key = (row["kind"], row["name"])
        versions[key] = max(row["version"], versions.get(key, 0))
        if row["withdrawn_at"] is None:
            open_rows[key] = _row(row)
    append, withdraw, moved, problems = [], [], [], []
    seen: set[tuple[str, str]] = set()
    for declaration in wanted:
        key = (declaration.kind, declaration.name)
        if key in seen:
            raise ValueError(f"the {declaration.kind} {declaration.name!r} is declared twice")
        seen.add(key)
        old = open_rows.get(key)
        if old is not None and old["origin"] != origin:
            problems.append(_overruled(declaration, old))
            if origin == "api":
                continue
        new = _new_row(declaration, origin, versions.get(key, 0) + 1, now)
        if old is None:
            append.append(new)
        elif old["spec_hash"] != new["spec_hash"] or old["origin"] != origin:
            withdraw.append(_closed(old, now))
            append.append(new)
        elif (old["path"], old["line"]) != (new["path"], new["line"]):
            moved.append(_row({**old, "path": new["path"], "line": new["line"]}))
    if isinstance(declared, Platform):
        unsure = {problem.path for problem in declared.problems}
        withdraw += [
            _closed(row, now)
            for key, row in open_rows.items()
            if key not in seen and row["origin"] == "file" and row["kind"] in declared.kinds
            if not unsure & {".", row["path"]}
        ]
    return Changes(tuple(append), tuple(withdraw), tuple(moved), tuple(problems))


def _new_row(declaration: Declaration[Any], origin: Origin, version: int, now: datetime) -> RegistryRow:
    spec = canonical_json(declaration.spec)
    return RegistryRow(
        kind=declaration.kind,
        name=declaration.name,
        version=version,
        origin=origin,
        path=declaration.path,
        line=declaration.line,
        spec=spec,
        spec_hash=sha256(spec.encode("utf-8", "surrogatepass")).hexdigest(),
        declared_at=now,
        withdrawn_at=None,
    )


def _row(row: Mapping[str, Any]) -> RegistryRow:
    return cast(RegistryRow, {name: row[name] for name in RegistryRow.__annotations__})


def _closed(row: RegistryRow, now: datetime) -> RegistryRow:
    return _row({**row, "withdrawn_at": now})


def _overruled(declaration: Declaration[Any], old: RegistryRow) -> Problem:
    """The problem of a kind and name that both a file and the API declare."""
    path, line = (declaration.path, declaration.line) if old["origin"] == "api" else (old["path"], old["line"])
    return Problem(
        path or API,
        f"the {declaration.kind} {declaration.name!r} is declared here and by the Python API: this file wins",
        "give the one of the API another name, or remove one of them",
        line,
    )
