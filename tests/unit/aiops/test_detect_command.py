"""`cogniforge detect`: files in, scored files out, and errors that name file and line."""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cogniforge_pipeline.aiops.detection import detect_files
from cogniforge_pipeline.cli import app, main
from cogniforge_pipeline.errors import CogniforgeError

HEADER = ["timestamp", "value", "expected", "lower", "upper", "anomaly_score", "is_anomaly"]


def write(path: Path, count: int = 400, spike: int | None = 350, gap: int | None = None) -> list[tuple[str, str]]:
    rng = np.random.default_rng(7)
    times = np.datetime64("2024-03-01T00:00:00") + np.arange(count) * np.timedelta64(300, "s")
    values = [f"{value:.3f}" for value in rng.normal(20, 1, count)]
    if spike is not None and spike < count:
        values[spike] = "90"
    if gap is not None:
        values[gap] = ""
    rows = [(str(moment).replace("T", " "), value) for moment, value in zip(times, values, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("timestamp,value\n" + "".join(f"{moment},{value}\n" for moment, value in rows), encoding="utf-8")
    return rows


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_a_folder_comes_out_with_the_same_relative_paths(tmp_path: Path) -> None:
    rows = write(tmp_path / "in/one/a.csv")
    write(tmp_path / "in/b.csv", spike=None)
    result = CliRunner().invoke(app, ["detect", str(tmp_path / "in"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "2 files, 800 rows" in result.output
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")) == [
        "b.csv",
        "one/a.csv",
    ]
    found = read(tmp_path / "out/one/a.csv")
    assert found[0] == HEADER
    assert [tuple(row[:2]) for row in found[1:]] == rows
    assert all(math.isfinite(float(row[5])) for row in found[1:])
    assert found[351][6] == "true"
    assert float(found[351][5]) == max(float(row[5]) for row in found[1:])
    assert float(found[351][4]) < 90
    assert all((row[6] == "true") == (float(row[5]) >= 1) for row in found[1:])


def test_one_file_goes_into_the_folder_by_its_name(tmp_path: Path) -> None:
    write(tmp_path / "a.csv")
    made = detect_files(tmp_path / "a.csv", tmp_path / "out")
    assert [(file.path, file.rows) for file in made] == [(tmp_path / "out/a.csv", 400)]
    assert made[0].alerts >= 1


def test_scores_of_the_first_rows_do_not_depend_on_the_rest_when_the_warmup_is_given(tmp_path: Path) -> None:
    write(tmp_path / "whole/a.csv")
    write(tmp_path / "part/a.csv", count=300)
    for name in ("whole", "part"):
        detect_files(tmp_path / name, tmp_path / "out" / name, warmup=50)
    assert read(tmp_path / "out/part/a.csv") == read(tmp_path / "out/whole/a.csv")[:301]


def test_a_missing_value_stays_empty_and_is_scored(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", gap=200)
    detect_files(tmp_path / "a.csv", tmp_path / "out")
    row = read(tmp_path / "out/a.csv")[201]
    assert row[1] == ""
    assert 15 < float(row[2]) < 25
    assert math.isfinite(float(row[5]))


@pytest.mark.parametrize("count", [0, 1, 2, 11])
def test_short_files_work(tmp_path: Path, count: int) -> None:
    write(tmp_path / "a.csv", count=count, spike=None)
    detect_files(tmp_path / "a.csv", tmp_path / "out")
    assert len(read(tmp_path / "out/a.csv")) == count + 1


def test_earlier_output_inside_the_folder_is_not_scored_again(tmp_path: Path) -> None:
    write(tmp_path / "a.csv")
    for _ in range(2):
        assert [file.path for file in detect_files(tmp_path, tmp_path / "out")] == [tmp_path / "out/a.csv"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,value\n", "a.csv:1: expected the columns timestamp and value, got time,value"),
        ("", "a.csv:1: expected the columns timestamp and value, got nothing"),
        (
            "timestamp,value\n2024-01-01 00:00:00,1\nyesterday,2\n",
            "a.csv:3: expected an ISO 8601 timestamp, got 'yesterday'",
        ),
        (
            "timestamp,value\n2024-01-01 00:00:00,1\n\n2024-01-01 00:05:00,many\n",
            "a.csv:4: expected a number, got 'many'",
        ),
        ("timestamp,value\n2024-01-01 00:00:00\n", "a.csv:2: expected 2 fields, got 1"),
    ],
)
def test_an_error_names_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(CogniforgeError) as caught:
        detect_files(tmp_path / "a.csv", tmp_path / "out")
    assert message in caught.value.message


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"timestamp,value\n2024-01-01 00:00:00,\xff\xfe\n")
    with pytest.raises(CogniforgeError, match=r"a\.csv:2: not CSV in UTF-8"):
        detect_files(tmp_path / "a.csv", tmp_path / "out")


def test_a_file_is_not_overwritten_by_its_scores(tmp_path: Path) -> None:
    write(tmp_path / "a.csv")
    with pytest.raises(CogniforgeError, match="would overwrite"):
        detect_files(tmp_path, tmp_path)


def test_a_path_that_is_not_there_is_an_error_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["cogniforge", "detect", str(tmp_path / "none"), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert "there is no file or folder" in capsys.readouterr().err
