"""Detection over CSV files, without a home.

Belongs here: reading and writing the files. Does not: arguments and printing (`detect_commands.py`), mathematics.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cogniforge_pipeline.aiops.detection.detector import Detector
from cogniforge_pipeline.aiops.detection.model import Array, Scores, Settings
from cogniforge_pipeline.errors import CogniforgeError

SHARE, MOST, FEWEST = 0.15, 750, 10  # of a file that is learnt from: NAB's probationary period
COLUMNS = ("timestamp", "value", "expected", "lower", "upper", "anomaly_score", "is_anomaly")
MISSING = ("", "nan", "null", "none", "na")


@dataclass(frozen=True)
class DetectedFile:
    """One written file: how many rows it has, how many of them are alerts."""

    path: Path
    rows: int
    alerts: int


@dataclass(frozen=True)
class _Table:
    timestamps: list[str]
    texts: list[str]
    times: NDArray[np.datetime64]
    values: Array


def detect_files(
    path: Path, out: Path, *, warmup: int | None = None, listener: Callable[[Path, int, int], None] | None = None
) -> list[DetectedFile]:
    """Score a CSV file, or all `*.csv` files below a folder, into files of the same relative paths below `out`.

    A file has a header with the columns timestamp (ISO 8601; UTC where it names no zone) and value (empty or NaN where
    missing); rows are taken in the order they stand in. Written are timestamp and value as they came, expected, lower and
    upper (empty where unknown), anomaly_score, where 1 is the alert line, and is_anomaly. `warmup` is the number of rows
    learnt from before the first alert; by default it follows from the file's length, which a file tells and a stream does
    not: 15 % of the rows, at least 10 and at most 750. `listener` is told of each file before it is worked on: path, number,
    count.

    anomaly_score is `Scores.alert`, not the unmasked `Scores.score`. A benchmark such as NAB puts a threshold on this one
    column and counts every point above it outside a labelled window, so the tail of a long anomaly would count as many
    false alarms; masking is worth more there than any model. Masked points keep a score below 0.25 in the order of the
    unmasked one, so that the column still ranks all points.

    Raises CogniforgeError, with file and line, for anything that cannot be read.
    """
    listed = _listed(path, out)
    made = []
    for number, (source, target) in enumerate(listed, start=1):
        if listener:
            listener(source, number, len(listed))
        table = _read(source)
        length = len(table.values)
        settings = Settings(warmup or max(FEWEST, min(math.floor(SHARE * length), MOST)), _step(table.times))
        detector = Detector(settings)
        scores, _ = detector.update(detector.start(1), table.times, table.values[None])
        _write(target, table, scores)
        made.append(DetectedFile(target, length, int(scores.is_anomaly.sum())))
    return made


def _listed(path: Path, out: Path) -> list[tuple[Path, Path]]:
    if path.is_file():
        pairs = [(path, out / path.name)]
    elif path.is_dir():
        inside = out.resolve()
        found = [file for file in sorted(path.rglob("*.csv")) if file.is_file()]
        kept = [file for file in found if inside == path.resolve() or inside not in file.resolve().parents]
        if not kept:
            raise CogniforgeError(f"there is no CSV file below {path}", "give a CSV file or a folder with *.csv files")
        pairs = [(file, out / file.relative_to(path)) for file in kept]
    else:
        raise CogniforgeError(f"there is no file or folder {path}", "give a CSV file or a folder with *.csv files")
    for source, target in pairs:
        if source.resolve() == target.resolve():
            raise CogniforgeError(f"the scores of {source} would overwrite it", "name another folder with --out")
    return pairs


def _read(path: Path) -> _Table:
    timestamps, texts, moments, values = [], [], [], []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            if "timestamp" not in header or "value" not in header:
                came = ",".join(header) or "nothing"
                raise CogniforgeError(f"{path}:1: expected the columns timestamp and value, got {came}", "add a header")
            first, second = header.index("timestamp"), header.index("value")
            for row in reader:
                if not row:
                    continue
                if len(row) <= max(first, second):
                    raise CogniforgeError(f"{path}:{reader.line_num}: expected {len(header)} fields, got {len(row)}")
                moments.append(_moment(path, reader.line_num, row[first]))
                values.append(_value(path, reader.line_num, row[second]))
                timestamps.append(row[first])
                texts.append(row[second])
    except (csv.Error, UnicodeDecodeError) as error:
        line = len(moments) + 2
        raise CogniforgeError(f"{path}:{line}: not CSV in UTF-8 at or after this line: {error}") from error
    times = np.array(moments, dtype=np.float64).astype("datetime64[s]")
    return _Table(timestamps, texts, times, np.array(values, dtype=np.float64))


def _moment(path: Path, line: int, text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise CogniforgeError(
            f"{path}:{line}: expected an ISO 8601 timestamp, got {text!r}", "such as 2024-03-01T12:00:00Z"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _value(path: Path, line: int, text: str) -> float:
    if text.strip().lower() in MISSING:
        return math.nan
    try:
        return float(text)
    except ValueError as error:
        raise CogniforgeError(
            f"{path}:{line}: expected a number, got {text!r}", "leave the field empty where a value is missing"
        ) from error


def _step(times: NDArray[np.datetime64]) -> float:
    steps = np.diff(times[:50]).astype(np.int64)
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else 300.0


def _write(path: Path, table: _Table, scores: Scores) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = [
        [f"{number:.10g}" if math.isfinite(number) else "" for number in column[0].tolist()]
        for column in (scores.expected, scores.lower, scores.upper, scores.alert)
    ]
    flags = ["true" if flag else "false" for flag in scores.is_anomaly[0].tolist()]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(zip(table.timestamps, table.texts, *numbers, flags, strict=True))
