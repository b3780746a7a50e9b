"""The registry of declarations in the lake: `platform.declarations`, written by runs and by the Python API alike.

Belongs here: bringing the table to what is declared, and reading back what is in force. Does not: reading files or
deciding what changed (`declarations`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cogniforge_pipeline import publish
from cogniforge_pipeline.declarations import (
    Changes,
    Declaration,
    DeclarationsInvalid,
    Kind,
    Platform,
    Problem,
    changes,
)
from cogniforge_pipeline.declarations.model import API, M
from cogniforge_pipeline.declarations.nodes import plain_node
from cogniforge_pipeline.declarations.registry import Origin
from cogniforge_pipeline.declarations.validate import validate
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.publish import ATTEMPTS, Circumstances, Mode, Publication, Superseded
from cogniforge_pipeline.sqltext import ident, literal

REGISTRY = "platform.declarations"


def record(
    home: Home,
    declared: Platform | Iterable[Declaration[Any]] | Callable[[Connection], Iterable[Declaration[Any]]],
    *,
    run_id: str,
) -> tuple[Changes, Publication | None]:
    """Writes what changed, if anything did. A Platform has origin `file`, other declarations `api`.

    A function derives them from what the lake holds; it is asked again when somebody else wrote meanwhile.
    Raises LakeError, or Superseded after ATTEMPTS attempts.
    """
    contract = home.contracts[REGISTRY]
    cursor = home.lake.cursor()
    origin: Origin = "file" if isinstance(declared, Platform) else "api"
    fixed = declared if isinstance(declared, Platform) or callable(declared) else list(declared)
    with home.lake.explained():
        for attempt in range(1, ATTEMPTS + 1):
            version = publish.versions(cursor).get(REGISTRY, 0)
            wanted = list(fixed(cursor)) if callable(fixed) else fixed
            found = cursor.execute(f"SELECT * FROM {REGISTRY}")
            names = [column[0] for column in found.description or []]
            current = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
            diff = changes(current, wanted, origin=origin, now=datetime.now(UTC))
            if not diff:
                return diff, None
            replaced = {(row["kind"], row["name"], row["version"]) for row in (*diff.withdraw, *diff.moved)}
            kept = [row for row in current if (row["kind"], row["name"], row["version"]) not in replaced]
            rows = [*kept, *diff.withdraw, *diff.moved, *diff.append]
            columns = [column.name for column in contract.columns]
            values = ", ".join(f"({', '.join(literal(dict(row)[name]) for name in columns)})" for row in rows)
            select = f"SELECT * FROM (VALUES {values}) AS rows ({', '.join(map(ident, columns))})"
            circumstances = Circumstances(run_id, expected={REGISTRY: version})
            with publish.stage(cursor, contract, [select], mode=Mode.REPLACE, run_id=run_id) as staged:
                try:
                    return diff, publish.publish(home.lake, cursor, [staged], circumstances)[0]
                except Superseded:
                    if attempt == ATTEMPTS:
                        raise
    raise AssertionError("unreachable")


def is_declared(cursor: Connection, kind: Kind[Any]) -> bool:
    """Whether any declaration of a kind is in force."""
    query = f"SELECT 1 FROM {REGISTRY} WHERE kind = {literal(kind.name)} AND withdrawn_at IS NULL LIMIT 1"
    return cursor.execute(query).fetchone() is not None


def declared(cursor: Connection, kind: Kind[M]) -> list[Declaration[M]]:
    """The declarations of one kind that are in force, of files and of the API, in order of name.

    Raises DeclarationsInvalid, with all problems, where the registry holds what is not valid any more, such as rows
    of another version of this program.
    """
    rows = cursor.execute(
        f"SELECT name, spec, path, line FROM {REGISTRY} "
        f"WHERE kind = {literal(kind.name)} AND withdrawn_at IS NULL ORDER BY name"
    ).fetchall()
    found: list[Declaration[M]] = []
    problems: list[Problem] = []
    for name, text, path, line in rows:
        spec = json.loads(text)
        model, wrong = validate(kind, plain_node(spec), path or API)
        problems += [replace(problem, line=line) for problem in wrong]
        if model is not None:
            found.append(Declaration(kind.name, name, model, spec, path, line))
    if problems:
        raise DeclarationsInvalid(problems)
    return found
