"""Safe SQL text: the only place where names and values become part of a statement.

Belongs here: quoting of identifiers and literals. Does not: any statement. Literals are used rather than bound
parameters because DuckDB imports pandas with the first parameter that it binds, which costs a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

RESERVED_SCHEMAS = frozenset(
    ("information_schema", "main", "pg_catalog", "quarantine", "landed", "reports", "temp", "system", "lake")
)
"""Schemas that no product may have, beside those of the package."""

Value = str | int | float | bool | None | datetime | date


def ident(name: str) -> str:
    """One identifier, quoted.

    Raises ValueError for an empty name or one with a NUL byte.
    """
    if not name or "\0" in name:
        raise ValueError(f"not a name: {name!r}")
    return '"' + name.replace('"', '""') + '"'


def qualified(name: str) -> str:
    """`schema.table` (or `catalog.schema.table`) with each part quoted."""
    return ".".join(ident(part) for part in name.split("."))


def literal(value: Value | Sequence[Value] | Mapping[str, Value]) -> str:
    """A value as a DuckDB literal. Timestamps must be timezone-aware and become TIMESTAMPTZ in UTC.

    A mapping becomes a MAP, a sequence a list. Raises ValueError for a naive timestamp, TypeError for other types.
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case float():
            return f"CAST('{value!r}' AS DOUBLE)"
        case str():
            pieces = ["'" + piece.replace("'", "''") + "'" for piece in value.split("\0")]
            return pieces[0] if len(pieces) == 1 else f"({' || chr(0) || '.join(pieces)})"
        case datetime():
            if value.tzinfo is None:
                raise ValueError(f"timestamp without a time zone: {value}")
            return f"TIMESTAMPTZ '{value.astimezone(UTC).isoformat(sep=' ')}'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case Mapping():
            return f"MAP {{{', '.join(f'{literal(k)}: {literal(v)}' for k, v in value.items())}}}"
        case Sequence():
            return f"[{', '.join(map(literal, value))}]"
    raise TypeError(f"no SQL literal for {type(value).__name__}")
