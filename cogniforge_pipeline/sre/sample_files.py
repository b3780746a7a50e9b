"""One sample of numbers from a file, as `cogniforge canary judge` takes it.

Belongs here: CSV, JSON, Parquet and plain text to numbers. Does not: judging them.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.sqltext import literal

COLUMN = "value"
STDIN = Path("-")
_MISSING = ("", "nan", "null", "none", "na")


class SampleError(CogniforgeError):
    """A file that holds no sample."""


def read_sample(path: Path, column: str | None = None) -> list[float | None]:
    """The numbers of a file in their order; None where one is missing (empty, NaN, null).

    CSV and Parquet give one column: `column`, else `value`, else their only one. JSON is an array of numbers, or of
    objects with such a key. Any other file, and `-` (standard input), is text with one number a line. A CSV file
    without a header has one column. Raises SampleError.
    """
    try:
        match path.suffix.lower():
            case ".csv":
                values = _csv(path, column)
            case ".json":
                values = _records(path, json.loads(path.read_text(encoding="utf-8-sig")), column)
            case ".parquet":
                values = _parquet(path, column)
            case _:
                text = sys.stdin.read() if path == STDIN else path.read_text(encoding="utf-8-sig")
                values = text.splitlines()
    except OSError as error:
        raise SampleError(f"{path} cannot be read: {error.strerror}", "give a file that is there") from error
    except (ValueError, csv.Error, duckdb.Error) as error:
        raise SampleError(
            f"{path} cannot be read: {error}", "CSV, JSON and Parquet are known by their endings; all else is text"
        ) from error
    return [_number(path, place, value) for place, value in enumerate(values, 1)]


def _csv(path: Path, column: str | None) -> list[Any]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row or [""] for row in csv.reader(file)]
    if not rows:
        return []
    if len(rows[0]) == 1 and column is None and _is_value(rows[0][0]):
        return [row[0] for row in rows]
    names = [name.strip() for name in rows[0]]
    place = names.index(_chosen(path, names, column))
    return [row[place] if place < len(row) else "" for row in rows[1:]]


def _records(path: Path, found: Any, column: str | None) -> list[Any]:
    if not isinstance(found, list):
        raise SampleError(f"{path}: expected a JSON array", "such as [1.5, null, 2.5]")
    objects = [item for item in found if isinstance(item, dict)]
    if not objects:
        return found
    names = list(dict.fromkeys(str(name) for item in objects for name in item))
    chosen = _chosen(path, names, column)
    return [item.get(chosen) if isinstance(item, dict) else item for item in found]


def _parquet(path: Path, column: str | None) -> list[Any]:
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT * FROM read_parquet({literal(str(path))})")
        names = [item[0] for item in found.description or []]
        place = names.index(_chosen(path, names, column))
        return [row[place] for row in found.fetchall()]


def _chosen(path: Path, names: Iterable[str], column: str | None) -> str:
    names = list(names)
    wanted = column or (COLUMN if COLUMN in names else names[0] if len(names) == 1 else None)
    if wanted not in names:
        raise SampleError(
            f"{path}: expected a column {column or COLUMN!r}, got {', '.join(names)}", "name one of them with --column"
        )
    return str(wanted)


def _is_value(text: str) -> bool:
    if text.strip().lower() in _MISSING:
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(path: Path, place: int, value: Any) -> float | None:
    if value is None or (isinstance(value, str) and value.strip().lower() in _MISSING):
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise SampleError(
            f"{path}: expected a number, got {value!r} (number {place})", "leave it empty where it is missing"
        ) from None
