"""The objectives that are in force: what the registry holds, and which of it can be computed on this lake.

Belongs here: reading the registry, and trying the SELECTs of objectives. Does not: documents (`resolve.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

import duckdb

from cogniforge_pipeline.declarations import Problem
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.queries import QueryInvalid, tables_of
from cogniforge_pipeline.registry import declared
from cogniforge_pipeline.sre.objectives import Objective, SqlQuery
from cogniforge_pipeline.sre.openslo import OPENSLO_KIND, SLODocument
from cogniforge_pipeline.sre.resolve import resolve


@dataclass(frozen=True)
class Slos:
    """All objectives, the SLOs that could not be resolved with the problem of each, and the tables of SELECTs."""

    objectives: tuple[Objective, ...]
    refused: tuple[SLODocument, ...]
    problems: tuple[Problem, ...]
    tables: tuple[str, ...]

    @property
    def computable(self) -> list[Objective]:
        """Those that this lake can give numbers for."""
        return [objective for objective in self.objectives if objective.not_computable is None]


def declared_slos(cursor: Connection) -> Slos:
    """What the registry declares. Raises DeclarationsInvalid for rows of another version of this program.

    An objective whose SELECT does not fit the lake stays, with the reason in `not_computable`, and so do composites
    that it is a member of: one mistake must not stop the others.
    """
    found = resolve(declared(cursor, OPENSLO_KIND))
    wrong: dict[str, str] = {}
    tables: set[str] = set()
    queries = [(o, o.source.query) for o in found.objectives if isinstance(o.source, SqlQuery)]
    known = {name for (name,) in cursor.execute(_TABLES).fetchall()} if queries else set()
    for objective, query in queries:
        try:
            tables.update(_read(cursor, query, known))
        except (QueryInvalid, duckdb.Error) as error:
            wrong[objective.slo_id] = f"its query does not fit the lake: {str(error).strip()}"
    for objective in found.objectives:
        broken = [member.slo_id for member in objective.members if member.slo_id in wrong]
        if broken:
            wrong[objective.slo_id] = f"its member {broken[0]} is not computable"
    objectives = tuple(replace(o, not_computable=wrong[o.slo_id]) if o.slo_id in wrong else o for o in found.objectives)
    return Slos(objectives, found.refused, found.problems, tuple(sorted(tables)))


def _read(cursor: Connection, query: str, known: Collection[str]) -> tuple[str, ...]:
    """The tables of a SELECT that the lake can compute. SLOs may not be made of what is made of SLOs."""
    tables = tables_of(query)
    own = [table for table in tables if table.startswith("sre.")]
    if own:
        raise QueryInvalid(f"it reads {own[0]}, which is made of SLOs", "read the tables that it is made of")
    unknown = [table for table in tables if table not in known]
    if unknown:
        raise QueryInvalid(
            f"it reads {unknown[0]}, which is no table of the lake", "see `cogniforge sql 'SHOW ALL TABLES'`"
        )
    types = cursor.execute(f"DESCRIBE SELECT ts, good, total FROM ({query.strip().rstrip(';')}\n)").fetchall()
    for name, found, *_ in types:
        # a text may or may not be a number, and one that is not would stop all other SLOs, too
        expected = "a TIMESTAMPTZ" if name == "ts" else "a number"
        if not (_TIMES if name == "ts" else _NUMBERS).fullmatch(found):
            raise QueryInvalid(f"expected {expected} in its column {name}, got {found}", "use TRY_CAST")
    return tables


_TIMES = re.compile(r"DATE|TIMESTAMP.*")
_NUMBERS = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*|BOOLEAN")
_TABLES = (
    "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
    "WHERE database_name = current_catalog() AND schema_name <> 'quarantine'"
)
