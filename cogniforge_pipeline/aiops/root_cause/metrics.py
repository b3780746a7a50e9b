"""Wide metrics: one row a moment, one column for each node, metric and statistic.

Belongs here: the type, and reading it from CSV files and frames. Does not: what the numbers mean.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cogniforge_pipeline.errors import CogniforgeError

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]

_LAYOUT = "columns are NODE:METRIC:STAT, or three header rows with nodes, metrics and statistics"
_TIMES = "Unix seconds or ISO 8601, never empty"
_AVERAGES = ("average", "avg", "mean", "value", "")
_SUMS = ("sum", "total", "count")


class Column(NamedTuple):
    """What one column measures; `stat` is "" when the column's name has none."""

    node: str
    metric: str
    stat: str = ""

    def __str__(self) -> str:
        return ":".join(part for part in self if part)


@dataclass(frozen=True)
class Metrics:
    """Values [moment, column], NaN where nothing was measured; `times` are Unix seconds in order, or None."""

    columns: tuple[Column, ...]
    values: Floats
    times: Floats | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.columns):
            raise CogniforgeError(f"{len(self.columns)} columns are named, but the values are {self.values.shape}")
        if len(self.places) != len(self.columns):
            repeated = next(column for column in self.columns if self.columns.count(column) > 1)
            raise CogniforgeError(f"column {repeated} is there twice", "keep one of them")

    @cached_property
    def places(self) -> Mapping[Column, int]:
        """Where each column stands in `values`."""
        return {column: place for place, column in enumerate(self.columns)}

    def of(self, column: Column) -> Floats:
        """The values of one column. Raises KeyError when there is no such column."""
        return self.values[:, self.places[column]]

    def find(self, text: str) -> Column:
        """The column meant by NODE:METRIC or NODE:METRIC:STAT; averages come before other statistics.

        Raises CogniforgeError, with what there is instead, when there is none.
        """
        found = [column for column in self.columns if text in (f"{column.node}:{column.metric}", str(column))]
        if found:
            return preferred(found)
        node = max((c.node for c in self.columns if text.startswith(f"{c.node}:")), key=len, default=None)
        if node is None:
            known = sorted({column.node for column in self.columns})
            raise CogniforgeError(f"no node of {text!r} among the metrics", f"nodes: {_some(known)}")
        metrics = sorted({column.metric for column in self.columns if column.node == node})
        raise CogniforgeError(f"node {node!r} has no metric as in {text!r}", f"its metrics: {_some(metrics)}")


def preferred(columns: Sequence[Column], stats: Sequence[str] = _AVERAGES) -> Column:
    """The column whose statistic comes first in `stats`, else the first of the others."""
    order = {stat: place for place, stat in enumerate(stats)}
    return min(columns, key=lambda column: order.get(column.stat.lower(), len(order)))


def preferred_sum(columns: Sequence[Column]) -> Column:
    """As `preferred`, for amounts: sums come first."""
    return preferred(columns, _SUMS)


def parse_column(text: str) -> Column | None:
    """NODE:METRIC:STAT or NODE:METRIC, where NODE may hold colons of its own; None when it is neither."""
    parts = text.strip().rsplit(":", 2)
    if len(parts) < 2 or not all(parts):
        return None
    return Column(*parts)


def metrics_from_frame(frame: pl.DataFrame, *, name: str = "the frame") -> Metrics:
    """The metrics of a polars frame with columns NODE:METRIC:STAT and, if it likes, one of times.

    Times are Unix seconds, times with or without a zone (without: UTC), or ISO 8601 texts. Rows are sorted by them.
    Raises CogniforgeError for columns of other names, and texts that are no numbers.
    """
    import polars as pl

    parsed = {text: parse_column(text) for text in frame.columns}
    others = [text for text, column in parsed.items() if column is None]
    if len(others) > 1 or (others and others[0] != frame.columns[0]):
        raise CogniforgeError(f"{name}: {others[-1]!r} is no metric's column", _LAYOUT)
    columns = [column for column in parsed.values() if column]
    if not columns:
        raise CogniforgeError(f"{name}: there is no metric's column", _LAYOUT)
    if frame.is_empty():
        raise CogniforgeError(f"{name}: there are no rows", "give the metrics of a period")
    wanted = frame.select(text for text, column in parsed.items() if column)
    numbers = wanted.with_columns(pl.all().cast(pl.Float64, strict=False))
    for before, after in zip(wanted.iter_columns(), numbers.iter_columns(), strict=True):
        if wrong := before.filter(before.is_not_null() & after.is_null()).head(1).to_list():
            raise CogniforgeError(f"{name}: {wrong[0]!r} in column {before.name} is no number", "leave it empty")
    values = numbers.fill_null(float("nan")).to_numpy().astype(np.float64)
    values[~np.isfinite(values)] = np.nan
    if not others:
        return Metrics(tuple(columns), values)
    times = _seconds(frame[others[0]], name)
    order = np.argsort(times, kind="stable")
    return Metrics(tuple(columns), values[order], times[order])


def read_metrics(path: Path) -> Metrics:
    """The metrics of a CSV file; empty fields are missing values.

    The first column may hold times. Either the header names NODE:METRIC:STAT, or three header rows give nodes, metrics
    and statistics (a fourth row may name the time's column). Raises CogniforgeError for what cannot be read.
    """
    import polars as pl

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = [[field.strip() for field in row] for row in islice(csv.reader(file), 4)]
    except (OSError, UnicodeDecodeError) as error:
        raise CogniforgeError(f"cannot read {path}: {error}", "give a CSV file in UTF-8") from None
    if not head:
        raise CogniforgeError(f"{path} is empty", _LAYOUT)
    names, skipped = _header(head, path)
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise CogniforgeError(f"{path}: column {repeated} is there twice", "keep one of them")
    try:
        frame = pl.read_csv(
            path, has_header=False, skip_rows=skipped, infer_schema_length=0, new_columns=names, null_values=["", "NaN"]
        )
    except pl.exceptions.NoDataError:
        frame = pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    except pl.exceptions.PolarsError as error:
        raise CogniforgeError(f"cannot read {path}: {error}", _LAYOUT) from None
    if frame.width != len(names):
        raise CogniforgeError(f"{path}: {len(names)} columns are named, but rows have {frame.width}", _LAYOUT)
    return metrics_from_frame(frame, name=str(path))


def _header(head: Sequence[Sequence[str]], path: Path) -> tuple[list[str], int]:
    """The columns' names as NODE:METRIC:STAT, and how many rows they take."""
    first = head[0]
    if any(":" in name and parse_column(name) for name in first[1:] or first) and not _three_rows(head):
        return list(first), 1
    if not _three_rows(head):
        raise CogniforgeError(f"{path}: {(first[1:] or first)[0]!r} is no metric's column", _LAYOUT)
    nodes, metrics, stats = head[:3]
    if not len(nodes) == len(metrics) == len(stats):
        raise CogniforgeError(
            f"{path}: the three header rows have {len(nodes)}, {len(metrics)} and {len(stats)} fields"
        )
    names = [str(Column(*parts)) for parts in zip(nodes[1:], metrics[1:], stats[1:], strict=True)]
    named_time = len(head) > 3 and not any(head[3][1:]) and not _is_number(head[3][0])
    return ["ts", *names], 4 if named_time else 3


def _three_rows(head: Sequence[Sequence[str]]) -> bool:
    """Whether the second and third row are words too, as metrics and statistics are, and values are not."""
    return len(head) >= 3 and all(
        len(row) > 1 and all(field and not _is_number(field) for field in row[1:]) for row in head[1:3]
    )


def _seconds(times: pl.Series, name: str) -> Floats:
    import polars as pl

    if times.dtype == pl.String:
        texts = times.to_list()
        try:
            return np.array([_moment(text) for text in texts])
        except (TypeError, ValueError):
            raise CogniforgeError(f"{name}: the first column holds what is no time", _TIMES) from None
    if times.dtype.is_temporal():
        times = times.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64) / 1e6
    if not times.dtype.is_numeric() or times.null_count():
        raise CogniforgeError(f"{name}: the first column holds what is no time", _TIMES)
    return times.cast(pl.Float64).to_numpy().astype(np.float64)


def _moment(text: str) -> float:
    """Unix seconds of a time; one without a zone is UTC. Raises ValueError or TypeError."""
    if _is_number(text):
        return float(text)
    moment = datetime.fromisoformat(text.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _some(names: Iterable[str], limit: int = 10) -> str:
    names = list(names)
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")
