"""`cogniforge forecast`: files in, files out, and errors that name the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from cogniforge_pipeline.aiops.forecasting.files import forecast_file
from cogniforge_pipeline.cli import app
from cogniforge_pipeline.errors import CogniforgeError

COLUMNS = ["series", "step", "mean", "lo80", "hi80", "lo95", "hi95", "model"]


@pytest.fixture
def history() -> pl.DataFrame:
    hours = np.arange(400)
    value = 50 + 10 * np.sin(2 * np.pi * hours / 24) + np.random.default_rng(0).normal(0, 1, 400)
    return pl.DataFrame({"series": "a", "step": hours, "value": value})


def test_csv_and_parquet_give_the_same_forecast(history: pl.DataFrame, tmp_path: Path) -> None:
    history.write_csv(tmp_path / "in.csv")
    history.write_parquet(tmp_path / "in.parquet")
    options = ["--horizon", "24", "--season", "24"]
    for kind in ("csv", "parquet"):
        done = CliRunner().invoke(
            app, ["forecast", str(tmp_path / f"in.{kind}"), *options, "--out", str(tmp_path / f"out.{kind}")]
        )
        assert done.exit_code == 0, done.output
        assert "1 series, 24 rows" in done.output
    made = pl.read_parquet(tmp_path / "out.parquet")
    assert made.columns == COLUMNS
    assert made["step"].to_list() == list(range(400, 424))
    assert pl.read_csv(tmp_path / "out.csv")["mean"].to_numpy() == pytest.approx(made["mean"].to_numpy())


def test_times_of_a_csv_are_utc_unless_they_say_otherwise(tmp_path: Path) -> None:
    times = ["2026-01-01 00:00:00", "2026-01-01T02:00:00+01:00", "2026-01-01T02:00Z", "2026-01-01T03:00:00.000"]
    text = "series,ts,value\n" + "".join(f"a,{time},{number}\n" for number, time in enumerate(times))
    (tmp_path / "in.csv").write_text(text)
    _, made = forecast_file(tmp_path / "in.csv", horizon=1, season=2)
    assert made["ts"].dt.strftime("%FT%T%z").to_list() == ["2026-01-01T04:00:00+0000"]


def test_empty_values_are_gaps(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("series,step,value\na,1,5\na,2,\na,3,NaN\na,4,5\n")
    _, made = forecast_file(tmp_path / "in.csv", horizon=2, season=1)
    assert made["mean"].to_list() == [5, 5]
    assert made["step"].to_list() == [5, 6]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("series,step,value\na,1,2\na,2,abc\n", "in.csv:3: value: 'abc' is not a number"),
        ("series,step,value\na,1,2\na,two,3\n", "in.csv:3: step: 'two' is not a whole number"),
        ("series,ts,value\na,yesterday,2\n", "in.csv:2: ts: 'yesterday' is not a time"),
        ("series,step,value\na,1,2\n,2,3\n", "in.csv:3: series: it is empty"),
        ("series,step,value\na,1,2\na,2,3\na,1,4\n", "in.csv:4: series a has two values at one step"),
        ("series,step,value\na,1,2\na,2,inf\n", "in.csv:3: value is infinite"),
        ("name,step,value\na,1,2\n", "no column series; it has step, value"),
        ("", "in.csv is empty"),
    ],
)
def test_errors_name_the_file_the_line_and_what_is_wrong(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(text)
    with pytest.raises(CogniforgeError) as caught:
        forecast_file(tmp_path / "in.csv", horizon=2, season=2, out=tmp_path / "out.csv")
    assert message in str(caught.value)
    assert not (tmp_path / "out.csv").exists()


def test_a_file_that_is_not_there_and_a_wrong_ending_are_named(tmp_path: Path) -> None:
    with pytest.raises(CogniforgeError, match=r"there is no file .*gone\.csv"):
        forecast_file(tmp_path / "gone.csv", horizon=2, season=2)
    with pytest.raises(CogniforgeError, match=r"neither \.csv nor \.parquet"):
        forecast_file(tmp_path / "in.txt", horizon=2, season=2)
