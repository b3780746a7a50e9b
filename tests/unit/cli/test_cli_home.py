"""`cogniforge init`, `doctor`, `export` and `maintain`, and what they say to a user's mistakes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cogniforge_pipeline.definitions import KINDS
from cogniforge_pipeline.reports import export as export_module
from tests.support.pipeline import Pipeline

Cli = Callable[..., Any]


@pytest.fixture
def new_home(cli: Cli, tmp_path: Path) -> Path:
    """A home right after `init`."""
    folder = tmp_path / "home"
    assert cli("init", folder).code == 0
    return folder


def test_init_makes_a_home_that_the_doctor_finds_in_order(cli: Cli, new_home: Path) -> None:
    assert (new_home / "landing").is_dir()
    answer = cli("doctor", "--home", new_home)
    assert answer.code == 0, answer.out
    assert "there is no lake yet" in answer.out
    assert not (new_home / "lake").exists()


def test_the_new_home_lists_every_folder_of_declarations(new_home: Path) -> None:
    told = (new_home / "platform" / "README.md").read_text()
    known = {kind.folder for kind in KINDS}
    assert known and all(f"`{name}" in told for name in known), known


def test_init_overwrites_nothing_and_then_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    taken = tmp_path / "home" / "platform" / "topology.yaml"
    taken.parent.mkdir(parents=True)
    taken.write_text("mine")
    answer = cli("init", tmp_path / "home")
    assert answer.code == 1 and "is there already" in answer.err
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == [taken]
    assert taken.read_text() == "mine"


def test_init_into_a_file_is_an_error(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = cli("init", tmp_path / "file" / "home")
    assert answer.code == 1 and "cannot be written" in answer.err


@pytest.mark.parametrize("command", ["run", "export", "maintain", "ui"])
@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_without_a_home_a_command_says_how_to_make_one(cli: Cli, tmp_path: Path, command: str, kind: str) -> None:
    folder = tmp_path / "home"
    if kind == "a file":
        folder.write_text("")
    answer = cli(command, "--home", folder)
    assert answer.code == 1
    assert f"there is no home at {folder}" in answer.err and f"cogniforge init {folder}" in answer.err
    assert not folder.is_dir()


def test_a_setting_that_is_not_allowed_is_an_error(cli: Cli, new_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGNIFORGE_EXECUTOR", "dask")
    answer = cli("run", "--home", new_home)
    assert answer.code == 1 and "COGNIFORGE_EXECUTOR: expected one of" in answer.err


def test_the_doctor_says_that_there_is_no_home_and_makes_none(cli: Cli, tmp_path: Path) -> None:
    answer = cli("doctor", "--home", tmp_path / "none")
    assert answer.code == 1 and "is not there" in answer.out and "cogniforge init" in answer.out
    assert not (tmp_path / "none").exists()


def test_the_doctor_shows_what_was_refused_and_what_was_set_aside(cli: Cli, finished_home: Path) -> None:
    answer = cli("doctor", "--home", finished_home)
    assert answer.code == 0, answer.out
    assert "broken.parquet was refused: not a complete Parquet file" in answer.out
    assert "2 rows of aiops.telemetry" in answer.out
    assert "newest telemetry 2026-03-03 23:55:00 UTC" in answer.out


def test_the_doctor_names_file_and_line_of_a_broken_declaration(cli: Cli, new_home: Path) -> None:
    broken = new_home / "platform" / "sources" / "mine.yaml"
    broken.write_text("name: mine\ntype: files\npath: a/*.csv\ntimezome: UTC\n")
    (new_home / "platform" / "topology.yaml").write_text("services:\n  - {name: web\n")
    answer = cli("doctor", "--home", new_home)
    assert answer.code == 1
    assert "sources/mine.yaml:4" in answer.out and "timezone" in answer.out
    assert "topology.yaml:" in answer.out


def test_the_doctor_finds_a_catalog_that_is_no_catalog(cli: Cli, new_home: Path) -> None:
    (new_home / "lake").mkdir()
    (new_home / "lake" / "catalog.sqlite").write_bytes(b"no database at all" * 100)
    for arguments in (["doctor"], ["run"], ["export"], ["sql", "SELECT 1"]):
        answer = cli(*arguments, "--home", new_home)
        assert answer.code == 1
        assert "the lake refused" in answer.out + answer.err


def test_export_writes_files_that_plain_duckdb_reads(cli: Cli, finished_home: Path, tmp_path: Path) -> None:
    answer = cli("export", "--home", finished_home, "--folder", tmp_path)
    assert answer.code == 0, answer.err
    with duckdb.connect(str(finished_home / "reports" / "cogniforge.duckdb"), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        published = con.execute("FROM aiops.service_health ORDER BY service").fetchall()
        described = con.execute("SELECT count(*) FROM duckdb_columns() WHERE comment IS NOT NULL").fetchall()
        assert con.execute(f"FROM '{tmp_path}/aiops/service_health.parquet' ORDER BY service").fetchall() == published
    assert [row[1] for row in published] == ["api", "web"]
    assert described[0][0] > 20
    assert not (tmp_path / "aiops" / "telemetry.parquet").exists()
    assert not [path for path in tmp_path.rglob(".*")]


def test_export_of_a_named_table_writes_that_table(cli: Cli, finished_home: Path, tmp_path: Path) -> None:
    assert cli("export", "--home", finished_home, "--folder", tmp_path, "--table", "aiops.telemetry").code == 0
    assert [path.name for path in tmp_path.rglob("*.parquet")] == ["telemetry.parquet"]


def test_export_of_an_unknown_table_names_the_known_ones(cli: Cli, finished_home: Path) -> None:
    answer = cli("export", "--home", finished_home, "--table", "aiops.telemetri")
    assert answer.code == 1 and "there is no table aiops.telemetri" in answer.err and "aiops.telemetry" in answer.err


def test_export_into_a_file_is_an_error(cli: Cli, finished_home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = cli("export", "--home", finished_home, "--folder", tmp_path / "file")
    assert answer.code == 1 and "cannot be written" in answer.err and "another folder" in answer.err


def test_an_export_that_fails_leaves_the_last_file_and_no_other(
    cli: Cli, finished_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("export", "--home", finished_home, "--folder", tmp_path, "--table", "aiops.service_health")
    published = finished_home / "reports" / "cogniforge.duckdb"
    assert cli(*asked).code == 0
    before = published.read_bytes()
    monkeypatch.setattr(export_module, "literal", lambda value: "'" if value else "NULL")
    failed = cli(*asked)
    assert failed.code == 1 and failed.err.startswith("error:")
    monkeypatch.undo()
    assert published.read_bytes() == before
    assert {path.name for path in published.parent.iterdir()} <= {"cogniforge.duckdb", "parquet"}


def test_export_again_replaces_the_files(cli: Cli, finished_home: Path) -> None:
    published = finished_home / "reports" / "cogniforge.duckdb"
    for _ in range(2):
        assert cli("export", "--home", finished_home).code == 0
    with duckdb.connect(str(published), read_only=True) as con:
        assert con.execute("SELECT count(*) FROM aiops.service_health").fetchall() == [(2,)]


def test_maintenance_keeps_every_row(cli: Cli, finished_home: Path, tmp_path: Path) -> None:
    home = shutil.copytree(finished_home, tmp_path / "home")
    count = ("sql", "--home", home, "-f", "csv", "SELECT count(*), sum(value) FROM aiops.telemetry")
    before = cli(*count).out
    answer = cli("maintain", "--home", home, "--keep-days", 1)
    assert answer.code == 0, answer.err
    assert "files merged" in answer.out
    assert cli(*count).out == before


def test_a_lake_whose_data_was_deleted_is_told_without_a_traceback(cli: Cli, pipeline: Pipeline) -> None:
    rows = "".join(f"2026-03-01T10:{n % 60:02}:00Z,s{n},m,1\n" for n in range(600))
    pipeline.drop("a.csv", "timestamp,service,metric,value\n" + rows)
    pipeline.ingest()
    shutil.rmtree(pipeline.folder / "lake" / "data")
    for arguments in (["export", "--table", "aiops.telemetry"], ["sql", "FROM aiops.telemetry"], ["doctor"]):
        answer = cli(*arguments, "--home", pipeline.folder)
        assert answer.code == (0 if arguments == ["doctor"] else 1), arguments
        assert "Cannot open file" in answer.out + answer.err or arguments == ["doctor"]
