"""`cogniforge canary`: two samples from files, and a canary that is watched as it runs."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cogniforge_pipeline.sre import judge_metric

Cli = Callable[..., Any]

CONTROL = [1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0, 2.0]
HIGHER = [value + 10 for value in CONTROL]


@pytest.fixture
def sample(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a file of this name and content."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def lines(values: list[float]) -> str:
    return "".join(f"{value}\n" for value in values)


@pytest.fixture
def control(sample: Callable[[str, str], Path]) -> Path:
    return sample("control.txt", lines(CONTROL))


@pytest.mark.parametrize(("values", "direction", "code", "kind"), [
    (CONTROL, "either", 0, "pass"),
    (HIGHER, "either", 1, "high"),
    (HIGHER, "increase", 1, "high"),
    (HIGHER, "decrease", 0, "pass"),
    ([], "either", 1, "nodata"),
])  # fmt: skip
def test_the_exit_code_says_whether_it_passed(
    cli: Cli,
    sample: Callable[[str, str], Path],
    control: Path,
    values: list[float],
    direction: str,
    code: int,
    kind: str,
) -> None:
    given = ["--control", control, "--experiment", sample("canary.txt", lines(values)), "--direction", direction]
    answer = cli("canary", "judge", *given)
    assert answer.code == code and kind in answer.out
    found = json.loads(cli("canary", "judge", *given, "--json").out)
    assert found["classification"] == kind and found["experiment_count"] == len(values)


def test_json_gives_every_figure_of_the_function(cli: Cli, sample: Callable[[str, str], Path], control: Path) -> None:
    options = ["--tolerance", 0.1, "--confidence", 0.9, "--effect-size", "cles", "--critical"]
    options += ["--effect-thresholds", 0.4, 0.6, "--critical-thresholds", 0.3, 0.7]
    answer = cli(
        "canary", "judge", "--control", control, "--experiment", sample("e.txt", lines(HIGHER)), *options, "--json"
    )
    found = judge_metric(
        CONTROL,
        HIGHER,
        tolerance=0.1,
        confidence=0.9,
        effect_size_measure="cles",
        effect_size_thresholds=(0.4, 0.6),
        critical_thresholds=(0.3, 0.7),
        is_critical=True,
    )
    told = json.loads(answer.out)
    assert found.shift is not None and found.critical
    assert told["shift"] == {name: getattr(found.shift, name) for name in told["shift"]}
    assert {name: told[name] for name in ("critical", "effect_size", "reason", "deviation")} == {
        name: getattr(found, name) for name in ("critical", "effect_size", "reason", "deviation")
    }


def test_all_kinds_of_files_give_the_same_sample(
    cli: Cli, sample: Callable[[str, str], Path], control: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = [*HIGHER[:3], None, *HIGHER[3:]]
    text = "".join("\n" if value is None else f"{value}\n" for value in missing)
    parquet = tmp_path / "e.parquet"
    rows = ", ".join(f"({value or 'NULL'})" for value in missing)
    duckdb.sql(f"SELECT v AS value, 'x' AS label FROM (VALUES {rows}) AS t(v)").write_parquet(str(parquet))
    files = [
        sample("a.txt", text),
        sample("b.txt", text.replace("\n\n", "\nNaN\n")),
        sample("bare.csv", text.replace("\n\n", "\nnan\n")),
        sample("named.csv", "ts,value\n" + "".join(f"1,{value or ''}\n" for value in missing)),
        sample("a.json", json.dumps(missing)),
        sample("b.json", json.dumps([{"ts": 1, "value": value} for value in missing])),
        parquet,
        Path("-"),
    ]
    answers = set()
    for file in files:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        answers.add(cli("canary", "judge", "--control", control, "--experiment", file, "--json").out)
    assert len(answers) == 1 and json.loads(answers.pop())["experiment_count"] == len(HIGHER)


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("a.txt", "1\ntwo\n", [], "expected a number, got 'two' (number 2)"),
        ("a.json", "{}", [], "expected a JSON array"),
        ("a.json", "[1, true]", [], "expected a number, got True"),
        ("a.json", "[1", [], "cannot be read"),
        ("a.parquet", "no", [], "cannot be read"),
        ("a.csv", "x,y\n1,2\n", [], "expected a column 'value', got x, y"),
        ("a.csv", "x,y\n1,2\n", ["--column", "z"], "expected a column 'z', got x, y"),
        ("a.txt", "1\n", ["--confidence", "3"], "confidence must lie between 0 and 1"),
        ("a.txt", "1\n", ["--direction", "up"], "direction must be one of"),
        ("a.txt", "inf\n", [], "infinite value"),
    ],
)
def test_wrong_usage_has_exit_code_2(
    cli: Cli, sample: Callable[[str, str], Path], control: Path, name: str, text: str, options: list[str], message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", "400")
    answer = cli("canary", "judge", "--control", control, "--experiment", sample(name, text), *options)
    assert answer.code == 2 and message in answer.err


def test_a_missing_file_and_two_standard_inputs_are_wrong_usage(
    cli: Cli, control: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    gone = cli("canary", "judge", "--control", control, "--experiment", tmp_path / "gone.csv")
    assert gone.code == 2 and "cannot be read: No such file" in gone.err
    assert cli("canary", "judge", "--control", "-", "--experiment", "-").code == 2


def test_a_canary_is_started_updated_and_looked_at(cli: Cli, tmp_path: Path) -> None:
    home = ["--home", tmp_path]
    criteria = [
        "--criterion",
        "error_rate<=0.01",
        "--criterion",
        "availability>=0.99",
        "--criterion",
        "errors=baseline",
    ]
    begun = cli("canary", "start", "--service", "api", *criteria, "--id", "c1", "--minutes", 60, *home, "--json")
    assert begun.code == 0
    rules = json.loads(begun.out)["criteria"]
    assert {name: (rule["limit"], rule["at_least"]) for name, rule in rules.items()} == {
        "error_rate": (0.01, False), "availability": (0.99, True), "errors": (None, False),
    }  # fmt: skip
    good = ["--metric", "error_rate=0.005", "--metric", "availability=1", "--metric", "errors=1/500:2/500"]
    assert cli("canary", "update", "c1", *good, *home).code == 0
    bad = [
        "--metric",
        "error_rate=0.5",
        "--metric",
        'errors={"bad": 1, "total": 9, "baseline_bad": 0, "baseline_total": 9}',
    ]
    rolled = cli("canary", "update", "c1", *bad, *home)
    assert rolled.code == 1 and "rollback" in rolled.out
    status = cli("canary", "status", "c1", *home, "--json")
    assert status.code == 1 and json.loads(status.out)["action"] == "rollback"
    gone = cli("canary", "status", "c2", *home)
    assert gone.code == 1 and "there is no canary c2" in gone.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["start", "--service", "api", "--criterion", "error_rate"],
        ["start", "--service", "api", "--criterion", "error_rate<=low"],
        ["update", "c1", "--metric", "error_rate"],
        ["update", "c1", "--metric", "error_rate=1/x"],
        ["update", "c1", "--metric", "error_rate={1"],
    ],
)
def test_what_cannot_be_read_is_wrong_usage_and_writes_nothing(cli: Cli, tmp_path: Path, arguments: list[str]) -> None:
    assert cli("canary", *arguments, "--home", tmp_path).code == 2
    assert list(tmp_path.iterdir()) == []


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from cogniforge_pipeline.cli import app\n"
        "for words in (['--help'], ['canary', '--help'], ['canary', 'judge', '--help'], ['deploy', 'start', '--help']):\n"
        "    assert CliRunner().invoke(app, words).exit_code == 0, words\n"
        "heavy = ('dagster', 'duckdb', 'numpy', 'pandas', 'scipy', 'sklearn', 'sqlglot')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert found.stdout.strip() == "[]"


def test_the_public_names_are_there_and_the_package_stays_light() -> None:
    code = (
        "import sys, cogniforge_pipeline.sre as sre\n"
        "heavy = ('duckdb', 'numpy', 'pydantic')\n"
        "print([name for name in heavy if name in sys.modules], [n for n in sre.__all__ if not hasattr(sre, n)])\n"
        "assert sre.Counts(1, 2).total == 2 and not hasattr(sre, 'nothing')\n"
        "print(sorted(set(dir(sre)) ^ set(sre.__all__)))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert found.stdout.split("\n")[:2] == ["[] []", "[]"]
