"""DuckDB types: which one holds every value of another.

Belongs here: widening of column types. Does not: other promises of a column (odcs.py).
"""

from __future__ import annotations

from typing import Any, Literal

import duckdb

Change = Literal["same", "wider", "narrower", "other"]
_SIGNED = {"TINYINT": 7, "SMALLINT": 15, "INTEGER": 31, "BIGINT": 63, "HUGEINT": 127}
_UNSIGNED = {"UTINYINT": 8, "USMALLINT": 16, "UINTEGER": 32, "UBIGINT": 64, "UHUGEINT": 128}
_EXACT_BITS = {"FLOAT": 24, "DOUBLE": 53}
_EXACT_DIGITS = {"FLOAT": 7, "DOUBLE": 15}
_MOMENTS = ("DATE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP")


def change(old: str, new: str) -> Change:
    """What became of a type, both as DuckDB spells them. `wider` loses no value of the old one."""
    if old == new:
        return "same"
    before, after = duckdb.sqltype(old), duckdb.sqltype(new)
    if holds(after, before):
        return "wider"
    return "narrower" if holds(before, after) else "other"


def holds(wide: Any, narrow: Any) -> bool:
    """True when the wide type holds every value of the narrow one. Zones are not added: a TIMESTAMP is no TIMESTAMPTZ."""
    if str(wide) == str(narrow):
        return True
    names = str(wide), str(narrow)
    if wide.id == narrow.id and wide.id in ("list", "array", "map", "struct"):
        return _nested(wide, narrow)
    if names[0] in _MOMENTS and names[1] in _MOMENTS:
        return _MOMENTS.index(names[0]) >= _MOMENTS.index(names[1])
    if names[1] in _SIGNED or names[1] in _UNSIGNED:
        return _holds_integer(wide, names)
    if names[1] == "FLOAT":
        return names[0] == "DOUBLE"
    if narrow.id == "decimal":
        precision, scale = _decimal(narrow)
        if wide.id == "decimal":
            wide_precision, wide_scale = _decimal(wide)
            return wide_scale >= scale and wide_precision - wide_scale >= precision - scale
        return names[0] in _EXACT_DIGITS and precision <= _EXACT_DIGITS[names[0]]
    return False


def _holds_integer(wide: Any, names: tuple[str, str]) -> bool:
    signed = names[1] in _SIGNED
    bits = _SIGNED[names[1]] if signed else _UNSIGNED[names[1]]
    if names[0] in _SIGNED:
        return _SIGNED[names[0]] >= bits
    if names[0] in _UNSIGNED:
        return not signed and _UNSIGNED[names[0]] >= bits
    if names[0] in _EXACT_BITS:
        return _EXACT_BITS[names[0]] >= bits
    if wide.id == "decimal":
        precision, scale = _decimal(wide)
        return bool(10 ** (precision - scale) > 2**bits)
    return False


def _decimal(kind: Any) -> tuple[int, int]:
    told = dict(kind.children)
    return int(told["precision"]), int(told["scale"])


def _nested(wide: Any, narrow: Any) -> bool:
    outer, inner = dict(wide.children), dict(narrow.children)
    if wide.id == "struct":
        return outer.keys() >= inner.keys() and all(holds(outer[name], item) for name, item in inner.items())
    if wide.id == "array" and outer["size"] != inner["size"]:
        return False
    return all(holds(outer[name], item) for name, item in inner.items() if name != "size")
