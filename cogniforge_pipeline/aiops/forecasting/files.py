"""Forecasts from a file of series to a file of forecasts, without a home.

Belongs here: reading CSV and Parquet, with the lines of what cannot be used; writing. Does not: the grid (`panel.py`), the
forecaster (`model.py`).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from cogniforge_pipeline.aiops.forecasting.model import Model, Progress, train
from cogniforge_pipeline.errors import CogniforgeError

KINDS = (".csv", ".parquet")
MISSING = ("", "na", "nan", "null", "none")


def forecast_file(
    file: Path, *, horizon: int, season: int, out: Path | None = None, progress: Progress | None = None
) -> tuple[Model, pl.DataFrame]:
    """Forecast all series of a CSV or Parquet file, and write them to `out` (CSV or Parquet) if given.

    The file has the columns series, step (whole numbers) or ts (times; UTC where they name no zone), and value; other columns
    are not read. `season` and `horizon` are in steps. Written are series, step or ts, mean, lo80, hi80, lo95, hi95, model.
    Raises CogniforgeError, naming file and line, for what cannot be used; then nothing is written.
    """
    for path in (file, out):
        if path is not None and path.suffix.lower() not in KINDS:
            raise CogniforgeError(f"{path} is neither .csv nor .parquet", "name a file with one of these endings")
    if out is not None and not out.parent.is_dir():
        raise CogniforgeError(f"there is no folder {out.parent} for {out.name}", "make it first")
    model = train(read_series(file), season=season, horizon=horizon, place=str(file), progress=progress)
    forecast = model.forecast()
    if out is not None:
        part = out.with_name(out.name + ".part")
        if out.suffix.lower() == ".csv":
            forecast.write_csv(part)
        else:
            forecast.write_parquet(part)
        part.replace(out)
    return model, forecast


def read_series(file: Path) -> pl.DataFrame:
    """The columns series, step or ts, and value of a file; from CSV also `line`, each row's line.

    Raises CogniforgeError for a file that is not there or not of its kind, and for a cell that cannot be read.
    """
    if not file.is_file():
        raise CogniforgeError(f"there is no file {file}", "name a CSV or Parquet file")
    wanted = ("series", "step", "ts", "value")
    try:
        if file.suffix.lower() == ".parquet":
            frame = pl.read_parquet(file)
            return frame.select([name for name in frame.columns if name in wanted])
        frame = pl.read_csv(file, infer_schema=False).with_columns(pl.all().fill_null(""))
    except pl.exceptions.NoDataError as error:
        raise CogniforgeError(
            f"{file} is empty", "its first line names the columns series, step or ts, and value"
        ) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CogniforgeError(f"{file} cannot be read: {reason}", "check that it is what its ending says") from error
    frame = frame.select([name for name in frame.columns if name in wanted]).with_row_index("line", offset=2)
    for name in ("series", "step", "ts"):
        if name in frame.columns:
            _refuse(
                frame.filter(pl.col(name).str.strip_chars() == ""), file, name, "it is empty", "every row needs one"
            )
    if "step" in frame.columns:
        frame = _cast(
            frame, file, "step", pl.col("step").str.strip_chars().cast(pl.Int64, strict=False), "a whole number"
        )
    if "ts" in frame.columns:
        frame = _cast(frame, file, "ts", _time("ts"), "a time such as 2026-01-31T12:00:00Z")
    if "value" in frame.columns:
        text = pl.col("value").str.strip_chars()
        given = pl.when(text.str.to_lowercase().is_in(MISSING)).then(None).otherwise(text)
        frame = _cast(
            frame.with_columns(given.alias("value")),
            file,
            "value",
            pl.col("value").cast(pl.Float64, strict=False),
            "a number",
        )
    return frame


def _time(name: str) -> pl.Expr:
    text = pl.col(name).str.strip_chars().str.replace(" ", "T", literal=True)
    has_zone = text.str.contains(r"(Z|[+-]\d{2}:?\d{2})$") & text.str.contains("T")
    whole = pl.when(text.str.contains("T")).then(text).otherwise(text + "T00:00:00")
    zoned = pl.when(has_zone).then(whole).otherwise(whole + "Z")
    seconds = pl.when(zoned.str.contains(r"T\d{2}:\d{2}:\d{2}")).then(zoned)
    with_seconds = seconds.otherwise(zoned.str.replace(r"T(\d{2}:\d{2})", "T${1}:00"))
    return with_seconds.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", time_zone="UTC", strict=False)


def _cast(frame: pl.DataFrame, file: Path, name: str, expression: pl.Expr, wanted: str) -> pl.DataFrame:
    cast = frame.with_columns(expression.alias("_cast"))
    bad = cast.filter(pl.col("_cast").is_null() & pl.col(name).is_not_null())
    if len(bad):
        _refuse(
            bad,
            file,
            name,
            f"{bad[name][0]!r} is not {wanted}",
            f"{len(bad)} rows are like it" if len(bad) > 1 else None,
        )
    return cast.with_columns(pl.col("_cast").alias(name)).drop("_cast")


def _refuse(rows: pl.DataFrame, file: Path, name: str, message: str, hint: str | None) -> None:
    if len(rows):
        raise CogniforgeError(f"{file}:{rows['line'][0]}: {name}: {message}", hint)
